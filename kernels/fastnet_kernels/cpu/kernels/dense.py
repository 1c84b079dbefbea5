"""The dense layer as public kernels: Z = A_prev W^T + b and back, on matrices of any strides."""

from ..codegen.arrays import flat
from ..codegen.compiling import routine
from ..codegen.elements import clear
from ..codegen.kernel import kernel
from ..codegen.matrix import Matrix, as_column, as_matrix, place_of, transposed
from ..codegen.scratch import give_back, numbers_in, take
from ..gemm.product import product
from .column_sums import sum_distances


@routine
def _forward(m, n, k, A_prev, W, b, Z):
    product(m, n, k, Z, A_prev, transposed(W), b)


@routine
def sum_over_samples(m, n, dZ, db):
    """db = the column sums of dZ (m, n), both `Matrix`es of any strides."""
    piece = take(3 * n * dZ.data.itemsize)
    zeros, sums = numbers_in(piece, dZ.data, 0, n), numbers_in(piece, dZ.data, n, n)
    squares = numbers_in(piece, dZ.data, 2 * n, n)
    clear(zeros)
    clear(sums)
    if dZ.column_stride == 1:
        sum_distances(m, dZ, zeros, sums, squares)
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


@routine
def product_alone(m, n, k, C, A, B):
    """C = A B for `Matrix`es of any strides."""
    piece = take(max(m, n) * C.data.itemsize)
    zeros = numbers_in(piece, C.data, 0, max(m, n))
    clear(zeros)
    product(m, n, k, C, A, B, Matrix(zeros, 0, 0, 1))
    give_back(piece)


@routine
def backward(m, n, k, dZ, A_prev, W, dW, db, dA_prev):
    """`dense_backward` of `Matrix`es."""
    product_alone(m, k, n, dA_prev, dZ, W)
    product_alone(n, k, m, dW, transposed(dZ), A_prev)
    sum_over_samples(m, n, dZ, db)


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
    backward(
        m, n, W.shape[1], as_matrix(dZ), as_matrix(A_prev), as_matrix(W), as_matrix(dW), as_column(db),
        as_matrix(dA_prev),
    )  # fmt: skip
