"""Matrix products over a range of rows or columns, on the caller's thread, as tiles of `microkernel`.

The order of every sum depends on the matrices' shapes only, so that any split of the work among threads gives the
same bits.
"""

from .compiling import inner, routine
from .microkernel import HEIGHTS, SIDES, VECTOR_BYTES, WIDTHS, dot_tile, outer_tile


@inner
def _largest(sizes, limit):
    """The largest of the falling `sizes` that is at most `limit`."""
    for size in sizes:
        if size <= limit:
            return size
    return 0


@inner
def _has_unit_columns(M):
    return M.strides[1] == M.itemsize


@routine
def multiply(C, A, B, first_row, last_row, first_column, last_column):
    """C[rows, columns] = A[rows] @ B[:, columns], for A (m, n_k), B (n_k, n), C (m, n)."""
    lanes = VECTOR_BYTES // C.itemsize
    height = _largest(HEIGHTS, last_row - first_row)
    width = _largest(WIDTHS, (last_column - first_column) // lanes)
    if height == 0:
        return
    if width == 0 or not (_has_unit_columns(B) and _has_unit_columns(C)):
        _multiply_plainly(C, A, B, first_row, last_row, first_column, last_column)
        return
    for j in range(first_column, last_column, width * lanes):
        for i in range(first_row, last_row, height):
            outer_tile(C, min(i, last_row - height), min(j, last_column - width * lanes), height, width, A, B)


@inner
def _multiply_plainly(C, A, B, first_row, last_row, first_column, last_column):
    for i in range(first_row, last_row):
        for j in range(first_column, last_column):
            C[i, j] = 0
        for k in range(B.shape[0]):
            a = A[i, k]
            for j in range(first_column, last_column):
                C[i, j] += a * B[k, j]


@routine
def multiply_transposed(C, A, B, first_row, last_row):
    """C[rows] = A[rows] @ B.T, for A (m, n_k), B (n, n_k), C (m, n)."""
    n, n_k = B.shape
    height = _largest(SIDES, last_row - first_row)
    width = _largest(SIDES, n)
    if height == 0 or width == 0:
        return
    if n_k * C.itemsize < VECTOR_BYTES or not (_has_unit_columns(A) and _has_unit_columns(B)):
        _multiply_transposed_plainly(C, A, B, first_row, last_row)
        return
    for j in range(0, n, width):
        for i in range(first_row, last_row, height):
            dot_tile(C, min(i, last_row - height), min(j, n - width), height, width, A, B)


@inner
def _multiply_transposed_plainly(C, A, B, first_row, last_row):
    for i in range(first_row, last_row):
        for j in range(B.shape[0]):
            total = C.dtype.type(0)
            for k in range(B.shape[1]):
                total += A[i, k] * B[j, k]
            C[i, j] = total
