"""Where the forward pass ends: outputs, or losses, scores and the last layer's dZ."""

import numpy as np

from ...codes import (
    A_OFFSET,
    ACTIVATION,
    CROSS_ENTROPY,
    DZ_OFFSET,
    HINGE,
    LOG_LOSS,
    N_OUT,
    RARE_LOSSES,
    SOFTMAX,
    SQUARED_ERROR,
)
from ..codegen.arrays import matrix, vector
from ..codegen.compiling import inner, routine
from ..layers.activation import activate_layer, derive_layer
from ..layers.softmax import softmax_columns, softmax_of_one
from ..loss import cross_entropy_columns, cross_entropy_of_one, log_loss_columns, robust_columns, squared_error_columns
from ..step.workspace import count_of, matrix_of, numbers_of, offset_of, strides_of


@routine
def _count_hits(loss, Z, Y, top, scores):
    """scores[i] = how many predictions from the logits Z[:, i] are right: units, or the one class. `top` is for use."""
    for i in range(scores.size):
        scores[i] = 0
    if loss == CROSS_ENTROPY:
        for i in range(scores.size):
            top[i] = Z[0, i]
        for j in range(1, Z.shape[0]):
            z, number = Z[j], scores.dtype.type(j)
            for i in range(scores.size):
                best = scores[i]
                scores[i] = number if z[i] > top[i] else best
            for i in range(scores.size):
                top[i] = z[i] if z[i] > top[i] else top[i]
        for i in range(scores.size):
            scores[i] = 1 if scores[i] == Y[0, i] else 0
    else:
        one, half = scores.dtype.type(1), scores.dtype.type(0.5)
        for j in range(Z.shape[0]):
            for i in range(scores.size):
                scores[i] += one if (Z[j, i] > 0) == (Y[j, i] > half) else one * 0


@routine
def _sum_squares(A, Y, scores):
    """scores[i] = sum_j (A[j, i] - Y[j, i])^2, for A and Y (n, m), scores (m,)."""
    for i in range(scores.size):
        scores[i] = 0
    for j in range(A.shape[0]):
        for i in range(scores.size):
            scores[i] += (A[j, i] - Y[j, i]) * (A[j, i] - Y[j, i])


@routine(component=RARE_LOSSES)
def _smooth(Y, smoothing):
    """Y = (1 - smoothing) Y + smoothing / 2, in place."""
    keep, share = Y.dtype.type(1 - smoothing), Y.dtype.type(smoothing / 2)
    for j in range(Y.shape[0]):
        y = Y[j]
        for i in range(y.size):
            y[i] = keep * y[i] + share


@routine(component=RARE_LOSSES)
def _weigh(weights, offsets, L, dZ):
    """Each sample's loss and derivatives times its weight, in place."""
    for i in range(L.size):
        L[i] *= weights[offsets[i]]
    for j in range(dZ.shape[0]):
        dz = dZ[j]
        for i in range(dz.size):
            dz[i] *= weights[offsets[i]]


@inner
def _gather_targets(targets, offsets, Y):
    """Y (n, m) from the rows `offsets` (m,) of the targets."""
    for j in range(Y.shape[0]):
        y = Y[j]
        for i in range(y.size):
            y[i] = targets[offsets[i], j]


@inner
def _cost_of_step(job, block, step, L, scores):
    """Losses and scores of a block, at one step of a sequence or of samples that have no steps, and dZ there."""
    plan, workspace, setting, size = job.plan, job.workspace, job.plan.loss_setting, job.plan.block_rows
    last_layer = plan.layers.shape[0] - 1
    n, n_targets = plan.layers[last_layer, N_OUT] // plan.steps, plan.n_targets // plan.steps
    before = step * n * size  # numbers of the steps before
    Z = matrix(workspace, offset_of(plan, last_layer, A_OFFSET, block) + before, n, size)
    dZ = matrix(workspace, offset_of(plan, last_layer, DZ_OFFSET, block) + before, n, size)
    Y = matrix(workspace, plan.Y + (block * plan.steps + step) * size * n_targets, n_targets, size)
    weight = Z.dtype.type(1) / Z.dtype.type(job.m * plan.steps)
    if plan.loss == LOG_LOSS:
        _count_hits(plan.loss, Z, Y, L, scores)
        log_loss_columns(Z, Y, L, dZ, weight)
    elif plan.loss == CROSS_ENTROPY:
        _count_hits(plan.loss, Z, Y, L, scores)
        if size == 1:
            z, dz = numbers_of(job, last_layer, A_OFFSET, block), numbers_of(job, last_layer, DZ_OFFSET, block)
            cross_entropy_of_one(z, Y[0, 0], setting, L, dz, weight)
        else:
            cross_entropy_columns(Z, Y, setting, L, dZ, weight)
    else:
        if plan.loss == HINGE:
            _count_hits(plan.loss, Z, Y, L, scores)
        else:
            _sum_squares(Z, Y, scores)
        if plan.loss == SQUARED_ERROR:
            squared_error_columns(Z, Y, L, dZ, weight)
        else:
            robust_columns(plan.loss, setting, Z, Y, L, dZ, weight)


@routine
def _add(total, numbers, share):
    """total += share * numbers, both (m,)."""
    for i in range(total.size):
        total[i] += share * numbers[i]


@routine
def cost_of_block(job, block):
    """Losses of a block, the mean over steps where a sample has such, and the last layer's dZ."""
    plan, workspace, n_targets = job.plan, job.workspace, job.plan.n_targets
    last_layer = plan.layers.shape[0] - 1
    first, size, n = block * plan.block_rows, plan.block_rows, plan.layers[last_layer, N_OUT]
    Y, offsets = matrix(workspace, plan.Y + first * n_targets, n_targets, size), vector(job.rows, first, size)
    if not job.again:
        _gather_targets(job.targets, offsets, Y)
        if plan.loss == LOG_LOSS and plan.loss_setting > 0:
            _smooth(Y, plan.loss_setting)
    L, scores = vector(workspace, plan.L + first, size), vector(workspace, plan.scores + first, size)
    is_of_logits = plan.loss == LOG_LOSS or plan.loss == CROSS_ENTROPY
    if not is_of_logits:
        activate_layer(job, last_layer, block)
    has_steps = plan.steps > 1
    L_step = vector(workspace, (plan.L_step if has_steps else plan.L) + first, size)
    scores_step = vector(workspace, (plan.scores_step if has_steps else plan.scores) + first, size)
    one = L.dtype.type(1)
    if has_steps:
        L[:], scores[:] = 0, 0
    for step in range(plan.steps):
        _cost_of_step(job, block, step, L_step, scores_step)
        if has_steps:
            _add(L, L_step, one / L.dtype.type(plan.steps))
            _add(scores, scores_step, one)
    if not is_of_logits:
        derive_layer(job, last_layer, block)
    dZ = matrix_of(job, last_layer, DZ_OFFSET, block)
    if job.weights.size:
        _weigh(job.weights, offsets, L, dZ)
    for j in range(n):
        for i in range(count_of(job, block), size):
            dZ[j, i] = 0


@inner
def _keep_above_half(numbers):
    """Numbers so little above 0 that their sigmoid would be rounded to 1/2 become the least ones that are not.

    So a probability is above 1/2 where the logit is above 0, and nowhere else; it moves by 2 units of the last place.
    """
    least = numbers.dtype.type(4 * np.finfo(numbers.dtype).eps)
    for i in range(numbers.size):
        z = numbers[i]
        numbers[i] = least if z > 0 and z < least else z


@routine
def store_outputs(job, block):
    """The block's outputs; its first entry in `scores` becomes NaN if one of them is NaN or infinite."""
    plan, outputs = job.plan, job.outputs
    last_layer = plan.layers.shape[0] - 1
    n, first = plan.layers[last_layer, N_OUT], block * plan.block_rows
    Z = matrix_of(job, last_layer, A_OFFSET, block)
    if plan.layers[last_layer, ACTIVATION] == SOFTMAX and plan.block_rows == 1:
        z = numbers_of(job, last_layer, A_OFFSET, block)
        softmax_of_one(z, z)
    elif plan.layers[last_layer, ACTIVATION] == SOFTMAX:
        z, units, size = offset_of(plan, last_layer, A_OFFSET, block), n // plan.steps, plan.block_rows
        for step in range(plan.steps):
            softmax_columns(matrix(job.workspace, z + step * units * size, units, size))
    else:
        if plan.loss == LOG_LOSS:
            _keep_above_half(numbers_of(job, last_layer, A_OFFSET, block))
        activate_layer(job, last_layer, block)
    offset, zero = job.start + first, Z.dtype.type(0)
    total = zero
    for i in range(count_of(job, block)):
        for j in range(n):
            outputs[offset + i, j] = Z[j, i]
            total += zero * Z[j, i]
    job.workspace[plan.scores + first] += total


@inner
def mark_what_is_not_finite(job, block, units):
    """The block's first entry in `scores` = NaN if a Z of the first layer's first `units` is NaN or infinite, else 0.

    Of a product one unit is enough: a number of a sample that is NaN or infinite makes all its Z so, whatever W is.
    """
    plan, workspace, zero = job.plan, job.workspace, job.workspace.dtype.type(0)
    by_sample, by_unit = strides_of(plan, 0)
    total, z = zero, offset_of(plan, 0, A_OFFSET, block)
    for j in range(units):
        for i in range(plan.block_rows):
            total += zero * workspace[z + i * by_sample + j * by_unit]
    workspace[plan.scores + block * plan.block_rows] = total
