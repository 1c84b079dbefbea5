"""Phase 2 of a training step: pieces of dW and db, summed over all samples, change W and b at once."""

import math

import numpy as np

from ...codes import (
    ADAM,
    ADAMW,
    CLIP_NORM,
    CLIP_VALUE,
    FIRST_COLUMN,
    FIRST_DECAY,
    FIRST_ROW,
    L1,
    L2,
    LAST_COLUMN,
    LAST_ROW,
    LDW,
    MOMENTUM,
    NESTEROV,
    OPTIMIZER,
    OPTIMIZER_EPSILON,
    OPTIMIZERS,
    PLAIN,
    RMSPROP,
    SECOND_DECAY,
    TASK_LAYER,
    TRAIN,
    W_OFFSET,
    WEIGHT_DECAY,
)
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..codegen.vector_math import is_finite
from ..layers import dispatch
from ..optimizers import adam_of, rmsprop_of, sgd_momentum_of, sgd_of
from .workspace import scratch_of


@inner
def _clear(numbers):
    for i in range(numbers.size):
        numbers[i] = 0


@routine(component=OPTIMIZERS)
def _update(job, offset, count):
    """The optimizer changes `count` parameters."""
    parameters, gradients = vector(job.parameters, offset, count), vector(job.gradients, offset, count)
    first, second = vector(job.first_state, offset, count), vector(job.second_state, offset, count)
    settings, rate = job.optimizer, job.learning_rate
    kind, decay, epsilon = settings[OPTIMIZER], settings[WEIGHT_DECAY], settings[OPTIMIZER_EPSILON]
    first_decay, second_decay = settings[FIRST_DECAY], settings[SECOND_DECAY]
    if kind == PLAIN:
        sgd_of(parameters, gradients, rate)
    elif kind == MOMENTUM:
        sgd_momentum_of(parameters, gradients, first, rate, first_decay, decay, settings[NESTEROV] != 0)
    elif kind == RMSPROP:
        rmsprop_of(parameters, gradients, first, second, rate, second_decay, first_decay, epsilon, decay)
    elif kind in (ADAM, ADAMW):
        beside = kind == ADAMW
        adam_of(
            parameters, gradients, first, second, job.count, rate, first_decay, second_decay, epsilon, decay, beside
        )
    else:
        parameters[:] = math.nan


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
    """No number beyond the limit, in size."""
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
def _numbers_of_row(plan, l, j, first_row, last_row, first_column, last_column):
    """Place and count of a task's numbers, row by row of W; after them b (or of a normalisation gamma, then beta)."""
    if j < last_row:
        return plan.layers[l, W_OFFSET] + j * plan.layers[l, LDW] + first_column, last_column - first_column
    return dispatch.bias_of_task(plan, l, first_row, last_row, first_column)


@routine
def _do(job, scratch, index):
    """One task: sum its gradients and change its weights; at once where nothing else is to be done."""
    plan = job.plan
    task = plan.tasks[index]
    l, first_column, last_column = task[TASK_LAYER], task[FIRST_COLUMN], task[LAST_COLUMN]
    first_row, last_row = task[FIRST_ROW], task[LAST_ROW]
    l1, l2 = plan.settings[l, L1], plan.settings[l, L2]
    is_direct = job.mode == TRAIN and job.optimizer[OPTIMIZER] == PLAIN and l1 == 0 and l2 == 0
    alpha = scratch.dtype.type(-job.learning_rate if is_direct else 1)
    changed = job.parameters if is_direct else job.gradients
    if not is_direct:
        for j in range(first_row, last_row + 1):
            offset, count = _numbers_of_row(plan, l, j, first_row, last_row, first_column, last_column)
            _clear(vector(job.gradients, offset, count))
    dispatch.weight_gradient(job, scratch, alpha, changed, task)
    if is_direct:
        return
    penalty = squares = scratch.dtype.type(0)
    for j in range(first_row, last_row + 1):
        offset, count = _numbers_of_row(plan, l, j, first_row, last_row, first_column, last_column)
        gradients = vector(job.gradients, offset, count)
        if count == 0:
            continue
        if j < last_row and (l1 > 0 or l2 > 0):
            penalty += _add_penalty(vector(job.parameters, offset, count), gradients, l1, l2)
        if job.mode == TRAIN:
            if np.isfinite(job.optimizer[CLIP_VALUE]):
                _clip(gradients, job.optimizer[CLIP_VALUE])
            if np.isfinite(job.optimizer[CLIP_NORM]):
                squares += _squares(gradients)
            else:
                _update(job, offset, count)
    job.workspace[plan.of_tasks + 2 * index] = penalty
    job.workspace[plan.of_tasks + 2 * index + 1] = squares


@routine
def weight_phase(job, worker, workers):
    """Phase 2 for one worker: every so many'th task."""
    scratch = scratch_of(job, worker)
    for index in range(worker, job.plan.tasks.shape[0], workers):
        _do(job, scratch, index)


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
    for turn in range(2):
        for index in range(plan.tasks.shape[0]):
            task = plan.tasks[index]
            l, first_row, last_row = task[TASK_LAYER], task[FIRST_ROW], task[LAST_ROW]
            for j in range(first_row, last_row + 1):
                offset, count = _numbers_of_row(plan, l, j, first_row, last_row, task[FIRST_COLUMN], task[LAST_COLUMN])
                gradients = vector(job.gradients, offset, count)
                for i in range(count):
                    g = np.float64(gradients[i])
                    if turn == 0:
                        largest = abs(g) if abs(g) > largest else largest
                    else:
                        total += (g / largest) * (g / largest)
    return largest * math.sqrt(total)


@routine(component=OPTIMIZERS)
def clip_norm(job):
    """After phase 2: what the gradients are to be multiplied with, so that their norm is at most the limit."""
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
    """Phase 3 for one worker, where gradients are cut to a norm: every so many'th task's weights change."""
    plan = job.plan
    factor = job.workspace[plan.of_tasks + 2 * plan.tasks.shape[0]]
    for index in range(worker, plan.tasks.shape[0], workers):
        task = plan.tasks[index]
        l, first_row, last_row = task[TASK_LAYER], task[FIRST_ROW], task[LAST_ROW]
        for j in range(first_row, last_row + 1):
            offset, count = _numbers_of_row(plan, l, j, first_row, last_row, task[FIRST_COLUMN], task[LAST_COLUMN])
            gradients = vector(job.gradients, offset, count)
            for i in range(count):
                gradients[i] *= factor
            _update(job, offset, count)
