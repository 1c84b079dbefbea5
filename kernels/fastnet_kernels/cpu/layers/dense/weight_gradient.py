"""Sums over all samples: pieces of dW and db, of a task each, in the way that suits the layer."""

from ....codes import (
    A_OFFSET,
    B_OFFSET,
    DZ_OFFSET,
    DZ_ROWS_OFFSET,
    FIRST_COLUMN,
    FIRST_ROW,
    INPUT_TAIL,
    INPUT_TAIL_OFFSET,
    LAST_COLUMN,
    LAST_ROW,
    LDW,
    N_IN,
    N_OUT,
    PACKED_CACHED,
    SAMPLE_MAJOR,
    SAMPLE_ROWS,
    TASK_LAYER,
    USES_AMX,
    W_OFFSET,
    WGRAD,
    WGRAD_DOT,
    WGRAD_FUSED,
    WGRAD_ROWS,
)
from ...codegen.arrays import reinterpret, vector
from ...codegen.compiling import inner, routine
from ...codegen.processor import PANEL_BYTES, TARGET, VECTOR_BYTES
from ...gemm.dot_and_gemv import gemm_dot, gemv_t
from ...gemm.gemm_bf16x3 import STEP, depth_at_once, gemm_bf16x3
from ...gemm.load_convert import transpose
from ...gemm.macro_kernel import gemm, gemm_gathered, mc_for
from ...gemm.micro_kernels import NO_PREFETCH
from ...partition import n_blocks, n_partials
from ...program.inputs import gather_inputs, unpacked_inputs
from ...program.inputs_bf16x3 import gather_inputs_bf16x3, pack_activations_bf16x3
from ...program.workspace import count_of, is_wgrad_gemm, offset_of, strides_of

_SHORT_ROW = TARGET.short_row


@routine
def _gather_activations(job, scratch, l, first_block, blocks, first_column, last_column, panel_stride):
    """Columns of layer l's A, of some blocks, as panels: a sample a row. What stands beyond the last means nothing."""
    plan, workspace = job.plan, job.workspace
    panel, lanes, size = PANEL_BYTES // scratch.itemsize, VECTOR_BYTES // scratch.itemsize, plan.block_rows
    one, zero = scratch.dtype.type(1), scratch.dtype.type(0)
    for column in range(first_column, last_column, panel):
        width = min(panel, last_column - column)
        for block in range(blocks):
            a, t = offset_of(plan, l, A_OFFSET, first_block + block), (column - first_column) // panel * panel_stride
            for c in range(0, width, lanes):
                for i in range(0, size, lanes):
                    s, offset = a + (column + c) * size + i, t + (block * size + i) * panel + c
                    transpose(scratch, offset, panel, workspace, s, plan.iota, 0, size, None, one, zero)


@routine
def _add_of_panels(job, scratch, alpha, changed, l, first_row, last_row, first_column, last_column):
    """changed[rows, columns] += alpha * dZ^T A_prev, with A_prev gathered as panels, some blocks at a time.

    The last few columns, which would leave most of a panel empty, are dot products.
    """
    plan, m = job.plan, job.m
    input_tail = plan.layers[l, INPUT_TAIL] if last_column == plan.layers[l, N_IN] else 0
    last_column -= input_tail
    size, panel = plan.block_rows, PANEL_BYTES // scratch.itemsize
    w, stride = plan.layers[l, W_OFFSET] + first_row * plan.layers[l, LDW], plan.layers[l, LDW]
    keeps = l == 0 and plan.inputs == PACKED_CACHED
    samples = n_blocks(m, size) * size
    at_once = samples if keeps else plan.blocks_at_once * size
    panels, panel_stride = job.workspace if keeps else scratch, at_once * panel
    p = plan.X_panels + first_column * samples if keeps else 0
    for first in range(0, m, at_once):
        count, block = min(at_once, m - first), first // size
        if l > 0:
            _gather_activations(
                job, panels, l - 1, block, n_blocks(count, size), first_column, last_column, panel_stride
            )
        elif not (keeps and job.again):
            gather_inputs(job, panels, p, first, count, first_column, last_column, panel_stride)
        dz = plan.layers[l, DZ_ROWS_OFFSET] + first_row * plan.samples_stride + first
        if input_tail:
            gemm_dot(
                input_tail, last_row - first_row, alpha, changed, w + last_column, 1, stride, job.workspace,
                plan.layers[l, INPUT_TAIL_OFFSET] + first, plan.samples_stride, plan.iota, job.workspace, dz,
                plan.samples_stride, count,
            )  # fmt: skip
        rows = mc_for(count, scratch)
        for row in range(0, last_row - first_row, rows):
            for column in range(first_column, last_column, panel):
                offset = p + (column - first_column) // panel * panel_stride
                gemm(
                    min(rows, last_row - first_row - row), min(panel, last_column - column), alpha, changed, w + row *
                    stride + column, stride, job.workspace, dz + row * plan.samples_stride, plan.samples_stride, 1,
                    panels, offset, panel, count, offset + panel_stride if keeps else NO_PREFETCH,
                )  # fmt: skip


@routine
def _wgrad_amx(job, scratch, alpha, changed, l, first_row, last_row, first_column, last_column):
    """The same by a matrix unit, some samples at a time."""
    plan, stride = job.plan, job.plan.layers[l, LDW]
    at_once = depth_at_once(job.m)
    for first in range(0, job.m, at_once):
        count = min(at_once, job.m - first)
        if l == 0:
            gather_inputs_bf16x3(job, scratch, plan.amx_scratch, first, count, first_column, last_column)
        else:
            pack_activations_bf16x3(job, scratch, plan.amx_scratch, l - 1, first, count, first_column, last_column)
        gemm_bf16x3(
            last_row - first_row, last_column - first_column, alpha, changed, plan.layers[l, W_OFFSET] + first_row *
            stride + first_column, stride, STEP, job.workspace, plan.layers[l, DZ_ROWS_OFFSET] + first_row *
            plan.samples_stride + first, plan.samples_stride, 1, count, scratch, plan.amx_scratch,
        )  # fmt: skip


@routine
def _add_of_columns(job, alpha, changed, l, blocks):
    """The same in dot products of two units' numbers."""
    plan, workspace = job.plan, job.workspace
    n, n_in, size, w = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows, plan.layers[l, W_OFFSET]
    for block in range(blocks):
        dz = offset_of(plan, l, DZ_OFFSET, block)
        a = plan.X + block * n_in * size if l == 0 else offset_of(plan, l - 1, A_OFFSET, block)
        gemm_dot(
            n, n_in, alpha, changed, w, plan.layers[l, LDW], 1, workspace, dz, size, plan.iota, workspace, a,
            size, size,
        )  # fmt: skip


@routine(component=SAMPLE_ROWS)
def _add_of_samples(job, alpha, changed, l, blocks, first_row, last_row, first_column, last_column):
    """The same from the samples' own rows: a few of them, or those of the first layer where they lie."""
    plan, workspace = job.plan, job.workspace
    n_in, size, dz = plan.layers[l, N_IN], plan.block_rows, offset_of(plan, l, DZ_OFFSET, 0)
    w, stride = plan.layers[l, W_OFFSET] + first_row * plan.layers[l, LDW], plan.layers[l, LDW]
    if plan.layout == SAMPLE_MAJOR:
        by_sample, by_unit = strides_of(plan, l)
        if l == 0:
            source, a, rows = unpacked_inputs(job)
        else:
            source, a, rows = workspace, offset_of(plan, l - 1, A_OFFSET, 0), plan.iota
        count = last_row - first_row
        if n_in <= _SHORT_ROW and count > 1:
            gemm_gathered(
                count, n_in, alpha, changed, w, stride, workspace, dz + first_row * by_unit, by_unit, by_sample, source,
                a, n_in, rows, job.m,
            )  # fmt: skip
            return
        for j in range(count):
            gemv_t(
                changed, w + j * stride + first_column, last_column - first_column, alpha, workspace,
                dz + (first_row + j) * by_unit, by_sample, job.m, source, a + first_column, n_in, rows, 0,
            )  # fmt: skip
    else:
        # Some samples at a time: their rows are read along, page by page, and not all samples' rows again and again.
        for block in range(blocks):
            count = count_of(job, block)
            gemm_gathered(
                last_row - first_row, last_column - first_column, alpha, changed, w + first_column, stride, workspace,
                offset_of(plan, l, DZ_OFFSET, block) + first_row * size, size, 1, reinterpret(job.samples, workspace),
                first_column, n_in, vector(job.rows, block * size, count), count,
            )  # fmt: skip


@routine(component=SAMPLE_ROWS)
def _add_partials(job, alpha, changed, blocks, first_row, last_row, first_column, last_column):
    """The sums over groups of blocks, that phase 1 has made, one after the other."""
    plan, workspace = job.plan, job.workspace
    n, n_in, stride = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.layers[0, LDW]
    for j in range(first_row, last_row):
        target = vector(changed, plan.layers[0, W_OFFSET] + j * stride + first_column, last_column - first_column)
        for index in range(n_partials(blocks)):
            partial = vector(workspace, plan.partials + (index * n + j) * n_in + first_column, target.size)
            for k in range(target.size):
                target[k] += alpha * partial[k]


@inner
def _add_bias(job, alpha, changed, l, blocks, first_row, last_row):
    """db of some rows: the sum of dZ over all samples."""
    plan, workspace = job.plan, job.workspace
    size, b = plan.block_rows, plan.layers[l, B_OFFSET]
    by_sample, by_unit = strides_of(plan, l)
    biases = vector(changed, b + first_row, last_row - first_row)
    if by_unit == 1:
        for i in range(job.m):
            dz = vector(workspace, offset_of(plan, l, DZ_OFFSET, 0) + i * by_sample + first_row, biases.size)
            for j in range(biases.size):
                biases[j] += alpha * dz[j]
        return
    for j in range(biases.size):
        total = alpha * 0
        if is_wgrad_gemm(job, l):
            numbers = vector(workspace, plan.layers[l, DZ_ROWS_OFFSET] + (first_row + j) * plan.samples_stride, job.m)
            for i in range(numbers.size):
                total += numbers[i]
        else:
            for block in range(blocks):
                numbers = vector(workspace, offset_of(plan, l, DZ_OFFSET, block) + (first_row + j) * size, size)
                for i in range(size):
                    total += numbers[i]
        biases[j] += alpha * total


@routine
def weight_gradient(job, scratch, alpha, changed, task):
    """changed[...] += alpha * the derivatives of one task: some columns and rows of one layer's W, with the first b."""
    plan = job.plan
    l, first_column, last_column = task[TASK_LAYER], task[FIRST_COLUMN], task[LAST_COLUMN]
    first_row, last_row = task[FIRST_ROW], task[LAST_ROW]
    how, blocks = plan.layers[l, WGRAD], n_blocks(job.m, plan.block_rows)
    if first_column == 0:
        _add_bias(job, alpha, changed, l, blocks, first_row, last_row)
    if how == WGRAD_FUSED:
        _add_partials(job, alpha, changed, blocks, first_row, last_row, first_column, last_column)
    elif how == WGRAD_DOT:
        _add_of_columns(job, alpha, changed, l, blocks)
    elif plan.layers[l, USES_AMX]:
        _wgrad_amx(job, scratch, alpha, changed, l, first_row, last_row, first_column, last_column)
    elif how == WGRAD_ROWS and not is_wgrad_gemm(job, l):
        _add_of_samples(job, alpha, changed, l, blocks, first_row, last_row, first_column, last_column)
    else:
        for column in range(first_column, last_column, plan.columns_at_once):
            last = min(column + plan.columns_at_once, last_column)
            _add_of_panels(job, scratch, alpha, changed, l, first_row, last_row, column, last)


@routine
def keep_rows(job, l, column, first_unit, target, first_block, last_block):
    """Some blocks' A or dZ of a layer's last units where those of all samples are, a unit a row: so dW reads them."""
    plan, workspace = job.plan, job.workspace
    n, size = plan.layers[l, N_OUT], plan.block_rows
    for j in range(first_unit, n):
        for block in range(first_block, last_block):
            row = vector(workspace, target + (j - first_unit) * plan.samples_stride + block * size, size)
            numbers = vector(workspace, offset_of(plan, l, column, block) + j * size, size)
            for i in range(size):
                row[i] = numbers[i]
