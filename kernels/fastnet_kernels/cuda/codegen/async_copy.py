"""Asynchronous copies from global to shared memory (`cp.async`): a thread goes on while they are under way."""

from ..target import IS_SIMULATED

if IS_SIMULATED:

    def copy(numbers, offset, shared, to, is_there):
        """shared[to] = numbers[offset] if it is there, else 0; done when `waiter` says so. See below."""
        shared[to] = numbers[offset] if is_there else 0

    def end_batch():
        """What has been copied since the last batch is one."""

    def waiter(batches):
        """GPU code that waits for all copies of this thread but the last batches."""
        return lambda: None

else:
    from llvmlite import ir

    from .compiling import intrinsic, types
    from .intrinsics import asm, data_of, is_sm

    @intrinsic
    def copy(typing_context, numbers, offset, shared, to, is_there):
        """shared[to] = numbers[offset] if it is there, else 0; done when `waiter` says so.

        Registers have no part in it, and the thread goes on at once. GPUs before sm_80 wait.
        """

        def generate(context, builder, signature, arguments):
            _, offset, _, to, is_there = arguments
            source = builder.gep(data_of(context, builder, signature, arguments), [offset])
            target = builder.gep(data_of(context, builder, signature, arguments, 2), [to])
            if is_sm(8):
                size = numbers.dtype.bitwidth // 8
                count = builder.select(is_there, ir.IntType(32)(size), ir.IntType(32)(0))
                code = f"cp.async.ca.shared.global [$0], [$1], {size}, $2;"
                addresses = _address(builder, target, 3, 32), _address(builder, source, 1, 64)
                asm(builder, code, "r,l,r,~{memory}", (*addresses, count))
            else:
                builder.store(ir.Constant(source.type.pointee, 0), target)
                with builder.if_then(is_there):
                    builder.store(builder.load(source), target)
            return context.get_dummy_value()

        return types.void(numbers, types.int64, shared, types.int64, types.boolean), generate

    def _address(builder, pointer, space, bits):
        """The address of a pointer in one of the GPU's address spaces: 1 is global, 3 shared."""
        there = builder.addrspacecast(pointer, ir.PointerType(pointer.type.pointee, space), "addrspacecast")
        return builder.ptrtoint(there, ir.IntType(bits))

    @intrinsic
    def end_batch(typing_context):
        """What has been copied since the last batch is one."""

        def generate(context, builder, signature, arguments):
            if is_sm(8):
                asm(builder, "cp.async.commit_group;", "~{memory}")
            return context.get_dummy_value()

        return types.void(), generate

    def waiter(batches):
        """GPU code that waits for all copies of this thread but the last batches."""

        @intrinsic
        def wait(typing_context):
            def generate(context, builder, signature, arguments):
                if is_sm(8):
                    asm(builder, f"cp.async.wait_group {batches};", "~{memory}")
                return context.get_dummy_value()

            return types.void(), generate

        return wait
