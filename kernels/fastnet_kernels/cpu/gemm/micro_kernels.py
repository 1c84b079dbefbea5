"""The micro-kernels that all matrix products are made of.

A tile of C is kept in vector registers while its sum runs, so that each number that is loaded is used many times.

    gemm_micro_kernel          C[r, v] = S[r, v] + alpha sum_k A[r, k] B[k, v]   for v two vectors wide; S may be C;
                               one step of k loads two vectors of B and h single numbers of A, and does 2 h vector FMAs
    gemm_micro_kernel_narrow   the same for v one vector wide, or a part of one;
                               the rows of B may lie anywhere
    dot_micro_kernel           C[i, j] += alpha sum_k A[i, k] B[j, k]   for some rows i and j; the rows of A may lie
                               anywhere, and be bytes that are scaled on their way
                               one step loads h + w vectors and does h w vector FMAs; the lanes are added at the end

Each is emitted in a few heights (and widths), MR and NR of the `Target`, which are chosen by number.
Read `macro_kernel` next.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..codegen.processor import LINE_BYTES, TARGET
from ..codegen.simd import (
    Buffer,
    Operand,
    broadcast,
    emit_prefetch,
    first_lanes,
    fused_multiply_add,
    opaque,
    scheduling_barrier,
    sums_of_lanes,
)
from .load_convert import Reader

_A_AHEAD = TARGET.a_prefetch_steps
_B_AHEAD = TARGET.b_prefetch_steps

NO_PREFETCH = -(1 << 60)  # the offset of what need not be prefetched
_OFFSET = types.intp
_BYTE = ir.IntType(8)


def number_of(value):
    return ir.IntType(64)(value)


def times(builder, index, stride):
    return builder.mul(index, stride)


def choose(builder, sizes, choices, emit):
    """Branch to the micro-kernel of these sizes, which are numbers; `choices` lists what each can be."""
    end = builder.append_basic_block("tile_end")

    def narrow(found, left):
        if not left:
            emit(*found)
            builder.branch(end)
            builder.position_at_end(builder.append_basic_block("unreachable"))
            return
        for choice in left[0][1]:
            with builder.if_then(builder.icmp_signed("==", left[0][0], number_of(choice))):
                narrow([*found, choice], left[1:])

    narrow([], list(zip(sizes, choices, strict=True)))
    builder.branch(end)
    builder.position_at_end(end)


def row_pointers(builder, matrix, count):
    return [matrix.at(matrix.offset, times(builder, number_of(r), matrix.row_stride)) for r in range(count)]


class RowPointers:
    """Pointers to rows that lie `stride` apart, which move on together, in the fewest instructions.

    Left alone, LLVM adds the stride from row to row, in a chain that takes a cycle for each row: longer than the tile's
    multiply-adds. Here a row is seven others and once, twice or four times a number that does not change, which the
    load itself adds.
    """

    _GROUP = ((1, 0), (1, 1), (1, 2), (3, 1), (1, 4), (5, 1), (3, 2))  # row = multiple * scale

    def __init__(self, builder, matrix, count):
        self.builder, self.count, self.pointer = builder, count, matrix.element.as_pointer()
        self.size = number_of(matrix.size)
        self.first = builder.bitcast(matrix.at(matrix.offset), _BYTE.as_pointer())
        stride = builder.mul(matrix.row_stride, self.size)
        self.multiples = {number: builder.mul(stride, number_of(number)) for number in (1, 3, 5, len(self._GROUP))}

    def after(self, offset):
        """Pointers to the rows' numbers at `offset`."""
        builder, pointers = self.builder, []
        base = builder.gep(self.first, [opaque(builder, builder.mul(offset, self.size))])
        while len(pointers) < self.count:
            for multiple, scale in self._GROUP[: self.count - len(pointers)]:
                unit = builder.bitcast(base, ir.IntType(8 * max(1, scale)).as_pointer())
                row = builder.gep(unit, [self.multiples[multiple]]) if scale else unit
                pointers.append(builder.bitcast(row, self.pointer))
            base = builder.gep(base, [self.multiples[len(self._GROUP)]])
        return pointers


def _indexed(context, builder, kind, rows, number):
    """index[number] of `Rows`; of a `Matrix` the number itself."""
    if "index" not in kind.fields:
        return number
    index = Buffer(context, builder, kind[kind.fields.index("index")], rows.index)
    return index.load(index.at(number))


def _prefetched_by(builder, A, B, k, h, b_prefetch):
    """Pointer to what is prefetched, and its step: of B from b_prefetch on, else of A.

    Down a column of A that is the same column some steps on; along rows that lie without a gap it is the next tile, a
    line a step. A second line for a column's last rows would cost more than it brings: a prefetch takes a load's place.
    """
    is_column = builder.icmp_signed("!=", A.column_stride, number_of(1))
    line = number_of(LINE_BYTES // A.size)
    has_no_gap = builder.icmp_signed("<=", A.row_stride, builder.add(k, line))
    down, along = times(builder, number_of(_A_AHEAD), A.column_stride), times(builder, number_of(h), A.row_stride)
    ahead = builder.select(is_column, down, along)
    step = builder.select(is_column, A.column_stride, builder.select(has_no_gap, line, number_of(0)))
    is_known = builder.icmp_signed("!=", b_prefetch, number_of(NO_PREFETCH))
    return builder.select(is_known, B.at(b_prefetch), A.at(A.offset, ahead)), builder.select(is_known, line, step)


def add_sums_of_lanes(builder, C, alpha, cells, h, w):
    """C[i, j] += alpha times the sum of the lanes of vector i w + j of `cells`, for i < h and j < w."""
    sums = sums_of_lanes(builder, [builder.load(cell) for cell in cells])
    for i in range(h):
        for j in range(w):
            total = builder.fmul(alpha, sums[i * w + j])
            row = builder.add(C.offset, times(builder, number_of(i), C.row_stride))
            target = C.at(row, times(builder, number_of(j), C.column_stride))
            C.store(builder.fadd(C.load(target), total), target)


@intrinsic
def gemm_micro_kernel(typing_context, mr, k, alpha, C, S, A, B, b_prefetch):
    """C[i, j] = S[i, j] + alpha sum_p A[i, p] B[p, j], for i < mr, p < k, and j below the width of two vectors, NR.

    All are `Matrix`es; the rows of C, S and B are contiguous, and S may be C. From b_prefetch on a line of B's buffer
    is prefetched at each step, or, where that is NO_PREFETCH, of A what comes next.
    """

    def generate(context, builder, signature, arguments):
        mr, k, alpha, *_, b_prefetch = arguments
        C, S, A, B = (Operand(context, builder, signature.args[i], arguments[i]) for i in (3, 4, 5, 6))
        b_ahead = times(builder, number_of(_B_AHEAD), B.row_stride)

        def pair(pointer):
            return [pointer, B.step(pointer, number_of(B.lanes))]

        def emit(h):
            cells = B.zeros(2 * h)
            targets = row_pointers(builder, C, h)
            for target in targets:  # needed last, prefetched first
                for half in pair(target):
                    emit_prefetch(builder, half)
            rows, first = RowPointers(builder, A, h), B.at(B.offset)
            upcoming, prefetch_step = _prefetched_by(builder, A, B, k, h, b_prefetch)
            with cgutils.for_range(builder, k) as loop:
                row = B.step(first, times(builder, loop.index, B.row_stride))
                loaded = [B.load_vector(half) for half in pair(row)]
                for half in pair(B.step(row, b_ahead)):
                    emit_prefetch(builder, half)
                emit_prefetch(builder, A.step(upcoming, times(builder, loop.index, prefetch_step)))
                for r, number in enumerate(rows.after(times(builder, loop.index, A.column_stride))):
                    factor, sums = broadcast(builder, B.vector, A.load(number)), cells[2 * r : 2 * r + 2]
                    for cell, vector in zip(sums, loaded, strict=True):
                        B.accumulate(cell, factor, vector)
                    scheduling_barrier(builder, sums)
            scale = broadcast(builder, C.vector, alpha)
            for r, (target, start) in enumerate(zip(targets, row_pointers(builder, S, h), strict=True)):
                for v, (half, given) in enumerate(zip(pair(target), pair(start), strict=True)):
                    total = builder.load(cells[2 * r + v])
                    C.store_vector(fused_multiply_add(builder, scale, total, S.load_vector(given)), half)

        choose(builder, [mr], [TARGET.mr], emit)
        return context.get_dummy_value()

    return types.void(_OFFSET, _OFFSET, C[0].dtype, C, S, A, B, _OFFSET), generate


@intrinsic
def gemm_micro_kernel_narrow(typing_context, mr, nr, k, alpha, C, S, A, B):
    """C[i, j] = S[i, j] + alpha sum_p A[i, p] B[p, j], for i < mr, p < k and j < nr, which is at most a vector.

    C, S and A are `Matrix`es, B is one or `Rows`; the rows of C, S and B are contiguous, and S may be C.
    """

    def generate(context, builder, signature, arguments):
        mr, nr, k, alpha, *_ = arguments
        C, S, A, B = (Operand(context, builder, signature.args[i], arguments[i]) for i in (4, 5, 6, 7))
        mask = first_lanes(builder, C.vector, nr)
        has_index = "index" in signature.args[7].fields

        def emit(h):
            cells = B.zeros(h)
            targets = row_pointers(builder, C, h)
            for target in targets:
                emit_prefetch(builder, target)
            rows = RowPointers(builder, A, h)
            with cgutils.for_range(builder, k) as loop:
                offset = _indexed(context, builder, signature.args[7], B, loop.index)
                row = B.at(B.offset, times(builder, offset, B.row_stride))
                if has_index:  # what the next tile reads of the row: no processor foresees rows that lie anywhere
                    emit_prefetch(builder, B.step(row, number_of(B.lanes)), first_cache=False)
                loaded = B.load_vector(row, mask)
                numbers = rows.after(times(builder, loop.index, A.column_stride))
                for cell, number in zip(cells, numbers, strict=True):
                    B.accumulate(cell, broadcast(builder, B.vector, A.load(number)), loaded)
            scale = broadcast(builder, C.vector, alpha)
            # All are loaded before any is stored: a load waits for a store with a mask that is near it.
            changed = [
                fused_multiply_add(builder, scale, builder.load(cell), S.load_vector(start, mask))
                for cell, start in zip(cells, row_pointers(builder, S, h), strict=True)
            ]
            for numbers, target in zip(changed, targets, strict=True):
                C.store_vector(numbers, target, mask)

        choose(builder, [mr], [TARGET.mr_narrow], emit)
        return context.get_dummy_value()

    return types.void(_OFFSET, _OFFSET, _OFFSET, C[0].dtype, C, S, A, B), generate


@intrinsic
def dot_micro_kernel(typing_context, mr, nr, k, alpha, C, A, B, rescale):
    """C[i, j] += alpha sum_p A[i, p] B[j, p], for i < mr, j < nr and p < k.

    C and B are `Matrix`es, A `Rows`; the rows of A and B are contiguous. A is read as `rescale` says, and may be
    uint8 then; where that is None, as it is.
    """

    def generate(context, builder, signature, arguments):
        mr, nr, k, alpha, *_, scaling = arguments
        C, A, B = (Operand(context, builder, signature.args[i], arguments[i]) for i in (4, 5, 6))
        lanes = number_of(B.lanes)
        reader = None if isinstance(rescale, types.NoneType) else Reader(builder, A, B, scaling)

        def load(pointer, mask):
            return reader.read(pointer, mask) if reader else A.load_vector(pointer, mask)

        whole, rest = builder.sdiv(k, lanes), builder.srem(k, lanes)

        def emit(h, w):
            cells = B.zeros(h * w)
            offsets = [_indexed(context, builder, signature.args[5], A, number_of(i)) for i in range(h)]
            rows = [A.at(A.offset, times(builder, offset, A.row_stride)) for offset in offsets]
            columns = row_pointers(builder, B, w)

            def step(p, mask=None):
                loaded = [load(A.step(row, p), mask) for row in rows]
                for j, column in enumerate(columns):
                    numbers = B.load_vector(B.step(column, p), mask)
                    for i in range(h):
                        B.accumulate(cells[i * w + j], loaded[i], numbers)

            with cgutils.for_range(builder, whole) as loop:
                step(times(builder, loop.index, lanes))
            with builder.if_then(builder.icmp_signed("!=", rest, number_of(0))):
                step(times(builder, whole, lanes), first_lanes(builder, B.vector, rest))
            add_sums_of_lanes(builder, C, alpha, cells, h, w)

        choose(builder, [mr, nr], [TARGET.dot_mr, TARGET.dot_nr], emit)
        return context.get_dummy_value()

    return types.void(_OFFSET, _OFFSET, _OFFSET, C[0].dtype, C, A, B, rescale), generate
