"""Normalisations: A = gamma * X + beta, with X = (A_prev - mean) * rate, rate = 1 / sqrt(variance + epsilon).

Of a batch normalisation a block has some units, and all samples of these; of a layer normalisation some samples.
"""

import math

from .blocks import n_blocks
from .compiling import cuda, formula, inner, kernel
from .launching import flat, launch
from .reducing import column_of, row_of, rows_at_once, sum_over, sum_over_column
from .sizes import COLUMNS_AT_ONCE, ROWS_AT_ONCE, THREADS


@formula
def normalised(x, mean, inv_std, gamma, beta):
    return gamma * (x - mean) * inv_std + beta


@formula
def backward_of_unit(da, x, mean, inv_std, gamma, weighted, plain):
    """dA_prev of a batch normalisation, from the means over samples of dA X and of dA."""
    return gamma * inv_std * (da - plain - (x - mean) * inv_std * weighted)


@formula
def backward_of_sample(da, x, mean, inv_std, gamma, weighted, plain):
    """dA_prev of a layer normalisation, from the means over units of G X and of G = gamma dA."""
    return inv_std * (gamma * da - plain - (x - mean) * inv_std * weighted)


@inner
def moments_of_column(A, a, m, n, j, first, shared):
    """Mean of column j of an m x n matrix from place a on, and the sum of squares about it, to all its threads."""
    total = A.dtype.type(0)
    for i in range(first, m, ROWS_AT_ONCE):
        total += A[a + i * n + j]
    mean = sum_over_column(total, shared) / A.dtype.type(m)
    squares = A.dtype.type(0)
    for i in range(first, m, ROWS_AT_ONCE):
        squares += (A[a + i * n + j] - mean) * (A[a + i * n + j] - mean)
    return mean, sum_over_column(squares, shared)


@inner
def sums_of_column_back(dA, da, A, a, m, n, j, first, means, mean, inv_stds, inv_std, step, shared):
    """The sums over samples of dA X and of dA, for unit j: what gamma and beta change by; to all its threads.

    Mean and rate begin at those places, `step` apart from sample to sample: 0 for a batch normalisation, else 1.
    """
    weighted, plain = A.dtype.type(0), A.dtype.type(0)
    for i in range(first, m, ROWS_AT_ONCE):
        d = dA[da + i * n + j]
        weighted += d * (A[a + i * n + j] - means[mean + i * step]) * inv_stds[inv_std + i * step]
        plain += d
    return sum_over_column(weighted, shared), sum_over_column(plain, shared)


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
def means_of_row_back(dA, da, A, a, gamma, g, n, mean, inv_std, lanes, lane, shared):
    """The means of G X and of G = gamma dA over a sample's n units; gamma begins at place g."""
    first, plain, weighted = cuda.threadIdx.x - lane, A.dtype.type(0), A.dtype.type(0)
    for j in range(lane, n, lanes):
        G = gamma[g + j] * dA[da + j]
        plain += G
        weighted += G * (A[a + j] - mean) * inv_std
    plain = sum_over(plain, shared, first, 1, lanes) / A.dtype.type(n)
    return sum_over(weighted, shared, first, 1, lanes) / A.dtype.type(n), plain


@kernel
def _batch_norm(m, n, epsilon, A_prev, gamma, beta, mean, inv_std, A):
    shared = cuda.shared.array(THREADS, A.dtype)
    for task in range(cuda.blockIdx.x, n_blocks(n, COLUMNS_AT_ONCE), cuda.gridDim.x):
        unit, first = column_of(task)
        j = min(unit, n - 1)
        centre, squares = moments_of_column(A_prev, 0, m, n, j, first, shared)
        factor = A.dtype.type(1) / math.sqrt(squares / A.dtype.type(m) + A.dtype.type(epsilon))
        if unit < n:
            if first == 0:
                mean[j], inv_std[j] = centre, factor
            for i in range(first, m, ROWS_AT_ONCE):
                A[i * n + j] = normalised(A_prev[i * n + j], centre, factor, gamma[j], beta[j])


@kernel
def _batch_norm_backward(m, n, dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev):
    shared = cuda.shared.array(THREADS, dA.dtype)
    count = dA.dtype.type(m)
    for task in range(cuda.blockIdx.x, n_blocks(n, COLUMNS_AT_ONCE), cuda.gridDim.x):
        unit, first = column_of(task)
        j = min(unit, n - 1)
        weighted, plain = sums_of_column_back(dA, 0, A_prev, 0, m, n, j, first, mean, j, inv_std, j, 0, shared)
        if unit < n:
            if first == 0:
                dgamma[j], dbeta[j] = weighted, plain
            for i in range(first, m, ROWS_AT_ONCE):
                dA_prev[i * n + j] = backward_of_unit(
                    dA[i * n + j], A_prev[i * n + j], mean[j], inv_std[j], gamma[j], weighted / count, plain / count
                )


@kernel
def _layer_norm(m, n, epsilon, A_prev, gamma, beta, mean, inv_std, A):
    shared = cuda.shared.array(THREADS, A.dtype)
    for task in range(cuda.blockIdx.x, n_blocks(m, rows_at_once(n)), cuda.gridDim.x):
        i, lanes, lane = row_of(task, n)
        row = min(i, m - 1) * n
        centre, factor = moments_of_row(A_prev, row, n, epsilon, lanes, lane, shared)
        if i < m:
            mean[i], inv_std[i] = centre, factor
            for j in range(lane, n, lanes):
                A[row + j] = normalised(A_prev[row + j], centre, factor, gamma[j], beta[j])


@kernel
def _layer_norm_backward(m, n, dA, A_prev, gamma, mean, inv_std, means, dA_prev):
    shared = cuda.shared.array(THREADS, dA.dtype)
    for task in range(cuda.blockIdx.x, n_blocks(m, rows_at_once(n)), cuda.gridDim.x):
        own, lanes, lane = row_of(task, n)
        i = min(own, m - 1)
        row = i * n
        weighted, plain = means_of_row_back(
            dA, row, A_prev, row, gamma, 0, n, mean[i], inv_std[i], lanes, lane, shared
        )  # fmt: skip
        if own < m:
            means[i], means[m + i] = plain, weighted
            for j in range(lane, n, lanes):
                dA_prev[row + j] = backward_of_sample(
                    dA[row + j], A_prev[row + j], mean[i], inv_std[i], gamma[j], weighted, plain
                )


@kernel
def _layer_norm_sums(m, n, dA, A_prev, mean, inv_std, dgamma, dbeta):
    shared = cuda.shared.array(THREADS, dA.dtype)
    for task in range(cuda.blockIdx.x, n_blocks(n, COLUMNS_AT_ONCE), cuda.gridDim.x):
        unit, first = column_of(task)
        j = min(unit, n - 1)
        weighted, plain = sums_of_column_back(dA, 0, A_prev, 0, m, n, j, first, mean, 0, inv_std, 0, 1, shared)
        if unit < n:
            dgamma[j], dbeta[j] = weighted, plain


def batch_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """Each unit by its mean and variance over the mini-batch; mean and rate (n,) are written."""
    m, n = A.shape
    launch(_batch_norm, -(-n // COLUMNS_AT_ONCE), m, n, float(epsilon), *flat(A_prev, gamma, beta, mean, inv_std, A))


def batch_norm_backward(dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev):
    """dA_prev = gamma rate (dA - the mean of dA - X the mean of dA X): mean and rate depend on A_prev as well."""
    m, n = dA.shape
    arrays = flat(dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev)
    launch(_batch_norm_backward, -(-n // COLUMNS_AT_ONCE), m, n, *arrays)


def layer_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """Each sample by its mean and variance over the units; mean and rate (m,) are written."""
    m, n = A.shape
    launch(_layer_norm, m, m, n, float(epsilon), *flat(A_prev, gamma, beta, mean, inv_std, A))


def layer_norm_backward(dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev):
    """dA_prev = rate (G - mean of G - X mean of G X) for G = gamma dA; both means are written: (2, m)."""
    m, n = dA.shape
    dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev = flat(
        dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev
    )
    launch(_layer_norm_sums, -(-n // COLUMNS_AT_ONCE), m, n, dA, A_prev, mean, inv_std, dgamma, dbeta)
    launch(_layer_norm_backward, m, m, n, dA, A_prev, gamma, mean, inv_std, means, dA_prev)
