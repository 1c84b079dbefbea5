"""One sample's prediction, loss, or whole step, of dense layers alone: online learning, in plain loops.

Each number of W is used once in the forward pass and twice on the way back, so there is nothing to be kept in
registers. Reading W is all there is to it, and in the smallest networks it is the calls between the pieces of a step.
"""

import math

from ...codes import (
    A_OFFSET,
    ACTIVATION,
    B_OFFSET,
    CLIP_NORM,
    CLIP_VALUE,
    CROSS_ENTROPY,
    DZ_OFFSET,
    LDW,
    LOG_LOSS,
    N_IN,
    N_OUT,
    ONLINE,
    OPTIMIZER,
    PLAIN,
    PREDICT,
    SLOPE,
    SQUARED_ERROR,
    TRAIN,
    W_OFFSET,
)
from ..codegen.arrays import matrix, vector
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Matrix
from ..codegen.vector_math import is_finite
from ..layers.activation import activate, derive
from ..loss import cross_entropy_of_one, log_loss_columns
from ..optimizers import update
from ..step.finish import clip, squares
from ..step.inputs import are_copied, find_rows, read_rows, unpacked_inputs
from .output import mark_what_is_not_finite, store_outputs
from .weight_phase import factor_of_norm


@inner
def _dots_of_four(parameters, w, stride, a, b, z, j):
    """Z of four units: memory brings several rows of W at once sooner than one after the other."""
    first, second = vector(parameters, w, a.size), vector(parameters, w + stride, a.size)
    third, fourth = vector(parameters, w + 2 * stride, a.size), vector(parameters, w + 3 * stride, a.size)
    p, q, r, s = b[j], b[j + 1], b[j + 2], b[j + 3]
    for k in range(a.size):
        p += first[k] * a[k]
        q += second[k] * a[k]
        r += third[k] * a[k]
        s += fourth[k] * a[k]
    z[j], z[j + 1], z[j + 2], z[j + 3] = p, q, r, s


@inner
def _forward(job, samples, x):
    """Z (n_L,) of the last layer, and A (n_l,) of the others, from the sample at `x` of the buffer `samples`."""
    plan, workspace, parameters = job.plan, job.workspace, job.parameters
    last = plan.layers.shape[0] - 1
    for l in range(last + 1):
        n, n_in, w = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.layers[l, W_OFFSET]
        a = vector(samples, x, n_in) if l == 0 else vector(workspace, plan.layers[l - 1, A_OFFSET], n_in)
        z, b = vector(workspace, plan.layers[l, A_OFFSET], n), vector(parameters, plan.layers[l, B_OFFSET], n)
        stride, fours = plan.layers[l, LDW], n // 4 * 4
        for j in range(0, fours, 4):
            _dots_of_four(parameters, w + j * stride, stride, a, b, z, j)
        for j in range(fours, n):
            row, total = vector(parameters, w + j * stride, n_in), b[j]
            for k in range(n_in):
                total += row[k] * a[k]
            z[j] = total
        if l == 0 and job.mode == PREDICT:
            mark_what_is_not_finite(job, 0, 1)
        if l < last:
            activate(plan.layers[l, ACTIVATION], plan.settings[l, SLOPE], z, z)


@inner
def _cost(job):
    """The loss, which is returned, the score, and the last layer's dZ; weights of samples are for losses alone."""
    plan, workspace = job.plan, job.workspace
    last, row = plan.layers.shape[0] - 1, job.rows[0]
    n, L = plan.layers[last, N_OUT], vector(workspace, plan.L, 1)
    z, dz = vector(workspace, plan.layers[last, A_OFFSET], n), vector(workspace, plan.layers[last, DZ_OFFSET], n)
    one = workspace.dtype.type(1)
    if plan.loss == CROSS_ENTROPY:
        label, top = job.targets[row, 0], 0
        for j in range(1, n):
            top = j if z[j] > z[top] else top
        score = one if top == label else one * 0
        cross_entropy_of_one(z, label, 0.0, L, dz, one)
    elif plan.loss == LOG_LOSS:
        y = vector(workspace, plan.Y, 1)
        y[0] = job.targets[row, 0]
        score = one if (z[0] > 0) == (y[0] > one / 2) else one * 0
        log_loss_columns(matrix(z, 0, 1, 1), matrix(y, 0, 1, 1), L, matrix(dz, 0, 1, 1), one)
    elif plan.loss == SQUARED_ERROR:
        activate(plan.layers[last, ACTIVATION], plan.settings[last, SLOPE], z, z)
        score = one * 0
        for j in range(n):
            dz[j] = z[j] - job.targets[row, j]
            score += dz[j] * dz[j]
        L[0] = score / 2
        derive(plan.layers[last, ACTIVATION], plan.settings[last, SLOPE], dz, z, dz)
    else:
        score = one * 0
        L[0] = math.nan
    if job.weights.size:
        L[0] *= job.weights[row]
    workspace[plan.scores] = score
    return L[0]


@inner
def _add_outer(target, alpha, dz, a, stride):
    """Rows (n, n_in) of a buffer, `stride` apart from its beginning, += alpha dz (n,) a (n_in,)^T."""
    for j in range(dz.size):
        row, factor = vector(target, j * stride, a.size), alpha * dz[j]
        for k in range(a.size):
            row[k] += factor * a[k]


@inner
def _store_outer(target, dz, a, stride):
    """Rows (n, n_in) of a buffer, `stride` apart from its beginning, become dz (n,) a (n_in,)^T."""
    for j in range(dz.size):
        row, factor = vector(target, j * stride, a.size), dz[j]
        for k in range(a.size):
            row[k] = factor * a[k]


@inner
def _backward(job, samples, x, is_plain):
    """dZ (n_l,) of each layer from that of the next, and dW = dZ A_prev^T (n_l, n_{l-1}) and db = dZ.

    In plain gradient descent W and b change by them as soon as dZ of the layer below has been computed from W, and dW
    is stored nowhere.
    """
    plan, workspace, parameters = job.plan, job.workspace, job.parameters
    alpha = workspace.dtype.type(-job.learning_rate)
    for l in range(plan.layers.shape[0] - 1, -1, -1):
        n, n_in, w = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.layers[l, W_OFFSET]
        dz, b = vector(workspace, plan.layers[l, DZ_OFFSET], n), vector(parameters, plan.layers[l, B_OFFSET], n)
        a = vector(samples, x, n_in) if l == 0 else vector(workspace, plan.layers[l - 1, A_OFFSET], n_in)
        if l > 0:
            da = vector(workspace, plan.layers[l - 1, DZ_OFFSET], n_in)
            for k in range(n_in):
                da[k] = 0
            for j in range(n):
                row, factor = vector(parameters, w + j * plan.layers[l, LDW], n_in), dz[j]
                for k in range(n_in):
                    da[k] += factor * row[k]
            derive(plan.layers[l - 1, ACTIVATION], plan.settings[l - 1, SLOPE], da, a, da)
        stride, size = plan.layers[l, LDW], n * plan.layers[l, LDW]
        if is_plain:
            _add_outer(vector(parameters, w, size), alpha, dz, a, stride)
            for j in range(n):
                b[j] += alpha * dz[j]
        else:
            _store_outer(vector(job.gradients, w, size), dz, a, stride)
            db = vector(job.gradients, plan.layers[l, B_OFFSET], n)
            for j in range(n):
                db[j] = dz[j]


@inner
def _change_parameters(job):
    """The optimizer changes all parameters by their gradients, which are clipped where that is wanted.

    All at once, gaps between rows of W with them: there gradients and parameters are 0, and stay so.
    """
    gradients, count = job.gradients, job.parameters.size
    if math.isfinite(job.optimizer[CLIP_VALUE]):
        clip(gradients, job.optimizer[CLIP_VALUE])
    if math.isfinite(job.optimizer[CLIP_NORM]):
        factor = gradients.dtype.type(factor_of_norm(job, squares(gradients)))
        for i in range(count):
            gradients[i] *= factor
    update(job, Matrix(gradients, 0, count, 1), 0, 1, count, count)


@inner
def _sample(job):
    """Where the sample lies: a buffer, and an offset in it."""
    find_rows(job, 0)
    if are_copied(job):
        read_rows(job, vector(job.workspace, job.plan.X, job.plan.layers[0, N_IN]), 0, 1, 0, job.plan.layers[0, N_IN])
    samples, x, rows = unpacked_inputs(job)
    return samples, x + rows[0] * job.plan.layers[0, N_IN]


@routine(component=ONLINE)
def predict_online(job):
    """One sample's output."""
    samples, x = _sample(job)
    _forward(job, samples, x)
    store_outputs(job, 0)


@routine(component=ONLINE)
def online_step(job):
    """One sample's loss, and in training a step; one whose loss is not finite changes nothing."""
    samples, x = _sample(job)
    _forward(job, samples, x)
    if is_finite(_cost(job)) and job.mode == TRAIN:
        is_plain = job.optimizer[OPTIMIZER] == PLAIN
        _backward(job, samples, x, is_plain)
        if not is_plain:
            _change_parameters(job)
