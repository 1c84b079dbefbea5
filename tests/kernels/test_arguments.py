"""What a public kernel is given: refused with a reason before anything is written, or right however it lies."""

import enum
import fractions
import inspect
import math
import os
import pickle
import subprocess
import sys

import fastnet_kernels.cpu as cpu
import numpy as np
import pytest
from fastnet_kernels import reference
from fastnet_kernels.shapes import ARGUMENTS, COUNT, FLOAT, KEY, NUMBERS, RATE, WHOLE, YES_OR_NO

VALUES = {FLOAT: 0.3, RATE: 0.3, COUNT: 2, WHOLE: 1, KEY: 12345, YES_OR_NO: True}
EXTENTS = {"m": 6, "n": 5, "p": 4, "h": 6, "w": 4, "t": 6, "c": 3, "u": 3, "v": 2, "k": 2, "2": 2, "1": 1}
KINDS = ["C", "F", "every second", "reversed", "rows apart", "shifted", "unaligned", "read-only"]


def shape_of(text, extents=EXTENTS):
    numbers = dict.fromkeys(("pool_size", "stride", "pool_height", "pool_width", "stride_y", "stride_x"), 2)
    numbers |= {**dict.fromkeys(("dilation_y", "dilation_x", "groups"), 2), "pad_y": 1, "pad_x": 1}
    known = {**extents, **numbers}
    return tuple(eval(extent, {}, known) for extent in text.split())


def call(name, dtype=np.float64, extents=EXTENTS, seed=0):
    """Arguments of a kernel by their names: numbers that any kernel can take."""
    rng, given = np.random.default_rng(seed), {}
    if ARGUMENTS[name].multiples:  # the filters are two groups
        extents = {**extents, "n": extents["n"] + extents["n"] % 2}
    for key, shape in ARGUMENTS[name].given.items():
        if shape in NUMBERS:
            given[key] = VALUES[shape]
        elif key in ARGUMENTS[name].indices:
            count = extents["n" if name == "cross_entropy" else "v"]
            given[key] = rng.integers(0, count, shape_of(shape, extents)).astype(dtype)
        else:
            given[key] = rng.uniform(0.1, 0.9, shape_of(shape, extents)).astype(dtype)
    return given


def laid(array, kind, rng):
    """The same numbers in memory of another kind."""
    if kind == "F":
        return np.asfortranarray(array)
    if kind in ("every second", "rows apart"):
        steps = [1 if kind == "rows apart" and axis else 2 for axis in range(array.ndim)]
        larger = np.full([step * extent for step, extent in zip(steps, array.shape, strict=True)], np.nan, array.dtype)
        view = larger[tuple(slice(None, None, step) for step in steps)]
    elif kind == "reversed":
        view = np.empty_like(array)[tuple(slice(None, None, -1) for _ in array.shape)]
    elif kind == "shifted":  # not at the beginning of a line, nor of a vector
        view = np.empty(array.size + 1, array.dtype)[1:].reshape(array.shape)
    elif kind == "unaligned":
        view = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    else:
        view = np.empty_like(array)
    view[...] = array
    view.flags.writeable = kind != "read-only"
    return view


def expected_of(name, given):
    copies = {key: np.array(value) if isinstance(value, np.ndarray) else value for key, value in given.items()}
    getattr(reference, name)(*copies.values())
    return copies


def check(name, given, expected, tolerance):
    for key, value in given.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(value, expected[key], rtol=tolerance, atol=tolerance, err_msg=f"{name}: {key}")


def test_every_kernel_has_its_arguments_written_down():
    assert set(ARGUMENTS) == set(cpu.__all__) == set(reference.__all__)
    for name, arguments in ARGUMENTS.items():
        for backend in (cpu, reference):
            assert list(inspect.signature(getattr(backend, name)).parameters) == list(arguments.given)
        assert set(arguments.written) <= set(arguments.given)
        assert set(arguments.in_place) <= set(arguments.given)


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_any_layout_of_any_array(name, dtype):
    rng, tolerance = np.random.default_rng(3), 1e-11 if dtype is np.float64 else 1e-4
    for seed in range(8):
        extents = {**EXTENTS, "m": 7 + 20 * (seed % 3), "n": 5 + 31 * (seed % 2), "p": 4 + 30 * (seed % 2)}
        given = call(name, dtype, extents, seed)
        for key, value in given.items():
            if isinstance(value, np.ndarray):
                kind = rng.choice([kind for kind in KINDS if kind != "read-only" or key not in ARGUMENTS[name].written])
                given[key] = laid(value, kind, rng)
        expected = expected_of(name, given)
        getattr(cpu, name)(*given.values())
        check(name, given, expected, tolerance)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_what_is_written_may_be_what_is_read(name):
    """Number for number, or shifted: the result is that of inputs that were read before anything was written."""
    arguments = ARGUMENTS[name]
    for written in arguments.written:
        for other, shape in arguments.given.items():
            if other in arguments.written or shape != arguments.given[written]:
                continue
            for shift in (0, 1):
                given = call(name)
                size = given[other].size
                memory = np.empty(size + shift)
                memory[:size] = given[other].ravel()
                memory[size:] = 0.5
                given[other] = memory[:size].reshape(given[other].shape)
                given[written] = memory[shift:].reshape(given[written].shape)
                expected = expected_of(name, given)
                getattr(cpu, name)(*given.values())
                np.testing.assert_allclose(given[written], expected[written], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_empty_arrays(name):
    letters = "mc" if "_pool" in name else "mnk" if "conv" in name else "mtn" if "embedding" in name else "mn"
    for letter in "mtpn" if "X" in ARGUMENTS[name].given else letters:
        extents = {**EXTENTS, letter: 0}
        given = call(name, extents=extents) if letter != "n" or name != "cross_entropy" else None
        if given is not None:
            getattr(cpu, name)(*given.values())


def arrays_of(name):
    return [key for key, shape in ARGUMENTS[name].given.items() if shape not in NUMBERS]


def refused(name, error, given, *words):
    before = {key: np.array(value) for key, value in given.items() if isinstance(value, np.ndarray)}
    with pytest.raises(error) as found:
        getattr(cpu, name)(*given.values())
    for word in (name, *words):
        assert word in str(found.value)
    for key, value in before.items():
        np.testing.assert_array_equal(given[key], value)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_wrong_arguments_are_refused_with_a_reason(name):
    arguments = ARGUMENTS[name]
    for key in arrays_of(name):
        shape = arguments.given[key]
        if len(set(arrays_of(name))) > 1 and any(
            other != key and arguments.given[other] == shape for other in arrays_of(name)
        ):
            given = call(name)
            given[key] = np.ones([extent + 1 for extent in given[key].shape])
            with pytest.raises(ValueError, match="has shape"):
                getattr(cpu, name)(*given.values())
        refused(name, ValueError, {**call(name), key: np.ones((2, 2, 2, 2, 2))}, key, "axes")
        refused(name, TypeError, {**call(name), key: [[1.0]]}, key, "NumPy array")
        refused(name, TypeError, {**call(name), key: np.zeros(call(name)[key].shape, complex)}, key, "dtype")
        if key not in arguments.indices:
            refused(name, TypeError, {**call(name), key: call(name)[key].astype(np.float32)}, key, "one dtype")
            refused(name, TypeError, {**call(name), key: call(name)[key].astype(">f8")}, key, "dtype")
    for key in arguments.written:
        given = call(name)
        given[key].flags.writeable = False
        refused(name, ValueError, given, key, "read-only")
    for key, kind in arguments.given.items():
        if kind in NUMBERS:
            refused(name, TypeError, {**call(name), key: "0.5"}, key)
            refused(name, TypeError, {**call(name), key: None}, key)
        if kind in (COUNT, WHOLE):
            refused(name, TypeError, {**call(name), key: 1.5}, key)
            refused(name, ValueError, {**call(name), key: 0 if kind == COUNT else -1}, key)
        if kind == RATE:
            for value in (-0.1, 1, 1.5, math.nan):
                refused(name, ValueError, {**call(name), key: value}, key)
        if kind == KEY:
            refused(name, ValueError, {**call(name), key: -1}, key)
            refused(name, ValueError, {**call(name), key: 1 << 64}, key)


def test_outputs_that_overlap_are_refused():
    given = call("layer_norm")
    given["mean"] = given["inv_std"]
    refused("layer_norm", ValueError, given, "overlap", "mean", "inv_std")
    both = np.zeros((6, 2))  # beside each other, which is right
    given = {**call("layer_norm"), "mean": both[:, 0], "inv_std": both[:, 1]}
    expected = expected_of("layer_norm", given)
    cpu.layer_norm(*given.values())
    check("layer_norm", given, expected, 1e-11)


def test_filters_that_are_not_whole_groups_are_refused():
    given = call("conv2d_forward", extents={**EXTENTS, "n": 6})
    given |= {"W": given["W"][:5], "b": given["b"][:5], "Z": given["Z"][..., :5].copy()}
    refused("conv2d_forward", ValueError, given, "n=5 is no multiple of groups=2")
    refused("conv2d_forward", ValueError, {**call("conv2d_forward"), "groups": 3}, "A_prev has shape", "k*groups")


def test_numbers_of_any_kind():
    Z, A = np.array([[-1.0, 2.0]]), np.zeros((1, 2))
    one = enum.IntEnum("one", {"one": 1}).one
    for slope in (1, True, np.float32(1), np.int8(1), np.bool_(True), fractions.Fraction(1), np.longdouble(1), one):
        A[:] = 0
        cpu.leaky_relu(Z, slope, A)
        np.testing.assert_array_equal(A, Z)
    for dtype in (np.uint8, np.uint64, bool, np.float16, ">i4"):
        given = {**call("cross_entropy"), "Y": np.array([[0], [1], [1], [0], [1], [0]], dtype)}
        expected = expected_of("cross_entropy", {**given, "Y": given["Y"].astype(int)})
        cpu.cross_entropy(*given.values())
        np.testing.assert_allclose(given["L"], expected["L"])


def test_names_of_arguments_and_pickles():
    Z, A = np.array([[-1.0, 2.0]]), np.zeros((1, 2))
    pickle.loads(pickle.dumps(cpu.relu))(A=A, Z=Z)
    np.testing.assert_array_equal(A, [[0, 2]])
    assert cpu.relu.__name__ == "relu"
    assert "max(0, Z)" in cpu.relu.__doc__
    with pytest.raises(TypeError, match="argument"):
        cpu.relu(Z)


def test_one_version_for_all_layouts():
    cpu.hard_silu(np.ones((4, 4)), np.ones((4, 4)))
    versions = len(cpu.hard_silu.compiled.overloads)
    for kind in KINDS:
        cpu.hard_silu(laid(np.ones((4, 4)), kind, None), laid(np.ones((4, 4)), "C", None))
    assert len(cpu.hard_silu.compiled.overloads) == versions


FOREIGN = """
import numba
import numpy as np
from fastnet_kernels.cpu import relu

@numba.njit
def first(x):
    return x[0, 0]

records = np.zeros((4, 5), [("tag", "i1"), ("x", "f8")])
records["x"] = np.arange(20).reshape(4, 5) - 9
first(records["x"])  # Numba keeps what it takes this for
A = np.zeros((4, 5))
relu(records["x"], A)
assert (A == np.maximum(records["x"], 0)).all()
for Z, A in ((np.ones((4, 5), ">f8"), A), (np.ones((4, 5)), np.ones((4, 5), ">f8"))):
    try:
        relu(Z, A)
    except TypeError as error:
        assert ">f8" in str(error)
    else:
        raise AssertionError("numbers in another byte order were taken as they are")
"""


@pytest.mark.slow  # a process of its own that compiles
def test_what_other_functions_of_numba_have_seen_changes_nothing():
    subprocess.run([sys.executable, "-c", FOREIGN], check=True, env=os.environ)


def test_an_array_whose_numbers_share_memory():
    Z = np.lib.stride_tricks.as_strided(np.ones(1), (3, 4), (0, 0))  # may be read
    A = np.zeros((3, 4))
    cpu.relu(Z, A)
    assert (A == 1).all()
    cpu.relu(A, Z)  # each number is written to one place, as NumPy does it


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 1e-310, 3e38, -3e38, 1.0, -1.0]
ELEMENT_WISE = [
    name
    for name, a in ARGUMENTS.items()
    if a.in_place and a.written[-1] in ("A", "dZ", "dA") and "m n" in a.given.values()
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("n", [1, 11, 110])  # side by side, and along rows
@pytest.mark.parametrize(
    "name", [*(name for name in ELEMENT_WISE if "norm" not in name and name != "dropout"), "log_loss"]
)
def test_nan_and_infinity_as_in_the_reference(name, n):
    given = call(name, extents={**EXTENTS, "m": 11, "n": n})
    first = next(iter(given))
    given[first][:, :] = np.array(SPECIAL)[(np.arange(11)[:, None] + np.arange(n)) % 11]
    expected = expected_of(name, given)
    getattr(cpu, name)(*given.values())
    for key in ARGUMENTS[name].written:
        np.testing.assert_array_equal(np.isnan(given[key]), np.isnan(expected[key]), err_msg=f"{name}: {key}")
        if name not in ("softmax",):
            np.testing.assert_allclose(given[key], expected[key], rtol=1e-9, atol=1e-9, err_msg=f"{name}: {key}")


PRODUCTS = [
    (1, 700, 3),
    (33, 1, 65),
    (15, 513, 17),
    (29, 512, 33),
    (43, 1100, 130),
    (300, 515, 259),
    (129, 33, 2200),
    (2200, 40, 3),
]


@pytest.mark.parametrize("layout", ["C", "F", "every second"])
@pytest.mark.parametrize(("m", "p", "n"), PRODUCTS)
def test_products_of_any_size(m, p, n, layout):
    rng = np.random.default_rng(m)
    for name in ("dense_forward", "dense_backward"):
        given = call(name, np.float64, {"m": m, "n": n, "p": p}, m)
        given = {key: laid(value, layout, rng) for key, value in given.items()}
        expected = expected_of(name, given)
        getattr(cpu, name)(*given.values())
        check(name, given, expected, 1e-9)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_same_bits_on_any_threads(name):
    """Of work that is large enough for threads, in two layouts."""
    numba = pytest.importorskip("numba")
    before = numba.get_num_threads()
    for layout in ("C", "F"):
        found = []
        for threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
            numba.set_num_threads(threads)
            extents = {**EXTENTS, "m": 600, "n": 331, "p": 150, "h": 16, "w": 16, "t": 64, "c": 33}
            if "X" in ARGUMENTS[name].given:
                extents |= {"m": 70, "t": 5, "p": 40, "n": 67}
            given = call(
                name,
                np.float64,
                {**extents, "n": 300_000 if "m" not in "".join(ARGUMENTS[name].given.values()) else extents["n"]},
                1,
            )
            given = {key: laid(v, layout, None) if isinstance(v, np.ndarray) else v for key, v in given.items()}
            getattr(cpu, name)(*given.values())
            found.append([given[key].tobytes() for key in ARGUMENTS[name].written])
        numba.set_num_threads(before)
        assert all(each == found[0] for each in found)


@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_pixels_that_no_window_has_get_nothing(pool, stride):
    for size in (6, 12, 13):
        A_prev = np.arange(2.0 * size).reshape(2, size, 1)
        A = np.zeros((2, (size - pool) // stride + 1, 1))
        found, expected = np.full_like(A_prev, 99), np.full_like(A_prev, 99)
        cpu.max_pool1d(A_prev, pool, stride, A)
        cpu.max_pool1d_backward(np.ones_like(A), A_prev, A, pool, stride, found)
        reference.max_pool1d_backward(np.ones_like(A), A_prev, A, pool, stride, expected)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("m", [63, 64, 1024, 1500])
@pytest.mark.parametrize("is_in_place", [False, True])
def test_losses_unit_by_unit(m, is_in_place):
    """Where a unit's numbers of all samples are contiguous, more samples than one task takes among them."""
    rng = np.random.default_rng(m)
    A, Y = (np.asfortranarray(rng.standard_normal((m, 3))) for _ in range(2))
    expected_L, expected, L = np.empty(m), np.empty((m, 3)), np.empty(m)
    reference.squared_error(A, Y, expected_L, expected)
    dA = A if is_in_place else np.empty_like(A, order="F")
    cpu.squared_error(A, Y, L, dA)
    np.testing.assert_allclose(L, expected_L, rtol=1e-14)
    np.testing.assert_allclose(dA, expected, rtol=1e-14, atol=1e-300)
