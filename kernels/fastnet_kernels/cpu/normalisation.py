"""Batch and layer normalisation; the formulas are those of `reference`.

The building blocks take a sample as a column, A (n, m), as the compiled program keeps them. What a normalisation needs
to know is measured in two passes, mean before variance, and mean and variance of several blocks are put together after
Chan, Golub and LeVeque (1979): nothing is lost where the mean is large.
"""

import math

from numba import prange

from .blocks import ROWS, bounds, n_blocks
from .compiling import kernel, routine

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
