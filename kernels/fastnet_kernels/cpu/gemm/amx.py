"""AMX, products of small matrices on Intel's processors: its instructions, and the system's leave to use them.

It has eight tiles, each of 16 rows of 64 bytes. One instruction adds to a tile of C, 16 x 16 float32 numbers, the
product of a tile of A and one of B: 16 x 32 and 32 x 16 numbers of bfloat16. A row of a tile of A belongs to a row of
C, and holds the numbers k and k + 16 beside each other; row k of a tile of B holds the same of each column.

Read `bf16x3` next, which makes three bfloat16 of a float32, and then `gemm_bf16x3`, which multiplies panels.
"""

import ctypes
import functools
import operator
import os
import platform
import sys

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..codegen.processor import HAS_AMX
from ..codegen.simd import Buffer, Operand

TILE_ROWS = 16
TILE_NUMBERS = 256  # in words of 4 bytes: a float32 number, or two of bfloat16
_ROW_BYTES = 64
_REQUEST_PERMISSION, _TILE_DATA, _ARCH_PRCTL = 0x1023, 18, 158  # ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA, the call


@functools.cache
def may_be_used():
    """Whether there is AMX, and Linux lets this process use it.

    FASTNET_MATRIX_UNIT=0 in the environment says no.
    """
    if not HAS_AMX or os.environ.get("FASTNET_MATRIX_UNIT") == "0":
        return False
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return False
    return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0


def _emit(builder, name, *arguments):
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments)


class _Tiles:
    """The tiles inside generated code, by their numbers."""

    def __init__(self, builder):
        self.builder = builder

    def _number(self, tile):
        return ir.IntType(8)(tile)

    def load(self, tile, pointer, row_bytes):
        _emit(self.builder, "tileloadd64", self._number(tile), self._bytes(pointer), row_bytes)

    def store(self, tile, pointer, row_bytes):
        _emit(self.builder, "tilestored64", self._number(tile), self._bytes(pointer), row_bytes)

    def accumulate(self, c, a, b):
        _emit(self.builder, "tdpbf16ps", *(self._number(tile) for tile in (c, a, b)))

    def _bytes(self, pointer):
        return self.builder.bitcast(pointer, ir.IntType(8).as_pointer())


def _is_there(dtype):
    return HAS_AMX and dtype == types.float32


@intrinsic
def open_tiles(typing_context, buffer, rows, columns):
    """Make the calling thread's tiles ready for a C of 1 to 32 rows and columns, in buffers of this kind."""

    def generate(context, builder, signature, arguments):
        if not _is_there(buffer.dtype):
            return context.get_dummy_value()
        byte, whole = ir.IntType(8), ir.IntType(64)(TILE_ROWS)
        setting = cgutils.alloca_once(builder, ir.ArrayType(byte, 64), zfill=True)

        def set_byte(offset, number):
            builder.store(builder.trunc(number, byte), cgutils.gep_inbounds(builder, setting, 0, offset))

        def sizes(extent):
            """Of the first tile and of the second one, which is not used where there is nothing left for it."""
            is_more = builder.icmp_signed(">", extent, whole)
            return builder.select(is_more, whole, extent), builder.select(is_more, builder.sub(extent, whole), whole)

        heights, widths = sizes(arguments[1]), sizes(arguments[2])
        set_byte(0, ir.IntType(64)(1))  # the only kind of setting there is
        tiles = [(heights[row], widths[column]) for row in range(2) for column in range(2)]  # of C
        tiles += [(height, whole) for height in heights] + [(whole, width) for width in widths]  # of A, of B
        for tile, (height, width) in enumerate(tiles):
            set_byte(16 + 2 * tile, builder.mul(width, ir.IntType(64)(4)))
            set_byte(48 + tile, height)
        _emit(builder, "ldtilecfg", builder.bitcast(setting, byte.as_pointer()))
        return context.get_dummy_value()

    return types.void(buffer, types.intp, types.intp), generate


@intrinsic
def close_tiles(typing_context, buffer):
    """The calling thread needs its tiles no more: they would have to be saved whenever it is interrupted."""

    def generate(context, builder, signature, arguments):
        if _is_there(buffer.dtype):
            _emit(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(buffer), generate


# Which x_i of A and of B are multiplied. From one pair to the next, one of them stays in its tiles.
_PAIRS = ((0, 2), (0, 1), (1, 1), (1, 0), (0, 0), (2, 0))


@intrinsic
def multiply_tiles(typing_context, down, across, C, packed, a, b, steps):
    """C[r, v] += sum_k A[r, k] B[k, v], for k < 32 `steps` and the rows and columns that tiles are open for.

    C is a `Matrix` of contiguous rows, and lies in `down` times `across` tiles, each 1 or 2 (literal). A and B are
    in `packed` from a and b on, as `bf16x3`: for each step of 32 two tiles of each of x_1, x_2 and x_3.
    """
    if not isinstance(down, types.IntegerLiteral) or not isinstance(across, types.IntegerLiteral):
        return None

    def generate(context, builder, signature, arguments):
        if not _is_there(C[0].dtype):
            return context.get_dummy_value()
        _, _, _, _, a, b, steps = arguments
        target = Operand(context, builder, signature.args[2], arguments[2])
        source = Buffer(context, builder, signature.args[3], arguments[3])
        number, unit = ir.IntType(64), _Tiles(builder)
        c_row_bytes, row_bytes = builder.mul(target.row_stride, number(4)), number(_ROW_BYTES)
        # Tiles 0 to 3 are C's, 4 and 5 A's, 6 and 7 B's.
        sums = [
            (row, column, 2 * row + column)
            for row in range(down.literal_value)
            for column in range(across.literal_value)
        ]

        def offset(row, column):
            down = builder.mul(target.row_stride, number(TILE_ROWS * row))
            return target.at(target.offset, down, number(TILE_ROWS * column))

        for row, column, tile in sums:
            unit.load(tile, offset(row, column), c_row_bytes)
        with cgutils.for_range(builder, steps) as loop:
            step = builder.mul(loop.index, number(6 * TILE_NUMBERS))

            def load(tile, start, which, i):
                offset = number((2 * which + i) * TILE_NUMBERS)
                unit.load(tile, source.at(start, step, offset), row_bytes)

            last = (None, None)
            for pair in _PAIRS:
                # Tiles are loaded just before they are needed: the unit is busy meanwhile.
                of_a, of_b = (new if new != old else None for new, old in zip(pair, last, strict=True))
                order = sums if of_a is not None else sorted(sums, key=operator.itemgetter(1))
                loaded = set()
                for row, column, tile in order:
                    for new, register, start, i in ((of_a, 4 + row, a, row), (of_b, 6 + column, b, column)):
                        if new is not None and register not in loaded:
                            load(register, start, new, i)
                            loaded.add(register)
                    unit.accumulate(tile, 4 + row, 6 + column)
                last = pair
        for row, column, tile in sums:
            unit.store(tile, offset(row, column), c_row_bytes)
        return context.get_dummy_value()

    offset = types.intp
    return types.void(down, across, C, packed, offset, offset, offset), generate
