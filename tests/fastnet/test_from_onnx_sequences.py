"""Recurrent networks of ONNX files: of those that `to_onnx` and PyTorch write, and what is refused."""

import contextlib
import io
import warnings

import numpy as np
import pytest
from drawn import as_trained

import fastnet as fn

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

STEPS, N = 6, 3
ALL = {"return_sequences": True}
NETWORKS = {
    "plain units": [fn.Recurrent(4, "relu"), fn.Dense(2, "softmax")],
    "LSTM": [fn.Rescale(0.5, 0.1), fn.LSTM(4), fn.Dense(5, "relu"), fn.Dense(1, "sigmoid")],
    "GRU": [fn.GRU(4), fn.LayerNorm("tanh"), fn.Dense(2)],
    "answers at steps": [fn.GRU(4, **ALL), fn.Dropout(0.2), fn.Dense(5, "tanh"), fn.Dense(3, "softmax")],
    "both directions": [fn.LSTM(4, bidirectional=True, **ALL), fn.GRU(3, bidirectional=True), fn.Dense(2)],
    "both directions at steps": [fn.Recurrent(4, bidirectional=True, **ALL), fn.Dense(2, "gelu"), fn.Dense(2)],
    "flattened": [fn.LSTM(2, **ALL), fn.Flatten(), fn.Dense(3, "softmax")],
    "normalised": [fn.GRU(4, **ALL), fn.LayerNorm(), fn.LSTM(2), fn.Dense(2)],
    "convolved": [fn.Conv1D(4, 3, activation="relu"), fn.GRU(4), fn.Dense(2)],
    "symbols": [fn.Embedding(7, 4), fn.GRU(5, **ALL), fn.Dense(7, "softmax")],
}


def samples(layers, rng):
    is_symbols = isinstance(layers[0], fn.Embedding)
    return rng.integers(0, 7, (5, STEPS)) if is_symbols else rng.standard_normal((5, STEPS, N)).astype(np.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_to_onnx_writes(name, tmp_path):
    rng, layers = np.random.default_rng(0), NETWORKS[name]
    X = samples(layers, rng)
    net = as_trained(fn.Network(layers, seed=1).build(X.shape[1:]), rng)
    net.to_onnx(tmp_path / "net.onnx")
    again = fn.from_onnx(tmp_path / "net.onnx")
    assert repr(again) == repr(net)
    for key, array in net.parameters.items():
        np.testing.assert_array_equal(again.parameters[key], array, err_msg=key)
    np.testing.assert_array_equal(again.outputs(X), net.outputs(X))
    again.to_onnx(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes()


def recurrent_module(torch, kind, takes, *, bidirectional=False, num_layers=1, bias=True):
    """An embedding or none, a recurrent module, and a linear layer of what it takes of that."""
    nn = torch.nn

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            settings = {"batch_first": True, "bidirectional": bidirectional, "num_layers": num_layers, "bias": bias}
            self.table = nn.Embedding(7, N) if takes == "symbols" else nn.Identity()
            self.recurrent = getattr(nn, kind)(N, 4, **settings)
            self.linear = nn.Linear(4 * (1 + bidirectional), 2)

        def forward(self, x):
            found, last = self.recurrent(self.table(x))
            last = last[0] if kind == "LSTM" else last
            parts = {
                "all": lambda: found,
                "symbols": lambda: found,
                "last": lambda: found[:, -1],
                "state": lambda: last[-1],
                "states": lambda: torch.cat([last[-2], last[-1]], dim=1),
                "first": lambda: found[:, 0],
            }
            return self.linear(parts[takes]())

    torch.manual_seed(0)
    return Module().eval()


def exported(torch, module, X, path, *, dynamo, is_dynamic):
    given = {"dynamo": dynamo, "input_names": ["x"]}
    if is_dynamic:
        given |= {"dynamic_shapes": ({0: torch.export.Dim("m")},)} if dynamo else {"dynamic_axes": {"x": {0: "m"}}}
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.from_numpy(X),), str(path), **given)


EXPORTED = {
    "GRU": ("GRU", "last", {}),
    "LSTM's state": ("LSTM", "state", {}),
    "plain units": ("RNN", "all", {"bias": False}),
    "two layers in both directions": ("LSTM", "all", {"bidirectional": True, "num_layers": 2}),
    "last states of both directions": ("GRU", "states", {"bidirectional": True}),
    "symbols": ("GRU", "symbols", {}),
}


@pytest.mark.parametrize("is_dynamic", [False, True], ids=["fixed", "dynamic"])
@pytest.mark.parametrize("dynamo", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["script", "dynamo"])
@pytest.mark.parametrize("name", EXPORTED)
def test_what_pytorch_exports(torch, name, dynamo, is_dynamic, tmp_path):
    kind, takes, settings = EXPORTED[name]
    if dynamo and kind == "RNN":
        return  # written as the operators of each step
    rng = np.random.default_rng(0)
    X = rng.integers(0, 7, (5, STEPS)) if takes == "symbols" else rng.standard_normal((5, STEPS, N)).astype(np.float32)
    module = recurrent_module(torch, kind, takes, **settings)
    exported(torch, module, X, tmp_path / "net.onnx", dynamo=dynamo, is_dynamic=is_dynamic)
    net = fn.from_onnx(tmp_path / "net.onnx")
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(net.outputs(X).reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)
    assert sum(hasattr(layer, "bidirectional") for layer in net.layers) == settings.get("num_layers", 1)


def gru_file(path, **changes):
    """A GRU over (m, t, n) and a linear layer, with changed attributes, inputs or nodes."""
    rng = np.random.default_rng(0)
    shapes = {"W": (1, 12, N), "R": (1, 12, 4), "B": (1, 24), "dense": (4, 2)}
    constants = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    constants |= changes.pop("constants", {})
    attributes = {"hidden_size": 4, "linear_before_reset": 1} | changes.pop("attributes", {})
    outputs, inputs = changes.pop("outputs", ["", "last"]), changes.pop("inputs", [])
    behind = changes.pop("behind", [("Gather", ["last", "zero"], {"axis": 0})])
    constants["zero"] = np.array(0)
    nodes = [helper.make_node("Transpose", ["X"], ["by_step"], perm=changes.pop("perm", [1, 0, 2]))]
    nodes.append(helper.make_node("GRU", ["by_step", "W", "R", "B", *inputs], outputs, **attributes))
    for place, (operator, of, settings) in enumerate(behind):
        nodes.append(helper.make_node(operator, of, [f"behind{place}"], **settings))
    nodes.append(helper.make_node("MatMul", [nodes[-1].output[0], "dense"], ["output"]))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("X", 1, ["m", STEPS, N])],
        [helper.make_tensor_value_info("output", 1, ["m", 2])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def test_what_the_files_of_these_tests_predict(tmp_path):
    gru_file(tmp_path / "net.onnx")
    X = np.random.default_rng(1).standard_normal((5, STEPS, N)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    found = fn.from_onnx(tmp_path / "net.onnx").outputs(X)
    np.testing.assert_allclose(found, session.run(None, {"X": X})[0], rtol=1e-5, atol=1e-6)


REFUSED = {
    "reset before the product": ({"attributes": {"linear_before_reset": 0}}, "linear_before_reset=0 is not supported"),
    "backwards": ({"attributes": {"direction": "reverse"}}, "direction='reverse' is not supported"),
    "other activations": ({"attributes": {"activations": ["Relu", "Tanh"]}}, r"activations=\['Relu', 'Tanh'\]"),
    "clipped": ({"attributes": {"clip": 3.0}}, "its settings.*are not supported"),
    "another size": ({"attributes": {"hidden_size": 5}}, "its W has shape"),
    "lengths": (
        {"constants": {"lengths": np.full(5, 3, np.int32)}, "inputs": ["lengths"]},
        "sequence_lens is not supported",
    ),
    "a first state": (
        {"constants": {"h": np.ones((1, 5, 4), np.float32)}, "inputs": ["", "h"]},
        "initial_h is not supported",
    ),
    "samples first": ({"perm": [0, 1, 2]}, "takes sequences"),
    "steps first at the end": (
        {"outputs": ["all"], "behind": [("Gather", ["all", "zero"], {"axis": 1})]},
        "steps come before samples",
    ),
    "the first step": (
        {
            "outputs": ["all"],
            "behind": [("Gather", ["all", "zero"], {"axis": 1}), ("Gather", ["behind0", "zero"], {"axis": 0})],
        },
        "the last step of a recurrent layer",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    changes, message = REFUSED[name]
    gru_file(tmp_path / "net.onnx", **changes)
    with pytest.raises(ValueError, match=message):
        fn.from_onnx(tmp_path / "net.onnx")
