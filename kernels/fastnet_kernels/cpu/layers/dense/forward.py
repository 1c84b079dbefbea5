"""Forward through a dense layer, Z = A_prev W^T + b, for some blocks of samples at a time.

The first layer reads the samples: packed, or as rows where they lie. Where a sample is a column, the product is that
of `gemm`, with a panel of samples side by side; where it is a row, that of `gemm_dot`, as in the public `dense_forward`
of `kernels.py`.
"""

from ....codes import A_OFFSET, B_OFFSET, N_IN, N_OUT, PACKED_CACHED, SAMPLE_MAJOR, UNPACKED, USES_AMX
from ...codegen.arrays import distance, vector
from ...codegen.compiling import inner, routine
from ...codegen.matrix import Matrix, Rows, moved
from ...gemm.dot_and_gemv import gemm_dot
from ...gemm.gemm_bf16x3 import depth_at_once, gemm_amx, gemm_bf16x3
from ...gemm.macro_kernel import gemm, mc_for
from ...gemm.micro_kernels import NO_PREFETCH
from ...step.inputs import are_copied, pack_inputs, read_rows, unpacked_inputs
from ...step.inputs_bf16x3 import pack_inputs_bf16x3
from ...step.workspace import below, count_of_blocks, offset_of, panels_of, samples_of, strides_of, units_of
from .tail import dense_forward_tail, first_layer_unpacked
from .views import bf16x3_scratch, columns_of, weights_of


@inner
def _start_with_bias(job, l, block):
    """Z[j, i] = b[j] for all samples of a block, Z (n_l, block_rows); the products are added to it."""
    plan, parameters, workspace = job.plan, job.parameters, job.workspace
    n, size, z = plan.layers[l, N_OUT], plan.block_rows, offset_of(plan, l, A_OFFSET, block)
    b = vector(parameters, plan.layers[l, B_OFFSET], n)
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
def _next_samples(job, target, block):
    """Where a block's samples lie, as seen from another array, if there are some and they lie one after the other."""
    first = block * job.plan.block_rows
    if job.order.size or first >= job.m:
        return NO_PREFETCH
    itemsize = 1 if job.are_bytes else target.itemsize
    return distance(target, job.samples) + (job.start + first) * job.plan.layers[0, N_IN] * itemsize // target.itemsize


@routine
def _first_layer_of_panels(job, scratch, first_block, last_block, k, n_features):
    """Z += some features' share, for some blocks, from packed samples, which may be there from the step before."""
    plan, workspace = job.plan, job.workspace
    n, n_in, size = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.block_rows
    W = moved(weights_of(job, 0), k)
    keeps = plan.inputs == PACKED_CACHED
    target = workspace if keeps else scratch
    rows = mc_for(n_features, workspace)
    for row in range(0, n, rows):
        for block in range(first_block, last_block):
            t = plan.X + (block * n_in + k) * size if keeps else (block - first_block) * n_features * size
            columns, upcoming = columns_of(job, 0, block), NO_PREFETCH
            if keeps:
                is_last = block == last_block - 1
                upcoming = plan.X + (first_block * n_in + k + n_features) * size if is_last else t + n_in * size
            elif row == 0 and n_features == n_in:
                upcoming = _next_samples(job, target, block + 1)
            X = Matrix(target, t, size, 1)
            if row == 0 and not (keeps and job.again):
                pack_inputs(job, X, block * size, size if keeps else columns, k, n_features)
            Z, some = moved(units_of(job, 0, A_OFFSET, block), row * size), moved(W, row * W.row_stride)
            gemm(min(rows, n - row), columns, n_features, workspace.dtype.type(1), Z, Z, some, X, upcoming)


@routine
def _first_layer_amx(job, scratch, first_block, last_block):
    """Z += all features' share, for some blocks, by AMX."""
    n_in, packed = job.plan.layers[0, N_IN], bf16x3_scratch(job, scratch)
    at_once, samples = depth_at_once(n_in), count_of_blocks(job, first_block, last_block)
    for k in range(0, n_in, at_once):
        depth = min(at_once, n_in - k)
        pack_inputs_bf16x3(job, packed, first_block, last_block, k, depth)
        Z, W = panels_of(job, 0, A_OFFSET, first_block), moved(weights_of(job, 0), k)
        gemm_bf16x3(job.plan.layers[0, N_OUT], samples, depth, scratch.dtype.type(1), Z, W, packed)


@routine
def _first_layer(job, scratch, first_block, last_block):
    """Z of the first layer, from the samples, for some blocks."""
    plan, workspace = job.plan, job.workspace
    n_in = plan.layers[0, N_IN]
    for block in range(first_block, last_block):
        _start_with_bias(job, 0, block)
    if plan.layout == SAMPLE_MAJOR:
        if are_copied(job):
            read_rows(job, vector(workspace, plan.X, job.m * n_in), 0, job.m, 0, n_in)
        samples, x, index = unpacked_inputs(job)
        X = Rows(samples, x, n_in, index)
        one, Z = workspace.dtype.type(1), samples_of(job, 0, A_OFFSET)
        gemm_dot(job.m, plan.layers[0, N_OUT], n_in, one, Z, X, weights_of(job, 0))
        return
    if plan.layers[0, USES_AMX]:
        _first_layer_amx(job, scratch, first_block, last_block)
        return
    # All blocks take a few features before any takes the next ones: so much of W stays in cache.
    for k in range(0, n_in, plan.features_at_once):
        n_features = min(plan.features_at_once, n_in - k)
        if plan.inputs == UNPACKED:
            for block in range(first_block, last_block):
                first_layer_unpacked(job, scratch, block, 0, k, n_features)
        else:
            _first_layer_of_panels(job, scratch, first_block, last_block, k, n_features)


@routine
def _dense_forward(job, scratch, l, first_block, last_block):
    """Z of a later dense layer, for some blocks, from A of the layer below."""
    plan, workspace, W = job.plan, job.workspace, weights_of(job, l)
    one = workspace.dtype.type(1)
    n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
    for block in range(first_block, last_block):
        _start_with_bias(job, l, block)
    if plan.layout == SAMPLE_MAJOR:
        A_prev = Rows(workspace, plan.layers[below(job, l), A_OFFSET], n_in, plan.iota)
        gemm_dot(job.m, n, n_in, one, samples_of(job, l, A_OFFSET), A_prev, W)
    elif plan.layers[l, USES_AMX]:
        Z, A_prev = panels_of(job, l, A_OFFSET, first_block), panels_of(job, below(job, l), A_OFFSET, first_block)
        samples = count_of_blocks(job, first_block, last_block)
        gemm_amx(n, samples, n_in, one, Z, W, A_prev, bf16x3_scratch(job, scratch))
    else:
        rows = mc_for(n_in, workspace)
        for row in range(0, n, rows):
            for block in range(first_block, last_block):
                Z, A_prev = units_of(job, l, A_OFFSET, block), units_of(job, below(job, l), A_OFFSET, block)
                Z, some, columns = moved(Z, row * size), moved(W, row * W.row_stride), columns_of(job, l, block)
                gemm(min(rows, n - row), columns, n_in, one, Z, Z, some, A_prev, NO_PREFETCH)


@inner
def forward(job, scratch, l, first_block, last_block):
    """Z of dense layer l, for some blocks: of the first layer from the samples, else from A of the layer below."""
    if l == 0:
        _first_layer(job, scratch, first_block, last_block)
    else:
        _dense_forward(job, scratch, l, first_block, last_block)
    if job.tail:
        dense_forward_tail(job, scratch, l, first_block, last_block)
