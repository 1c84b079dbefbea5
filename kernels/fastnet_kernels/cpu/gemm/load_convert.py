"""Samples on their way into panels: converted from uint8, scaled, and turned."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..codegen.simd import Buffer, broadcast, first_lanes, fused_multiply_add, transposed


class Reader:
    """Inside generated code: vectors of `target` that are scale * x + shift, with x of `source`, floating or uint8."""

    def __init__(self, builder, source, target, scale, shift):
        self.builder, self.source, self.target = builder, source, target
        self.given = ir.VectorType(source.element, target.lanes)
        self.scale, self.shift = (broadcast(builder, target.vector, number) for number in (scale, shift))

    def read(self, pointer, mask=None):
        numbers = self.source.load_vector(pointer, mask, self.given)
        if self.given != self.target.vector:
            numbers = self.builder.uitofp(numbers, self.target.vector)
        return fused_multiply_add(self.builder, self.scale, numbers, self.shift)


@intrinsic
def read_vectors(typing_context, count, target, t, source, s, scale, shift):
    """target[t + c] = scale * source[s + c] + shift, for c below the width of `count` (a literal number of) vectors.

    Flat buffers; `source` may be uint8.
    """
    if not isinstance(count, types.IntegerLiteral):
        return None

    def generate(context, builder, signature, arguments):
        _, _, t, _, s, scale, shift = arguments
        target, source = (Buffer(context, builder, signature.args[i], arguments[i]) for i in (1, 3))
        reader = Reader(builder, source, target, scale, shift)
        for v in range(count.literal_value):
            by = ir.IntType(64)(v * target.lanes)
            target.store_vector(reader.read(source.at(s, by)), target.at(t, by))
        return context.get_dummy_value()

    offset, kind = types.intp, target.dtype
    return types.void(count, target, offset, source, offset, kind, kind), generate


@intrinsic
def transpose(typing_context, target, t, t_row, source, s, rows, first, row_size, width, scale, shift):
    """target[t + k t_row + i] = scale * source[s + rows[first + i] row_size + k] + shift, for i < LANES, k < width.

    `target` is a flat buffer of floating numbers, `source` one of the same or of uint8. A `width`
    of None stands for LANES.
    """

    def generate(context, builder, signature, arguments):
        _, t, t_row, _, s, _, first, row_size, width, scale, shift = arguments
        target, source, rows = (Buffer(context, builder, signature.args[i], arguments[i]) for i in (0, 3, 5))
        reader = Reader(builder, source, target, scale, shift)
        lanes, index = target.lanes, ir.IntType(64)

        def read(mask=None):
            found = []
            for i in range(lanes):
                row = rows.load(rows.at(first, index(i)))
                found.append(reader.read(source.at(s, builder.mul(row, row_size)), mask))
            return transposed(builder, found)

        def store(numbers, k):
            target.store_vector(numbers, target.at(t, builder.mul(index(k), t_row)))

        def whole():
            for k, numbers in enumerate(read()):
                store(numbers, k)

        if isinstance(signature.args[8], types.NoneType):
            whole()
            return context.get_dummy_value()
        with builder.if_else(builder.icmp_signed("==", width, index(lanes))) as (is_whole, is_part):
            with is_whole:
                whole()
            with is_part:
                for k, numbers in enumerate(read(first_lanes(builder, target.vector, width))[:-1]):
                    with builder.if_then(builder.icmp_signed("<", index(k), width)):
                        store(numbers, k)
        return context.get_dummy_value()

    offset, kind = types.intp, target.dtype
    return types.void(target, offset, offset, source, offset, rows, offset, offset, width, kind, kind), generate
