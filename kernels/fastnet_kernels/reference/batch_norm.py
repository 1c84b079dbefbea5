"""Batch normalisation: A = gamma X + beta, with X = (A_prev - mean) inv_std, a mean and an inv_std for each unit.

A_prev, A and their derivatives are (m, n), a sample a row; gamma, beta, mean and inv_std are (n,). The variance is the
mean square over the mini-batch, not corrected, and inv_std = 1 / sqrt(variance + epsilon).
"""

import numpy as np


def batch_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """A = gamma (A_prev - mean) inv_std + beta (Ioffe, Szegedy, 2015); mean and inv_std (n,) are written as well."""
    mean[...] = A_prev.mean(axis=0)
    inv_std[...] = 1 / np.sqrt(A_prev.var(axis=0) + epsilon)
    A[...] = gamma * (A_prev - mean) * inv_std + beta


def batch_norm_backward(dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev):
    """dA_prev = gamma inv_std (dA - mean of dA - X mean of dA X), since mean and inv_std depend on A_prev as well.

    dgamma and dbeta (n,) are the sums of dA X and of dA over the mini-batch.
    """
    X = (A_prev - mean) * inv_std
    dgamma[...] = (dA * X).sum(axis=0)
    dbeta[...] = dA.sum(axis=0)
    dA_prev[...] = gamma * inv_std * (dA - dbeta / len(dA) - X * dgamma / len(dA))
