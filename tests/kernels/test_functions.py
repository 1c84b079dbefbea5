"""exp, tanh, log and log(1 + e) of our own: at most 2 units of the last place from exact values."""

import numpy as np
import pytest
from fastnet_kernels.cpu.codegen import vector_math
from numba import njit


@njit
def exps(x, y):
    for i in range(x.size):
        y[i] = vector_math.exp(x[i])


@njit
def tanhs(x, y):
    for i in range(x.size):
        y[i] = vector_math.tanh(x[i])


@njit
def logs(x, y):
    for i in range(x.size):
        y[i] = vector_math.log(x[i])


@njit
def logs1p(x, y):
    for i in range(x.size):
        y[i] = vector_math.log1p_of(x[i])


def of(kernel, x):
    y = np.empty_like(x)
    kernel(x, y)
    return y


def ulps(found, exact):
    """Differences in units of the last place of the exact value, which is of a wider dtype."""
    return np.abs(found.astype(exact.dtype) - exact) / np.spacing(np.abs(exact).astype(found.dtype)).astype(exact.dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kernel", "exact", "ranges"),
    [
        (exps, np.exp, [(-87, 88), (-1, 1), (-1e-3, 1e-3)]),
        (tanhs, np.tanh, [(-12, 12), (-1, 1), (0.1, 0.3), (0.39, 0.41), (0.6, 0.65), (-1e-3, 1e-3)]),
        (logs, np.log, [(1, 1.001), (1, 4), (1, 1e3), (1, 1e38)]),
        (logs1p, np.log1p, [(0, 1), (0, 1e-3)]),
    ],
)
def test_within_two_units_of_the_last_place(kernel, exact, ranges, dtype):
    wider = np.float64 if dtype == np.float32 else np.longdouble
    if np.finfo(wider).nmant < np.finfo(dtype).nmant + 10:
        pytest.skip("no wider floating numbers here to compare with")
    rng = np.random.default_rng(0)
    for low, high in ranges:
        x = np.concatenate([rng.uniform(low, high, 100_000), np.linspace(low, high, 100_001)]).astype(dtype)
        assert ulps(of(kernel, x), exact(x.astype(wider))).max() <= 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_the_ends(dtype):
    x = np.array([np.nan, -np.inf, np.inf, -1e4, 1e4, 0, -0.0, 1e-30], dtype)
    np.testing.assert_array_equal(of(exps, x), np.array([np.nan, 0, np.inf, 0, np.inf, 1, 1, 1], dtype))
    np.testing.assert_array_equal(of(tanhs, x), np.array([np.nan, -1, 1, -1, 1, 0, 0, 1e-30], dtype))
    e = np.array([np.nan, 0, 1, 1e-30], dtype)
    np.testing.assert_allclose(of(logs1p, e), np.array([np.nan, 0, np.log(2), 1e-30], dtype), rtol=1e-6)


def test_a_vector_and_a_single_number_agree():
    """The same bits wherever a number stands: in a vector of many, or left over at the end."""
    for kernel in (exps, tanhs, logs, logs1p):
        low, high = {logs: (1, 50), logs1p: (0, 1)}.get(kernel, (-3, 3))
        x = np.linspace(low, high, 33).astype(np.float32)
        alone = np.concatenate([of(kernel, x[i : i + 1]) for i in range(len(x))])
        np.testing.assert_array_equal(of(kernel, x), alone)
