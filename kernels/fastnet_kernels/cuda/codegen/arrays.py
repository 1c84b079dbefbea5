"""Arrays as kernels take them: C-contiguous, on the GPU; those of NumPy are copied there."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..target import IS_SIMULATED
from .compiling import cuda

if not IS_SIMULATED:
    from cuda.bindings import driver

    from .compiling import DeviceNDArray

_DEFAULT_STREAM = 1  # as the interface has it: 0 there would be ambiguous
_NOT_CONTIGUOUS = "CUDA kernels want C-contiguous arrays: give numpy.ascontiguousarray of them"


class Array(NamedTuple):
    """A C-contiguous array on the GPU, as kernels take it."""

    kind: str  # of its numbers, and how many dimensions
    size: int
    numbers: tuple[int, ...]  # memory information, parent, size, bytes of a number, address, shape, strides
    owner: Any  # keeps the memory alive
    host: np.ndarray | None  # where it is copied back to

    @property
    def itemsize(self) -> int:
        return self.numbers[3]


def as_argument(array, stream: int = 0, *, is_flat: bool = False) -> Array:
    """An array of any library that says where it is on the GPU; one of NumPy is copied there.

    Raises ValueError for one whose numbers do not lie side by side.
    """
    host, about = None, getattr(array, "__cuda_array_interface__", None)
    if about is None:
        if not array.flags.c_contiguous:
            raise ValueError(_NOT_CONTIGUOUS)
        host = array if array.flags.writeable else None
        array = cuda.to_device(array)
        about = array.__cuda_array_interface__
    shape, kind, strides, ready = about["shape"], about["typestr"], about.get("strides"), about.get("stream")
    size, itemsize = math.prod(shape), int(kind[2:])
    side_by_side = tuple(itemsize * math.prod(shape[i + 1 :]) for i in range(len(shape)))
    if size and strides is not None and tuple(strides) != side_by_side:
        raise ValueError(_NOT_CONTIGUOUS)
    if ready and ready != (stream or _DEFAULT_STREAM):
        driver.cuStreamSynchronize(ready)
    if is_flat:
        shape, side_by_side = (size,), (itemsize,)
    numbers = (0, 0, size, itemsize, about["data"][0], *shape, *side_by_side)
    return Array(f"{kind}{len(shape)}", size, numbers, array, host)


def _as_vector(array) -> Array:
    """`as_argument`, flat; of numba-cuda's own arrays in a fraction of the time."""
    if type(array) is not DeviceNDArray or not array.is_c_contiguous():
        return as_argument(array, is_flat=True)
    size, itemsize, address = array.size, array.dtype.itemsize, array.device_ctypes_pointer.value
    return Array(f"{array.dtype.str}1", size, (0, 0, size, itemsize, address or 0, size, itemsize), array, None)


def flat(*arrays):
    """The arrays as vectors, for `launch`.

    Raises ValueError for one whose numbers do not lie side by side, or of another dtype than the first.
    """
    if IS_SIMULATED:
        _check_kinds([array.dtype.str for array in arrays])
        if not all(array.flags["C_CONTIGUOUS"] for array in arrays if array.size):
            raise ValueError(_NOT_CONTIGUOUS)
        return [array.reshape(-1) for array in arrays]
    found = [_as_vector(array) for array in arrays]
    kinds = {array.kind for array in found}
    if kinds != {"<f41"} and kinds != {"<f81"}:
        _check_kinds([array.kind[:-1] for array in found])
    return found


def scratch(size, like):
    """A vector on the GPU for numbers on their way, of the dtype of a vector that `flat` has made."""
    if IS_SIMULATED:
        return np.empty(size, like.dtype)
    return _as_vector(cuda.device_array(max(1, size), np.dtype(like.kind[:3])))


def table(array):
    """A table of whole numbers, of NumPy, for `launch`: a copy on the GPU, which nothing is copied back from."""
    if IS_SIMULATED:
        return array
    array.flags.writeable = False
    return as_argument(array)


def _check_kinds(kinds):
    for kind in kinds:
        if kind != kinds[0] or kind not in ("<f4", "<f8"):
            first, other = np.dtype(kinds[0]), np.dtype(kind)
            raise ValueError(f"arrays of {first} and {other}: give all of them as float32, or as float64")
