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

    def store_tile(rows, columns, row_step, column_step):
        """GPU code for C[r, c] = sums[r, c], for those of the m x n numbers that the tile has. See below."""

        def store(sums, C, offset, stride, m, n):
            for r in range(rows):
                i = r // 4 * row_step + r % 4
                for c in range(columns):
                    j = c // 4 * column_step + c % 4
                    if i < m and j < n:
                        C[offset + i * stride + j] = sums[r * columns + c]

        return store

    def put_all(sums, shared, offset, step):
        """shared[place + i * step] = sums[i], for all of a tuple."""
        for i, value in enumerate(sums):
            shared[offset + i * step] = value

    def add_all(sums, shared, offset, step):
        """sums[i] + shared[place + i * step], for all of a tuple."""
        return tuple(value + shared[offset + i * step] for i, value in enumerate(sums))

    def load(numbers, offset):
        """numbers[place] for a place that is not negative: Numba would look."""
        return numbers[offset]

    def put(numbers, offset, value):
        """numbers[place] = value, the same."""
        numbers[offset] = value

    def size_of(numbers):
        """Bytes of a number of an array: known when a kernel is compiled, so that code for others is left out."""
        return numbers.itemsize

else:
    from llvmlite import ir

    from .compiling import intrinsic, types

    def _data(context, builder, signature, arguments, offset=0):
        """Where an argument, an array, begins."""
        return context.make_array(signature.args[offset])(context, builder, arguments[offset]).data

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
                data = _data(context, builder, signature, arguments, 1)
                vector = ir.PointerType(ir.VectorType(context.get_value_type(shared.dtype), 4))
                totals = [builder.extract_value(arguments[0], i) for i in range(rows * columns)]

                def read(offset, count, step):
                    found = []
                    for v in range(count // 4):
                        pointer = builder.gep(offset, [ir.IntType(64)(v * step)])
                        loaded = builder.load(builder.bitcast(pointer, vector), align=16)
                        found += [builder.extract_element(loaded, ir.IntType(32)(lane)) for lane in range(4)]
                    return found

                starts = [builder.gep(data, [offset]) for offset in arguments[2:]]
                for d in range(depth):
                    offsets = [
                        builder.gep(start, [ir.IntType(64)(d * stride)])
                        for start, stride in zip(starts, (row_stride, column_stride), strict=True)
                    ]
                    p, q = read(offsets[0], rows, row_step), read(offsets[1], columns, column_step)
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

    def store_tile(rows, columns, row_step, column_step):
        """GPU code for C[r, c] = sums[r, c], a tuple row by row, for those of the m x n numbers that the tile has.

        `place` is that of the first number, `stride` from row to row of C; row r is r // 4 * row_step + r % 4 rows
        below the first one, and column c likewise.
        """

        @intrinsic
        def store(typing_context, sums, C, offset, stride, m, n):
            def generate(context, builder, signature, arguments):
                sums, _, offset, stride, m, n = arguments
                data = _data(context, builder, signature, arguments, 1)
                down = [ir.IntType(64)(r // 4 * row_step + r % 4) for r in range(rows)]
                across = [ir.IntType(64)(c // 4 * column_step + c % 4) for c in range(columns)]
                in_columns = [builder.icmp_signed("<", j, n) for j in across]
                for r, i in enumerate(down):
                    with builder.if_then(builder.icmp_signed("<", i, m)):
                        row = builder.gep(data, [builder.add(offset, builder.mul(i, stride))])
                        for c, j in enumerate(across):
                            with builder.if_then(in_columns[c]):
                                builder.store(builder.extract_value(sums, r * columns + c), builder.gep(row, [j]))
                return context.get_dummy_value()

            return types.void(sums, C, *(types.int64,) * 4), generate

        return store

    def _offsets(context, builder, signature, arguments):
        """Of numbers `place` + i * `step` of shared memory, for each i of a tuple."""
        data = _data(context, builder, signature, arguments, 1)
        offset = arguments[2]
        for _ in range(signature.args[0].count):
            yield builder.gep(data, [offset])
            offset = builder.add(offset, arguments[3])

    @intrinsic
    def put_all(typing_context, sums, shared, offset, step):
        """shared[place + i * step] = sums[i], for all of a tuple."""

        def generate(context, builder, signature, arguments):
            for i, pointer in enumerate(_offsets(context, builder, signature, arguments)):
                builder.store(builder.extract_value(arguments[0], i), pointer)
            return context.get_dummy_value()

        return types.void(sums, shared, types.int64, types.int64), generate

    @intrinsic
    def add_all(typing_context, sums, shared, offset, step):
        """sums[i] + shared[place + i * step], for all of a tuple."""

        def generate(context, builder, signature, arguments):
            totals = arguments[0]
            for i, pointer in enumerate(_offsets(context, builder, signature, arguments)):
                total = builder.fadd(builder.extract_value(totals, i), builder.load(pointer))
                totals = builder.insert_value(totals, total, i)
            return totals

        return sums(sums, shared, types.int64, types.int64), generate

    @intrinsic
    def load(typing_context, numbers, offset):
        """numbers[place] for a place that is not negative: Numba would look."""

        def generate(context, builder, signature, arguments):
            return builder.load(builder.gep(_data(context, builder, signature, arguments), [arguments[1]]))

        return numbers.dtype(numbers, types.int64), generate

    @intrinsic
    def put(typing_context, numbers, offset, value):
        """numbers[place] = value, the same."""

        def generate(context, builder, signature, arguments):
            builder.store(arguments[2], builder.gep(_data(context, builder, signature, arguments), [arguments[1]]))
            return context.get_dummy_value()

        return types.void(numbers, types.int64, numbers.dtype), generate

    @intrinsic
    def size_of(typing_context, numbers):
        """Bytes of a number of an array: known when a kernel is compiled, so that code for others is left out."""

        def generate(context, builder, signature, arguments):
            return ir.IntType(64)(numbers.dtype.bitwidth // 8)

        return types.int64(numbers), generate
