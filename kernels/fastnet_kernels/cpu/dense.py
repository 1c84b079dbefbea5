"""The dense layer: Z = A_prev W^T + b, with one sample a row; the formulas are those of `reference`."""

from numba import prange

from .blocks import ROWS, bounds, n_blocks
from .compiling import inner, kernel
from .products import multiply, multiply_transposed


@inner
def forward_rows(A_prev, W, b, Z, first, last):
    """Rows `first:last` of Z = A_prev W^T + b."""
    multiply_transposed(Z, A_prev, W, first, last)
    for i in range(first, last):
        for j in range(Z.shape[1]):
            Z[i, j] += b[j]


@inner
def gradient_tile(dZ, A_prev, dW, db, first_row, last_row, first_column, last_column):
    """One tile of dW = dZ^T A_prev; the tiles at the left edge also sum their rows of db."""
    multiply(dW, dZ.T, A_prev, first_row, last_row, first_column, last_column)
    if first_column == 0:
        sums, summed = db[first_row:last_row], dZ[:, first_row:last_row]
        for j in range(sums.size):
            sums[j] = 0
        for i in range(summed.shape[0]):
            for j in range(sums.size):
                sums[j] += summed[i, j]


@kernel
def dense_forward(A_prev, W, b, Z):
    """Z = A_prev W^T + b, for A_prev (m, n_prev), W (n, n_prev), b (n,), Z (m, n)."""
    m = Z.shape[0]
    for block in prange(n_blocks(m, ROWS)):
        first, last = bounds(block, m, ROWS)
        forward_rows(A_prev, W, b, Z, first, last)


@kernel
def dense_backward(dZ, A_prev, W, dW, db, dA_prev):
    """dW = dZ^T A_prev, db = the column sums of dZ, dA_prev = dZ W: each in the shape of what it is the derivative of.

    The 1/m of the cost is in dZ already: the losses put it there.
    """
    m, n = dZ.shape
    for block in prange(n_blocks(m, ROWS)):
        first, last = bounds(block, m, ROWS)
        multiply(dA_prev, dZ, W, first, last, 0, W.shape[1])
    for block in prange(n_blocks(n, ROWS)):
        first, last = bounds(block, n, ROWS)
        gradient_tile(dZ, A_prev, dW, db, first, last, 0, W.shape[1])
