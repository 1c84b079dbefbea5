"""Losses L (one number a sample) and the derivative of the cost J = mean(L) by what they are given.

The two of classification take the logits Z and not the probabilities, so that they stay exact however large |Z| is:
log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)).
"""

import numpy as np


def squared_error(A, Y, L, dA):
    """L[i] = 1/2 sum_j (A[i, j] - Y[i, j])^2 and dA = (A - Y) / m, for A, Y and dA (m, n), L (m,)."""
    difference = A - Y
    L[...] = (difference * difference).sum(axis=1) / 2
    dA[...] = difference / len(A)


def log_loss(Z, Y, L, dZ):
    """L[i] = sum_j -Y log(A) - (1 - Y) log(1 - A) with A = sigmoid(Z), and dZ = (A - Y) / m; all (m, n), L (m,)."""
    E = np.exp(-np.abs(Z))
    L[...] = (np.maximum(Z, 0) - Y * Z + np.log1p(E)).sum(axis=1)
    dZ[...] = (np.where(Z >= 0, 1, E) / (1 + E) - Y) / len(Z)


def cross_entropy(Z, Y, L, dZ):
    """L[i] = -log(A[i, c]) with A = softmax(Z) and c = Y[i, 0] the sample's class; dZ = (A - onehot(c)) / m.

    Z and dZ are (m, n), L is (m,), and Y (m, 1) holds class indices 0 to n - 1 (in any dtype).
    """
    m = len(Z)
    rows, labels = np.arange(m), Y[:, 0].astype(np.intp)
    shifted = Z - Z.max(axis=1, keepdims=True)
    E = np.exp(shifted)
    total = E.sum(axis=1, keepdims=True)
    L[...] = np.log(total[:, 0]) - shifted[rows, labels]
    A = E / total
    A[rows, labels] -= 1
    dZ[...] = A / m
