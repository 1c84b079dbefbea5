"""Sums down the columns of a matrix whose rows are contiguous: a strip of some vectors at a time, kept in registers.

Row after row, sums in memory would be read and written for every number that is added to them. A strip jumps from row
to row, where no processor's own prefetcher follows, so each row's numbers of the next strip are prefetched.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..codegen.elements import added
from ..codegen.loops import map_numbers
from ..codegen.matrix import part
from ..codegen.processor import LINE_BYTES, VECTOR_BYTES
from ..codegen.simd import Buffer, Operand, emit_prefetch, first_lanes, fused_multiply_add

_VECTORS = 4  # of a strip: two sums and an origin of each fit the registers of any machine
_ROWS = 8  # of a strip: of more, memory has too many pages open


@intrinsic
def _sum_strip(typing_context, is_shifted, rows, columns, X, A, origin, plain, weighted):
    """plain[v] += sum_i x and weighted[v] += sum_i x (A[i, v] - origin[v]), for v < `columns`, at most a strip.

    x is X[i, v], less origin[v] if `is_shifted` (a literal). X and A are `Matrix`es of contiguous rows, all else are
    vectors from the strip's first column on.
    """
    if not isinstance(is_shifted, types.BooleanLiteral):
        return None

    def generate(context, builder, signature, arguments):
        _, rows, columns, *_ = arguments
        x, a = (Operand(context, builder, signature.args[i], arguments[i]) for i in (3, 4))
        start, sums, products = (Buffer(context, builder, signature.args[i], arguments[i]) for i in (5, 6, 7))
        index, lanes = ir.IntType(64), a.lanes

        def emit(is_whole):
            offsets = [index(v * lanes) for v in range(_VECTORS)]
            masks = [None] * _VECTORS
            if not is_whole:
                left = [builder.sub(columns, offset) for offset in offsets]
                masks = [first_lanes(builder, a.vector, count) for count in left]
            origins = [start.load_vector(start.at(offset), mask) for offset, mask in zip(offsets, masks, strict=True)]
            plain, weighted = a.zeros(_VECTORS), a.zeros(_VECTORS)
            for cells, array in ((plain, sums), (weighted, products)):
                for cell, offset, mask in zip(cells, offsets, masks, strict=True):
                    builder.store(array.load_vector(array.at(offset), mask), cell)
            with cgutils.for_range(builder, rows) as loop:
                rows_of = [M.at(M.offset, builder.mul(loop.index, M.row_stride)) for M in (a, x)]
                for pointer in rows_of[: 1 if is_shifted.literal_value else 2]:
                    for line in range(0, _VECTORS * lanes, LINE_BYTES // a.size):
                        emit_prefetch(builder, a.step(pointer, index(_VECTORS * lanes + line)))
                for v, (offset, mask) in enumerate(zip(offsets, masks, strict=True)):
                    distance = builder.fsub(a.load_vector(a.step(rows_of[0], offset), mask), origins[v])
                    factor = distance if is_shifted.literal_value else x.load_vector(x.step(rows_of[1], offset), mask)
                    builder.store(builder.fadd(builder.load(plain[v]), factor), plain[v])
                    total = fused_multiply_add(builder, factor, distance, builder.load(weighted[v]))
                    builder.store(total, weighted[v])
            for v, (offset, mask) in enumerate(zip(offsets, masks, strict=True)):
                sums.store_vector(builder.load(plain[v]), sums.at(offset), mask)
                products.store_vector(builder.load(weighted[v]), products.at(offset), mask)

        whole = builder.icmp_signed(">=", columns, index(_VECTORS * lanes))
        with builder.if_else(whole) as (then, otherwise):
            with then:
                emit(is_whole=True)
            with otherwise:
                emit(is_whole=False)
        return context.get_dummy_value()

    return types.void(is_shifted, rows, columns, X, A, origin, plain, weighted), generate


@inner
def _strip(like):
    return _VECTORS * VECTOR_BYTES // like.itemsize


@routine
def sum_distances(rows, A, origin, plain, squares):
    """plain[j] = sum_i (A[i, j] - origin[j]) and squares[j] = sum_i (A[i, j] - origin[j])^2, for i < rows.

    A is a `Matrix` of contiguous rows, all else vectors (n,).
    """
    n = plain.size
    for j in range(n):
        plain[j] = 0
        squares[j] = 0
    for i in range(0, rows, _ROWS):
        for j in range(0, n, _strip(plain)):
            some, start = part(A, i, j), vector(origin, j, n - j)
            sums, products = vector(plain, j, n - j), vector(squares, j, n - j)
            _sum_strip(True, min(_ROWS, rows - i), n - j, some, some, start, sums, products)


@routine
def add_products(rows, X, A, origin, plain, weighted):
    """plain[j] += sum_i X[i, j] and weighted[j] += sum_i X[i, j] (A[i, j] - origin[j]), for i < rows.

    X and A are `Matrix`es of contiguous rows, all else vectors (n,).
    """
    n = plain.size
    for i in range(0, rows, _ROWS):
        for j in range(0, n, _strip(plain)):
            x, a, start = part(X, i, j), part(A, i, j), vector(origin, j, n - j)
            sums, products = vector(plain, j, n - j), vector(weighted, j, n - j)
            _sum_strip(False, min(_ROWS, rows - i), n - j, x, a, start, sums, products)


@routine
def add_partial_sums(pairs, n, j, count, sums):
    """Sums of parts of the samples, two vectors (n,) each: add the others' to the first's, for columns from j on."""
    for row in range(2):
        total = vector(sums, row * n + j, count)
        for pair in range(1, pairs):
            map_numbers(added, total, (total, vector(sums, (2 * pair + row) * n + j, count)), ())
