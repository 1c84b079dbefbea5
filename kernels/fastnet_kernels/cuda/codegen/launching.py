"""How kernels are started: what is known of a kernel and its kinds of arguments is looked up once.

numba-cuda's own launch looks at every argument anew, for 80 to 270 us a call on an H100's host: longer than most
kernels take. This one packs the arguments' numbers side by side and hands them to the driver.

It knows of numba-cuda that the driver's handle of a compiled kernel is `_codelibrary.get_cufunc().handle`, and that the
kernel takes a C-contiguous array as memory information and parent (both 0), size, bytes of a number, address, shape and
strides. Where a release has no such handle, numba-cuda launches.
"""

import struct
import threading

import numpy as np

from ..target import IS_SIMULATED, MOST_BLOCKS, THREADS
from .arrays import Array
from .compiling import cuda

if not IS_SIMULATED:
    from cuda.bindings import driver

    from .compiling import from_dtype, types


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
        # The driver reads the numbers at the addresses in `pointers`, before it returns.
        self.values = np.zeros(self.layout.size // 8, np.int64)
        self.pointers = self.values.ctypes.data + 8 * np.arange(len(self.values), dtype=np.uint64)
        self.address, self.lock = self.pointers.ctypes.data, threading.Lock()

    def __call__(self, blocks, stream, arguments, numbers):
        if self.handle is None:
            self.kernel[blocks, THREADS, stream](*map(_view, arguments))
            return
        with self.lock:
            self.layout.pack_into(self.values, 0, *numbers)
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
    """Start a kernel with a block a task, or as many as MOST_BLOCKS, which take several each.

    `arguments` are what `flat` has made of arrays, and numbers.
    """
    if tasks <= 0:
        return
    blocks = min(tasks, MOST_BLOCKS)
    if IS_SIMULATED:
        # Its own copies would be two of an array that is given twice, and the last one that comes back would count.
        arrays = {id(argument): argument for argument in arguments if isinstance(argument, np.ndarray)}
        copies = {key: cuda.to_device(array) for key, array in arrays.items()}
        kernel[blocks, THREADS](*(copies.get(id(argument), argument) for argument in arguments))
        for key, array in arrays.items():
            if array.flags.writeable:
                copies[key].copy_to_host(array)
        return
    launch_on(0, kernel, blocks, *arguments)
    for argument in arguments:
        if isinstance(argument, Array) and argument.host is not None:
            argument.owner.copy_to_host(argument.host)
