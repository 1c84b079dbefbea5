"""How every CUDA kernel is compiled and launched, and how GPU code calls GPU code. The only import of `numba.cuda`.

With NUMBA_ENABLE_CUDASIM=1 in the environment the same kernels run in Numba's simulator, as Python: it shows what they
compute, with as many blocks and threads as `sizes` says, and none of what only a GPU has.
"""

import contextlib
import importlib
import importlib.util

import numpy as np

from ..sources import SOURCES
from .sizes import IS_SIMULATED, MOST_BLOCKS, THREADS

if importlib.util.find_spec("numba_cuda") is None:
    raise ImportError("CUDA kernels need the package numba-cuda: pip install 'fastnet-numba[cuda]'")

# numba-cuda 0.30 looks for a function that NumPy 2.5 has dropped, once, when it imports this module.
if IS_SIMULATED or hasattr(np, "row_stack"):
    from numba import cuda
else:
    np.row_stack = np.vstack  # type: ignore[attr-defined]
    try:
        from numba import cuda

        importlib.import_module("numba.cuda.np.arrayobj")
    finally:
        del np.row_stack  # type: ignore[attr-defined]

from numba.cuda import cg  # noqa: F401 - for others, as `event`, `intrinsic` and `types`: they come after the mend


def why_not() -> str | None:
    """Why CUDA kernels cannot run here; None where they can."""
    if IS_SIMULATED or cuda.is_available():
        return None
    error = " ".join(str(cuda.cuda_error() or "there is none").split()).rstrip(".")
    return f"no CUDA GPU can be used ({error}): check what nvidia-smi says"


if IS_SIMULATED:

    def inner(function):
        """GPU code that asks for its thread, or waits for others, and is called from kernels."""
        return cuda.jit(device=True)(function)

    def formula(function):
        """GPU code of numbers alone, called from other GPU code."""
        return function

    def kernel(function):
        """A kernel, launched by `launch`."""
        return cuda.jit(function)

else:
    from numba.cuda import types  # noqa: F401
    from numba.cuda.core import event  # noqa: F401
    from numba.cuda.core.caching import IndexDataCacheFile
    from numba.cuda.dispatcher import CUDACache
    from numba.cuda.extending import intrinsic  # noqa: F401

    # The event that tells of a kernel being compiled. Of one that comes from the cache there is none.
    COMPILES = "numba-cuda:run_pass"

    class _PackageCache(CUDACache):
        """numba-cuda's on-disk cache of one kernel, fresh only while no source of the package has changed."""

        def __init__(self, py_func):
            super().__init__(py_func)
            self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, source_stamp=SOURCES)

    def inner(function):
        """GPU code that asks for its thread, or waits for others, and is called from kernels."""
        return cuda.jit(device=True, forceinline=True)(function)

    formula = inner

    def kernel(function):
        """A kernel, launched by `launch`."""
        dispatcher = cuda.jit(launch_bounds=THREADS)(function)
        # Where no folder can be written to, there is no place for a cache: then every process compiles anew.
        with contextlib.suppress(RuntimeError):
            dispatcher._cache = _PackageCache(function)
        return dispatcher


def launch(kernel, tasks, *arguments):
    """Start a kernel with a block a task, or as many as the GPU is well served with: each takes several then."""
    if tasks > 0:
        kernel[min(tasks, MOST_BLOCKS), THREADS](*arguments)


def flat(*arrays):
    """The arrays as vectors.

    Raises ValueError for one whose numbers do not lie side by side, or of another dtype than the first.
    """
    for array in arrays:
        if array.dtype != arrays[0].dtype or array.dtype.kind != "f":
            raise ValueError(
                f"arrays of {arrays[0].dtype} and {array.dtype}: give all of them as float32, or as float64"
            )
        if array.size and not array.flags["C_CONTIGUOUS"]:
            raise ValueError("CUDA kernels want C-contiguous arrays: give numpy.ascontiguousarray of them")
    return [array.reshape(-1) for array in arrays]
