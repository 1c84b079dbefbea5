"""Products of rows: dot products of two matrices' rows, and sums of scaled rows."""

from ...codes import BYTES, SAMPLE_ROWS
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..codegen.processor import LINE_BYTES, TARGET
from ..codegen.simd import prefetch_far
from .micro_kernels import dot_micro_kernel

_COLUMNS = TARGET.gemv_columns
_PREFETCHED = TARGET.prefetched_numbers

_DOT_MR, _DOT_NR = TARGET.dot_mr, TARGET.dot_nr

DOTS_AT_ONCE = _DOT_NR[0]  # of rows of B, for which a row of A is read once


@inner
def _largest(sizes, limit):
    """The largest of the falling `sizes` that is at most `limit`."""
    for size in sizes:
        if size <= limit:
            return size
    return 1


@inner
def _gemm_dot(m, n, alpha, C, c, c_row, c_column, A, a, a_row, index, B, b, b_row, n_k, scale, shift):
    j = 0
    while j < n:
        width = _largest(_DOT_NR, n - j)
        i = 0
        while i < m:
            height = _largest(_DOT_MR, m - i)
            dot_micro_kernel(
                height, width, alpha, C, c + i * c_row + j * c_column, c_row, c_column, A, a, a_row,
                vector(index, i, height), B, b + j * b_row, b_row, n_k, scale, shift,
            )  # fmt: skip
            i += height
        j += width


@routine
def gemm_dot(m, n, alpha, C, c, c_row, c_column, A, a, a_row, index, B, b, b_row, n_k):
    """C[c + i c_row + j c_column] += alpha sum_k A[a + index[i] a_row + k] B[b + j b_row + k].

    For i < m, j < n, k < n_k.
    """
    _gemm_dot(m, n, alpha, C, c, c_row, c_column, A, a, a_row, index, B, b, b_row, n_k, None, None)


@routine(component=BYTES)
def gemm_dot_bytes(m, n, C, c, c_row, c_column, A, a, a_row, index, B, b, b_row, n_k, scale, shift):
    """The same, alpha 1, for A = scale times bytes + shift, which are read again for every few rows of B."""
    _gemm_dot(m, n, C.dtype.type(1), C, c, c_row, c_column, A, a, a_row, index, B, b, b_row, n_k, scale, shift)


@inner
def _add_four(changed, p, a, q, b, r, c, u, d):
    for k in range(changed.size):
        changed[k] += p * a[k] + q * b[k] + r * c[k] + u * d[k]


@inner
def _prefetch_row(source, offset, count):
    for k in range(0, count, LINE_BYTES // source.itemsize):
        prefetch_far(source, offset + k)


@inner
def _gemv_t(target, t, size, alpha, factors, f, f_step, count, source, s, s_row, index, ahead):
    for first in range(0, size, _COLUMNS):
        changed = vector(target, t + first, min(_COLUMNS, size - first))
        i = 0
        while i + 4 <= count:
            p, q = alpha * factors[f + i * f_step], alpha * factors[f + (i + 1) * f_step]
            r, u = alpha * factors[f + (i + 2) * f_step], alpha * factors[f + (i + 3) * f_step]
            a = vector(source, s + first + index[i] * s_row, changed.size)
            b = vector(source, s + first + index[i + 1] * s_row, changed.size)
            c = vector(source, s + first + index[i + 2] * s_row, changed.size)
            d = vector(source, s + first + index[i + 3] * s_row, changed.size)
            if ahead > 0:
                upcoming, later = s + first + index[i + ahead] * s_row, s + first + index[i + ahead + 1] * s_row
                for k in range(0, changed.size, _PREFETCHED):
                    n = min(_PREFETCHED, changed.size - k)
                    _prefetch_row(source, upcoming + k, n)
                    _prefetch_row(source, later + k, n)
                    _add_four(
                        vector(changed, k, n), p, vector(a, k, n), q, vector(b, k, n), r, vector(c, k, n), u,
                        vector(d, k, n),
                    )  # fmt: skip
            else:
                _add_four(changed, p, a, q, b, r, c, u, d)
            i += 4
        while i < count:
            p = alpha * factors[f + i * f_step]
            a = vector(source, s + first + index[i] * s_row, changed.size)
            for k in range(changed.size):
                changed[k] += p * a[k]
            i += 1


@routine(component=SAMPLE_ROWS)
def gemv_t(target, t, size, alpha, factors, f, f_step, count, source, s, s_row, index, ahead):
    """target[t + k] += alpha sum_i factors[f + i f_step] source[s + index[i] s_row + k], for i < count, k < size.

    With `ahead` above 0, every other pair of the rows index[ahead], index[ahead + 1], ... is asked for: memory has
    nothing else to do if these rows are in cache. The pairs between them come when those are multiplied.
    """
    _gemv_t(target, t, size, alpha, factors, f, f_step, count, source, s, s_row, index, ahead)


@routine(component=BYTES)
def gemv_t_bytes(target, t, size, alpha, factors, f, f_step, count, source, s, s_row, index, ahead):
    """The same for a source of bytes."""
    _gemv_t(target, t, size, alpha, factors, f, f_step, count, source, s, s_row, index, ahead)
