"""The program's panels, blocks and pieces: shapes at and beside every boundary, against the reference formulas."""

import copy

import numpy as np
import pytest
from fastnet_kernels.cpu.gemm.amx import may_be_used
from truth import Truth

import fastnet as fn


def check(layers, m, n, dtype, *, as_bytes=False, on_unit=None):
    rng = np.random.default_rng(m * 1000 + n)
    X = rng.integers(0, 256, (m, n), dtype=np.uint8) if as_bytes else rng.standard_normal((m, n)).astype(dtype)
    net = fn.Network(layers, dtype=dtype, seed=1).build(n)
    if on_unit is not None:
        net.device.has_amx = on_unit
        assert any(net.strategy(m).uses_amx) == on_unit
    y = rng.standard_normal((m, layers[-1].units)) if net.loss == "squared_error" else rng.integers(0, 2, m)
    cost, expected = Truth(net).gradients(X, y)
    tolerance = 3e-5 if dtype == "float32" else 1e-11
    assert net.evaluate(X, y)["cost"] == pytest.approx(cost, rel=tolerance)
    for name, gradient in net.gradients(X, y).items():
        scale = np.abs(expected[name]).max() + 1e-30
        np.testing.assert_allclose(gradient / scale, expected[name] / scale, atol=tolerance, err_msg=name)
    # One step of training changes the parameters by just these gradients.
    before = {name: array.copy() for name, array in net.parameters.items()}
    net.fit(X, y, epochs=1, batch_size=None, optimizer=fn.SGD(0.5), verbose=False)
    for name, array in net.parameters.items():
        np.testing.assert_allclose(before[name] - array, 0.5 * expected[name], atol=tolerance, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 7, 8, 15, 16, 17, 31, 32, 33, 100, 1024, 1025, 2100])
def test_mini_batches_of_any_size(m, dtype, threads):
    check([fn.Dense(20, "tanh"), fn.Dense(10, "softmax")], m, 37, dtype)
    check([fn.Dense(1, "sigmoid")], m, 37, dtype)


@pytest.mark.parametrize("m", [300, 512, 1100])
def test_blocks_of_many_samples(m):
    """Their losses are made some samples at a time."""
    layers = [fn.Dense(4, "tanh"), fn.Dense(3, "softmax")]
    assert fn.Network(layers).build(2).strategy(m).block_rows > 128
    check(layers, m, 2, "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 31, 32, 33, 127, 128, 129, 255, 257, 512, 1023, 1024, 2048, 3000])
def test_any_number_of_features(n, dtype):
    check([fn.Dense(3, "relu"), fn.Dense(2)], 40, n, dtype)
    check([fn.Dense(1, "sigmoid")], 41, n, dtype)
    check([fn.Dense(3, "tanh"), fn.Dense(2)], 5, n, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [1, 2, 3, 5, 7, 11, 13, 14, 15, 27, 29, 100, 128, 513, 1024, 1100])
def test_any_number_of_units(units, dtype):
    check([fn.Dense(units, "tanh"), fn.Dense(units, "sigmoid"), fn.Dense(2)], 50, 10, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [17, 33, 36, 100, 129])
def test_a_few_units_more_than_vectors_hold(units, dtype, threads):
    """Their dW in the layer after them are dot products, from rows that are kept of all samples."""
    check([fn.Dense(units, "tanh"), fn.Dense(units, "relu"), fn.Dense(2)], 300, 10, dtype)
    check([fn.Dense(units, "tanh"), fn.Dense(3, "softmax")], 1100, 10, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("as_bytes", [False, True], ids=["numbers", "bytes"])
@pytest.mark.parametrize("m", [17, 20, 33, 50, 129, 226])
def test_a_few_samples_more_than_vectors_hold(m, as_bytes, dtype, threads):
    """They go through the larger layers one by one; the units of the smallest layer are too few for that."""
    layers = [fn.Dense(70, "tanh"), fn.Dense(66, "sigmoid"), fn.Dense(65, "relu"), fn.Dense(2)]
    check([*[fn.Rescale(2 / 255, -1)] * as_bytes, *layers], m, 67, dtype, as_bytes=as_bytes)


def test_a_few_samples_of_layers_with_packed_weights_and_normalisations():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((33, 9)), rng.integers(0, 3, 33)
    for layers in (
        [fn.Dense(600, "tanh"), fn.Dense(500, "tanh"), fn.Dense(3, "softmax")],
        [fn.Dense(70), fn.BatchNorm("tanh"), fn.Dense(66), fn.LayerNorm("tanh"), fn.Dense(65), fn.Dense(3, "softmax")],
        [fn.Dense(70, "tanh"), fn.Dropout(0.3), fn.Dense(66, "tanh"), fn.Dense(3, "softmax")],
    ):  # fmt: skip
        net = fn.Network(layers, dtype="float64").build(9)
        assert fn.check_gradients(net, X, y, at_most=10) < 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("vectors", [2, pytest.param(6, marks=pytest.mark.slow), 10])
def test_blocks_of_one_vector(vectors, dtype, threads):
    """Small mini-batches of larger networks, with a W that is packed in the higher tiles of such blocks."""
    layers = [fn.Dense(512, "tanh"), fn.Dense(517, "relu"), fn.Dense(3, "softmax")]
    net = fn.Network(layers, dtype=dtype).build(70)
    lanes = net.device.panel // 2
    for missing in (0, 1, lanes // 2):
        strategy = net.strategy(vectors * lanes - missing)
        assert strategy.block_rows == lanes
        assert strategy.packs_w == (False, True, False)
        check(layers, vectors * lanes - missing, 70, dtype)


def test_gradients_from_a_few_units_of_a_frozen_layer():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 8)), rng.integers(0, 3, 300)
    net = fn.Network([fn.Dense(33, "tanh"), fn.Dense(34, "relu"), fn.Dense(3, "softmax")], dtype="float64").build(8)
    expected = net.gradients(X, y)
    found = net.freeze(1).gradients(X, y)
    assert sorted(found) == ["W2", "W3", "b2", "b3"]
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [1, 3, 15, 16, 17, 43, 160, 161, 970])
def test_few_samples(n, m, dtype):
    for units in (1, 2, 8, 9, 30):
        check([fn.Dense(units, "tanh"), fn.Dense(3, "softmax")], m, n, dtype)
    check([fn.Dense(3, "softmax")], m, n, dtype)
    check([fn.Dense(2)], m, n, dtype)
    check([fn.Dense(1, "sigmoid")], m, n, dtype)


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("units", [1, 30])
@pytest.mark.parametrize("batch_size", [1, 2, 20])
def test_samples_are_found_in_any_order(batch_size, units, as_bytes):
    """Few samples are read where they lie, or copied first; many go into panels."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((43, 50)), rng.integers(0, 3, 43)
    layers = [fn.Dense(units, "tanh"), fn.Dense(3, "softmax")]
    if as_bytes:
        X, layers = (X * 40 + 100).clip(0, 255).astype(np.uint8), [fn.Rescale(1 / 255), *layers]
    net, twin = (fn.Network(layers, seed=3).build(50) for _ in range(2))
    order = copy.deepcopy(net.rng).permutation(43)
    net.fit(X, y, epochs=1, batch_size=batch_size, optimizer=fn.SGD(0.1), verbose=False)
    twin.fit(X[order], y[order], epochs=1, batch_size=batch_size, shuffle=False, optimizer=fn.SGD(0.1), verbose=False)
    np.testing.assert_array_equal(net.buffer, twin.buffer)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 9, 40])
@pytest.mark.parametrize("n", [3, 16, 50, 130])
def test_bytes_with_scale_and_shift(m, n, dtype):
    rescale = fn.Rescale(1 / 100, -0.7)
    check([rescale, fn.Dense(6, "tanh"), fn.Dense(2)], m, n, dtype, as_bytes=True)
    check([rescale, fn.Dense(1, "sigmoid")], m, n, dtype, as_bytes=True)
    check([rescale, fn.Dense(6, "tanh"), fn.Dense(2)], m, n, dtype)


def test_what_another_sample_holds_does_not_leak():
    """A narrow piece of W is computed beside numbers of other samples: even infinite ones may not show."""
    X = np.ones((33, 5), np.float32)
    net = fn.Network([fn.Dense(3, "relu"), fn.Dense(1)], seed=2).build(5)
    expected = net.gradients(X, np.zeros(33))
    larger = np.concatenate([X, np.full((33, 5), 1e38, np.float32)])
    found = net.gradients(larger[:33], np.zeros(33))
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_rows_of_a_weight_matrix_may_lie_apart():
    """Widths whose rows would compete for the cache are laid out with a gap, which nobody sees."""
    net = fn.Network([fn.Dense(512, "relu"), fn.Dense(3, "softmax")]).build(2048)
    for name, shape in (("W1", (512, 2048)), ("W2", (3, 512))):
        parameter = net.parameters[name]
        assert parameter.shape == shape
        assert parameter.strides[0] % 2048 != 0
        parameter[...] = np.arange(parameter.size, dtype=np.float32).reshape(shape) * 1e-9
    assert "1,050,627 parameters" in net.summary()
    assert net.copy().parameters["W1"].tobytes() == net.parameters["W1"].tobytes()


# What a matrix unit multiplies is 64 and more of everything; the same shapes go by vectors too.
EDGES = [64, 65, 79, 80, 81, 95, 96, 97, 127, 128, 129, 511, 513, 1100]
WAYS = [False, pytest.param(True, marks=pytest.mark.skipif(not may_be_used(), reason="no matrix unit"))]


@pytest.mark.parametrize("on_unit", WAYS)
@pytest.mark.parametrize("m", [*EDGES, 2100])
def test_larger_mini_batches_on_a_matrix_unit(m, on_unit, threads):
    check([fn.Dense(70, "tanh"), fn.Dense(66, "sigmoid"), fn.Dense(3, "softmax")], m, 100, "float32", on_unit=on_unit)


@pytest.mark.parametrize("on_unit", WAYS)
@pytest.mark.parametrize("n", [*EDGES, 3000])
@pytest.mark.parametrize("as_bytes", [False, True], ids=["numbers", "bytes"])
def test_features_on_a_matrix_unit(n, as_bytes, on_unit):
    rescale = [fn.Rescale(1 / 100, -0.7)] if as_bytes else []
    check([*rescale, fn.Dense(65, "tanh"), fn.Dense(2)], 72, n, "float32", as_bytes=as_bytes, on_unit=on_unit)


@pytest.mark.parametrize("on_unit", WAYS)
@pytest.mark.parametrize("units", EDGES)
def test_units_on_a_matrix_unit(units, on_unit, threads):
    check([fn.Dense(units, "tanh"), fn.Dense(units, "tanh"), fn.Dense(2)], 90, 65, "float32", on_unit=on_unit)
