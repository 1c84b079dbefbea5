"""The micro-kernels of convolutions: those of products, with a sum over the taps of a window around the sum over k.

A tap is one number of a window's place, (y, x). Its numbers of the other operand lie a fixed way from those of the tap
before, so two strides take the place of a matrix of windows, which is never made.

    conv_micro_kernel       C[r, v] = start[r] + sum over taps and k of A[r, k, tap] B[k, v, tap], v one or two vectors
    conv_dot_micro_kernel   C[i, j] += alpha sum over pixels and lanes of A[i, pixel] B[j, pixel]
"""

import contextlib

from numba.core import cgutils, types
from numba.extending import intrinsic

from ..codegen.processor import LINE_BYTES, TARGET
from ..codegen.simd import Buffer, Operand, broadcast, emit_prefetch, first_lanes, scheduling_barrier
from .micro_kernels import RowPointers, add_sums_of_lanes, choose, number_of, row_pointers, times

_OFFSET = types.intp
MR = TARGET.mr


@contextlib.contextmanager
def each_pair(builder, rows, columns, *strides):
    """Two loops, of so many rows and columns: how far each operand, by its strides down and across, has come."""
    with cgutils.for_range(builder, rows) as row_loop, cgutils.for_range(builder, columns) as column_loop:
        yield [
            builder.add(times(builder, row_loop.index, down), times(builder, column_loop.index, across))
            for down, across in strides
        ]


@intrinsic
def conv_micro_kernel(
    typing_context, mr, vectors, k, columns, a_column, b_column, rows, a_row, b_row, c_second, b_second, C, start, A, B
):
    """C[i, j] = start[i] + sum_q sum_p sum_t A[i, t + q a_row + p a_column] B[t + q b_row + p b_column, j].

    For i < mr, q < rows, p < columns, t < k, and j in one vector, or in `vectors` = 2, of which the second lies
    `b_second` behind the first in B and `c_second` in C. `start` is a `Matrix` of one column; or an array, start[j]
    then, two vectors of numbers side by side; or None: C itself is added to. The rows of C and B are contiguous.
    """

    def generate(context, builder, signature, arguments):
        mr, vectors, k, columns, a_column, b_column, rows, a_row, b_row, c_second, b_second, *_ = arguments
        C, A, B = (Operand(context, builder, signature.args[i], arguments[i]) for i in (11, 13, 14))
        adds, is_row = isinstance(start, types.NoneType), isinstance(start, types.Array)
        line = number_of(LINE_BYTES // A.size)

        def starts(h, width):
            """A vector for each of the sums, row after row."""
            if is_row:
                row = Buffer(context, builder, signature.args[12], arguments[12])
                return [row.load_vector(row.at(number_of(v * row.lanes))) for v in range(width)] * h
            column = Operand(context, builder, signature.args[12], arguments[12])
            places = [column.at(column.offset, times(builder, number_of(r), column.row_stride)) for r in range(h)]
            vectors = [broadcast(builder, B.vector, column.load(place)) for place in places]
            return [vector for vector in vectors for _ in range(width)]

        def emit(h, width):
            cells = B.zeros(width * h)
            if not adds:
                for cell, vector in zip(cells, starts(h, width), strict=True):
                    builder.store(vector, cell)
            targets = [C.step(row, c_second) if v else row for row in row_pointers(builder, C, h) for v in range(width)]
            if is_row:  # needed last, prefetched first
                for target in targets:
                    emit_prefetch(builder, target)
            pointers, first = RowPointers(builder, A, h), B.at(B.offset)
            with each_pair(builder, rows, columns, (a_row, a_column), (b_row, b_column)) as (a, b):
                following = A.at(A.offset, builder.add(a, a_column))
                with cgutils.for_range(builder, k) as loop:
                    row = B.step(first, builder.add(b, times(builder, loop.index, B.row_stride)))
                    if adds:  # what is read of A for the next tap, where its rows lie side by side
                        emit_prefetch(builder, A.step(following, times(builder, loop.index, line)))
                    if is_row:
                        ahead = B.step(row, times(builder, number_of(TARGET.b_prefetch_steps), B.row_stride))
                        for v in range(width):
                            emit_prefetch(builder, B.step(ahead, b_second) if v else ahead)
                    loaded = [B.load_vector(B.step(row, b_second) if v else row) for v in range(width)]
                    numbers = pointers.after(builder.add(a, times(builder, loop.index, A.column_stride)))
                    for r, number in enumerate(numbers):
                        factor, sums = broadcast(builder, B.vector, A.load(number)), cells[width * r : width * (r + 1)]
                        for cell, vector in zip(sums, loaded, strict=True):
                            B.accumulate(cell, factor, vector)
                        if width > 1:
                            scheduling_barrier(builder, sums)
            for cell, target in zip(cells, targets, strict=True):
                total = builder.load(cell)
                C.store_vector(builder.fadd(total, C.load_vector(target)) if adds else total, target)

        choose(builder, [mr, vectors], [MR, (2, 1)], emit)
        return context.get_dummy_value()

    return types.void(*[_OFFSET] * 11, C, start, A, B), generate


@intrinsic
def conv_dot_micro_kernel(typing_context, mr, nr, k, columns, a_column, b_column, rows, a_row, b_row, alpha, C, A, B):
    """C[i, j] += alpha sum_q sum_p sum_t A[i, t + q a_row + p a_column] B[j, t + q b_row + p b_column].

    For i < mr, j < nr, q < rows, p < columns and t < k. All are `Matrix`es; the rows of A and B are contiguous.
    """

    def generate(context, builder, signature, arguments):
        mr, nr, k, columns, a_column, b_column, rows, a_row, b_row, alpha, *_ = arguments
        C, A, B = (Operand(context, builder, signature.args[i], arguments[i]) for i in (10, 11, 12))
        lanes = number_of(B.lanes)
        whole, rest = builder.sdiv(k, lanes), builder.srem(k, lanes)
        mask, has_rest = first_lanes(builder, B.vector, rest), builder.icmp_signed("!=", rest, number_of(0))

        def emit(h, w):
            cells = B.zeros(h * w)
            lines, others = row_pointers(builder, A, h), row_pointers(builder, B, w)

            def step(a, b, mask=None):
                loaded = [A.load_vector(A.step(line, a), mask) for line in lines]
                for j, other in enumerate(others):
                    numbers = B.load_vector(B.step(other, b), mask)
                    for i in range(h):
                        B.accumulate(cells[i * w + j], loaded[i], numbers)

            def sweep(at, mask=None):
                with each_pair(builder, rows, columns, (a_row, a_column), (b_row, b_column)) as (a, b):
                    step(builder.add(a, at), builder.add(b, at), mask)

            with cgutils.for_range(builder, whole) as loop:
                sweep(times(builder, loop.index, lanes))
            with builder.if_then(has_rest):
                sweep(times(builder, whole, lanes), mask)
            add_sums_of_lanes(builder, C, alpha, cells, h, w)

        choose(builder, [mr, nr], [TARGET.dot_mr, TARGET.dot_nr], emit)
        return context.get_dummy_value()

    return types.void(*[_OFFSET] * 9, C[0].dtype, C, A, B), generate
