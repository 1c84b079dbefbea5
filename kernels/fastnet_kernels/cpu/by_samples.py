"""Phase 1 of a training step: a block of samples goes forward through the whole network, and its dZ come back."""

from ..codes import (
    ACTIVATION,
    AS_THEY_LIE,
    CROSS_ENTROPY,
    DZ,
    GRADIENT,
    IN_ONE_PASS,
    KEPT,
    LOG_LOSS,
    N_IN,
    N_OUT,
    ONE_BY_ONE,
    PREDICT,
    SOFTMAX,
    SUM_OF_DW,
    W_STRIDE,
    A,
    B,
    W,
)
from .activations import activate, derive, softmax_columns
from .compiling import inner, routine
from .inputs import find_rows, lie_ready, mark_what_is_not_finite, read_rows, turn
from .losses import cross_entropy_columns, log_loss_columns, squared_error_columns
from .products import add_dots, add_product, add_rows
from .views import matrix, reinterpret, vector

_NUMBERS_AT_ONCE = 16384  # of W
_SAMPLES_AT_ONCE = 4  # of a dot product's tiles: their features stay in the first-level cache


@inner
def place_of(plan, layer, column, block):
    """Where A (or, by its column, dZ) of one layer and block begins in the workspace."""
    return plan.layers[layer, column] + block * plan.layers[layer, N_OUT] * plan.block_rows


@inner
def strides_of(plan, layer):
    """Of A and dZ of a layer in the workspace: from sample to sample, and from unit to unit."""
    if plan.samples_lie == ONE_BY_ONE and layer < plan.layers.shape[0] - 1:
        return plan.layers[layer, N_OUT], 1
    return 1, plan.block_rows


@inner
def _numbers_of(plan, workspace, layer, column, block):
    """A or dZ of one layer and block, as one vector."""
    return vector(workspace, place_of(plan, layer, column, block), plan.layers[layer, N_OUT] * plan.block_rows)


@inner
def _start_with_bias(plan, parameters, workspace, l, block):
    n, size, z = plan.layers[l, N_OUT], plan.block_rows, place_of(plan, l, A, block)
    b = vector(parameters, plan.layers[l, B], n)
    by_sample, _ = strides_of(plan, l)
    if by_sample == 1:
        for j in range(n):
            row = vector(workspace, z + j * size, size)
            for i in range(size):
                row[i] = b[j]
    else:
        for i in range(size):
            row = vector(workspace, z + i * n, n)
            for j in range(n):
                row[j] = b[j]


@inner
def _first_layer_of_rows(plan, parameters, workspace, scratch, samples, are_bytes, rows, m, block, k, n_features):
    """Z += some features' share, in dot products of samples' rows and rows of W."""
    one = workspace.dtype.type(1)
    n, n_in, first = plan.layers[0, N_OUT], plan.layers[0, N_IN], block * plan.block_rows
    by_sample, by_unit = strides_of(plan, 0)
    w, stride = plan.layers[0, W] + k, plan.layers[0, W_STRIDE]
    count = min(plan.block_rows, m - first)
    for i in range(0, count, _SAMPLES_AT_ONCE):
        some, z = min(_SAMPLES_AT_ONCE, count - i), place_of(plan, 0, A, block) + i * by_sample
        if lie_ready(plan, are_bytes):
            add_dots(
                some, n, one, workspace, z, by_sample, by_unit, reinterpret(samples, workspace), k, n_in,
                vector(rows, first + i, some), parameters, w, stride, n_features,
            )  # fmt: skip
        else:
            t = i * n_features
            read_rows(plan, scratch, t, samples, are_bytes, rows, first + i, some, k, n_features)
            add_dots(
                some, n, one, workspace, z, by_sample, by_unit, scratch, t, n_features, plan.numbers, parameters, w,
                stride, n_features,
            )  # fmt: skip


@inner
def _first_layer_of_panels(plan, parameters, workspace, scratch, samples, are_bytes, rows, block, k, n_features, again):
    """The same in products with panels of samples, which may be there from the step before."""
    n, n_in, size = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.block_rows
    z, w, stride = place_of(plan, 0, A, block), plan.layers[0, W] + k, plan.layers[0, W_STRIDE]
    target, t, first = scratch, 0, block * size
    if plan.inputs == KEPT:
        target, t = workspace, plan.X + first * n_in
    if not (again and plan.inputs == KEPT):
        turn(plan, target, t, size, samples, are_bytes, rows, first, size, k, n_features)
    add_product(
        n, size, workspace.dtype.type(1), workspace, z, size, parameters, w, stride, 1, 0, target, t, size, n_features,
        n_features,
    )  # fmt: skip


@routine
def _first_layer(
    mode, plan, parameters, workspace, scratch, samples, are_bytes, rows, m, first_block, step, blocks, again
):
    """Z of the first layer, from the samples, for every so many'th block."""
    n_in, looks = plan.layers[0, N_IN], mode == PREDICT and not are_bytes
    for block in range(first_block, blocks, step):
        _start_with_bias(plan, parameters, workspace, 0, block)
    if plan.samples_lie == ONE_BY_ONE:
        # Few samples: their rows are copied, since dW needs them again.
        if looks:
            mark_what_is_not_finite(plan, workspace, samples, rows, m, 0)
        one = workspace.dtype.type(1)
        by_sample, by_unit = strides_of(plan, 0)
        read_rows(plan, workspace, plan.X, samples, are_bytes, rows, 0, m, 0, n_in)
        add_dots(
            m, plan.layers[0, N_OUT], one, workspace, plan.layers[0, A], by_sample, by_unit, workspace, plan.X, n_in,
            plan.numbers, parameters, plan.layers[0, W], plan.layers[0, W_STRIDE], n_in,
        )  # fmt: skip
        return
    # All blocks take a few features before any takes the next ones: so much of W stays in cache.
    for k in range(0, n_in, plan.features_at_once):
        n_features = min(plan.features_at_once, n_in - k)
        for block in range(first_block, blocks, step):
            if looks and k == 0:
                mark_what_is_not_finite(plan, workspace, samples, rows, m, block * plan.block_rows)
            if plan.inputs == AS_THEY_LIE:
                _first_layer_of_rows(
                    plan, parameters, workspace, scratch, samples, are_bytes, rows, m, block, k, n_features
                )
            else:
                _first_layer_of_panels(
                    plan, parameters, workspace, scratch, samples, are_bytes, rows, block, k, n_features, again
                )


@routine
def _forward(plan, parameters, workspace, m, block):
    """A of all layers from the first one's Z; the last layer is left at its logits Z."""
    one = workspace.dtype.type(1)
    for l in range(1, plan.layers.shape[0]):
        n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
        w, stride = plan.layers[l, W], plan.layers[l, W_STRIDE]
        activate(plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1], _numbers_of(plan, workspace, l - 1, A, block))
        _start_with_bias(plan, parameters, workspace, l, block)
        z, a = place_of(plan, l, A, block), place_of(plan, l - 1, A, block)
        if plan.samples_lie == ONE_BY_ONE:
            by_sample, by_unit = strides_of(plan, l)
            add_dots(
                m, n, one, workspace, z, by_sample, by_unit, workspace, a, n_in, plan.numbers, parameters, w, stride,
                n_in,
            )  # fmt: skip
        else:
            add_product(n, size, one, workspace, z, size, parameters, w, stride, 1, 0, workspace, a, size, n_in, n_in)


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


@routine
def _cost(plan, workspace, targets, rows, m, block):
    """Losses of a block, and the last layer's dZ."""
    last_layer = plan.layers.shape[0] - 1
    activation, slope = plan.layers[last_layer, ACTIVATION], plan.slopes[last_layer]
    first, size, n = block * plan.block_rows, plan.block_rows, plan.layers[last_layer, N_OUT]
    Z = matrix(workspace, place_of(plan, last_layer, A, block), n, size)
    dZ = matrix(workspace, place_of(plan, last_layer, DZ, block), n, size)
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
        activate(activation, slope, vector(workspace, place_of(plan, last_layer, A, block), n * size))
        squared_error_columns(Z, Y, L, dZ, weight)
        derive(
            activation, slope, vector(workspace, place_of(plan, last_layer, A, block), n * size),
            vector(workspace, place_of(plan, last_layer, DZ, block), n * size),
        )  # fmt: skip
    for j in range(n):
        for i in range(m - first, size):
            dZ[j, i] = 0


@routine
def _backward(plan, parameters, workspace, m, block):
    """dZ of all layers but the last, from the last's."""
    one, size = workspace.dtype.type(1), plan.block_rows
    for l in range(plan.layers.shape[0] - 1, 0, -1):
        w, stride, n, n_in = plan.layers[l, W], plan.layers[l, W_STRIDE], plan.layers[l, N_OUT], plan.layers[l, N_IN]
        dz, dz_prev = place_of(plan, l, DZ, block), place_of(plan, l - 1, DZ, block)
        dA_prev = _numbers_of(plan, workspace, l - 1, DZ, block)
        for j in range(dA_prev.size):
            dA_prev[j] = 0
        if plan.samples_lie == ONE_BY_ONE:
            by_sample, by_unit = strides_of(plan, l)
            some = max(4, _NUMBERS_AT_ONCE // n_in)
            for j in range(0, n, some):  # rows of W, which stay in cache for all samples
                for i in range(m):
                    add_rows(
                        workspace, dz_prev + i * n_in, n_in, one, workspace, dz + i * by_sample + j * by_unit, by_unit,
                        min(some, n - j), parameters, w + j * stride, stride, plan.numbers,
                    )  # fmt: skip
        else:
            add_product(
                n_in, size, one, workspace, dz_prev, size, parameters, w, 1, stride, 0, workspace, dz, size, n, n
            )
        A_prev = _numbers_of(plan, workspace, l - 1, A, block)
        derive(plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1], A_prev, dA_prev)


@routine
def _store_outputs(plan, workspace, outputs, start, m, block):
    last_layer = plan.layers.shape[0] - 1
    n, size, z = plan.layers[last_layer, N_OUT], plan.block_rows, place_of(plan, last_layer, A, block)
    Z = matrix(workspace, z, n, size)
    if plan.layers[last_layer, ACTIVATION] == SOFTMAX:
        softmax_columns(Z)
    else:
        activate(plan.layers[last_layer, ACTIVATION], plan.slopes[last_layer], vector(workspace, z, n * size))
    first = block * size
    for i in range(min(size, m - first)):
        for j in range(n):
            outputs[start + first + i, j] = Z[j, i]


@routine
def _add_to_partial(plan, workspace, scratch, samples, are_bytes, rows, m, block):
    """The block's share of dW, of the single layer there is, from samples that are still in cache."""
    n, n_in, size = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.block_rows
    one, first = workspace.dtype.type(1), block * size
    partial, dz = plan.partials + block // plan.blocks_a_partial * n * n_in, place_of(plan, 0, DZ, block)
    if block % plan.blocks_a_partial == 0:
        sums = vector(workspace, partial, n * n_in)
        for k in range(sums.size):
            sums[k] = 0
    count = min(size, m - first)
    for j in range(n):
        if lie_ready(plan, are_bytes):
            add_rows(
                workspace, partial + j * n_in, n_in, one, workspace, dz + j * size, 1, count,
                reinterpret(samples, workspace), 0, n_in, vector(rows, first, count),
            )  # fmt: skip
        else:
            add_rows(
                workspace, partial + j * n_in, n_in, one, workspace, dz + j * size, 1, count, scratch, 0, n_in,
                plan.numbers,
            )  # fmt: skip


@routine
def by_samples(
    worker, workers, blocks, mode, plan, parameters, workspace, scratch, samples, are_bytes, targets, outputs, order,
    rows, start, m, again,
):  # fmt: skip
    """Phase 1 for one worker: every so many'th block of samples, or group of blocks with one partial sum.

    `again` says that these are the samples of the step before, in the same order.
    """
    in_one_pass = mode >= GRADIENT and plan.layers[0, SUM_OF_DW] == IN_ONE_PASS
    if in_one_pass:
        for group in range(worker * plan.blocks_a_partial, blocks, workers * plan.blocks_a_partial):
            for block in range(group, min(group + plan.blocks_a_partial, blocks)):
                find_rows(plan, rows, order, start, m, block * plan.block_rows)
                _first_layer(
                    mode, plan, parameters, workspace, scratch, samples, are_bytes, rows, m, block, 1, block + 1, again
                )
                _cost(plan, workspace, targets, rows, m, block)
                _add_to_partial(plan, workspace, scratch, samples, are_bytes, rows, m, block)
        return
    for block in range(worker, blocks, workers):
        find_rows(plan, rows, order, start, m, block * plan.block_rows)
    if worker < blocks:
        _first_layer(
            mode, plan, parameters, workspace, scratch, samples, are_bytes, rows, m, worker, workers, blocks, again
        )
    for block in range(worker, blocks, workers):
        _forward(plan, parameters, workspace, m, block)
        if mode == PREDICT:
            _store_outputs(plan, workspace, outputs, start, m, block)
        else:
            _cost(plan, workspace, targets, rows, m, block)
        if mode >= GRADIENT:
            _backward(plan, parameters, workspace, m, block)
