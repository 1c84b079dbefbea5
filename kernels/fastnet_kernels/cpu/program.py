"""The compiled program: it runs any network, laid out as a `codes.Plan`, over many mini-batches in one call.

A mini-batch takes two phases, each one parallel loop:

1. by samples: a block of samples goes forward through the whole network and its derivatives dZ come back, while the
   block's activations are in cache;
2. by weights: each tile of each dW sums over all samples of the mini-batch and, still in cache, updates its weights.

No sum is split among threads, so the same seed gives the same bits on any number of them.
"""

import numpy as np
from numba import prange

from ..codes import (
    ACTIVATION,
    CROSS_ENTROPY,
    DZ,
    EVALUATE,
    FIRST_COLUMN,
    FIRST_ROW,
    GRADIENT,
    LAST_COLUMN,
    LAST_ROW,
    LOG_LOSS,
    N_IN,
    N_OUT,
    PREDICT,
    TILE_LAYER,
    TRAIN,
    A,
    B,
    W,
)
from .activations import activate_rows, derive_rows
from .blocks import bounds, n_blocks
from .compiling import inner, kernel, stay_out_of_line
from .dense import forward_rows, gradient_tile
from .losses import cross_entropy_row, log_loss_row, squared_error_row
from .products import multiply
from .updates import sgd_range
from .views import matrix, reinterpret, vector

BY_SAMPLES, BY_WEIGHTS = range(2)


@inner
def _weights(plan, buffer, l):
    """W (or dW) of layer l."""
    return matrix(buffer, plan.layers[l, W], plan.layers[l, N_OUT], plan.layers[l, N_IN])


@inner
def _bias(plan, buffer, l):
    return vector(buffer, plan.layers[l, B], plan.layers[l, N_OUT])


@inner
def _activations(plan, workspace, l, m):
    """A of layer l; before its activation is applied, the same numbers are Z."""
    return matrix(workspace, plan.layers[l, A], m, plan.layers[l, N_OUT])


@inner
def _derivatives(plan, workspace, l, m):
    return matrix(workspace, plan.layers[l, DZ], m, plan.layers[l, N_OUT])


@inner
def _reads_in_place(plan, inputs_are_bytes, order):
    """Whether the samples can be used where they lie."""
    return order.size == 0 and not inputs_are_bytes and plan.scale == 1.0 and plan.shift == 0.0


@inner
def _inputs(plan, workspace, samples, inputs_are_bytes, order, start, m):
    """The mini-batch's X (m, n_0): the samples themselves, or their copy in the workspace."""
    n = plan.layers[0, N_IN]
    if _reads_in_place(plan, inputs_are_bytes, order):
        return matrix(reinterpret(samples, workspace), start * n, m, n)
    return matrix(workspace, plan.X, m, n)


@inner
def _read_rows(plan, workspace, samples, inputs_are_bytes, order, start, m, first, last):
    """Copy rows `first:last` of the mini-batch into the workspace, as `scale * x + shift`."""
    n = plan.layers[0, N_IN]
    X = matrix(workspace, plan.X, m, n)
    scale, shift = X.dtype.type(plan.scale), X.dtype.type(plan.shift)
    for i in range(first, last):
        row = order[start + i] if order.size else start + i
        if inputs_are_bytes:
            pixels = vector(samples, row * n, n)
            for j in range(n):
                X[i, j] = scale * pixels[j] + shift
        else:
            numbers = vector(reinterpret(samples, workspace), row * n, n)
            for j in range(n):
                X[i, j] = scale * numbers[j] + shift


@inner
def _forward(plan, parameters, workspace, X, m, first, last):
    """Rows `first:last` through all layers; the last layer is left at its logits Z."""
    n_layers = plan.layers.shape[0]
    A_prev = X
    for l in range(n_layers):
        Z = _activations(plan, workspace, l, m)
        forward_rows(A_prev, _weights(plan, parameters, l), _bias(plan, parameters, l), Z, first, last)
        if l < n_layers - 1:
            activate_rows(plan.layers[l, ACTIVATION], plan.slopes[l], Z, Z, first, last)
        A_prev = Z


@inner
def _is_right(loss, Z, Y, i):
    """Whether the class predicted from the logits Z[i] is Y[i]; 0 for regression."""
    if loss == LOG_LOSS:
        return 1 if (Z[i, 0] > 0) == (Y[i, 0] > 0.5) else 0
    if loss == CROSS_ENTROPY:
        best = 0
        for j in range(1, Z.shape[1]):
            if Z[i, j] > Z[i, best]:
                best = j
        return 1 if best == int(Y[i, 0]) else 0
    return 0


@inner
def _cost_rows(plan, workspace, targets, order, start, m, first, last):
    """Losses of rows `first:last`, and the last layer's dZ."""
    last_layer = plan.layers.shape[0] - 1
    activation, slope = plan.layers[last_layer, ACTIVATION], plan.slopes[last_layer]
    Z = _activations(plan, workspace, last_layer, m)
    dZ = _derivatives(plan, workspace, last_layer, m)
    Y = matrix(workspace, plan.Y, m, plan.n_targets)
    L = vector(workspace, plan.L, m)
    hits = vector(workspace, plan.hits, m)
    weight = Z.dtype.type(1) / Z.dtype.type(m)
    for i in range(first, last):
        row = order[start + i] if order.size else start + i
        for j in range(plan.n_targets):
            Y[i, j] = targets[row, j]
        hits[i] = _is_right(plan.loss, Z, Y, i)
        if plan.loss == LOG_LOSS:
            L[i] = log_loss_row(Z, Y, dZ, i, weight)
        elif plan.loss == CROSS_ENTROPY:
            L[i] = cross_entropy_row(Z, Y, dZ, i, weight)
        else:
            activate_rows(activation, slope, Z, Z, i, i + 1)
            L[i] = squared_error_row(Z, Y, dZ, i, weight)
            derive_rows(activation, slope, dZ, Z, dZ, i, i + 1)


@inner
def _backward(plan, parameters, workspace, m, first, last):
    """Rows `first:last` of dZ of all layers but the last, from the last's."""
    for l in range(plan.layers.shape[0] - 1, 0, -1):
        dZ_prev = _derivatives(plan, workspace, l - 1, m)
        multiply(
            dZ_prev,
            _derivatives(plan, workspace, l, m),
            _weights(plan, parameters, l),
            first,
            last,
            0,
            plan.layers[l, N_IN],
        )
        A_prev = _activations(plan, workspace, l - 1, m)
        derive_rows(plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1], dZ_prev, A_prev, dZ_prev, first, last)


@inner
def _by_samples(block, mode, plan, parameters, workspace, samples, inputs_are_bytes, targets, outputs, order, start, m):
    """Phase 1 for one block of samples."""
    stay_out_of_line()
    first, last = bounds(block, m, plan.block_rows)
    if not _reads_in_place(plan, inputs_are_bytes, order):
        _read_rows(plan, workspace, samples, inputs_are_bytes, order, start, m, first, last)
    X = _inputs(plan, workspace, samples, inputs_are_bytes, order, start, m)
    _forward(plan, parameters, workspace, X, m, first, last)
    if mode == PREDICT:
        last_layer = plan.layers.shape[0] - 1
        Z = _activations(plan, workspace, last_layer, m)
        activate_rows(plan.layers[last_layer, ACTIVATION], plan.slopes[last_layer], Z, Z, first, last)
        for i in range(first, last):
            for j in range(Z.shape[1]):
                outputs[start + i, j] = Z[i, j]
        return
    _cost_rows(plan, workspace, targets, order, start, m, first, last)
    if mode >= GRADIENT:
        _backward(plan, parameters, workspace, m, first, last)


@inner
def _by_weights(
    index, mode, plan, parameters, gradients, workspace, samples, inputs_are_bytes, order, start, m, learning_rate
):
    """Phase 2 for one tile of one layer's weights."""
    stay_out_of_line()
    tile = plan.tiles[index]
    l = tile[TILE_LAYER]
    first_row, last_row = tile[FIRST_ROW], tile[LAST_ROW]
    first_column, last_column = tile[FIRST_COLUMN], tile[LAST_COLUMN]
    if l == 0:
        A_prev = _inputs(plan, workspace, samples, inputs_are_bytes, order, start, m)
    else:
        A_prev = _activations(plan, workspace, l - 1, m)
    gradient_tile(
        _derivatives(plan, workspace, l, m),
        A_prev,
        _weights(plan, gradients, l),
        _bias(plan, gradients, l),
        first_row,
        last_row,
        first_column,
        last_column,
    )
    if mode == TRAIN:
        offset, n_in = plan.layers[l, W], plan.layers[l, N_IN]
        for row in range(first_row, last_row):
            at = offset + row * n_in
            sgd_range(parameters, gradients, learning_rate, at + first_column, at + last_column)
        if first_column == 0:
            at = plan.layers[l, B]
            sgd_range(parameters, gradients, learning_rate, at + first_row, at + last_row)


@inner
def _do(
    phase, task, mode, plan, parameters, gradients, workspace, samples, inputs_are_bytes, targets, outputs, order,
    start, m, learning_rate,
):  # fmt: skip
    """One task of a phase: one parallel loop serves both, since each such loop takes seconds to compile."""
    if phase == BY_SAMPLES:
        _by_samples(
            task, mode, plan, parameters, workspace, samples, inputs_are_bytes, targets, outputs, order, start, m
        )
    else:
        _by_weights(
            task,
            mode,
            plan,
            parameters,
            gradients,
            workspace,
            samples,
            inputs_are_bytes,
            order,
            start,
            m,
            learning_rate,
        )


@inner
def _sum(numbers):
    total = 0.0
    for number in numbers:
        total += number
    return total


@kernel
def run(
    mode,
    plan,
    parameters,
    gradients,
    workspace,
    samples,
    inputs_are_bytes,
    targets,
    outputs,
    order,
    batch_size,
    first_step,
    last_step,
    learning_rate,
    costs,
    hits,
    in_parallel,
):
    """Run steps `first_step` to `last_step` (exclusive), a mini-batch each, and return the step that comes next.

    mode            PREDICT, EVALUATE, GRADIENT or TRAIN of `codes`
    plan            the network, laid out for mini-batches of at least `batch_size`
    parameters      (n,) of the dtype of everything: all W and b
    gradients       (n,): all dW and db, written from mode GRADIENT on
    workspace       the plan's activations and derivatives
    samples         the bytes, 1-D uint8, of X (m, n_0): uint8 pixels if `inputs_are_bytes`, else of the dtype
    targets         Y (m, plan.n_targets), one class index a row for cross-entropy; empty for PREDICT
    outputs         (m, n_L), written by PREDICT; else empty
    order           int64, the rows in the order of use, for as many epochs as the steps span; empty: as they lie
    costs, hits     float64, an entry a step: the cost before the step's update, and the number of right classes
    in_parallel     whether the steps are worth all threads

    Steps go on from epoch to epoch: an epoch has as many as cover the m samples, the last one the rest of them.
    A step with a cost that is NaN or infinite changes no parameter and ends the run: the returned step is then its
    own, and its cost is in `costs`.
    """
    m_all = outputs.shape[0] if mode == PREDICT else targets.shape[0]
    steps_an_epoch = n_blocks(m_all, batch_size)
    for step in range(first_step, last_step):
        epoch, batch = divmod(step, steps_an_epoch)
        start = batch * batch_size  # the mini-batch's first row, or its place in `order`
        m = min(batch_size, m_all - start)
        if order.size:
            start += epoch * m_all
        for phase in (BY_SAMPLES, BY_WEIGHTS):
            tasks = n_blocks(m, plan.block_rows) if phase == BY_SAMPLES else plan.tiles.shape[0]
            if in_parallel:
                for task in prange(tasks):
                    _do(
                        phase, np.int64(task), mode, plan, parameters, gradients, workspace, samples,
                        inputs_are_bytes, targets, outputs, order, start, m, learning_rate,
                    )  # fmt: skip
            else:
                for task in range(tasks):
                    _do(
                        phase, task, mode, plan, parameters, gradients, workspace, samples,
                        inputs_are_bytes, targets, outputs, order, start, m, learning_rate,
                    )  # fmt: skip
            if mode == PREDICT:
                break
            if phase == BY_SAMPLES:
                costs[step] = _sum(vector(workspace, plan.L, m)) / m
                hits[step] = _sum(vector(workspace, plan.hits, m))
                if not np.isfinite(costs[step]):
                    return step
            if mode == EVALUATE:
                break
    return last_step
