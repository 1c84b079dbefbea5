"""Normalisations: A = gamma * X + beta, with X = (A_prev - mean) * rate, rate = 1 / sqrt(variance + epsilon).

A_prev, A and their derivatives are (m, n), gamma and beta (n,); the variance is the mean square, not corrected.
"""

import numpy as np


def batch_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """Each unit by its mean and variance over the mini-batch (Ioffe, Szegedy, 2015); mean and rate (n,) are written."""
    mean[...] = A_prev.mean(axis=0)
    inv_std[...] = 1 / np.sqrt(A_prev.var(axis=0) + epsilon)
    A[...] = gamma * (A_prev - mean) * inv_std + beta


def batch_norm_backward(dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev):
    """dA_prev = gamma rate (dA - the mean of dA - X the mean of dA X): mean and rate depend on A_prev as well."""
    X = (A_prev - mean) * inv_std
    dgamma[...] = (dA * X).sum(axis=0)
    dbeta[...] = dA.sum(axis=0)
    dA_prev[...] = gamma * inv_std * (dA - dbeta / len(dA) - X * dgamma / len(dA))


def layer_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """Each sample by its mean and variance over the units (Ba, Kiros, Hinton, 2016); mean and rate (m,) are written."""
    mean[...] = A_prev.mean(axis=1)
    inv_std[...] = 1 / np.sqrt(A_prev.var(axis=1) + epsilon)
    A[...] = gamma * (A_prev - mean[:, None]) * inv_std[:, None] + beta


def layer_norm_backward(dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev):
    """dA_prev = rate (G - mean of G - X mean of G X) for G = gamma dA; both means are written: (2, m)."""
    X = (A_prev - mean[:, None]) * inv_std[:, None]
    dgamma[...] = (dA * X).sum(axis=0)
    dbeta[...] = dA.sum(axis=0)
    G = gamma * dA
    means[0], means[1] = G.mean(axis=1), (G * X).mean(axis=1)
    dA_prev[...] = inv_std[:, None] * (G - means[0][:, None] - X * means[1][:, None])
