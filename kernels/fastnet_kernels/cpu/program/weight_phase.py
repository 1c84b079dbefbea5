"""The weight phase of a step: each task sums its piece of dW and db over all samples, and changes W and b at once.

With a clipped norm it only sums; `clip_norm` and `change_weights` do the rest.
"""

import math

import numpy as np

from ...codes import CLIP_NORM, CLIP_VALUE, L1, L2, OPTIMIZER, OPTIMIZERS, PENALTY_FACTOR, PLAIN, TASK_LAYER, TRAIN
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..codegen.elements import clear
from ..codegen.vector_math import is_finite
from ..layers import dispatch
from ..optimizers import update
from ..step.workspace import piece_of, scratch_of


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
def _clip(numbers, limit):
    """Clip: no number is larger than the limit, in size."""
    most = numbers.dtype.type(limit)
    for i in range(numbers.size):
        g = numbers[i]
        numbers[i] = most if g > most else -most if g < -most else g


@inner
def _squares(numbers):
    total = numbers[0] * 0
    for i in range(numbers.size):
        total += numbers[i] * numbers[i]
    return total


@inner
def _gradients_of(job, piece, j):
    """A task's gradients of row j, or those of b, as a vector."""
    offset, count = dispatch.parameters_of(job.plan, piece, j)
    return vector(job.gradients, offset, count)


@inner
def _update(job, piece):
    """The optimizer changes a task's parameters: its rows of W, and its b."""
    offset, count = dispatch.parameters_of(job.plan, piece, piece.first_row)
    update(job, offset, piece.last_row - piece.first_row, dispatch.row_stride_of(job.plan, piece), count)
    offset, count = dispatch.parameters_of(job.plan, piece, piece.last_row)
    update(job, offset, 1, 0, count)


@routine
def _run_task(job, scratch, index):
    """One task: sum its gradients and change its weights; at once where nothing else is to be done."""
    plan = job.plan
    task = plan.tasks[index]
    piece = piece_of(task)
    factor = job.optimizer[PENALTY_FACTOR]
    l1, l2 = factor * plan.settings[piece.layer, L1], factor * plan.settings[piece.layer, L2]
    is_direct = job.mode == TRAIN and job.optimizer[OPTIMIZER] == PLAIN and l1 == 0 and l2 == 0
    alpha = scratch.dtype.type(-job.learning_rate if is_direct else 1)
    changed = job.parameters if is_direct else job.gradients
    if not is_direct:
        for j in range(piece.first_row, piece.last_row + 1):
            clear(_gradients_of(job, piece, j))
    dispatch.weight_gradient(job, scratch, alpha, changed, task)
    if is_direct:
        return
    penalty = squares = scratch.dtype.type(0)
    for j in range(piece.first_row, piece.last_row + 1):
        offset, count = dispatch.parameters_of(plan, piece, j)
        gradients = vector(job.gradients, offset, count)
        if count == 0:
            continue
        if j < piece.last_row and (l1 != 0 or l2 != 0):
            penalty += _add_penalty(vector(job.parameters, offset, count), gradients, l1, l2)
        if job.mode == TRAIN:
            if np.isfinite(job.optimizer[CLIP_VALUE]):
                _clip(gradients, job.optimizer[CLIP_VALUE])
            if np.isfinite(job.optimizer[CLIP_NORM]):
                squares += _squares(gradients)
    if job.mode == TRAIN and not np.isfinite(job.optimizer[CLIP_NORM]):
        _update(job, piece)
    job.workspace[plan.of_tasks + 2 * index] = penalty
    job.workspace[plan.of_tasks + 2 * index + 1] = squares


@routine
def weight_phase(job, worker, workers):
    """The weight phase of one worker: every so many'th task."""
    scratch = scratch_of(job, worker)
    for index in range(worker, job.plan.tasks.shape[0], workers):
        _run_task(job, scratch, index)


@inner
def sum_of_penalties(plan, workspace):
    """What the weights add to the cost."""
    total = 0.0
    for index in range(plan.tasks.shape[0]):
        if plan.settings[plan.tasks[index, TASK_LAYER], L1] + plan.settings[plan.tasks[index, TASK_LAYER], L2] > 0:
            total += workspace[plan.of_tasks + 2 * index]
    return total


@inner
def _norm_of_large(job):
    """The norm of gradients whose squares are too large to be summed: of their shares of the largest one."""
    plan, largest, total = job.plan, 0.0, 0.0
    for is_second in range(2):
        for index in range(plan.tasks.shape[0]):
            piece = piece_of(plan.tasks[index])
            for j in range(piece.first_row, piece.last_row + 1):
                gradients = _gradients_of(job, piece, j)
                for i in range(gradients.size):
                    g = np.float64(gradients[i])
                    if is_second:
                        total += (g / largest) * (g / largest)
                    else:
                        largest = abs(g) if abs(g) > largest else largest
    return largest * math.sqrt(total)


@routine(component=OPTIMIZERS)
def clip_norm(job):
    """After the weight phase: what the gradients are to be multiplied with, so that their norm is at most CLIP_NORM."""
    plan, limit, total = job.plan, job.optimizer[CLIP_NORM], 0.0
    for index in range(plan.tasks.shape[0]):
        total += job.workspace[plan.of_tasks + 2 * index + 1]
    norm = math.sqrt(total) if is_finite(total) else _norm_of_large(job)
    factor = limit / (norm + 1e-6)
    # NaN stays NaN; and a norm that is infinite would make a step of nothing, which nobody would see.
    factor = math.nan if norm == math.inf else 1.0 if factor > 1 else factor
    job.workspace[plan.of_tasks + 2 * plan.tasks.shape[0]] = factor


@routine(component=OPTIMIZERS)
def change_weights(job, worker, workers):
    """Where gradients are clipped to a norm, a third phase: one worker clips and updates every so many'th task."""
    plan = job.plan
    factor = job.workspace[plan.of_tasks + 2 * plan.tasks.shape[0]]
    for index in range(worker, plan.tasks.shape[0], workers):
        piece = piece_of(plan.tasks[index])
        for j in range(piece.first_row, piece.last_row + 1):
            offset, count = dispatch.parameters_of(plan, piece, j)
            gradients = vector(job.gradients, offset, count)
            for i in range(count):
                gradients[i] *= factor
        _update(job, piece)
