"""The dense layer: Z = A_prev W^T + b, with one sample a row; the formulas are those of `reference`."""

import numpy as np
from numba import prange

from ...codegen.compiling import inner, kernel
from ...codegen.matrix import Matrix, Rows
from ...gemm.dot_and_gemv import gemm_dot
from ...gemm.macro_kernel import gemm
from ...gemm.micro_kernels import NO_PREFETCH
from ...partition import ROWS, bounds, n_blocks

_IOTA = np.arange(ROWS)


@inner
def _matrix(M):
    """A 2-D array as a `Matrix`, of which only the memory counts."""
    return Matrix(M, 0, M.strides[0] // M.itemsize, M.strides[1] // M.itemsize)


@inner
def _has_rows(M):
    """Whether rows are contiguous, as vectors want them."""
    return M.strides[1] == M.itemsize and M.strides[0] % M.itemsize == 0


@inner
def _multiply(C, A, B):
    """C = A B, for A (m, k), B (k, n), C (m, n)."""
    m, n = C.shape
    k = B.shape[0]
    one = C.dtype.type(1)
    for i in range(m):
        for j in range(n):
            C[i, j] = 0
    if _has_rows(B) and _has_rows(C) and A.strides[0] % A.itemsize == 0 and A.strides[1] % A.itemsize == 0:
        gemm(m, n, k, one, _matrix(C), _matrix(A), _matrix(B), NO_PREFETCH)
        return
    for i in range(m):
        for p in range(k):
            a = A[i, p]
            for j in range(n):
                C[i, j] += a * B[p, j]


@inner
def _add_transposed(C, A, B):
    """C += A B^T, for A (m, k), m at most ROWS, B (n, k), C (m, n)."""
    m, n = C.shape
    k = B.shape[1]
    one = C.dtype.type(1)
    if _has_rows(A) and _has_rows(B) and C.strides[0] % C.itemsize == 0 and C.strides[1] % C.itemsize == 0:
        gemm_dot(m, n, k, one, _matrix(C), Rows(A, 0, A.strides[0] // A.itemsize, _IOTA), _matrix(B))
        return
    for i in range(m):
        for j in range(n):
            total = C[i, j]
            for p in range(k):
                total += A[i, p] * B[j, p]
            C[i, j] = total


@kernel
def dense_forward(A_prev, W, b, Z):
    """Z = A_prev W^T + b, for A_prev (m, n_prev), W (n, n_prev), b (n,), Z (m, n).

    By `gemm_dot`, since here a sample is a row: the rows of A_prev and W are used as they lie, and nothing is packed.
    In the compiled program, where a sample is a column, `gemm` does it, which is faster: see `forward.py`.
    """
    m, n = Z.shape
    for block in prange(n_blocks(m, ROWS)):
        first, last = bounds(block, m, ROWS)
        of_block = Z[first:last]
        for i in range(last - first):
            for j in range(n):
                of_block[i, j] = b[j]
        _add_transposed(of_block, A_prev[first:last], W)


@kernel
def dense_backward(dZ, A_prev, W, dW, db, dA_prev):
    """dW = dZ^T A_prev, db = the column sums of dZ, dA_prev = dZ W: each in the shape of what it is the derivative of.

    The 1/m of the cost is in dZ already: the losses put it there.
    """
    m, n = dZ.shape
    for block in prange(n_blocks(m, ROWS)):
        first, last = bounds(block, m, ROWS)
        _multiply(dA_prev[first:last], dZ[first:last], W)
    for block in prange(n_blocks(n, ROWS)):
        first, last = bounds(block, n, ROWS)
        sums, summed = db[first:last], dZ[:, first:last]
        _multiply(dW[first:last], summed.T, A_prev)
        for j in range(sums.size):
            sums[j] = 0
        for i in range(m):
            for j in range(sums.size):
                sums[j] += summed[i, j]
