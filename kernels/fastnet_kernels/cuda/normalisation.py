"""Normalisations: A = gamma * X + beta, with X = (A_prev - mean) * rate, rate = 1 / sqrt(variance + epsilon).

Of a batch normalisation a block has some units, and all samples of these; of a layer normalisation some samples.
"""

import math

from .blocks import n_blocks
from .compiling import cuda, flat, inner, kernel, launch
from .reducing import lanes_for, sum_over
from .sizes import COLUMNS_AT_ONCE, THREADS

_ROWS_AT_ONCE = THREADS // COLUMNS_AT_ONCE


@inner
def _over_column(value, shared):
    return sum_over(value, shared, cuda.threadIdx.x % COLUMNS_AT_ONCE, COLUMNS_AT_ONCE, _ROWS_AT_ONCE)


@inner
def moments_of_column(A, a, m, n, j, shared):
    """Mean of column j of an m x n matrix from place a on, and the sum of squares about it, to all threads of the j."""
    first = cuda.threadIdx.x // COLUMNS_AT_ONCE
    total = A.dtype.type(0)
    for i in range(first, m, _ROWS_AT_ONCE):
        total += A[a + i * n + j]
    mean = _over_column(total, shared) / A.dtype.type(m)
    squares = A.dtype.type(0)
    for i in range(first, m, _ROWS_AT_ONCE):
        squares += (A[a + i * n + j] - mean) * (A[a + i * n + j] - mean)
    return mean, _over_column(squares, shared)


@inner
def sums_of_column_back(dA, da, A, a, m, n, j, mean, rate, shared):
    """The sums over samples of dA X and of dA, for unit j: what gamma and beta change by."""
    weighted, plain = A.dtype.type(0), A.dtype.type(0)
    for i in range(cuda.threadIdx.x // COLUMNS_AT_ONCE, m, _ROWS_AT_ONCE):
        d = dA[da + i * n + j]
        weighted += d * (A[a + i * n + j] - mean) * rate
        plain += d
    return _over_column(weighted, shared), _over_column(plain, shared)


@inner
def moments_of_row(A, a, n, epsilon, lanes, lane, shared):
    """Mean and rate of n numbers from place a on, to all threads of the row."""
    first, total = cuda.threadIdx.x - lane, A.dtype.type(0)
    for j in range(lane, n, lanes):
        total += A[a + j]
    mean = sum_over(total, shared, first, 1, lanes) / A.dtype.type(n)
    squares = A.dtype.type(0)
    for j in range(lane, n, lanes):
        squares += (A[a + j] - mean) * (A[a + j] - mean)
    variance = sum_over(squares, shared, first, 1, lanes) / A.dtype.type(n)
    return mean, A.dtype.type(1) / math.sqrt(variance + A.dtype.type(epsilon))


@inner
def means_of_row_back(dA, da, A, a, gamma, g, n, mean, rate, lanes, lane, shared):
    """The means of G = gamma dA and of G X over a sample's n units; gamma begins at place g."""
    first, plain, weighted = cuda.threadIdx.x - lane, A.dtype.type(0), A.dtype.type(0)
    for j in range(lane, n, lanes):
        G = gamma[g + j] * dA[da + j]
        plain += G
        weighted += G * (A[a + j] - mean) * rate
    plain = sum_over(plain, shared, first, 1, lanes) / A.dtype.type(n)
    return plain, sum_over(weighted, shared, first, 1, lanes) / A.dtype.type(n)


@inner
def sums_of_normalised_column(dA, da, A, a, m, n, j, means, mean, rates, rate, shared):
    """As `sums_of_column_back`, for a mean and a rate a sample, which begin at those places."""
    weighted, plain = A.dtype.type(0), A.dtype.type(0)
    for i in range(cuda.threadIdx.x // COLUMNS_AT_ONCE, m, _ROWS_AT_ONCE):
        d = dA[da + i * n + j]
        weighted += d * (A[a + i * n + j] - means[mean + i]) * rates[rate + i]
        plain += d
    return _over_column(weighted, shared), _over_column(plain, shared)


@kernel
def _batch_norm(m, n, epsilon, A_prev, gamma, beta, mean, rate, A):
    shared = cuda.shared.array(THREADS, A.dtype)
    first = cuda.threadIdx.x // COLUMNS_AT_ONCE
    for task in range(cuda.blockIdx.x, n_blocks(n, COLUMNS_AT_ONCE), cuda.gridDim.x):
        unit = task * COLUMNS_AT_ONCE + cuda.threadIdx.x % COLUMNS_AT_ONCE
        j = min(unit, n - 1)  # threads beyond the last unit read that one, and write nothing
        centre, squares = moments_of_column(A_prev, 0, m, n, j, shared)
        factor = A.dtype.type(1) / math.sqrt(squares / A.dtype.type(m) + A.dtype.type(epsilon))
        if unit < n:
            if first == 0:
                mean[j], rate[j] = centre, factor
            for i in range(first, m, _ROWS_AT_ONCE):
                A[i * n + j] = gamma[j] * (A_prev[i * n + j] - centre) * factor + beta[j]


@kernel
def _batch_norm_backward(m, n, dA, A_prev, gamma, mean, rate, dgamma, dbeta, dA_prev):
    shared = cuda.shared.array(THREADS, dA.dtype)
    first, count = cuda.threadIdx.x // COLUMNS_AT_ONCE, dA.dtype.type(m)
    for task in range(cuda.blockIdx.x, n_blocks(n, COLUMNS_AT_ONCE), cuda.gridDim.x):
        unit = task * COLUMNS_AT_ONCE + cuda.threadIdx.x % COLUMNS_AT_ONCE
        j = min(unit, n - 1)
        weighted, plain = sums_of_column_back(dA, 0, A_prev, 0, m, n, j, mean[j], rate[j], shared)
        if unit < n:
            if first == 0:
                dgamma[j], dbeta[j] = weighted, plain
            for i in range(first, m, _ROWS_AT_ONCE):
                X = (A_prev[i * n + j] - mean[j]) * rate[j]
                dA_prev[i * n + j] = gamma[j] * rate[j] * (dA[i * n + j] - plain / count - X * weighted / count)


@kernel
def _layer_norm(m, n, epsilon, A_prev, gamma, beta, mean, rate, A):
    shared = cuda.shared.array(THREADS, A.dtype)
    lanes = lanes_for(n)
    lane, at_once = cuda.threadIdx.x % lanes, THREADS // lanes
    for task in range(cuda.blockIdx.x, n_blocks(m, at_once), cuda.gridDim.x):
        i = task * at_once + cuda.threadIdx.x // lanes
        row = min(i, m - 1) * n
        centre, factor = moments_of_row(A_prev, row, n, epsilon, lanes, lane, shared)
        if i < m:
            mean[i], rate[i] = centre, factor
            for j in range(lane, n, lanes):
                A[row + j] = gamma[j] * (A_prev[row + j] - centre) * factor + beta[j]


@kernel
def _layer_norm_backward(m, n, dA, A_prev, gamma, mean, rate, means, dA_prev):
    shared = cuda.shared.array(THREADS, dA.dtype)
    lanes = lanes_for(n)
    lane, at_once = cuda.threadIdx.x % lanes, THREADS // lanes
    for task in range(cuda.blockIdx.x, n_blocks(m, at_once), cuda.gridDim.x):
        own = task * at_once + cuda.threadIdx.x // lanes
        i = min(own, m - 1)
        row = i * n
        plain, weighted = means_of_row_back(
            dA, row, A_prev, row, gamma, 0, n, mean[i], rate[i], lanes, lane, shared
        )  # fmt: skip
        if own < m:
            means[i], means[m + i] = plain, weighted
            for j in range(lane, n, lanes):
                X = (A_prev[row + j] - mean[i]) * rate[i]
                dA_prev[row + j] = rate[i] * (gamma[j] * dA[row + j] - plain - X * weighted)


@kernel
def _layer_norm_sums(m, n, dA, A_prev, mean, rate, dgamma, dbeta):
    shared = cuda.shared.array(THREADS, dA.dtype)
    for task in range(cuda.blockIdx.x, n_blocks(n, COLUMNS_AT_ONCE), cuda.gridDim.x):
        j = task * COLUMNS_AT_ONCE + cuda.threadIdx.x % COLUMNS_AT_ONCE
        weighted, plain = sums_of_normalised_column(
            dA, 0, A_prev, 0, m, n, min(j, n - 1), mean, 0, rate, 0, shared
        )  # fmt: skip
        if j < n:
            dgamma[j], dbeta[j] = weighted, plain


def batch_norm(A_prev, gamma, beta, epsilon, mean, rate, A):
    """Each unit by its mean and variance over the mini-batch; mean and rate (n,) are written."""
    m, n = A.shape
    launch(_batch_norm, -(-n // COLUMNS_AT_ONCE), m, n, epsilon, *flat(A_prev, gamma, beta, mean, rate, A))


def batch_norm_backward(dA, A_prev, gamma, mean, rate, dgamma, dbeta, dA_prev):
    """dA_prev = gamma rate (dA - the mean of dA - X the mean of dA X): mean and rate depend on A_prev as well."""
    m, n = dA.shape
    arrays = flat(dA, A_prev, gamma, mean, rate, dgamma, dbeta, dA_prev)
    launch(_batch_norm_backward, -(-n // COLUMNS_AT_ONCE), m, n, *arrays)


def layer_norm(A_prev, gamma, beta, epsilon, mean, rate, A):
    """Each sample by its mean and variance over the units; mean and rate (m,) are written."""
    m, n = A.shape
    launch(_layer_norm, m, m, n, epsilon, *flat(A_prev, gamma, beta, mean, rate, A))


def layer_norm_backward(dA, A_prev, gamma, mean, rate, means, dgamma, dbeta, dA_prev):
    """dA_prev = rate (G - mean of G - X mean of G X) for G = gamma dA; both means are written: (2, m)."""
    m, n = dA.shape
    dA, A_prev, gamma, mean, rate, means, dgamma, dbeta, dA_prev = flat(
        dA, A_prev, gamma, mean, rate, means, dgamma, dbeta, dA_prev
    )
    launch(_layer_norm_sums, -(-n // COLUMNS_AT_ONCE), m, n, dA, A_prev, mean, rate, dgamma, dbeta)
    launch(_layer_norm_backward, m, m, n, dA, A_prev, gamma, mean, rate, means, dA_prev)
