"""Embedding: of each whole number a row of W (Bengio et al., 2003)."""

import numpy as np


def _names_a_row(indices, W):
    """Which of the indices are whole numbers from 0 to v - 1."""
    return (indices >= 0) & (indices < len(W)) & (indices == np.floor(indices))


def embedding(indices, W, A):
    """A[i, t] = W[indices[i, t]], for indices (m, t), whole numbers in any dtype, W (v, n) and A (m, t, n).

    A number that is no row's, from 0 to v - 1, gives NaN.
    """
    known = _names_a_row(indices, W)
    A[...] = np.nan
    A[known] = W[indices[known].astype(np.int64)]


def embedding_backward(dA, indices, dW):
    """dW (v, n): each row is the sum of dA (m, t, n) where indices (m, t) name it; with one that is no row's, NaN."""
    known = _names_a_row(indices, dW)
    dW[...] = 0 if known.all() else np.nan
    np.add.at(dW, indices[known].astype(np.int64), dA[known])
