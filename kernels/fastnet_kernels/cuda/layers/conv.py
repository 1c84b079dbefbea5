"""Convolutions, three products each as dense layers have them: see `gemm.windows` for how they are read."""

import numpy as np

from ...codes import (
    BACKWARD,
    CHANNELS,
    DILATION_X,
    DILATION_Y,
    DZ_OFFSET,
    FORWARD,
    GROUPS,
    HEIGHT,
    LARGE,
    LAYER_COLUMNS,
    LDW,
    N_IN,
    N_OUT,
    OUT_HEIGHT,
    OUT_WIDTH,
    PAD_X,
    PAD_Y,
    SMALL,
    STRIDE_X,
    STRIDE_Y,
    W_OFFSET,
    WEIGHTS,
    WIDTH,
    WINDOW_HEIGHT,
    WINDOW_WIDTH,
)
from ..codegen.arrays import flat, table
from ..codegen.compiling import by_dtype, cuda, inner, kernel
from ..codegen.launching import launch
from ..codegen.shared import integers_in_shared
from ..gemm.tasks import finish_tile, tile_of
from ..gemm.tiles import height_of, make_product, shared_for, width_of
from ..gemm.windows import Windows, channels_of, of_windows, parts_of
from ..program.partition import n_blocks
from ..program.workspace import below, offset_of_activations
from ..target import COLUMNS_AT_ONCE, LARGE_TILE, LARGE_TILE_OF_DOUBLES, MANY_TILES, SMALL_TILE, THREADS, tiles_for
from .dense import sum_columns

# Shared memory for the parts of addresses of one tile, for numbers of an array's dtype.
_parts_for = by_dtype(
    *(integers_in_shared(4 * max(parts_of(SMALL_TILE), parts_of(tile))) for tile in (LARGE_TILE, LARGE_TILE_OF_DOUBLES))
)

small_convolution = make_product(SMALL_TILE, of_windows)
large_convolution = by_dtype(make_product(LARGE_TILE, of_windows), make_product(LARGE_TILE_OF_DOUBLES, of_windows))


@inner
def convolution_of_tile(tile, C, c, stride, factors, i0, m, j0, n, start, stop, shared):
    """A tile of a product of `Windows`, by the small or the large one: see `gemm.tiles.make_product`."""
    if tile == LARGE:
        large_convolution(C, c, stride, factors, i0, m, j0, n, start, stop, shared)
    else:
        small_convolution(C, c, stride, factors, i0, m, j0, n, start, stop, shared)


@kernel
def _convolve(tile, role, layers, P, p_group, Q, q_group, C, c_group, stride, groups, m, n, depth, b, has_b):
    """An m x n product for each group, whose factors and result begin so far behind those of the group before."""
    shared, parts = shared_for(C), _parts_for(C)
    height, width = height_of(tile, C), width_of(tile, C)
    across = n_blocks(n, width)
    tiles = n_blocks(m, height) * across
    for task in range(cuda.blockIdx.x, groups * tiles, cuda.gridDim.x):
        group, i0, j0 = task // tiles, task % tiles // across * height, task % across * width
        windows, c = Windows(role, P, group * p_group, Q, group * q_group, layers, 0, parts), group * c_group
        convolution_of_tile(tile, C, c, stride, windows, i0, m, j0, n, 0, depth, shared)
        if has_b:
            for e in range(cuda.threadIdx.x, height * width, THREADS):
                i, j = i0 + e // width, j0 + e % width
                if i < m and j < n:
                    C[c + i * stride + j] += b[group * n + j]


def _row_of(before, behind, W, windows):
    """The row of a table of layers for images (m, h, w, c) `before` and (m, h', w', n) `behind`."""
    (height, width, c), (out_height, out_width, n) = before.shape[1:], behind.shape[1:]
    row = np.zeros(LAYER_COLUMNS, np.int64)
    row[[N_IN, N_OUT, CHANNELS, LDW]] = height * width * c, out_height * out_width * n, n, W[0].size
    row[[HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH, WINDOW_HEIGHT, WINDOW_WIDTH]] = (
        height, width, out_height, out_width, *W.shape[1:3],
    )  # fmt: skip
    row[[STRIDE_Y, STRIDE_X, PAD_Y, PAD_X, DILATION_Y, DILATION_X, GROUPS]] = windows
    return row


def _launch(role, row, P, p_group, Q, q_group, C, c_group, stride, shape, b=None):
    """The product that layer `row` has, of `shape` for each group: how it begins in the arrays, groups apart."""
    groups, has_b = int(row[GROUPS]), int(b is not None)
    P, Q, C, b = flat(P, Q, C, Q if b is None else b)
    tiles = [groups * -(-shape[0] // tile.height) * -(-shape[1] // tile.width) for tile in tiles_for(C.itemsize)]
    tile = LARGE if tiles[LARGE] >= MANY_TILES else SMALL
    layers = table(row[np.newaxis])
    launch(
        _convolve, tiles[tile], tile, role, layers, P, p_group, Q, q_group, C, c_group, stride, groups, *shape, b, has_b
    )


def conv2d_forward(A_prev, W, b, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, Z):
    """Z (m, h', w', n) from A_prev (m, h, w, c), W (n, window height, window width, c / groups) and b (n,).

    h' = (h + 2 pad_y - dilation_y (window height - 1) - 1) // stride_y + 1, and w' likewise.
    """
    windows = stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups
    (m, height, width, n), k = Z.shape, W.shape[3]
    of_group, depth = n // groups, W[0].size
    shape = m * height * width, of_group, depth
    row = _row_of(A_prev, Z, W, windows)
    _launch(FORWARD, row, A_prev, k, W, of_group * depth, Z, of_group, n, shape, b)


def conv2d_backward_data(dZ, W, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, dA_prev):
    """dA_prev (m, h, w, c) from dZ (m, h', w', n): what each window has taken from a pixel it gives back."""
    windows = stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups
    (m, height, width, c), (n, u, v, k) = dA_prev.shape, W.shape
    of_group = n // groups
    shape = m * height * width, k, u * v * of_group
    row = _row_of(dA_prev, dZ, W, windows)
    _launch(BACKWARD, row, dZ, of_group, W, of_group * W[0].size, dA_prev, k, c, shape)


def conv2d_backward_weights(dZ, A_prev, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, dW, db):
    """dW, as W, and db (n,), summed over samples and pixels, from dZ (m, h', w', n) and A_prev (m, h, w, c)."""
    windows = stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups
    (m, height, width, n), k = dZ.shape, dW.shape[3]
    of_group, size, pixels = n // groups, dW[0].size, m * height * width
    shape = of_group, size, pixels
    row = _row_of(A_prev, dZ, dW, windows)
    _launch(WEIGHTS, row, dZ, of_group, A_prev, k, dW, of_group * size, size, shape)
    dZ, db = flat(dZ, db)
    launch(sum_columns, -(-n // COLUMNS_AT_ONCE), dZ, pixels, n, db)


@inner
def _windows_of(job, role, l, group, parts):
    """The factors of a product of layer l, for one group."""
    row = job.layers[l]
    filters = group * (row[CHANNELS] // row[GROUPS])
    dZ, W = row[DZ_OFFSET] + filters, row[W_OFFSET] + filters * row[LDW]
    A_prev = offset_of_activations(job, below(job, l)) + group * (channels_of(row) // row[GROUPS])
    P, p, Q, q = job.workspace, A_prev if role == FORWARD else dZ, job.parameters, W
    if role == WEIGHTS:
        Q, q = job.workspace, A_prev
    return Windows(role, P, p, Q, q, job.layers, l, parts)


@inner
def convolve(job, role, l, tile, slices, partial, task, shared):
    """A task: one tile of a convolution's product, or of one slice of it."""
    at = tile_of(job, role, l, tile, slices, partial, task)
    factors = _windows_of(job, role, l, at.group, _parts_for(job.workspace))
    convolution_of_tile(tile, at.C, at.c, at.c_row, factors, at.i0, at.m, at.j0, at.n, at.start, at.stop, shared)
    finish_tile(job, role, l, tile, slices, at)
