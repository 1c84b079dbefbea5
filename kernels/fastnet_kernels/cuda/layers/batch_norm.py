"""Batch normalisation: each unit by its mean and variance over the mini-batch. The formulas are those of `reference`.

A block has some units, and all samples of these. Of images a unit is a channel, and each pixel a sample; where there
are many, blocks have slices of them, and the sums of slices are made before.
"""

import math

from ...codes import (
    A_OFFSET,
    B_OFFSET,
    BATCH_STATISTICS,
    CHANNELS,
    DZ_OFFSET,
    EPSILON,
    FORWARD,
    GRADIENT,
    RUNNING_OFFSET,
    RUNNING_RATE,
    STATISTICS_OFFSET,
    TRAIN,
    W_OFFSET,
)
from ..codegen.arrays import flat
from ..codegen.compiling import cuda, formula, inner, kernel
from ..codegen.launching import launch
from ..program.partition import n_blocks
from ..program.reducing import column_of, sum_of_column, sum_over_column
from ..program.workspace import below, rows_of
from ..target import COLUMNS_AT_ONCE, ROWS_AT_ONCE, THREADS
from .activation import activate_number, derive_number
from .normalisation import normalised, sums_of_column_back


@formula
def backward_of_unit(da, x, mean, inv_std, gamma, weighted, plain):
    """One number of dA_prev, from the means over samples of dA X (`weighted`) and of dA (`plain`)."""
    return gamma * inv_std * (da - plain - (x - mean) * inv_std * weighted)


@inner
def moments_of_column(A, a, m, n, j, first, shared):
    """Mean of column j of an m x n matrix from offset a on, and the sum of squares about it, to all its threads."""
    total = A.dtype.type(0)
    for i in range(first, m, ROWS_AT_ONCE):
        total += A[a + i * n + j]
    mean = sum_over_column(total, shared) / A.dtype.type(max(m, 1))
    squares = A.dtype.type(0)
    for i in range(first, m, ROWS_AT_ONCE):
        squares += (A[a + i * n + j] - mean) * (A[a + i * n + j] - mean)
    return mean, sum_over_column(squares, shared)


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


@inner
def _uses_batch_statistics(job, l):
    """Whether a batch normalisation takes the mini-batch's statistics, as in training, and not the running ones.

    A single number has no variance: it is normalised as in evaluation, and the running statistics stay as they are.
    """
    return job.mode >= GRADIENT and job.layers[l, BATCH_STATISTICS] != 0 and rows_of(job, l) > 1


@inner
def _slice_of(job, l, slices, task):
    """The column that a thread has a share of in a task, its first row there, and which rows the task's slice has."""
    rows, across = rows_of(job, l), n_blocks(job.layers[l, CHANNELS], COLUMNS_AT_ONCE)
    a_slice = n_blocks(rows, slices)
    start = min(task // across * a_slice, rows)
    unit, first = column_of(task % across)
    return unit, first, start, min(start + a_slice, rows)


@inner
def batch_norm_sums_task(job, role, l, slices, partial, task, shared):
    """A task: what `batch_norm_task`, or going back `batch_norm_backward_task`, needs of a slice of the rows."""
    workspace, n = job.workspace, job.layers[l, CHANNELS]
    unit, first, start, stop = _slice_of(job, l, slices, task)
    j, given = min(unit, n - 1), job.layers[below(job, l), A_OFFSET] + start * n
    if role == FORWARD:
        a, b = moments_of_column(workspace, given, stop - start, n, j, first, shared)
    else:
        statistics, dA = job.layers[l, STATISTICS_OFFSET] + j, job.layers[l, DZ_OFFSET] + start * n
        a, b = sums_of_column_back(
            workspace, dA, workspace, given, stop - start, n, j, first, workspace, statistics, workspace,
            statistics + n, 0, shared,
        )  # fmt: skip
    if first == 0 and unit < n:
        place = partial + 2 * (task // n_blocks(n, COLUMNS_AT_ONCE)) * n + j
        workspace[place], workspace[place + n] = a, b


@inner
def _moments_of_slices(job, l, slices, partial, j, first, shared):
    """As `moments_of_column`, from the moments of slices (Chan, Golub and LeVeque, 1979)."""
    workspace, kind, n, rows = job.workspace, job.workspace.dtype.type, job.layers[l, CHANNELS], rows_of(job, l)
    a_slice, total, squares = n_blocks(rows, slices), kind(0), kind(0)
    for s in range(first, slices, ROWS_AT_ONCE):
        count = kind(min(a_slice, max(rows - s * a_slice, 0)))
        total += count * workspace[partial + 2 * s * n + j]
    mean = sum_over_column(total, shared) / kind(rows)
    for s in range(first, slices, ROWS_AT_ONCE):
        count = kind(min(a_slice, max(rows - s * a_slice, 0)))
        distance = workspace[partial + 2 * s * n + j] - mean
        squares += workspace[partial + (2 * s + 1) * n + j] + count * distance * distance
    return mean, sum_over_column(squares, shared)


@inner
def batch_norm_task(job, l, slices, partial, task, shared):
    """A task: A of some units or channels, in all rows or a slice, by the mini-batch's statistics or running ones."""
    workspace, parameters, kind = job.workspace, job.parameters, job.workspace.dtype.type
    m, n = rows_of(job, l), job.layers[l, CHANNELS]
    unit, first, start, stop = _slice_of(job, l, slices, task)
    j = min(unit, n - 1)
    given, running = job.layers[below(job, l), A_OFFSET], job.layers[l, RUNNING_OFFSET] + j
    statistics = job.layers[l, STATISTICS_OFFSET] + j
    writes, epsilon = first == 0 and unit < n and start == 0, kind(job.settings[l, EPSILON])
    if _uses_batch_statistics(job, l):
        if slices > 1:
            mean, squares = _moments_of_slices(job, l, slices, partial, j, first, shared)
        else:
            mean, squares = moments_of_column(workspace, given, m, n, j, first, shared)
        inv_std = kind(1) / math.sqrt(squares / kind(m) + epsilon)
        if writes and job.mode == TRAIN:
            share, variance = kind(job.settings[l, RUNNING_RATE]), squares / kind(m - 1)
            parameters[running] += share * (mean - parameters[running])
            parameters[running + n] += share * (variance - parameters[running + n])
    else:
        mean, inv_std = parameters[running], kind(1) / math.sqrt(parameters[running + n] + epsilon)
    if writes:
        workspace[statistics], workspace[statistics + n] = mean, inv_std
    if unit < n:
        gamma, beta = parameters[job.layers[l, W_OFFSET] + j], parameters[job.layers[l, B_OFFSET] + j]
        for i in range(start + first, stop, ROWS_AT_ONCE):
            x = workspace[given + i * n + j]
            activate_number(job, l, i * n + j, normalised(x, mean, inv_std, gamma, beta))


@inner
def batch_norm_backward_task(job, l, slices, partial, task, shared):
    """A task: dgamma, dbeta and dZ of the layer below, for some units or channels, in all rows or a slice."""
    workspace, kind = job.workspace, job.workspace.dtype.type
    m, n = rows_of(job, l), job.layers[l, CHANNELS]
    unit, first, start, stop = _slice_of(job, l, slices, task)
    j = min(unit, n - 1)
    given, dA = job.layers[below(job, l), A_OFFSET], job.layers[l, DZ_OFFSET]
    statistics = job.layers[l, STATISTICS_OFFSET] + j
    mean, inv_std = workspace[statistics], workspace[statistics + n]
    weighted, plain = kind(0), kind(0)
    if job.layers[l, BATCH_STATISTICS] != 0:
        if slices > 1:
            weighted = sum_of_column(workspace, partial, slices, 2 * n, j, first, shared)
            plain = sum_of_column(workspace, partial, slices, 2 * n, n + j, first, shared)
        else:
            weighted, plain = sums_of_column_back(
                workspace, dA, workspace, given, m, n, j, first, workspace, statistics, workspace, statistics + n, 0,
                shared,
            )  # fmt: skip
        if first == 0 and unit < n and start == 0:
            workspace[statistics + 2 * n], workspace[statistics + 3 * n] = weighted, plain
    if unit < n:
        gamma, count = job.parameters[job.layers[l, W_OFFSET] + j], kind(m)
        if not _uses_batch_statistics(job, l):  # running statistics do not depend on the samples
            weighted, plain = kind(0), kind(0)
        for i in range(start + first, stop, ROWS_AT_ONCE):
            da, x = workspace[dA + i * n + j], workspace[given + i * n + j]
            da_prev = backward_of_unit(da, x, mean, inv_std, gamma, weighted / count, plain / count)
            derive_number(job, below(job, l), i * n + j, da_prev)


@inner
def batch_norm_gain(job, statistics, n, j):
    """dgamma and dbeta of unit or channel j of n, which the backward task has left behind the statistics."""
    return job.workspace[statistics + 2 * n + j], job.workspace[statistics + 3 * n + j]


def batch_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """A = gamma X + beta, with X = (A_prev - mean) inv_std by mean and variance of each unit.

    A and A_prev are (m, n), gamma and beta (n,); mean and inv_std (n,) are written.
    """
    m, n = A.shape
    launch(_batch_norm, -(-n // COLUMNS_AT_ONCE), m, n, float(epsilon), *flat(A_prev, gamma, beta, mean, inv_std, A))


def batch_norm_backward(dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev):
    """dA_prev = gamma inv_std (dA - mean of dA - X mean of dA X), since mean and inv_std depend on A_prev as well.

    The means are over samples; dgamma and dbeta (n,) are written.
    """
    m, n = dA.shape
    arrays = flat(dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev)
    launch(_batch_norm_backward, -(-n // COLUMNS_AT_ONCE), m, n, *arrays)
