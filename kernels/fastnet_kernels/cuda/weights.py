"""What changes the parameters: gradients of b, gamma and beta, penalties, clipping, and the optimizer's update."""

import math

import numpy as np

from ..codes import (
    A_OFFSET,
    ADAM,
    ADAMW,
    B_OFFSET,
    BATCH_NORM,
    CLIP_NORM,
    CLIP_VALUE,
    DZ_OFFSET,
    FIRST_DECAY,
    FIRST_PIECE,
    KIND,
    L1,
    L2,
    LAYER_NORM,
    LEARNING_RATE,
    MOMENTUM,
    N_OUT,
    N_PIECES,
    NESTEROV,
    OF_MEAN,
    OF_MEAN_SQUARE,
    OPTIMIZER,
    OPTIMIZER_EPSILON,
    PENALTIES,
    PLAIN,
    RMSPROP,
    SECOND_DECAY,
    STATISTICS_OFFSET,
    SUMS_OF_SQUARES,
    TRAIN,
    W_OFFSET,
    WEIGHT_DECAY,
)
from .compiling import cuda, inner
from .dense import sum_of_column
from .normalisation import sums_of_column_back
from .reducing import column_of, sum_over_block
from .sizes import PIECE, THREADS
from .updates import adam_of, rmsprop_of, sgd_momentum_of, sgd_of


@inner
def _update(job, offset, g):
    """The optimizer changes one parameter."""
    settings, row = job.optimizer, job.step - job.first_step
    kind, decay, epsilon = settings[OPTIMIZER], settings[WEIGHT_DECAY], settings[OPTIMIZER_EPSILON]
    first_decay, second_decay = settings[FIRST_DECAY], settings[SECOND_DECAY]
    rate, p = job.rates[row, LEARNING_RATE], job.parameters[offset]
    if kind == PLAIN:
        job.parameters[offset] = sgd_of(p, g, rate)
    elif kind == MOMENTUM:
        job.parameters[offset], job.first_state[offset] = sgd_momentum_of(
            p, g, job.first_state[offset], rate, first_decay, decay, settings[NESTEROV] != 0
        )
    elif kind == RMSPROP:
        job.parameters[offset], job.first_state[offset], job.second_state[offset] = rmsprop_of(
            p, g, job.first_state[offset], job.second_state[offset], rate, second_decay, first_decay, epsilon, decay
        )
    elif kind in (ADAM, ADAMW):
        job.parameters[offset], job.first_state[offset], job.second_state[offset] = adam_of(
            p, g, job.first_state[offset], job.second_state[offset], job.rates[row, OF_MEAN],
            job.rates[row, OF_MEAN_SQUARE], rate, first_decay, second_decay, epsilon, decay, kind == ADAMW,
        )  # fmt: skip
    else:
        job.parameters[offset] = math.nan


@inner
def change(job, l, offset, g, is_penalised):
    """A parameter's gradient: with its penalty's and cut, it is stored, and the parameter changes if that is all."""
    kind = type(g)
    if is_penalised:
        l1, w = kind(job.settings[l, L1]), job.parameters[offset]
        g += kind(job.settings[l, L2]) * w + (l1 if w > 0 else -l1 if w < 0 else kind(0))
    if job.mode == TRAIN:
        most = kind(job.optimizer[CLIP_VALUE])
        g = most if g > most else -most if g < -most else g
    job.gradients[offset] = g
    if job.mode == TRAIN and not job.optimizer[CLIP_NORM] < np.inf:
        _update(job, offset, g)


@inner
def change_bias(job, l, task, shared):
    """A task: db of some units."""
    n, (j, first) = job.layers[l, N_OUT], column_of(task)
    total = sum_of_column(job.workspace, job.layers[l, DZ_OFFSET], job.m, n, j, first, shared)
    if j < n and first == 0:
        change(job, l, job.layers[l, B_OFFSET] + j, total, False)


@inner
def change_gain(job, l, task, shared):
    """A task: dgamma and dbeta of some units. A batch normalisation knows them from its way back."""
    n, (unit, first) = job.layers[l, N_OUT], column_of(task)
    j, statistics = min(unit, n - 1), job.layers[l, STATISTICS_OFFSET]
    if job.layers[l, KIND] == BATCH_NORM:
        weighted, plain = job.workspace[statistics + 2 * n + j], job.workspace[statistics + 3 * n + j]
    elif job.layers[l, KIND] == LAYER_NORM:
        weighted, plain = sums_of_column_back(
            job.workspace, job.layers[l, DZ_OFFSET], job.workspace, job.layers[l - 1, A_OFFSET], job.m, n, j, first,
            job.workspace, statistics, job.workspace, statistics + job.batch_size, 1, shared,
        )  # fmt: skip
    else:
        weighted = plain = job.workspace.dtype.type(math.nan)
    if unit < n and first == 0:
        change(job, l, job.layers[l, W_OFFSET] + j, weighted, False)
        change(job, l, job.layers[l, B_OFFSET] + j, plain, False)


@inner
def count_of_parameters(job, l):
    """Of W and b, or gamma and beta, which lie side by side; what W's rows are filled up with is 0, and counts."""
    return job.layers[l, B_OFFSET] + job.layers[l, N_OUT] - job.layers[l, W_OFFSET]


@inner
def sum_penalties(job, l, task, shared):
    """A task: what a piece of W adds to the cost."""
    kind, total = job.workspace.dtype.type, job.workspace.dtype.type(0)
    l1, l2 = kind(job.settings[l, L1]), kind(0.5) * kind(job.settings[l, L2])
    last = min((task + 1) * PIECE, job.layers[l, B_OFFSET] - job.layers[l, W_OFFSET])
    for e in range(task * PIECE + cuda.threadIdx.x, last, THREADS):
        w = job.parameters[job.layers[l, W_OFFSET] + e]
        total += l1 * abs(w) + l2 * w * w
    total = sum_over_block(total, shared)
    if cuda.threadIdx.x == 0:
        job.workspace[job.whole[PENALTIES] + job.layers[l, FIRST_PIECE] + task] = total


@inner
def sum_squares(job, l, task, shared):
    """A task: a piece's share of the gradient's squared norm."""
    total = job.workspace.dtype.type(0)
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, count_of_parameters(job, l)), THREADS):
        g = job.gradients[job.layers[l, W_OFFSET] + e]
        total += g * g
    total = sum_over_block(total, shared)
    if cuda.threadIdx.x == 0:
        job.workspace[job.whole[SUMS_OF_SQUARES] + job.layers[l, FIRST_PIECE] + task] = total


@inner
def sum_of_pieces(job, offset, shared):
    """The sum of an entry for each piece of parameters."""
    total = job.workspace.dtype.type(0)
    for e in range(cuda.threadIdx.x, job.whole[N_PIECES], THREADS):
        total += job.workspace[offset + e]
    return sum_over_block(total, shared)


@inner
def update_piece(job, l, task, shared):
    """A task: a piece's parameters change by gradients that are cut to a norm of at most the limit."""
    kind = job.workspace.dtype.type
    norm = math.sqrt(sum_of_pieces(job, job.whole[SUMS_OF_SQUARES], shared))
    factor = kind(job.optimizer[CLIP_NORM]) / (norm + kind(1e-6))
    # NaN stays NaN; and a norm that is infinite would make a step of nothing, which nobody would see.
    factor = kind(math.nan) if norm == math.inf else kind(1) if factor > 1 else factor
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, count_of_parameters(job, l)), THREADS):
        offset = job.layers[l, W_OFFSET] + e
        job.gradients[offset] *= factor
        _update(job, offset, job.gradients[offset])
