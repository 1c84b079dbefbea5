"""Activations A = g(Z) and derivatives dZ = dA * g'(Z) on (m, n) matrices; the formulas are those of `reference`.

Every derivative is written through A, so that a network need not keep Z. An output may be the same array as an input.
"""

import math

from numba import prange

from ..codes import LEAKY_RELU, LINEAR, RELU, SIGMOID, SOFTMAX, TANH
from .blocks import ROWS, bounds, n_blocks
from .compiling import inner, kernel, stay_out_of_line


@inner
def sigmoid_of(z):
    """1 / (1 + exp(-z)), with the exponential taken of -|z| so that it cannot overflow."""
    e = math.exp(-abs(z))
    one = type(z)(1)
    return (one if z >= 0 else e) / (one + e)


@inner
def _softmax_row(Z, A, i):
    largest = Z[i, 0]
    for j in range(1, Z.shape[1]):
        largest = max(largest, Z[i, j])
    total = Z.dtype.type(0)
    for j in range(Z.shape[1]):
        A[i, j] = math.exp(Z[i, j] - largest)
        total += A[i, j]
    for j in range(Z.shape[1]):
        A[i, j] /= total


@inner
def activate_rows(activation, slope, Z, A, first, last):
    """Rows `first:last` of A = g(Z), for g given by its code. NaN stays NaN: comparisons are written for that."""
    stay_out_of_line()
    n = Z.shape[1]
    zero = Z.dtype.type(0)
    if activation == SOFTMAX:
        for i in range(first, last):
            _softmax_row(Z, A, i)
    elif activation == SIGMOID:
        for i in range(first, last):
            for j in range(n):
                A[i, j] = sigmoid_of(Z[i, j])
    elif activation == TANH:
        for i in range(first, last):
            for j in range(n):
                A[i, j] = math.tanh(Z[i, j])
    elif activation == RELU:
        for i in range(first, last):
            for j in range(n):
                A[i, j] = zero if Z[i, j] <= 0 else Z[i, j]
    elif activation == LEAKY_RELU:
        below = Z.dtype.type(slope)
        for i in range(first, last):
            for j in range(n):
                A[i, j] = below * Z[i, j] if Z[i, j] <= 0 else Z[i, j]
    else:
        for i in range(first, last):
            for j in range(n):
                A[i, j] = Z[i, j]


@inner
def derive_rows(activation, slope, dA, A, dZ, first, last):
    """Rows `first:last` of dZ = dA * g'(Z), for an element-wise g given by its code."""
    stay_out_of_line()
    n = A.shape[1]
    zero, one = A.dtype.type(0), A.dtype.type(1)
    if activation == SIGMOID:
        for i in range(first, last):
            for j in range(n):
                dZ[i, j] = dA[i, j] * A[i, j] * (one - A[i, j])
    elif activation == TANH:
        for i in range(first, last):
            for j in range(n):
                dZ[i, j] = dA[i, j] * (one - A[i, j] * A[i, j])
    elif activation == RELU:
        for i in range(first, last):
            for j in range(n):
                dZ[i, j] = dA[i, j] if A[i, j] > 0 else zero
    elif activation == LEAKY_RELU:
        below = A.dtype.type(slope)
        for i in range(first, last):
            for j in range(n):
                dZ[i, j] = dA[i, j] if A[i, j] > 0 else below * dA[i, j]
    else:
        for i in range(first, last):
            for j in range(n):
                dZ[i, j] = dA[i, j]


@kernel
def linear(Z, A):
    """A = Z; both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        activate_rows(LINEAR, 1.0, Z, A, first, last)


@kernel
def linear_backward(dA, A, dZ):
    """dZ = dA; all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        derive_rows(LINEAR, 1.0, dA, A, dZ, first, last)


@kernel
def sigmoid(Z, A):
    """A = 1 / (1 + exp(-Z)); both (m, n). Exact for any finite Z, and for infinite ones."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        activate_rows(SIGMOID, 0.0, Z, A, first, last)


@kernel
def sigmoid_backward(dA, A, dZ):
    """dZ = dA * A * (1 - A); all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        derive_rows(SIGMOID, 0.0, dA, A, dZ, first, last)


@kernel
def tanh(Z, A):
    """A = tanh(Z); both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        activate_rows(TANH, 0.0, Z, A, first, last)


@kernel
def tanh_backward(dA, A, dZ):
    """dZ = dA * (1 - A^2); all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        derive_rows(TANH, 0.0, dA, A, dZ, first, last)


@kernel
def relu(Z, A):
    """A = max(0, Z); both (m, n). NaN stays NaN."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        activate_rows(RELU, 0.0, Z, A, first, last)


@kernel
def relu_backward(dA, A, dZ):
    """dZ = dA where A > 0, else 0; all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        derive_rows(RELU, 0.0, dA, A, dZ, first, last)


@kernel
def leaky_relu(Z, slope, A):
    """A = Z where Z > 0, else slope * Z, for a slope >= 0; Z and A (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        activate_rows(LEAKY_RELU, slope, Z, A, first, last)


@kernel
def leaky_relu_backward(dA, A, slope, dZ):
    """dZ = dA where A > 0, else slope * dA, for a slope >= 0; dA, A and dZ (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        derive_rows(LEAKY_RELU, slope, dA, A, dZ, first, last)


@kernel
def softmax(Z, A):
    """A[i] = exp(Z[i]) / sum(exp(Z[i])), each row for itself; both (m, n), n >= 1."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        activate_rows(SOFTMAX, 0.0, Z, A, first, last)
