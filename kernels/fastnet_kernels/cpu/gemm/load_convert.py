"""Vectors of samples: loaded, converted from uint8, scaled, and transposed into panels.

Everything else that packs or gathers is made of these: see `packing`, and `step.inputs`.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..codegen.simd import Buffer, Operand, broadcast, first_lanes, fused_multiply_add, transposed


class Reader:
    """Inside generated code: vectors of `target` that are scale * x + shift, with x of `source`, floating or uint8."""

    def __init__(self, builder, source, target, rescale):
        self.builder, self.source, self.target = builder, source, target
        scale, shift = (builder.extract_value(rescale, i) for i in range(2))
        self.given = ir.VectorType(source.element, target.lanes)
        self.scale, self.shift = (broadcast(builder, target.vector, number) for number in (scale, shift))

    def read(self, pointer, mask=None):
        numbers = self.source.load_vector(pointer, mask, self.given)
        if self.given != self.target.vector:
            numbers = self.builder.uitofp(numbers, self.target.vector)
        return fused_multiply_add(self.builder, self.scale, numbers, self.shift)


@intrinsic
def read_vectors(typing_context, count, target, t, source, s, rescale):
    """target[t + c] = scale * source[s + c] + shift, for c below the width of `count` (a literal number of) vectors.

    Flat buffers; `source` may be uint8.
    """
    if not isinstance(count, types.IntegerLiteral):
        return None

    def generate(context, builder, signature, arguments):
        _, _, t, _, s, scaling = arguments
        target, source = (Buffer(context, builder, signature.args[i], arguments[i]) for i in (1, 3))
        reader = Reader(builder, source, target, scaling)
        for v in range(count.literal_value):
            by = ir.IntType(64)(v * target.lanes)
            target.store_vector(reader.read(source.at(s, by)), target.at(t, by))
        return context.get_dummy_value()

    return types.void(count, target, types.intp, source, types.intp, rescale), generate


@intrinsic
def transpose(typing_context, target, source, first, width, rescale):
    """target[k, i] = scale * source[first + i, k] + shift, for k < width, and i below the lanes of a vector.

    `target` is a `Matrix` of contiguous rows, `source` is `Rows`, of numbers of the same dtype or of uint8. A `width`
    of None stands for the lanes.
    """

    def generate(context, builder, signature, arguments):
        _, _, first, width, scaling = arguments
        target, source = (Operand(context, builder, signature.args[i], arguments[i]) for i in (0, 1))
        rows = Buffer(context, builder, signature.args[1][3], source.index)
        reader = Reader(builder, source, target, scaling)
        lanes, index = target.lanes, ir.IntType(64)

        def read(mask=None):
            found = []
            for i in range(lanes):
                row = rows.load(rows.at(first, index(i)))
                found.append(reader.read(source.at(source.offset, builder.mul(row, source.row_stride)), mask))
            return transposed(builder, found)

        def store(numbers, k):
            target.store_vector(numbers, target.at(target.offset, builder.mul(index(k), target.row_stride)))

        def whole():
            for k, numbers in enumerate(read()):
                store(numbers, k)

        if isinstance(signature.args[3], types.NoneType):
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

    return types.void(target, source, types.intp, width, rescale), generate
