"""The micro-kernels of depthwise convolutions, in which each channel has a filter of its own: rows are channels.

Nothing is summed over channels, so that each number of W meets one vector only: of two pixels at a time, which have the
same W, half as many numbers of it have to be loaded.

    depthwise_micro_kernel       C[r, v] = start[r] + sum over taps of A[r, tap] B[r, v, tap], v one or two vectors
    depthwise_dot_micro_kernel   C[r, j] += alpha sum over pixels and lanes of A[r, pixel] B[r, pixel of tap j]
"""

from numba.core import cgutils, types
from numba.extending import intrinsic

from ..codegen.processor import TARGET
from ..codegen.simd import Operand, broadcast, first_lanes
from .conv_micro_kernels import MR, each_pair
from .micro_kernels import add_sums_of_lanes, choose, number_of, row_pointers, times

_OFFSET = types.intp
CHANNELS, TAPS = TARGET.dot_mr, (3, 2, 1)  # of a tile of dot products


@intrinsic
def depthwise_micro_kernel(
    typing_context, mr, vectors, columns, a_column, b_column, rows, a_row, b_row, c_second, b_second, C, start, A, B
):
    """C[i, j] = start[i] + sum_q sum_p A[i, q a_row + p a_column] B[i + q b_row + p b_column, j].

    For i < mr, q < rows, p < columns, and j in one vector, or in `vectors` = 2, of which the second lies `b_second`
    behind the first in B and `c_second` in C. All are `Matrix`es, `start` one of one column; the rows of C and B are
    contiguous.
    """

    def generate(context, builder, signature, arguments):
        mr, vectors, columns, a_column, b_column, rows, a_row, b_row, c_second, b_second, *_ = arguments
        C, start, A, B = (Operand(context, builder, signature.args[i], arguments[i]) for i in (10, 11, 12, 13))

        def emit(h, width):
            cells = B.zeros(width * h)
            for r, number in enumerate(row_pointers(builder, start, h)):
                vector = broadcast(builder, B.vector, start.load(number))
                for cell in cells[width * r : width * (r + 1)]:
                    builder.store(vector, cell)
            factors, lines = row_pointers(builder, A, h), row_pointers(builder, B, h)
            with each_pair(builder, rows, columns, (a_row, a_column), (b_row, b_column)) as (a, b):
                for r in range(h):
                    factor, line = broadcast(builder, B.vector, A.load(A.step(factors[r], a))), B.step(lines[r], b)
                    for v in range(width):
                        B.accumulate(cells[width * r + v], factor, B.load_vector(B.step(line, b_second) if v else line))
            for r, target in enumerate(row_pointers(builder, C, h)):
                for v in range(width):
                    C.store_vector(builder.load(cells[width * r + v]), C.step(target, c_second) if v else target)

        choose(builder, [mr, vectors], [MR, (2, 1)], emit)
        return context.get_dummy_value()

    return types.void(*[_OFFSET] * 10, C, start, A, B), generate


@intrinsic
def depthwise_dot_micro_kernel(
    typing_context, mr, taps, b_tap, k, columns, a_column, b_column, rows, a_row, b_row, alpha, C, A, B
):
    """C[i, j] += alpha sum_q sum_p sum_t A[i, t + q a_row + p a_column] B[i, t + j b_tap + q b_row + p b_column].

    For i < mr, j < taps, q < rows, p < columns and t < k. All are `Matrix`es; the rows of A and B are contiguous.
    """

    def generate(context, builder, signature, arguments):
        mr, taps, b_tap, k, columns, a_column, b_column, rows, a_row, b_row, alpha, *_ = arguments
        C, A, B = (Operand(context, builder, signature.args[i], arguments[i]) for i in (11, 12, 13))
        lanes = number_of(B.lanes)
        whole, rest = builder.sdiv(k, lanes), builder.srem(k, lanes)
        mask, has_rest = first_lanes(builder, B.vector, rest), builder.icmp_signed("!=", rest, number_of(0))

        def emit(h, w):
            cells = B.zeros(h * w)
            lines, others = row_pointers(builder, A, h), row_pointers(builder, B, h)

            def step(a, b, mask=None):
                for i in range(h):
                    numbers, first = A.load_vector(A.step(lines[i], a), mask), B.step(others[i], b)
                    for j in range(w):
                        other = B.step(first, times(builder, b_tap, number_of(j)))
                        B.accumulate(cells[i * w + j], numbers, B.load_vector(other, mask))

            def sweep(at, mask=None):
                with each_pair(builder, rows, columns, (a_row, a_column), (b_row, b_column)) as (a, b):
                    step(builder.add(a, at), builder.add(b, at), mask)

            with cgutils.for_range(builder, whole) as loop:
                sweep(times(builder, loop.index, lanes))
            with builder.if_then(has_rest):
                sweep(times(builder, whole, lanes), mask)
            add_sums_of_lanes(builder, C, alpha, cells, h, w)

        choose(builder, [mr, taps], [CHANNELS, TAPS], emit)
        return context.get_dummy_value()

    return types.void(*[_OFFSET] * 10, C[0].dtype, C, A, B), generate
