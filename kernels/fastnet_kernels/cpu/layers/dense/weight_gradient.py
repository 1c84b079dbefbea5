"""The weight gradient of a dense layer, dW = dZ^T A_prev and db, summed over all samples for one task.

How is the plan's choice: WGRAD_GEMM gathers A_prev as panels of samples' rows, WGRAD_DOT takes dot products of units,
WGRAD_ROWS uses the samples' own rows, and for WGRAD_FUSED the data phase has summed already.
"""

import numpy as np

from ....codes import (
    A_OFFSET,
    B_OFFSET,
    CLIP_NORM,
    DZ_OFFSET,
    DZ_ROWS_OFFSET,
    INPUT_TAIL,
    INPUT_TAIL_OFFSET,
    LDW,
    N_IN,
    N_OUT,
    PACKED_CACHED,
    SAMPLE_MAJOR,
    SAMPLE_ROWS,
    TRAIN,
    USES_AMX,
    W_OFFSET,
    WGRAD,
    WGRAD_DOT,
    WGRAD_FUSED,
    WGRAD_ROWS,
)
from ...codegen.arrays import reinterpret, vector
from ...codegen.compiling import inner, routine
from ...codegen.elements import clear, same
from ...codegen.loops import map_numbers
from ...codegen.matrix import Matrix, Panels, Rows, moved, panel_of, part, row_of, unscaled
from ...codegen.processor import PANEL_BYTES, TARGET, VECTOR_BYTES
from ...gemm.dot_and_gemv import gemm_dot, gemv_t, gemv_t_bytes
from ...gemm.gemm_bf16x3 import STEP, depth_at_once, gemm_bf16x3
from ...gemm.load_convert import transpose
from ...gemm.macro_kernel import gemm, gemm_gathered, mc_for
from ...gemm.micro_kernels import NO_PREFETCH
from ...partition import n_blocks, n_partials
from ...step.finish import finish
from ...step.inputs import gather_inputs, unpacked_inputs
from ...step.inputs_bf16x3 import gather_inputs_bf16x3, pack_activations_bf16x3
from ...step.workspace import Piece, below, count_of, offset_of, piece_of, strides_of, units_of
from .views import bf16x3_scratch, is_wgrad_gemm

_SHORT_ROW = TARGET.short_row
_PREFETCHES = TARGET.prefetches
_GRADIENT_NUMBERS = TARGET.gradient_numbers
_MR = TARGET.mr


@inner
def _target_of(plan, changed, piece):
    """dW of a piece, a `Matrix` in a buffer of all gradients, or of all parameters."""
    stride = plan.layers[piece.layer, LDW]
    w = plan.layers[piece.layer, W_OFFSET] + piece.first_row * stride + piece.first_column
    return Matrix(changed, w, stride, 1)


@routine
def _gather_activations(job, target, l, first_block, blocks, first_column, last_column):
    """Columns of layer l's A, of some blocks, as panels, a sample a row. What stands beyond the last means nothing.

    `target` is `Panels` without gaps between rows.
    """
    plan, workspace = job.plan, job.workspace
    panel_width, lanes = PANEL_BYTES // workspace.itemsize, VECTOR_BYTES // workspace.itemsize
    size, as_it_is = plan.block_rows, unscaled(workspace)
    for column in range(first_column, last_column, panel_width):
        panel, width = panel_of(target, (column - first_column) // panel_width), min(panel_width, last_column - column)
        for block in range(blocks):
            a = offset_of(plan, l, A_OFFSET, first_block + block)
            for c in range(0, width, lanes):
                for i in range(0, size, lanes):
                    units = Rows(workspace, a + (column + c) * size + i, size, plan.iota)
                    transpose(moved(panel, (block * size + i) * panel_width + c), units, 0, None, as_it_is)


@routine
def _wgrad_gemm(job, scratch, alpha, changed, piece):
    """dW[rows, columns] += alpha * dZ^T A_prev, with A_prev gathered as panels, some blocks at a time."""
    for first in range(0, job.m, _samples_at_once(job, piece)):
        panels, count = _gather_panels(job, scratch, piece, first)
        dW = _target_of(job.plan, changed, piece)
        _add_products(job, alpha, dW, dW, panels, piece, piece.first_row, piece.last_row, first, count)


@inner
def _keeps_panels(job, piece):
    """Whether the samples stay in the workspace as panels."""
    return piece.layer == 0 and job.plan.inputs == PACKED_CACHED


@inner
def _samples_at_once(job, piece):
    """How many samples are gathered at a time: whole blocks."""
    size = job.plan.block_rows
    return n_blocks(job.m, size) * size if _keeps_panels(job, piece) else job.plan.blocks_at_once * size


@inner
def _columns_of_panels(job, piece):
    """The last of a piece's columns that go into panels: those behind it would leave most of one empty."""
    l = piece.layer
    return piece.last_column - (job.plan.layers[l, INPUT_TAIL] if piece.last_column == job.plan.layers[l, N_IN] else 0)


@inner
def _gather_panels(job, scratch, piece, first):
    """A_prev of a piece's columns, of samples from `first` on, as `Panels` of a sample a row, and their number."""
    plan, panel_width, keeps = job.plan, PANEL_BYTES // scratch.itemsize, _keeps_panels(job, piece)
    last_column, at_once = _columns_of_panels(job, piece), _samples_at_once(job, piece)
    p = plan.X_panels + piece.first_column * at_once if keeps else 0
    panels = Panels(job.workspace if keeps else scratch, p, panel_width, at_once * panel_width)
    count = min(at_once, job.m - first)
    if piece.layer > 0:
        block, blocks = first // plan.block_rows, n_blocks(count, plan.block_rows)
        _gather_activations(job, panels, below(job, piece.layer), block, blocks, piece.first_column, last_column)
    elif not (keeps and job.again):
        gather_inputs(job, panels, first, count, piece.first_column, last_column)
    return panels, count


@routine
def _add_products(job, alpha, C, S, panels, piece, first_row, last_row, first, count):
    """C = S + alpha * dZ^T A_prev, for some rows of a piece, over `count` samples from `first` on; `panels` has A_prev.

    C and S, whose rows are contiguous, begin at the first of these rows, and at the piece's first column. The last few
    columns, which would leave most of a panel empty, are dot products, which are added to C.
    """
    plan, l, panel_width, n_rows = job.plan, piece.layer, PANEL_BYTES // C.data.itemsize, last_row - first_row
    last_column, keeps = _columns_of_panels(job, piece), _keeps_panels(job, piece)
    dz = plan.layers[l, DZ_ROWS_OFFSET] + first_row * plan.samples_stride
    dZ = Matrix(job.workspace, dz + first, plan.samples_stride, 1)
    if last_column < piece.last_column:
        tail = Rows(job.workspace, plan.layers[l, INPUT_TAIL_OFFSET] + first, plan.samples_stride, plan.iota)
        C_tail = Matrix(C.data, C.offset + last_column - piece.first_column, 1, C.row_stride)
        gemm_dot(piece.last_column - last_column, n_rows, count, alpha, C_tail, tail, dZ)
    rows = mc_for(count, C.data)
    for row in range(0, n_rows, rows):
        for column in range(piece.first_column, last_column, panel_width):
            at = column - piece.first_column
            panel = panel_of(panels, at // panel_width)
            upcoming = panel.offset + panels.panel_stride if keeps else NO_PREFETCH
            height, width = min(rows, n_rows - row), min(panel_width, last_column - column)
            tile, start = part(C, row, at), part(S, row, at)
            gemm(height, width, count, alpha, tile, start, moved(dZ, row * dZ.row_stride), panel, upcoming)


@routine
def _finish_columns(job, scratch, index, piece):
    """`finish_weights` for some columns of a task.

    dW of some rows at a time, which stay in cache, is stored in scratch memory, and nowhere else. But if not all
    samples are gathered at once, all of it is summed first, where gradients are.
    """
    plan, l, one = job.plan, piece.layer, scratch.dtype.type(1)
    stride, columns, at_once = plan.layers[l, LDW], piece.last_column - piece.first_column, _samples_at_once(job, piece)
    zeros, summed = Matrix(job.workspace, plan.zeros, 0, 1), _target_of(plan, job.gradients, piece)
    if at_once >= job.m and np.isinf(job.optimizer[CLIP_NORM]) and job.mode == TRAIN:
        panels, count = _gather_panels(job, scratch, piece, 0)
        ld = plan.columns_at_once + VECTOR_BYTES // scratch.itemsize
        rows, dW = _GRADIENT_NUMBERS // ld // _MR[0] * _MR[0], Matrix(scratch, plan.gradient_scratch, ld, 1)
        for first_row in range(piece.first_row, piece.last_row, rows):
            last_row = min(first_row + rows, piece.last_row)
            _clear_tail(dW, last_row - first_row, _columns_of_panels(job, piece) - piece.first_column, columns)
            _add_products(job, one, dW, zeros, panels, piece, first_row, last_row, 0, count)
            offset = summed.offset + (first_row - piece.first_row) * stride
            finish(job, index, dW, offset, last_row - first_row, stride, columns, True)
        return
    _clear_tail(summed, piece.last_row - piece.first_row, _columns_of_panels(job, piece) - piece.first_column, columns)
    for first in range(0, job.m, at_once):
        panels, count = _gather_panels(job, scratch, piece, first)
        start = zeros if first == 0 else summed
        _add_products(job, one, summed, start, panels, piece, piece.first_row, piece.last_row, first, count)
    finish(job, index, summed, summed.offset, piece.last_row - piece.first_row, stride, columns, True)


@inner
def _clear_tail(dW, rows, first_column, last_column):
    """Columns of dW to which dot products will be added become 0."""
    for row in range(rows if first_column < last_column else 0):
        clear(row_of(dW, row, first_column, last_column - first_column))


@routine
def _wgrad_amx(job, scratch, alpha, changed, piece):
    """dW[rows, columns] += alpha * dZ^T A_prev by AMX, some samples at a time."""
    plan, l, packed = job.plan, piece.layer, bf16x3_scratch(job, scratch)
    dW = _target_of(plan, changed, piece)
    panels = Panels(changed, dW.offset, dW.row_stride, STEP)
    rows, columns = piece.last_row - piece.first_row, piece.last_column - piece.first_column
    dz, at_once = plan.layers[l, DZ_ROWS_OFFSET] + piece.first_row * plan.samples_stride, depth_at_once(job.m)
    for first in range(0, job.m, at_once):
        count = min(at_once, job.m - first)
        if l == 0:
            gather_inputs_bf16x3(job, packed, first, count, piece.first_column, piece.last_column)
        else:
            pack_activations_bf16x3(job, packed, below(job, l), first, count, piece.first_column, piece.last_column)
        dZ = Matrix(job.workspace, dz + first, plan.samples_stride, 1)
        gemm_bf16x3(rows, columns, count, alpha, panels, dZ, packed)


@routine
def _wgrad_dot(job, alpha, changed, l, blocks):
    """dW += alpha * dZ^T A_prev, block by block, in dot products of two units' numbers."""
    plan = job.plan
    n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
    dW = Matrix(changed, plan.layers[l, W_OFFSET], plan.layers[l, LDW], 1)
    for block in range(blocks):
        dZ = Rows(job.workspace, offset_of(plan, l, DZ_OFFSET, block), size, plan.iota)
        a = plan.X + block * n_in * size if l == 0 else offset_of(plan, below(job, l), A_OFFSET, block)
        gemm_dot(n, n_in, size, alpha, dW, dZ, Matrix(job.workspace, a, size, 1))


@routine(component=SAMPLE_ROWS)
def _wgrad_rows(job, alpha, changed, piece, blocks):
    """dW[rows, columns] += alpha * dZ^T A_prev from the samples' own rows: few, or the first layer's where they lie."""
    plan, workspace, l = job.plan, job.workspace, piece.layer
    n_in, size, count = plan.layers[l, N_IN], plan.block_rows, piece.last_row - piece.first_row
    dW = _target_of(plan, changed, piece)
    if plan.layout == SAMPLE_MAJOR:
        by_sample, by_unit = strides_of(plan, l)
        dz = offset_of(plan, l, DZ_OFFSET, 0) + piece.first_row * by_unit
        if l == 0:
            source, a, index = unpacked_inputs(job)
        else:
            source, a, index = workspace, offset_of(plan, below(job, l), A_OFFSET, 0), plan.iota
        A_prev = Rows(source, a + piece.first_column, n_in, index)
        if n_in <= _SHORT_ROW and count > 1:
            gemm_gathered(count, n_in, job.m, alpha, dW, Matrix(workspace, dz, by_unit, by_sample), A_prev)
            return
        for j in range(count):
            row = vector(changed, dW.offset + j * dW.row_stride, piece.last_column - piece.first_column)
            gemv_t(row, alpha, Matrix(workspace, dz + j * by_unit, by_sample, 1), job.m, A_prev, 0)
    else:
        # Some samples at a time: their rows are read along, page by page, and not all samples' rows again and again.
        for block in range(blocks):
            samples = count_of(job, block)
            dZ = moved(units_of(job, l, DZ_OFFSET, block), piece.first_row * size)
            index, numbers = vector(job.rows, block * size, samples), reinterpret(job.samples, workspace)
            A_prev = Rows(numbers, piece.first_column, n_in, index)
            gemm_gathered(count, piece.last_column - piece.first_column, samples, alpha, dW, dZ, A_prev)


@routine(component=SAMPLE_ROWS)
def _wgrad_fused(job, alpha, changed, piece, blocks):
    """dW[rows, columns] += alpha * the sums over groups of blocks, which the data phase has made, in their order."""
    plan, workspace, dW = job.plan, job.workspace, _target_of(job.plan, changed, piece)
    n, n_in = plan.layers[0, N_OUT], plan.layers[0, N_IN]
    for j in range(piece.first_row, piece.last_row):
        target = vector(
            changed, dW.offset + (j - piece.first_row) * dW.row_stride, piece.last_column - piece.first_column
        )
        for index in range(n_partials(blocks)):
            partial = vector(workspace, plan.partials + (index * n + j) * n_in + piece.first_column, target.size)
            for k in range(target.size):
                target[k] += alpha * partial[k]


@inner
def _add_bias(job, alpha, changed, piece, blocks):
    """db[rows] += alpha * the sum of dZ over all samples."""
    plan, workspace, l, first_row, last_row = job.plan, job.workspace, piece.layer, piece.first_row, piece.last_row
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


@inner
def parameters_of(plan, piece, j):
    """Offset and count of a piece's parameters, row by row of W; after the last row b, with W's first column only."""
    l = piece.layer
    if j < piece.last_row:
        w = plan.layers[l, W_OFFSET] + j * plan.layers[l, LDW] + piece.first_column
        return w, piece.last_column - piece.first_column
    count = piece.last_row - piece.first_row if piece.first_column == 0 else 0
    return plan.layers[l, B_OFFSET] + piece.first_row, count


@routine
def weight_gradient(job, scratch, alpha, changed, task):
    """changed[...] += alpha * the derivatives of one task: some columns and rows of one layer's W, with the first b."""
    plan, piece = job.plan, piece_of(task)
    l, first_column, last_column = piece.layer, piece.first_column, piece.last_column
    how, blocks = plan.layers[l, WGRAD], n_blocks(job.m, plan.block_rows)
    if first_column == 0:
        _add_bias(job, alpha, changed, piece, blocks)
    if how == WGRAD_FUSED:
        _wgrad_fused(job, alpha, changed, piece, blocks)
    elif how == WGRAD_DOT:
        _wgrad_dot(job, alpha, changed, l, blocks)
    elif plan.layers[l, USES_AMX]:
        _wgrad_amx(job, scratch, alpha, changed, piece)
    elif how == WGRAD_ROWS and not is_wgrad_gemm(job, l):
        _wgrad_rows(job, alpha, changed, piece, blocks)
    else:
        for column in range(first_column, last_column, plan.columns_at_once):
            last = min(column + plan.columns_at_once, last_column)
            some = Piece(l, piece.first_row, piece.last_row, column, last)
            _wgrad_gemm(job, scratch, alpha, changed, some)


@inner
def finishes(job, l):
    """Whether layer l has `finish_weights`: where dW is a product of panels."""
    return is_wgrad_gemm(job, l) and not job.plan.layers[l, USES_AMX]


@routine
def finish_weights(job, scratch, index):
    """dW of task `index`, summed over all samples and finished piece by piece; and db, which is added to gradients."""
    plan, piece = job.plan, piece_of(job.plan.tasks[index])
    if piece.first_column == 0:
        _add_bias(job, scratch.dtype.type(1), job.gradients, piece, n_blocks(job.m, plan.block_rows))
    for column in range(piece.first_column, piece.last_column, plan.columns_at_once):
        last = min(column + plan.columns_at_once, piece.last_column)
        _finish_columns(job, scratch, index, Piece(piece.layer, piece.first_row, piece.last_row, column, last))


@routine
def _store_rows(job, l, column, first_unit, target, first_block, last_block):
    """Copy A or dZ of some blocks, from `first_unit` on, to where those of all samples lie for dW, a unit a row."""
    plan, workspace = job.plan, job.workspace
    n, size = plan.layers[l, N_OUT], plan.block_rows
    for j in range(first_unit, n):
        for block in range(first_block, last_block):
            row = vector(workspace, target + (j - first_unit) * plan.samples_stride + block * size, size)
            numbers = vector(workspace, offset_of(plan, l, column, block) + j * size, size)
            map_numbers(same, row, (numbers,), ())


@inner
def keep_derivatives(job, l, first_block, last_block):
    """For WGRAD_GEMM dZ of layer l, of some blocks, once more: a unit a row, of all samples."""
    if is_wgrad_gemm(job, l):
        _store_rows(job, l, DZ_OFFSET, 0, job.plan.layers[l, DZ_ROWS_OFFSET], first_block, last_block)


@inner
def keep_inputs(job, l, first_block, last_block):
    """The last few inputs of layer l, of some blocks, where they would leave most of a panel empty."""
    layers = job.plan.layers
    if layers[l, INPUT_TAIL]:
        first_unit = layers[l, N_IN] - layers[l, INPUT_TAIL]
        _store_rows(job, below(job, l), A_OFFSET, first_unit, layers[l, INPUT_TAIL_OFFSET], first_block, last_block)


@inner
def clear_partial(job, index):
    """The sum of dW over one group of blocks, for WGRAD_FUSED, before its blocks add to it."""
    size = job.plan.layers[0, N_OUT] * job.plan.layers[0, N_IN]
    sums = vector(job.workspace, job.plan.partials + index * size, size)
    for k in range(size):
        sums[k] = 0


@routine(component=SAMPLE_ROWS)
def add_to_partial(job, index, block):
    """The block's share of dW, of the single layer there is, from samples that are still in cache.

    Meanwhile half of the next block's samples are prefetched, where that helps.
    """
    plan, workspace = job.plan, job.workspace
    n, n_in, size = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.block_rows
    first, partial = block * size, plan.partials + index * n * n_in
    dz = offset_of(plan, 0, DZ_OFFSET, block)
    count, rows = count_of(job, block), vector(job.rows, first, 2 * size)
    scale, shift = workspace.dtype.type(plan.scale), workspace.dtype.type(plan.shift)
    for j in range(n):
        f, ahead = dz + j * size, size if j == 0 and _PREFETCHES else 0
        sums, factors = vector(workspace, partial + j * n_in, n_in), Matrix(workspace, f, 1, 1)
        if job.are_bytes:
            gemv_t_bytes(sums, scale, factors, count, Rows(job.samples, 0, n_in, rows), ahead)
        else:
            numbers = reinterpret(job.samples, workspace)
            gemv_t(sums, scale, factors, count, Rows(numbers, 0, n_in, rows), ahead)
        if shift != 0:
            total = shift * 0
            for i in range(count):
                total += shift * workspace[f + i]
            for k in range(n_in):
                sums[k] += total
