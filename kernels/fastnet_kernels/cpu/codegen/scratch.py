"""Memory for use inside a kernel, which goes back when the kernel ends and is kept for the next one.

Fresh memory of the system costs a page fault for every 4096 bytes, as long as it takes to fill them. So a few pieces
are kept. A thread takes one out of its slot by one atomic instruction, so that no other can have it, and allocates
where there is none that is large enough.
"""

import ctypes
import os
import sys

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ...first_use import tell
from .arrays import numbers_at
from .compiling import global_variable, inner, routine

_SLOTS = 16
_LINE = 64
_LARGEST = 1 << 26  # bytes that are kept in a slot; what is larger goes back to the system
_slots = (ctypes.c_int64 * _SLOTS)()
_library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)


@ctypes.CFUNCTYPE(None, ctypes.c_int64)
def _tell_and_abort(n_bytes):
    tell(f"fastnet: there is no memory for {n_bytes} bytes that a kernel needs: it cannot go on\n")
    os.abort()


for _name, _address in (
    ("scratch_slots", ctypes.addressof(_slots)),
    ("allocate", ctypes.cast(_library.malloc, ctypes.c_void_p).value),
    ("give_up", ctypes.cast(_tell_and_abort, ctypes.c_void_p).value),
    ("free", ctypes.cast(_library.free, ctypes.c_void_p).value),
):
    llvmlite.binding.add_symbol(f"fastnet_kernels.{_name}", _address)
_INDEX = ir.IntType(64)


def _slot(builder, place):
    slots = global_variable(builder.module, ir.ArrayType(_INDEX, _SLOTS), "fastnet_kernels.scratch_slots")
    return builder.gep(slots, [_INDEX(0), place], inbounds=True)


@intrinsic
def _exchange(typing_context, place, address):
    """Put an address in a slot; returns what was there."""

    def generate(context, builder, signature, arguments):
        return builder.atomic_rmw("xchg", _slot(builder, arguments[0]), arguments[1], "acq_rel")

    return types.int64(types.int64, types.int64), generate


def _call(builder, name, result, arguments):
    """Call one of the functions above, which take a number."""
    kind = ir.FunctionType(result, [_INDEX])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"fastnet_kernels.{name}"), arguments)


@intrinsic
def _allocate(typing_context, n_bytes):
    """The address of new memory; 0 if there is none."""

    def generate(context, builder, signature, arguments):
        return _call(builder, "allocate", _INDEX, arguments)

    return types.int64(types.int64), generate


@intrinsic
def _free(typing_context, address):
    def generate(context, builder, signature, arguments):
        _call(builder, "free", ir.VoidType(), arguments)
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def _give_up(typing_context, n_bytes):
    """There is no memory. No exception can pass through compiled code: the process ends, with a line that says why."""

    def generate(context, builder, signature, arguments):
        _call(builder, "give_up", ir.VoidType(), arguments)
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def _word(typing_context, address):
    def generate(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], _INDEX.as_pointer()))

    return types.int64(types.int64), generate


@intrinsic
def _set_word(typing_context, address, value):
    def generate(context, builder, signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], _INDEX.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@inner
def take(n_bytes):
    """The address of a piece of memory of at least so many bytes, for `numbers_in` and in the end `give_back`."""
    piece = 0
    for place in range(_SLOTS):
        if piece == 0:
            piece = _exchange(place, 0)
            if piece != 0 and _word(piece) < n_bytes:
                _free(piece)
                piece = 0
    if piece == 0:
        piece = _allocate(n_bytes + 2 * _LINE)
        if piece == 0:
            _give_up(n_bytes)
        _set_word(piece, n_bytes)
    return piece


@inner
def numbers_in(piece, like, offset, count):
    """`count` numbers of the dtype of the array `like`, from number `offset` of the piece on, which begins a line."""
    first = (piece + 2 * _LINE - 1) // _LINE * _LINE  # behind the word that says how large the piece is
    return numbers_at(like, first + offset * like.itemsize, count)


@routine
def give_back(piece):
    """Keep a piece of memory for whoever takes one next."""
    if _word(piece) <= _LARGEST:
        for place in range(_SLOTS):
            piece = _exchange(place, piece)
            if piece == 0:
                return
    _free(piece)
