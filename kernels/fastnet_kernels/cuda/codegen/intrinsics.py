"""What the intrinsics share, GPU code that is written in LLVM; and the smallest of them, `size_of`."""

from ..target import IS_SIMULATED

if IS_SIMULATED:

    def size_of(numbers):
        """Bytes of a number of an array: known when a kernel is compiled, so that code for others is left out."""
        return numbers.itemsize

else:
    from llvmlite import ir

    from .compiling import cuda, intrinsic, types

    def is_sm(major):
        """Whether the GPU that code is made for is of this generation, or a later one.

        numba-cuda keeps GPU code for all GPUs of a process, so that it is the first one that counts.
        """
        return cuda.get_current_device().compute_capability >= (major, 0)

    def data_of(context, builder, signature, arguments, index=0):
        """The pointer to the numbers of an argument that is an array."""
        return context.make_array(signature.args[index])(context, builder, arguments[index]).data

    def as_tuple(context, builder, signature, values):
        """The values as the tuple that an intrinsic returns."""
        result = ir.Constant(context.get_value_type(signature.return_type), ir.Undefined)
        for i, value in enumerate(values):
            result = builder.insert_value(result, value, i)
        return result

    def asm(builder, code, constraints, arguments=()):
        """Inline PTX that returns nothing."""
        builder.asm(ir.FunctionType(ir.VoidType(), [a.type for a in arguments]), code, constraints, arguments, True)

    @intrinsic
    def size_of(typing_context, numbers):
        """Bytes of a number of an array: known when a kernel is compiled, so that code for others is left out."""

        def generate(context, builder, signature, arguments):
            return ir.IntType(64)(numbers.dtype.bitwidth // 8)

        return types.int64(numbers), generate
