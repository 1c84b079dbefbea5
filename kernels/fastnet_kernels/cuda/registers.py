"""A thread's small tile of numbers in registers: tuples, because of an array the compiler may make memory.

Vectors of 4 numbers come from shared memory in one instruction (two in float64), where Numba would read one by one.
"""

from .sizes import IS_SIMULATED

if IS_SIMULATED:

    def zeros(count):
        """GPU code for `count` zeros of the dtype of an array."""
        return lambda numbers: (numbers.dtype.type(0),) * count

    def multiplier(rows, columns, depth, row_stride, row_step, column_stride, column_step):
        """GPU code for sums[r, c] + the sum of left[d, r] * right[d, c], d of 0:depth. See below."""

        def add(sums, shared, left, right):
            found = list(sums)
            for d in range(depth):
                for r in range(rows):
                    p = shared[left + d * row_stride + r // 4 * row_step + r % 4]
                    for c in range(columns):
                        q = shared[right + d * column_stride + c // 4 * column_step + c % 4]
                        found[r * columns + c] += p * q
            return tuple(found)

        return add

    def keep(sums, numbers):
        """numbers[i] = sums[i], for all of a tuple."""
        for i, value in enumerate(sums):
            numbers[i] = value

    def load(numbers, place):
        """numbers[place] for a place that is not negative: Numba would look."""
        return numbers[place]

    def put(numbers, place, value):
        """numbers[place] = value, the same."""
        numbers[place] = value

else:
    from llvmlite import ir

    from .compiling import intrinsic, types

    def _data(context, builder, signature, arguments):
        """Where the first argument, an array, begins."""
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    def zeros(count):
        """GPU code for `count` zeros of the dtype of an array."""

        @intrinsic
        def zeros_like(typing_context, numbers):
            def generate(context, builder, signature, arguments):
                return ir.Constant(context.get_value_type(signature.return_type), None)

            return types.UniTuple(numbers.dtype, count)(numbers), generate

        return zeros_like

    def multiplier(rows, columns, depth, row_stride, row_step, column_stride, column_step):
        """GPU code for sums[r, c] + the sum of left[d, r] * right[d, c], d of 0:depth, written out.

        `sums` is a tuple, row by row; both factors are in shared memory, from places that are multiples of 4: number r
        of depth d is d * row_stride + r // 4 * row_step + r % 4 behind the place `left`.
        """

        @intrinsic
        def add(typing_context, sums, shared, left, right):
            def generate(context, builder, signature, arguments):
                data = context.make_array(signature.args[1])(context, builder, arguments[1]).data
                vector = ir.PointerType(ir.VectorType(context.get_value_type(shared.dtype), 4))
                totals = [builder.extract_value(arguments[0], i) for i in range(rows * columns)]

                def read(place, count, step):
                    found = []
                    for v in range(count // 4):
                        pointer = builder.gep(place, [ir.IntType(64)(v * step)])
                        loaded = builder.load(builder.bitcast(pointer, vector), align=16)
                        found += [builder.extract_element(loaded, ir.IntType(32)(lane)) for lane in range(4)]
                    return found

                starts = [builder.gep(data, [place]) for place in arguments[2:]]
                for d in range(depth):
                    places = [
                        builder.gep(start, [ir.IntType(64)(d * stride)])
                        for start, stride in zip(starts, (row_stride, column_stride), strict=True)
                    ]
                    p, q = read(places[0], rows, row_step), read(places[1], columns, column_step)
                    for r in range(rows):
                        for c in range(columns):
                            product = builder.fmul(p[r], q[c], flags=("contract",))
                            i = r * columns + c
                            totals[i] = builder.fadd(totals[i], product, flags=("contract",))
                result = ir.Constant(context.get_value_type(signature.return_type), ir.Undefined)
                for i, total in enumerate(totals):
                    result = builder.insert_value(result, total, i)
                return result

            return sums(sums, shared, types.int64, types.int64), generate

        return add

    @intrinsic
    def keep(typing_context, sums, numbers):
        """numbers[i] = sums[i], for all of a tuple."""

        def generate(context, builder, signature, arguments):
            data = context.make_array(signature.args[1])(context, builder, arguments[1]).data
            for i in range(sums.count):
                builder.store(builder.extract_value(arguments[0], i), builder.gep(data, [ir.IntType(64)(i)]))
            return context.get_dummy_value()

        return types.void(sums, numbers), generate

    @intrinsic
    def load(typing_context, numbers, place):
        """numbers[place] for a place that is not negative: Numba would look."""

        def generate(context, builder, signature, arguments):
            return builder.load(builder.gep(_data(context, builder, signature, arguments), [arguments[1]]))

        return numbers.dtype(numbers, types.int64), generate

    @intrinsic
    def put(typing_context, numbers, place, value):
        """numbers[place] = value, the same."""

        def generate(context, builder, signature, arguments):
            builder.store(arguments[2], builder.gep(_data(context, builder, signature, arguments), [arguments[1]]))
            return context.get_dummy_value()

        return types.void(numbers, types.int64, numbers.dtype), generate
