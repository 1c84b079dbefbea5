"""How every CPU kernel is compiled, how kernels call each other, and where their machine code is kept.

Numba's own `cache=True` looks at one function's file only, so that an edit in a function that is inlined elsewhere
leaves the caller stale. Here the cache is keyed on all sources of the package: no edit and no upgrade can be missed.

Numba also copies the code of whatever a function calls into the function's own module, and optimises and emits it there
once more, at every level of the calls. `routine` is what larger pieces are instead: compiled once, kept in a file of
its own, and called through a symbol. What only some networks need is a lazy component, `routine(component=...)`: called
through a pointer that is empty until the component is loaded, at the latest by the first call. Nobody waits for what
they do not use.

All of this happens `apart`, one at a time. A name is registered when there is code behind it, never before: whatever
ends the work early, the next call goes on with what there is.
"""

import _thread
import ctypes
import hashlib
import os
import threading
import traceback

import llvmlite.binding
import numba
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.core.caching import FunctionCache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin

from ...codes import COMPONENT_NAMES
from ...first_use import apart, complain, safe_point, tell
from ...kept import Kept
from ...sources import SOURCES
from .bare_array import bare

if config.DISABLE_JIT:
    raise RuntimeError("fastnet's kernels exist only compiled: unset NUMBA_DISABLE_JIT")

# Everything of fastmath except "nnan" and "ninf": those would let LLVM assume that no NaN can occur, and a diverging
# training could no longer be seen.
FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}

OPTIONS = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, "_nrt": False}

_routines = {}  # by full name
_components = {}  # the component, of `codes`, that a routine belongs to, by full name
_symbols = {}  # name of a compiled routine in machine code: (full name, types of its arguments)
_pointers = {}  # by name in machine code: what a routine of a component is called through
_loaded_components = set()
_LOAD = "fastnet_kernels.load_component"


class _PackageCache(FunctionCache):
    """Numba's on-disk cache of one function, fresh only while no source of the package has changed.

    With each entry stands which routines it calls: they must be in memory before it is.
    """

    def __init__(self, py_func):
        super().__init__(py_func)
        self._cache_file = Kept(py_func, folder, numba.__version__, dumps)

    def save_overload(self, sig, data):
        if not self._impl.check_cachable(data):
            return
        module = data.library._final_module
        names = [found.name for found in (*module.functions, *module.global_variables)]
        called = [_symbols[name] for name in names if name in _symbols]
        self._cache_file.save(self._index_key(sig, data.codegen), (called, self._impl.reduce(data)))

    def load_overload(self, sig, target_context):
        target_context.refresh()
        found = self._cache_file.load(self._index_key(sig, target_context.codegen()))
        if found is None:
            return None
        called, code = found
        for name, argument_types in called:
            _load(name, argument_types)
        return self._impl.rebuild(target_context, code)


def _find_folder():
    """Where Numba would keep the code of this file's functions: all code is kept there. None if there is no folder."""
    try:
        return FunctionCache(_find_folder).cache_path
    except RuntimeError:
        complain(
            "save",
            "compiled kernels cannot be kept, and every run compiles again: set NUMBA_CACHE_DIR to a folder that can be"
            " written to",
        )
        return None


folder = _find_folder()


def _compiled(function, **options):
    return cached(njit(**options, **OPTIONS)(function), function)


def cached(dispatcher, function):
    """A dispatcher of Numba's whose code is kept on disk, and which compiles where no signal can tear it."""
    if folder is not None:
        dispatcher._cache = _PackageCache(function)
    compile_here = dispatcher.compile

    def compile_apart(sig):
        # Whoever compiles a function that calls this one has Numba's own lock: another thread would wait for it.
        return compile_here(sig) if global_compiler_lock.is_locked() else apart(lambda: compile_here(sig))

    dispatcher.compile = compile_apart
    return dispatcher


def parallel(function):
    """Compile a function for Python whose `prange` loops run on all threads."""
    return _compiled(function, parallel=True)


def serial(function):
    """Compile a function for Python that runs on the caller's thread, but for what it has tasks run for."""
    return _compiled(function)


def inner(function):
    """Compile a building block that kernels call from inside their parallel loops: it runs on the caller's thread.

    Its lines become the caller's own, before anything is compiled.
    """
    return njit(inline="always", forceinline=True, **OPTIONS)(function)


def routine(function=None, *, component=None, parallel=False):
    """Compile a larger building block once for all its callers. It returns nothing, and only kernels call it.

    In one that is `parallel`, `prange` loops run on all threads.

    One that belongs to a lazy component is compiled with all others of that component, when one of them is called or
    `load_component` is.
    """
    if function is None:
        return lambda function: routine(function, component=component, parallel=parallel)

    def stub(*arguments):
        raise NotImplementedError(f"{function.__name__} can be called from compiled code only")

    name = f"{function.__module__}.{function.__qualname__}"
    options = {"parallel": True} if parallel else {}
    _routines[name] = _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)
    if component is not None:
        _components[name] = component

    class _Template(AbstractTemplate):
        key = stub

        def generic(self, args, kws):
            argument_types = tuple(bare(kind) for kind in args)
            _load(name, argument_types)
            return signature(types.void, *argument_types)

    infer_global(stub, types.Function(_Template))

    @lower_builtin(stub, types.VarArg(types.Any))
    def _call(context, builder, sig, arguments):
        symbol = _symbol(name, sig.args)
        kind = context.call_conv.get_function_type(types.void, sig.args)
        if component is None:
            called = cgutils.get_or_insert_function(builder.module, kind, symbol)
        else:
            pointer = global_variable(builder.module, kind.as_pointer(), symbol)
            with builder.if_then(cgutils.is_null(builder, builder.load(pointer)), likely=False):
                number = ir.IntType(64)(component)
                load = ir.FunctionType(ir.VoidType(), [number.type])
                builder.call(cgutils.get_or_insert_function(builder.module, load, _LOAD), [number])
            called = builder.load(pointer)
        context.call_conv.call_function(builder, called, types.void, sig.args, arguments)
        return context.get_dummy_value()

    return stub


def global_variable(module, kind, name):
    """A variable that somebody else defines."""
    return module.globals[name] if name in module.globals else ir.GlobalVariable(module, kind, name)


def _symbol(name, argument_types):
    """A routine's name in machine code: equal in every process, and another one as soon as any source changes."""
    key = f"{name} {argument_types} {SOURCES}"
    return f"{name}.{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _load(name, argument_types):
    """Compile a routine, or load it from its cache, and make it known under its symbol."""
    symbol = _symbol(name, argument_types)
    if symbol in _symbols:
        return
    safe_point()
    if name not in _components:
        llvmlite.binding.add_symbol(symbol, _address(name, argument_types))
    else:
        is_wanted = _components[name] in _loaded_components
        pointer = ctypes.c_void_p(_address(name, argument_types) if is_wanted else None)
        llvmlite.binding.add_symbol(symbol, ctypes.addressof(pointer))
        _pointers[symbol] = pointer
    _symbols[symbol] = (name, argument_types)


def load_component(component):
    """Compile a lazy component, or load it from its cache: for all dtypes that are in use, now and later."""
    while empty := [
        symbol for symbol in _pointers if _components[_symbols[symbol][0]] == component and not _pointers[symbol]
    ]:
        for symbol in empty:
            safe_point()
            _pointers[symbol].value = _address(*_symbols[symbol])
    _loaded_components.add(component)


@ctypes.CFUNCTYPE(None, ctypes.c_int64)
def _load_from_compiled_code(component):
    """The last resort, for whoever calls kernels himself.

    No exception can pass through compiled code, which goes on with a call of what is loaded here.
    """
    is_interrupted = False
    while component not in _loaded_components:
        try:
            apart(lambda: load_component(component))
        except Exception:
            traceback.print_exc()
            tell(
                f"fastnet: the part for {COMPONENT_NAMES[component]} cannot be compiled: the kernel that needs it "
                "cannot go on\n"
            )
            os.abort()
        except BaseException:
            is_interrupted = True
    if is_interrupted:  # when the kernel has ended, or before: a handler runs once Python does
        threading.Timer(0.1, _thread.interrupt_main).start()


llvmlite.binding.add_symbol(_LOAD, ctypes.cast(_load_from_compiled_code, ctypes.c_void_p).value)


def _address(name, argument_types):
    """Of the machine code."""
    dispatcher = _routines[name]
    dispatcher.compile(argument_types)
    result = dispatcher.overloads[argument_types]
    return result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
