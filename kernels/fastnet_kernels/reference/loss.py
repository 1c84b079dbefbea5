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


def absolute_error(A, Y, L, dA):
    """L[i] = sum_j |A[i, j] - Y[i, j]| and dA = sign(A - Y) / m, for A, Y and dA (m, n), L (m,)."""
    L[...] = np.abs(A - Y).sum(axis=1)
    dA[...] = np.sign(A - Y) / len(A)


def huber(A, Y, delta, L, dA):
    """L[i] = sum_j d^2 / 2 where |d| <= delta, else delta * (|d| - delta / 2), d = A - Y (Huber, 1964); dA = L' / m."""
    size = np.abs(A - Y)
    L[...] = np.where(size <= delta, size * size / 2, delta * (size - delta / 2)).sum(axis=1)
    dA[...] = np.clip(A - Y, -delta, delta) / len(A)


def quantile(A, Y, q, L, dA):
    """L[i] = sum_j max(q (Y - A), (q - 1) (Y - A)) (Koenker and Bassett, 1978); dA = L' / m, 0 where A = Y."""
    E = Y - A
    L[...] = np.maximum(q * E, (q - 1) * E).sum(axis=1)
    dA[...] = np.where(E > 0, -q, np.where(E < 0, 1 - q, E)) / len(A)  # where it is neither, 0 or NaN


def hinge(Z, Y, L, dZ):
    """L[i] = sum_j max(0, 1 - Y Z) for Y of -1 and 1 (Cortes, Vapnik, 1995), and dZ = -Y / m where Y Z < 1, else 0."""
    margin = 1 - Y * Z
    L[...] = np.maximum(0, margin).sum(axis=1)
    dZ[...] = np.where(margin > 0, -Y, np.where(margin <= 0, 0, margin)) / len(Z)  # NaN stays NaN


def log_loss(Z, Y, L, dZ):
    """L[i] = sum_j -Y log(A) - (1 - Y) log(1 - A) with A = sigmoid(Z), and dZ = (A - Y) / m; all (m, n), L (m,)."""
    E = np.exp(-np.abs(Z))
    L[...] = (np.maximum(Z, 0) - Y * Z + np.log1p(E)).sum(axis=1)
    dZ[...] = (np.where(Z >= 0, 1, E) / (1 + E) - Y) / len(Z)


def cross_entropy(Z, Y, smoothing, L, dZ):
    """L[i] = -sum_j T[i, j] log(A[i, j]) with A = softmax(Z), and dZ = (A - T) / m.

    T is 1 - smoothing at the sample's class c = Y[i, 0], and smoothing / n more everywhere (Szegedy et al., 2016). Z
    and dZ are (m, n), L is (m,), and Y (m, 1) holds class indices 0 to n - 1 (in any dtype); of a sample with another
    label, L and dZ are NaN.
    """
    m, n = Z.shape
    is_class = np.arange(n) == Y
    T = np.where(is_class, smoothing / n + 1 - smoothing, smoothing / n)
    T[~is_class.any(axis=1)] = np.nan
    shifted = Z - Z.max(axis=1, keepdims=True)
    E = np.exp(shifted)
    total = E.sum(axis=1, keepdims=True)
    L[...] = (T * (np.log(total) - shifted)).sum(axis=1)
    dZ[...] = (E / total - T) / m
