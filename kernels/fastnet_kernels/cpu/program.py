"""The compiled program: it runs any network, laid out as a `codes.Plan`, over many mini-batches in one call.

A mini-batch is cut into blocks of samples, and takes two phases, each one parallel loop:

1. by samples: a block goes forward through the whole network and its derivatives dZ come back, while the block's
   activations are in cache;
2. by weights: each panel of each dW (some columns, all rows) sums over all samples and changes its weights at once.

Inside a block a sample is a column: A is (n_l, block_rows), so that a vector holds the same unit of many samples. A
block of a panel's width is what the products want to read; blocks of one sample, for the smallest mini-batches, make
them products of a matrix and a vector. What is left over of the last block repeats its last sample with dZ = 0.

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
    LAST_ROW,
    LOG_LOSS,
    N_IN,
    N_OUT,
    PREDICT,
    SOFTMAX,
    TASK_LAYER,
    TRAIN,
    A,
    B,
    W,
)
from .activations import activate, derive, softmax_columns
from .blocks import n_blocks
from .compiling import inner, kernel, stay_out_of_line
from .losses import cross_entropy_columns, log_loss_columns, squared_error_columns
from .microkernel import HEIGHTS, PANEL_BYTES, VECTOR_BYTES, panel_tile, transpose
from .views import matrix, reinterpret, vector

BY_SAMPLES, BY_WEIGHTS = range(2)


@inner
def _panel(buffer):
    """Width of a panel, in numbers."""
    return PANEL_BYTES // buffer.itemsize


@inner
def _block(plan, workspace, layer, column, block):
    """A (or, by its column, dZ) of one layer and block: (n_l, block_rows), a sample a column."""
    n = plan.layers[layer, N_OUT]
    return matrix(workspace, plan.layers[layer, column] + block * n * plan.block_rows, n, plan.block_rows)


@inner
def _flat(M):
    return vector(M, 0, M.size)


@inner
def _add_product(rows, alpha, C, c, c_row, A, a, a_row, a_k, a_block, B, b, blocks, n_k):
    """`panel_tile` for any number of rows."""
    stay_out_of_line()
    row = 0
    for height in HEIGHTS:
        while rows - row >= height:
            panel_tile(
                height, alpha, C, c + row * c_row, c_row, A, a + row * a_row, a_row, a_k, a_block, B, b, blocks, n_k
            )
            row += height


# ---------------------------------------------------------------- phase 1: by samples


@inner
def _find_rows(plan, rows, order, start, m, first):
    """The samples of the block that begins at `first`; a place beyond the mini-batch repeats its last sample."""
    for i in range(plan.block_rows):
        place = start + min(first + i, m - 1)
        rows[first + i] = order[place] if order.size else place


@inner
def _read_sample(plan, scratch, source, place):
    """scratch = scale * x + shift, for the n_0 numbers x that begin at `place`."""
    scale, shift = scratch.dtype.type(plan.scale), scratch.dtype.type(plan.shift)
    sample = vector(source, place, scratch.size)
    for k in range(scratch.size):
        scratch[k] = scale * sample[k] + shift


@inner
def _read_columns(plan, scratch, source, rows, first, first_feature, n_features):
    """Features of a block, each feature a row of the panel `scratch`."""
    stay_out_of_line()
    panel, lanes = _panel(scratch), VECTOR_BYTES // scratch.itemsize
    n = plan.layers[0, N_IN]
    scale, shift = scratch.dtype.type(plan.scale), scratch.dtype.type(plan.shift)
    whole = n_features // lanes * lanes
    for i in range(0, panel, lanes):
        for k in range(0, whole, lanes):
            transpose(scratch, k * panel + i, source, first_feature + k, rows, first + i, n, scale, shift)
    for i in range(panel):
        sample = vector(source, rows[first + i] * n + first_feature, n_features)
        for k in range(whole, n_features):
            scratch[k * panel + i] = scale * sample[k] + shift


@inner
def _start_with_bias(plan, parameters, Z, l):
    b = vector(parameters, plan.layers[l, B], Z.shape[0])
    for j in range(Z.shape[0]):
        for i in range(Z.shape[1]):
            Z[j, i] = b[j]


@inner
def _add_matrix_vector(parameters, w, x, z):
    """z += W x, for W (n, n_prev) at `w`."""
    for j in range(z.size):
        row = vector(parameters, w + j * x.size, x.size)
        total = z.dtype.type(0)
        for k in range(x.size):
            total += row[k] * x[k]
        z[j] += total


@inner
def _first_layer(plan, parameters, workspace, scratch, source, rows, block):
    """Z of the first layer, from the samples."""
    n, n_in, w = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.layers[0, W]
    Z = _block(plan, workspace, 0, A, block)
    first = block * plan.block_rows
    _start_with_bias(plan, parameters, Z, 0)
    if plan.block_rows == 1:
        x = vector(scratch, 0, n_in)
        _read_sample(plan, x, source, rows[first] * n_in)
        _add_matrix_vector(parameters, w, x, _flat(Z))
        return
    for k in range(0, n_in, plan.features_at_once):
        n_features = min(plan.features_at_once, n_in - k)
        _read_columns(plan, scratch, source, rows, first, k, n_features)
        _add_product(
            n,
            scratch.dtype.type(1),
            _flat(Z),
            0,
            plan.block_rows,
            parameters,
            w + k,
            n_in,
            1,
            0,
            scratch,
            0,
            1,
            n_features,
        )


@inner
def _forward(plan, parameters, workspace, block):
    """A of all layers from the first one's Z; the last layer is left at its logits Z."""
    n_layers = plan.layers.shape[0]
    for l in range(1, n_layers):
        A_prev = _block(plan, workspace, l - 1, A, block)
        activate(plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1], _flat(A_prev), _flat(A_prev))
        Z = _block(plan, workspace, l, A, block)
        _start_with_bias(plan, parameters, Z, l)
        w, n_in = plan.layers[l, W], plan.layers[l, N_IN]
        if plan.block_rows == 1:
            _add_matrix_vector(parameters, w, _flat(A_prev), _flat(Z))
        else:
            _add_product(
                Z.shape[0], Z.dtype.type(1), _flat(Z), 0, plan.block_rows, parameters, w, n_in, 1, 0,
                _flat(A_prev), 0, 1, n_in,
            )  # fmt: skip


@inner
def _count_hits(loss, Z, Y, hits):
    """hits[i] = whether the class predicted from the logits Z[:, i] is Y[0, i]; 0 for regression."""
    for i in range(Z.shape[1]):
        hits[i] = 0
        if loss == LOG_LOSS:
            hits[i] = 1 if (Z[0, i] > 0) == (Y[0, i] > 0.5) else 0
        elif loss == CROSS_ENTROPY:
            best = 0
            for j in range(1, Z.shape[0]):
                if Z[j, i] > Z[best, i]:
                    best = j
            hits[i] = 1 if best == int(Y[0, i]) else 0


@inner
def _cost(plan, workspace, targets, rows, m, block):
    """Losses of a block, and the last layer's dZ."""
    last_layer = plan.layers.shape[0] - 1
    activation, slope = plan.layers[last_layer, ACTIVATION], plan.slopes[last_layer]
    first, size = block * plan.block_rows, plan.block_rows
    Z, dZ = _block(plan, workspace, last_layer, A, block), _block(plan, workspace, last_layer, DZ, block)
    Y = matrix(workspace, plan.Y + first * plan.n_targets, plan.n_targets, size)
    for i in range(size):
        for j in range(plan.n_targets):
            Y[j, i] = targets[rows[first + i], j]
    L = vector(workspace, plan.L + first, size)
    _count_hits(plan.loss, Z, Y, vector(workspace, plan.hits + first, size))
    weight = Z.dtype.type(1) / Z.dtype.type(m)
    if plan.loss == LOG_LOSS:
        log_loss_columns(Z, Y, L, dZ, weight)
    elif plan.loss == CROSS_ENTROPY:
        cross_entropy_columns(Z, Y, L, dZ, weight)
    else:
        activate(activation, slope, _flat(Z), _flat(Z))
        squared_error_columns(Z, Y, L, dZ, weight)
        derive(activation, slope, _flat(dZ), _flat(Z), _flat(dZ))
    for j in range(dZ.shape[0]):
        for i in range(m - first, size):
            dZ[j, i] = 0


@inner
def _backward(plan, parameters, workspace, block):
    """dZ of all layers but the last, from the last's."""
    for l in range(plan.layers.shape[0] - 1, 0, -1):
        dZ, dZ_prev = _flat(_block(plan, workspace, l, DZ, block)), _flat(_block(plan, workspace, l - 1, DZ, block))
        w, n, n_in = plan.layers[l, W], plan.layers[l, N_OUT], plan.layers[l, N_IN]
        for j in range(dZ_prev.size):
            dZ_prev[j] = 0
        if plan.block_rows == 1:
            for k in range(n):
                row = vector(parameters, w + k * n_in, n_in)
                for j in range(n_in):
                    dZ_prev[j] += dZ[k] * row[j]
        else:
            _add_product(n_in, dZ.dtype.type(1), dZ_prev, 0, plan.block_rows, parameters, w, 1, n_in, 0, dZ, 0, 1, n)
        A_prev = _flat(_block(plan, workspace, l - 1, A, block))
        derive(plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1], dZ_prev, A_prev, dZ_prev)


@inner
def _store_outputs(plan, workspace, outputs, start, m, block):
    last_layer = plan.layers.shape[0] - 1
    Z = _block(plan, workspace, last_layer, A, block)
    if plan.layers[last_layer, ACTIVATION] == SOFTMAX:
        softmax_columns(Z, Z)
    else:
        activate(plan.layers[last_layer, ACTIVATION], plan.slopes[last_layer], _flat(Z), _flat(Z))
    first = block * plan.block_rows
    for i in range(min(plan.block_rows, m - first)):
        for j in range(Z.shape[0]):
            outputs[start + first + i, j] = Z[j, i]


@inner
def _by_samples(
    block,
    mode,
    plan,
    parameters,
    workspace,
    scratch,
    samples,
    inputs_are_bytes,
    targets,
    outputs,
    order,
    rows,
    start,
    m,
):
    """Phase 1 for one block of samples."""
    stay_out_of_line()
    _find_rows(plan, rows, order, start, m, block * plan.block_rows)
    if inputs_are_bytes:
        _first_layer(plan, parameters, workspace, scratch, samples, rows, block)
    else:
        _first_layer(plan, parameters, workspace, scratch, reinterpret(samples, workspace), rows, block)
    _forward(plan, parameters, workspace, block)
    if mode == PREDICT:
        _store_outputs(plan, workspace, outputs, start, m, block)
        return
    _cost(plan, workspace, targets, rows, m, block)
    if mode >= GRADIENT:
        _backward(plan, parameters, workspace, block)


# ---------------------------------------------------------------- phase 2: by weights


@inner
def _gather_inputs(plan, scratch, source, rows, m, first_column, width):
    """Columns of the samples as a panel: scratch[i, c] = scale * x + shift, with zeros beyond `width`."""
    stay_out_of_line()
    panel, n = _panel(scratch), plan.layers[0, N_IN]
    scale, shift = scratch.dtype.type(plan.scale), scratch.dtype.type(plan.shift)
    for i in range(m):
        given, taken = vector(source, rows[i] * n + first_column, width), vector(scratch, i * panel, panel)
        if width == panel:
            for c in range(panel):
                taken[c] = scale * given[c] + shift
        else:
            for c in range(width):
                taken[c] = scale * given[c] + shift
            for c in range(width, panel):
                taken[c] = 0


@inner
def _gather_activations(plan, scratch, workspace, l, blocks, first_column, width):
    """Columns first_column on of layer l's A, all samples, as a panel, with zeros beyond `width`."""
    stay_out_of_line()
    panel, lanes, size = _panel(scratch), VECTOR_BYTES // scratch.itemsize, plan.block_rows
    one, zero = scratch.dtype.type(1), scratch.dtype.type(0)
    for block in range(blocks):
        M = _block(plan, workspace, l, A, block)
        t = block * size * panel
        if size == panel and width == panel:
            flat = _flat(M)
            for c in range(0, panel, lanes):
                for i in range(0, panel, lanes):
                    s = (first_column + c) * panel + i
                    transpose(scratch, t + i * panel + c, flat, s, plan.numbers, 0, panel, one, zero)
        else:
            taken = matrix(scratch, t, size, panel)
            for i in range(size):
                for c in range(width):
                    taken[i, c] = M[first_column + c, i]
                for c in range(width, panel):
                    taken[i, c] = 0


@inner
def _by_weights(
    index, mode, plan, parameters, gradients, workspace, scratch, samples, inputs_are_bytes, rows, m, learning_rate
):
    """Phase 2 for one task: a panel's columns and some rows of one layer's W."""
    stay_out_of_line()
    task = plan.tasks[index]
    l, column, first_row, last_row = task[TASK_LAYER], task[FIRST_COLUMN], task[FIRST_ROW], task[LAST_ROW]
    n, n_in = plan.layers[l, N_OUT], plan.layers[l, N_IN]
    panel, size = _panel(scratch), plan.block_rows
    width = min(panel, n_in - column)
    blocks = n_blocks(m, size)
    if l > 0:
        _gather_activations(plan, scratch, workspace, l - 1, blocks, column, width)
    elif inputs_are_bytes:
        _gather_inputs(plan, scratch, samples, rows, blocks * size, column, width)
    else:
        _gather_inputs(plan, scratch, reinterpret(samples, workspace), rows, blocks * size, column, width)
    if mode == TRAIN:
        changed, alpha = parameters, scratch.dtype.type(-learning_rate)
    else:
        changed, alpha = gradients, scratch.dtype.type(1)
        for j in range(first_row, last_row):
            cleared = vector(gradients, plan.layers[l, W] + j * n_in + column, width)
            for c in range(width):
                cleared[c] = 0
    # dZ of a row of W: one number a sample, block after block.
    dZ, w = plan.layers[l, DZ], plan.layers[l, W] + column
    a_row, a_k, a_block, n_k = (1, n, 0, blocks) if size == 1 else (size, 1, n * size, size)
    times = 1 if size == 1 else blocks
    if width == panel:
        _add_product(
            last_row - first_row, alpha, changed, w + first_row * n_in, n_in, workspace, dZ + first_row * a_row,
            a_row, a_k, a_block, scratch, 0, times, n_k,
        )  # fmt: skip
    else:
        # A panel that is wider than what is left of W works on a copy of it.
        edge = matrix(scratch, blocks * size * panel, HEIGHTS[0], panel)
        for j in range(first_row, last_row, HEIGHTS[0]):
            height = min(HEIGHTS[0], last_row - j)
            target = matrix(changed, plan.layers[l, W] + j * n_in, height, n_in)
            for r in range(height):
                for c in range(width):
                    edge[r, c] = target[r, column + c]
            _add_product(
                height, alpha, _flat(edge), 0, panel, workspace, dZ + j * a_row, a_row, a_k, a_block, scratch, 0,
                times, n_k,
            )  # fmt: skip
            for r in range(height):
                for c in range(width):
                    target[r, column + c] = edge[r, c]
    if column == 0:
        b = vector(changed, plan.layers[l, B], n)
        for j in range(first_row, last_row):
            total = alpha * 0
            for block in range(blocks):
                numbers = vector(workspace, dZ + block * n * size + j * size, size)
                for i in range(size):
                    total += numbers[i]
            b[j] = (b[j] if mode == TRAIN else 0) + alpha * total


# ---------------------------------------------------------------- steps


@inner
def _do(
    phase, worker, workers, tasks, mode, plan, parameters, gradients, workspace, samples, inputs_are_bytes, targets,
    outputs, order, rows, start, m, learning_rate,
):  # fmt: skip
    """One worker's tasks of a phase, every so many'th of all: one parallel loop serves both phases."""
    scratch = vector(workspace, plan.scratch + worker * plan.scratch_size, plan.scratch_size)
    for task in range(worker, tasks, workers):
        if phase == BY_SAMPLES:
            _by_samples(
                task, mode, plan, parameters, workspace, scratch, samples, inputs_are_bytes, targets, outputs, order,
                rows, start, m,
            )  # fmt: skip
        else:
            _by_weights(
                task, mode, plan, parameters, gradients, workspace, scratch, samples, inputs_are_bytes, rows, m,
                learning_rate,
            )  # fmt: skip


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
    rows,
    batch_size,
    first_step,
    last_step,
    learning_rate,
    costs,
    hits,
    workers,
):
    """Run steps `first_step` to `last_step` (exclusive), a mini-batch each, and return the step that comes next.

    mode            PREDICT, EVALUATE, GRADIENT or TRAIN of `codes`
    plan            the network, laid out for mini-batches of at least `batch_size`
    parameters      (n,) of the dtype of everything: all W and b
    gradients       (n,): all dW and db, written in mode GRADIENT
    workspace       the plan's activations and derivatives
    samples         the bytes, 1-D uint8, of X (m, n_0): uint8 pixels if `inputs_are_bytes`, else of the dtype
    targets         Y (m, plan.n_targets), one class index a row for cross-entropy; empty for PREDICT
    outputs         (m, n_L), written by PREDICT; else empty
    order           int64, the rows in the order of use, for as many epochs as the steps span; empty: as they lie
    rows            int64, room for the rows of one mini-batch, whole blocks of them
    costs, hits     float64, an entry a step: the cost before the step's update, and the number of right classes
    workers         how many threads share a step, at most as many as the plan has room for

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
            tasks = n_blocks(m, plan.block_rows) if phase == BY_SAMPLES else plan.tasks.shape[0]
            if workers > 1:
                for worker in prange(workers):
                    _do(
                        phase, np.int64(worker), workers, tasks, mode, plan, parameters, gradients, workspace, samples,
                        inputs_are_bytes, targets, outputs, order, rows, start, m, learning_rate,
                    )  # fmt: skip
            else:
                _do(
                    phase, 0, 1, tasks, mode, plan, parameters, gradients, workspace, samples, inputs_are_bytes,
                    targets, outputs, order, rows, start, m, learning_rate,
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
