"""Batch and layer normalisation; the formulas are those of `reference`.

The building blocks take a sample as a column, A (n, m), as the compiled program keeps them. What a normalisation needs
to know is measured in two passes, mean before variance, and mean and variance of several blocks are put together after
Chan, Golub and LeVeque (1979): nothing is lost where the mean is large.
"""

import math

from numba import prange

from ..codegen.compiling import kernel, routine
from ..partition import bounds, n_blocks

_UNITS = 16  # of a block of units


@routine
def moments_of_rows(A, m, mean, squares):
    """mean[j] and squares[j] = sum_i (A[j, i] - mean[j])^2 over the first m columns of A."""
    for j in range(A.shape[0]):
        a = A[j, :m]
        total = a[0] * 0
        for i in range(m):
            total += a[i]
        centre = total / a.dtype.type(m)
        total = centre * 0
        for i in range(m):
            total += (a[i] - centre) * (a[i] - centre)
        mean[j], squares[j] = centre, total


@routine
def normalise_rows(A_prev, mean, inv_std, gamma, beta, A):
    """A[j] = gamma[j] (A_prev[j] - mean[j]) rate[j] + beta[j]."""
    for j in range(A.shape[0]):
        given, row, centre = A_prev[j], A[j], mean[j]
        factor, shift = gamma[j] * inv_std[j], beta[j]
        for i in range(row.size):
            row[i] = (given[i] - centre) * factor + shift


@routine
def sums_of_rows(dA, A_prev, m, mean, inv_std, dgamma, dbeta):
    """dgamma[j] = sum_i dA[j, i] X[j, i] and dbeta[j] = sum_i dA[j, i], over the first m columns."""
    for j in range(dA.shape[0]):
        d, a, centre = dA[j, :m], A_prev[j, :m], mean[j]
        plain = centre * 0
        weighted = plain
        for i in range(m):
            plain += d[i]
            weighted += d[i] * (a[i] - centre)
        dgamma[j], dbeta[j] = weighted * inv_std[j], plain


@routine
def back_through_rows(dA, A_prev, share, mean, inv_std, gamma, dgamma, dbeta, dA_prev):
    """dA_prev[j] = gamma[j] rate[j] (dA[j] - share dbeta[j] - share X[j] dgamma[j]).

    The share is 1 / m for m samples that mean and rate are measured of, and 0 where they are given.
    """
    share = dA.dtype.type(share)
    for j in range(dA.shape[0]):
        d, a, result, centre = dA[j], A_prev[j], dA_prev[j], mean[j]
        factor, of_plain, of_weighted = gamma[j] * inv_std[j], share * dbeta[j], share * dgamma[j] * inv_std[j]
        for i in range(result.size):
            result[i] = factor * (d[i] - of_plain - (a[i] - centre) * of_weighted)


@kernel
def batch_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """Each unit by its mean and variance over the mini-batch; A_prev and A (m, n), all others (n,)."""
    m, n = A.shape
    one, share, small = A.dtype.type(1), A.dtype.type(1 / m), A.dtype.type(epsilon)
    for block in prange(n_blocks(n, _UNITS)):
        i, end = bounds(block, n, _UNITS)
        given, some = A_prev[:, i:end].T, inv_std[i:end]
        moments_of_rows(given, m, mean[i:end], some)
        for j in range(some.size):
            some[j] = one / math.sqrt(some[j] * share + small)
        normalise_rows(given, mean[i:end], some, gamma[i:end], beta[i:end], A[:, i:end].T)


@kernel
def batch_norm_backward(dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev):
    """dA_prev = gamma rate (dA - the mean of dA - X the mean of dA X), X = (A_prev - mean) rate."""
    m, n = dA.shape
    for block in prange(n_blocks(n, _UNITS)):
        i, end = bounds(block, n, _UNITS)
        d, a = dA[:, i:end].T, A_prev[:, i:end].T
        sums_of_rows(d, a, m, mean[i:end], inv_std[i:end], dgamma[i:end], dbeta[i:end])
        back_through_rows(
            d, a, 1 / m, mean[i:end], inv_std[i:end], gamma[i:end], dgamma[i:end], dbeta[i:end], dA_prev[:, i:end].T
        )
