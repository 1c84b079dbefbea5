"""Phase 2 of a training step: pieces of dW and db, summed over all samples, change W and b at once."""

from ..codes import (
    DZ,
    EDGE_ROWS,
    FIRST_COLUMN,
    FIRST_ROW,
    GRADIENT,
    LAST_COLUMN,
    LAST_ROW,
    N_IN,
    N_OUT,
    ROWS_AHEAD,
    TASK_LAYER,
    W_STRIDE,
    A,
    B,
    W,
)
from .blocks import n_blocks
from .compiling import inner, routine
from .microkernel import PANEL_HEIGHTS, VECTOR_BYTES, prefetch, read_panel_row, transpose
from .panels import add_product, block_of, flat, panel_width
from .views import matrix, reinterpret, vector

_LINE_BYTES = 64  # of a cache line


@inner
def _gather_inputs(plan, scratch, source, rows, first, count, first_column, last_column, room):
    """Columns of samples `first` on as panels, each with `room`: scale * x + shift. Beyond the last is no meaning."""
    panel, n = panel_width(scratch), plan.layers[0, N_IN]
    scale, shift = scratch.dtype.type(plan.scale), scratch.dtype.type(plan.shift)
    for i in range(count):
        t, ahead = i * panel, rows[first + i + ROWS_AHEAD] * n
        for column in range(first_column, last_column, _LINE_BYTES // source.itemsize):
            prefetch(source, ahead + column)
        for column in range(first_column, last_column, panel):
            place = rows[first + i] * n + column
            if place + panel <= source.size:
                read_panel_row(scratch, t, source, place, scale, shift)
            else:
                given, taken = vector(source, place, last_column - column), vector(scratch, t, last_column - column)
                for c in range(taken.size):
                    taken[c] = scale * given[c] + shift
            t += room


@inner
def _gather_activations(plan, scratch, t, workspace, l, first_block, blocks, column, width):
    """The same from layer l's A; what stands beyond `width` belongs to another block, and means nothing either."""
    panel, lanes, size = panel_width(scratch), VECTOR_BYTES // scratch.itemsize, plan.block_rows
    one, zero = scratch.dtype.type(1), scratch.dtype.type(0)
    for block in range(blocks):
        M = flat(block_of(plan, workspace, l, A, first_block + block))
        start = t + block * size * panel
        if size == 1:
            taken = vector(scratch, start, width)
            for c in range(width):
                taken[c] = M[column + c]
        else:
            for c in range(0, width, lanes):
                for i in range(0, panel, lanes):
                    s = (column + c) * panel + i
                    transpose(scratch, start + i * panel + c, M, s, plan.numbers, 0, panel, one, zero)


@routine
def _gather(
    plan, scratch, workspace, samples, inputs_are_bytes, rows, l, first_block, blocks, first_column, last_column, room
):  # fmt: skip
    """Columns of what layer l reads, of some blocks, as panels: a sample a row."""
    first, count = first_block * plan.block_rows, blocks * plan.block_rows
    if l > 0:
        for column in range(first_column, last_column, panel_width(scratch)):
            t = (column - first_column) // panel_width(scratch) * room
            width = min(panel_width(scratch), last_column - column)
            _gather_activations(plan, scratch, t, workspace, l - 1, first_block, blocks, column, width)
    elif inputs_are_bytes:
        _gather_inputs(plan, scratch, samples, rows, first, count, first_column, last_column, room)
    else:
        numbers = reinterpret(samples, workspace)
        _gather_inputs(plan, scratch, numbers, rows, first, count, first_column, last_column, room)


@inner
def _add_panel(plan, alpha, changed, scratch, t, workspace, l, first_block, blocks, column, width, first_row, last_row):
    """changed[rows, columns] += alpha * dZ^T A_prev, over some blocks, whose A_prev is the panel at `t`."""
    n, stride, panel, size = plan.layers[l, N_OUT], plan.layers[l, W_STRIDE], panel_width(scratch), plan.block_rows
    w, dZ = plan.layers[l, W] + column, plan.layers[l, DZ] + first_block * n * size
    # dZ of one row of W: numbers of a block lie together; blocks of one sample are one long block.
    a_row, a_k, times, n_k = (1, n, 1, blocks) if size == 1 else (size, 1, blocks, size)
    if width == panel:
        add_product(
            last_row - first_row, alpha, changed, w + first_row * stride, stride, workspace, dZ + first_row * a_row,
            a_row, a_k, n * size, scratch, t, times, n_k,
        )  # fmt: skip
        return
    # Where a panel is wider than what is left of W, it works on a copy.
    edge = matrix(scratch, plan.edge, EDGE_ROWS, panel)
    for j in range(first_row, last_row, PANEL_HEIGHTS[0]):
        height = min(PANEL_HEIGHTS[0], last_row - j)
        for r in range(height):
            row = vector(changed, w + (j + r) * stride, width)
            for c in range(width):
                edge[r, c] = row[c]
        add_product(
            height, alpha, flat(edge), 0, panel, workspace, dZ + j * a_row, a_row, a_k, n * size, scratch, t,
            times, n_k,
        )  # fmt: skip
        for r in range(height):
            row = vector(changed, w + (j + r) * stride, width)
            for c in range(width):
                row[c] = edge[r, c]


@inner
def _add_samples(plan, alpha, changed, workspace, source, rows, m, column, width):
    """The same for a network of a single unit and samples in their own rows, four at a time."""
    target, n = vector(changed, plan.layers[0, W] + column, width), plan.layers[0, N_IN]
    count = n_blocks(m, plan.block_rows) * plan.block_rows
    dZ = vector(workspace, plan.layers[0, DZ], count)
    scale, shift, total = type(alpha)(plan.scale), type(alpha)(plan.shift), alpha * 0
    for i in range(0, count, 4):
        a, b, c, d = alpha * dZ[i], alpha * dZ[i + 1], alpha * dZ[i + 2], alpha * dZ[i + 3]
        total += a + b + c + d
        a, b, c, d = scale * a, scale * b, scale * c, scale * d
        x, y = vector(source, rows[i] * n + column, width), vector(source, rows[i + 1] * n + column, width)
        v, w = vector(source, rows[i + 2] * n + column, width), vector(source, rows[i + 3] * n + column, width)
        for k in range(width):
            target[k] += a * x[k] + b * y[k] + c * v[k] + d * w[k]
    for k in range(width):
        target[k] += shift * total


@inner
def _add_bias(plan, alpha, changed, workspace, l, blocks, first_row, last_row):
    """db of some rows: the sum of dZ over all samples."""
    n, size = plan.layers[l, N_OUT], plan.block_rows
    b = vector(changed, plan.layers[l, B], n)
    for j in range(first_row, last_row):
        total = alpha * 0
        for block in range(blocks):
            numbers = vector(workspace, plan.layers[l, DZ] + (block * n + j) * size, size)
            for i in range(size):
                total += numbers[i]
        b[j] += alpha * total


@routine
def by_weights(
    index, mode, plan, parameters, gradients, workspace, scratch, samples, inputs_are_bytes, rows, m, learning_rate
):
    """Phase 2 for one task: some columns and rows of one layer's W, and with the first columns b."""
    task = plan.tasks[index]
    l, first_column, last_column = task[TASK_LAYER], task[FIRST_COLUMN], task[LAST_COLUMN]
    first_row, last_row = task[FIRST_ROW], task[LAST_ROW]
    panel, blocks = panel_width(scratch), n_blocks(m, plan.block_rows)
    changed, alpha = parameters, scratch.dtype.type(-learning_rate)
    if mode == GRADIENT:
        changed, alpha = gradients, scratch.dtype.type(1)
        for j in range(first_row, last_row):
            place = plan.layers[l, W] + j * plan.layers[l, W_STRIDE] + first_column
            row = vector(gradients, place, last_column - first_column)
            for c in range(row.size):
                row[c] = 0
            if first_column == 0:
                gradients[plan.layers[l, B] + j] = 0
    if first_column == 0:
        _add_bias(plan, alpha, changed, workspace, l, blocks, first_row, last_row)
    if plan.is_single_unit:
        width = last_column - first_column
        if inputs_are_bytes:
            _add_samples(plan, alpha, changed, workspace, samples, rows, m, first_column, width)
        else:
            numbers = reinterpret(samples, workspace)
            _add_samples(plan, alpha, changed, workspace, numbers, rows, m, first_column, width)
        return
    for first_block in range(0, blocks, plan.blocks_at_once):
        count = min(plan.blocks_at_once, blocks - first_block)
        room = plan.blocks_at_once * plan.block_rows * panel
        _gather(
            plan, scratch, workspace, samples, inputs_are_bytes, rows, l, first_block, count, first_column,
            last_column, room,
        )  # fmt: skip
        for column in range(first_column, last_column, panel):
            t = (column - first_column) // panel * room
            width = min(panel, last_column - column)
            _add_panel(
                plan, alpha, changed, scratch, t, workspace, l, first_block, count, column, width, first_row, last_row
            )
