"""Losses L (one number a sample) and the derivative of the cost J = mean(L); the formulas are those of `reference`."""

import math

from numba import prange

from .activations import sigmoid_of
from .compiling import inner, kernel


@inner
def squared_error_row(A, Y, dA, i, weight):
    """The loss of row i; dA[i] = weight * (A[i] - Y[i]), where the weight is 1/m."""
    total = A.dtype.type(0)
    for j in range(A.shape[1]):
        difference = A[i, j] - Y[i, j]
        total += difference * difference
        dA[i, j] = difference * weight
    return total / A.dtype.type(2)


@inner
def log_loss_row(Z, Y, dZ, i, weight):
    """The loss of row i; dZ[i] = weight * (sigmoid(Z[i]) - Y[i])."""
    total = Z.dtype.type(0)
    for j in range(Z.shape[1]):
        z, y = Z[i, j], Y[i, j]
        # Both terms are there for NaN to show: max() alone could drop it.
        total += (z if z > 0 else Z.dtype.type(0)) - y * z + math.log1p(math.exp(-abs(z)))
        dZ[i, j] = (sigmoid_of(z) - y) * weight
    return total


@inner
def cross_entropy_row(Z, Y, dZ, i, weight):
    """The loss of row i; dZ[i] = weight * (softmax(Z[i]) - onehot of the class Y[i, 0])."""
    label = int(Y[i, 0])
    largest = Z[i, 0]
    for j in range(1, Z.shape[1]):
        largest = max(largest, Z[i, j])
    wanted = Z[i, label] - largest
    total = Z.dtype.type(0)
    for j in range(Z.shape[1]):
        dZ[i, j] = math.exp(Z[i, j] - largest)
        total += dZ[i, j]
    scaled = weight / total
    for j in range(Z.shape[1]):
        dZ[i, j] *= scaled
    dZ[i, label] -= weight
    return math.log(total) - wanted


@kernel
def squared_error(A, Y, L, dA):
    """L[i] = 1/2 sum_j (A[i, j] - Y[i, j])^2 and dA = (A - Y) / m, for A, Y and dA (m, n), L (m,)."""
    m = A.shape[0]
    weight = A.dtype.type(1) / A.dtype.type(m)
    for i in prange(m):
        L[i] = squared_error_row(A, Y, dA, i, weight)


@kernel
def log_loss(Z, Y, L, dZ):
    """L[i] = sum_j -Y log(A) - (1 - Y) log(1 - A) with A = sigmoid(Z), and dZ = (A - Y) / m; all (m, n), L (m,)."""
    m = Z.shape[0]
    weight = Z.dtype.type(1) / Z.dtype.type(m)
    for i in prange(m):
        L[i] = log_loss_row(Z, Y, dZ, i, weight)


@kernel
def cross_entropy(Z, Y, L, dZ):
    """L[i] = -log(A[i, c]) with A = softmax(Z) and c = Y[i, 0] the sample's class; dZ = (A - onehot(c)) / m.

    Z and dZ are (m, n), L is (m,), and Y (m, 1) holds class indices 0 to n - 1 (in any dtype).
    """
    m = Z.shape[0]
    weight = Z.dtype.type(1) / Z.dtype.type(m)
    for i in prange(m):
        L[i] = cross_entropy_row(Z, Y, dZ, i, weight)
