"""What a launch hands to the driver, beside what numba-cuda's own would. `test_cuda.py` runs this file in a process of
its own, without a GPU: the driver is a stand-in.
"""

import ctypes
import struct
from types import SimpleNamespace

import numpy as np
import pytest

SUCCESS = 0


class Driver:
    """Keeps what kernels are started with."""

    CUfunction = staticmethod(int)

    def __init__(self):
        self.started, self.waited = [], []

    def cuCtxGetCurrent(self):  # noqa: N802 - the driver's names
        return SUCCESS, 77

    def cuLaunchKernel(self, *arguments):  # noqa: N802
        self.started.append(arguments)
        return (SUCCESS,)

    def cuLaunchCooperativeKernel(self, *arguments):  # noqa: N802
        return self.cuLaunchKernel(*arguments, "cooperative")

    def cuStreamSynchronize(self, stream):  # noqa: N802
        self.waited.append(stream)


class Kernel:
    """A kernel of numba-cuda, and what it is compiled to."""

    def __init__(self, cooperative=False):
        self.cooperative, self.kinds = cooperative, []
        self._codelibrary = SimpleNamespace(get_cufunc=lambda: SimpleNamespace(handle=1234))

    def compile(self, kinds):
        self.kinds.append(kinds)
        return self

    def bind(self):
        pass


# Imported late: without the extra `cuda`, others still read this file.
@pytest.fixture
def launching():
    from fastnet_kernels.cuda.codegen import launching

    return launching


@pytest.fixture
def arrays():
    from fastnet_kernels.cuda.codegen import arrays

    return arrays


@pytest.fixture
def driver(monkeypatch, launching, arrays):
    driver = Driver()
    monkeypatch.setattr(arrays, "driver", driver)
    monkeypatch.setattr(launching, "driver", driver)
    return driver


def device_array(shape, dtype, address):
    """An array that says that it is on a GPU."""
    from numba.cuda.cudadrv.devicearray import DeviceNDArray

    strides = np.empty(shape, dtype).strides
    memory = SimpleNamespace(device_ctypes_pointer=ctypes.c_void_p(address))
    return DeviceNDArray(shape, strides, np.dtype(dtype), gpu_data=memory)


def numbers_of_numba(kinds, arguments):
    """What numba-cuda would hand on: 8 bytes each."""
    from numba.cuda.dispatcher import _Kernel

    found = []
    for kind, argument in zip(kinds, arguments, strict=True):
        _Kernel._prepare_args(SimpleNamespace(extensions=[]), kind, argument, 0, [], found)
    values = [getattr(number, "value", number) or 0 for number in found]
    return b"".join(struct.pack("=d" if isinstance(value, float) else "=q", value) for value in values)


@pytest.mark.parametrize("cooperative", [False, True])
def test_the_driver_gets_what_numba_cuda_would_give_it(cooperative, launching, arrays, driver):
    vectors = [device_array((3, 4), "f4", 4096), device_array((2, 3, 5), "i8", 8192), device_array((7,), "u1", 1 << 40)]
    kernel, stream = Kernel(cooperative), SimpleNamespace(handle=99)
    given = [5, *map(arrays.as_argument, vectors), 2.5, -1]
    launching.launch_on(stream, kernel, 12, *given)
    launching.launch_on(stream, kernel, 12, *given)
    assert len(kernel.kinds) == 1  # compiled once
    expected = numbers_of_numba(kernel.kinds[0], [5, *vectors, 2.5, -1])
    function, *sizes, shared, to, places, rest = driver.started[1]
    assert (function, sizes, shared, to) == (1234, [12, 1, 1, launching.THREADS, 1, 1], 0, 99)
    assert rest == ("cooperative" if cooperative else 0)
    places = np.ctypeslib.as_array((ctypes.c_uint64 * (len(expected) // 8)).from_address(places))
    assert b"".join(ctypes.string_at(int(place), 8) for place in places) == expected


def test_arrays_of_others_are_vectors_as_well(arrays):
    def other(**about):
        return SimpleNamespace(
            __cuda_array_interface__={"typestr": "<f4", "data": (4096, False), "version": 3, **about}
        )

    own = arrays.flat(device_array((3, 4), "f4", 4096))[0]
    for about in ({"shape": (3, 4)}, {"shape": (3, 4), "strides": (16, 4)}, {"shape": (12,), "strides": None}):
        assert arrays.flat(other(**about))[0][:3] == own[:3]
    with pytest.raises(ValueError, match="ascontiguousarray"):
        arrays.flat(other(shape=(3, 4), strides=(4, 12)))


@pytest.mark.parametrize(
    ("ready", "stream", "waited"), [(None, 0, []), (1, 0, []), (7, 0, [7]), (7, 7, []), (7, 8, [7])]
)
def test_what_another_stream_makes_is_waited_for(ready, stream, waited, arrays, driver):
    about = {"typestr": "<f4", "data": (4096, False), "version": 3, "shape": (3,), "stream": ready}
    arrays.as_argument(SimpleNamespace(__cuda_array_interface__=about), stream)
    assert driver.waited == waited


def test_without_a_handle_numba_cuda_launches(launching, arrays, driver, monkeypatch):
    class Ordinary(Kernel):
        def __getitem__(self, how):
            return lambda *arguments: started.append((how, arguments))

    monkeypatch.setattr(launching.cuda, "as_cuda_array", np.asarray)
    started, kernel, array = [], Ordinary(), np.arange(6.0).reshape(2, 3)
    del kernel._codelibrary
    launching.launch_on(0, kernel, 4, 1, arrays.Array("<f81", 6, (0, 0, 6, 8, 4096, 6, 8), array, None))
    assert started[0][0] == (4, launching.THREADS, 0)
    assert started[0][1][1].shape == (6,)
