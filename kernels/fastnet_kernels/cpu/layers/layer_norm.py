"""Layer normalisation: each sample by its mean and variance over the units. The formulas are those of `reference`.

A sample is a column, A (n, m), `..._of_columns`: a vector holds many samples, and each has its own statistics.
"""

import math

from ...codes import A_OFFSET, B_OFFSET, DZ_OFFSET, EPSILON, LAYER_NORM, N_OUT, STATISTICS_OFFSET, W_OFFSET
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..partition import n_blocks
from ..step.workspace import count_of, matrix_of


@routine
def moments_of_columns(A, mean, inv_std, epsilon):
    """mean[i] and inv_std[i] = 1 / sqrt(variance + epsilon) of every column of A (n, m)."""
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


@inner
def normalised(a, gamma, beta, mean, inv_std):
    """A number of the output."""
    return (a - mean) * inv_std * gamma + beta


@inner
def derivative(d, a, gamma, mean, inv_std, plain, weighted):
    """A number of dA_prev; `plain` and `weighted` are the means of G and of G X over the sample."""
    return inv_std * (gamma * d - plain - (a - mean) * inv_std * weighted)


@routine
def normalise_columns(A_prev, mean, inv_std, gamma, beta, A):
    """A[j, i] = gamma[j] (A_prev[j, i] - mean[i]) inv_std[i] + beta[j]."""
    for j in range(A.shape[0]):
        given, row, factor, shift = A_prev[j], A[j], gamma[j], beta[j]
        for i in range(row.size):
            row[i] = normalised(given[i], factor, shift, mean[i], inv_std[i])


@routine
def normalise_columns_backward(dA, A_prev, mean, inv_std, gamma, plain, weighted, dA_prev):
    """dA_prev = inv_std (G - mean of G - X mean of G X) by columns, for G = gamma dA, X = (A_prev - mean) inv_std.

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
            result[i] = derivative(d[i], a[i], factor, mean[i], inv_std[i], plain[i], weighted[i])


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


# What the layer keeps of a block in the workspace, vectors (block_rows,); two of them are for the way back.


@inner
def _statistic(job, l, block, index):
    size = job.plan.block_rows
    return vector(job.workspace, job.plan.layers[l, STATISTICS_OFFSET] + (4 * block + index) * size, size)


@inner
def _mean(job, l, block):
    return _statistic(job, l, block, 0)


@inner
def _inv_std(job, l, block):
    return _statistic(job, l, block, 1)


@inner
def _plain(job, l, block):
    return _statistic(job, l, block, 2)


@inner
def _weighted(job, l, block):
    return _statistic(job, l, block, 3)


@routine(component=LAYER_NORM)
def forward(job, l, first_block, last_block):
    """Z (n_l, block_rows) of each block; the samples' mean and inv_std are kept for the way back."""
    plan, parameters = job.plan, job.parameters
    n = plan.layers[l, N_OUT]
    gamma, beta = vector(parameters, plan.layers[l, W_OFFSET], n), vector(parameters, plan.layers[l, B_OFFSET], n)
    for block in range(first_block, last_block):
        A_prev, Z = matrix_of(job, l - 1, A_OFFSET, block), matrix_of(job, l, A_OFFSET, block)
        mean, inv_std = _mean(job, l, block), _inv_std(job, l, block)
        moments_of_columns(A_prev, mean, inv_std, plan.settings[l, EPSILON])
        normalise_columns(A_prev, mean, inv_std, gamma, beta, Z)


@routine(component=LAYER_NORM)
def backward(job, l, first_block, last_block):
    """dA_prev of each block from dZ, both (n_l, block_rows)."""
    plan = job.plan
    gamma = vector(job.parameters, plan.layers[l, W_OFFSET], plan.layers[l, N_OUT])
    for block in range(first_block, last_block):
        normalise_columns_backward(
            matrix_of(job, l, DZ_OFFSET, block), matrix_of(job, l - 1, A_OFFSET, block), _mean(job, l, block),
            _inv_std(job, l, block), gamma, _plain(job, l, block), _weighted(job, l, block),
            matrix_of(job, l - 1, DZ_OFFSET, block),
        )  # fmt: skip


@routine(component=LAYER_NORM)
def weight_gradient(job, alpha, changed, l):
    """changed[gamma] += alpha * dgamma and changed[beta] += alpha * dbeta, both (n_l,), summed block by block."""
    plan = job.plan
    n = plan.layers[l, N_OUT]
    gamma, beta = vector(changed, plan.layers[l, W_OFFSET], n), vector(changed, plan.layers[l, B_OFFSET], n)
    for block in range(n_blocks(job.m, plan.block_rows)):
        add_sums_of_columns(
            matrix_of(job, l, DZ_OFFSET, block), matrix_of(job, l - 1, A_OFFSET, block), count_of(job, block),
            _mean(job, l, block), _inv_std(job, l, block), alpha, gamma, beta,
        )  # fmt: skip
