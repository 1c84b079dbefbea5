"""Networks of ONNX files: of those that `to_onnx`, PyTorch and skl2onnx write, and of damaged ones and others."""

import contextlib
import dataclasses
import json
import warnings

import numpy as np
import pytest
from drawn import as_trained, random_network

import fastnet as fn

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

RNG = np.random.default_rng(0)
IGNORED = {"init", "l1", "l2", "trainable", "slope", "alpha"}  # see `settings_of`
OF_WINDOWS = {"pool_size", "kernel_size", "stride", "dilation", "padding", "shape"}


def settings_of(layer):
    """What a file can tell of a layer: training's settings are left out, and those that it has no use for."""
    found = {name: value for name, value in dataclasses.asdict(layer).items() if name not in IGNORED | OF_WINDOWS}
    found |= {"slope": layer.slope} if layer.activation_name == "leaky_relu" else {}
    found |= {"alpha": layer.alpha} if layer.activation_name == "elu" else {}
    found |= {"window": layer.window, "steps": layer.steps} if hasattr(layer, "window") else {}
    found |= {"gaps": layer.gaps} if isinstance(layer, fn.Conv1D | fn.Conv2D) else {}
    return type(layer), {name: np.float32(value) if type(value) is float else value for name, value in found.items()}


@pytest.mark.parametrize("seed", range(200))
def test_what_to_onnx_writes(seed, tmp_path):
    rng = np.random.default_rng(seed)
    layers, shape = random_network(rng, convolves=seed % 2 == 0)
    net = as_trained(fn.Network(layers, seed=seed).build(shape), rng)
    net.to_onnx(tmp_path / "net.onnx")
    again = fn.from_onnx(tmp_path / "net.onnx")
    assert [settings_of(layer) for layer in again.layers] == [settings_of(layer) for layer in net.layers]
    assert (again.input_shape, again.dtype, again.loss) == (net.input_shape, net.dtype, net.loss)
    assert list(again.parameters) == list(net.parameters)
    assert all(np.array_equal(again.parameters[name], array) for name, array in net.parameters.items())
    X = rng.standard_normal((5, *shape)).astype(np.float32)
    assert np.array_equal(again.outputs(X), net.outputs(X))
    again.to_onnx(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes()


@pytest.mark.parametrize(
    ("layers", "loss", "y"),
    [
        ([fn.Dense(3, "softmax")], fn.losses.cross_entropy(0.1), ["a", "b", "c"]),
        ([fn.Dense(1, "sigmoid")], None, [False, True, True]),
        ([fn.Dense(1)], "hinge", [-7, 5, 5]),
        ([fn.Dense(1, "sigmoid")], "squared_error", [0.2, 0.3, 0.9]),
        ([fn.Dense(2)], fn.losses.huber(0.5), [[1, 2], [3, 4], [5, 6]]),
        ([fn.Dense(2, "sigmoid")], None, [[0, 1], [1, 1], [0, 0]]),
    ],
)
def test_losses_and_labels(layers, loss, y, tmp_path):
    net = fn.Network(layers, loss=loss)
    X = RNG.standard_normal((3, 4))
    net.fit(X, y, epochs=3, verbose=False)
    net.to_onnx(tmp_path / "net.onnx")
    again = fn.from_onnx(tmp_path / "net.onnx")
    assert again.loss_and_setting == net.loss_and_setting
    assert again.predict(X).tolist() == net.predict(X).tolist()


# ---------------------------------------------------------------- PyTorch


def every_activation(nn):
    kinds = [
        *[nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.GELU(), nn.SiLU(), nn.Softplus(), nn.Sigmoid(), nn.Tanh()],
        *[nn.Hardswish(), nn.Hardsigmoid(), nn.Identity()],
    ]
    return nn.Sequential(nn.Flatten(), *[each for kind in kinds for each in (nn.Linear(6, 6), kind)], nn.Linear(6, 3))


def normalised(nn):
    return nn.Sequential(
        *[nn.Linear(6, 5), nn.BatchNorm1d(5, eps=1e-3), nn.ReLU(), nn.Dropout(0.2), nn.Linear(5, 4, bias=False)],
        *[nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 3), nn.Softmax(1)],
    )


def images(nn):
    return nn.Sequential(nn.MaxPool2d(2, stride=1), nn.MaxPool2d((2, 1)), nn.Flatten(), nn.Linear(2 * 2 * 4, 3))


def signals(nn):
    return nn.Sequential(nn.MaxPool1d(2), nn.Flatten(), nn.Linear(8, 3))


def convolutions(nn):
    return nn.Sequential(
        *[nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2, bias=False)],
        *[nn.MaxPool2d(2), nn.LeakyReLU(0.2), nn.ZeroPad2d((1, 2, 0, 1)), nn.Conv2d(6, 5, (2, 4), stride=(2, 1))],
        *[nn.Conv2d(5, 3, 2, padding="same", dilation=(1, 2)), nn.SiLU(), nn.Flatten(), nn.Linear(3 * 2 * 5, 3)],
    )


def convolved_signals(nn):
    return nn.Sequential(
        *[nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), nn.MaxPool1d(2), nn.ReLU()],
        *[nn.Conv1d(4, 5, 2, stride=2, padding=2), nn.Flatten(), nn.Linear(5 * 5, 3)],
    )


def means(nn):
    return nn.Sequential(
        *[nn.Conv2d(2, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.AvgPool2d(2), nn.Conv2d(4, 5, 2), nn.Tanh()],
        *[nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)],
    )


def largest(nn):
    return nn.Sequential(
        *[nn.Conv1d(2, 4, 3), nn.Tanh(), nn.BatchNorm1d(4), nn.AvgPool1d(2, stride=1), nn.AdaptiveMaxPool1d(1)],
        *[nn.Flatten(), nn.Linear(4, 3)],
    )


def export(torch, module, X, path, opset, *, dynamo):
    if dynamo:
        pytest.importorskip("onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.tensor(X),), str(path), dynamo=dynamo, opset_version=opset,
            **({"verbose": False} if dynamo else {"dynamic_axes": {"x": {0: "m"}}, "input_names": ["x"]}),
        )  # fmt: skip


EXPORTS = [
    *[(make, shape, dtype, False, opset) for make, shape in ((every_activation, (6,)), (normalised, (6,)))
      for dtype, opset in (("float32", 13), ("float64", 17), ("float32", 20)) if (make, opset) != (normalised, 13)],
    (images, (2, 6, 5), "float32", False, 17), (signals, (2, 8), "float32", False, 17),
    *[(convolutions, (2, 9, 12), dtype, False, 17) for dtype in ("float32", "float64")],
    (convolved_signals, (2, 12), "float64", False, 17), (means, (2, 9, 8), "float64", False, 17),
    (largest, (2, 9), "float64", False, 17),
]  # fmt: skip
SLOW = [(every_activation, (6,), "float32", True, 18), (normalised, (6,), "float32", True, 20)]
SLOW += [(images, (2, 6, 5), "float32", True, 20), (convolutions, (2, 9, 12), "float32", True, 20)]
SLOW += [(convolved_signals, (2, 12), "float32", True, 20), (means, (2, 9, 8), "float32", True, 20)]
SLOW += [(largest, (2, 9), "float32", True, 20)]


@pytest.mark.parametrize(
    ("make", "shape", "dtype", "dynamo", "opset"),
    [*EXPORTS, *[pytest.param(*each, marks=pytest.mark.slow) for each in SLOW]],
)
def test_what_pytorch_exports(torch, make, shape, dtype, dynamo, opset, tmp_path):
    torch.manual_seed(0)
    module = make(torch.nn).to(getattr(torch, dtype))
    X = RNG.standard_normal((20, *shape)).astype(dtype)
    module(torch.tensor(X))  # so that normalisations have seen something
    module.eval()
    export(torch, module, X, tmp_path / "net.onnx", opset, dynamo=dynamo)
    net = fn.from_onnx(tmp_path / "net.onnx")
    with torch.no_grad():
        expected = module(torch.tensor(X)).numpy()
    channels_last = X if len(shape) == 1 else np.moveaxis(X, 1, -1)
    limit = 1e-6 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(net.outputs(channels_last), expected, rtol=10 * limit, atol=limit)
    assert net.dtype == dtype


def test_logits_and_views_of_pytorch(torch, tmp_path):
    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = torch.nn.Linear(12, 5), torch.nn.Linear(5, 3)

        def forward(self, x):
            return torch.log_softmax(self.last(torch.relu(self.first(x.view(x.size(0), -1)))), 1)

    module, X = Classifier().eval(), RNG.standard_normal((4, 3, 4)).astype(np.float32)
    export(torch, module, X, tmp_path / "net.onnx", 17, dynamo=False)
    with pytest.raises(ValueError, match=r"LogSoftmax.*output='softmax'"):
        fn.from_onnx(tmp_path / "net.onnx")
    net = fn.from_onnx(tmp_path / "net.onnx", output="softmax")
    with torch.no_grad():
        np.testing.assert_allclose(net.predict_proba(X), module(torch.tensor(X)).exp().numpy(), atol=1e-6)
    export(torch, torch.nn.Linear(2, 3), np.ones((2, 2), np.float32), tmp_path / "logits.onnx", 17, dynamo=False)
    assert fn.from_onnx(tmp_path / "logits.onnx", output="softmax").loss == "cross_entropy"
    assert fn.from_onnx(tmp_path / "logits.onnx").loss == "squared_error"
    fn.Network([fn.Dense(2, "softmax")]).build(2).to_onnx(tmp_path / "probabilities.onnx")
    with pytest.raises(ValueError, match="an activation at the end already"):
        fn.from_onnx(tmp_path / "probabilities.onnx", output="softmax")


# ---------------------------------------------------------------- skl2onnx


@pytest.fixture
def skl2onnx():
    pytest.importorskip("sklearn")
    return pytest.importorskip("skl2onnx")


def fitted(kind, X, y, *, scaler=None, **settings):
    from sklearn import neural_network, pipeline

    model = getattr(neural_network, kind)(hidden_layer_sizes=(5,), max_iter=30, random_state=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        return (pipeline.make_pipeline(scaler, model) if scaler is not None else model).fit(X, y)


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("labels", [["no", "yes"], [3, 5], ["a", "b", "c"], [2, 5, 9]])
def test_classifiers_of_skl2onnx(skl2onnx, labels, dtype, zipmap, tmp_path):
    from sklearn.preprocessing import StandardScaler

    X = (RNG.standard_normal((60, 4)) * [1, 10, 0.1, 3] + [0, 50, -1, 2]).astype(dtype)
    model = fitted("MLPClassifier", X, RNG.choice(labels, 60), scaler=StandardScaler(), activation="tanh")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = skl2onnx.to_onnx(model, X[:1], options={"zipmap": zipmap})
    onnx.save(made, tmp_path / "net.onnx")
    net = fn.from_onnx(tmp_path / "net.onnx")
    assert net.labels.tolist() == labels
    assert net.dtype == dtype
    assert net.predict(X).tolist() == model.predict(X).tolist()
    expected = model.predict_proba(X)
    limit = 1e-5 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(net.predict_proba(X), expected if len(labels) > 2 else expected[:, 1], atol=limit)


def test_regressors_and_several_answers_of_skl2onnx(skl2onnx, tmp_path):
    from sklearn.preprocessing import MinMaxScaler

    X = RNG.standard_normal((60, 4)).astype(np.float32)
    model = fitted("MLPRegressor", X, X[:, 0] * 3, scaler=MinMaxScaler())
    several = fitted("MLPClassifier", X, X[:, :3] > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx.save(skl2onnx.to_onnx(model, X[:1]), tmp_path / "numbers.onnx")
        onnx.save(skl2onnx.to_onnx(several, X[:1]), tmp_path / "answers.onnx")
    np.testing.assert_allclose(
        fn.from_onnx(tmp_path / "numbers.onnx").predict(X), model.predict(X), rtol=1e-4, atol=1e-5
    )
    assert fn.from_onnx(tmp_path / "answers.onnx").predict(X).tolist() == several.predict(X).astype(int).tolist()


# ---------------------------------------------------------------- graphs of all kinds


def saved(path, nodes, constants=(), *, shape=("m", 4), outputs=("Y",), dtype=np.float32, opset=17):
    """A file of a graph that takes "X" and makes "Y".

    A node is "Add _ W > Z", operator, inputs and outputs, or a pair of that and its attributes: "_" is the first output
    of the node before, and the last node's is Y unless it has others.
    """
    made, before = [], "X"
    for i, node in enumerate(nodes):
        text, attributes = (node, {}) if isinstance(node, str) else node
        text, _, results = text.partition(">")
        operator, *inputs = text.replace("_", before).split()
        results = results.split() or ["Y" if i == len(nodes) - 1 else f"value{i}"]
        before = results[0]
        made.append(helper.make_node(operator, inputs, results, name=f"{operator}_{i}", **attributes))
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        made,
        "graph",
        [helper.make_tensor_value_info("X", kind, shape)],
        [helper.make_tensor_value_info(name, kind, ["m", None]) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


ML = {"domain": "ai.onnx.ml"}
W = np.arange(12, dtype=np.float32).reshape(3, 4) / 10
CONSTANTS = {
    "W": W,
    "b": np.array([1, 2, 3], np.float32),
    "V": np.eye(4, dtype=np.float32) + 1,
    "s": np.array([1, 2, 3, 4], np.float32),
    "t": np.array([[5, 6, 7, 8]], np.float32),
    "half": np.float32(0.5),
    "unity": np.float32(1),
    "one": np.array([1]),
    "flat": np.array([-1]),
    "pairs": np.array([0, 2, -1]),
}
DENSE = ("Gemm _ W b", {"transB": 1})
POOL = {"kernel_shape": [2, 2]}
GRAPHS = {
    "Gemm with alpha and beta": [("Gemm _ W b", {"transB": 1, "alpha": 2.0, "beta": 3.0})],
    "a transposed constant": [("Transpose W > U", {"perm": [1, 0]}), "MatMul X U", "Add b _"],
    "a scale before": ["Mul s _", "Add _ t", DENSE],
    "minus the input": ["Sub t _", DENSE],
    "a scale between": ["Gemm _ V s", "Tanh _", "Div _ s", "Sub _ t", DENSE],
    "a scale behind": [DENSE, "Mul _ b", "Sub _ b"],
    "Rescale": ["Mul _ half", "Sub _ half", DENSE],
    "a Scaler": [("Scaler _", ML | {"offset": [1.0, 2.0, 3.0, 4.0], "scale": [2.0, 1.0, 1.0, 3.0]}), DENSE],
    "turned images": [
        *["Reshape _ pairs", ("Transpose _", {"perm": [0, 2, 1]}), "Flatten _", "LayerNormalization _ s"],
        DENSE,
    ],
    "axes of 1": ["Unsqueeze _ one", "Squeeze _ one", DENSE],
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(name, tmp_path):
    path = saved(tmp_path / "net.onnx", GRAPHS[name], CONSTANTS)
    X = RNG.standard_normal((5, 4)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"X": X})
    net = fn.from_onnx(path)
    np.testing.assert_allclose(net.outputs(X), expected, rtol=1e-5, atol=1e-5)
    assert (type(net.layers[0]) is fn.Rescale) == (name == "Rescale")


CHANNELS = {
    "s": np.array([[[2]], [[0.5]]], np.float32),
    "t": np.array([[[1]], [[-1]]], np.float32),
    "K": RNG.standard_normal((4, 2, 2, 3)).astype(np.float32),
    "G": RNG.standard_normal((4, 1, 2, 2)).astype(np.float32),
    "c": np.array([[[[1]], [[2]], [[3]], [[4]]]], np.float32),
    "q": np.array([0, 0, 0, 1, 0, 0, 1, 1]),
    "p": RNG.standard_normal((4, 6)).astype(np.float32),
}
POOLED = ("MaxPool _", {"kernel_shape": [1, 2]})
END = ["Flatten _", ("Gemm _ W", {"transB": 1})]
IMAGES = {
    "channels scaled and shifted": ["Mul s _", "Add _ t", "Conv _ K", *END],
    "channels scaled": ["Div _ s", ("Conv _ G", {"group": 2, "pads": [1] * 4}), POOLED, *END],
    "filters scaled and shifted": ["Conv _ K", "Mul _ c", "Sub c _", "Relu _", *END],
    "zeros before": ["Pad _ q", "Conv _ K", *END],
    "as many zeros as needed": [("Conv _ K", {"auto_pad": "SAME_UPPER", "strides": [2, 1]}), *END],
    "means": ["Conv _ K", "Relu _", ("ReduceMean _", {"axes": [-1, 2], "keepdims": 0}), ("Gemm _ W", {"transB": 1})],
    "largest numbers": ["Conv _ K", "GlobalMaxPool _", "Tanh _", *END],
    "more than one sort of zeros": ["Pad _ q", ("Conv _ K", {"pads": [1, 0, 0, 0]}), *END],
}


@pytest.mark.parametrize("name", IMAGES)
def test_graphs_of_images(name, tmp_path):
    nodes = IMAGES[name]
    X = RNG.standard_normal((5, 2, 4, 6)).astype(np.float32)
    path = saved(
        tmp_path / "images.onnx", nodes[: -2 if nodes[-2] == "Flatten _" else -1], CHANNELS, shape=("m", 2, 4, 6)
    )
    (made,) = onnxruntime.InferenceSession(path).run(None, {"X": X})
    dense = RNG.standard_normal((3, made[0].size)).astype(np.float32)
    path = saved(tmp_path / "net.onnx", nodes, CHANNELS | {"W": dense}, shape=("m", 2, 4, 6))
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"X": X})
    found = fn.from_onnx(path).outputs(np.moveaxis(X, 1, -1))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_largest_score_is_a_label(tmp_path):
    """Of logits only if somebody says what they are."""
    chosen = [DENSE, ("ArgMax _", {"axis": 1})]
    path = saved(tmp_path / "net.onnx", chosen, CONSTANTS)
    with pytest.raises(ValueError, match="give output='softmax'"):
        fn.from_onnx(path)
    X = RNG.standard_normal((5, 4))
    expected = (X @ W.T + CONSTANTS["b"]).argmax(axis=1).tolist()
    assert fn.from_onnx(path, output="softmax").predict(X).tolist() == expected
    for labels in (["a", "b", "c"], ["b", "a", "c"]):
        encoder = ("LabelEncoder _", ML | {"keys_int64s": [0, 1, 2], "values_strings": labels})
        path = saved(tmp_path / "net.onnx", [*chosen, encoder], CONSTANTS)
        if labels == sorted(labels):
            assert fn.from_onnx(path, output="softmax").labels.tolist() == labels
        else:
            with pytest.raises(ValueError, match="smallest first"):
                fn.from_onnx(path, output="softmax")


HALF = {name: np.asarray(array, np.float16) for name, array in CONSTANTS.items()}
BEHIND_DENSE = {
    "an operator": ("Sin _", r"node Sin_1, Sin: fastnet has no layer.*Gemm"),
    "a quantised one": ("DynamicQuantizeLinear _ > Y c d", "DynamicQuantizeLinear_1.*no layer"),
    "of two": ("Add _ _", "node Add_1, Add takes 2 values.*in a row"),
    "Keras's HardSigmoid": ("HardSigmoid _", "HardSigmoid: its settings"),
    "softmax of columns": (("Softmax _", {"axis": 0}), "Softmax_1.*axis 1"),
    "samples mixed": ("Reshape _ flat", "Reshape_1.*samples stay apart"),
    "another number of features": ("MatMul _ V", r"MatMul_1, MatMul: it takes features \(m, 4\), and gets \(m, 3\)"),
}
PICTURES = {"constants": CHANNELS, "shape": ("m", 2, 5, 8)}
REFUSED = {
    **{name: ([DENSE, node], {}, message) for name, (node, message) in BEHIND_DENSE.items()},
    "Gelu by tanh": ([DENSE, ("Gelu _", {"approximate": "tanh"})], {"opset": 20}, "Gelu_1, Gelu: its settings.*tanh"),
    "two activations": ([DENSE, "Relu _", "Tanh _"], {}, "Tanh_2.*directly"),
    "a gate": ([DENSE, "Sigmoid X > S", "Mul value0 S"], {}, "Mul_2, Mul takes 2 values"),
    "two columns of many": ([DENSE, "Sub unity _ > N", ("Concat N value0", {"axis": 1})], {}, "Concat_2.*two columns"),
    "two precisions": ([DENSE, ("Cast _", {"to": 11}), ("Cast _", {"to": 1})], {}, "in float32 and float64, with"),
    "keys that are no columns": (
        [DENSE, ("ArgMax _", {"axis": 1}), ("LabelEncoder _", ML | {"keys_int64s": [5, 6], "values_int64s": [1, 2]})],
        {},
        "LabelEncoder_2.*keys 0, 1, 2",
    ),
    "no end": ([DENSE, "Relu _", "Mul _ b"], {}, "behind an activation"),
    "no layers": (["Relu _"], {}, "Relu_0.*directly"),
    "nothing": (["Identity _"], {}, "does not end with a dense layer"),
    "no input": (["Relu W"], {}, "takes 0 values"),
    "float16": ([DENSE], {"constants": HALF, "dtype": np.float16}, "B is float16"),
    "NaN": ([DENSE], {"constants": CONSTANTS | {"W": W * np.float32(np.nan)}}, "Gemm_0.*NaN"),
    "an old opset": ([DENSE], {"opset": 8}, "opset 8"),
    "no samples": ([DENSE], {"shape": (4,)}, "has 1 axes"),
    "a huge claim": ([("MaxPool _", POOL)], {"shape": ("m", 1, 10**6, 10**6)}, "numbers at the most"),
    "padding": ([("MaxPool _", POOL | {"pads": [1] * 4})], {"shape": ("m", 1, 8, 8)}, "MaxPool_0.*pads"),
    "unknown sizes": ([("MaxPool _", POOL)], {"shape": ("m", 1, "h", "w")}, "MaxPool_0.*fixed sizes"),
    "zeros around a shift": (["Add _ t", ("Conv _ K", {"pads": [1] * 4})], PICTURES, "Conv_1.*the zeros around them"),
    "zeros at one side": ([("Conv _ K", {"pads": [1, 0, 0, 0]})], PICTURES, "Conv_0.*1 before and 0 behind"),
    "a huge claim of zeros": ([("Conv _ K", {"pads": [10**6] * 4})], PICTURES, "numbers at the most"),
    "zeros before no convolution": (["Pad _ q", "Relu _"], PICTURES, "Relu_1.*zeros are put around"),
    "mirrored edges": ([("Pad _ q", {"mode": "reflect"})], PICTURES, "Pad_0.*zeros around"),
    "groups that do not fit": ([("Conv _ K", {"group": 2})], PICTURES, "Conv_0.*in 2 groups, for 2 channels"),
    "pixels scaled": (["Conv _ K", "Mul _ p"], PICTURES, "Mul_1.*one a channel"),
    "training": ([("BatchNormalization _ s s s s > Y c d", {"training_mode": 1})], {}, "training mode"),
    "two outputs": ([DENSE, "Relu _ > R", "Tanh _ > T"], {"outputs": ["R", "T"]}, "2 outputs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    nodes, given, message = REFUSED[name]
    path = saved(tmp_path / "net.onnx", nodes, **({"constants": CONSTANTS} | given))
    with pytest.raises(ValueError, match=message) as found:
        fn.from_onnx(path)
    assert str(path) in str(found.value)


def test_tensors_beside_the_file(tmp_path):
    """Which are read with it, or missed; and files that are none of ONNX."""
    fn.Network([fn.Dense(300)]).build(4).to_onnx(tmp_path / "net.onnx")
    onnx.save(onnx.load(tmp_path / "net.onnx"), tmp_path / "two.onnx", save_as_external_data=True, location="beside")
    one, two = fn.from_onnx(tmp_path / "net.onnx"), fn.from_onnx(str(tmp_path / "two.onnx"))
    assert np.array_equal(one.parameters["W1"], two.parameters["W1"])
    (tmp_path / "beside").unlink()
    with pytest.raises(fn.ModelFileError, match=r"two.onnx is not an ONNX file, or is damaged"):
        fn.from_onnx(tmp_path / "two.onnx")
    with pytest.raises(FileNotFoundError):
        fn.from_onnx(tmp_path / "none.onnx")
    fn.Network([fn.Dense(1)]).build(4).save(tmp_path / "net.safetensors")
    with pytest.raises(fn.ModelFileError, match="not an ONNX file"):
        fn.from_onnx(tmp_path / "net.safetensors")


def test_metadata_that_does_not_fit(tmp_path):
    net = fn.Network([fn.Dense(2, "softmax")]).build(4)
    net.to_onnx(tmp_path / "net.onnx")
    changes = [{"labels": text} for text in ("[1", "[1, 2, 3]", '[1, "a"]', "3", "[2, 1]", "[" * 10**5)]
    for changed in [*changes, {"loss": '"huber"', "loss_setting": "0"}, {"loss": "[]"}]:
        model = onnx.load(tmp_path / "net.onnx")
        helper.set_model_props(model, {"loss": json.dumps("cross_entropy"), "labels": "[0, 1]"} | changed)
        onnx.save(model, tmp_path / "changed.onnx")
        with pytest.raises(ValueError, match=r"changed\.onnx"):
            fn.from_onnx(tmp_path / "changed.onnx")


def damaged(content, rng):
    """A few bytes changed, left out or added, or the end cut off."""
    found = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place, kind = int(rng.integers(1, len(found))), rng.integers(4)
        if kind == 0:
            found[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            found[place] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            del found[max(2, place) : place + int(rng.integers(1, 9))]
        else:
            del found[max(2, place) :]
    return bytes(found)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files(seed, tmp_path):
    """They are refused, or make a network that works."""
    rng = np.random.default_rng(seed)
    path = tmp_path / "net.onnx"
    layers = [fn.MaxPool2D(2), fn.Dense(3, "gelu"), fn.BatchNorm(), fn.Dropout(0.1), fn.Dense(3, "softmax")]
    fn.Network(layers).build((4, 4)).to_onnx(path)
    content = path.read_bytes()
    refused = 0
    for _ in range(150):
        path.write_bytes(damaged(content, rng))
        try:
            net = fn.from_onnx(path)
        except ValueError:
            refused += 1
            continue
        with contextlib.suppress(ValueError):  # NaN, by now
            net.outputs(np.zeros((2, *net.input_shape)))
    assert 30 < refused < 150
