"""Layer normalisation: each sample by its mean and variance over the units. The formulas are those of `reference`.

A sample is a column, A (n, m), `..._of_columns`: a vector holds many samples, and each has its own statistics.
"""

import math

from ...codes import A_OFFSET, B_OFFSET, CHANNELS, DZ_OFFSET, EPSILON, LAYER_NORM, STATISTICS_OFFSET, W_OFFSET
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..partition import n_blocks
from ..step.workspace import below, count_of, matrix_at, places_of


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


# What the layer keeps in the workspace of a block and a place, vectors (block_rows,); two of them are for the way back.


@inner
def _statistic(job, l, block, place, index):
    size = job.plan.block_rows
    offset = job.plan.layers[l, STATISTICS_OFFSET] + (4 * (block * places_of(job, l) + place) + index) * size
    return vector(job.workspace, offset, size)


@inner
def _mean(job, l, block, place):
    return _statistic(job, l, block, place, 0)


@inner
def _inv_std(job, l, block, place):
    return _statistic(job, l, block, place, 1)


@inner
def _plain(job, l, block, place):
    return _statistic(job, l, block, place, 2)


@inner
def _weighted(job, l, block, place):
    return _statistic(job, l, block, place, 3)


@routine(component=LAYER_NORM)
def forward(job, l, first_block, last_block):
    """Z of each block, (n, block_rows) at each place; the samples' mean and inv_std are kept for the way back."""
    plan, parameters = job.plan, job.parameters
    n = plan.layers[l, CHANNELS]
    gamma, beta = vector(parameters, plan.layers[l, W_OFFSET], n), vector(parameters, plan.layers[l, B_OFFSET], n)
    for block in range(first_block, last_block):
        for place in range(places_of(job, l)):
            A_prev = matrix_at(job, l, below(job, l), A_OFFSET, block, place)
            mean, inv_std = _mean(job, l, block, place), _inv_std(job, l, block, place)
            moments_of_columns(A_prev, mean, inv_std, plan.settings[l, EPSILON])
            normalise_columns(A_prev, mean, inv_std, gamma, beta, matrix_at(job, l, l, A_OFFSET, block, place))


@routine(component=LAYER_NORM)
def backward(job, l, first_block, last_block):
    """dA_prev of each block from dZ, both (n, block_rows) at each place."""
    plan = job.plan
    gamma = vector(job.parameters, plan.layers[l, W_OFFSET], plan.layers[l, CHANNELS])
    for block in range(first_block, last_block):
        for place in range(places_of(job, l)):
            normalise_columns_backward(
                matrix_at(job, l, l, DZ_OFFSET, block, place),
                matrix_at(job, l, below(job, l), A_OFFSET, block, place),
                _mean(job, l, block, place),
                _inv_std(job, l, block, place),
                gamma,
                _plain(job, l, block, place),
                _weighted(job, l, block, place),
                matrix_at(job, l, below(job, l), DZ_OFFSET, block, place),
            )


@routine(component=LAYER_NORM)
def weight_gradient(job, alpha, changed, l):
    """changed[gamma] += alpha * dgamma and changed[beta] += alpha * dbeta, both (n,), place by place of each block."""
    plan = job.plan
    n = plan.layers[l, CHANNELS]
    gamma, beta = vector(changed, plan.layers[l, W_OFFSET], n), vector(changed, plan.layers[l, B_OFFSET], n)
    for block in range(n_blocks(job.m, plan.block_rows)):
        for place in range(places_of(job, l)):
            add_sums_of_columns(
                matrix_at(job, l, l, DZ_OFFSET, block, place),
                matrix_at(job, l, below(job, l), A_OFFSET, block, place),
                count_of(job, block),
                _mean(job, l, block, place),
                _inv_std(job, l, block, place),
                alpha,
                gamma,
                beta,
            )
