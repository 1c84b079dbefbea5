"""Activations A = g(Z) and their derivatives dZ = dA * g'(Z), element by element on (m, n) matrices.

A derivative is written through A where it can be, the way a network that keeps only its activations needs it; those of
elu, silu, gelu, softplus and hard_silu need Z.
"""

import math

import numpy as np

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _normal(Z):
    """The normal distribution function. By erfc, since 1 + erf loses all digits far below 0."""
    return _erfc(-Z / math.sqrt(2)) / 2


def linear(Z, A):
    """A = Z."""
    A[...] = Z


def linear_backward(dA, A, dZ):
    """dZ = dA."""
    dZ[...] = dA


def sigmoid(Z, A):
    """A = 1 / (1 + exp(-Z)), with the exponential taken of -|Z| so that it cannot overflow."""
    E = np.exp(-np.abs(Z))
    A[...] = np.where(Z >= 0, 1, E) / (1 + E)


def sigmoid_backward(dA, A, dZ):
    """dZ = dA * A * (1 - A)."""
    dZ[...] = dA * A * (1 - A)


def tanh(Z, A):
    """A = tanh(Z)."""
    A[...] = np.tanh(Z)


def tanh_backward(dA, A, dZ):
    """dZ = dA * (1 - A^2)."""
    dZ[...] = dA * (1 - A * A)


def relu(Z, A):
    """A = max(0, Z); NaN stays NaN."""
    A[...] = np.maximum(Z, 0)


def relu_backward(dA, A, dZ):
    """dZ = dA where A > 0, else 0."""
    dZ[...] = np.where(A > 0, dA, 0)


def leaky_relu(Z, slope, A):
    """A = Z where Z > 0, else slope * Z, for a slope >= 0."""
    A[...] = np.where(Z > 0, Z, slope * Z)


def leaky_relu_backward(dA, A, slope, dZ):
    """dZ = dA where A > 0, else slope * dA."""
    dZ[...] = np.where(A > 0, dA, slope * dA)


def elu(Z, alpha, A):
    """A = Z where Z > 0, else alpha * (exp(Z) - 1) (Clevert, Unterthiner and Hochreiter, 2016)."""
    A[...] = np.where(Z > 0, Z, alpha * np.expm1(np.minimum(Z, 0)))


def elu_backward(dA, Z, alpha, dZ):
    """dZ = dA where Z > 0, else dA * alpha * exp(Z)."""
    dZ[...] = np.where(Z > 0, dA, dA * alpha * np.exp(np.minimum(Z, 0)))


def softplus(Z, A):
    """A = log(1 + exp(Z)), a smooth ReLU (Dugas et al., 2001)."""
    A[...] = np.maximum(Z, 0) + np.log1p(np.exp(-np.abs(Z)))


def softplus_backward(dA, Z, dZ):
    """dZ = dA * sigmoid(Z)."""
    sigmoid(Z, dZ)
    dZ *= dA


def silu(Z, A):
    """A = Z * sigmoid(Z), also called swish (Elfwing, Uchibe and Doya, 2018)."""
    S = np.empty_like(Z)
    sigmoid(Z, S)
    A[...] = Z * S


def silu_backward(dA, Z, dZ):
    """dZ = dA * S * (1 + Z * (1 - S)), with S = sigmoid(Z)."""
    S = np.empty_like(Z)
    sigmoid(Z, S)
    dZ[...] = dA * S * (1 + Z * (1 - S))


def gelu(Z, A):
    """A = Z * P(Z), with P the normal distribution function (Hendrycks and Gimpel, 2016)."""
    A[...] = Z * _normal(Z)


def gelu_backward(dA, Z, dZ):
    """dZ = dA * (P(Z) + Z * p(Z)), with P the normal distribution function and p its density."""
    dZ[...] = dA * (_normal(Z) + Z * np.exp(-Z * Z / 2) / math.sqrt(2 * math.pi))


def hard_sigmoid(Z, A):
    """A = Z / 6 + 1/2 between 0 and 1: sigmoid in three straight lines (Howard et al., 2019)."""
    A[...] = np.clip(Z / 6 + 0.5, 0, 1)


def hard_sigmoid_backward(dA, A, dZ):
    """dZ = dA / 6 where 0 < A < 1, else 0."""
    dZ[...] = np.where((A > 0) & (A < 1), dA / 6, 0)


def hard_silu(Z, A):
    """A = Z * hard_sigmoid(Z), also called hard swish (Howard et al., 2019)."""
    A[...] = Z * np.clip(Z / 6 + 0.5, 0, 1)


def hard_silu_backward(dA, Z, dZ):
    """dZ = dA where Z >= 3, 0 where Z <= -3, else dA * (Z / 3 + 1/2)."""
    dZ[...] = dA * np.where(Z >= 3, 1, np.where(Z <= -3, 0, Z / 3 + 0.5))


def softmax(Z, A):
    """A[i, j] = exp(Z[i, j]) / sum_k exp(Z[i, k]), with the row's maximum taken off first: exp cannot overflow."""
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    A[...] = E / E.sum(axis=1, keepdims=True)
