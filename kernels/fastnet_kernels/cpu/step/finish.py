"""What is done with gradients as soon as they are summed: penalties, clipping, and the optimizer's step.

With a clipped norm the step has to wait for the gradients of all layers: see `weight_phase`.
"""

import math

from ...codes import CLIP_NORM, CLIP_VALUE, L1, L2, OPTIMIZERS, PENALTY_FACTOR, TASK_LAYER, TRAIN
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..codegen.matrix import row_of
from ..optimizers import update


@inner
def _add_penalty(W, dW, l1, l2):
    """dW += the derivative of l1 |W| + l2 / 2 W^2, which is returned."""
    zero, half, first, second = W.dtype.type(0), W.dtype.type(0.5), W.dtype.type(l1), W.dtype.type(l2)
    total = zero
    for i in range(W.size):
        w = W[i]
        total += first * abs(w) + half * second * w * w
        dW[i] += second * w + (first if w > 0 else -first if w < 0 else zero)
    return total


@inner
def clip(numbers, limit):
    """Clip: no number is larger than the limit, in size."""
    most = numbers.dtype.type(limit)
    for i in range(numbers.size):
        g = numbers[i]
        numbers[i] = most if g > most else -most if g < -most else g


@inner
def squares(numbers):
    """The sum of their squares."""
    total = numbers[0] * 0
    for i in range(numbers.size):
        total += numbers[i] * numbers[i]
    return total


@inner
def penalties_of(job, l):
    """What the penalties of layer l's weights are multiplied with: L1, and L2."""
    factor = job.optimizer[PENALTY_FACTOR]
    return factor * job.plan.settings[l, L1], factor * job.plan.settings[l, L2]


@inner
def has_penalty(job, l):
    """Whether layer l's weights have a penalty."""
    l1, l2 = penalties_of(job, l)
    return l1 != 0 or l2 != 0


@routine(component=OPTIMIZERS)
def _finish(job, index, gradients, offset, rows, row_stride, count, is_weight):
    """See `finish`."""
    l1, l2 = penalties_of(job, job.plan.tasks[index, TASK_LAYER])
    has_norm = math.isfinite(job.optimizer[CLIP_NORM])
    penalty = total = gradients.data.dtype.type(0)
    for row in range(rows):
        numbers = row_of(gradients, row, 0, count)
        if is_weight and (l1 != 0 or l2 != 0):
            penalty += _add_penalty(vector(job.parameters, offset + row * row_stride, count), numbers, l1, l2)
        if job.mode == TRAIN and math.isfinite(job.optimizer[CLIP_VALUE]):
            clip(numbers, job.optimizer[CLIP_VALUE])
        if job.mode == TRAIN and has_norm:
            total += squares(numbers)
    job.workspace[job.plan.of_tasks + 2 * index] += penalty
    job.workspace[job.plan.of_tasks + 2 * index + 1] += total
    if job.mode == TRAIN and not has_norm:
        update(job, gradients, offset, rows, row_stride, count)


@inner
def finish(job, index, gradients, offset, rows, row_stride, count, is_weight):
    """Some gradients of a task, a `Matrix` (rows, count), are summed: do with them all that can be done.

    Their parameters begin at `offset`, a row `row_stride` behind the other. The penalty, and the sum of squares that a
    clipped norm needs, are added to what the task has of them in the workspace; biases have no penalty.
    """
    if count > 0 and (job.mode == TRAIN or has_penalty(job, job.plan.tasks[index, TASK_LAYER])):
        _finish(job, index, gradients, offset, rows, row_stride, count, is_weight)
