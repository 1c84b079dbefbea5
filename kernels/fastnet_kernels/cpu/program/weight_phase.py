"""The weight phase of a step: each task sums its piece of dW and db over all samples, and changes W and b at once.

With a clipped norm it only sums; `clip_norm` and `change_weights` do the rest.
"""

import math

import numpy as np

from ...codes import CLIP_NORM, L1, L2, OPTIMIZER, OPTIMIZERS, PLAIN, TASK_LAYER, TRAIN
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..codegen.elements import clear
from ..codegen.matrix import Matrix
from ..codegen.vector_math import is_finite
from ..layers import dispatch
from ..optimizers import update
from ..step.finish import finish, has_penalty
from ..step.workspace import piece_of, scratch_of


@inner
def _gradients_of(job, piece, j):
    """A task's gradients of row j, or those of b, as a vector."""
    offset, count = dispatch.parameters_of(job.plan, piece, j)
    return vector(job.gradients, offset, count)


@routine
def _run_task(job, scratch, index):
    """One task: sum its gradients and change its weights; at once where nothing else is to be done."""
    task = job.plan.tasks[index]
    piece, one = piece_of(task), scratch.dtype.type(1)
    if job.mode == TRAIN and job.optimizer[OPTIMIZER] == PLAIN and not has_penalty(job, piece.layer):
        dispatch.weight_gradient(job, scratch, scratch.dtype.type(-job.learning_rate), job.parameters, task)
        return
    job.workspace[job.plan.of_tasks + 2 * index] = job.workspace[job.plan.of_tasks + 2 * index + 1] = 0
    clear(_gradients_of(job, piece, piece.last_row))
    if dispatch.finishes(job, piece.layer):
        dispatch.finish_weights(job, scratch, index)
    else:
        for j in range(piece.first_row, piece.last_row):
            clear(_gradients_of(job, piece, j))
        dispatch.weight_gradient(job, scratch, one, job.gradients, task)
        offset, count = dispatch.parameters_of(job.plan, piece, piece.first_row)
        stride = dispatch.row_stride_of(job.plan, piece)
        gradients = Matrix(job.gradients, offset, stride, 1)
        finish(job, index, gradients, offset, piece.last_row - piece.first_row, stride, count, True)
    offset, count = dispatch.parameters_of(job.plan, piece, piece.last_row)
    finish(job, index, Matrix(job.gradients, offset, count, 1), offset, 1, count, count, False)


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


@inner
def factor_of_norm(job, total):
    """What gradients are to be multiplied with, so that their norm is at most CLIP_NORM; `total` is that of squares."""
    limit = job.optimizer[CLIP_NORM]
    norm = math.sqrt(total) if is_finite(total) else _norm_of_large(job)
    factor = limit / (norm + 1e-6)
    # NaN stays NaN; and a norm that is infinite would make a step of nothing, which nobody would see.
    return math.nan if norm == math.inf else 1.0 if factor > 1 else factor


@routine(component=OPTIMIZERS)
def clip_norm(job):
    """After the weight phase: the factor of the norm, for `change_weights`."""
    plan, total = job.plan, 0.0
    for index in range(plan.tasks.shape[0]):
        total += job.workspace[plan.of_tasks + 2 * index + 1]
    job.workspace[plan.of_tasks + 2 * plan.tasks.shape[0]] = factor_of_norm(job, total)


@routine(component=OPTIMIZERS)
def change_weights(job, worker, workers):
    """Where gradients are clipped to a norm, a third phase: one worker clips and updates every so many'th task."""
    plan = job.plan
    factor = job.workspace[plan.of_tasks + 2 * plan.tasks.shape[0]]
    for index in range(worker, plan.tasks.shape[0], workers):
        piece = piece_of(plan.tasks[index])
        for j in range(piece.first_row, piece.last_row + 1):
            gradients = _gradients_of(job, piece, j)
            for i in range(gradients.size):
                gradients[i] *= factor
        offset, count = dispatch.parameters_of(plan, piece, piece.first_row)
        stride = dispatch.row_stride_of(plan, piece)
        update(job, Matrix(job.gradients, offset, stride, 1), offset, piece.last_row - piece.first_row, stride, count)
        offset, count = dispatch.parameters_of(plan, piece, piece.last_row)
        update(job, Matrix(job.gradients, offset, count, 1), offset, 1, count, count)
