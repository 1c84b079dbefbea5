"""bf16x3: a float32 number as the sum of three bfloat16 ones, which AMX multiplies.

bfloat16 keeps 8 of the 24 bits. x_1 is x rounded to it, x_2 what is then missing, rounded, and x_3 the rest: x = x_1 +
x_2 + x_3 without an error. Of the nine products x_i y_j six are summed; those of x_2 y_3, x_3 y_2 and
x_3 y_3 together are less than 2^-23 of |x y|, and as often above zero as below. Numbers from 3.39e38 on, which bfloat16
rounds to infinity, and what is not finite have an x_1 that is not either. The method is that of Henry, Tang and
Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations" (2019).
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..codegen.simd import Buffer, Operand, first_lanes, transposed
from .amx import TILE_NUMBERS
from .load_convert import Reader

_HALF, _UPPER = 0x8000, 0xFFFF0000


def _rounded(builder, numbers):
    """x_1, x_2 and x_3: three vectors of integers, of whose bits the upper half are the bfloat16 number."""
    whole = ir.VectorType(ir.IntType(32), numbers.type.count)

    def all_lanes(bits):
        return ir.Constant(whole, [bits] * numbers.type.count)

    found = []
    for _ in range(2):
        bits = builder.add(builder.bitcast(numbers, whole), all_lanes(_HALF))
        rounded = builder.and_(bits, all_lanes(_UPPER))
        found.append(rounded)
        numbers = builder.fsub(numbers, builder.bitcast(rounded, numbers.type))
    found.append(builder.and_(builder.bitcast(numbers, whole), all_lanes(_UPPER)))
    return found


def _store_pairs(builder, target, offset, first, second):
    """Store the bf16x3 of two vectors, lane by lane beside each other; from x_1 to x_2 to x_3 are two tiles."""
    size = ir.Constant(ir.VectorType(ir.IntType(32), first.type.count), [16] * first.type.count)
    for i, (low, high) in enumerate(zip(_rounded(builder, first), _rounded(builder, second), strict=True)):
        pair = builder.or_(builder.lshr(low, size), high)
        pointer = target.at(offset, ir.IntType(64)(2 * TILE_NUMBERS * i))
        target.store_vector(builder.bitcast(pair, target.vector), pointer)


def _store_transposed(builder, target, offset, load):
    """Store the bf16x3 of a tile: row r of number r of load(0) to load(15), and beside each of load(16) to load(31)."""
    halves = [transposed(builder, [load(first + i) for i in range(target.lanes)]) for first in (0, target.lanes)]
    for r, (low, high) in enumerate(zip(*halves, strict=True)):
        _store_pairs(builder, target, builder.add(offset, ir.IntType(64)(r * target.lanes)), low, high)


@intrinsic
def bf16x3_pairs(typing_context, packed, t, source, first, second, first_count, second_count, rescale):
    """A row of a tile, from t on: the bf16x3 of source[first + i] beside those of source[second + i], i < 16.

    Numbers are read as scale x + shift; `source` may be uint8. What lies beyond a vector's count, 0 to 16, is read as
    0; counts of None stand for 16.
    """

    def generate(context, builder, signature, arguments):
        _, t, _, *offsets, first_count, second_count, scaling = arguments
        target, given = (Buffer(context, builder, signature.args[i], arguments[i]) for i in (0, 2))
        if packed.dtype == types.float32:
            reader, vectors = Reader(builder, given, target, scaling), []
            for offset, count in zip(offsets, (first_count, second_count), strict=True):
                is_part = not isinstance(signature.args[5], types.NoneType)
                mask = first_lanes(builder, target.vector, count) if is_part else None
                vectors.append(reader.read(given.at(offset), mask))
            _store_pairs(builder, target, t, *vectors)
        return context.get_dummy_value()

    offset = types.intp
    return types.void(packed, offset, source, offset, offset, first_count, second_count, rescale), generate


@intrinsic
def bf16x3_columns(typing_context, packed, t, source, s, stride, columns, depth):
    """Tiles of x_1, x_2 and x_3, from t on: row r, r < `columns`, of numbers source[s + r + k stride], k < `depth`.

    Both counts are at most the tile's, 16 and 32. What is beyond the depth is 0.
    """

    def generate(context, builder, signature, arguments):
        _, t, _, s, stride, columns, depth = arguments
        target, given = (Buffer(context, builder, signature.args[i], arguments[i]) for i in (0, 2))
        number = ir.IntType(64)

        def store(is_part):
            def load(k):
                count = builder.select(builder.icmp_signed("<", number(k), depth), columns, number(0))
                mask = first_lanes(builder, given.vector, count) if is_part else None
                return given.load_vector(given.at(s, builder.mul(stride, number(k))), mask)

            _store_transposed(builder, target, t, load)

        if packed.dtype == types.float32:
            is_wide = builder.icmp_signed("==", columns, number(target.lanes))
            is_deep = builder.icmp_signed("==", depth, number(2 * target.lanes))
            with builder.if_else(builder.and_(is_wide, is_deep)) as (whole, part):
                with whole:
                    store(is_part=False)
                with part:
                    store(is_part=True)
        return context.get_dummy_value()

    offset = types.intp
    return types.void(packed, offset, source, offset, offset, offset, offset), generate


@intrinsic
def bf16x3_samples(typing_context, packed, t, source, first, width, rescale):
    """Tiles of x_1, x_2 and x_3, from t on: row k of numbers source[first + i, k], i < 16, k < `width`, of `Rows`.

    Numbers are read as scale x + shift; `source` may be uint8. The width is at most 32; what is beyond it is read as 0.
    """

    def generate(context, builder, signature, arguments):
        _, t, _, first, width, scaling = arguments
        target = Buffer(context, builder, signature.args[0], arguments[0])
        given = Operand(context, builder, signature.args[2], arguments[2])
        rows = Buffer(context, builder, signature.args[2][3], given.index)
        number = ir.IntType(64)

        def store(is_part):
            offsets = [rows.load(rows.at(first, number(i))) for i in range(target.lanes)]
            offsets = [builder.add(given.offset, builder.mul(offset, given.row_stride)) for offset in offsets]

            def load(i):
                start = number(i // target.lanes * target.lanes)
                mask = first_lanes(builder, target.vector, builder.sub(width, start)) if is_part else None
                return reader.read(given.at(offsets[i % target.lanes], start), mask)

            _store_transposed(builder, target, t, load)

        if packed.dtype == types.float32:
            reader = Reader(builder, given, target, scaling)
            with builder.if_else(builder.icmp_signed("==", width, number(2 * target.lanes))) as (whole, part):
                with whole:
                    store(is_part=False)
                with part:
                    store(is_part=True)
        return context.get_dummy_value()

    offset = types.intp
    return types.void(packed, offset, source, offset, offset, rescale), generate
