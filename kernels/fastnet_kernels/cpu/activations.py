"""Activations A = g(Z) and derivatives dZ = dA * g'(Z) on (m, n) matrices; the formulas are those of `reference`.

Every derivative is written through A, so that a network need not keep Z. An output may be the same array as an input.
"""

from numba import prange

from ..codes import LEAKY_RELU, LINEAR, RELU, SIGMOID, TANH
from .blocks import ROWS, bounds, n_blocks
from .compiling import inner, kernel, stay_out_of_line
from .functions import exp
from .functions import tanh as tanh_of


@inner
def sigmoid_of(z):
    """1 / (1 + exp(-z)), with the exponential taken of -|z| so that it cannot overflow."""
    e = exp(-abs(z))
    one = type(z)(1)
    return (one if z >= 0 else e) / (one + e)


@inner
def softmax_columns(Z, A):
    """A[:, i] = softmax(Z[:, i]), for Z and A (n, m): a sample is a column, so that a vector holds many of them."""
    n, m = Z.shape
    for i in range(m):
        largest = Z[0, i]
        for j in range(1, n):
            largest = max(largest, Z[j, i])
        total = Z.dtype.type(0)
        for j in range(n):
            A[j, i] = exp(Z[j, i] - largest)
            total += A[j, i]
        for j in range(n):
            A[j, i] /= total


@inner
def activate(activation, slope, Z, A):
    """A = g(Z) for an element-wise g given by its code; both 1-D. NaN stays NaN: comparisons are written for that."""
    stay_out_of_line()
    n = Z.size
    zero = Z.dtype.type(0)
    if activation == SIGMOID:
        for j in range(n):
            A[j] = sigmoid_of(Z[j])
    elif activation == TANH:
        for j in range(n):
            A[j] = tanh_of(Z[j])
    elif activation == RELU:
        for j in range(n):
            A[j] = zero if Z[j] <= 0 else Z[j]
    elif activation == LEAKY_RELU:
        below = Z.dtype.type(slope)
        for j in range(n):
            A[j] = below * Z[j] if Z[j] <= 0 else Z[j]
    else:
        for j in range(n):
            A[j] = Z[j]


@inner
def derive(activation, slope, dA, A, dZ):
    """dZ = dA * g'(Z), for an element-wise g given by its code; all 1-D."""
    stay_out_of_line()
    n = A.size
    zero, one = A.dtype.type(0), A.dtype.type(1)
    if activation == SIGMOID:
        for j in range(n):
            dZ[j] = dA[j] * A[j] * (one - A[j])
    elif activation == TANH:
        for j in range(n):
            dZ[j] = dA[j] * (one - A[j] * A[j])
    elif activation == RELU:
        for j in range(n):
            dZ[j] = dA[j] if A[j] > 0 else zero
    elif activation == LEAKY_RELU:
        below = A.dtype.type(slope)
        for j in range(n):
            dZ[j] = dA[j] if A[j] > 0 else below * dA[j]
    else:
        for j in range(n):
            dZ[j] = dA[j]


@inner
def _activate_rows(activation, slope, Z, A, first, last):
    for i in range(first, last):
        activate(activation, slope, Z[i], A[i])


@inner
def _derive_rows(activation, slope, dA, A, dZ, first, last):
    for i in range(first, last):
        derive(activation, slope, dA[i], A[i], dZ[i])


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
        softmax_columns(Z[first:last].T, A[first:last].T)
