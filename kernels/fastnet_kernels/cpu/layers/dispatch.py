"""What each kind of layer does: the only place where kinds are told apart.

A new kind is a file beside this one, and a line in each of these functions where it has something to do. A kind that is
not known gives NaN, and never another layer's numbers: compiled code cannot raise; the host refuses it before.
"""

import math

from ...codes import (
    A_OFFSET,
    ADD,
    AVERAGE_POOL,
    B_OFFSET,
    BATCH_NORM,
    CHANNELS,
    CONV,
    DENSE,
    DROPOUT,
    DZ_OFFSET,
    EMBEDDING,
    INPUT,
    KIND,
    LAYER_NORM,
    LDW,
    MAX_POOL,
    N_OUT,
    RECURRENT,
    SKIP,
    TASK_LAYER,
    W_OFFSET,
    WGRAD,
    WGRAD_FUSED,
    WINOGRAD_TILES,
)
from ..codegen.arrays import vector
from ..codegen.compiling import inner
from ..step.workspace import below, numbers_of
from . import (
    average_pool,
    batch_norm,
    conv,
    dense,
    dropout,
    embedding,
    input,
    layer_norm,
    max_pool,
    recurrent,
    residual,
)


@inner
def _fill_with_nan(job, l, column, first_block, last_block):
    """A or dZ (n_l, block_rows) of layer l, by its column, of some blocks: NaN."""
    for block in range(first_block, last_block):
        numbers = numbers_of(job, l, column, block)
        numbers[:] = math.nan


@inner
def forward(job, scratch, l, first_block, last_block):
    """Z of layer l, for some blocks of samples, from A of the layer below, or from the samples."""
    kind = job.plan.layers[l, KIND]
    if kind == DENSE:
        dense.forward(job, scratch, l, first_block, last_block)
    elif kind == BATCH_NORM:
        batch_norm.forward(job, l, first_block, last_block)
    elif kind == LAYER_NORM:
        layer_norm.forward(job, l, first_block, last_block)
    elif kind == DROPOUT:
        dropout.forward(job, l, first_block, last_block)
    elif kind == MAX_POOL:
        max_pool.forward(job, l, first_block, last_block)
    elif kind == CONV:
        conv.forward(job, scratch, l, first_block, last_block)
    elif kind == AVERAGE_POOL:
        average_pool.forward(job, l, first_block, last_block)
    elif kind == ADD:
        residual.forward(job, l, first_block, last_block)
    elif kind == RECURRENT:
        recurrent.forward(job, l, first_block, last_block)
    elif kind == EMBEDDING:
        embedding.forward(job, l, first_block, last_block)
    elif kind == INPUT:
        input.forward(job, first_block, last_block)
    elif kind != SKIP:  # which has the A of the layer below
        _fill_with_nan(job, l, A_OFFSET, first_block, last_block)


@inner
def backward(job, scratch, l, first_block, last_block):
    """dA of the layer below l, for some blocks of samples, from dZ of layer l."""
    kind = job.plan.layers[l, KIND]
    if kind == DENSE:
        dense.backward(job, scratch, l, first_block, last_block)
    elif kind == BATCH_NORM:
        batch_norm.backward(job, l, first_block, last_block)
    elif kind == LAYER_NORM:
        layer_norm.backward(job, l, first_block, last_block)
    elif kind == DROPOUT:
        dropout.backward(job, l, first_block, last_block)
    elif kind == MAX_POOL:
        max_pool.backward(job, l, first_block, last_block)
    elif kind == CONV:
        conv.backward(job, scratch, l, first_block, last_block)
    elif kind == AVERAGE_POOL:
        average_pool.backward(job, l, first_block, last_block)
    elif kind == ADD:
        residual.backward(job, l, first_block, last_block)
    elif kind == SKIP:
        residual.backward_of_skip(job, l, first_block, last_block)
    elif kind == RECURRENT:
        recurrent.backward(job, l, first_block, last_block)
    else:
        _fill_with_nan(job, below(job, l), DZ_OFFSET, first_block, last_block)


@inner
def weight_gradient(job, scratch, alpha, changed, task):
    """changed[...] += alpha * the derivatives of one task's parameters, summed over all samples."""
    l = task[TASK_LAYER]
    kind = job.plan.layers[l, KIND]
    if kind == DENSE:
        dense.weight_gradient(job, scratch, alpha, changed, task)
    elif kind == BATCH_NORM:
        batch_norm.weight_gradient(job, alpha, changed, l)
    elif kind == LAYER_NORM:
        layer_norm.weight_gradient(job, alpha, changed, l)
    elif kind == CONV:
        conv.weight_gradient(job, scratch, alpha, changed, task)
    elif kind == RECURRENT:
        recurrent.weight_gradient(job, scratch, alpha, changed, task)
    elif kind == EMBEDDING:
        embedding.weight_gradient(job, scratch, alpha, changed, task)
    else:
        gradients = vector(changed, job.plan.layers[l, W_OFFSET], job.plan.layers[l, CHANNELS])
        gradients[:] = math.nan


@inner
def finishes(job, l):
    """Whether layer l has `finish_weights`, with which its dW is not stored."""
    return job.plan.layers[l, KIND] == DENSE and dense.finishes(job, l)


@inner
def finish_weights(job, scratch, index):
    """Where layer `finishes`: sum dW of task `index` over all samples, and `finish` it piece by piece; and sum db."""
    dense.finish_weights(job, scratch, index)


@inner
def parameters_of(plan, piece, j):
    """Offset and count of a task's parameters, a run at a time: row j of its W, or, for j = last_row, its b.

    A normalisation has one task, of one row: gamma, and then beta.
    """
    l = piece.layer
    if plan.layers[l, KIND] == DENSE or plan.layers[l, KIND] == CONV:
        return dense.parameters_of(plan, piece, j)
    if plan.layers[l, KIND] == RECURRENT:
        return recurrent.parameters_of(plan, piece, j)
    if plan.layers[l, KIND] == EMBEDDING:
        return embedding.parameters_of(plan, piece, j)
    return plan.layers[l, W_OFFSET if j < piece.last_row else B_OFFSET], plan.layers[l, CHANNELS]


@inner
def row_stride_of(plan, piece):
    """From row to row of a task's parameters, of those that have more than one row."""
    return plan.layers[piece.layer, LDW]


# What some blocks leave in the data phase for the weight gradient.


@inner
def keep_derivatives(job, l, first_block, last_block):
    """What the weight gradient of layer l will need of its dZ: in another order, or of every step."""
    if job.plan.layers[l, KIND] == DENSE:
        dense.keep_derivatives(job, l, first_block, last_block)
    elif job.plan.layers[l, KIND] == RECURRENT:
        recurrent.through_time(job, l, first_block, last_block)


@inner
def keep_inputs(job, l, first_block, last_block):
    """What the weight gradient of layer l will need of A of the layer below in another order."""
    if job.plan.layers[l, KIND] == DENSE:
        dense.keep_inputs(job, l, first_block, last_block)


@inner
def is_fused(plan):
    """Whether the data phase sums the weight gradient, of a single layer, while a block of samples is in cache."""
    return plan.layers[0, KIND] == DENSE and plan.layers[0, WGRAD] == WGRAD_FUSED


@inner
def clear_partial(job, index):
    """Where `is_fused`: a group's sum, before its blocks add to it."""
    dense.clear_partial(job, index)


@inner
def add_to_partial(job, index, block):
    """Where `is_fused`: a block's share of its group's sum."""
    dense.add_to_partial(job, index, block)


@inner
def units_to_check(plan):
    """How many units of the first layer show whether a number of a sample is NaN or infinite: of a product any one."""
    return 1 if plan.layers[0, KIND] == DENSE else plan.layers[0, N_OUT]


@inner
def prepare(job, l):
    """What layer l does before the data phase of a step."""
    kind = job.plan.layers[l, KIND]
    if kind == BATCH_NORM:
        batch_norm.prepare(job, l)
    elif kind == CONV and job.plan.layers[l, WINOGRAD_TILES]:
        conv.prepare(job, l)


# Of layers that must see all samples before they can go on: a share of each block, and then the whole.


@inner
def block_statistics(job, l, first_block, last_block):
    """What some blocks of A_prev contribute to the statistics of layer l."""
    if job.plan.layers[l, KIND] == BATCH_NORM:
        batch_norm.block_statistics(job, l, first_block, last_block)


@inner
def combine_statistics(job, l):
    """The statistics of layer l, from those of all blocks."""
    if job.plan.layers[l, KIND] == BATCH_NORM:
        batch_norm.combine_statistics(job, l)


@inner
def block_gradient_sums(job, l, first_block, last_block):
    """What some blocks contribute to the sums that layer l needs to go backward."""
    if job.plan.layers[l, KIND] == BATCH_NORM:
        batch_norm.block_gradient_sums(job, l, first_block, last_block)


@inner
def combine_gradient_sums(job, l):
    """The sums that layer l needs to go backward, from those of all blocks."""
    if job.plan.layers[l, KIND] == BATCH_NORM:
        batch_norm.combine_gradient_sums(job, l)
