"""Activations A = g(Z) and their derivatives dZ = dA * g'(Z), element by element on (m, n) matrices.

Each derivative is written through A, the way a network that keeps only its activations needs it.
"""

import numpy as np


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


def softmax(Z, A):
    """A[i, j] = exp(Z[i, j]) / sum_k exp(Z[i, k]), with the row's maximum taken off first: exp cannot overflow."""
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    A[...] = E / E.sum(axis=1, keepdims=True)
