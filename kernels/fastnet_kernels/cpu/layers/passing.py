"""Layers that change each unit for itself: normalisations and Dropout, there and back.

A batch normalisation measures block by block, and between two phases what all blocks have measured is put together.
"""

import math

from ...codes import (
    A_OFFSET,
    B_OFFSET,
    BATCH_NORM,
    BATCH_STATISTICS,
    DROPOUT,
    DZ_OFFSET,
    EPSILON,
    GRADIENT,
    KIND,
    LAYER_NORM,
    N_OUT,
    PASSING,
    RATE,
    RUNNING_OFFSET,
    RUNNING_RATE,
    STATISTICS_OFFSET,
    TRAIN,
    W_OFFSET,
)
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..partition import n_blocks
from ..program.workspace import count_of, matrix_of, numbers_of, offset_of
from .batch_norm import back_through_rows, moments_of_rows, normalise_rows, sums_of_rows
from .dropout import drop, key_of
from .layer_norm import add_sums_of_columns, back_through_columns, moments_of_columns, normalise_columns


@inner
def _statistic_of(job, l, number):
    """One of the vectors, an entry a unit, that a batch normalisation keeps: mean, rate, dgamma and dbeta.

    There follow two for each block: mean and squares forward, shares of dgamma and dbeta back.
    """
    n = job.plan.layers[l, N_OUT]
    return vector(job.workspace, job.plan.layers[l, STATISTICS_OFFSET] + number * n, n)


@inner
def _statistic_of_samples(job, l, block, number):
    """One of the vectors, an entry a sample, that a layer normalisation keeps: mean, rate and two for the way back."""
    size = job.plan.block_rows
    return vector(job.workspace, job.plan.layers[l, STATISTICS_OFFSET] + (4 * block + number) * size, size)


@inner
def _uses_batch_statistics(job, l):
    """Whether a batch normalisation takes the mini-batch's statistics, as in training, and not what it remembers.

    A single sample has no variance: it is normalised as in evaluation, and nothing of it is remembered.
    """
    return job.mode >= GRADIENT and job.plan.layers[l, BATCH_STATISTICS] != 0 and job.m > 1


@routine
def _drop(job, l, block, source, source_column, target, target_column):
    """Dropout layer l of a block, there (of A) or back (of dZ): the same numbers are left out."""
    plan, size = job.plan, job.plan.block_rows
    n, key = plan.layers[l, N_OUT], key_of(job.dropout_seed, job.count, l)
    for j in range(n):
        given = vector(job.workspace, offset_of(plan, source, source_column, block) + j * size, size)
        result = vector(job.workspace, offset_of(plan, target, target_column, block) + j * size, size)
        drop(given, result, block * size * n + j, n, plan.settings[l, RATE], key)


@routine(component=PASSING)
def passing_forward(job, l, block):
    """Z of a layer that changes each unit for itself: a normalisation, or Dropout, which only trains."""
    plan, parameters = job.plan, job.parameters
    n, kind = plan.layers[l, N_OUT], plan.layers[l, KIND]
    if kind == DROPOUT:
        given, result = numbers_of(job, l - 1, A_OFFSET, block), numbers_of(job, l, A_OFFSET, block)
        if job.mode >= GRADIENT:
            _drop(job, l, block, l - 1, A_OFFSET, l, A_OFFSET)
        else:
            for i in range(result.size):
                result[i] = given[i]
        return
    given, result = matrix_of(job, l - 1, A_OFFSET, block), matrix_of(job, l, A_OFFSET, block)
    gamma, beta = vector(parameters, plan.layers[l, W_OFFSET], n), vector(parameters, plan.layers[l, B_OFFSET], n)
    if kind == BATCH_NORM:
        normalise_rows(given, _statistic_of(job, l, 0), _statistic_of(job, l, 1), gamma, beta, result)
    elif kind == LAYER_NORM:
        mean, rate = _statistic_of_samples(job, l, block, 0), _statistic_of_samples(job, l, block, 1)
        moments_of_columns(given, mean, rate, plan.settings[l, EPSILON])
        normalise_columns(given, mean, rate, gamma, beta, result)
    else:
        result[:] = math.nan


@routine(component=PASSING)
def passing_backward(job, l, block):
    """The same of a layer that changes each unit for itself."""
    plan = job.plan
    if plan.layers[l, KIND] == DROPOUT:
        _drop(job, l, block, l, DZ_OFFSET, l - 1, DZ_OFFSET)
        return
    n, count = plan.layers[l, N_OUT], count_of(job, block)
    dA, A_prev, dA_prev = (
        matrix_of(job, l, DZ_OFFSET, block), matrix_of(job, l - 1, A_OFFSET, block), matrix_of(job, l - 1, DZ_OFFSET,
        block)
    )  # fmt: skip
    gamma = vector(job.parameters, plan.layers[l, W_OFFSET], n)
    if plan.layers[l, KIND] == BATCH_NORM:
        share = (
            1 / job.m if _uses_batch_statistics(job, l) else 0.0
        )  # what is remembered does not depend on the samples
        back_through_rows(
            dA, A_prev, share, _statistic_of(job, l, 0), _statistic_of(job, l, 1), gamma, _statistic_of(job, l, 2),
            _statistic_of(job, l, 3), dA_prev,
        )  # fmt: skip
        for j in range(n):  # what stands for no sample has no part in the sums that flow back to all
            for i in range(count, plan.block_rows):
                dA_prev[j, i] = 0
    elif plan.layers[l, KIND] == LAYER_NORM:
        back_through_columns(
            dA, A_prev, _statistic_of_samples(job, l, block, 0), _statistic_of_samples(job, l, block, 1), gamma,
            _statistic_of_samples(job, l, block, 2), _statistic_of_samples(job, l, block, 3), dA_prev,
        )  # fmt: skip
    else:
        dA_prev[:] = math.nan


@routine(component=PASSING)
def batch_statistics(job, l, first_block, last_block):
    """Mean and squares of some blocks, for the batch normalisation that comes next."""
    for block in range(first_block, last_block):
        mean, squares = _statistic_of(job, l, 4 + 2 * block), _statistic_of(job, l, 5 + 2 * block)
        moments_of_rows(matrix_of(job, l - 1, A_OFFSET, block), count_of(job, block), mean, squares)


@routine(component=PASSING)
def gradient_sums(job, l, first_block, last_block):
    """Shares of dgamma and dbeta of some blocks, for the batch normalisation that phase 1 has come back to."""
    for block in range(first_block, last_block):
        sums_of_rows(
            matrix_of(job, l, DZ_OFFSET, block), matrix_of(job, l - 1, A_OFFSET, block), count_of(job, block),
            _statistic_of(job, l, 0), _statistic_of(job, l, 1), _statistic_of(job, l, 4 + 2 * block),
            _statistic_of(job, l, 5 + 2 * block),
        )  # fmt: skip


@routine(component=PASSING)
def use_running_statistics(job):
    """Before phase 1: batch normalisations that do not measure take mean and variance as they remember them."""
    plan, parameters = job.plan, job.parameters
    for l in range(plan.layers.shape[0]):
        if plan.layers[l, KIND] == BATCH_NORM and not _uses_batch_statistics(job, l):
            n, running = plan.layers[l, N_OUT], plan.layers[l, RUNNING_OFFSET]
            mean, rate = _statistic_of(job, l, 0), _statistic_of(job, l, 1)
            dgamma, dbeta = _statistic_of(job, l, 2), _statistic_of(job, l, 3)
            for j in range(n):
                mean[j] = parameters[running + j]
                rate[j] = 1 / math.sqrt(parameters[running + n + j] + plan.settings[l, EPSILON])
                dgamma[j] = 0
                dbeta[j] = 0


@routine(component=PASSING)
def combine_batch_statistics(job, l):
    """Mean and rate over all blocks; in training, what is remembered moves towards them (the variance unbiased)."""
    if not _uses_batch_statistics(job, l):
        return
    plan, parameters = job.plan, job.parameters
    n, running, share = plan.layers[l, N_OUT], plan.layers[l, RUNNING_OFFSET], plan.settings[l, RUNNING_RATE]
    mean, rate = _statistic_of(job, l, 0), _statistic_of(job, l, 1)
    blocks = n_blocks(job.m, plan.block_rows)
    for j in range(n):
        total = 0.0
        for block in range(blocks):
            total += count_of(job, block) * _statistic_of(job, l, 4 + 2 * block)[j]
        centre, squares = total / job.m, 0.0
        for block in range(blocks):
            apart = _statistic_of(job, l, 4 + 2 * block)[j] - centre
            squares += _statistic_of(job, l, 5 + 2 * block)[j] + count_of(job, block) * apart * apart
        mean[j] = centre
        rate[j] = 1 / math.sqrt(squares / job.m + plan.settings[l, EPSILON])
        if job.mode == TRAIN:
            parameters[running + j] += share * (centre - parameters[running + j])
            parameters[running + n + j] += share * (squares / (job.m - 1) - parameters[running + n + j])


@routine(component=PASSING)
def combine_gradient_sums(job, l):
    """dgamma and dbeta over all blocks."""
    dgamma, dbeta = _statistic_of(job, l, 2), _statistic_of(job, l, 3)
    for j in range(job.plan.layers[l, N_OUT]):
        weighted, plain = 0.0, 0.0
        for block in range(n_blocks(job.m, job.plan.block_rows)):
            weighted += _statistic_of(job, l, 4 + 2 * block)[j]
            plain += _statistic_of(job, l, 5 + 2 * block)[j]
        dgamma[j] = weighted
        dbeta[j] = plain


@routine(component=PASSING)
def normalisation_weight_gradient(job, alpha, changed, l):
    """changed[gamma, beta] += alpha * their derivatives."""
    plan = job.plan
    n = plan.layers[l, N_OUT]
    gamma, beta = vector(changed, plan.layers[l, W_OFFSET], n), vector(changed, plan.layers[l, B_OFFSET], n)
    if plan.layers[l, KIND] == BATCH_NORM:
        dgamma, dbeta = _statistic_of(job, l, 2), _statistic_of(job, l, 3)
        for j in range(n):
            gamma[j] += alpha * dgamma[j]
            beta[j] += alpha * dbeta[j]
    elif plan.layers[l, KIND] == LAYER_NORM:
        for block in range(n_blocks(job.m, plan.block_rows)):
            add_sums_of_columns(
                matrix_of(job, l, DZ_OFFSET, block), matrix_of(job, l - 1, A_OFFSET, block), count_of(job, block),
                _statistic_of_samples(job, l, block, 0), _statistic_of_samples(job, l, block, 1), alpha, gamma, beta,
            )  # fmt: skip
    else:
        gamma[:] = math.nan
        beta[:] = math.nan
