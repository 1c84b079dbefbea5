"""Phase 1 of a training step: a block of samples goes forward through the whole network, and its dZ come back."""

from ..codes import ACTIVATION, CROSS_ENTROPY, DZ, GRADIENT, LOG_LOSS, N_IN, N_OUT, PREDICT, SOFTMAX, W_STRIDE, A, B, W
from .activations import activate, derive, softmax_columns
from .compiling import inner, routine
from .losses import cross_entropy_columns, log_loss_columns, squared_error_columns
from .microkernel import VECTOR_BYTES, transpose
from .panels import add_product, block_of, flat, panel_width
from .views import matrix, reinterpret, vector


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


@routine
def _read_columns(plan, scratch, source, rows, first, first_feature, n_features):
    """Features of a block, each feature a row of the panel `scratch`."""
    panel, lanes = panel_width(scratch), VECTOR_BYTES // scratch.itemsize
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
        Z, first = block_of(plan, workspace, 0, A, block), block * plan.block_rows
        _start_with_bias(plan, parameters, Z, 0)
        if plan.is_single_unit:
            _add_single_unit(plan, parameters, source, rows, first, flat(Z))
        elif plan.block_rows == 1:
            x = vector(scratch, 0, n_in)
            _read_sample(plan, x, source, rows[first] * n_in)
            _add_matrix_vector(plan, parameters, 0, x, flat(Z))
    if plan.is_single_unit or plan.block_rows == 1:
        return
    # All blocks take a few features before any takes the next ones: so much of W stays in cache.
    for k in range(0, n_in, plan.features_at_once):
        n_features = min(plan.features_at_once, n_in - k)
        for block in range(worker, blocks, workers):
            Z = block_of(plan, workspace, 0, A, block)
            _read_columns(plan, scratch, source, rows, block * plan.block_rows, k, n_features)
            add_product(
                Z.shape[0], Z.dtype.type(1), flat(Z), 0, plan.block_rows, parameters, plan.layers[0, W] + k,
                plan.layers[0, W_STRIDE], 1, 0, scratch, 0, 1, n_features,
            )  # fmt: skip


@inner
def _forward(plan, parameters, workspace, block):
    """A of all layers from the first one's Z; the last layer is left at its logits Z."""
    n_layers = plan.layers.shape[0]
    for l in range(1, n_layers):
        A_prev = block_of(plan, workspace, l - 1, A, block)
        activate(plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1], flat(A_prev))
        Z = block_of(plan, workspace, l, A, block)
        _start_with_bias(plan, parameters, Z, l)
        if plan.block_rows == 1:
            _add_matrix_vector(plan, parameters, l, flat(A_prev), flat(Z))
        else:
            add_product(
                Z.shape[0], Z.dtype.type(1), flat(Z), 0, plan.block_rows, parameters, plan.layers[l, W],
                plan.layers[l, W_STRIDE], 1, 0, flat(A_prev), 0, 1, A_prev.shape[0],
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
    Z, dZ = block_of(plan, workspace, last_layer, A, block), block_of(plan, workspace, last_layer, DZ, block)
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
        activate(activation, slope, flat(Z))
        squared_error_columns(Z, Y, L, dZ, weight)
        derive(activation, slope, flat(Z), flat(dZ))
    for j in range(dZ.shape[0]):
        for i in range(m - first, size):
            dZ[j, i] = 0


@inner
def _backward(plan, parameters, workspace, block):
    """dZ of all layers but the last, from the last's."""
    for l in range(plan.layers.shape[0] - 1, 0, -1):
        dZ, dZ_prev = flat(block_of(plan, workspace, l, DZ, block)), flat(block_of(plan, workspace, l - 1, DZ, block))
        w, stride, n, n_in = plan.layers[l, W], plan.layers[l, W_STRIDE], plan.layers[l, N_OUT], plan.layers[l, N_IN]
        for j in range(dZ_prev.size):
            dZ_prev[j] = 0
        if plan.block_rows == 1:
            for k in range(n):
                row = vector(parameters, w + k * stride, n_in)
                for j in range(n_in):
                    dZ_prev[j] += dZ[k] * row[j]
        else:
            add_product(n_in, dZ.dtype.type(1), dZ_prev, 0, plan.block_rows, parameters, w, 1, stride, 0, dZ, 0, 1, n)
        A_prev = flat(block_of(plan, workspace, l - 1, A, block))
        derive(plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1], A_prev, dZ_prev)


@inner
def _store_outputs(plan, workspace, outputs, start, m, block):
    last_layer = plan.layers.shape[0] - 1
    Z = block_of(plan, workspace, last_layer, A, block)
    if plan.layers[last_layer, ACTIVATION] == SOFTMAX:
        softmax_columns(Z, Z)
    else:
        activate(plan.layers[last_layer, ACTIVATION], plan.slopes[last_layer], flat(Z))
    first = block * plan.block_rows
    for i in range(min(plan.block_rows, m - first)):
        for j in range(Z.shape[0]):
            outputs[start + first + i, j] = Z[j, i]


@routine
def by_samples(
    worker, workers, blocks, mode, plan, parameters, workspace, scratch, samples, inputs_are_bytes, targets, outputs,
    order, rows, start, m,
):  # fmt: skip
    """Phase 1 for one worker: every so many'th block of samples."""
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
