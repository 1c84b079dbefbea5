"""The dense layer as public kernels: Z = A_prev W^T + b and back, on matrices of any strides."""

from ..codegen.arrays import flat, vector
from ..codegen.compiling import routine
from ..codegen.kernel import kernel
from ..codegen.matrix import Matrix, as_column, as_matrix, place_of, transposed
from ..codegen.scratch import give_back, numbers_in, take
from ..gemm.product import product
from .column_sums import sum_distances


@routine
def _forward(m, n, k, A_prev, W, b, Z):
    product(m, n, k, Z, A_prev, transposed(W), b)


@routine
def _backward(m, n, k, dZ, A_prev, W, dW, db, dA_prev):
    size = max(n, k)
    piece = take((size + 2 * n) * dZ.data.itemsize)
    zeros, sums = numbers_in(piece, dZ.data, 0, size), numbers_in(piece, dZ.data, size, n)
    squares = numbers_in(piece, dZ.data, size + n, n)
    for j in range(size):
        zeros[j] = 0
    for j in range(n):
        sums[j] = 0
    nothing = Matrix(zeros, 0, 0, 1)
    product(m, k, n, dA_prev, dZ, W, nothing)
    product(n, k, m, dW, transposed(dZ), A_prev, nothing)
    if dZ.column_stride == 1:
        sum_distances(m, dZ, vector(zeros, 0, n), sums, squares)
    elif abs(dZ.column_stride) < abs(dZ.row_stride):
        for i in range(m):
            for j in range(n):
                sums[j] += dZ.data[dZ.offset + i * dZ.row_stride + j * dZ.column_stride]
    else:
        for j in range(n):
            for i in range(m):
                sums[j] += dZ.data[dZ.offset + i * dZ.row_stride + j * dZ.column_stride]
    for j in range(n):
        db.data[place_of(db, j)] = sums[j]
    give_back(piece)


@kernel
def dense_forward(A_prev, W, b, Z):
    """Z = A_prev W^T + b, for A_prev (m, n_prev), W (n, n_prev), b (n,), Z (m, n)."""
    m, n = Z.shape
    bias = Matrix(flat(b), 0, 0, b.strides[0] // b.itemsize)  # the same for all rows
    _forward(m, n, A_prev.shape[1], as_matrix(A_prev), as_matrix(W), bias, as_matrix(Z))


@kernel
def dense_backward(dZ, A_prev, W, dW, db, dA_prev):
    """dW = dZ^T A_prev, db = the column sums of dZ, dA_prev = dZ W: each in the shape of what it is the derivative of.

    The 1/m of the cost is in dZ already: the losses put it there.
    """
    m, n = dZ.shape
    _backward(
        m, n, W.shape[1], as_matrix(dZ), as_matrix(A_prev), as_matrix(W), as_matrix(dW), as_column(db),
        as_matrix(dA_prev),
    )  # fmt: skip
