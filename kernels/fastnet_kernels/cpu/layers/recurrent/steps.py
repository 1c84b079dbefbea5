"""Through time: products and cells of a block of samples, step by step, while W stays in cache.

Of W (gates n, n + n_prev) the first n columns multiply the state before, and the others the step's inputs.
"""

from ....codes import (
    A_OFFSET,
    DZ_OFFSET,
    GRU_CELL,
    LDW,
    LSTM_CELL,
    RECURRENT,
    RETURNS_SEQUENCES,
    STATES_COLUMN,
    TRUNCATE,
)
from ...codegen.arrays import vector
from ...codegen.compiling import inner, routine
from ...codegen.elements import clear
from ...codegen.matrix import Matrix, moved
from ...codegen.processor import VECTOR_BYTES
from ...gemm.conv_micro_kernels import MR, conv_micro_kernel
from ...gemm.macro_kernel import even_height, gemm
from ...gemm.micro_kernels import NO_PREFETCH
from ...step.workspace import below, clear_beyond, count_of, offset_of, vectors_of
from .cells import step_backward, step_forward
from .memory import extents_of, memory_of, state_before, step_number


@routine(component=RECURRENT)
def _product(m, vectors, k, C, start, A, B):
    """C[i, j] = start[i] + sum_p A[i, p] B[p, j], for i < m, p < k, and j in some vectors; `start` is a column."""
    lanes = VECTOR_BYTES // C.data.itemsize
    i = 0
    while i < m:
        mr = even_height(m - i, MR)
        for v in range(0, vectors, 2):
            conv_micro_kernel(
                mr, 2 if v + 1 < vectors else 1, k, 1, 0, 0, 1, 0, 0, lanes, lanes,
                moved(C, i * C.row_stride + v * lanes), moved(start, i * start.row_stride),
                moved(A, i * A.row_stride), moved(B, v * lanes),
            )  # fmt: skip
        i += mr


@inner
def _rows(job, offset):
    """Numbers of the workspace as a `Matrix` of a unit a row, a block's samples side by side."""
    return Matrix(job.workspace, offset, job.plan.block_rows, 1)


@inner
def _fill_rows(job, offset, column, count):
    """Each row has a number of the parameters, from `column` on, for all samples."""
    size = job.plan.block_rows
    for j in range(count):
        numbers, number = vector(job.workspace, offset + j * size, size), job.parameters[column + j]
        for i in range(size):
            numbers[i] = number


@inner
def _add(target, numbers):
    for i in range(target.size):
        target[i] += numbers[i]


@inner
def _copy(target, numbers):
    for i in range(target.size):
        target[i] = numbers[i]


@inner
def _masks(job, block, t, steps):
    """Which samples of a block are left out at step t, and whether any is."""
    plan, total = job.plan, job.workspace.dtype.type(0)
    mask = vector(job.workspace, plan.mask + (block * steps + t) * plan.block_rows, plan.block_rows)
    if plan.masked_steps:
        for i in range(mask.size):
            total += mask[i]
    return mask, total > 0


@routine(component=RECURRENT)
def _copy_masked(mask, source, target):
    """Numbers of the samples that are left out: target = source, both (units, samples)."""
    for first in range(0, target.size, mask.size):
        for i in range(mask.size):
            target[first + i] = source[first + i] if mask[i] else target[first + i]


@routine(component=RECURRENT)
def _clear_masked(mask, target):
    """0 for the samples that are left out, in target (units, samples)."""
    for first in range(0, target.size, mask.size):
        for i in range(mask.size):
            target[first + i] = 0 if mask[i] else target[first + i]


@inner
def _load_states(job, l, block, places, extents):
    """What stands before the first step: 0, or the states that samples are given."""
    workspace, plan, is_lstm = job.workspace, job.plan, extents.cell == LSTM_CELL
    clear(vector(workspace, places.first_state, places.step))
    if is_lstm:
        clear(vector(workspace, places.cells, places.step))
    if job.states.shape[0]:
        column, first = plan.layers[l, STATES_COLUMN], job.start + block * plan.block_rows
        for i in range(count_of(job, block)):
            for j in range(extents.n):
                workspace[places.first_state + j * plan.block_rows + i] = job.states[first + i, column + j]
                if is_lstm:
                    number = job.states[first + i, column + extents.n + j]
                    workspace[places.cells + j * plan.block_rows + i] = number


@inner
def _store_states(job, l, block, places, extents):
    """What stands behind the last step takes the place of the states that samples were given."""
    workspace, plan, last = job.workspace, job.plan, extents.steps - 1
    column, first = plan.layers[l, STATES_COLUMN], job.start + block * plan.block_rows
    state, cell = places.states + last * places.states_step, places.cells + (last + 1) * places.step
    for i in range(count_of(job, block)):
        for j in range(extents.n):
            job.states[first + i, column + j] = workspace[state + j * plan.block_rows + i]
            if extents.cell == LSTM_CELL:
                job.states[first + i, column + extents.n + j] = workspace[cell + j * plan.block_rows + i]


@inner
def _forward_block(job, l, block, direction, extents):
    """Gates and states of all steps, of one block and direction."""
    plan, workspace, parameters = job.plan, job.workspace, job.parameters
    row, size, places = plan.layers[l], plan.block_rows, memory_of(job, l, block, direction)
    one, x = workspace.dtype.type(1), offset_of(plan, below(job, l), A_OFFSET, block)
    n, n_in, rows = extents.n, extents.n_in, extents.rows
    lanes, vectors, is_gru = VECTOR_BYTES // workspace.itemsize, vectors_of(job, block), extents.cell == GRU_CELL
    of_state, b = Matrix(parameters, places.W, row[LDW], 1), Matrix(parameters, places.b, 1, 1)
    of_input = moved(of_state, n)
    # Of a GRU's candidate the state's part stays apart, with a b of its own.
    common = rows - n if is_gru else rows
    of_candidate = moved(of_state, common * row[LDW])
    _load_states(job, l, block, places, extents)
    for k in range(extents.steps):
        t, h = step_number(places, extents, k), state_before(places, extents, k)
        has_state = k > 0 or job.states.shape[0] > 0
        gates = _rows(job, places.gates + t * places.gates_step)
        _product(rows, vectors, n_in, gates, b, of_input, _rows(job, x + t * n_in * size))
        if has_state:
            gemm(common, vectors * lanes, n, one, gates, gates, of_state, _rows(job, h), NO_PREFETCH)
        if is_gru and has_state:
            _product(n, vectors, n, moved(gates, rows * size), moved(b, rows), of_candidate, _rows(job, h))
        elif is_gru:
            _fill_rows(job, gates.offset + rows * size, places.b + rows, n)
        step_forward(
            extents.cell, workspace, gates.offset, h, places.cells + k * places.step,
            places.states + t * places.states_step, places.cells + (k + 1) * places.step,
            places.tanh_cells + k * places.step, places.step,
        )  # fmt: skip
        mask, is_masked = _masks(job, block, t, extents.steps)
        if is_masked:
            state = vector(workspace, places.states + t * places.states_step, places.step)
            _copy_masked(mask, vector(workspace, h, places.step), state)
            if extents.cell == LSTM_CELL:
                c = vector(workspace, places.cells + k * places.step, 2 * places.step)
                _copy_masked(mask, vector(c, 0, places.step), vector(c, places.step, places.step))
    if job.states.shape[0]:
        _store_states(job, l, block, places, extents)
    if not row[RETURNS_SEQUENCES]:
        last = state_before(places, extents, extents.steps)
        target = vector(workspace, offset_of(plan, l, A_OFFSET, block) + direction * places.step, places.step)
        _copy(target, vector(workspace, last, places.step))


@routine(component=RECURRENT)
def forward(job, l, first_block, last_block):
    """A of recurrent layer l, for some blocks, from A of the layer below; gates and states stay for the way back."""
    extents = extents_of(job.plan.layers[l])
    for block in range(first_block, last_block):
        for direction in range(extents.directions):
            _forward_block(job, l, block, direction, extents)
        clear_beyond(job, l, A_OFFSET, block)


@inner
def _block_through_time(job, l, block, direction, extents):
    """dZ of the gates of all steps, of one block and direction."""
    plan, workspace = job.plan, job.workspace
    row, places, dA = plan.layers[l], memory_of(job, l, block, direction), offset_of(plan, l, DZ_OFFSET, block)
    n, rows, one, is_gru = extents.n, extents.rows, workspace.dtype.type(1), extents.cell == GRU_CELL
    lanes, common = VECTOR_BYTES // workspace.itemsize, rows - n if is_gru else rows
    W, zeros = Matrix(job.parameters, places.W, 1, row[LDW]), Matrix(workspace, plan.zeros, 0, 1)
    columns, dh = vectors_of(job, block) * lanes, vector(workspace, places.dh, places.step)
    dA_step = extents.directions * places.step if row[RETURNS_SEQUENCES] else 0
    clear(dh)
    if extents.cell == LSTM_CELL:
        clear(vector(workspace, places.dc, places.step))
    for k in range(extents.steps - 1, -1, -1):
        t = step_number(places, extents, k)
        if row[RETURNS_SEQUENCES] or k == extents.steps - 1:
            _add(dh, vector(workspace, dA + t * dA_step + direction * places.step, places.step))
        mask, is_masked = _masks(job, block, t, extents.steps)
        if is_masked:
            _copy(vector(workspace, places.kept_dh, places.step), dh)
            if extents.cell == LSTM_CELL:
                _copy(vector(workspace, places.kept_dc, places.step), vector(workspace, places.dc, places.step))
        gates = _rows(job, places.gates + t * places.gates_step)
        step_backward(
            extents.cell, workspace, gates.offset, state_before(places, extents, k), places.cells + k * places.step,
            places.states + t * places.states_step, places.tanh_cells + k * places.step, places.dh, places.dc,
            places.step,
        )  # fmt: skip
        if is_masked:
            _clear_masked(mask, vector(workspace, gates.offset, places.gates_step))
        if row[TRUNCATE] and k % row[TRUNCATE] == 0:
            clear(dh)
            if extents.cell == LSTM_CELL:
                clear(vector(workspace, places.dc, places.step))
            continue
        target = _rows(job, places.dh)
        if k > 0 and is_gru:
            gemm(n, columns, common, one, target, target, W, gates, NO_PREFETCH)
            of_candidate, apart = moved(W, common * row[LDW]), moved(gates, rows * plan.block_rows)
            gemm(n, columns, n, one, target, target, of_candidate, apart, NO_PREFETCH)
        elif k > 0:
            gemm(n, columns, rows, one, target, zeros, W, gates, NO_PREFETCH)
        if is_masked:
            _copy_masked(mask, vector(workspace, places.kept_dh, places.step), dh)
            if extents.cell == LSTM_CELL:
                dc = vector(workspace, places.dc, places.step)
                _copy_masked(mask, vector(workspace, places.kept_dc, places.step), dc)


@routine(component=RECURRENT)
def through_time(job, l, first_block, last_block):
    """dZ of the gates of all steps, in the place of the gates, for some blocks, from dA of layer l."""
    extents = extents_of(job.plan.layers[l])
    for block in range(first_block, last_block):
        for direction in range(extents.directions):
            _block_through_time(job, l, block, direction, extents)


@routine(component=RECURRENT)
def backward(job, l, first_block, last_block):
    """dA of the layer below recurrent layer l, for some blocks, from dZ of the gates."""
    plan, workspace = job.plan, job.workspace
    size, extents, one = plan.block_rows, extents_of(plan.layers[l]), workspace.dtype.type(1)
    zeros, lanes = Matrix(workspace, plan.zeros, 0, 1), VECTOR_BYTES // workspace.itemsize
    for block in range(first_block, last_block):
        dA, vectors = offset_of(plan, below(job, l), DZ_OFFSET, block), vectors_of(job, block)
        clear_beyond(job, below(job, l), DZ_OFFSET, block)
        for direction in range(extents.directions):
            places = memory_of(job, l, block, direction)
            W = Matrix(job.parameters, places.W + extents.n, 1, plan.layers[l, LDW])
            for t in range(extents.steps):
                gates = _rows(job, places.gates + t * places.gates_step)
                target = _rows(job, dA + t * extents.n_in * size)
                start = target if direction else zeros
                gemm(extents.n_in, vectors * lanes, extents.rows, one, target, start, W, gates, NO_PREFETCH)
