"""Phase 1 of a training step: a block of samples goes forward through the whole network, and its dZ come back."""

from ..codes import (
    ACTIVATION,
    AS_THEY_LIE,
    CROSS_ENTROPY,
    DZ,
    DZ_ROWS,
    GRADIENT,
    IN_ONE_PASS,
    KEPT,
    LOG_LOSS,
    N_IN,
    N_OUT,
    OF_PANELS,
    OF_SAMPLES,
    ONE_BY_ONE,
    PACKED,
    PACKED_DEPTH,
    PREDICT,
    SIDE_BY_SIDE,
    SOFTMAX,
    SUM_OF_DW,
    W_STRIDE,
    A,
    B,
    W,
)
from .activations import activate, derive, softmax_columns
from .blocks import n_blocks
from .compiling import inner, routine
from .inputs import find_rows, lie_ready, mark_what_is_not_finite, read_rows, turn
from .losses import cross_entropy_columns, log_loss_columns, squared_error_columns
from .products import add_dots, add_product, add_product_of_packed, add_rows, pack_columns, rows_at_once
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
def sums_panels(job, l):
    """Whether dW is summed of panels: samples' own rows cannot be used where they are to be scaled."""
    how = job.plan.layers[l, SUM_OF_DW]
    return how == OF_PANELS or (how == OF_SAMPLES and job.plan.samples_lie == SIDE_BY_SIDE and not lie_ready(job))


@inner
def scratch_of(job, worker):
    """A worker's own part of the workspace."""
    return vector(job.workspace, job.plan.scratch + worker * job.plan.scratch_size, job.plan.scratch_size)


@inner
def _numbers_of(job, layer, column, block):
    """A or dZ of one layer and block, as one vector."""
    plan = job.plan
    return vector(job.workspace, place_of(plan, layer, column, block), plan.layers[layer, N_OUT] * plan.block_rows)


@inner
def _start_with_bias(job, l, block):
    plan, parameters, workspace = job.plan, job.parameters, job.workspace
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


@routine
def _first_layer_of_rows(job, scratch, block, k, n_features):
    """Z += some features' share, in dot products of samples' rows and rows of W."""
    plan, workspace = job.plan, job.workspace
    one = workspace.dtype.type(1)
    n, n_in, first = plan.layers[0, N_OUT], plan.layers[0, N_IN], block * plan.block_rows
    by_sample, by_unit = strides_of(plan, 0)
    w, stride = plan.layers[0, W] + k, plan.layers[0, W_STRIDE]
    count = min(plan.block_rows, job.m - first)
    for i in range(0, count, _SAMPLES_AT_ONCE):
        some, z = min(_SAMPLES_AT_ONCE, count - i), place_of(plan, 0, A, block) + i * by_sample
        if lie_ready(job):
            add_dots(
                some, n, one, workspace, z, by_sample, by_unit, reinterpret(job.samples, workspace), k, n_in,
                vector(job.rows, first + i, some), job.parameters, w, stride, n_features,
            )  # fmt: skip
        else:
            t = i * n_features
            read_rows(job, scratch, t, first + i, some, k, n_features)
            add_dots(
                some, n, one, workspace, z, by_sample, by_unit, scratch, t, n_features, plan.numbers, job.parameters,
                w, stride, n_features,
            )  # fmt: skip


@routine
def _first_layer_of_panels(job, scratch, first_block, step, last_block, k, n_features):
    """The same for some blocks, in products with panels of samples, which may be there from the step before."""
    plan, workspace = job.plan, job.workspace
    n, n_in, size = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.block_rows
    w, stride = plan.layers[0, W] + k, plan.layers[0, W_STRIDE]
    keeps = plan.inputs == KEPT
    target = workspace if keeps else scratch
    rows = rows_at_once(n_features, workspace)
    for row in range(0, n, rows):
        for block in range(first_block, last_block, step):
            t = plan.X + (block * n_in + k) * size if keeps else (block - first_block) // step * n_features * size
            if row == 0 and not (keeps and job.again):
                turn(job, target, t, size, block * size, size, k, n_features)
            add_product(
                min(rows, n - row), size, workspace.dtype.type(1), workspace, place_of(plan, 0, A, block) + row * size,
                size, job.parameters, w + row * stride, stride, 1, target, t, size, n_features,
            )  # fmt: skip


@routine
def _first_layer(job, scratch, first_block, step, last_block):
    """Z of the first layer, from the samples, for every so many'th block."""
    plan, workspace = job.plan, job.workspace
    n_in, looks = plan.layers[0, N_IN], job.mode == PREDICT and not job.are_bytes
    for block in range(first_block, last_block, step):
        _start_with_bias(job, 0, block)
        if looks and plan.samples_lie == SIDE_BY_SIDE:
            mark_what_is_not_finite(job, block * plan.block_rows)
    if plan.samples_lie == ONE_BY_ONE:
        # Few samples: their rows are copied, since dW needs them again.
        if looks:
            mark_what_is_not_finite(job, 0)
        by_sample, by_unit = strides_of(plan, 0)
        read_rows(job, workspace, plan.X, 0, job.m, 0, n_in)
        add_dots(
            job.m, plan.layers[0, N_OUT], workspace.dtype.type(1), workspace, plan.layers[0, A], by_sample, by_unit,
            workspace, plan.X, n_in, plan.numbers, job.parameters, plan.layers[0, W], plan.layers[0, W_STRIDE], n_in,
        )  # fmt: skip
        return
    # All blocks take a few features before any takes the next ones: so much of W stays in cache.
    for k in range(0, n_in, plan.features_at_once):
        n_features = min(plan.features_at_once, n_in - k)
        if plan.inputs == AS_THEY_LIE:
            for block in range(first_block, last_block, step):
                _first_layer_of_rows(job, scratch, block, k, n_features)
        else:
            _first_layer_of_panels(job, scratch, first_block, step, last_block, k, n_features)


@routine
def _forward(job, first_block, step, last_block):
    """A of all layers from the first one's Z; the last layer is left at its logits Z."""
    plan, parameters, workspace = job.plan, job.parameters, job.workspace
    one = workspace.dtype.type(1)
    for l in range(1, plan.layers.shape[0]):
        n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
        w, stride, rows = plan.layers[l, W], plan.layers[l, W_STRIDE], rows_at_once(n_in, workspace)
        for block in range(first_block, last_block, step):
            activate(plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1], _numbers_of(job, l - 1, A, block))
            _start_with_bias(job, l, block)
        if plan.samples_lie == ONE_BY_ONE:
            by_sample, by_unit = strides_of(plan, l)
            add_dots(
                job.m, n, one, workspace, plan.layers[l, A], by_sample, by_unit, workspace, plan.layers[l - 1, A], n_in,
                plan.numbers, parameters, w, stride, n_in,
            )  # fmt: skip
        else:
            for row in range(0, n, rows):
                for block in range(first_block, last_block, step):
                    z, a = place_of(plan, l, A, block) + row * size, place_of(plan, l - 1, A, block)
                    add_product(
                        min(rows, n - row), size, one, workspace, z, size, parameters, w + row * stride, stride, 1,
                        workspace, a, size, n_in,
                    )  # fmt: skip


@inner
def _count_hits(loss, Z, Y, top, hits):
    """hits[i] = whether the class predicted from the logits Z[:, i] is Y[0, i]; 0 for regression. `top` is for use."""
    for i in range(hits.size):
        hits[i] = 0
    if loss == LOG_LOSS:
        for i in range(hits.size):
            hits[i] = 1 if (Z[0, i] > 0) == (Y[0, i] > 0.5) else 0
    elif loss == CROSS_ENTROPY:
        for i in range(hits.size):
            top[i] = Z[0, i]
        for j in range(1, Z.shape[0]):
            z, number = Z[j], hits.dtype.type(j)
            for i in range(hits.size):
                best = hits[i]
                hits[i] = number if z[i] > top[i] else best
            for i in range(hits.size):
                top[i] = z[i] if z[i] > top[i] else top[i]
        for i in range(hits.size):
            hits[i] = 1 if hits[i] == Y[0, i] else 0


@routine
def _cost(job, block):
    """Losses of a block, and the last layer's dZ."""
    plan, workspace, targets, n_targets = job.plan, job.workspace, job.targets, job.plan.n_targets
    last_layer = plan.layers.shape[0] - 1
    activation, slope = plan.layers[last_layer, ACTIVATION], plan.slopes[last_layer]
    first, size, n = block * plan.block_rows, plan.block_rows, plan.layers[last_layer, N_OUT]
    Z = matrix(workspace, place_of(plan, last_layer, A, block), n, size)
    dZ = matrix(workspace, place_of(plan, last_layer, DZ, block), n, size)
    Y = matrix(workspace, plan.Y + first * n_targets, n_targets, size)
    places, flat_targets = vector(job.rows, first, size), vector(targets, 0, targets.size)
    for j in range(n_targets):
        for i in range(size):
            Y[j, i] = flat_targets[places[i] * n_targets + j]
    L = vector(workspace, plan.L + first, size)
    _count_hits(plan.loss, Z, Y, L, vector(workspace, plan.hits + first, size))
    weight = Z.dtype.type(1) / Z.dtype.type(job.m)
    if plan.loss == LOG_LOSS:
        log_loss_columns(Z, Y, L, dZ, weight)
    elif plan.loss == CROSS_ENTROPY:
        cross_entropy_columns(Z, Y, L, dZ, weight)
    else:
        activate(activation, slope, _numbers_of(job, last_layer, A, block))
        squared_error_columns(Z, Y, L, dZ, weight)
        derive(activation, slope, _numbers_of(job, last_layer, A, block), _numbers_of(job, last_layer, DZ, block))
    for j in range(n):
        for i in range(job.m - first, size):
            dZ[j, i] = 0


@routine
def _backward(job, scratch, first_block, step, last_block):
    """dZ of all layers but the last, from the last's."""
    plan, workspace = job.plan, job.workspace
    for l in range(plan.layers.shape[0] - 1, 0, -1):
        for block in range(first_block, last_block, step):
            dA_prev = _numbers_of(job, l - 1, DZ, block)
            for j in range(dA_prev.size):
                dA_prev[j] = 0
        if plan.samples_lie == ONE_BY_ONE:
            _back_of_rows(job, l)
        elif plan.layers[l, PACKED]:
            _back_of_packed(job, scratch, l, first_block, step, last_block)
        else:
            n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
            for block in range(first_block, last_block, step):
                dz, dz_prev = place_of(plan, l, DZ, block), place_of(plan, l - 1, DZ, block)
                add_product(
                    n_in, size, workspace.dtype.type(1), workspace, dz_prev, size, job.parameters, plan.layers[l, W], 1,
                    plan.layers[l, W_STRIDE], workspace, dz, size, n,
                )  # fmt: skip
        for block in range(first_block, last_block, step):
            activation, slope = plan.layers[l - 1, ACTIVATION], plan.slopes[l - 1]
            derive(activation, slope, _numbers_of(job, l - 1, A, block), _numbers_of(job, l - 1, DZ, block))
        if sums_panels(job, l - 1):
            _keep_rows(job, l - 1, first_block, step, last_block)


@routine
def _keep_rows(job, l, first_block, step, last_block):
    """Some blocks' dZ where those of all samples are, a unit a row: dW reads them along."""
    plan, workspace = job.plan, job.workspace
    size, of_block = plan.block_rows, plan.layers[l, N_OUT] * plan.block_rows
    for j in range(plan.layers[l, N_OUT]):
        place, dz = plan.layers[l, DZ_ROWS] + j * plan.samples_stride, plan.layers[l, DZ] + j * size
        for block in range(first_block, last_block, step):
            row, numbers = vector(workspace, place + block * size, size), vector(workspace, dz + block * of_block, size)
            for i in range(size):
                row[i] = numbers[i]


@routine
def _back_of_rows(job, l):
    """dA_prev += dZ W for samples one by one."""
    plan, workspace = job.plan, job.workspace
    n, n_in, w, stride = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.layers[l, W], plan.layers[l, W_STRIDE]
    dz, dz_prev = plan.layers[l, DZ], plan.layers[l - 1, DZ]
    by_sample, by_unit = strides_of(plan, l)
    some = max(4, _NUMBERS_AT_ONCE // n_in)
    for j in range(0, n, some):  # rows of W, which stay in cache for all samples
        for i in range(job.m):
            add_rows(
                workspace, dz_prev + i * n_in, n_in, workspace.dtype.type(1), workspace,
                dz + i * by_sample + j * by_unit, by_unit, min(some, n - j), job.parameters, w + j * stride, stride,
                plan.numbers,
            )  # fmt: skip


@routine
def _back_of_packed(job, scratch, l, first_block, step, last_block):
    """dA_prev += W^T dZ for samples side by side, with pieces of a large W copied: its columns lie pages apart."""
    plan, workspace = job.plan, job.workspace
    n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
    w, stride = plan.layers[l, W], plan.layers[l, W_STRIDE]
    for j in range(0, n, PACKED_DEPTH):
        depth = min(PACKED_DEPTH, n - j)
        columns = rows_at_once(depth, workspace)
        for c in range(0, n_in, columns):
            count = min(columns, n_in - c)
            pack_columns(scratch, job.parameters, w + j * stride + c, stride, count, depth)
            for block in range(first_block, last_block, step):
                add_product_of_packed(
                    count, size, workspace, place_of(plan, l - 1, DZ, block) + c * size, size, scratch, workspace,
                    place_of(plan, l, DZ, block) + j * size, size, depth,
                )  # fmt: skip


@routine
def _store_outputs(job, block):
    plan, workspace, outputs = job.plan, job.workspace, job.outputs
    last_layer = plan.layers.shape[0] - 1
    n, size, first = plan.layers[last_layer, N_OUT], plan.block_rows, block * plan.block_rows
    Z = matrix(workspace, place_of(plan, last_layer, A, block), n, size)
    if plan.layers[last_layer, ACTIVATION] == SOFTMAX:
        softmax_columns(Z)
    else:
        activate(plan.layers[last_layer, ACTIVATION], plan.slopes[last_layer], _numbers_of(job, last_layer, A, block))
    place = job.start + first
    for i in range(min(size, job.m - first)):
        for j in range(n):
            outputs[place + i, j] = Z[j, i]


@routine
def _add_to_partial(job, scratch, block):
    """The block's share of dW, of the single layer there is, from samples that are still in cache."""
    plan, workspace = job.plan, job.workspace
    n, n_in, size = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.block_rows
    one, first = workspace.dtype.type(1), block * size
    partial, dz = plan.partials + block // plan.blocks_a_partial * n * n_in, place_of(plan, 0, DZ, block)
    if block % plan.blocks_a_partial == 0:
        sums = vector(workspace, partial, n * n_in)
        for k in range(sums.size):
            sums[k] = 0
    count = min(size, job.m - first)
    for j in range(n):
        if lie_ready(job):
            add_rows(
                workspace, partial + j * n_in, n_in, one, workspace, dz + j * size, 1, count,
                reinterpret(job.samples, workspace), 0, n_in, vector(job.rows, first, count),
            )  # fmt: skip
        else:
            add_rows(
                workspace, partial + j * n_in, n_in, one, workspace, dz + j * size, 1, count, scratch, 0, n_in,
                plan.numbers,
            )  # fmt: skip


@routine
def by_samples(job, worker, workers):
    """Phase 1 for one worker: every so many'th block of samples, or group of blocks with one partial sum."""
    plan, scratch = job.plan, scratch_of(job, worker)
    blocks = n_blocks(job.m, plan.block_rows)
    if job.mode >= GRADIENT and plan.layers[0, SUM_OF_DW] == IN_ONE_PASS:
        for group in range(worker * plan.blocks_a_partial, blocks, workers * plan.blocks_a_partial):
            for block in range(group, min(group + plan.blocks_a_partial, blocks)):
                find_rows(job, block * plan.block_rows)
                _first_layer(job, scratch, block, 1, block + 1)
                _cost(job, block)
                _add_to_partial(job, scratch, block)
        return
    for block in range(worker, blocks, workers):
        find_rows(job, block * plan.block_rows)
    some = plan.blocks_together * workers
    for first in range(worker, blocks, some):
        last = min(first + some, blocks)
        _first_layer(job, scratch, first, workers, last)
        if plan.layers.shape[0] > 1:
            _forward(job, first, workers, last)
        for block in range(first, last, workers):
            if job.mode == PREDICT:
                _store_outputs(job, block)
            else:
                _cost(job, block)
        if job.mode >= GRADIENT and sums_panels(job, plan.layers.shape[0] - 1):
            _keep_rows(job, plan.layers.shape[0] - 1, first, workers, last)
        if job.mode >= GRADIENT and plan.layers.shape[0] > 1:
            _backward(job, scratch, first, workers, last)
