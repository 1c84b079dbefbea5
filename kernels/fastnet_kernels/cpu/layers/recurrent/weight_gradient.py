"""The weight gradient of a recurrent layer: dW = the sum over samples and steps of dZ[t] [h[t - 1], x[t]]^T, and db.

Whole vectors of columns are products: the states before, or the inputs, of some steps are transposed, a sample a row,
and read by all rows of dZ. The last few columns, which would leave most of a vector empty, are dot products.
"""

from ....codes import A_OFFSET, B_OFFSET, GRU_CELL, LDW, RECURRENT, W_OFFSET
from ...codegen.arrays import vector
from ...codegen.compiling import inner, routine
from ...codegen.matrix import Matrix, Rows, moved, unscaled
from ...codegen.processor import TARGET, VECTOR_BYTES
from ...gemm.conv_micro_kernels import MR, conv_dot_micro_kernel, conv_micro_kernel
from ...gemm.dot_and_gemv import largest_of
from ...gemm.load_convert import transpose
from ...gemm.macro_kernel import even_height
from ...partition import n_blocks
from ...step.workspace import below, count_of, offset_of, piece_of
from .memory import extents_of, memory_of

_DOT_MR, _DOT_NR = TARGET.dot_mr, TARGET.dot_nr
_CHUNK_BYTES = TARGET.conv_chunk_bytes


@inner
def parameters_of(plan, piece, j):
    """Offset and count of a task's parameters: some columns of row j of W, or behind the last row b, with the first."""
    row = plan.layers[piece.layer]
    if j < piece.last_row:
        return row[W_OFFSET] + j * row[LDW] + piece.first_column, piece.last_column - piece.first_column
    extents = extents_of(row)
    return row[B_OFFSET], extents.directions * extents.biases if piece.first_column == 0 else 0


@inner
def _add_bias(job, scratch, alpha, changed, l, direction, extents):
    """db += alpha * the sum of dZ over all samples and steps, of one direction, in the order in which dZ lies."""
    size, sums = job.plan.block_rows, vector(scratch, 0, extents.biases)
    for j in range(sums.size):
        sums[j] = 0
    for block in range(n_blocks(job.m, size)):
        places, count = memory_of(job, l, block, direction), count_of(job, block)
        for t in range(extents.steps):
            for j in range(sums.size):
                numbers = vector(job.workspace, places.gates + t * places.gates_step + j * size, count)
                total = alpha * 0
                for i in range(numbers.size):
                    total += numbers[i]
                sums[j] += total
    target = vector(changed, job.plan.layers[l, B_OFFSET] + direction * extents.biases, sums.size)
    for j in range(sums.size):
        target[j] += alpha * sums[j]


@routine(component=RECURRENT)
def _transpose(job, T, source, source_step, steps, columns, count):
    """Some steps of `columns` units from `source` on, as panels of two vectors of units, a row a sample of a step."""
    size, width = job.plan.block_rows, T.row_stride
    lanes, panel = width // 2, steps * size * width
    for c in range(0, columns, lanes):
        place = T.offset + c // width * panel + c % width
        for t in range(steps):
            for s in range(0, count, lanes):
                units = Rows(job.workspace, source + t * source_step + c * size + s, size, job.plan.iota)
                target = Matrix(T.data, place + (t * size + s) * width, width, 1)
                transpose(target, units, 0, None, unscaled(T.data))


@routine(component=RECURRENT)
def _add_product(rows, columns, count, steps, size, dz_step, G, dZ, T):
    """G (rows, columns) += the sums over steps and `count` samples of a block."""
    width = T.row_stride
    lanes = width // 2
    for c in range(0, columns, width):
        i = 0
        while i < rows:
            mr = even_height(rows - i, MR)
            conv_micro_kernel(
                mr, 2 if columns - c > lanes else 1, count, steps, dz_step, size * width, 1, 0, 0, lanes, lanes,
                moved(G, i * G.row_stride + c), None, moved(dZ, i * size), moved(T, c // width * steps * size * width),
            )  # fmt: skip
            i += mr


@routine(component=RECURRENT)
def _add_dots(rows, columns, count, steps, dz_step, a_step, alpha, dW, dZ, A):
    """dW (rows, columns) += alpha * the sums over steps and `count` samples of a block."""
    j = 0
    while j < columns:
        nr = largest_of(_DOT_NR, columns - j)
        i = 0
        while i < rows:
            mr = largest_of(_DOT_MR, rows - i)
            conv_dot_micro_kernel(
                mr, nr, count, steps, dz_step, a_step, 1, 0, 0, alpha, moved(dW, i * dW.row_stride + j),
                moved(dZ, i * dZ.row_stride), moved(A, j * A.row_stride),
            )  # fmt: skip
            i += mr
        j += nr


@routine(component=RECURRENT)
def _add_direction(job, scratch, alpha, changed, piece, direction, extents):
    """changed[...] += alpha * the derivatives of some columns of the rows of W of one direction, and of b."""
    plan, workspace = job.plan, job.workspace
    l, size, lanes = piece.layer, plan.block_rows, VECTOR_BYTES // scratch.itemsize
    row, n, n_in, rows = plan.layers[l], extents.n, extents.n_in, extents.rows
    if piece.first_column == 0:
        _add_bias(job, scratch, alpha, changed, l, direction, extents)
    is_state = piece.first_column < n
    columns = piece.last_column - piece.first_column
    tail = columns % lanes
    tail = tail if 3 * tail <= 2 * lanes else 0
    whole = columns - tail
    # Of a GRU's candidate the state's part has a dZ of its own, behind the others.
    common = rows - n if is_state and extents.cell == GRU_CELL else rows
    at_once = min(extents.steps, max(1, _CHUNK_BYTES // (extents.gates * size * scratch.itemsize)))
    padded = n_blocks(whole, 2 * lanes) * 2 * lanes
    T, sums = Matrix(scratch, 0, 2 * lanes, 1), padded * at_once * size
    G, w = Matrix(scratch, sums, padded, 1), row[W_OFFSET] + direction * rows * row[LDW] + piece.first_column
    zeros = vector(scratch, sums, rows * padded)
    for i in range(zeros.size):
        zeros[i] = 0
    # Before the first step the state is 0: which is step 0, or, read from the end, the last.
    first_step = 1 if is_state and not direction else 0
    last_step = extents.steps - 1 if is_state and direction else extents.steps
    for block in range(n_blocks(job.m, size)):
        places, count = memory_of(job, l, block, direction), count_of(job, block)
        a, step = offset_of(plan, below(job, l), A_OFFSET, block) - n * size, n_in * size
        if is_state:
            a, step = places.states + (places.states_step if direction else -places.states_step), places.states_step
        a += piece.first_column * size
        for start in range(first_step, last_step, at_once):
            steps = min(at_once, last_step - start)
            source = a + start * step
            dZ = Matrix(workspace, places.gates + start * places.gates_step, size, 1)
            apart = moved(dZ, rows * size)
            if whole:
                _transpose(job, T, source, step, steps, whole, count)
                _add_product(common, whole, count, steps, size, places.gates_step, G, dZ, T)
                if common < rows:
                    last = moved(G, common * G.row_stride)
                    _add_product(n, whole, count, steps, size, places.gates_step, last, apart, T)
            if tail:
                A, dW = Matrix(workspace, source + whole * size, size, 1), Matrix(changed, w + whole, row[LDW], 1)
                _add_dots(common, tail, count, steps, places.gates_step, step, alpha, dW, dZ, A)
                if common < rows:
                    last = moved(dW, common * row[LDW])
                    _add_dots(n, tail, count, steps, places.gates_step, step, alpha, last, apart, A)
    for j in range(rows):
        target = vector(changed, w + j * row[LDW], whole)
        for i in range(target.size):
            target[i] += alpha * scratch[sums + j * padded + i]


@routine(component=RECURRENT)
def weight_gradient(job, scratch, alpha, changed, task):
    """changed[...] += alpha * the derivatives of some columns of W, all of the state or all of the inputs, and of b."""
    piece = piece_of(task)
    extents = extents_of(job.plan.layers[piece.layer])
    for direction in range(extents.directions):
        _add_direction(job, scratch, alpha, changed, piece, direction, extents)
