"""What changes the parameters: gradients of b, penalties, clipping, and the optimizer's update."""

import math

import numpy as np

from ...codes import (
    B_OFFSET,
    CHANNELS,
    CLIP_NORM,
    CLIP_VALUE,
    DZ_OFFSET,
    FIRST_PIECE,
    L1,
    L2,
    N_PIECES,
    PENALTIES,
    PENALTY_FACTOR,
    SUMS_OF_SQUARES,
    TRAIN,
    W_OFFSET,
)
from ..codegen.compiling import cuda, inner
from ..optimizers import update_parameter
from ..target import COLUMNS_AT_ONCE, PIECE, THREADS
from .partition import n_blocks
from .reducing import column_of, sum_of_column, sum_over_block
from .workspace import rows_of


@inner
def change(job, l, offset, g, is_penalised):
    """Store a parameter's gradient, with that of its penalty and clipped to CLIP_VALUE, and change the parameter.

    Where gradients are clipped to a norm as well, `update_piece` changes it.
    """
    kind = type(g)
    if is_penalised:
        factor, w = job.optimizer[PENALTY_FACTOR], job.parameters[offset]
        l1 = kind(factor * job.settings[l, L1])
        g += kind(factor * job.settings[l, L2]) * w + (l1 if w > 0 else -l1 if w < 0 else kind(0))
    if job.mode == TRAIN:
        most = kind(job.optimizer[CLIP_VALUE])
        g = most if g > most else -most if g < -most else g
    job.gradients[offset] = g
    if job.mode == TRAIN and not job.optimizer[CLIP_NORM] < np.inf:
        update_parameter(job, offset, g)


@inner
def sum_bias(job, l, slices, partial, task, shared):
    """A task: the gradient of b of some units or filters, from a slice of the rows of dZ."""
    rows, n = rows_of(job, l), job.layers[l, CHANNELS]
    across = n_blocks(n, COLUMNS_AT_ONCE)
    slice_, (j, first) = task // across, column_of(task % across)
    a_slice = n_blocks(rows, slices)
    start = min(slice_ * a_slice, rows)
    count, offset = min(a_slice, rows - start), job.layers[l, DZ_OFFSET] + start * n
    total = sum_of_column(job.workspace, offset, count, n, j, first, shared)
    if j < n and first == 0:
        job.workspace[partial + slice_ * n + j] = total


@inner
def change_bias(job, l, slices, partial, task, shared):
    """A task: b of some units or filters, changed by its gradient, which may be there in slices."""
    n, (j, first) = job.layers[l, CHANNELS], column_of(task)
    rows, offset = (slices, partial) if slices > 1 else (rows_of(job, l), job.layers[l, DZ_OFFSET])
    total = sum_of_column(job.workspace, offset, rows, n, j, first, shared)
    if j < n and first == 0:
        change(job, l, job.layers[l, B_OFFSET] + j, total, False)


@inner
def count_of_parameters(job, l):
    """Parameters of W and b, or gamma and beta, which lie side by side; the padding of W's rows is 0, and counts."""
    return job.layers[l, B_OFFSET] + job.layers[l, CHANNELS] - job.layers[l, W_OFFSET]


@inner
def sum_penalties(job, l, task, shared):
    """A task: what a piece of W adds to the cost."""
    kind, total = job.workspace.dtype.type, job.workspace.dtype.type(0)
    factor = job.optimizer[PENALTY_FACTOR]
    l1, l2 = kind(factor * job.settings[l, L1]), kind(0.5) * kind(factor * job.settings[l, L2])
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
    """A task: a piece's parameters change by gradients that are clipped to a norm of CLIP_NORM."""
    kind = job.workspace.dtype.type
    norm = math.sqrt(sum_of_pieces(job, job.whole[SUMS_OF_SQUARES], shared))
    factor = kind(job.optimizer[CLIP_NORM]) / (norm + kind(1e-6))
    # NaN stays NaN; and a norm that is infinite would make a step of nothing, which nobody would see.
    factor = kind(math.nan) if norm == math.inf else kind(1) if factor > 1 else factor
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, count_of_parameters(job, l)), THREADS):
        offset = job.layers[l, W_OFFSET] + e
        job.gradients[offset] *= factor
        update_parameter(job, offset, job.gradients[offset])
