"""Every kernel against the reference, on odd shapes, both dtypes and arrays of any strides.

The backend is that of the CPU, unless FASTNET_TEST_BACKEND says cuda: tests/cuda runs this file once more for it, on a
GPU or in Numba's simulator, which is slow and gets small shapes.
"""

import importlib
import math
import os

import numpy as np
import pytest
from fastnet_kernels import reference

BACKEND = os.environ.get("FASTNET_TEST_BACKEND", "cpu")
IS_SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1"
backend = importlib.import_module(f"fastnet_kernels.{BACKEND}")
on_cpu = pytest.mark.skipif(BACKEND != "cpu", reason="about the kernels of the CPU")


def small(cases, size=lambda case: max(case)):
    """Of parameters, those that the simulator does in a moment."""
    return [case for case in cases if size(case) <= 33] if IS_SIMULATED else cases


SHAPES = small([(1, 1), (1, 17), (15, 1), (33, 15), (17, 33), (64, 64), (100, 257)])


def tolerance(dtype):
    return {"rtol": 2e-5, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}


def contiguous(array):
    return array


def every_second(array):
    """The same numbers in every second row and column of a larger array."""
    larger = np.full([2 * extent for extent in array.shape], np.nan, array.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


RARER = ["softplus", "silu", "gelu", "hard_silu"]  # whose derivatives need Z
ACTIVATIONS = ["linear", "sigmoid", "tanh", "relu", "softmax", *RARER, "hard_sigmoid"]


def laid_out(shapes):
    """Each shape without gaps in both dtypes, and in every other layout in one of them.

    Along an extent of 1 strides say nothing.
    """
    cases = [pytest.param(shape, contiguous, dtype) for shape in shapes for dtype in (np.float32, np.float64)]
    for layout, dtype in ((every_second, np.float64), (np.asfortranarray, np.float32)) if BACKEND == "cpu" else ():
        cases += [pytest.param(shape, layout, dtype) for shape in shapes if 1 not in shape]
    return cases


@pytest.fixture(params=[np.float32, np.float64])
def dtype(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def compare(name, inputs, outputs, dtype, layout=contiguous):
    """Run kernel `name` of both backends on the same inputs; every output must agree, and no input may change."""
    expected = [np.full(shape, np.nan, dtype) for shape in outputs]
    found = [layout(np.full(shape, np.nan, dtype)) for shape in outputs]
    given = [layout(value) if isinstance(value, np.ndarray) else value for value in inputs]
    getattr(reference, name)(*inputs, *expected)
    getattr(backend, name)(*given, *found)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, **tolerance(dtype))
    for a, b in zip(given, inputs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_both_rooms_have_the_same_names():
    assert backend.__all__ == reference.__all__
    for name in reference.__all__:
        function = getattr(backend, name)
        arguments = getattr(function, "py_func", function).__code__
        expected = getattr(reference, name).__code__
        count = expected.co_argcount
        assert arguments.co_varnames[: arguments.co_argcount] == expected.co_varnames[:count]
        assert getattr(backend, name).__doc__


@pytest.mark.parametrize(
    ("name", "shape", "layout", "dtype"),
    [pytest.param(name, *case.values, marks=case.marks) for name in ACTIVATIONS for case in laid_out(SHAPES)],
)
def test_activation(name, shape, layout, dtype, rng):
    compare(name, [(rng.standard_normal(shape) * 5).astype(dtype)], [shape], dtype, layout)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_elu(shape, alpha, dtype, rng):
    Z = rng.standard_normal(shape).astype(dtype)
    compare("elu", [Z, alpha], [shape], dtype)
    compare("elu_backward", [rng.standard_normal(shape).astype(dtype), Z, alpha], [shape], dtype)


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_leaky_relu(shape, slope, dtype, rng):
    Z = rng.standard_normal(shape).astype(dtype)
    compare("leaky_relu", [Z, slope], [shape], dtype)
    compare("leaky_relu_backward", [rng.standard_normal(shape).astype(dtype), Z, slope], [shape], dtype)


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(SHAPES))
@pytest.mark.parametrize("name", RARER)
def test_activation_backward_by_logits(name, shape, layout, dtype, rng):
    Z = (rng.standard_normal(shape) * 3).astype(dtype)
    compare(f"{name}_backward", [rng.standard_normal(shape).astype(dtype), Z], [shape], dtype, layout)


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(SHAPES))
@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "hard_sigmoid"])
def test_activation_backward(name, shape, layout, dtype, rng):
    A = np.empty(shape, dtype)
    getattr(reference, name)(rng.standard_normal(shape).astype(dtype), A)
    compare(f"{name}_backward", [rng.standard_normal(shape).astype(dtype), A], [shape], dtype, layout)


def slopes(z):
    """Derivatives at float64 numbers by name, and how large the terms are that each is the sum of."""
    small, far = np.exp(-np.abs(z)), 1 / (1 + np.exp(np.abs(z)))
    sigmoid, rest = np.where(z > 0, 1 - far, far), np.where(z > 0, far, 1 - far)
    normal = np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in z])
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return {
        "relu": (z > 0, 1),
        "leaky_relu": (np.where(z > 0, 1, 0.01), 1),
        "elu": (np.where(z > 0, 1, 0.7 * small), np.where(z > 0, 1, 0.7 * small)),
        "softplus": (sigmoid, sigmoid),
        "silu": (sigmoid * (1 + z * rest), sigmoid * (1 + np.abs(z) * rest)),
        "gelu": (normal + z * density, normal + np.abs(z) * density),
        "hard_sigmoid": (np.where(np.abs(z) < 3, 1 / 6, 0), 1),
        "hard_silu": (np.where(z >= 3, 1, np.where(z <= -3, 0, z / 3 + 0.5)), 1 + np.abs(z) / 3),
        # Made of A, which float32 rounds to 1: by design they are exact only where A is not near that.
        "sigmoid": (sigmoid * rest, np.where(z < 0, sigmoid, 1)),
        "tanh": (1 / np.cosh(z) ** 2, 1),
    }


@pytest.mark.parametrize("name", slopes(np.ones(1)))
def test_derivatives_are_exact_far_from_zero(name, dtype):
    """Each of them is right to a few units of its terms, which have one sign far from 0, down to 1e-30."""
    Z = np.linspace(-100, 100, 401 if IS_SIMULATED else 20_001).astype(dtype)[:, None]
    setting = {"leaky_relu": (0.01,), "elu": (0.7,)}.get(name, ())
    given = Z
    if name not in (*RARER, "elu"):
        given = np.empty_like(Z)
        getattr(backend, name)(Z, *setting, given)
    dZ = np.empty_like(Z)
    getattr(backend, f"{name}_backward")(np.ones_like(Z), given, *setting, dZ)
    exact, terms = np.broadcast_arrays(*slopes(Z[:, 0].astype(np.float64))[name])
    counts = (np.abs(exact) >= 1e-30) & (np.abs(np.abs(Z[:, 0]) - 3) > 1e-3)  # where lines meet, rounding decides
    # Squares of z up to 69 are exponents of gelu's density: their rounding is as much of the result.
    assert (np.abs(dZ[:, 0] - exact)[counts] / terms[counts]).max() <= 100 * np.finfo(dtype).eps


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_of_huge_numbers_and_nan(name, dtype):
    Z = np.array([[1e4, -1e4, 0.0], [30.0, -30.0, 700.0], [np.nan, np.nan, np.nan]], dtype)
    compare(name, [Z], [Z.shape], dtype)
    A = np.empty_like(Z)
    getattr(backend, name)(Z, A)
    assert np.isfinite(A[:2]).all()
    assert np.isnan(A[2]).all(), "NaN must stay NaN, or divergence could not be seen"


def test_activation_in_place(dtype, rng):
    Z = rng.standard_normal((33, 17)).astype(dtype)
    expected = np.tanh(Z)
    backend.tanh(Z, Z)
    np.testing.assert_allclose(Z, expected, **tolerance(dtype))


@pytest.mark.parametrize(
    ("shape", "layout", "dtype"),
    laid_out(small([(1, 1, 1), (1, 784, 64), (15, 17, 33), (33, 16, 14), (7, 100, 5), (64, 33, 15), (130, 65, 31)])),
)
def test_dense(shape, layout, dtype, rng):
    m, n_prev, n = shape
    A_prev, W, dZ = (rng.standard_normal(shape).astype(dtype) for shape in [(m, n_prev), (n, n_prev), (m, n)])
    b = rng.standard_normal(n).astype(dtype)
    compare("dense_forward", [A_prev, W, b], [(m, n)], dtype, layout)
    compare("dense_backward", [dZ, A_prev, W], [(n, n_prev), (n,), (m, n_prev)], dtype, layout)


def test_dense_with_no_samples(dtype):
    W, b = np.ones((3, 2), dtype), np.ones(3, dtype)
    A_prev, Z = np.empty((0, 2), dtype), np.empty((0, 3), dtype)
    backend.dense_forward(A_prev, W, b, Z)
    dW, db = np.full((3, 2), np.nan, dtype), np.full(3, np.nan, dtype)
    backend.dense_backward(Z, A_prev, W, dW, db, A_prev)
    assert (dW == 0).all()
    assert (db == 0).all()


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(SHAPES))
def test_losses_of_numbers(shape, layout, dtype, rng):
    outputs = [shape[:1], shape]
    Z = rng.standard_normal(shape).astype(dtype)
    compare("squared_error", [Z, rng.standard_normal(shape).astype(dtype)], outputs, dtype, layout)
    compare("log_loss", [Z * 5, rng.integers(0, 2, shape).astype(dtype)], outputs, dtype, layout)
    Y = rng.standard_normal(shape).astype(dtype)
    compare("absolute_error", [Z, Y], outputs, dtype, layout)
    compare("huber", [Z, Y, 0.7], outputs, dtype, layout)
    compare("quantile", [Z, Y, 0.9], outputs, dtype, layout)
    compare("hinge", [Z, np.where(Y > 0, 1, -1).astype(dtype)], outputs, dtype, layout)


@pytest.mark.parametrize("name", ["absolute_error", "huber", "quantile", "hinge", "squared_error"])
def test_losses_of_numbers_that_are_right_and_of_nan(name, dtype):
    A, Y = np.array([[1.0], [np.nan]], dtype), np.ones((2, 1), dtype)
    setting = {"huber": (1.0,), "quantile": (0.3,)}.get(name, ())
    L, dA = np.empty(2, dtype), np.empty_like(A)
    getattr(backend, name)(A, Y, *setting, L, dA)
    assert L[0] == 0
    assert dA[0] == 0
    assert np.isnan(L[1]), "NaN must stay NaN, or divergence could not be seen"


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(SHAPES))
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(shape, smoothing, layout, dtype, rng):
    Z = (rng.standard_normal(shape) * 5).astype(dtype)
    Y = rng.integers(0, shape[1], (shape[0], 1)).astype(dtype)
    compare("cross_entropy", [Z, Y, smoothing], [shape[:1], shape], dtype, layout)


@pytest.mark.parametrize("name", ["log_loss", "cross_entropy"])
def test_losses_are_stable_far_from_zero(name, dtype):
    """At |z| = 1e4 the right answer costs nothing and the wrong one |z|."""
    n = 1 if name == "log_loss" else 2
    Z = np.array([[1e4], [1e4], [-1e4], [-1e4]], dtype) * np.array([[-1.0, 1.0][-n:]], dtype) / n
    Y = np.array([[1], [0], [0], [1]], dtype)
    for tested in (reference, backend):
        L, dZ = np.empty(4, dtype), np.empty_like(Z)
        smoothing = (0.0,) if name == "cross_entropy" else ()
        getattr(tested, name)(Z, Y, *smoothing, L, dZ)
        np.testing.assert_allclose(L, [0, 1e4, 0, 1e4])
        np.testing.assert_allclose(np.abs(dZ).sum(axis=1), np.array([0, n, 0, n]) / 4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("scale", [1, 100, 1e4])
def test_cross_entropy_of_large_logits(scale, smoothing, dtype, rng):
    """No loss is the small difference of large numbers, and no probability depends on how far from 0 logits are."""
    m, n = small([(33, 8), (200, 10)])[-1]
    Z = (rng.standard_normal((m, n)) * scale).astype(dtype)
    Y = Z.argmax(axis=1)[:, None].astype(dtype)
    Y[::2] = rng.integers(0, n, Y[::2].shape)
    Z[:9] = scale * np.arange(9)[:, None] + np.linspace(0, 8, n)
    L, dZ, wider = np.empty(m, dtype), np.empty_like(Z), np.longdouble
    backend.cross_entropy(Z, Y, smoothing, L, dZ)
    exact_L, exact_dZ = np.empty(m, wider), np.empty(Z.shape, wider)
    reference.cross_entropy(Z.astype(wider), Y, smoothing, exact_L, exact_dZ)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(L, exact_L.astype(np.float64), rtol=20 * eps, atol=2 * eps)
    np.testing.assert_allclose(dZ * m, (exact_dZ * m).astype(np.float64), rtol=100 * eps, atol=4 * eps)


@pytest.mark.parametrize("label", [-1, 3, 1e9, -1e9, 0.5])
def test_a_label_that_is_no_class_gives_nan(label, dtype, rng):
    """And nothing is read or written beyond the sample's own numbers."""
    Z, Y = rng.standard_normal((5, 3)).astype(dtype), np.array([[0], [1], [label], [2], [0]], dtype)
    for tested in (reference, backend):
        L, dZ = np.empty(5, dtype), np.empty_like(Z)
        tested.cross_entropy(Z, Y, 0.0, L, dZ)
        np.testing.assert_array_equal(np.isnan(L), [False, False, True, False, False])
        np.testing.assert_array_equal(np.isnan(dZ).all(axis=1), np.isnan(L))
        assert np.isfinite(dZ[np.isfinite(L)]).all()


def test_softmax_is_largest_where_its_numbers_are(dtype, rng):
    m = 33 if IS_SIMULATED else 3000
    Z = rng.integers(-1, 2, (m, 5)) * 10.0 ** rng.uniform(-20, 0, (m, 1))
    Z = (Z + rng.choice([0, 1, 100], (m, 1))).astype(dtype)
    Z[::3, 2] = np.nextafter(Z[::3, 1], dtype(np.inf))
    for some in (Z, Z[:1]):
        A = np.empty_like(some)
        backend.softmax(some, A)
        np.testing.assert_array_equal(A.argmax(axis=1), some.argmax(axis=1))
        np.testing.assert_allclose(A.sum(axis=1), 1, rtol=10 * np.finfo(dtype).eps)


@pytest.mark.parametrize("size", small([0, 1, 33, 16384, 16385, 50_000], int))
def test_sgd(size, dtype, rng):
    parameters = rng.standard_normal(size).astype(dtype)
    gradients = rng.standard_normal(size).astype(dtype)
    expected = parameters.copy()
    reference.sgd(expected, gradients, 0.1)
    backend.sgd(parameters, gradients, 0.1)
    np.testing.assert_allclose(parameters, expected, **tolerance(dtype))


@pytest.mark.parametrize("size", small([0, 1, 33, 4096, 4097, 20_000], int))
@pytest.mark.parametrize(
    ("name", "states", "settings"),
    [
        ("sgd_momentum", 1, (0.1, 0.9, 0.01, False)),
        ("sgd_momentum", 1, (0.1, 0.9, 0.01, True)),
        ("rmsprop", 2, (0.1, 0.99, 0.5, 1e-8, 0.01)),
        ("adam", 2, (3, 0.1, 0.9, 0.999, 1e-8, 0.01)),
        ("adamw", 2, (1, 0.1, 0.9, 0.999, 1e-8, 0.01)),
    ],
)
def test_updates(name, states, settings, size, dtype, rng):
    """Parameters and states are changed, gradients are not. The last state, a mean square, is not negative."""
    given = [rng.standard_normal(size).astype(dtype) for _ in range(2 + states)]
    given[-1] = given[-1] if states == 1 else abs(given[-1])
    expected, found = [array.copy() for array in given], [array.copy() for array in given]
    getattr(reference, name)(*expected, *settings)
    getattr(backend, name)(*found, *settings)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, **tolerance(dtype))
    np.testing.assert_array_equal(found[1], given[1])


@pytest.mark.parametrize(("name", "settings"), [("adam", (1, 0.1, 0.9, 0.999)), ("rmsprop", (0.1, 0.99, 0.0))])
def test_updates_by_large_gradients(name, settings, dtype):
    """Squares that are too large only before they are weighed make a step like any other; too large ones are seen."""
    large, too_large = (1e20, 1e25) if dtype == np.float32 else (1e154, 1e180)
    parameters, gradients = np.zeros(33, dtype), np.full(33, large, dtype)
    gradients[1::2] *= -1
    gradients[7] = too_large
    states = np.zeros((2, 33), dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        getattr(backend, name)(parameters, gradients, *states, *settings, 1e-8, 0.0)
    assert np.isnan(parameters[7]), "a step of nothing would not be noticed"
    rest = np.arange(33) != 7
    step = 0.1 if name == "adam" else 1.0
    np.testing.assert_allclose(parameters[rest], -step * np.sign(gradients[rest]), rtol=1e-5)


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(SHAPES))
def test_normalisations(shape, layout, dtype, rng):
    m, n = shape
    A_prev, dA = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    gamma, beta = (rng.standard_normal(n).astype(dtype) for _ in range(2))
    epsilon = 0.1  # of one sample, or one unit, the variance is 0
    for name, size, means in (("batch_norm", n, []), ("layer_norm", m, [(2, m)])):
        compare(name, [A_prev, gamma, beta, epsilon], [(size,), (size,), shape], dtype, layout)
        mean, rate, A = np.empty(size, dtype), np.empty(size, dtype), np.empty(shape, dtype)
        getattr(reference, name)(A_prev, gamma, beta, epsilon, mean, rate, A)
        outputs = [*means, (n,), (n,), shape]
        compare(f"{name}_backward", [dA, A_prev, gamma, mean, rate], outputs, dtype, layout)


def test_normalisation_of_numbers_far_from_0(dtype, rng):
    """A variance as the mean of squares less the square of the mean would lose all digits here."""
    far = 3e4 if dtype == np.float32 else 1e12
    A_prev = (far + rng.standard_normal((100, 3))).astype(dtype)
    mean, rate, A = np.empty(3, dtype), np.empty(3, dtype), np.empty((100, 3), dtype)
    backend.batch_norm(A_prev, np.ones(3, dtype), np.zeros(3, dtype), 1e-5, mean, rate, A)
    np.testing.assert_allclose(A.std(axis=0), 1, rtol=1e-2)


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(SHAPES))
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
def test_dropout(rate, shape, layout, dtype, rng):
    compare(
        "dropout", [rng.standard_normal(shape).astype(dtype), rate, np.uint64(2**63 + 12345)], [shape], dtype, layout
    )


@on_cpu
def test_dropout_leaves_out_its_share_anew_for_every_key(dtype):
    ones, found = np.ones((300, 500), dtype), []
    for key in (1, 2, 2**32):
        A = np.empty_like(ones)
        backend.dropout(ones, 0.3, np.uint64(key), A)
        found.append(A == 0)
        assert np.mean(A == 0) == pytest.approx(0.3, abs=0.005)
        assert A.max() == pytest.approx(1 / 0.7)
        for axis in (0, 1):  # neither rows nor columns are alike
            assert np.ptp((A == 0).mean(axis=axis)) < 0.2
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.mean(found[a] & found[b]) == pytest.approx(0.09, abs=0.005), "independent of each other"


POOLED = small(  # samples, height, width, channels; a window and how far the next is
    [(1, 1, 1, 1, 1, 1, 1, 1), (3, 5, 7, 2, 2, 2, 2, 2), (2, 6, 5, 1, 3, 2, 1, 2), (1, 7, 9, 3, 2, 4, 4, 1),
     (2, 4, 4, 33, 4, 4, 1, 1), (2, 5, 4, 131, 3, 3, 2, 1), (130, 8, 8, 2, 2, 2, 2, 2)]
)  # fmt: skip


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(POOLED))
@pytest.mark.parametrize("numbers", ["different", "equal"])
def test_max_pool(numbers, shape, layout, dtype, rng):
    """Also of many equal numbers, of which the first one gets the gradient, and the same in one dimension."""
    m, h, w, c, *window = shape
    (pool_height, pool_width, stride_y, stride_x), before = window, (m, h, w, c)
    behind = m, (h - pool_height) // stride_y + 1, (w - pool_width) // stride_x + 1, c
    make = rng.standard_normal if numbers == "different" else lambda size: rng.integers(-1, 2, size)
    A_prev, dA, A = make(before).astype(dtype), rng.standard_normal(behind).astype(dtype), np.empty(behind, dtype)
    compare("max_pool2d", [A_prev, *window], [behind], dtype, layout)
    reference.max_pool2d(A_prev, *window, A)
    compare("max_pool2d_backward", [dA, A_prev, A, *window], [before], dtype, layout)
    signal, dA, one = A_prev[:, 0].copy(), dA[:, 0].copy(), (pool_width, stride_x)
    A = np.empty_like(dA)
    compare("max_pool1d", [signal, *one], [A.shape], dtype, layout)
    reference.max_pool1d(signal, *one, A)
    compare("max_pool1d_backward", [dA, signal, A, *one], [signal.shape], dtype, layout)


def test_max_pool_of_nan_and_infinity(dtype):
    """A window with a NaN gives NaN, and the first NaN gets the gradient; what lies in no window gets none."""
    A_prev = np.array([np.nan, 1, 2, np.nan, np.inf, np.inf, -np.inf, -np.inf, 5], dtype)[None, :, None]
    for tested in (reference, backend):
        A, dA_prev = np.empty((1, 4, 1), dtype), np.empty_like(A_prev)
        tested.max_pool1d(A_prev, 2, 2, A)
        np.testing.assert_array_equal(A[0, :, 0], [np.nan, np.nan, np.inf, -np.inf])
        tested.max_pool1d_backward(np.array([1, 2, 3, 4], dtype)[None, :, None], A_prev, A, 2, 2, dA_prev)
        np.testing.assert_array_equal(dA_prev[0, :, 0], [1, 0, 0, 2, 3, 0, 4, 0, 0])


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(POOLED))
def test_average_pool(shape, layout, dtype, rng):
    m, h, w, c, *window = shape
    (pool_height, pool_width, stride_y, stride_x), before = window, (m, h, w, c)
    behind = m, (h - pool_height) // stride_y + 1, (w - pool_width) // stride_x + 1, c
    A_prev, dA = rng.standard_normal(before).astype(dtype), rng.standard_normal(behind).astype(dtype)
    compare("average_pool2d", [A_prev, *window], [behind], dtype, layout)
    compare("average_pool2d_backward", [dA, *window], [before], dtype, layout)


CONVOLVED = small(  # samples, height, width, channels, filters, window; stride, padding, dilation, groups
    [(1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1), (2, 5, 6, 3, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1),
     (3, 7, 5, 4, 6, 3, 3, 2, 1, 2, 0, 1, 2, 2), (2, 6, 7, 5, 5, 2, 3, 1, 2, 0, 2, 2, 1, 5),
     (2, 3, 4, 2, 2, 5, 1, 3, 3, 4, 3, 1, 1, 1), (5, 9, 8, 33, 18, 3, 3, 1, 1, 1, 1, 1, 1, 3),
     (33, 6, 5, 6, 9, 3, 3, 2, 2, 1, 1, 1, 1, 3), (34, 8, 7, 36, 36, 3, 3, 1, 1, 1, 1, 1, 1, 36),
     (3, 12, 35, 70, 50, 3, 3, 1, 1, 1, 1, 1, 1, 1), (40, 5, 5, 40, 70, 3, 5, 1, 1, 1, 2, 1, 1, 1),
     (40, 5, 6, 20, 16, 3, 3, 1, 1, 1, 0, 1, 1, 1)],
    size=lambda case: 4 * max(case),
)  # fmt: skip


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(CONVOLVED))
def test_conv(shape, layout, dtype, rng):
    """Few and many channels and samples, by which the CPU's kernels choose how they compute."""
    m, h, w, c, n, u, v, *windows = shape
    stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups = windows
    before, filters = (m, h, w, c), (n, u, v, c // groups)
    height = (h + 2 * pad_y - dilation_y * (u - 1) - 1) // stride_y + 1
    behind = m, height, (w + 2 * pad_x - dilation_x * (v - 1) - 1) // stride_x + 1, n
    A_prev, W, dZ = (rng.standard_normal(size).astype(dtype) for size in (before, filters, behind))
    W, dZ, b = W / dtype(np.sqrt(W[0].size)), dZ / dtype(np.sqrt(dZ.size / n)), rng.standard_normal(n).astype(dtype)
    compare("conv2d_forward", [A_prev, W, b, *windows], [behind], dtype, layout)
    compare("conv2d_backward_data", [dZ, W, *windows], [before], dtype, layout)
    compare("conv2d_backward_weights", [dZ, A_prev, *windows], [filters, (n,)], dtype, layout)


SEQUENCES = small(  # samples, steps, inputs, units
    [(1, 1, 1, 1), (2, 3, 15, 17), (15, 2, 33, 1), (33, 2, 1, 15), (3, 4, 17, 33), (70, 3, 40, 64), (33, 7, 65, 50)]
)
CELLS = {"recurrent": (1, 1, 1), "lstm": (4, 4, 4), "gru": (3, 4, 4)}  # of a unit: rows of W, numbers of b, gates


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(SEQUENCES))
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent(cell, shape, layout, dtype, rng):
    m, t, p, n = shape
    rows, biases, gates = (count * n for count in CELLS[cell])
    X, W, U, b = (rng.standard_normal(size) for size in ((m, t, p), (rows, p), (rows, n), biases))
    X, W, U, b = (array.astype(dtype) for array in (X, W / np.sqrt(p), U / np.sqrt(n), b))
    names = ["h", "c"] if cell == "lstm" else ["h"]
    first = [rng.standard_normal((m, n)).astype(dtype) for _ in names]
    above = [rng.standard_normal(size).astype(dtype) for size in ((m, t, n), (m, n))[: len(names)]]
    kept = [*[(m, t, n) for _ in names], *([(m, t, gates)] if gates > n else [])]
    for relu in ((False,), (True,)) if cell == "recurrent" else ((),):
        compare(f"{cell}_forward", [X, W, U, b, *first, *relu], kept, dtype, layout)
        saved = [np.empty(size, dtype) for size in kept]
        getattr(reference, f"{cell}_forward")(X, W, U, b, *first, *relu, *saved)
        made = [W.shape, U.shape, b.shape, X.shape, *(state.shape for state in first)]
        compare(f"{cell}_backward", [*above, X, W, U, *first, *saved, *relu], made, dtype, layout)


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_without_steps(cell, dtype, rng):
    """Then states before the first step are those behind the last: derivatives go past."""
    rows, biases, gates = (count * 3 for count in CELLS[cell])
    X, W, U, b, first = np.empty((2, 0, 4)), np.ones((rows, 4)), np.ones((rows, 3)), np.ones(biases), np.ones((2, 3))
    h, c, of_gates, dc = np.empty((2, 0, 3)), np.empty((2, 0, 3)), np.empty((2, 0, gates)), rng.standard_normal((2, 3))
    given = {"recurrent": [h, X, W, U, first, h, False], "gru": [h, X, W, U, first, h, of_gates]}
    given["lstm"] = [h, dc, X, W, U, first, first, h, c, of_gates]
    given = [value.astype(dtype) if isinstance(value, np.ndarray) else value for value in given[cell]]
    made = [np.full(array.shape, np.nan, dtype) for array in (W, U, b, X, first, *([first] if cell == "lstm" else []))]
    getattr(backend, f"{cell}_backward")(*given, *made)
    for array in made[:5]:
        np.testing.assert_array_equal(array, 0)
    if cell == "lstm":
        np.testing.assert_array_equal(made[5], dc.astype(dtype))


EMBEDDED = small([(1, 1, 1, 1), (3, 15, 7, 17), (33, 40, 64, 100)])  # samples, steps, rows of W, units


@pytest.mark.parametrize(("shape", "layout", "dtype"), laid_out(EMBEDDED))
def test_embedding(shape, layout, dtype, rng):
    m, t, v, n = shape
    indices, W = rng.integers(0, v, (m, t)).astype(dtype), rng.standard_normal((v, n)).astype(dtype)
    compare("embedding", [indices, W], [(m, t, n)], dtype, layout)
    dA = rng.standard_normal((m, t, n)).astype(dtype)
    compare("embedding_backward", [dA, indices], [W.shape], dtype, layout)


@pytest.mark.parametrize("number", [-1, 3, 1e9, -1e9, 0.5, np.nan])
def test_a_number_that_names_no_row_gives_nan(number, dtype):
    """And nothing is read or written beyond the rows that there are."""
    indices, W, dA = np.array([[0, 1, number, 2]], dtype), np.ones((3, 5), dtype), np.ones((1, 4, 5), dtype)
    for tested in (reference, backend):
        A, dW = np.empty_like(dA), np.empty_like(W)
        tested.embedding(indices, W, A)
        np.testing.assert_array_equal(A, np.where(np.arange(4)[:, None] == 2, np.nan, dA))
        tested.embedding_backward(dA, indices, dW)
        assert np.isnan(dW).all()


@on_cpu
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64, ">i4", bool])
def test_indices_of_any_dtype(kind, dtype, rng):
    indices, W = np.array([[0, 1], [1, 0]]), rng.standard_normal((2, 3)).astype(dtype)
    A, dW = np.empty((2, 2, 3), dtype), np.empty_like(W)
    backend.embedding(indices.astype(kind), W, A)
    np.testing.assert_array_equal(A, W[indices])
    backend.embedding_backward(A, indices.astype(kind), dW)
    np.testing.assert_array_equal(dW, 2 * W)


@on_cpu
def test_same_bits_on_any_number_of_threads(dtype):
    import numba

    rng = np.random.default_rng(0)
    A_prev, W, dZ = (rng.standard_normal(shape).astype(dtype) for shape in [(201, 130), (70, 130), (201, 70)])
    found = []
    for n_threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        numba.set_num_threads(n_threads)
        Z, dW, db, dA = np.empty_like(dZ), np.empty_like(W), np.empty(70, dtype), np.empty_like(A_prev)
        backend.dense_forward(A_prev, W, np.zeros(70, dtype), Z)
        backend.dense_backward(dZ, A_prev, W, dW, db, dA)
        found.append((Z, dW, db, dA))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
