"""Recurrent layers against PyTorch and against what they are defined as."""

import copy
import dataclasses

import numba
import numpy as np
import pytest

import fastnet as fn
from fastnet.layers.gates import split_gates

RNG = np.random.default_rng(0)


def drawn(seed):
    """Layers, the shape of a sample and how many samples there are: cells, units, steps, one answer or one a step."""
    rng = np.random.default_rng(seed)
    layers = []
    for _ in range(int(rng.integers(1, 4))):
        units = int(rng.integers(1, 70))
        layers.append(
            [fn.Recurrent(units), fn.Recurrent(units, "relu"), fn.LSTM(units), fn.GRU(units)][rng.integers(4)]
        )
    answers_each_step = rng.random() < 0.4
    layers = [
        dataclasses.replace(
            layer,
            return_sequences=bool(answers_each_step or place < len(layers)),
            bidirectional=bool(rng.random() < 0.4),
        )
        for place, layer in enumerate(layers, start=1)
    ]
    m = int(rng.integers(1, 101)) if rng.random() < 0.4 else int(rng.integers(1, 20))
    return layers, (int(rng.integers(1, 16)), int(rng.integers(1, 50))), m


def torch_module(torch, layer, n_prev, parameters, number):
    """PyTorch's module with the parameters of layer `number`, in float64."""
    kind = {fn.Recurrent: torch.nn.RNN, fn.LSTM: torch.nn.LSTM, fn.GRU: torch.nn.GRU}[type(layer)]
    more = {"nonlinearity": layer.nonlinearity} if kind is torch.nn.RNN else {}
    more["bidirectional"] = layer.bidirectional
    module = kind(n_prev, layer.units, batch_first=True, dtype=torch.float64, **more)
    W, b = (parameters[f"{name}{number}"].astype(np.float64) for name in "Wb")
    for direction, parts in zip(("", "_reverse"), split_gates(layer, W, b), strict=False):
        for name, part in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), parts, strict=True):
            getattr(module, f"{name}_l0{direction}").data = torch.tensor(part.copy())
    return module


def torch_states(layer, given):
    """What PyTorch's module gives as the layer's output: all states, or the last of each direction."""
    states, n = given[0], layer.units
    if layer.return_sequences:
        return states
    return torch_cat([states[:, -1, :n], states[:, 0, n:]]) if layer.bidirectional else states[:, -1]


def torch_cat(parts):
    import torch

    return torch.cat(parts, dim=1)


def torch_gradients(layer, module):
    """dW and db of a layer, from those of PyTorch's module."""
    dW, db = [], []
    for direction in ["", "_reverse"][: layer.directions]:
        of_state, of_input, b, b_state = (
            getattr(module, f"{name}_l0{direction}").grad.numpy()
            for name in ("weight_hh", "weight_ih", "bias_ih", "bias_hh")
        )
        dW.append(np.hstack([of_state, of_input]))
        db += [b, *([b_state[2 * layer.units :]] if isinstance(layer, fn.GRU) else [])]
    return np.vstack(dW), np.concatenate(db)


def compare(torch, seed, dtype="float64"):
    """The largest differences from PyTorch in float64: of outputs, and of gradients relative to the largest of each."""
    layers, shape, m = drawn(seed)
    net = fn.Network([*layers, fn.Dense(3, "softmax")], dtype=dtype, seed=seed).build(shape)
    for name, array in net.parameters.items():
        if name[0] == "b":
            array[...] = RNG.standard_normal(array.shape) / 3
    last = len(layers) + 1
    X = RNG.standard_normal((m, *shape)).astype(dtype)
    y = RNG.integers(0, 3, (m, shape[0]) if layers[-1].return_sequences else m)
    states, n_prev, modules = torch.tensor(X.astype(np.float64)), shape[1], []
    for number, layer in enumerate(layers, start=1):
        modules.append(torch_module(torch, layer, n_prev, net.parameters, number))
        states, n_prev = torch_states(layer, modules[-1](states)), layer.directions * layer.units
    W, b = (torch.tensor(net.parameters[f"{name}{last}"].astype(np.float64), requires_grad=True) for name in "Wb")
    logits = states @ W.T + b
    torch.nn.functional.cross_entropy(logits.reshape(-1, 3), torch.tensor(y).ravel()).backward()
    expected = {f"W{last}": W.grad.numpy(), f"b{last}": b.grad.numpy()}
    for number, (layer, module) in enumerate(zip(layers, modules, strict=True), start=1):
        expected[f"W{number}"], expected[f"b{number}"] = torch_gradients(layer, module)
    outputs = np.abs(net.outputs(X) - torch.softmax(logits, -1).detach().numpy()).max()
    gradients = [
        np.abs(found - expected[name]).max() / max(1e-30, np.abs(expected[name]).max())
        for name, found in net.gradients(X, y).items()
    ]
    return outputs, max(gradients)


@pytest.mark.parametrize("seed", [*range(25), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(25, 225))])
def test_outputs_and_gradients_are_those_of_pytorch(torch, seed):
    outputs, gradients = compare(torch, seed)
    assert outputs < 1e-12
    assert gradients < 1e-10


@pytest.mark.parametrize("seed", range(12))
def test_float32_is_as_near_as_its_rounding(torch, seed):
    outputs, gradients = compare(torch, seed, "float32")
    assert outputs < 1e-5
    assert gradients < 1e-4


@pytest.mark.parametrize("m", [1, 33])
@pytest.mark.parametrize(
    "layers",
    [
        [fn.Recurrent(5, "relu", return_sequences=True, l1=0.01), fn.Dropout(0.2), fn.Recurrent(17, l2=0.1)],
        [fn.LSTM(17, return_sequences=True), fn.LSTM(3)],
        [fn.GRU(5, return_sequences=True), fn.Dense(4, "gelu"), fn.GRU(18), fn.LayerNorm("tanh")],
        [fn.GRU(5), fn.BatchNorm()],
        [fn.LSTM(3, return_sequences=True), fn.Flatten(), fn.Dense(6, "tanh")],
        [fn.Conv1D(4, 3, padding="same", activation="tanh"), fn.GRU(5, return_sequences=True), fn.Conv1D(3, 2)],
    ],
)
def test_gradients_are_those_of_differences(layers, m, threads):
    net = fn.Network([*layers, fn.Dense(4, "softmax")], dtype="float64", seed=3).build((5, 3))
    assert fn.check_gradients(net, RNG.standard_normal((m, 5, 3)), RNG.integers(0, 4, m), at_most=30) < 1e-6


@pytest.mark.parametrize(
    ("output", "loss", "shape"),
    [
        (fn.Dense(4, "softmax"), fn.losses.cross_entropy(0.1), ()),
        (fn.Dense(1, "sigmoid"), None, ()),
        (fn.Dense(3, "sigmoid"), fn.losses.log_loss(0.1), (3,)),
        (fn.Dense(1), "hinge", ()),
        (fn.Dense(1), fn.losses.huber(0.5), ()),
        (fn.Dense(2, "tanh"), None, (2,)),
    ],
)
def test_losses_at_each_step_are_the_mean_of_those_of_all_steps(output, loss, shape):
    """As of a network that sees the steps of all samples as so many samples, behind states that are the same."""
    m, t, n_classes = 33, 5, 4 if output.activation == "softmax" else 2
    net = fn.Network([fn.GRU(7, return_sequences=True), output], loss=loss, dtype="float64").build((t, 3))
    X, y = RNG.standard_normal((m, t, 3)), RNG.integers(0, n_classes, (m, t, *shape)).astype(float)
    weights = RNG.random(m)
    assert fn.check_gradients(net, X, y, at_most=30) < 1e-6
    states = fn.Network([fn.GRU(7, return_sequences=True), fn.Dense(7)], dtype="float64").build((t, 3))
    states.take_parameters(net, ["W1", "b1"])
    states.parameters["W2"][...] = np.eye(7)
    twin = fn.Network([output], loss=loss, dtype="float64").build(7)
    twin.parameters["W1"][...], twin.parameters["b1"][...] = net.parameters["W2"], net.parameters["b2"]
    of_steps, all_y = states.outputs(X).reshape(m * t, 7), y.reshape(m * t, *shape)
    found = net.evaluate(X, y, sample_weight=weights)
    expected = twin.evaluate(of_steps, all_y, sample_weight=np.repeat(weights, t))
    assert found == pytest.approx(expected, rel=1e-10)
    assert net.predict(X).shape == (m, t, *shape)
    twin.task = twin.task.learn(all_y)
    net.task = net.task.learn(y)
    np.testing.assert_allclose(net.predict(X).reshape(all_y.shape), twin.predict(of_steps), rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_on_any_number_of_threads(dtype):
    before, found = numba.get_num_threads(), []
    X, y = RNG.standard_normal((100, 9, 21)), RNG.integers(0, 4, (100, 9))
    layers = [fn.LSTM(40, return_sequences=True), fn.GRU(33, return_sequences=True), fn.Dense(4, "softmax")]
    for n_threads in [*range(1, numba.config.NUMBA_NUM_THREADS + 1), 1]:
        numba.set_num_threads(n_threads)
        net = fn.Network(layers, seed=5, dtype=dtype)
        net.fit(X, y, epochs=2, batch_size=48, optimizer=fn.Adam(clip_norm=1.0), verbose=False)
        found.append(net.buffer.tobytes() + net.outputs(X).tobytes())
    numba.set_num_threads(before)
    assert len(set(found)) == 1


def test_training_is_that_of_pytorch(torch):
    """With plain gradient descent and one bias: PyTorch has two that add up, and so goes twice as far with them."""
    X, y = RNG.standard_normal((40, 6, 3)), RNG.integers(0, 3, 40)
    net = fn.Network([fn.LSTM(7), fn.Dense(3, "softmax")], dtype="float64").build((6, 3))
    twin = fn.to_torch(net)
    twin[0].bias_hh_l0.requires_grad_(False)
    optimizer = torch.optim.SGD(twin.parameters(), 0.5)
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(twin[:-1](torch.tensor(X)), torch.tensor(y)).backward()
        optimizer.step()
    net.fit(X, y, epochs=20, batch_size=None, optimizer=fn.SGD(0.5), verbose=False)
    np.testing.assert_allclose(net.outputs(X), twin(torch.tensor(X)).detach().numpy(), atol=1e-10)


@pytest.mark.parametrize("layer", [fn.LSTM(16), fn.GRU(16), fn.Recurrent(16)], ids=repr)
def test_it_remembers_the_first_step(layer):
    X = RNG.standard_normal((400, 8, 1)).astype(np.float32)
    y = X[:, 0, 0] > 0
    net = fn.Network([layer, fn.Dense(1, "sigmoid")])
    net.fit(X[:300], y[:300], epochs=30, optimizer=fn.Adam(0.02), verbose=False)
    assert net.evaluate(X[300:], y[300:])["accuracy"] > 0.85


def test_bytes_files_copies_and_frozen_layers(tmp_path):
    X, y = RNG.integers(0, 256, (60, 6, 5), np.uint8), RNG.choice(["a", "b", "c"], (60, 6))
    layers = [fn.Rescale(1 / 255), fn.LSTM(7, return_sequences=True), fn.GRU(5, return_sequences=True, l2=1e-3)]
    net = fn.Network([*layers, fn.Dense(3, "softmax")], seed=1)
    net.fit(X, y, epochs=2, verbose=False)
    np.testing.assert_allclose(net.outputs(X), net.outputs(X.astype(np.float32)), atol=1e-6)
    net.save(tmp_path / "net.safetensors")
    for twin in (copy.deepcopy(net), net.copy(), fn.load(tmp_path / "net.safetensors")):
        assert twin.layers == net.layers
        np.testing.assert_array_equal(twin.outputs(X), net.outputs(X))
        np.testing.assert_array_equal(twin.predict(X), net.predict(X))
    assert net.predict(X).shape == y.shape
    assert net.predict_proba(X).shape == (60, 6, 3)
    net.freeze(2)
    before = net.parameters["W1"].copy(), net.parameters["W2"].copy()
    net.fit(X, y, epochs=1, verbose=False)
    np.testing.assert_array_equal(net.parameters["W1"], before[0])
    assert (net.parameters["W2"] != before[1]).any()


def test_first_weights():
    net = fn.Network([fn.LSTM(64), fn.Dense(1)]).build((3, 100))
    W, b = net.parameters["W1"], net.parameters["b1"]
    for of_state in np.split(W[:, :64], 4):
        np.testing.assert_allclose(of_state @ of_state.T, np.eye(64), atol=1e-5)
    assert W[:, 64:].std() == pytest.approx(0.1, rel=0.03)
    np.testing.assert_array_equal(b.reshape(4, 64), np.repeat([[0], [1], [0], [0]], 64, axis=1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fn.LSTM(0), "units=0 is below 1"),
        (lambda: fn.Recurrent(4, "sigmoid"), "nonlinearity='sigmoid' is not known"),
        (lambda: fn.GRU(4, bidirectional="yes"), "bidirectional='yes' is a str: give True or False"),
        (lambda: fn.GRU(4, return_sequences=1), "return_sequences=1 is a int: give True or False"),
        (lambda: fn.GRU(4, l2=-1), "l2=-1"),
        (lambda: fn.Network([fn.LSTM(4)]), "no output layer"),
        (
            lambda: fn.Network([fn.LSTM(4), fn.Dense(1)]).build(8),
            r"LSTM\(4\), does not fit: it takes sequences \(m, t, n",
        ),
        (
            lambda: fn.Network([fn.LSTM(4), fn.LSTM(4), fn.Dense(1)]).build((8, 2)),
            "return_sequences=True to a recurrent",
        ),
    ],
)
def test_settings_that_cannot_be(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_targets_that_do_not_fit():
    X, each_step = np.zeros((4, 5, 2)), fn.Network([fn.GRU(3, return_sequences=True), fn.Dense(2, "softmax")])
    for y in (np.zeros(4, int), np.zeros((4, 6), int), np.zeros((4, 1, 5, 2), int)):
        with pytest.raises(ValueError, match=r"this network answers at each step of a sequence, so give \(m, 5\) or"):
            each_step.fit(X, y, verbose=False)
    assert each_step.input_shape is None
    with pytest.raises(ValueError, match="y has shape"):
        fn.Network([fn.GRU(3), fn.Dense(2, "softmax")]).fit(X, np.zeros((4, 5), int), verbose=False)
    with pytest.raises(ValueError, match="class_weight is for one label a sample, and this network has one a step"):
        each_step.fit(X, np.arange(20).reshape(4, 5) % 2, class_weight="balanced", verbose=False)
    each_step.fit(X, np.arange(20).reshape(4, 5) % 2, epochs=1, verbose=False)
    for call in (each_step.fit, each_step.evaluate, each_step.partial_fit):
        with pytest.raises(ValueError, match=r"was built for samples of \(5, 2\)"):
            call(X[:, 1:], np.zeros((4, 4), int))
    assert each_step.build((3, 2)).predict(X[:, :3]).shape == (4, 3)


def test_the_table_shows_shapes_and_parameters():
    net = fn.Network([fn.LSTM(6, return_sequences=True), fn.Recurrent(4, l2=0.1), fn.Dense(2)]).build((10, 3))
    rows = str(net).splitlines()
    assert rows[3].split() == ["1", "LSTM", "(m,", "10,", "6)", "240", "2,160", "all", "steps"]
    assert rows[4].split() == ["2", "Recurrent", "(m,", "4)", "44", "400", "tanh,", "last", "step,", "l2", "0.1"]


NETWORKS = [
    [fn.Recurrent(5, "relu", return_sequences=True), fn.Recurrent(4), fn.Dense(3, "softmax")],
    [fn.LSTM(5, return_sequences=True, bidirectional=True), fn.GRU(4, bidirectional=True), fn.Dense(3, "softmax")],
    [fn.LSTM(5, return_sequences=True), fn.Dropout(0.1), fn.GRU(6, return_sequences=True), fn.Dense(3, "softmax")],
    [fn.Rescale(0.5), fn.GRU(5, return_sequences=True, trainable=False), fn.Flatten(), fn.LayerNorm(), fn.Dense(1)],
]


@pytest.mark.parametrize("layers", NETWORKS, ids=repr)
def test_to_torch_and_back(torch, layers):
    net, X = fn.Network(layers, dtype="float64").build((6, 3)), RNG.standard_normal((7, 6, 3))
    for name, array in net.parameters.items():
        if name[0] == "b":
            array[...] = RNG.standard_normal(array.shape)
    module = fn.to_torch(net)
    np.testing.assert_allclose(module(torch.tensor(X)).detach().numpy(), net.outputs(X), atol=1e-14)
    again = fn.from_torch(module, input_shape=(6, 3))
    assert again.layers == net.layers
    np.testing.assert_array_equal(again.outputs(X), net.outputs(X))


def test_modules_of_several_layers_and_without_biases(torch):
    from fastnet.exchange.torch_modules import States

    modules = [
        torch.nn.GRU(3, 5, num_layers=2, dropout=0.25, batch_first=True), States(True),
        torch.nn.RNN(5, 4, bias=False, nonlinearity="relu", batch_first=True), States(False), torch.nn.Linear(4, 2),
    ]  # fmt: skip
    module = torch.nn.Sequential(*modules).double().eval()
    net, X = fn.from_torch(module, input_shape=(6, 3)), RNG.standard_normal((7, 6, 3))
    sequences = {"return_sequences": True}
    assert net.layers == [
        fn.GRU(5, **sequences), fn.Dropout(0.25), fn.GRU(5, **sequences), fn.Recurrent(4, "relu"), fn.Dense(2),
    ]  # fmt: skip
    np.testing.assert_allclose(net.outputs(X), module(torch.tensor(X)).detach().numpy(), atol=1e-14)
    for refused, message in (
        (torch.nn.LSTM(3, 4), "batch_first=True is supported"),
        (torch.nn.LSTM(3, 4, batch_first=True, proj_size=2), "without proj_size"),
    ):
        with pytest.raises(ValueError, match=message):
            fn.from_torch(torch.nn.Sequential(refused, States(False), torch.nn.Linear(4, 2)), input_shape=(6, 3))
    both = fn.Network([fn.Conv1D(4, 3), fn.GRU(3), fn.Dense(1)]).build((6, 3))
    with pytest.raises(ValueError, match="networks of both cannot be taken there"):
        fn.to_torch(both)
    reshaped = fn.Network([fn.Dense(12), fn.Reshape((4, 3)), fn.GRU(3), fn.Dense(1)]).build(5)
    with pytest.raises(ValueError, match="Reshape beside recurrent layers"):
        fn.to_torch(reshaped)


def test_blocks_normalisations_and_pooling_of_sequences(torch):
    X, sequences = RNG.standard_normal((33, 6, 4)), {"return_sequences": True}
    for layers in (
        [fn.GRU(5, **sequences), fn.Residual([fn.GRU(6, **sequences), fn.LSTM(7, **sequences)], "tanh"), fn.GRU(4)],
        [fn.GRU(5, **sequences), fn.LayerNorm("tanh"), fn.Dense(6), fn.BatchNorm(), fn.LSTM(4)],
        [fn.LSTM(5, **sequences, bidirectional=True), fn.GlobalAveragePool1D()],
    ):
        net = fn.Network([*layers, fn.Dense(3, "softmax")], dtype="float64", seed=1).build((6, 4))
        assert fn.check_gradients(net, X, RNG.integers(0, 3, 33), at_most=20) < 1e-6
    net = fn.Network([fn.GRU(4, **sequences), fn.Residual([fn.GRU(4, **sequences)]), fn.LSTM(4), fn.Dense(3)], seed=1)
    net.build((6, 4))
    np.testing.assert_allclose(fn.to_torch(net)(torch.tensor(X).float()).detach().numpy(), net.outputs(X), atol=1e-6)
    for first in ([fn.Residual([fn.GRU(4)])], [fn.LayerNorm(), fn.GRU(4)]):  # which take samples themselves
        other = fn.Network([*first, fn.Dense(3)], seed=1).build((6, 4))
        found = fn.to_torch(other)(torch.tensor(X).float()).detach().numpy()
        np.testing.assert_allclose(found, other.outputs(X), atol=1e-6)
    with pytest.raises(ValueError, match="use LayerNorm"):
        fn.to_torch(fn.Network([fn.BatchNorm(), fn.GRU(4), fn.Dense(3)]).build((4, 4)))
    state = net.first_state(33)
    before = net.outputs(X[:, :4], state=state)
    np.testing.assert_allclose(net.outputs(X[:, 4:], state=state), net.outputs(X), rtol=1e-5)
    assert (before != net.outputs(X)).any()


@pytest.mark.parametrize("layers", NETWORKS, ids=repr)
def test_to_onnx(tmp_path, layers):
    onnxruntime = pytest.importorskip("onnxruntime")
    net, X = fn.Network(layers).build((6, 3)), RNG.standard_normal((7, 6, 3)).astype(np.float32)
    for name, array in net.parameters.items():
        if name[0] == "b":
            array[...] = RNG.standard_normal(array.shape)
    net.to_onnx(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    np.testing.assert_allclose(session.run(None, {"X": X})[0], net.outputs(X), atol=1e-5)


def test_predictions_of_long_sequences_take_little_memory():
    """Fewer samples at a time, which gives the same outputs."""
    net = fn.Network([fn.LSTM(64, return_sequences=True), fn.LSTM(64), fn.Dense(2)]).build((200, 4))
    rows = net._graph.rows_at_once
    assert 64 <= rows < 1000
    assert net.workspace_bytes(rows) < 4e8
    assert fn.Network([fn.Dense(100), fn.Dense(2)]).build(100)._graph.rows_at_once == 1024
    X = RNG.standard_normal((2 * rows + 3, 200, 4)).astype(np.float32)
    np.testing.assert_allclose(net.outputs(X)[-5:], net.outputs(X[-5:]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("is_saved", [False, True])
def test_a_stream_of_sequences_goes_on_after_an_interruption(tmp_path, is_saved):
    """With what it has seen of targets and outputs of each step, also in a file."""
    batches = [(RNG.standard_normal((9, 5, 2)), RNG.integers(0, 3, (9, 5))) for _ in range(4)]
    layers = [fn.GRU(4, return_sequences=True), fn.Dropout(0.2), fn.Dense(3, "softmax")]
    options = {"epochs": 2, "metrics": ["f1"], "optimizer": fn.Adam(), "verbose": False}
    whole, net = fn.Network(layers, seed=1), fn.Network(layers, seed=1)
    whole.fit(batches, **options)

    def interrupted():
        yield from batches[:3]
        raise KeyboardInterrupt

    class Once(list):
        calls = 0

        def __iter__(self):
            Once.calls += 1
            return interrupted() if Once.calls == 2 else super().__iter__()

    with pytest.raises(KeyboardInterrupt):
        net.fit(Once(batches), **options)
    if is_saved:
        net.save(tmp_path / "net.safetensors", training=True)
        net = fn.load(tmp_path / "net.safetensors")
    net.fit(batches, resume=True, **options)
    np.testing.assert_array_equal(net.buffer, whole.buffer)
    assert net.history["f1"] == whole.history["f1"]
    assert net.history["accuracy"] == whole.history["accuracy"]
