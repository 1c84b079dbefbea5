"""Products of contiguous rows: dot products of the rows of two matrices, and sums of scaled rows.

They need no panels, so they are for what is too narrow for gemm: few units, few samples, or rows that lie anywhere.
"""

from ...codes import BYTES, SAMPLE_ROWS
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Rows, moved
from ..codegen.processor import LINE_BYTES, TARGET
from ..codegen.simd import prefetch_far
from .micro_kernels import dot_micro_kernel

_COLUMNS = TARGET.gemv_columns
_PREFETCHED = TARGET.prefetched_numbers

_DOT_MR, _DOT_NR = TARGET.dot_mr, TARGET.dot_nr

DOTS_AT_ONCE = _DOT_NR[0]  # of rows of B, for which a row of A is read once


@inner
def largest_of(sizes, limit):
    """The largest of the falling `sizes` that is at most `limit`."""
    for size in sizes:
        if size <= limit:
            return size
    return 1


@inner
def _gemm_dot(m, n, k, alpha, C, A, B, rescale):
    """C[i, j] += alpha sum_p A[i, p] B[j, p], where A is read as `rescale` says, in tiles of MR rows and NR columns."""
    j = 0
    while j < n:
        nr = largest_of(_DOT_NR, n - j)
        i = 0
        while i < m:
            mr = largest_of(_DOT_MR, m - i)
            tile = moved(C, i * C.row_stride + j * C.column_stride)
            rows = Rows(A.data, A.offset, A.row_stride, vector(A.index, i, mr))
            dot_micro_kernel(mr, nr, k, alpha, tile, rows, moved(B, j * B.row_stride), rescale)
            i += mr
        j += nr


@routine
def gemm_dot(m, n, k, alpha, C, A, B):
    """C[i, j] += alpha sum_p A[i, p] B[j, p], for i < m, j < n, p < k.

    C and B are `Matrix`es, A is `Rows`; the rows of A and B are contiguous.
    """
    _gemm_dot(m, n, k, alpha, C, A, B, None)


@routine(component=BYTES)
def gemm_dot_bytes(m, n, k, C, A, B, rescale):
    """C[i, j] += sum_p (scale A[i, p] + shift) B[j, p], for i < m, j < n, p < k, where A is `Rows` of bytes.

    C and B are `Matrix`es; the rows of A and B are contiguous. The bytes are read again for every few rows of B.
    """
    _gemm_dot(m, n, k, C.data.dtype.type(1), C, A, B, rescale)


@inner
def _add_four(changed, factors, a, b, c, d):
    """changed += p a + q b + r c + u d, all (n,): it is loaded and stored once for four rows."""
    p, q, r, u = factors
    for k in range(changed.size):
        changed[k] += p * a[k] + q * b[k] + r * c[k] + u * d[k]


@inner
def _prefetch_row(source, offset, count):
    """Prefetch `count` numbers of a buffer, a cache line at a time."""
    for k in range(0, count, LINE_BYTES // source.itemsize):
        prefetch_far(source, offset + k)


@inner
def _gemv_t(target, alpha, factors, count, source, ahead):
    """target[k] += alpha sum_i factors[i, 0] source[i, k], as `gemv_t` says, for a source of any dtype."""
    data, index, F, f, f_step = source.data, source.index, factors.data, factors.offset, factors.row_stride
    for first in range(0, target.size, _COLUMNS):
        changed = vector(target, first, min(_COLUMNS, target.size - first))
        s = source.offset + first
        i = 0
        while i + 4 <= count:
            p, q = alpha * F[f + i * f_step], alpha * F[f + (i + 1) * f_step]
            r, u = alpha * F[f + (i + 2) * f_step], alpha * F[f + (i + 3) * f_step]
            a = vector(data, s + index[i] * source.row_stride, changed.size)
            b = vector(data, s + index[i + 1] * source.row_stride, changed.size)
            c = vector(data, s + index[i + 2] * source.row_stride, changed.size)
            d = vector(data, s + index[i + 3] * source.row_stride, changed.size)
            if ahead > 0:
                upcoming, later = s + index[i + ahead] * source.row_stride, s + index[i + ahead + 1] * source.row_stride
                for k in range(0, changed.size, _PREFETCHED):
                    n = min(_PREFETCHED, changed.size - k)
                    _prefetch_row(data, upcoming + k, n)
                    _prefetch_row(data, later + k, n)
                    four = vector(a, k, n), vector(b, k, n), vector(c, k, n), vector(d, k, n)
                    _add_four(vector(changed, k, n), (p, q, r, u), four[0], four[1], four[2], four[3])
            else:
                _add_four(changed, (p, q, r, u), a, b, c, d)
            i += 4
        while i < count:
            p = alpha * F[f + i * f_step]
            a = vector(data, s + index[i] * source.row_stride, changed.size)
            for k in range(changed.size):
                changed[k] += p * a[k]
            i += 1


@routine(component=SAMPLE_ROWS)
def gemv_t(target, alpha, factors, count, source, ahead):
    """target[k] += alpha sum_i factors[i, 0] source[i, k], for i < count and all k of the target, a vector.

    `factors` is a `Matrix`, `source` is `Rows`. With `ahead` above 0, every other pair of the rows source[ahead],
    source[ahead + 1], ... is prefetched: memory has nothing else to do if these rows are in cache. The pairs between
    them come when those are multiplied.
    """
    _gemv_t(target, alpha, factors, count, source, ahead)


@routine(component=BYTES)
def gemv_t_bytes(target, alpha, factors, count, source, ahead):
    """target[k] += alpha sum_i factors[i, 0] source[i, k], as `gemv_t`, for a source of bytes."""
    _gemv_t(target, alpha, factors, count, source, ahead)
