"""How every CUDA kernel is compiled, and how GPU code calls GPU code. The only import of `numba.cuda`.

With NUMBA_ENABLE_CUDASIM=1 in the environment the same kernels run in Numba's simulator, as Python: it shows what they
compute, with as many blocks and threads as `target` says, and none of what only a GPU has.
"""

import contextlib
import functools
import importlib
import importlib.util

import numpy as np

from ...sources import SOURCES
from ..target import IS_SIMULATED, THREADS

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

    def by_dtype(of_floats, of_doubles):
        """GPU code of two kinds: for an array of float32 as the first argument, or of float64."""
        return lambda numbers, *rest: (of_floats if numbers.itemsize == 4 else of_doubles)(numbers, *rest)

    def kernel(function=None, *, blocks=None):
        """A kernel, launched by `launch`."""
        return cuda.jit if function is None else cuda.jit(function)

else:
    from numba import from_dtype  # noqa: F401
    from numba.cuda import types  # noqa: F401
    from numba.cuda.core import event  # noqa: F401
    from numba.cuda.core.caching import IndexDataCacheFile
    from numba.cuda.cudadrv.devicearray import DeviceNDArray  # noqa: F401
    from numba.cuda.dispatcher import CUDACache
    from numba.cuda.extending import intrinsic, overload  # noqa: F401

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

    def by_dtype(of_floats, of_doubles):
        """GPU code of two kinds: for an array of float32 as the first argument, or of float64. One is compiled."""

        def chosen(numbers, *rest):
            raise NotImplementedError("for GPU code alone")

        @overload(chosen, strict=False, inline="always")
        def choose(numbers, *rest):
            return (of_floats if numbers.dtype.bitwidth == 32 else of_doubles).py_func

        return chosen

    def kernel(function=None, *, blocks=None):
        """A kernel, launched by `launch`. A multiprocessor has registers for so many blocks, if that is said."""
        if function is None:
            return functools.partial(kernel, blocks=blocks)
        bounds = THREADS if blocks is None else (THREADS, blocks)
        dispatcher = cuda.jit(launch_bounds=bounds)(function)
        # Where no folder can be written to, there is no place for a cache: then every process compiles anew.
        with contextlib.suppress(RuntimeError):
            dispatcher._cache = _PackageCache(function)
        return dispatcher
