"""The products of layers as tasks of the program, and what is done with each of their numbers at once."""

from typing import NamedTuple

import numpy as np

from ...codes import (
    A_OFFSET,
    B_OFFSET,
    BACKWARD,
    CHANNELS,
    CONV,
    DZ_OFFSET,
    FORWARD,
    GROUPS,
    HEIGHT,
    KIND,
    LDW,
    N_IN,
    N_OUT,
    W_OFFSET,
    WEIGHTS,
    WIDTH,
    WINDOW_HEIGHT,
    WINDOW_WIDTH,
)
from ..codegen.compiling import cuda, inner
from ..layers.activation import activate_number, derive_number
from ..program.partition import n_blocks
from ..program.weight_update import change
from ..program.workspace import below, offset_of_activations
from ..target import PIECE, SLICE, THREADS
from .slabs import Matrices
from .tiles import height_of, product_of_tile, width_of


@inner
def shape_of(job, role, l):
    """Rows, columns and inner dimension of a product; of a convolution in groups the last one is a group's."""
    m, n, n_in, groups = job.m, job.layers[l, N_OUT], job.layers[l, N_IN], 1
    pixels = pixels_in = taps = 1
    if job.layers[l, KIND] == CONV:
        groups, taps = job.layers[l, GROUPS], job.layers[l, WINDOW_HEIGHT] * job.layers[l, WINDOW_WIDTH]
        pixels, pixels_in = n // job.layers[l, CHANNELS], job.layers[l, HEIGHT] * job.layers[l, WIDTH]
        n, n_in = n // pixels, n_in // pixels_in
    if role == FORWARD:
        return m * pixels, n, taps * n_in // groups
    if role == BACKWARD:
        return m * pixels_in, n_in, taps * n // groups
    return n, taps * n_in // groups, m * pixels


@inner
def _groups_of(job, l):
    """How many products of their own a product is."""
    return job.layers[l, GROUPS] if job.layers[l, KIND] == CONV else 1


@inner
def _shape_of_group(job, role, l):
    """Rows, columns and inner dimension of the product of one group."""
    (m, n, depth), groups = shape_of(job, role, l), _groups_of(job, l)
    return (m // groups, n, depth) if role == WEIGHTS else (m, n // groups, depth)


@inner
def tiles_of(job, role, l, tile):
    """How many tiles a product has."""
    m, n, _ = _shape_of_group(job, role, l)
    return _groups_of(job, l) * n_blocks(m, height_of(tile, job.workspace)) * n_blocks(n, width_of(tile, job.workspace))


@inner
def rows_of_piece(n):
    """Rows of n numbers that make a task."""
    return max(1, PIECE // n)


class Tile(NamedTuple):
    """A tile of a group's product C, or of one slice of its inner dimension."""

    group: int
    row: int  # of C, where the group begins
    column: int
    C: np.ndarray
    c: int  # offset of the group's first number in C
    c_row: int  # from row to row
    i0: int  # the tile's first row and column, of the m x n of the group
    m: int
    j0: int
    n: int
    start: int  # of the inner dimension
    stop: int


@inner
def tile_of(job, role, l, tile, slices, partial, task):
    """The tile that a task makes: of small or of large ones, of which there are several if there are slices."""
    m, n, depth = _shape_of_group(job, role, l)
    height, width = height_of(tile, job.workspace), width_of(tile, job.workspace)
    across = n_blocks(n, width)
    tiles, groups = n_blocks(m, height) * across, _groups_of(job, l)
    slice_, group, task = task // (tiles * groups), task // tiles % groups, task % tiles
    a_slice = n_blocks(n_blocks(depth, SLICE), slices) * SLICE
    start = slice_ * a_slice
    row, column = (group * m, 0) if role == WEIGHTS else (0, group * n)
    rows, columns, _ = shape_of(job, role, l)
    C, c, c_row = job.workspace, partial + slice_ * rows * columns, columns
    if slices == 1:
        if role == FORWARD:
            c = job.layers[l, A_OFFSET]
        elif role == BACKWARD:
            c = job.layers[below(job, l), DZ_OFFSET]
        else:
            C, c, c_row = job.gradients, job.layers[l, W_OFFSET], job.layers[l, LDW]
    c += row * c_row + column
    i0, j0 = task // across * height, task % across * width
    return Tile(group, row, column, C, c, c_row, i0, m, j0, n, start, min(depth, start + a_slice))


@inner
def finish_tile(job, role, l, tile, slices, at):
    """Bias and activation, derivative, or update, of a tile `at` some place that is no slice."""
    if slices == 1:
        last_row = min(at.i0 + height_of(tile, job.workspace), at.m)
        last_column = min(at.j0 + width_of(tile, job.workspace), at.n)
        finish_numbers(
            job, role, l, 1, 0, at.row + at.i0, at.row + last_row, at.column + at.j0, at.column + last_column
        )  # fmt: skip


@inner
def multiply(job, role, l, tile, slices, partial, task, shared):
    """A task: one tile of a dense layer's product, or of one slice of it. Returns the tile's first row.

    A convolution whose windows are single pixels is a dense layer, of as many samples as there are pixels.
    """
    stride_of_W, (_, n_out, n_in) = job.layers[l, LDW], shape_of(job, FORWARD, l)
    dZ, A_prev, W = job.layers[l, DZ_OFFSET], offset_of_activations(job, below(job, l)), job.layers[l, W_OFFSET]
    # Offsets of the factors, and from row to row and depth to depth of each.
    P, Q = job.workspace, job.parameters
    if role == FORWARD:
        p, p_row, p_depth = A_prev, n_in, 1
        q, q_row, q_depth = W, stride_of_W, 1
    elif role == BACKWARD:
        p, p_row, p_depth = dZ, n_out, 1
        q, q_row, q_depth = W, 1, stride_of_W
    else:
        p, p_row, p_depth = dZ, 1, n_out
        Q, q, q_row, q_depth = job.workspace, A_prev, 1, n_in
    at = tile_of(job, role, l, tile, slices, partial, task)
    factors = Matrices(P, p, p_row, p_depth, Q, q, q_row, q_depth)
    product_of_tile(tile, at.C, at.c, at.c_row, factors, at.i0, at.m, at.j0, at.n, at.start, at.stop, shared)
    finish_tile(job, role, l, tile, slices, at)
    return at.i0


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
                value = workspace[job.layers[below(job, l), DZ_OFFSET] + offset]
            derive_number(job, below(job, l), offset, value)
        else:
            weight = job.layers[l, W_OFFSET] + i * job.layers[l, LDW] + j
            if slices == 1:
                value = job.gradients[weight]
            change(job, l, weight, value, True)
        i, j = i + down, j + across
        if j >= last_column:
            i, j = i + 1, j - width
