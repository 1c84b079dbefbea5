"""Layer normalisation: each sample by its mean and variance over the units."""

import math

from numba import prange

from ..codegen.compiling import kernel, routine
from ..partition import ROWS, bounds, n_blocks


@routine
def moments_of_columns(A, mean, inv_std, epsilon):
    """mean[i] and rate[i] = 1 / sqrt(variance + epsilon) of every column of A (n, m)."""
    n, m = A.shape
    zero, one, share = A.dtype.type(0), A.dtype.type(1), A.dtype.type(1 / n)
    for i in range(m):
        mean[i] = zero
    for j in range(n):
        a = A[j]
        for i in range(m):
            mean[i] += share * a[i]
    for i in range(m):
        inv_std[i] = zero
    for j in range(n):
        a = A[j]
        for i in range(m):
            inv_std[i] += share * (a[i] - mean[i]) * (a[i] - mean[i])
    for i in range(m):
        inv_std[i] = one / math.sqrt(inv_std[i] + A.dtype.type(epsilon))


@routine
def normalise_columns(A_prev, mean, inv_std, gamma, beta, A):
    """A[j, i] = gamma[j] (A_prev[j, i] - mean[i]) rate[i] + beta[j]."""
    for j in range(A.shape[0]):
        given, row, factor, shift = A_prev[j], A[j], gamma[j], beta[j]
        for i in range(row.size):
            row[i] = (given[i] - mean[i]) * inv_std[i] * factor + shift


@routine
def back_through_columns(dA, A_prev, mean, inv_std, gamma, plain, weighted, dA_prev):
    """dA_prev = rate (G - mean of G - X mean of G X), for G = gamma dA and X = (A_prev - mean) rate, column by column.

    `plain` and `weighted` (m,) are for the two means.
    """
    n, m = dA.shape
    zero, share = dA.dtype.type(0), dA.dtype.type(1 / n)
    for i in range(m):
        plain[i] = zero
        weighted[i] = zero
    for j in range(n):
        d, a, factor = dA[j], A_prev[j], share * gamma[j]
        for i in range(m):
            plain[i] += factor * d[i]
        for i in range(m):
            weighted[i] += factor * d[i] * (a[i] - mean[i]) * inv_std[i]
    for j in range(n):
        d, a, result, factor = dA[j], A_prev[j], dA_prev[j], gamma[j]
        for i in range(m):
            result[i] = inv_std[i] * (factor * d[i] - plain[i] - (a[i] - mean[i]) * inv_std[i] * weighted[i])


@routine
def add_sums_of_columns(dA, A_prev, m, mean, inv_std, alpha, dgamma, dbeta):
    """dgamma[j] += alpha sum_i dA[j, i] X[j, i] and dbeta[j] += alpha sum_i dA[j, i], over the first m columns."""
    for j in range(dA.shape[0]):
        d, a = dA[j, :m], A_prev[j, :m]
        plain = alpha * 0
        weighted = plain
        for i in range(m):
            plain += d[i]
            weighted += d[i] * (a[i] - mean[i]) * inv_std[i]
        dgamma[j] += alpha * weighted
        dbeta[j] += alpha * plain


_UNITS = 16  # of a block of units


@kernel
def layer_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """Each sample by its mean and variance over the units; A_prev, A (m, n), gamma, beta (n,), mean, rate (m,)."""
    m = A.shape[0]
    for block in prange(n_blocks(m, ROWS)):
        i, end = bounds(block, m, ROWS)
        moments_of_columns(A_prev[i:end].T, mean[i:end], inv_std[i:end], epsilon)
        normalise_columns(A_prev[i:end].T, mean[i:end], inv_std[i:end], gamma, beta, A[i:end].T)


@kernel
def layer_norm_backward(dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev):
    """dA_prev = rate (G - mean of G - X mean of G X) for G = gamma dA; both means are written: (2, m)."""
    m, n = dA.shape
    for block in prange(n_blocks(n, _UNITS)):
        i, end = bounds(block, n, _UNITS)
        for j in range(i, end):
            dgamma[j] = 0
            dbeta[j] = 0
        add_sums_of_columns(
            dA[:, i:end].T, A_prev[:, i:end].T, m, mean, inv_std, dA.dtype.type(1), dgamma[i:end], dbeta[i:end]
        )
    for block in prange(n_blocks(m, ROWS)):
        i, end = bounds(block, m, ROWS)
        back_through_columns(
            dA[i:end].T, A_prev[i:end].T, mean[i:end], inv_std[i:end], gamma, means[0, i:end], means[1, i:end],
            dA_prev[i:end].T,
        )  # fmt: skip
