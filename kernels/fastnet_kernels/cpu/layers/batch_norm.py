"""Batch normalisation: each unit by its mean and variance over the mini-batch. The formulas are those of `reference`.

A sample is a column, A (n, m), so a unit is a row, `..._of_rows`. A mini-batch lies in blocks of samples: each block
gives its mean and squares (`block_statistics`), and `combine_statistics` puts them together after Chan, Golub and
LeVeque (1979): mean before variance, so that nothing is lost where the mean is large. Backward the same is done with
dgamma and dbeta. Between a block's share and the whole all blocks must be through: so a step has a data phase more.
"""

import math
from typing import NamedTuple

import numpy as np

from ...codes import (
    A_OFFSET,
    B_OFFSET,
    BATCH_NORM,
    BATCH_STATISTICS,
    DZ_OFFSET,
    EPSILON,
    GRADIENT,
    N_OUT,
    RUNNING_OFFSET,
    RUNNING_RATE,
    STATISTICS_OFFSET,
    TRAIN,
    W_OFFSET,
)
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..partition import n_blocks
from ..step.workspace import count_of, matrix_of


class Statistics(NamedTuple):
    """What a mini-batch is normalised by, an entry a unit: mean, and inv_std = 1 / sqrt(variance + epsilon)."""

    mean: np.ndarray
    inv_std: np.ndarray


@inner
def moments_of(a):
    """Mean of contiguous numbers, and the sum of the squares of their distances from it."""
    total = a[0] * 0
    for i in range(a.size):
        total += a[i]
    centre = total / a.dtype.type(a.size)
    total = centre * 0
    for i in range(a.size):
        total += (a[i] - centre) * (a[i] - centre)
    return centre, total


@routine
def moments_of_rows(A, m, mean, squares):
    """mean[j] and squares[j] = sum_i (A[j, i] - mean[j])^2 over the first m columns of A."""
    for j in range(A.shape[0]):
        mean[j], squares[j] = moments_of(A[j, :m])


@inner
def normalised(a, mean, factor, shift):
    """A number of the output, with factor = gamma inv_std."""
    return (a - mean) * factor + shift


@inner
def derivative(d, a, mean, factor, of_plain, of_weighted):
    """A number of dA_prev, with factor = gamma inv_std, and the shares of dbeta, and of dgamma times inv_std."""
    return factor * (d - of_plain - (a - mean) * of_weighted)


@routine
def normalise_rows(A_prev, mean, inv_std, gamma, beta, A):
    """A[j] = gamma[j] (A_prev[j] - mean[j]) inv_std[j] + beta[j]; A and A_prev (n, m)."""
    for j in range(A.shape[0]):
        given, row, centre = A_prev[j], A[j], mean[j]
        factor, shift = gamma[j] * inv_std[j], beta[j]
        for i in range(row.size):
            row[i] = normalised(given[i], centre, factor, shift)


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
def normalise_rows_backward(dA, A_prev, share, statistics, gamma, dgamma, dbeta, dA_prev):
    """dA_prev[j] = gamma[j] inv_std[j] (dA[j] - share dbeta[j] - share X[j] dgamma[j]), X = (A_prev - mean) inv_std.

    The share is 1 / m where the statistics are those of m samples, and 0 where they are the running ones.
    """
    share, inv_std = dA.dtype.type(share), statistics.inv_std
    for j in range(dA.shape[0]):
        d, a, result, centre = dA[j], A_prev[j], dA_prev[j], statistics.mean[j]
        factor, of_plain, of_weighted = gamma[j] * inv_std[j], share * dbeta[j], share * dgamma[j] * inv_std[j]
        for i in range(result.size):
            result[i] = derivative(d[i], a[i], centre, factor, of_plain, of_weighted)


# What the layer keeps in the workspace, vectors (n_l,): four of the mini-batch, and two of each of its blocks.


@inner
def _statistic(job, l, index):
    n = job.plan.layers[l, N_OUT]
    return vector(job.workspace, job.plan.layers[l, STATISTICS_OFFSET] + index * n, n)


@inner
def _mean(job, l):
    return _statistic(job, l, 0)


@inner
def _inv_std(job, l):
    return _statistic(job, l, 1)


@inner
def _dgamma(job, l):
    return _statistic(job, l, 2)


@inner
def _dbeta(job, l):
    return _statistic(job, l, 3)


@inner
def _block_mean(job, l, block):
    return _statistic(job, l, 4 + 2 * block)


@inner
def _block_squares(job, l, block):
    return _statistic(job, l, 5 + 2 * block)


# Backward a block's share of dgamma and dbeta, where forward its mean and squares are.
_block_dgamma, _block_dbeta = _block_mean, _block_squares


@inner
def _uses_batch_statistics(job, l):
    """Whether the layer normalises by the mini-batch's statistics, as in training, and not by the running ones.

    A single sample has no variance: it is normalised as in evaluation, and leaves the running statistics as they are.
    """
    return job.mode >= GRADIENT and job.plan.layers[l, BATCH_STATISTICS] != 0 and job.m > 1


@routine(component=BATCH_NORM)
def forward(job, l, first_block, last_block):
    """Z (n_l, block_rows) of each block, from the statistics, which are known by now."""
    plan, parameters = job.plan, job.parameters
    n = plan.layers[l, N_OUT]
    gamma, beta = vector(parameters, plan.layers[l, W_OFFSET], n), vector(parameters, plan.layers[l, B_OFFSET], n)
    for block in range(first_block, last_block):
        A_prev, Z = matrix_of(job, l - 1, A_OFFSET, block), matrix_of(job, l, A_OFFSET, block)
        normalise_rows(A_prev, _mean(job, l), _inv_std(job, l), gamma, beta, Z)


@routine(component=BATCH_NORM)
def backward(job, l, first_block, last_block):
    """dA_prev of each block from dZ, both (n_l, block_rows); dgamma and dbeta of the whole mini-batch are known."""
    plan = job.plan
    n = plan.layers[l, N_OUT]
    gamma = vector(job.parameters, plan.layers[l, W_OFFSET], n)
    # Running statistics do not depend on the samples: then nothing flows back through them.
    share = 1 / job.m if _uses_batch_statistics(job, l) else 0.0
    for block in range(first_block, last_block):
        dZ, A_prev = matrix_of(job, l, DZ_OFFSET, block), matrix_of(job, l - 1, A_OFFSET, block)
        dA_prev = matrix_of(job, l - 1, DZ_OFFSET, block)
        statistics = Statistics(_mean(job, l), _inv_std(job, l))
        dgamma, dbeta = _dgamma(job, l), _dbeta(job, l)
        normalise_rows_backward(dZ, A_prev, share, statistics, gamma, dgamma, dbeta, dA_prev)
        for j in range(n):  # columns that stand for no sample have no part in the sums that flow back to all
            for i in range(count_of(job, block), plan.block_rows):
                dA_prev[j, i] = 0


@routine(component=BATCH_NORM)
def weight_gradient(job, alpha, changed, l):
    """changed[gamma] += alpha * dgamma and changed[beta] += alpha * dbeta, both (n_l,)."""
    plan = job.plan
    n = plan.layers[l, N_OUT]
    gamma, beta = vector(changed, plan.layers[l, W_OFFSET], n), vector(changed, plan.layers[l, B_OFFSET], n)
    dgamma, dbeta = _dgamma(job, l), _dbeta(job, l)
    for j in range(n):
        gamma[j] += alpha * dgamma[j]
        beta[j] += alpha * dbeta[j]


@routine(component=BATCH_NORM)
def prepare(job, l):
    """Before the data phase: a layer that does not use the batch's statistics takes the running ones."""
    if _uses_batch_statistics(job, l):
        return
    plan, parameters = job.plan, job.parameters
    n, running = plan.layers[l, N_OUT], plan.layers[l, RUNNING_OFFSET]
    mean, inv_std = _mean(job, l), _inv_std(job, l)
    dgamma, dbeta = _dgamma(job, l), _dbeta(job, l)
    for j in range(n):
        mean[j] = parameters[running + j]
        inv_std[j] = 1 / math.sqrt(parameters[running + n + j] + plan.settings[l, EPSILON])
        dgamma[j] = 0
        dbeta[j] = 0


@routine(component=BATCH_NORM)
def block_statistics(job, l, first_block, last_block):
    """Mean and squares of some blocks of A_prev, before the layer can go forward."""
    for block in range(first_block, last_block):
        mean, squares = _block_mean(job, l, block), _block_squares(job, l, block)
        moments_of_rows(matrix_of(job, l - 1, A_OFFSET, block), count_of(job, block), mean, squares)


@routine(component=BATCH_NORM)
def combine_statistics(job, l):
    """Mean and inv_std of the mini-batch, from those of its blocks.

    In training the running statistics move towards them; the running variance is the unbiased one.
    """
    if not _uses_batch_statistics(job, l):
        return
    plan, parameters = job.plan, job.parameters
    n, running, share = plan.layers[l, N_OUT], plan.layers[l, RUNNING_OFFSET], plan.settings[l, RUNNING_RATE]
    mean, inv_std = _mean(job, l), _inv_std(job, l)
    blocks = n_blocks(job.m, plan.block_rows)
    for j in range(n):
        total = 0.0
        for block in range(blocks):
            total += count_of(job, block) * _block_mean(job, l, block)[j]
        centre, squares = total / job.m, 0.0
        for block in range(blocks):
            distance = _block_mean(job, l, block)[j] - centre
            squares += _block_squares(job, l, block)[j] + count_of(job, block) * distance * distance
        mean[j] = centre
        inv_std[j] = 1 / math.sqrt(squares / job.m + plan.settings[l, EPSILON])
        if job.mode == TRAIN:
            parameters[running + j] += share * (centre - parameters[running + j])
            parameters[running + n + j] += share * (squares / (job.m - 1) - parameters[running + n + j])


@routine(component=BATCH_NORM)
def block_gradient_sums(job, l, first_block, last_block):
    """Shares of dgamma and dbeta of some blocks, before the layer can go backward."""
    for block in range(first_block, last_block):
        sums_of_rows(
            matrix_of(job, l, DZ_OFFSET, block), matrix_of(job, l - 1, A_OFFSET, block), count_of(job, block),
            _mean(job, l), _inv_std(job, l), _block_dgamma(job, l, block),
            _block_dbeta(job, l, block),
        )  # fmt: skip


@routine(component=BATCH_NORM)
def combine_gradient_sums(job, l):
    """dgamma and dbeta of the mini-batch, from those of its blocks."""
    dgamma, dbeta = _dgamma(job, l), _dbeta(job, l)
    for j in range(job.plan.layers[l, N_OUT]):
        weighted, plain = 0.0, 0.0
        for block in range(n_blocks(job.m, job.plan.block_rows)):
            weighted += _block_dgamma(job, l, block)[j]
            plain += _block_dbeta(job, l, block)[j]
        dgamma[j] = weighted
        dbeta[j] = plain
