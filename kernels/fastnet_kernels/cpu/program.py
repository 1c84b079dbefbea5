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
    LAST_COLUMN,
    LAST_ROW,
    LOG_LOSS,
    N_IN,
    N_OUT,
    PREDICT,
    SOFTMAX,
    TASK_LAYER,
    W_STRIDE,
    A,
    B,
    W,
)
from .activations import activate, derive, softmax_columns
from .blocks import n_blocks
from .compiling import inner, kernel, stay_out_of_line, subroutine
from .losses import cross_entropy_columns, log_loss_columns, squared_error_columns
from .microkernel import PANEL_BYTES, PANEL_HEIGHTS, VECTOR_BYTES, panel_tile, prefetch, read_panel_row, transpose
from .views import matrix, reinterpret, vector

BY_SAMPLES, BY_WEIGHTS = range(2)

_LINE_BYTES = 64  # of a cache line
_ROWS_AHEAD = 8  # samples that lie far from each other are asked for so early; `rows` has so many more


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


@subroutine
def _add_product(rows, alpha, C, c, c_row, A, a, a_row, a_k, a_block, B, b, blocks, n_k):
    """`panel_tile` for any number of rows, in tiles of like height: a low one does not keep the FMA units busy."""
    stay_out_of_line()
    row = 0
    while row < rows:
        left = rows - row
        wanted = n_blocks(left, n_blocks(left, PANEL_HEIGHTS[0]))
        height = 1
        for size in PANEL_HEIGHTS:
            if size <= left and (size >= wanted or height == 1):
                height = size
        panel_tile(height, alpha, C, c + row * c_row, c_row, A, a + row * a_row, a_row, a_k, a_block, B, b, blocks, n_k)
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


@subroutine
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
    places = vector(rows, first, panel)
    for k in range(whole, n_features):
        row = vector(scratch, k * panel, panel)
        for i in range(panel):
            row[i] = scale * source[places[i] * n + first_feature + k] + shift


@inner
def _start_with_bias(plan, parameters, Z, l):
    b = vector(parameters, plan.layers[l, B], Z.shape[0])
    for j in range(Z.shape[0]):
        for i in range(Z.shape[1]):
            Z[j, i] = b[j]


@inner
def _add_matrix_vector(plan, parameters, l, x, z):
    """z += W x."""
    for j in range(z.size):
        row = vector(parameters, plan.layers[l, W] + j * plan.layers[l, W_STRIDE], x.size)
        total = z.dtype.type(0)
        for k in range(x.size):
            total += row[k] * x[k]
        z[j] += total


@inner
def _add_single_unit(plan, parameters, source, rows, first, z):
    """z[i] += w (scale * x + shift), for the four samples x of a block where they lie: four streams from memory."""
    n, scale, shift = plan.layers[0, N_IN], z.dtype.type(plan.scale), z.dtype.type(plan.shift)
    weights = vector(parameters, plan.layers[0, W], n)
    x, y = vector(source, rows[first] * n, n), vector(source, rows[first + 1] * n, n)
    v, w = vector(source, rows[first + 2] * n, n), vector(source, rows[first + 3] * n, n)
    of_x = of_y = of_v = of_w = of_shift = z.dtype.type(0)
    for k in range(n):
        of_x += weights[k] * x[k]
        of_y += weights[k] * y[k]
        of_v += weights[k] * v[k]
        of_w += weights[k] * w[k]
        of_shift += weights[k]
    z[0] += scale * of_x + shift * of_shift
    z[1] += scale * of_y + shift * of_shift
    z[2] += scale * of_v + shift * of_shift
    z[3] += scale * of_w + shift * of_shift


@inner
def _first_layer(plan, parameters, workspace, scratch, source, rows, worker, workers, blocks):
    """Z of the first layer, from the samples, of all blocks of one worker."""
    n_in = plan.layers[0, N_IN]
    for block in range(worker, blocks, workers):
        Z, first = _block(plan, workspace, 0, A, block), block * plan.block_rows
        _start_with_bias(plan, parameters, Z, 0)
        if plan.is_single_unit:
            _add_single_unit(plan, parameters, source, rows, first, _flat(Z))
        elif plan.block_rows == 1:
            x = vector(scratch, 0, n_in)
            _read_sample(plan, x, source, rows[first] * n_in)
            _add_matrix_vector(plan, parameters, 0, x, _flat(Z))
    if plan.block_rows < _panel(scratch):
        return
    # All blocks take a few features before any takes the next ones: so much of W stays in cache.
    for k in range(0, n_in, plan.features_at_once):
        n_features = min(plan.features_at_once, n_in - k)
        for block in range(worker, blocks, workers):
            Z = _block(plan, workspace, 0, A, block)
            _read_columns(plan, scratch, source, rows, block * plan.block_rows, k, n_features)
            _add_product(
                Z.shape[0], Z.dtype.type(1), _flat(Z), 0, plan.block_rows, parameters, plan.layers[0, W] + k,
                plan.layers[0, W_STRIDE], 1, 0, scratch, 0, 1, n_features,
            )  # fmt: skip


@inner
def _forward(plan, parameters, workspace, block):
    """A of all layers from the first one's Z; the last layer is left at its logits Z."""
    n_layers = plan.layers.shape[0]
    for l in range(1, n_layers):
        A_prev = _block(plan, workspace, l - 1, A, block)
        activate(plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1], _flat(A_prev))
        Z = _block(plan, workspace, l, A, block)
        _start_with_bias(plan, parameters, Z, l)
        if plan.block_rows == 1:
            _add_matrix_vector(plan, parameters, l, _flat(A_prev), _flat(Z))
        else:
            _add_product(
                Z.shape[0], Z.dtype.type(1), _flat(Z), 0, plan.block_rows, parameters, plan.layers[l, W],
                plan.layers[l, W_STRIDE], 1, 0, _flat(A_prev), 0, 1, A_prev.shape[0],
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
    places, flat_targets = vector(rows, first, size), vector(targets, 0, targets.size)
    for j in range(plan.n_targets):
        for i in range(size):
            Y[j, i] = flat_targets[places[i] * plan.n_targets + j]
    L = vector(workspace, plan.L + first, size)
    _count_hits(plan.loss, Z, Y, vector(workspace, plan.hits + first, size))
    weight = Z.dtype.type(1) / Z.dtype.type(m)
    if plan.loss == LOG_LOSS:
        log_loss_columns(Z, Y, L, dZ, weight)
    elif plan.loss == CROSS_ENTROPY:
        cross_entropy_columns(Z, Y, L, dZ, weight)
    else:
        activate(activation, slope, _flat(Z))
        squared_error_columns(Z, Y, L, dZ, weight)
        derive(activation, slope, _flat(Z), _flat(dZ))
    for j in range(dZ.shape[0]):
        for i in range(m - first, size):
            dZ[j, i] = 0


@inner
def _backward(plan, parameters, workspace, block):
    """dZ of all layers but the last, from the last's."""
    for l in range(plan.layers.shape[0] - 1, 0, -1):
        dZ, dZ_prev = _flat(_block(plan, workspace, l, DZ, block)), _flat(_block(plan, workspace, l - 1, DZ, block))
        w, stride, n, n_in = plan.layers[l, W], plan.layers[l, W_STRIDE], plan.layers[l, N_OUT], plan.layers[l, N_IN]
        for j in range(dZ_prev.size):
            dZ_prev[j] = 0
        if plan.block_rows == 1:
            for k in range(n):
                row = vector(parameters, w + k * stride, n_in)
                for j in range(n_in):
                    dZ_prev[j] += dZ[k] * row[j]
        else:
            _add_product(n_in, dZ.dtype.type(1), dZ_prev, 0, plan.block_rows, parameters, w, 1, stride, 0, dZ, 0, 1, n)
        A_prev = _flat(_block(plan, workspace, l - 1, A, block))
        derive(plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1], A_prev, dZ_prev)


@inner
def _store_outputs(plan, workspace, outputs, start, m, block):
    last_layer = plan.layers.shape[0] - 1
    Z = _block(plan, workspace, last_layer, A, block)
    if plan.layers[last_layer, ACTIVATION] == SOFTMAX:
        softmax_columns(Z, Z)
    else:
        activate(plan.layers[last_layer, ACTIVATION], plan.slopes[last_layer], _flat(Z))
    first = block * plan.block_rows
    for i in range(min(plan.block_rows, m - first)):
        for j in range(Z.shape[0]):
            outputs[start + first + i, j] = Z[j, i]


@subroutine
def _by_samples(
    worker, workers, blocks, mode, plan, parameters, workspace, scratch, samples, inputs_are_bytes, targets, outputs,
    order, rows, start, m,
):  # fmt: skip
    """Phase 1 for one worker: every so many'th block of samples."""
    stay_out_of_line()
    for block in range(worker, blocks, workers):
        _find_rows(plan, rows, order, start, m, block * plan.block_rows)
    if inputs_are_bytes:
        _first_layer(plan, parameters, workspace, scratch, samples, rows, worker, workers, blocks)
    else:
        numbers = reinterpret(samples, workspace)
        _first_layer(plan, parameters, workspace, scratch, numbers, rows, worker, workers, blocks)
    for block in range(worker, blocks, workers):
        _forward(plan, parameters, workspace, block)
        if mode == PREDICT:
            _store_outputs(plan, workspace, outputs, start, m, block)
        else:
            _cost(plan, workspace, targets, rows, m, block)
        if mode >= GRADIENT:
            _backward(plan, parameters, workspace, block)


# ---------------------------------------------------------------- phase 2: by weights


@inner
def _gather_inputs(plan, scratch, source, rows, first, count, first_column, last_column, room):
    """Columns of samples `first` on as panels, each with `room`: scale * x + shift. Beyond the last is no meaning."""
    panel, n = _panel(scratch), plan.layers[0, N_IN]
    scale, shift = scratch.dtype.type(plan.scale), scratch.dtype.type(plan.shift)
    for i in range(count):
        t, ahead = i * panel, rows[first + i + _ROWS_AHEAD] * n
        for column in range(first_column, last_column, _LINE_BYTES // source.itemsize):
            prefetch(source, ahead + column)
        for column in range(first_column, last_column, panel):
            place = rows[first + i] * n + column
            if place + panel <= source.size:
                read_panel_row(scratch, t, source, place, scale, shift)
            else:
                given, taken = vector(source, place, last_column - column), vector(scratch, t, last_column - column)
                for c in range(taken.size):
                    taken[c] = scale * given[c] + shift
            t += room


@inner
def _gather_activations(plan, scratch, t, workspace, l, first_block, blocks, column, width):
    """The same from layer l's A; what stands beyond `width` belongs to another block, and means nothing either."""
    panel, lanes, size = _panel(scratch), VECTOR_BYTES // scratch.itemsize, plan.block_rows
    one, zero = scratch.dtype.type(1), scratch.dtype.type(0)
    for block in range(blocks):
        M = _flat(_block(plan, workspace, l, A, first_block + block))
        start = t + block * size * panel
        if size == 1:
            taken = vector(scratch, start, width)
            for c in range(width):
                taken[c] = M[column + c]
        else:
            for c in range(0, width, lanes):
                for i in range(0, panel, lanes):
                    s = (column + c) * panel + i
                    transpose(scratch, start + i * panel + c, M, s, plan.numbers, 0, panel, one, zero)


@subroutine
def _gather(
    plan, scratch, workspace, samples, inputs_are_bytes, rows, l, first_block, blocks, first_column, last_column, room
):  # fmt: skip
    """Columns of what layer l reads, of some blocks, as panels: a sample a row."""
    stay_out_of_line()
    first, count = first_block * plan.block_rows, blocks * plan.block_rows
    if l > 0:
        for column in range(first_column, last_column, _panel(scratch)):
            t, width = (column - first_column) // _panel(scratch) * room, min(_panel(scratch), last_column - column)
            _gather_activations(plan, scratch, t, workspace, l - 1, first_block, blocks, column, width)
    elif inputs_are_bytes:
        _gather_inputs(plan, scratch, samples, rows, first, count, first_column, last_column, room)
    else:
        numbers = reinterpret(samples, workspace)
        _gather_inputs(plan, scratch, numbers, rows, first, count, first_column, last_column, room)


@inner
def _add_panel(plan, alpha, changed, scratch, t, workspace, l, first_block, blocks, column, width, first_row, last_row):
    """changed[rows, columns] += alpha * dZ^T A_prev, over some blocks, whose A_prev is the panel at `t`."""
    n, stride, panel, size = plan.layers[l, N_OUT], plan.layers[l, W_STRIDE], _panel(scratch), plan.block_rows
    w, dZ = plan.layers[l, W] + column, plan.layers[l, DZ] + first_block * n * size
    # dZ of one row of W: numbers of a block lie together; blocks of one sample are one long block.
    a_row, a_k, times, n_k = (1, n, 1, blocks) if size == 1 else (size, 1, blocks, size)
    if width == panel:
        _add_product(
            last_row - first_row, alpha, changed, w + first_row * stride, stride, workspace, dZ + first_row * a_row,
            a_row, a_k, n * size, scratch, t, times, n_k,
        )  # fmt: skip
        return
    # Where a panel is wider than what is left of W, it works on a copy.
    edge = matrix(scratch, plan.edge, PANEL_HEIGHTS[0], panel)
    for j in range(first_row, last_row, PANEL_HEIGHTS[0]):
        height = min(PANEL_HEIGHTS[0], last_row - j)
        for r in range(height):
            row = vector(changed, w + (j + r) * stride, width)
            for c in range(width):
                edge[r, c] = row[c]
        _add_product(
            height, alpha, _flat(edge), 0, panel, workspace, dZ + j * a_row, a_row, a_k, n * size, scratch, t,
            times, n_k,
        )  # fmt: skip
        for r in range(height):
            row = vector(changed, w + (j + r) * stride, width)
            for c in range(width):
                row[c] = edge[r, c]


@inner
def _add_samples(plan, alpha, changed, workspace, source, rows, m, column, width):
    """The same for a network of a single unit and samples in their own rows, four at a time."""
    target, n = vector(changed, plan.layers[0, W] + column, width), plan.layers[0, N_IN]
    count = n_blocks(m, plan.block_rows) * plan.block_rows
    dZ = vector(workspace, plan.layers[0, DZ], count)
    scale, shift, total = type(alpha)(plan.scale), type(alpha)(plan.shift), alpha * 0
    for i in range(0, count, 4):
        a, b, c, d = alpha * dZ[i], alpha * dZ[i + 1], alpha * dZ[i + 2], alpha * dZ[i + 3]
        total += a + b + c + d
        a, b, c, d = scale * a, scale * b, scale * c, scale * d
        x, y = vector(source, rows[i] * n + column, width), vector(source, rows[i + 1] * n + column, width)
        v, w = vector(source, rows[i + 2] * n + column, width), vector(source, rows[i + 3] * n + column, width)
        for k in range(width):
            target[k] += a * x[k] + b * y[k] + c * v[k] + d * w[k]
    for k in range(width):
        target[k] += shift * total


@inner
def _add_bias(plan, alpha, changed, workspace, l, blocks, first_row, last_row):
    """db of some rows: the sum of dZ over all samples."""
    n, size = plan.layers[l, N_OUT], plan.block_rows
    b = vector(changed, plan.layers[l, B], n)
    for j in range(first_row, last_row):
        total = alpha * 0
        for block in range(blocks):
            numbers = vector(workspace, plan.layers[l, DZ] + (block * n + j) * size, size)
            for i in range(size):
                total += numbers[i]
        b[j] += alpha * total


@subroutine
def _by_weights(
    index, mode, plan, parameters, gradients, workspace, scratch, samples, inputs_are_bytes, rows, m, learning_rate
):
    """Phase 2 for one task: some columns and rows of one layer's W, and with the first columns b."""
    stay_out_of_line()
    task = plan.tasks[index]
    l, first_column, last_column = task[TASK_LAYER], task[FIRST_COLUMN], task[LAST_COLUMN]
    first_row, last_row = task[FIRST_ROW], task[LAST_ROW]
    panel, blocks = _panel(scratch), n_blocks(m, plan.block_rows)
    changed, alpha = parameters, scratch.dtype.type(-learning_rate)
    if mode == GRADIENT:
        changed, alpha = gradients, scratch.dtype.type(1)
        for j in range(first_row, last_row):
            place = plan.layers[l, W] + j * plan.layers[l, W_STRIDE] + first_column
            row = vector(gradients, place, last_column - first_column)
            for c in range(row.size):
                row[c] = 0
            if first_column == 0:
                gradients[plan.layers[l, B] + j] = 0
    if first_column == 0:
        _add_bias(plan, alpha, changed, workspace, l, blocks, first_row, last_row)
    if plan.is_single_unit:
        width = last_column - first_column
        if inputs_are_bytes:
            _add_samples(plan, alpha, changed, workspace, samples, rows, m, first_column, width)
        else:
            numbers = reinterpret(samples, workspace)
            _add_samples(plan, alpha, changed, workspace, numbers, rows, m, first_column, width)
        return
    for first_block in range(0, blocks, plan.blocks_at_once):
        count = min(plan.blocks_at_once, blocks - first_block)
        room = plan.blocks_at_once * plan.block_rows * panel
        _gather(
            plan, scratch, workspace, samples, inputs_are_bytes, rows, l, first_block, count, first_column,
            last_column, room,
        )  # fmt: skip
        for column in range(first_column, last_column, panel):
            t = (column - first_column) // panel * room
            width = min(panel, last_column - column)
            _add_panel(
                plan, alpha, changed, scratch, t, workspace, l, first_block, count, column, width, first_row, last_row
            )


# ---------------------------------------------------------------- steps


@inner
def _do(
    phase, worker, workers, tasks, mode, plan, parameters, gradients, workspace, samples, inputs_are_bytes, targets,
    outputs, order, rows, start, m, learning_rate,
):  # fmt: skip
    """One worker's tasks of a phase, every so many'th of all: one parallel loop serves both phases."""
    scratch = vector(workspace, plan.scratch + worker * plan.scratch_size, plan.scratch_size)
    if phase == BY_SAMPLES:
        _by_samples(
            worker, workers, tasks, mode, plan, parameters, workspace, scratch, samples, inputs_are_bytes, targets,
            outputs, order, rows, start, m,
        )  # fmt: skip
    else:
        for task in range(worker, tasks, workers):
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
