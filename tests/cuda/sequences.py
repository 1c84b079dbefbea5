"""Networks for sequences on a GPU against the same on the CPU. `test_cuda.py` runs this file in a process of its own.

In Numba's simulator a few steps of tiny networks take seconds; on a GPU the same tests run, and larger ones.
"""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from fastnet_kernels import codes

import fastnet as fn
from fastnet.execution.cuda.plan import Parts
from fastnet.execution.cuda.recurrent import kept_numbers
from fastnet.layers.stack import nodes_of

IS_SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1"
on_gpu = pytest.mark.skipif(IS_SIMULATED, reason="too large for the simulator")
needs_simulator = pytest.mark.skipif(not IS_SIMULATED, reason="it looks into GPU code")
Dense = fn.Dense
BOTH, ALL = {"bidirectional": True}, {"return_sequences": True}

# Layers, optimizer, samples, shape of one, mini-batch. Some have more units, or samples, than a tile has.
NETWORKS = {
    "plain units": ([fn.Recurrent(9, "relu"), Dense(3, "softmax")], fn.SGD(0.1), 9, (3, 2), 9),
    "LSTM": ([fn.LSTM(3), Dense(1)], fn.Adam(0.01), 5, (4, 2), 3),
    "GRU": ([fn.GRU(3), Dense(3, "softmax")], fn.SGD(0.1, momentum=0.9), 5, (4, 2), 3),
    "both directions": (
        [fn.GRU(2, **ALL, **BOTH), fn.LSTM(2, **ALL, **BOTH), fn.Recurrent(2, **BOTH), Dense(1, "sigmoid")],
        fn.SGD(0.1), 3, (3, 2), 3,
    ),
    "an output at each step": ([fn.LSTM(3, **ALL), Dense(4, "gelu"), Dense(2)], fn.SGD(0.1), 4, (3, 2), 3),
    "a class at each step": ([fn.Recurrent(3, **ALL), Dense(3, "softmax")], fn.Adam(0.01), 4, (3, 2), 3),
    "penalties and a clipped norm": (
        [fn.LSTM(3, **ALL, l2=0.1), fn.Dropout(0.3), fn.GRU(2, l1=0.05), Dense(1)],
        fn.SGD(0.1, clip_norm=0.1), 4, (3, 2), 4,
    ),
    "truncated": (
        [fn.LSTM(2, **ALL, truncate=2), fn.GRU(2, **ALL, **BOTH, truncate=2), fn.Recurrent(2, truncate=3), Dense(1)],
        fn.SGD(0.1), 3, (5, 1), 3,
    ),
    "steps left out": (
        [
            fn.Rescale(2), fn.Masking(0), fn.LSTM(2, **ALL, **BOTH), fn.GRU(2, **ALL), fn.Recurrent(2, truncate=2),
            Dense(1),
        ],
        fn.SGD(0.1), 4, (4, 2), 4,
    ),
    "symbols": ([fn.Embedding(5, 3, l2=0.1), fn.GRU(3, **ALL), Dense(5, "softmax")], fn.Adam(0.01), 5, (3,), 3),
    "symbols left out": (
        [fn.Masking(0), fn.Embedding(4, 2), fn.LSTM(2), Dense(1, "sigmoid")], fn.SGD(0.1, momentum=0.9), 4, (4,), 4,
    ),
    "convolutions and normalisations": (
        [
            Dense(8, "tanh"), fn.Reshape((4, 2)), fn.LSTM(3, **ALL), fn.BatchNorm("relu"),
            fn.Residual([fn.GRU(3, **ALL)]), fn.LayerNorm(), fn.Conv1D(2, 2), fn.Flatten(), Dense(1),
        ],
        fn.SGD(0.1), 4, (3,), 4,
    ),
    "frozen": (
        [
            fn.Embedding(5, 2, trainable=False), fn.GRU(2, **ALL, trainable=False), fn.LSTM(2, **ALL),
            fn.GRU(2, trainable=False), Dense(1),
        ],
        fn.SGD(0.1), 4, (3,), 4,
    ),
}  # fmt: skip


def data(layers, m, shape):
    """Samples, symbols for an Embedding, with steps of 0 where some are left out; and targets, a step or a sample."""
    rng, last = np.random.default_rng(3), layers[-1]
    embeddings = [layer for layer in layers if isinstance(layer, fn.Embedding)]
    X = rng.standard_normal((m, *shape))
    if embeddings:
        X = rng.integers(0, embeddings[0].vocabulary, (m, *shape), np.uint8)
    if any(isinstance(layer, fn.Masking) for layer in layers):
        X[rng.random((m, shape[0])) < 0.4] = 0
        X[0] = 0
    has_steps = isinstance(nodes_of(layers, shape)[-1].output_shape, fn.layers.Steps)
    extents = (m, shape[0]) if has_steps else (m,)
    if last.activation in ("sigmoid", "softmax"):
        return X, np.resize(np.arange(max(2, last.units)), extents)
    return X, rng.standard_normal((*extents, last.units))


def two(layers, **options):
    """The same network on the CPU and on the GPU."""
    return [fn.Network(layers, device=device, **options) for device in ("cpu", "cuda")]


def tolerance(dtype):
    return {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-12}


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float64") for name in NETWORKS), ("LSTM", "float32"), ("symbols", "float32")]
)
def test_training_is_that_of_the_cpu(name, dtype):
    layers, optimizer, m, shape, batch_size = NETWORKS[name]
    X, y = data(layers, m, shape)
    weights, found = np.linspace(0.5, 2, m), []
    for net in two(layers, dtype=dtype, seed=1):
        options = {"epochs": 2, "batch_size": batch_size, "optimizer": optimizer, "sample_weight": weights}
        history = net.fit(X, y, **options, verbose=False)
        gradients = net.gradients(X, y)
        found.append([history["cost"], net.buffer, list(net.evaluate(X, y).values()), net.outputs(X)])
        found[-1] += [gradients[key] for key in sorted(gradients)]
    for on_cpu, on_gpu in zip(*found, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, **tolerance(dtype))
    assert net.device._grids.keys() >= {Parts(convolutions=name.startswith("convolutions"), sequences=True)}


@pytest.mark.parametrize("capacity", [1 << 40, 1], ids=["at once", "in parts"])
def test_predictions_go_on_from_states(capacity, monkeypatch):
    layers = [fn.LSTM(3, **ALL), fn.GRU(2, **ALL), fn.Recurrent(2), Dense(1)]
    X, found = np.random.default_rng(0).standard_normal((5, 4, 2)), []
    monkeypatch.setattr("fastnet.execution.graph._LEAST_ROWS", 2)  # samples of a mini-batch
    monkeypatch.setattr("fastnet.execution.graph._NUMBERS_AT_ONCE", 1)
    for net in two(layers, dtype="float64", seed=1):
        if net.device.name == "cuda":
            monkeypatch.setattr(type(net.device), "_capacity", lambda _: capacity)
        state = net.build((4, 2)).first_state(5)
        found.append([net.predict(X[:, :1], state=state), state.copy(), net.predict(X[:, 1:], state=state), state])
        np.testing.assert_allclose(found[-1][2], net.predict(X), rtol=1e-12)
    for on_cpu, on_gpu in zip(*found, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-12, atol=1e-14)


def test_states_where_an_output_is_not_finite(monkeypatch):
    """A run ends there, and goes on behind it: each state takes each step once."""
    monkeypatch.setattr("fastnet.execution.graph._LEAST_ROWS", 2)
    monkeypatch.setattr("fastnet.execution.graph._NUMBERS_AT_ONCE", 1)
    X, found = np.arange(6.0).reshape(6, 1, 1), []
    X[2] = 1e300
    for net in two([fn.Recurrent(1, "relu"), Dense(1)], dtype="float64"):
        net.build((1, 1))
        for name, number in (("W1", 0.5), ("W2", 1e20)):
            net.parameters[name][:] = number
        state = net.first_state(6)
        found.append([net.outputs(X, state=state), net.outputs(X, state=state), state])
    assert np.isinf(found[0][0][2])
    for on_cpu, on_gpu in zip(*found, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-12)


def test_the_same_symbols_are_written():
    layers = [fn.Embedding(4, 3), fn.GRU(3), Dense(4, "softmax")]
    X, y = np.random.default_rng(0).integers(0, 4, (6, 3)), np.arange(6) % 4
    found = []
    for net in two(layers, dtype="float64"):
        net.fit(X, y, epochs=1, batch_size=6, verbose=False)
        found.append([net.generate(start, 4, temperature=t, seed=1).tolist() for start, t in (([0, 1], 1), (X[:3], 0))])
    assert found[0] == found[1]


def test_padding_does_not_change_a_bit():
    X, y = np.random.default_rng(0).standard_normal((3, 2, 2)), np.arange(3.0)
    padded = np.concatenate([X, np.zeros((3, 2, 2))], axis=1)
    found = []
    for samples in (X, padded):
        net = fn.Network([fn.Masking(0), fn.LSTM(3, **BOTH), Dense(1)], device="cuda", seed=1).build(samples.shape[1:])
        found.append([net.predict(samples), net.predict(X), net.gradients(samples, y)["W1"]])
    for of_short, of_padded in zip(*found, strict=True):
        np.testing.assert_allclose(of_padded, of_short, rtol=1e-5, atol=1e-7)
    assert found[0][0].tobytes() == found[1][0].tobytes() == found[1][1].tobytes()


def test_the_same_bits_on_any_grid():
    layers, _, m, shape, batch_size = NETWORKS["symbols"]
    X, y = data(layers, m, shape)
    found = []
    for blocks in (1, 3):
        net = fn.Network(layers, device="cuda", seed=2)
        net.device._grids[Parts(sequences=True)] = blocks
        net.fit(X, y, epochs=1, batch_size=batch_size, optimizer=fn.Adam(0.01, clip_norm=0.5), verbose=False)
        found.append(net.buffer.tobytes())
    assert found[0] == found[1]


def test_other_networks_have_the_program_without_sequences():
    net = fn.Network([fn.Conv1D(2, 1), Dense(1)], device="cuda").build((3, 2))
    net.predict(np.ones((1, 3, 2)))
    assert net.device._grids.keys() == {Parts()}  # a convolution of single steps is a product as others are


@needs_simulator
@pytest.mark.parametrize("kind", [fn.Recurrent, fn.LSTM, fn.GRU])
@pytest.mark.parametrize("settings", [{}, {**ALL, **BOTH}])
def test_kept_numbers_are_as_many_as_there_is_memory_for(kind, settings):
    from fastnet_kernels.cuda.codegen.compiling import cuda
    from fastnet_kernels.cuda.layers.recurrent.memory import extents_of, memory_of

    node = nodes_of([kind(3, **settings), Dense(1)], (4, 2))[0]
    layers = np.zeros((1, codes.LAYER_COLUMNS), np.int64)
    node.describe(layers[0], np.zeros(codes.SETTINGS_COLUMNS))
    job, end = SimpleNamespace(layers=layers, m=5), np.zeros(1, np.int64)

    @cuda.jit
    def find(end):
        end[0] = memory_of(job, 0, extents_of(job, 0)).end

    find[1, 1](end)
    assert end[0] == 5 * kept_numbers(node)


@on_gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [fn.Recurrent, fn.LSTM, fn.GRU])
def test_many_units_on_the_gpu(kind, dtype):
    layers = [fn.Embedding(50, 33), kind(130, **ALL, **BOTH), kind(64, **ALL), Dense(50, "softmax")]
    X = np.random.default_rng(0).integers(0, 50, (300, 40))
    found = []
    for net in two(layers, dtype=dtype):
        net.fit(X, (X + 1) % 50, epochs=2, batch_size=100, optimizer=fn.SGD(0.1), verbose=False)
        found.append(net.buffer)
    np.testing.assert_allclose(found[1], found[0], atol=1e-5 if dtype == "float32" else 1e-12)


@on_gpu
def test_two_runs_on_the_gpu_give_the_same_bits():
    X, found = np.random.default_rng(0).standard_normal((300, 30, 20)), []
    for _ in range(2):
        net = fn.Network([fn.LSTM(100, **ALL), fn.GRU(70), Dense(1)], device="cuda")
        net.fit(X, X[:, :, 0].sum(axis=1), epochs=2, batch_size=64, optimizer=fn.Adam(), verbose=False)
        found.append(net.buffer.tobytes())
    assert found[0] == found[1]
