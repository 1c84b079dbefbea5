"""Products by a matrix unit: the terms they are made of, and that they are as exact as others.

Shapes at the edges of its tiles are in `test_program_shapes`.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from fastnet_kernels.cpu.gemm import amx

import fastnet as fn

pytestmark = pytest.mark.skipif(not amx.may_be_used(), reason="there is no matrix unit, or no leave to use it")


def aligned(size):
    from fastnet.execution.layout import aligned_zeros

    return aligned_zeros(size, np.dtype("float32"))


def halves(terms):
    """The two bfloat16 numbers of each word."""
    bits = terms.view(np.uint32)
    return (bits << 16).view(np.float32), (bits & np.uint32(0xFFFF0000)).view(np.float32)


def split(numbers):
    """The three terms of 32 float32 numbers, as the kernels make them."""
    from fastnet_kernels.cpu.codegen.compiling import serial
    from fastnet_kernels.cpu.codegen.matrix import Rescale
    from fastnet_kernels.cpu.gemm.bf16x3 import bf16x3_pairs

    @serial
    def run(terms, source):
        bf16x3_pairs(terms, 0, source, 0, 16, None, None, Rescale(np.float32(1), np.float32(0)))

    terms = aligned(6 * amx.TILE_NUMBERS)
    run(terms, numbers)
    rows = terms.reshape(3, 2, 16, 16)[:, 0, 0]
    return np.concatenate(halves(rows), axis=1)


@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaPerformanceWarning")
def test_a_number_is_the_sum_of_its_three_terms():
    rng = np.random.default_rng(0)
    for _ in range(20):
        bits = rng.integers(0, 1 << 32, 32, np.uint32)
        numbers = bits.view(np.float32).copy()
        numbers[~np.isfinite(numbers) | (np.abs(numbers) < 1e-30) | (np.abs(numbers) > 3e38)] = 1 + 2**-23
        numbers[:4] = 0, 1 - 2**-24, 255.5 + 2**-15, -(1 + 2**-8)  # ties, and carries
        terms = split(numbers).astype(np.float64)
        np.testing.assert_array_equal(terms.sum(axis=0), numbers)
        assert (np.abs(terms[1]) <= np.abs(numbers) * 2**-8).all()
        assert (np.abs(terms[2]) <= np.abs(numbers) * 2**-17).all()


@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaPerformanceWarning")
@pytest.mark.parametrize("bits", [0x7F800000, 0xFF800000, 0x7FC00000, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001])
def test_what_is_not_finite_has_terms_that_are_not(bits):
    terms = split(np.full(32, bits, np.uint32).view(np.float32))
    assert np.isnan(terms.sum(axis=0)).all()


def test_last_rows_of_a_mini_batch_in_any_order():
    """The last mini-batch of a shuffled epoch is smaller: samples are read where they lie, up to the last number."""
    rng = np.random.default_rng(0)
    for n in (65, 79, 100):
        X, y = rng.standard_normal((197, n)).astype(np.float32), rng.integers(0, 3, 197)
        layers = [fn.Dense(64, "relu"), fn.Dense(3, "softmax")]
        net = fn.Network(layers, seed=1).build(n)
        twin = net.copy()
        twin.device.has_amx = False
        for network in (net, twin):
            network.fit(X, y, epochs=3, batch_size=96, optimizer=fn.SGD(0.1), verbose=False)
        np.testing.assert_allclose(net.buffer, twin.buffer, atol=3e-6)
        np.testing.assert_allclose(net.predict_proba(X), twin.predict_proba(X), atol=3e-6)


@pytest.mark.parametrize("optimizer", [fn.SGD(0.05, momentum=0.9), fn.Adam(0.001, clip_norm=1.0)], ids=repr)
def test_other_optimizers(optimizer):
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((300, 90)).astype(np.float32), rng.integers(0, 3, 300)
    layers = [fn.Dense(90, "tanh", l2=0.01), fn.BatchNorm(), fn.Dense(77, "tanh"), fn.Dense(3, "softmax")]
    net = fn.Network(layers, seed=1).build(90)
    twin = net.copy()
    twin.device.has_amx = False
    costs = [
        network.fit(X, y, epochs=4, batch_size=100, optimizer=optimizer, verbose=False)["cost"]
        for network in (net, twin)
    ]
    np.testing.assert_allclose(*costs, rtol=2e-5)


def test_same_bits_on_any_threads(monkeypatch):
    import numba

    from fastnet.execution.cpu.threads import Share

    monkeypatch.setattr(Share, "threads", lambda self, count: count())
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((700, 1100)).astype(np.float32), rng.integers(0, 3, 700)
    found, before = [], numba.get_num_threads()
    for n_threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        numba.set_num_threads(n_threads)
        net = fn.Network([fn.Dense(1030, "relu"), fn.Dense(65, "relu"), fn.Dense(3, "softmax")], seed=5)
        net.fit(X, y, epochs=2, batch_size=333, optimizer=fn.SGD(0.01), verbose=False)
        found.append((net.buffer, net.predict_proba(X)))
    numba.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_errors_are_not_larger_than_those_of_vectors():
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((512, 784)).astype(np.float32), rng.integers(0, 3, 512)
    exact = fn.Network([fn.Dense(256, "relu"), fn.Dense(256, "relu"), fn.Dense(3, "softmax")], dtype="float64", seed=1)
    exact.build(784)
    net = fn.Network(exact.layers, seed=1).build(784)
    for name, array in exact.parameters.items():
        net.parameters[name][:] = array
        array[:] = net.parameters[name]
    twin = net.copy()
    twin.device.has_amx = False
    wanted, by_unit, by_vectors = (network.gradients(X, y) for network in (exact, net, twin))
    for name in ("W1", "W2"):
        errors = [np.sqrt(np.mean((found[name] - wanted[name]) ** 2)) for found in (by_unit, by_vectors)]
        assert errors[0] <= 1.1 * errors[1], (name, errors)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_noticed(wrong):
    net = fn.Network([fn.Dense(64, "relu"), fn.Dense(3, "softmax")]).build(100)
    X = np.zeros((130, 100), np.float32)
    net.predict(X)
    X[77, 99] = wrong
    with pytest.raises(ValueError, match=r"X\[77\]|NaN|infinite"):
        net.predict(X)


def test_the_environment_can_say_no():
    code = "from fastnet_kernels.cpu.gemm.amx import may_be_used; print(may_be_used())"
    for value, expected in (("0", "False"), ("1", "True")):
        environment = {**os.environ, "FASTNET_MATRIX_UNIT": value}
        result = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert result.stdout.strip() == expected


def test_float64_is_not_for_the_unit():
    net = fn.Network([fn.Dense(128, "relu"), fn.Dense(3)], dtype="float64").build(64)
    assert not any(net.strategy(64).uses_amx)
    net, narrow = (fn.Network([fn.Dense(128, "relu"), fn.Dense(3)]).build(n) for n in (64, 63))
    assert net.strategy(64).uses_amx == (True, False)
    assert net.strategy(63).uses_amx == narrow.strategy(64).uses_amx == (False, False)
