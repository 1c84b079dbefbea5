"""Products of float64 by tensor cores, a warp at a time: the instruction `mma`."""

from ..target import IS_SIMULATED

if IS_SIMULATED:

    def tensor_multiplier(*sizes):
        raise NotImplementedError("the simulator has no warps")

else:
    from llvmlite import ir

    from .compiling import intrinsic, types
    from .intrinsics import as_tuple, data_of, is_sm

    def _mma(builder, rows, depth, p, q, totals):
        """totals (rows, 8) += (rows, depth) times (depth, 8), in one instruction of a warp.

        Each thread of it gives and gets its share.
        """

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
        """GPU code for sums[r, c] + the sum of left[d, r] * right[d, c], d of 0:depth, by tensor cores.

        A warp has `rows` x `columns` sums of float64. Of each 8 x 8, thread `lane` has those of row lane // 4 and of
        columns lane % 4 * 2 and the next one, which is how the instruction spreads them. Number r of depth d is at
        left + d * row_stride + r. GPUs before sm_80 multiply one by one.
        """
        downs, acrosses = range(0, rows, 8), range(0, columns, 8)

        def by_tensor_cores(builder, read, left, right, by_four, of_four, totals):
            whole = ir.IntType(64)
            p_offset = builder.add(builder.add(left, builder.mul(of_four, whole(row_stride))), by_four)
            q_offset = builder.add(builder.add(right, builder.mul(of_four, whole(column_stride))), by_four)
            high, deep = (2, 2) if is_sm(9) else (1, 1)  # of 8 rows, and of 4 depths, at a time
            for d in range(0, depth, 4 * deep):
                depths = range(d, d + 4 * deep, 4)
                p = [[read(p_offset, k * row_stride + r) for k in depths] for r in downs]
                q = [[read(q_offset, k * column_stride + c) for k in depths] for c in acrosses]
                for r in range(0, len(p), high):
                    pairs = [p[r + h][k] for k in range(deep) for h in range(high)]
                    for c in range(len(q)):
                        where = [((r + h) * len(q) + c) * 2 + v for h in range(high) for v in range(2)]
                        found = _mma(builder, 8 * high, 4 * deep, pairs, q[c], [totals[i] for i in where])
                        for i, total in zip(where, found, strict=True):
                            totals[i] = total

        def one_by_one(builder, read, left, right, by_four, of_four, totals):
            p_offset, q_offset = builder.add(left, by_four), builder.add(right, builder.shl(of_four, ir.IntType(64)(1)))
            for d in range(depth):
                p = [read(p_offset, d * row_stride + r) for r in downs]
                q = [read(q_offset, d * column_stride + c + v) for c in acrosses for v in range(2)]
                for i in range(len(totals)):
                    product = builder.fmul(p[i // len(q)], q[i % len(q)], flags=("contract",))
                    totals[i] = builder.fadd(totals[i], product, flags=("contract",))

        @intrinsic
        def add(typing_context, sums, shared, left, right, lane):
            def generate(context, builder, signature, arguments):
                sums, _, left, right, lane = arguments
                data, whole = data_of(context, builder, signature, arguments, 1), ir.IntType(64)

                def read(offset, beyond):
                    return builder.load(builder.gep(data, [builder.add(offset, whole(beyond))]))

                totals = [builder.extract_value(sums, i) for i in range(rows * columns // 32)]
                by_four, of_four = builder.lshr(lane, whole(2)), builder.and_(lane, whole(3))
                multiply = by_tensor_cores if is_sm(8) else one_by_one
                multiply(builder, read, left, right, by_four, of_four, totals)
                return as_tuple(context, builder, signature, totals)

            return sums(sums, shared, types.int64, types.int64, types.int64), generate

        return add
