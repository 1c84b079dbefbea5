"""How every CPU kernel is compiled, how kernels call each other, and where their machine code is kept.

Numba's own `cache=True` looks at one function's file only, so that an edit in a function that is inlined elsewhere
leaves the caller stale. Here the cache is keyed on all sources of the package: no edit and no upgrade can be missed.

Numba also copies the code of whatever a function calls into the function's own module, and optimises and emits it there
once more, at every level of the calls. `routine` is what the larger parts are instead: compiled once, kept in a file of
its own, and called through a symbol. What only some networks need is `routine(part=...)`, called through a pointer that
is empty until that part is loaded, at the latest by the first call. Nobody waits for what he does not use.
"""

import contextlib
import ctypes
import hashlib

import llvmlite.binding
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin

from ..sources import SOURCES
from .lean import lean

# Everything of fastmath except "nnan" and "ninf": those would let LLVM assume that no NaN can occur, and a diverging
# training could no longer be seen.
FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}

_OPTIONS = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, "_nrt": False}

_routines = {}  # by full name
_parts = {}  # the part, of `codes`, that a routine belongs to, by full name
_symbols = {}  # name of a compiled routine in machine code: (full name, types of its arguments)
_pointers = {}  # by name in machine code: what a routine of a part is called through
_loaded_parts = set()
_LOAD = "fastnet_kernels.load_part"


class _PackageCache(FunctionCache):
    """Numba's on-disk cache of one function, fresh only while no source of the package has changed.

    Beside each entry stands which routines it calls: they must be in memory before it is.
    """

    def __init__(self, py_func):
        super().__init__(py_func)
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, source_stamp=SOURCES)

    def _called_key(self, sig, target_context):
        return ("called routines", *self._index_key(sig, target_context.codegen()))

    def save_overload(self, sig, data):
        module = data.library._final_module
        names = [found.name for found in (*module.functions, *module.global_variables)]
        called = [_symbols[name] for name in names if name in _symbols]
        with self._guard_against_spurious_io_errors():
            self._cache_file.save(self._called_key(sig, data.target_context), called)
        super().save_overload(sig, data)

    def load_overload(self, sig, target_context):
        target_context.refresh()
        with self._guard_against_spurious_io_errors():
            called = self._cache_file.load(self._called_key(sig, target_context))
            if called is None:
                return None
            for name, argument_types in called:
                _load(name, argument_types)
        return super().load_overload(sig, target_context)


def _compiled(function, **options):
    dispatcher = njit(**options, **_OPTIONS)(function)
    # Where no folder can be written to, Numba finds no place for a cache: then every process compiles anew.
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = _PackageCache(function)
    return dispatcher


def kernel(function):
    """Compile a public kernel: its `prange` loops run on all threads."""
    return _compiled(function, parallel=True)


def inner(function):
    """Compile a building block that kernels call from inside their parallel loops: it runs on the caller's thread.

    Its lines become the caller's own, before anything is compiled.
    """
    return njit(inline="always", **_OPTIONS)(function)


def routine(function=None, *, part=None):
    """The same for a larger piece: compiled once for all its callers. It returns nothing, and only kernels call it.

    One that belongs to a `part` is compiled with all others of that part, when one of them is called or `load_part` is.
    """
    if function is None:
        return lambda function: routine(function, part=part)

    def stub(*arguments):
        raise NotImplementedError(f"{function.__name__} can be called from compiled code only")

    name = f"{function.__module__}.{function.__qualname__}"
    _routines[name] = _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)
    if part is not None:
        _parts[name] = part

    class _Template(AbstractTemplate):
        key = stub

        def generic(self, args, kws):
            argument_types = tuple(lean(types.unliteral(kind)) for kind in args)
            _load(name, argument_types)
            return signature(types.void, *argument_types)

    infer_global(stub, types.Function(_Template))

    @lower_builtin(stub, types.VarArg(types.Any))
    def _call(context, builder, sig, arguments):
        symbol = _symbol(name, sig.args)
        kind = context.call_conv.get_function_type(types.void, sig.args)
        if part is None:
            called = cgutils.get_or_insert_function(builder.module, kind, symbol)
        else:
            pointer = _global(builder.module, kind.as_pointer(), symbol)
            with builder.if_then(cgutils.is_null(builder, builder.load(pointer)), likely=False):
                number = ir.IntType(64)(part)
                load = ir.FunctionType(ir.VoidType(), [number.type])
                builder.call(cgutils.get_or_insert_function(builder.module, load, _LOAD), [number])
            called = builder.load(pointer)
        context.call_conv.call_function(builder, called, types.void, sig.args, arguments)
        return context.get_dummy_value()

    return stub


def _global(module, kind, name):
    """A variable that somebody else defines."""
    return module.globals[name] if name in module.globals else ir.GlobalVariable(module, kind, name)


def _symbol(name, argument_types):
    """The same in every process, and another one as soon as any source changes."""
    asked = f"{name} {argument_types} {SOURCES}"
    return f"{name}.{hashlib.sha256(asked.encode()).hexdigest()[:16]}"


def _load(name, argument_types):
    """Compile a routine, or load it from its cache, and make it known under its symbol."""
    symbol = _symbol(name, argument_types)
    if symbol in _symbols:
        return
    _symbols[symbol] = (name, argument_types)
    if name not in _parts:
        llvmlite.binding.add_symbol(symbol, _address(name, argument_types))
        return
    _pointers[symbol] = ctypes.c_void_p()
    llvmlite.binding.add_symbol(symbol, ctypes.addressof(_pointers[symbol]))
    if _parts[name] in _loaded_parts:
        _pointers[symbol].value = _address(name, argument_types)


def load_part(part):
    """Compile a part, or load it from its cache: for all dtypes that are in use, now and later."""
    _loaded_parts.add(part)
    for symbol, pointer in list(_pointers.items()):
        name, argument_types = _symbols[symbol]
        if _parts[name] == part and not pointer.value:
            pointer.value = _address(name, argument_types)


@ctypes.CFUNCTYPE(None, ctypes.c_int64)
def _load_from_compiled_code(number):
    load_part(number)


llvmlite.binding.add_symbol(_LOAD, ctypes.cast(_load_from_compiled_code, ctypes.c_void_p).value)


def _address(name, argument_types):
    """Of the machine code."""
    dispatcher = _routines[name]
    dispatcher.compile(argument_types)
    result = dispatcher.overloads[argument_types]
    return result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
