"""How kernels are started: what is known of a kernel and its kinds of arguments is looked up once.

numba-cuda's own launch looks at every argument anew, for 80 to 270 us a call on an H100's host: longer than most
kernels take. This one packs the arguments' numbers side by side and hands them to the driver.

It knows of numba-cuda that the driver's handle of a compiled kernel is `_codelibrary.get_cufunc().handle`, and that the
kernel takes a C-contiguous array as memory information and parent (both 0), size, bytes of a number, address, shape and
strides. Where a release has no such handle, numba-cuda launches.
"""

import math
import struct
import threading
from typing import Any, NamedTuple

import numpy as np

from .compiling import cuda
from .sizes import IS_SIMULATED, MOST_BLOCKS, THREADS

if not IS_SIMULATED:
    from cuda.bindings import driver

    from .compiling import DeviceNDArray, from_dtype, types


_DEFAULT_STREAM = 1  # as the interface has it: 0 there would be ambiguous
_NOT_CONTIGUOUS = "CUDA kernels want C-contiguous arrays: give numpy.ascontiguousarray of them"


class Array(NamedTuple):
    """A C-contiguous array on the GPU, as kernels take it."""

    kind: str  # of its numbers, and how many dimensions
    size: int
    numbers: tuple[int, ...]
    owner: Any
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
    size, itemsize, offset = array.size, array.dtype.itemsize, array.device_ctypes_pointer.value
    return Array(f"{array.dtype.str}1", size, (0, 0, size, itemsize, offset or 0, size, itemsize), array, None)


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


def _check_kinds(kinds):
    for kind in kinds:
        if kind != kinds[0] or kind not in ("<f4", "<f8"):
            first, other = np.dtype(kinds[0]), np.dtype(kind)
            raise ValueError(f"arrays of {first} and {other}: give all of them as float32, or as float64")


class _Function:
    """A kernel compiled for some kinds of arguments, in one context of the driver."""

    def __init__(self, kernel, arguments):
        self.kernel = kernel
        compiled = kernel.compile(tuple(_type_of(argument) for argument in arguments))
        library = getattr(compiled, "_codelibrary", None)
        find = getattr(library, "get_cufunc", None)
        self.handle = None if find is None else getattr(find(), "handle", None)
        if self.handle is None:
            return
        compiled.bind()
        self.start = driver.cuLaunchCooperativeKernel if compiled.cooperative else driver.cuLaunchKernel
        self.rest = () if compiled.cooperative else (0,)
        self.handle = driver.CUfunction(int(self.handle))
        formats = [
            "q" * len(argument.numbers) if isinstance(argument, Array) else "d" if isinstance(argument, float) else "q"
            for argument in arguments
        ]
        self.layout = struct.Struct("=" + "".join(formats))
        # The driver reads the numbers from where `places` says, before it returns.
        self.room = np.zeros(self.layout.size // 8, np.int64)
        self.offsets = self.room.ctypes.data + 8 * np.arange(len(self.room), dtype=np.uint64)
        self.address, self.turn = self.offsets.ctypes.data, threading.Lock()

    def __call__(self, blocks, stream, arguments, numbers):
        if self.handle is None:
            self.kernel[blocks, THREADS, stream](*map(_view, arguments))
            return
        with self.turn:
            self.layout.pack_into(self.room, 0, *numbers)
            (error,) = self.start(
                self.handle, blocks, 1, 1, THREADS, 1, 1, 0, handle_of(stream), self.address, *self.rest
            )
        if int(error) != 0:
            raise RuntimeError(f"the GPU could not start {self.kernel.__name__}: {error.name}")


def _view(argument):
    """An argument as numba-cuda takes it."""
    if not isinstance(argument, Array):
        return argument
    shape = argument.numbers[5 : 5 + int(argument.kind[3:])]
    return cuda.as_cuda_array(argument.owner).reshape(shape)


def _type_of(argument):
    if isinstance(argument, Array):
        return types.Array(from_dtype(np.dtype(argument.kind[:3])), int(argument.kind[3:]), "C")
    return types.float64 if isinstance(argument, float) else types.int64


_functions: dict[tuple, _Function] = {}


def handle_of(stream) -> int:
    """The driver's number of a stream of numba-cuda; 0 is the default stream, here and there."""
    return int(stream.handle) if stream else 0


def launch_on(stream, kernel, blocks, *arguments):
    """Start a kernel, on a stream or 0. `arguments` are of `as_argument`, whole numbers (int) and real ones (float)."""
    _, context = driver.cuCtxGetCurrent()
    if not int(context):
        cuda.current_context()  # which makes it current
        _, context = driver.cuCtxGetCurrent()
    kinds, numbers = [], []
    for argument in arguments:
        if type(argument) is Array:
            kinds.append(argument.kind)
            numbers += argument.numbers
        else:
            kinds.append(type(argument))
            numbers.append(argument)
    key = kernel, int(context), *kinds
    function = _functions.get(key)
    if function is None:
        function = _functions[key] = _Function(kernel, arguments)
    function(blocks, stream, arguments, numbers)


def launch(kernel, tasks, *arguments):
    """Start a kernel with a block a task, or as many as the GPU is well served with: each takes several then.

    `arguments` are what `flat` has made of arrays, and numbers.
    """
    if tasks <= 0:
        return
    blocks = min(tasks, MOST_BLOCKS)
    if IS_SIMULATED:
        kernel[blocks, THREADS](*arguments)
        return
    launch_on(0, kernel, blocks, *arguments)
    for argument in arguments:
        if isinstance(argument, Array) and argument.host is not None:
            argument.owner.copy_to_host(argument.host)
