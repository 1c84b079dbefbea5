"""How every CPU kernel is compiled and where its machine code is kept.

Numba's own `cache=True` looks at one function's file only, so that an edit in a function that is inlined elsewhere
leaves the caller stale. Here the cache is keyed on all sources of the package: no edit and no upgrade can be missed.
"""

import contextlib
import hashlib
from pathlib import Path

from numba import njit, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic

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


_OPTIONS = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True}


def kernel(function):
    """Compile a public kernel: its `prange` loops run on all threads."""
    dispatcher = njit(parallel=True, **_OPTIONS)(function)
    # Where no folder can be written to, Numba finds no place for a cache: then every process compiles anew.
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = _PackageCache(function)
    return dispatcher


def inner(function):
    """Compile a building block that kernels call from inside their parallel loops: it runs on the caller's thread.

    Its lines become the caller's own, before anything is compiled.
    """
    return njit(inline="always", **_OPTIONS)(function)


def subroutine(function):
    """The same, but compiled on its own, once for all its callers; it says `stay_out_of_line()` first.

    It can be called from compiled code only, and it is kept on disk as a part of its callers only: without an entry
    from Python and a file of its own it compiles in half the time.
    """
    return njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(function)


@intrinsic
def stay_out_of_line(typing_context):
    """Called anywhere in a function: LLVM makes no copies of it in its callers, which compile the faster for that."""

    def generate(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate
