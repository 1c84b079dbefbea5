"""Forward through dense layers, the first of which reads the samples; some blocks of samples at a time."""

from ....codes import A_OFFSET, B_OFFSET, LDW, N_IN, N_OUT, PACKED_CACHED, SAMPLE_MAJOR, UNPACKED, USES_AMX, W_OFFSET
from ...codegen.arrays import distance, vector
from ...codegen.compiling import inner, routine
from ...gemm.dot_and_gemv import gemm_dot
from ...gemm.gemm_bf16x3 import depth_at_once, gemm_amx, gemm_bf16x3
from ...gemm.macro_kernel import gemm, mc_for
from ...gemm.micro_kernels import NO_PREFETCH
from ...program.inputs import are_copied, pack_inputs, read_rows, unpacked_inputs
from ...program.inputs_bf16x3 import pack_inputs_bf16x3
from ...program.workspace import columns_of, count_of_blocks, offset_of, strides_of
from .tail import dense_forward_tail, first_layer_unpacked


@inner
def _start_with_bias(job, l, block):
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
    """The same for some blocks, in products with panels of samples, which may be there from the step before."""
    plan, workspace = job.plan, job.workspace
    n, n_in, size = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.block_rows
    w, stride = plan.layers[0, W_OFFSET] + k, plan.layers[0, LDW]
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
            if row == 0 and not (keeps and job.again):
                pack_inputs(job, target, t, size, block * size, size if keeps else columns, k, n_features)
            gemm(
                min(rows, n - row), columns, workspace.dtype.type(1), workspace, offset_of(plan, 0, A_OFFSET, block) +
                row * size, size, job.parameters, w + row * stride, stride, 1, target, t, size, n_features, upcoming,
            )  # fmt: skip


@routine
def _first_layer_amx(job, scratch, first_block, last_block):
    """Z += all features' share, by a matrix unit."""
    plan, workspace = job.plan, job.workspace
    n, n_in, size = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.block_rows
    at_once = depth_at_once(n_in)
    for k in range(0, n_in, at_once):
        depth = min(at_once, n_in - k)
        pack_inputs_bf16x3(job, scratch, plan.amx_scratch, first_block, last_block, k, depth)
        gemm_bf16x3(
            n, count_of_blocks(job, first_block, last_block), workspace.dtype.type(1), workspace,
            offset_of(plan, 0, A_OFFSET, first_block), size, n * size, job.parameters, plan.layers[0, W_OFFSET] + k,
            plan.layers[0, LDW], 1, depth, scratch, plan.amx_scratch,
        )  # fmt: skip


@routine
def first_dense_layer(job, scratch, first_block, last_block):
    """Z of the first layer, from the samples, for some blocks."""
    plan, workspace = job.plan, job.workspace
    n_in = plan.layers[0, N_IN]
    for block in range(first_block, last_block):
        _start_with_bias(job, 0, block)
    if plan.layout == SAMPLE_MAJOR:
        by_sample, by_unit = strides_of(plan, 0)
        if are_copied(job):
            read_rows(job, workspace, plan.X, 0, job.m, 0, n_in)
        samples, x, rows = unpacked_inputs(job)
        gemm_dot(
            job.m, plan.layers[0, N_OUT], workspace.dtype.type(1), workspace, plan.layers[0, A_OFFSET], by_sample,
            by_unit, samples, x, n_in, rows, job.parameters, plan.layers[0, W_OFFSET], plan.layers[0, LDW], n_in,
        )  # fmt: skip
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
    """Z of a later dense layer."""
    plan, parameters, workspace = job.plan, job.parameters, job.workspace
    one = workspace.dtype.type(1)
    n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
    w, stride, rows = plan.layers[l, W_OFFSET], plan.layers[l, LDW], mc_for(n_in, workspace)
    for block in range(first_block, last_block):
        _start_with_bias(job, l, block)
    if plan.layout == SAMPLE_MAJOR:
        by_sample, by_unit = strides_of(plan, l)
        gemm_dot(
            job.m, n, one, workspace, plan.layers[l, A_OFFSET], by_sample, by_unit, workspace, plan.layers[l - 1,
            A_OFFSET], n_in, plan.iota, parameters, w, stride, n_in,
        )  # fmt: skip
    elif plan.layers[l, USES_AMX]:
        z, a = offset_of(plan, l, A_OFFSET, first_block), offset_of(plan, l - 1, A_OFFSET, first_block)
        gemm_amx(
            n, count_of_blocks(job, first_block, last_block), one, workspace, z, size, n * size,
            parameters, w, stride, 1, workspace, a, n_in * size, n_in, scratch, plan.amx_scratch,
        )  # fmt: skip
    else:
        for row in range(0, n, rows):
            for block in range(first_block, last_block):
                z, a = offset_of(plan, l, A_OFFSET, block) + row * size, offset_of(plan, l - 1, A_OFFSET, block)
                gemm(
                    min(rows, n - row), columns_of(job, l, block), one, workspace, z, size, parameters,
                    w + row * stride, stride, 1, workspace, a, size, n_in, NO_PREFETCH,
                )  # fmt: skip


@inner
def forward(job, scratch, l, first_block, last_block):
    """Z of dense layer l, for some blocks: of the first layer from the samples, else from A of the layer below."""
    if l == 0:
        first_dense_layer(job, scratch, first_block, last_block)
    else:
        _dense_forward(job, scratch, l, first_block, last_block)
    if job.tail:
        dense_forward_tail(job, scratch, l, first_block, last_block)
