"""Activations A = g(Z) and derivatives dZ = dA * g'(Z) on (m, n) matrices; the formulas are those of `reference`.

Every derivative is written through A, so that a network need not keep Z. An output may be the same array as an
input, and nothing else may overlap.
"""

from numba import prange

from ..codes import LEAKY_RELU, LINEAR, RELU, SIGMOID, TANH
from .blocks import ROWS, bounds, n_blocks
from .compiling import inner, kernel, routine
from .functions import exp
from .functions import tanh as tanh_of


@inner
def sigmoid_of(z):
    """1 / (1 + exp(-z)), with the exponential taken of -|z| so that it cannot overflow."""
    e = exp(-abs(z))
    one = type(z)(1)
    return (one if z >= 0 else e) / (one + e)


@routine
def softmax_columns(A):
    """A[:, i] = softmax(A[:, i]), in place, for A (n, m): a sample is a column, so that a vector holds many of them."""
    n, m = A.shape
    for i in range(m):
        largest = A[0, i]
        for j in range(1, n):
            largest = A[j, i] if A[j, i] > largest else largest
        for j in range(n):
            A[j, i] -= largest
    for j in range(n):
        a = A[j]
        for i in range(m):
            a[i] = exp(a[i])
    for i in range(m):
        total = A[0, i]
        for j in range(1, n):
            total += A[j, i]
        for j in range(n):
            A[j, i] /= total


@routine
def activate(activation, slope, A):
    """A = g(A), in place, for an element-wise g given by its code; 1-D.

    NaN stays NaN: comparisons are written for that.
    One array, read and written: of two that might overlap, LLVM would compute one number after the other.
    """
    zero, below = A.dtype.type(0), A.dtype.type(slope)
    if activation == SIGMOID:
        for j in range(A.size):
            A[j] = sigmoid_of(A[j])
    elif activation == TANH:
        for j in range(A.size):
            A[j] = tanh_of(A[j])
    elif activation == RELU:
        for j in range(A.size):
            A[j] = zero if A[j] <= 0 else A[j]
    elif activation == LEAKY_RELU:
        for j in range(A.size):
            A[j] = below * A[j] if A[j] <= 0 else A[j]


@routine
def derive(activation, slope, A, dZ):
    """dZ = dZ * g'(Z), in place, for an element-wise g given by its code and A = g(Z); both 1-D."""
    zero, one, below = A.dtype.type(0), A.dtype.type(1), A.dtype.type(slope)
    if activation == SIGMOID:
        for j in range(A.size):
            dZ[j] *= A[j] * (one - A[j])
    elif activation == TANH:
        for j in range(A.size):
            dZ[j] *= one - A[j] * A[j]
    elif activation == RELU:
        for j in range(A.size):
            dZ[j] = dZ[j] if A[j] > 0 else zero
    elif activation == LEAKY_RELU:
        for j in range(A.size):
            dZ[j] = dZ[j] if A[j] > 0 else below * dZ[j]


@inner
def _activate_rows(activation, slope, Z, A, first, last):
    for i in range(first, last):
        given, row = Z[i], A[i]
        for j in range(row.size):
            row[j] = given[j]
        activate(activation, slope, row)


@inner
def _derive_rows(activation, slope, dA, A, dZ, first, last):
    for i in range(first, last):
        given, row = dA[i], dZ[i]
        for j in range(row.size):
            row[j] = given[j]
        derive(activation, slope, A[i], row)


@kernel
def linear(Z, A):
    """A = Z; both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(LINEAR, 1.0, Z, A, first, last)


@kernel
def linear_backward(dA, A, dZ):
    """dZ = dA; all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(LINEAR, 1.0, dA, A, dZ, first, last)


@kernel
def sigmoid(Z, A):
    """A = 1 / (1 + exp(-Z)); both (m, n). Exact for any finite Z, and for infinite ones."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(SIGMOID, 0.0, Z, A, first, last)


@kernel
def sigmoid_backward(dA, A, dZ):
    """dZ = dA * A * (1 - A); all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(SIGMOID, 0.0, dA, A, dZ, first, last)


@kernel
def tanh(Z, A):
    """A = tanh(Z); both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(TANH, 0.0, Z, A, first, last)


@kernel
def tanh_backward(dA, A, dZ):
    """dZ = dA * (1 - A^2); all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(TANH, 0.0, dA, A, dZ, first, last)


@kernel
def relu(Z, A):
    """A = max(0, Z); both (m, n). NaN stays NaN."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(RELU, 0.0, Z, A, first, last)


@kernel
def relu_backward(dA, A, dZ):
    """dZ = dA where A > 0, else 0; all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(RELU, 0.0, dA, A, dZ, first, last)


@kernel
def leaky_relu(Z, slope, A):
    """A = Z where Z > 0, else slope * Z, for a slope >= 0; Z and A (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(LEAKY_RELU, slope, Z, A, first, last)


@kernel
def leaky_relu_backward(dA, A, slope, dZ):
    """dZ = dA where A > 0, else slope * dA, for a slope >= 0; dA, A and dZ (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(LEAKY_RELU, slope, dA, A, dZ, first, last)


@kernel
def softmax(Z, A):
    """A[i] = exp(Z[i]) / sum(exp(Z[i])), each row for itself; both (m, n), n >= 1."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(LINEAR, 0.0, Z, A, first, last)
        softmax_columns(A[first:last].T)
