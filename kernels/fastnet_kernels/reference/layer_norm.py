"""Layer normalisation: A = gamma X + beta, with X = (A_prev - mean) inv_std, a mean and an inv_std for each sample.

A_prev, A and their derivatives are (m, n), a sample a row; gamma and beta are (n,), mean and inv_std (m,). The variance
is the mean square over the units, not corrected, and inv_std = 1 / sqrt(variance + epsilon).
"""

import numpy as np


def layer_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """A = gamma (A_prev - mean) inv_std + beta (Ba, Kiros, Hinton, 2016); mean and inv_std (m,) are written as well."""
    mean[...] = A_prev.mean(axis=1)
    inv_std[...] = 1 / np.sqrt(A_prev.var(axis=1) + epsilon)
    A[...] = gamma * (A_prev - mean[:, None]) * inv_std[:, None] + beta


def layer_norm_backward(dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev):
    """dA_prev = inv_std (G - mean of G - X mean of G X) for G = gamma dA; both means are written: (2, m).

    dgamma and dbeta (n,) are the sums of dA X and of dA over the mini-batch.
    """
    X = (A_prev - mean[:, None]) * inv_std[:, None]
    dgamma[...] = (dA * X).sum(axis=0)
    dbeta[...] = dA.sum(axis=0)
    G = gamma * dA
    means[0], means[1] = G.mean(axis=1), (G * X).mean(axis=1)
    dA_prev[...] = inv_std[:, None] * (G - means[0][:, None] - X * means[1][:, None])
