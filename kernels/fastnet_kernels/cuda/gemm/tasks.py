"""The products of dense layers as tasks of the program, and what is done with each of their numbers at once."""

from ...codes import A_OFFSET, B_OFFSET, BACKWARD, DZ_OFFSET, FORWARD, LDW, N_IN, N_OUT, W_OFFSET
from ..codegen.compiling import cuda, inner
from ..layers.activation import activate_number, derive_number
from ..program.partition import n_blocks
from ..program.weight_update import change
from ..program.workspace import offset_of_activations
from ..target import PIECE, SLICE, THREADS
from .tiles import height_of, product_of_tile, width_of


@inner
def shape_of(job, role, l):
    """Rows, columns and inner dimension of a product."""
    n, n_in = job.layers[l, N_OUT], job.layers[l, N_IN]
    if role == FORWARD:
        return job.m, n, n_in
    if role == BACKWARD:
        return job.m, n_in, n
    return n, n_in, job.m


@inner
def tiles_of(job, role, l, tile):
    """How many tiles a product has."""
    m, n, _ = shape_of(job, role, l)
    return n_blocks(m, height_of(tile, job.workspace)) * n_blocks(n, width_of(tile, job.workspace))


@inner
def rows_of_piece(n):
    """Rows of n numbers that make a task."""
    return max(1, PIECE // n)


@inner
def multiply(job, role, l, tile, slices, partial, task, shared):
    """A task: one tile of a product, or of one slice of its inner dimension. Returns the tile's first row."""
    m, n, depth = shape_of(job, role, l)
    height, width = height_of(tile, job.workspace), width_of(tile, job.workspace)
    across = n_blocks(n, width)
    tiles = n_blocks(m, height) * across
    slice_, i0, j0 = task // tiles, task % tiles // across * height, task % across * width
    a_slice = n_blocks(n_blocks(depth, SLICE), slices) * SLICE
    start = slice_ * a_slice
    stop = min(depth, start + a_slice)
    stride_of_W, n_out, n_in = job.layers[l, LDW], job.layers[l, N_OUT], job.layers[l, N_IN]
    dZ, A_prev = job.layers[l, DZ_OFFSET], offset_of_activations(job, l - 1)
    # Offsets of the factors and of the result, and from row to row and depth to depth of each.
    P, Q, C = job.workspace, job.parameters, job.workspace
    if role == FORWARD:
        p, p_row, p_depth = A_prev, n_in, 1
        q, q_row, q_depth = job.layers[l, W_OFFSET], stride_of_W, 1
        c, c_row = job.layers[l, A_OFFSET], n
    elif role == BACKWARD:
        p, p_row, p_depth = dZ, n_out, 1
        q, q_row, q_depth = job.layers[l, W_OFFSET], 1, stride_of_W
        c, c_row = job.layers[l - 1, DZ_OFFSET], n
    else:
        p, p_row, p_depth = dZ, 1, n_out
        Q, q, q_row, q_depth = job.workspace, A_prev, 1, n_in
        C, c, c_row = job.gradients, job.layers[l, W_OFFSET], stride_of_W
    if slices > 1:
        C, c, c_row = job.workspace, partial + slice_ * m * n, n
    product_of_tile(tile, C, c, c_row, P, p, p_row, p_depth, Q, q, q_row, q_depth, i0, m, j0, n, start, stop, shared)
    if slices == 1:
        finish_numbers(job, role, l, 1, 0, i0, min(i0 + height, m), j0, min(j0 + width, n))
    return i0


@inner
def finish(job, role, l, slices, partial, task):
    """A task: some rows of a product whose slices have been made."""
    m, n, _ = shape_of(job, role, l)
    rows = rows_of_piece(n)
    finish_numbers(job, role, l, slices, partial, task * rows, min((task + 1) * rows, m), 0, n)


@inner
def finish_numbers(job, role, l, slices, partial, first_row, last_row, first_column, last_column):
    """Of some rows and columns of a product: add up the slices, then bias and activation, derivative, or update."""
    m, n, _ = shape_of(job, role, l)
    workspace, width = job.workspace, last_column - first_column
    # A thread takes every THREADS'th number, row by row; divisions take too long for each one.
    down, across = THREADS // width, THREADS % width
    i, j = first_row + cuda.threadIdx.x // width, first_column + cuda.threadIdx.x % width
    while i < last_row:
        offset = i * n + j
        value = workspace.dtype.type(0)
        for s in range(slices if slices > 1 else 0):
            value += workspace[partial + s * m * n + offset]
        if role == FORWARD:
            if slices == 1:
                value = workspace[job.layers[l, A_OFFSET] + offset]
            z = value + job.parameters[job.layers[l, B_OFFSET] + j]
            activate_number(job, l, offset, z)
        elif role == BACKWARD:
            if slices == 1:
                value = workspace[job.layers[l - 1, DZ_OFFSET] + offset]
            derive_number(job, l - 1, offset, value)
        else:
            weight = job.layers[l, W_OFFSET] + i * job.layers[l, LDW] + j
            if slices == 1:
                value = job.gradients[weight]
            change(job, l, weight, value, True)
        i, j = i + down, j + across
        if j >= last_column:
            i, j = i + 1, j - width
