"""The end of the forward pass: outputs, or losses, scores and the last layer's dZ; and the cost of a step."""

import math

from ...codes import (
    A_OFFSET,
    ACTIVATION,
    CROSS_ENTROPY,
    DZ_OFFSET,
    GRADIENT,
    HINGE,
    LOG_LOSS,
    LOSS,
    LOSS_SETTING,
    LOSSES,
    N_TARGETS,
    OUTPUT_STEPS,
    PENALTIES,
    PREDICT,
    SAVED_OFFSET,
    SCORES,
    SLOPE,
    SOFTMAX,
)
from ..codegen.compiling import cuda, inner
from ..layers.activation import activate, derive, epsilon_of, exponentials_of_row, numerator_of
from ..loss import loss_of_row
from ..target import THREADS
from .partition import n_blocks
from .reducing import row_of, rows_at_once, sum_over, sum_over_block
from .weight_update import sum_of_pieces
from .workspace import row_of_sample, rows_of_output, units_of_output


@inner
def _score_of_row(job, z, y, n, lanes, lane, shared):
    """How many predictions from n numbers, from offset z on, are right; or the sum of squared errors.

    Of the same largest numbers the first one is the prediction.
    """
    kind, loss, numbers = job.workspace.dtype.type, job.whole[LOSS], job.workspace
    first, total = cuda.threadIdx.x - lane, kind(0)
    if loss == CROSS_ENTROPY:  # right if no number is larger than the label's, and no earlier one as large
        label = int(job.targets[y]) if 0 <= job.targets[y] < n else 0  # of another one the loss is NaN
        for j in range(lane, n, lanes):
            larger = numbers[z + j] > numbers[z + label]
            if larger or (j < label and numbers[z + j] == numbers[z + label]):
                total += kind(1)
        return kind(1) if sum_over(total, shared, first, 1, lanes) == 0 else kind(0)
    for j in range(lane, n, lanes):
        if loss in (LOG_LOSS, HINGE):
            total += kind(1) if (numbers[z + j] > 0) == (job.targets[y + j] > 0.5) else kind(0)
        else:
            difference = numbers[z + j] - job.targets[y + j]
            total += difference * difference
    return sum_over(total, shared, first, 1, lanes)


@inner
def _cost_of_row(job, l, i, is_real, lanes, lane, shared):
    """Loss, score and dZ of one row of outputs."""
    kind, loss, setting = job.workspace.dtype.type, job.whole[LOSS], job.real[LOSS_SETTING]
    n, steps = units_of_output(job), job.whole[OUTPUT_STEPS]
    sample = row_of_sample(job, job.step, i // steps)
    z, dz = job.layers[l, A_OFFSET] + i * n, job.layers[l, DZ_OFFSET] + i * n
    y = (sample * steps + i % steps) * (job.whole[N_TARGETS] // steps)
    of_logits = loss in (LOG_LOSS, CROSS_ENTROPY)
    if is_real and not of_logits:
        for j in range(lane, n, lanes):
            a = activate(job.layers[l, ACTIVATION], job.settings[l, SLOPE], job.workspace[z + j])
            job.workspace[z + j] = a
    score = _score_of_row(job, z, y, n, lanes, lane, shared)
    weight = kind(1) / kind(rows_of_output(job))
    if job.weights.size > 0:
        weight *= job.weights[sample]
    total = loss_of_row(
        loss, setting, weight, job.workspace, z, job.targets, y, job.workspace, dz, n, lanes, lane, shared, is_real
    )
    if not is_real:
        return
    if not of_logits:
        for j in range(lane, n, lanes):
            a = job.workspace[job.layers[l, SAVED_OFFSET] + i * n + j]
            job.workspace[dz + j] = derive(job.layers[l, ACTIVATION], job.settings[l, SLOPE], a, job.workspace[dz + j])
    if lane == 0:
        job.workspace[job.whole[LOSSES] + i] = total * weight
        job.workspace[job.whole[SCORES] + i] = score


@inner
def _store_outputs(job, l, i, is_real, lanes, lane, shared):
    """The last layer's activations of one row of outputs."""
    n, steps = units_of_output(job), job.whole[OUTPUT_STEPS]
    z, out = job.layers[l, A_OFFSET] + i * n, (row_of_sample(job, job.step, i // steps) * steps + i % steps) * n
    if job.layers[l, ACTIVATION] == SOFTMAX:
        most, total = exponentials_of_row(job.workspace, z, n, lanes, lane, shared)
        if is_real:
            for j in range(lane, n, lanes):
                job.outputs[out + j] = numerator_of(job.workspace[z + j] - most, job.workspace) / total
    elif is_real:
        # A probability is above 1/2 where the logit is above 0, and must not be rounded to 1/2.
        least = job.workspace.dtype.type(4 * epsilon_of(job.workspace))
        for j in range(lane, n, lanes):
            number = job.workspace[z + j]
            if job.whole[LOSS] == LOG_LOSS and 0 < number < least:
                number = least
            job.outputs[out + j] = activate(job.layers[l, ACTIVATION], job.settings[l, SLOPE], number)


@inner
def output_rows(job, first, last, shared):
    """Losses or outputs of some rows, from the numbers of the last layer."""
    l = job.layers.shape[0] - 1
    n = units_of_output(job)
    for task in range(n_blocks(last - first, rows_at_once(n))):
        row, lanes, lane = row_of(task, n)
        i = min(first + row, last - 1)
        if job.mode == PREDICT:
            _store_outputs(job, l, i, first + row < last, lanes, lane, shared)
        else:
            _cost_of_row(job, l, i, first + row < last, lanes, lane, shared)


@inner
def sum_totals(job, shared):
    """The step's cost and score. A cost that is not finite is marked, so that the run ends."""
    kind, row = job.workspace.dtype.type, job.step - job.first_step
    losses, scores = kind(0), kind(0)
    for i in range(cuda.threadIdx.x, rows_of_output(job), THREADS):
        losses += job.workspace[job.whole[LOSSES] + i]
        scores += job.workspace[job.whole[SCORES] + i]
    losses, scores = sum_over_block(losses, shared), sum_over_block(scores, shared)
    penalties = kind(0)
    if job.mode >= GRADIENT:
        penalties = sum_of_pieces(job, job.whole[PENALTIES], shared)
    if cuda.threadIdx.x == 0:
        job.costs[row], job.scores[row] = losses + penalties, scores
        if not math.isfinite(losses + penalties):
            job.flags[0] = job.step
