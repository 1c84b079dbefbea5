"""Layers that change each unit for itself: normalisations and Dropout, there and back."""

import math

from ..codes import (
    A_OFFSET,
    B_OFFSET,
    BATCH_STATISTICS,
    DZ_OFFSET,
    EPSILON,
    GRADIENT,
    N_OUT,
    RATE,
    RUNNING_OFFSET,
    RUNNING_RATE,
    STATISTICS_OFFSET,
    TRAIN,
    W_OFFSET,
)
from .compiling import cuda, inner
from .dropout import dropout_of
from .multiplying import activate_number, derive_number
from .normalisation import (
    backward_of_sample,
    backward_of_unit,
    means_of_row_back,
    moments_of_column,
    moments_of_row,
    normalised,
    sums_of_column_back,
)
from .places import offset_of_activations
from .reducing import column_of, row_of
from .sizes import PIECE, ROWS_AT_ONCE, THREADS


@inner
def _is_measured(job, l):
    """Whether a batch normalisation takes the mini-batch's statistics, as in training, and not what it remembers.

    A single sample has no variance: it is normalised as in evaluation, and nothing of it is remembered.
    """
    return job.mode >= GRADIENT and job.layers[l, BATCH_STATISTICS] != 0 and job.m > 1


@inner
def batch_norm_task(job, l, task, shared):
    """A task: some units of a batch normalisation, by statistics of the mini-batch, or by those it remembers."""
    workspace, parameters, n, kind = job.workspace, job.parameters, job.layers[l, N_OUT], job.workspace.dtype.type
    unit, first = column_of(task)
    j = min(unit, n - 1)
    given, running, statistics = (
        job.layers[l - 1, A_OFFSET],
        job.layers[l, RUNNING_OFFSET] + j,
        job.layers[l, STATISTICS_OFFSET] + j,
    )
    writes, epsilon = first == 0 and unit < n, kind(job.settings[l, EPSILON])
    if _is_measured(job, l):
        mean, squares = moments_of_column(workspace, given, job.m, n, j, first, shared)
        rate = kind(1) / math.sqrt(squares / kind(job.m) + epsilon)
        if writes and job.mode == TRAIN:
            share, variance = kind(job.settings[l, RUNNING_RATE]), squares / kind(job.m - 1)
            parameters[running] += share * (mean - parameters[running])
            parameters[running + n] += share * (variance - parameters[running + n])
    else:
        mean, rate = parameters[running], kind(1) / math.sqrt(parameters[running + n] + epsilon)
    if writes:
        workspace[statistics], workspace[statistics + n] = mean, rate
    if unit < n:
        gamma, beta = parameters[job.layers[l, W_OFFSET] + j], parameters[job.layers[l, B_OFFSET] + j]
        for i in range(first, job.m, ROWS_AT_ONCE):
            x = workspace[given + i * n + j]
            activate_number(job, l, i * n + j, normalised(x, mean, rate, gamma, beta))


@inner
def batch_norm_backward_task(job, l, task, shared):
    """A task: dgamma, dbeta and dZ of the layer before, for some units."""
    workspace, n, kind = job.workspace, job.layers[l, N_OUT], job.workspace.dtype.type
    unit, first = column_of(task)
    j = min(unit, n - 1)
    given, dA, statistics = job.layers[l - 1, A_OFFSET], job.layers[l, DZ_OFFSET], job.layers[l, STATISTICS_OFFSET] + j
    mean, rate = workspace[statistics], workspace[statistics + n]
    weighted, plain = kind(0), kind(0)
    if job.layers[l, BATCH_STATISTICS] != 0:
        weighted, plain = sums_of_column_back(
            workspace, dA, workspace, given, job.m, n, j, first, workspace, statistics, workspace, statistics + n, 0,
            shared,
        )  # fmt: skip
        if first == 0 and unit < n:
            workspace[statistics + 2 * n], workspace[statistics + 3 * n] = weighted, plain
    if unit < n:
        gamma, count = job.parameters[job.layers[l, W_OFFSET] + j], kind(job.m)
        if not _is_measured(job, l):  # what is remembered does not depend on the samples
            weighted, plain = kind(0), kind(0)
        for i in range(first, job.m, ROWS_AT_ONCE):
            da, x = workspace[dA + i * n + j], workspace[given + i * n + j]
            da_prev = backward_of_unit(da, x, mean, rate, gamma, weighted / count, plain / count)
            derive_number(job, l - 1, i * n + j, da_prev)


@inner
def layer_norm_task(job, l, task, shared):
    """A task: some samples of a layer normalisation."""
    workspace, n = job.workspace, job.layers[l, N_OUT]
    i, lanes, lane = row_of(task, n)
    given = job.layers[l - 1, A_OFFSET] + min(i, job.m - 1) * n
    mean, rate = moments_of_row(workspace, given, n, job.settings[l, EPSILON], lanes, lane, shared)
    if i < job.m:
        workspace[job.layers[l, STATISTICS_OFFSET] + i] = mean
        workspace[job.layers[l, STATISTICS_OFFSET] + job.batch_size + i] = rate
        for j in range(lane, n, lanes):
            gamma, beta = job.parameters[job.layers[l, W_OFFSET] + j], job.parameters[job.layers[l, B_OFFSET] + j]
            activate_number(job, l, i * n + j, normalised(workspace[given + j], mean, rate, gamma, beta))


@inner
def layer_norm_backward_task(job, l, task, shared):
    """A task: dZ of the layer before, for some samples."""
    workspace, n = job.workspace, job.layers[l, N_OUT]
    own, lanes, lane = row_of(task, n)
    i = min(own, job.m - 1)
    given, dA = job.layers[l - 1, A_OFFSET] + i * n, job.layers[l, DZ_OFFSET] + i * n
    mean = workspace[job.layers[l, STATISTICS_OFFSET] + i]
    rate = workspace[job.layers[l, STATISTICS_OFFSET] + job.batch_size + i]
    weighted, plain = means_of_row_back(
        workspace, dA, workspace, given, job.parameters, job.layers[l, W_OFFSET], n, mean, rate, lanes, lane, shared
    )
    if own < job.m:
        for j in range(lane, n, lanes):
            gamma, da, x = job.parameters[job.layers[l, W_OFFSET] + j], workspace[dA + j], workspace[given + j]
            derive_number(job, l - 1, i * n + j, backward_of_sample(da, x, mean, rate, gamma, weighted, plain))


@inner
def _dropped(job, l, e, value):
    """A number of Dropout layer l, there or back: the same ones are left out."""
    row = job.step - job.first_step
    return dropout_of(value, e, job.settings[l, RATE], job.keys[row, l, 0], job.keys[row, l, 1])


@inner
def dropout_task(job, l, task):
    """A task: a piece of a Dropout layer's numbers; all of them come through where nothing is trained."""
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_OUT]), THREADS):
        value = job.workspace[offset_of_activations(job, l - 1) + e]
        job.workspace[job.layers[l, A_OFFSET] + e] = _dropped(job, l, e, value) if job.mode >= GRADIENT else value


@inner
def dropout_backward_task(job, l, task):
    """A task: the same of dZ of the layer before."""
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_OUT]), THREADS):
        derive_number(job, l - 1, e, _dropped(job, l, e, job.workspace[job.layers[l, DZ_OFFSET] + e]))
