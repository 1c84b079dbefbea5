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
    CHANNELS,
    DZ_OFFSET,
    EPSILON,
    GRADIENT,
    RUNNING_OFFSET,
    RUNNING_RATE,
    STATISTICS_OFFSET,
    TRAIN,
    W_OFFSET,
)
from ..codegen.arrays import matrix, vector
from ..codegen.compiling import inner, routine
from ..partition import n_blocks
from ..step.workspace import below, count_of, matrix_at, places_of


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


# What the layer keeps in the workspace, vectors (n,): four of the mini-batch, and two of each of its blocks; and, of
# images, two matrices (n, block_rows) of each block, which are sums over places.


@inner
def _statistic(job, l, index):
    n = job.plan.layers[l, CHANNELS]
    return vector(job.workspace, job.plan.layers[l, STATISTICS_OFFSET] + index * n, n)


@inner
def _sums_over_places(job, l, block, index):
    n, rows = job.plan.layers[l, CHANNELS], job.plan.block_rows
    blocks = n_blocks(job.plan.batch_size, rows)
    offset = (4 + 2 * blocks) * n + (2 * block + index) * n * rows
    return matrix(job.workspace, job.plan.layers[l, STATISTICS_OFFSET] + offset, n, rows)


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

    A single number has no variance: a sample of features by itself is normalised as in evaluation, and leaves the
    running statistics as they are.
    """
    return job.mode >= GRADIENT and job.plan.layers[l, BATCH_STATISTICS] != 0 and job.m * places_of(job, l) > 1


@routine(component=BATCH_NORM)
def forward(job, l, first_block, last_block):
    """Z of each block, (n, block_rows) at each place, from the statistics, which are known by now."""
    plan, parameters = job.plan, job.parameters
    n = plan.layers[l, CHANNELS]
    gamma, beta = vector(parameters, plan.layers[l, W_OFFSET], n), vector(parameters, plan.layers[l, B_OFFSET], n)
    for block in range(first_block, last_block):
        for place in range(places_of(job, l)):
            A_prev = matrix_at(job, l, below(job, l), A_OFFSET, block, place)
            Z = matrix_at(job, l, l, A_OFFSET, block, place)
            normalise_rows(A_prev, _mean(job, l), _inv_std(job, l), gamma, beta, Z)


@routine(component=BATCH_NORM)
def backward(job, l, first_block, last_block):
    """dA_prev of each block from dZ, both (n, block_rows) at each place. The whole dgamma and dbeta are known."""
    plan = job.plan
    n = plan.layers[l, CHANNELS]
    gamma = vector(job.parameters, plan.layers[l, W_OFFSET], n)
    # Running statistics do not depend on the samples: then nothing flows back through them.
    share = 1 / (job.m * places_of(job, l)) if _uses_batch_statistics(job, l) else 0.0
    statistics, dgamma, dbeta = Statistics(_mean(job, l), _inv_std(job, l)), _dgamma(job, l), _dbeta(job, l)
    for block in range(first_block, last_block):
        for place in range(places_of(job, l)):
            dZ, A_prev = (
                matrix_at(job, l, l, DZ_OFFSET, block, place),
                matrix_at(job, l, below(job, l), A_OFFSET, block, place),
            )
            dA_prev = matrix_at(job, l, below(job, l), DZ_OFFSET, block, place)
            normalise_rows_backward(dZ, A_prev, share, statistics, gamma, dgamma, dbeta, dA_prev)
            for j in range(n):  # columns that stand for no sample have no part in the sums that flow back to all
                for i in range(count_of(job, block), plan.block_rows):
                    dA_prev[j, i] = 0


@routine(component=BATCH_NORM)
def weight_gradient(job, alpha, changed, l):
    """changed[gamma] += alpha * dgamma and changed[beta] += alpha * dbeta, both (n,)."""
    plan = job.plan
    n = plan.layers[l, CHANNELS]
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
    n, running = plan.layers[l, CHANNELS], plan.layers[l, RUNNING_OFFSET]
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
        mean, squares, count = _block_mean(job, l, block), _block_squares(job, l, block), count_of(job, block)
        if places_of(job, l) == 1:
            moments_of_rows(matrix_at(job, l, below(job, l), A_OFFSET, block, 0), count, mean, squares)
        else:
            _moments_of_places(job, l, block, count, mean, squares)


@inner
def _row_sums(A, m, sums):
    """sums[j] = sum_i A[j, i] over the first m columns of A."""
    for j in range(A.shape[0]):
        total = A.dtype.type(0)
        for i in range(m):
            total += A[j, i]
        sums[j] = total


@inner
def _moments_of_places(job, l, block, m, mean, squares):
    """As `moments_of_rows`, over all places: samples stay apart until these are added, so that lanes are full."""
    places, total = places_of(job, l), _sums_over_places(job, l, block, 0)
    total[:] = 0
    for place in range(places):
        A = matrix_at(job, l, below(job, l), A_OFFSET, block, place)
        for j in range(A.shape[0]):
            for i in range(A.shape[1]):
                total[j, i] += A[j, i]
    _row_sums(total, m, mean)
    count = total.dtype.type(m * places)
    for j in range(mean.size):
        mean[j] /= count
    total[:] = 0
    for place in range(places):
        A = matrix_at(job, l, below(job, l), A_OFFSET, block, place)
        for j in range(A.shape[0]):
            centre = mean[j]
            for i in range(A.shape[1]):
                distance = A[j, i] - centre
                total[j, i] += distance * distance
    _row_sums(total, m, squares)


@routine(component=BATCH_NORM)
def combine_statistics(job, l):
    """Mean and inv_std of the mini-batch, from those of its blocks.

    In training the running statistics move towards them; the running variance is the unbiased one.
    """
    if not _uses_batch_statistics(job, l):
        return
    plan, parameters = job.plan, job.parameters
    n, running, share = plan.layers[l, CHANNELS], plan.layers[l, RUNNING_OFFSET], plan.settings[l, RUNNING_RATE]
    mean, inv_std, places = _mean(job, l), _inv_std(job, l), places_of(job, l)
    blocks, count = n_blocks(job.m, plan.block_rows), job.m * places
    for j in range(n):
        total = 0.0
        for block in range(blocks):
            total += count_of(job, block) * places * _block_mean(job, l, block)[j]
        centre, squares = total / count, 0.0
        for block in range(blocks):
            distance = _block_mean(job, l, block)[j] - centre
            squares += _block_squares(job, l, block)[j] + count_of(job, block) * places * distance * distance
        mean[j] = centre
        inv_std[j] = 1 / math.sqrt(squares / count + plan.settings[l, EPSILON])
        if job.mode == TRAIN:
            parameters[running + j] += share * (centre - parameters[running + j])
            parameters[running + n + j] += share * (squares / (count - 1) - parameters[running + n + j])


@routine(component=BATCH_NORM)
def block_gradient_sums(job, l, first_block, last_block):
    """Shares of dgamma and dbeta of some blocks, before the layer can go backward."""
    for block in range(first_block, last_block):
        dgamma, dbeta, count = _block_dgamma(job, l, block), _block_dbeta(job, l, block), count_of(job, block)
        if places_of(job, l) == 1:
            dZ, A_prev = (
                matrix_at(job, l, l, DZ_OFFSET, block, 0),
                matrix_at(job, l, below(job, l), A_OFFSET, block, 0),
            )
            sums_of_rows(dZ, A_prev, count, _mean(job, l), _inv_std(job, l), dgamma, dbeta)
        else:
            _sums_of_places(job, l, block, count, dgamma, dbeta)


@inner
def _sums_of_places(job, l, block, m, dgamma, dbeta):
    """As `sums_of_rows`, over all places."""
    plain, weighted = _sums_over_places(job, l, block, 0), _sums_over_places(job, l, block, 1)
    mean, inv_std = _mean(job, l), _inv_std(job, l)
    plain[:] = 0
    weighted[:] = 0
    for place in range(places_of(job, l)):
        dZ = matrix_at(job, l, l, DZ_OFFSET, block, place)
        A_prev = matrix_at(job, l, below(job, l), A_OFFSET, block, place)
        for j in range(dZ.shape[0]):
            centre = mean[j]
            for i in range(dZ.shape[1]):
                plain[j, i] += dZ[j, i]
                weighted[j, i] += dZ[j, i] * (A_prev[j, i] - centre)
    _row_sums(plain, m, dbeta)
    _row_sums(weighted, m, dgamma)
    for j in range(dgamma.size):
        dgamma[j] *= inv_std[j]


@routine(component=BATCH_NORM)
def combine_gradient_sums(job, l):
    """dgamma and dbeta of the mini-batch, from those of its blocks."""
    dgamma, dbeta = _dgamma(job, l), _dbeta(job, l)
    for j in range(job.plan.layers[l, CHANNELS]):
        weighted, plain = 0.0, 0.0
        for block in range(n_blocks(job.m, job.plan.block_rows)):
            weighted += _block_dgamma(job, l, block)[j]
            plain += _block_dbeta(job, l, block)[j]
        dgamma[j] = weighted
        dbeta[j] = plain
