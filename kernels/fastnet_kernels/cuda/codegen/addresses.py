"""Addresses of the numbers of images, each the sum of two parts: four whole numbers of 32 bits, in shared memory.

A part is (offset, y, x, phase). Two of them meet in the number at the sum of their offsets, if y and x, added up, are
inside of the image and the phases add up to 0.
"""

from ..target import IS_SIMULATED

NOWHERE = -(1 << 30)  # a y that meets nothing

if IS_SIMULATED:

    def quotient(a, b):
        """a // b, for whole numbers from 0 to 2^31."""
        return a // b

    def read_part(parts, number):
        """A part by its number; see above."""
        return tuple(int(value) for value in parts[4 * number : 4 * number + 4])

    def meet(one, other, height, width):
        """Whether two parts meet in an image of that size, and the offset where. See above."""
        offset, y, x, phase = (a + b for a, b in zip(one, other, strict=True))
        return 0 <= y < height and 0 <= x < width and phase == 0, offset

else:
    from llvmlite import ir

    from .compiling import intrinsic, types
    from .intrinsics import as_tuple, data_of

    _I32, _I64 = ir.IntType(32), ir.IntType(64)

    @intrinsic
    def quotient(typing_context, a, b):
        """a // b, for whole numbers from 0 to 2^31: a GPU takes several times as long for 64 bits."""

        def generate(context, builder, signature, arguments):
            a, b = (builder.trunc(argument, _I32) for argument in arguments)
            return builder.zext(builder.udiv(a, b), _I64)

        return types.int64(types.int64, types.int64), generate

    @intrinsic
    def read_part(typing_context, parts, number):
        """A part by its number, in one instruction; see above."""

        def generate(context, builder, signature, arguments):
            vector = ir.VectorType(_I32, 4)
            data = data_of(context, builder, signature, arguments)
            pointer = builder.bitcast(data, ir.PointerType(vector))
            loaded = builder.load(builder.gep(pointer, [arguments[1]]), align=16)
            values = [builder.extract_element(loaded, _I32(lane)) for lane in range(4)]
            return as_tuple(context, builder, signature, values)

        return types.UniTuple(types.int32, 4)(parts, types.int64), generate

    @intrinsic
    def meet(typing_context, one, other, height, width):
        """Whether two parts meet in an image of that size, and the offset where. See above."""

        def generate(context, builder, signature, arguments):
            one, other, height, width = arguments
            offset, y, x, phase = (
                builder.add(builder.extract_value(one, i), builder.extract_value(other, i)) for i in range(4)
            )
            is_there = builder.icmp_unsigned("<", y, builder.trunc(height, _I32))  # what is below 0 is large
            is_there = builder.and_(is_there, builder.icmp_unsigned("<", x, builder.trunc(width, _I32)))
            is_there = builder.and_(is_there, builder.icmp_signed("==", phase, _I32(0)))
            return as_tuple(context, builder, signature, [is_there, builder.sext(offset, _I64)])

        part = types.UniTuple(types.int32, 4)
        return types.Tuple((types.boolean, types.int64))(part, part, types.int64, types.int64), generate
