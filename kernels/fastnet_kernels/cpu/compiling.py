"""How every CPU kernel is compiled and where its machine code is kept.

Numba's own `cache=True` looks at one function's file only, so that an edit in a function that is inlined elsewhere
leaves the caller stale. Here the cache is keyed on all sources of the package: no edit and no upgrade can be missed.
"""

import hashlib
from pathlib import Path

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

# Everything of fastmath except "nnan" and "ninf": those would let LLVM assume that no NaN can occur, and a diverging
# training could no longer be seen.
FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}

_PACKAGE = Path(__file__).parents[1]
_SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_PACKAGE.rglob("*.py")))).hexdigest()


class _PackageCache(FunctionCache):
    """Numba's on-disk cache of one function, fresh only while no source of the package has changed."""

    def __init__(self, py_func):
        super().__init__(py_func)
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, source_stamp=_SOURCES)


def _compiled(function, parallel):
    dispatcher = njit(parallel=parallel, fastmath=FASTMATH, error_model="numpy", nogil=True)(function)
    try:
        dispatcher._cache = _PackageCache(function)
    except RuntimeError:
        pass  # no folder can be written to: compile anew in every process
    return dispatcher


def kernel(function):
    """Compile a public kernel: its `prange` loops run on all threads."""
    return _compiled(function, parallel=True)


def inner(function):
    """Compile a building block that kernels call from inside their parallel loops: it runs on the caller's thread."""
    return _compiled(function, parallel=False)
