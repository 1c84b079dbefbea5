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

    def tensor_multiplier(*sizes):
        raise NotImplementedError("the simulator has no warps")

    def store_tile(rows, columns):
        """GPU code for C[r, c] = sums[r, c], for those of the m x n numbers that the tile has. See below."""

        def store(sums, C, offset, stride, m, n):
            for r, i in enumerate(rows):
                for c, j in enumerate(columns):
                    if i < m and j < n:
                        C[offset + i * stride + j] = sums[r * len(columns) + c]

        return store

    def put_all(sums, shared, offset, step):
        """shared[place + i * step] = sums[i], for all of a tuple."""
        for i, value in enumerate(sums):
            shared[offset + i * step] = value

    def add_all(sums, shared, offset, step):
        """sums[i] + shared[place + i * step], for all of a tuple."""
        return tuple(value + shared[offset + i * step] for i, value in enumerate(sums))

    def copy(numbers, offset, shared, to, is_there):
        """shared[to] = numbers[place] if it is there, else 0; done when `waiter` says so. See below."""
        shared[to] = numbers[offset] if is_there else 0

    def end_batch():
        """What has been copied since the last batch is one."""

    def waiter(batches):
        """GPU code that waits for all copies of this thread but the last batches."""
        return lambda: None

    def size_of(numbers):
        """Bytes of a number of an array: known when a kernel is compiled, so that code for others is left out."""
        return numbers.itemsize

else:
    from llvmlite import ir

    from .compiling import cuda, intrinsic, types

    def _is_sm(major):
        """Whether the GPU that code is made for is of this generation, or a later one.

        numba-cuda keeps GPU code for all GPUs of a process, so that it is the first one that counts.
        """
        return cuda.get_current_device().compute_capability >= (major, 0)

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
                return _as_tuple(context, builder, signature, totals)

            return sums(sums, shared, types.int64, types.int64), generate

        return add

    def _mma(builder, rows, depth, p, q, totals):
        """Tensor cores: totals of rows x 8 numbers of float64 += (rows, depth) times (depth, 8). Each thread of a warp
        gives and gets its share."""

        def registers(first, count):
            return "{" + ", ".join(f"${i}" for i in range(first, first + count)) + "}"

        double, n, after_p, after_q = ir.DoubleType(), len(totals), len(totals) + len(p), len(totals) + len(p) + len(q)
        code = (
            f"mma.sync.aligned.m{rows}n8k{depth}.row.col.f64.f64.f64.f64 {registers(0, n)}, {registers(n, len(p))}, "
            f"{registers(after_p, len(q))}, {registers(after_q, n)};"
        )
        given = [*p, *q, *totals]
        kind = ir.FunctionType(ir.LiteralStructType([double] * n), [double] * len(given))
        found = builder.asm(kind, code, ",".join(["=d"] * n + ["d"] * len(given)), given, True)
        return [builder.extract_value(found, i) for i in range(n)]

    def tensor_multiplier(rows, columns, depth, row_stride, column_stride):
        """The same for a warp that has `rows` x `columns` numbers of float64, by tensor cores.

        Of each 8 x 8, thread `lane` has those of row lane // 4 and of columns lane % 4 * 2 and the next one, which is
        how the instruction spreads them. Number r of depth d is d * row_stride + r behind the place `left`. GPUs before
        sm_80 multiply one by one.
        """
        downs, acrosses = range(0, rows, 8), range(0, columns, 8)

        def by_tensor_cores(builder, read, left, right, by_four, of_four, totals):
            whole = ir.IntType(64)
            p_place = builder.add(builder.add(left, builder.mul(of_four, whole(row_stride))), by_four)
            q_place = builder.add(builder.add(right, builder.mul(of_four, whole(column_stride))), by_four)
            high, deep = (2, 2) if _is_sm(9) else (1, 1)  # of 8 rows, and of 4 depths, at a time
            for d in range(0, depth, 4 * deep):
                depths = range(d, d + 4 * deep, 4)
                p = [[read(p_place, k * row_stride + r) for k in depths] for r in downs]
                q = [[read(q_place, k * column_stride + c) for k in depths] for c in acrosses]
                for r in range(0, len(p), high):
                    pairs = [p[r + h][k] for k in range(deep) for h in range(high)]
                    for c in range(len(q)):
                        where = [((r + h) * len(q) + c) * 2 + v for h in range(high) for v in range(2)]
                        found = _mma(builder, 8 * high, 4 * deep, pairs, q[c], [totals[i] for i in where])
                        for i, total in zip(where, found, strict=True):
                            totals[i] = total

        def one_by_one(builder, read, left, right, by_four, of_four, totals):
            p_place, q_place = builder.add(left, by_four), builder.add(right, builder.shl(of_four, ir.IntType(64)(1)))
            for d in range(depth):
                p = [read(p_place, d * row_stride + r) for r in downs]
                q = [read(q_place, d * column_stride + c + v) for c in acrosses for v in range(2)]
                for i in range(len(totals)):
                    product = builder.fmul(p[i // len(q)], q[i % len(q)], flags=("contract",))
                    totals[i] = builder.fadd(totals[i], product, flags=("contract",))

        @intrinsic
        def add(typing_context, sums, shared, left, right, lane):
            def generate(context, builder, signature, arguments):
                sums, _, left, right, lane = arguments
                data, whole = _data(context, builder, signature, arguments, 1), ir.IntType(64)

                def read(offset, beyond):
                    return builder.load(builder.gep(data, [builder.add(offset, whole(beyond))]))

                totals = [builder.extract_value(sums, i) for i in range(rows * columns // 32)]
                by_four, of_four = builder.lshr(lane, whole(2)), builder.and_(lane, whole(3))
                multiply = by_tensor_cores if _is_sm(8) else one_by_one
                multiply(builder, read, left, right, by_four, of_four, totals)
                return _as_tuple(context, builder, signature, totals)

            return sums(sums, shared, types.int64, types.int64, types.int64), generate

        return add

    def _as_tuple(context, builder, signature, values):
        result = ir.Constant(context.get_value_type(signature.return_type), ir.Undefined)
        for i, value in enumerate(values):
            result = builder.insert_value(result, value, i)
        return result

    def store_tile(rows, columns):
        """GPU code for C[r, c] = sums[r, c], a tuple row by row, for those of the m x n numbers that the tile has.

        `place` is that of the first number, `stride` from row to row of C; `rows` and `columns` say how far each one of
        the tuple is below and beside it.
        """

        @intrinsic
        def store(typing_context, sums, C, offset, stride, m, n):
            def generate(context, builder, signature, arguments):
                sums, _, offset, stride, m, n = arguments
                data = _data(context, builder, signature, arguments, 1)
                down, across = [ir.IntType(64)(r) for r in rows], [ir.IntType(64)(c) for c in columns]
                in_columns = [builder.icmp_signed("<", j, n) for j in across]
                for r, i in enumerate(down):
                    with builder.if_then(builder.icmp_signed("<", i, m)):
                        row = builder.gep(data, [builder.add(offset, builder.mul(i, stride))])
                        for c, j in enumerate(across):
                            with builder.if_then(in_columns[c]):
                                builder.store(builder.extract_value(sums, r * len(across) + c), builder.gep(row, [j]))
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

    def _asm(builder, code, constraints, arguments=()):
        builder.asm(ir.FunctionType(ir.VoidType(), [a.type for a in arguments]), code, constraints, arguments, True)

    @intrinsic
    def copy(typing_context, numbers, offset, shared, to, is_there):
        """shared[to] = numbers[place] if it is there, else 0; done when `waiter` says so.

        Registers have no part in it, and the thread goes on at once. GPUs before sm_80 wait.
        """

        def generate(context, builder, signature, arguments):
            _, offset, _, to, is_there = arguments
            source = builder.gep(_data(context, builder, signature, arguments), [offset])
            target = builder.gep(_data(context, builder, signature, arguments, 2), [to])
            if _is_sm(8):
                size = numbers.dtype.bitwidth // 8
                count = builder.select(is_there, ir.IntType(32)(size), ir.IntType(32)(0))
                code = f"cp.async.ca.shared.global [$0], [$1], {size}, $2;"
                addresses = _address(builder, target, 3, 32), _address(builder, source, 1, 64)
                _asm(builder, code, "r,l,r,~{memory}", (*addresses, count))
            else:
                builder.store(ir.Constant(source.type.pointee, 0), target)
                with builder.if_then(is_there):
                    builder.store(builder.load(source), target)
            return context.get_dummy_value()

        return types.void(numbers, types.int64, shared, types.int64, types.boolean), generate

    def _address(builder, pointer, space, bits):
        """Of a pointer, its address in one of the GPU's kinds of memory: 1 is global, 3 shared."""
        there = builder.addrspacecast(pointer, ir.PointerType(pointer.type.pointee, space), "addrspacecast")
        return builder.ptrtoint(there, ir.IntType(bits))

    @intrinsic
    def end_batch(typing_context):
        """What has been copied since the last batch is one."""

        def generate(context, builder, signature, arguments):
            if _is_sm(8):
                _asm(builder, "cp.async.commit_group;", "~{memory}")
            return context.get_dummy_value()

        return types.void(), generate

    def waiter(batches):
        """GPU code that waits for all copies of this thread but the last batches."""

        @intrinsic
        def wait(typing_context):
            def generate(context, builder, signature, arguments):
                if _is_sm(8):
                    _asm(builder, f"cp.async.wait_group {batches};", "~{memory}")
                return context.get_dummy_value()

            return types.void(), generate

        return wait

    @intrinsic
    def size_of(typing_context, numbers):
        """Bytes of a number of an array: known when a kernel is compiled, so that code for others is left out."""

        def generate(context, builder, signature, arguments):
            return ir.IntType(64)(numbers.dtype.bitwidth // 8)

        return types.int64(numbers), generate
