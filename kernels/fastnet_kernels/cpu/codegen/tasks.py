"""A kernel's work as tasks that threads share, without a parallel loop of each kernel's own.

Numba compiles a parallel loop as a function of its own, with wrappers around it, which takes longer than all the rest
of a small kernel. Here one loop, compiled once, serves all of them: it calls a task by its address.
"""

import ctypes
import os

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import prange
from numba.core import cgutils, types
from numba.extending import intrinsic

from ...first_use import has_started_threads
from .compiling import global_variable, inner, routine

# 1 while a kernel's tasks are shared, and in a process forked after threads were started, which GNU OpenMP does not
# survive: tasks run on the caller's thread then, with the same results. Numba's "workqueue" allows no two at once.
_threads_in_use = ctypes.c_int64(0)
llvmlite.binding.add_symbol("fastnet_kernels.threads_in_use", ctypes.addressof(_threads_in_use))


def _after_fork():
    if has_started_threads():
        _threads_in_use.value = 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_TASK = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), ir.IntType(64)])


@intrinsic
def _call(typing_context, function, data, task):
    """Call the task of that number: `function` and `data` are addresses."""

    def generate(context, builder, signature, arguments):
        function = builder.inttoptr(arguments[0], _TASK.as_pointer())
        builder.call(function, [builder.inttoptr(arguments[1], _TASK.args[0]), arguments[2]])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.int64), generate


@routine(parallel=True)
def _share_out(count, function, data):
    for task in prange(count):
        _call(function, data, np.int64(task))


@intrinsic
def _n_threads(typing_context):
    """How many threads `prange` has in the calling thread: what numba.get_num_threads says, which cannot be cached."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(64), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "get_num_threads"), [])

    return types.intp(), generate


@intrinsic
def _set_in_use(typing_context, value):
    """Whether threads are in use from now on, 1 or 0; returns what was the case before."""

    def generate(context, builder, signature, arguments):
        name, index = "fastnet_kernels.threads_in_use", ir.IntType(64)
        variable = global_variable(builder.module, index, name)
        return builder.atomic_rmw("xchg", variable, arguments[0], "acq_rel")

    return types.int64(types.int64), generate


@intrinsic
def _prepared(typing_context, task, arguments):
    """The addresses of a function that calls `task` with its number and the arguments, and of these on the stack."""
    called = typing_context.resolve_function_type(task, (types.int64, *arguments), {})

    def generate(context, builder, signature, values):
        wanted = called.args[1:]
        values = [
            context.cast(builder, value, have, want)
            for value, have, want in zip(cgutils.unpack_tuple(builder, values[1]), arguments, wanted, strict=True)
        ]
        kept = ir.LiteralStructType([context.get_value_type(kind) for kind in wanted])
        data = cgutils.alloca_once(builder, kept)
        for i, value in enumerate(values):
            builder.store(value, cgutils.gep_inbounds(builder, data, 0, i))

        module = builder.module
        function = ir.Function(module, _TASK, module.get_unique_name("fastnet_kernels.task"))
        function.linkage = "internal"
        inside = ir.IRBuilder(function.append_basic_block("entry"))
        pointer = inside.bitcast(function.args[0], kept.as_pointer())
        fields = [inside.load(cgutils.gep_inbounds(inside, pointer, 0, i)) for i in range(len(wanted))]
        context.get_function(task, called)(inside, [function.args[1], *fields])
        inside.ret_void()

        addresses = [builder.ptrtoint(value, ir.IntType(64)) for value in (function, data)]
        return context.make_tuple(builder, signature.return_type, addresses)

    return types.UniTuple(types.intp, 2)(task, arguments), generate


@inner
def run_tasks(count, is_shared, task, arguments):
    """Call task(t, *arguments) for all t < count: on all threads if they are to share them, else one after the other.

    `task` is a `routine`, `arguments` a tuple. Which thread has which task is not known: no two may write the same.
    """
    function, data = _prepared(task, arguments)
    if is_shared and count > 1 and _n_threads() > 1 and _set_in_use(1) == 0:
        _share_out(count, function, data)
        _set_in_use(0)
    else:
        for t in range(count):
            _call(function, data, t)
