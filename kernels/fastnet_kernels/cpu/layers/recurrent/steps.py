"""Through time: products and cells of a block of samples, step by step, while W stays in cache.

Of W (gates n, n + n_prev) the first n columns multiply the state before, and the others the step's inputs.
"""

from ....codes import A_OFFSET, B_OFFSET, DZ_OFFSET, GRU_CELL, LDW, LSTM_CELL, RECURRENT, RETURNS_SEQUENCES, W_OFFSET
from ...codegen.arrays import vector
from ...codegen.compiling import inner, routine
from ...codegen.matrix import Matrix, moved
from ...codegen.processor import VECTOR_BYTES
from ...gemm.conv_micro_kernels import MR, conv_micro_kernel
from ...gemm.macro_kernel import even_height, gemm
from ...gemm.micro_kernels import NO_PREFETCH
from ...partition import n_blocks
from ...step.workspace import count_of, numbers_of, offset_of
from .cells import step_backward, step_forward
from .memory import extents_of, places_of, state_before


@inner
def _vectors_of(job, block):
    """How many vectors of a block hold samples."""
    return n_blocks(count_of(job, block), VECTOR_BYTES // job.workspace.itemsize)


@inner
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
def _clear(numbers):
    for i in range(numbers.size):
        numbers[i] = 0


@inner
def _fill_rows(job, offset, column, count):
    """Each row of a block has the number of a column of `parameters`."""
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


@routine(component=RECURRENT)
def forward(job, l, first_block, last_block):
    """A of recurrent layer l, for some blocks, from A of the layer below; gates and states stay for the way back."""
    plan, workspace, parameters = job.plan, job.workspace, job.parameters
    row, size = plan.layers[l], plan.block_rows
    extents, one = extents_of(row), workspace.dtype.type(1)
    n, n_in, rows = extents.n, extents.n_in, extents.weight_rows
    lanes, is_gru = VECTOR_BYTES // workspace.itemsize, extents.cell == GRU_CELL
    of_state = Matrix(parameters, row[W_OFFSET], row[LDW], 1)
    of_input, b = moved(of_state, n), Matrix(parameters, row[B_OFFSET], 1, 1)
    # Of a GRU's candidate the state's part stays apart, with a b of its own.
    common = rows - n if is_gru else rows
    for block in range(first_block, last_block):
        places, x = places_of(job, l, block), offset_of(plan, l - 1, A_OFFSET, block)
        vectors = _vectors_of(job, block)
        _clear(vector(workspace, places.first_state, places.step))
        if extents.cell == LSTM_CELL:
            _clear(vector(workspace, places.cells, places.step))
        for t in range(extents.steps):
            gates, h = _rows(job, places.gates + t * places.gates_step), state_before(places, t)
            _product(rows, vectors, n_in, gates, b, of_input, _rows(job, x + t * n_in * size))
            if t > 0:
                gemm(common, vectors * lanes, n, one, gates, gates, of_state, _rows(job, h), NO_PREFETCH)
            if is_gru:
                apart, last = moved(gates, rows * size), moved(of_state, common * row[LDW])
                if t > 0:
                    _product(n, vectors, n, apart, moved(b, rows), last, _rows(job, h))
                else:
                    _fill_rows(job, apart.offset, b.offset + rows, n)
            step_forward(
                extents.cell, workspace, gates.offset, h, places.cells + t * places.step,
                places.states + t * places.step, places.cells + (t + 1) * places.step,
                places.tanh_cells + t * places.step, places.step,
            )  # fmt: skip
        if not row[RETURNS_SEQUENCES]:
            last = vector(workspace, places.states + (extents.steps - 1) * places.step, places.step)
            _copy(numbers_of(job, l, A_OFFSET, block), last)


@routine(component=RECURRENT)
def through_time(job, l, first_block, last_block):
    """dZ of the gates of all steps, in the place of the gates, for some blocks, from dA of layer l."""
    plan, workspace = job.plan, job.workspace
    row, size = plan.layers[l], plan.block_rows
    extents, one = extents_of(row), workspace.dtype.type(1)
    n, rows, is_gru = extents.n, extents.weight_rows, extents.cell == GRU_CELL
    lanes, common = VECTOR_BYTES // workspace.itemsize, rows - n if is_gru else rows
    W, zeros = Matrix(job.parameters, row[W_OFFSET], 1, row[LDW]), Matrix(workspace, plan.zeros, 0, 1)
    for block in range(first_block, last_block):
        places, dA = places_of(job, l, block), offset_of(plan, l, DZ_OFFSET, block)
        columns, dh = _vectors_of(job, block) * lanes, vector(workspace, places.dh, places.step)
        _clear(dh)
        if extents.cell == LSTM_CELL:
            _clear(vector(workspace, places.dc, places.step))
        for t in range(extents.steps - 1, -1, -1):
            if row[RETURNS_SEQUENCES]:
                _add(dh, vector(workspace, dA + t * places.step, places.step))
            elif t == extents.steps - 1:
                _add(dh, vector(workspace, dA, places.step))
            gates = _rows(job, places.gates + t * places.gates_step)
            step_backward(
                extents.cell, workspace, gates.offset, state_before(places, t), places.cells + t * places.step,
                places.states + t * places.step, places.tanh_cells + t * places.step, places.dh, places.dc, places.step,
            )  # fmt: skip
            if t > 0:
                target = _rows(job, places.dh)
                if is_gru:
                    gemm(n, columns, common, one, target, target, W, gates, NO_PREFETCH)
                    last, apart = moved(W, common * row[LDW]), moved(gates, rows * size)
                    gemm(n, columns, n, one, target, target, last, apart, NO_PREFETCH)
                else:
                    gemm(n, columns, rows, one, target, zeros, W, gates, NO_PREFETCH)


@routine(component=RECURRENT)
def backward(job, l, first_block, last_block):
    """dA of the layer below recurrent layer l, for some blocks, from dZ of the gates."""
    plan, workspace = job.plan, job.workspace
    row, size, extents = plan.layers[l], plan.block_rows, extents_of(plan.layers[l])
    W = Matrix(job.parameters, row[W_OFFSET] + extents.n, 1, row[LDW])
    zeros = Matrix(workspace, plan.zeros, 0, 1)
    for block in range(first_block, last_block):
        places, dA = places_of(job, l, block), offset_of(plan, l - 1, DZ_OFFSET, block)
        vectors = _vectors_of(job, block)
        for t in range(extents.steps):
            gates, target = places.gates + t * places.gates_step, dA + t * extents.n_in * size
            _product(extents.n_in, vectors, extents.weight_rows, _rows(job, target), zeros, W, _rows(job, gates))
