"""Convolutions as products of matrices that are nowhere: a slab's numbers are read where they lie in the images.

One factor of such a product is a matrix of windows, as if it had been copied together (im2col). Where a number of it
is, says the sum of two parts, of its row and of its depth: see `codegen.addresses`. Few threads make the parts, once a
tile or once a slab, and leave them in shared memory, so that nobody divides for each number.

              rows                columns                 depth
    FORWARD   pixels of Z         filters                 taps and channels    Z = windows of A_prev times W
    BACKWARD  pixels of A_prev    channels                taps and filters     dA_prev = windows of dZ times W
    WEIGHTS   filters             taps and channels       pixels of Z          dW = dZ^T times windows of A_prev

Of channels in groups each group has products of its own.
"""

from typing import NamedTuple

import numpy as np

from ...codes import (
    BACKWARD,
    CHANNELS,
    DILATION_X,
    DILATION_Y,
    FORWARD,
    GROUPS,
    HEIGHT,
    LDW,
    N_IN,
    N_OUT,
    OUT_HEIGHT,
    OUT_WIDTH,
    PAD_X,
    PAD_Y,
    STRIDE_X,
    STRIDE_Y,
    WEIGHTS,
    WIDTH,
    WINDOW_WIDTH,
)
from ..codegen.addresses import NOWHERE, meet, quotient, read_part
from ..codegen.async_copy import copy
from ..codegen.compiling import cuda, formula, inner
from ..target import PADDING, THREADS, Tile


class Windows(NamedTuple):
    """P and Q of a product of a convolution: vectors, and where the group's first number is in each.

    How the windows lie is read from row l of the table of layers whenever it is needed: there are too few registers.
    """

    role: int
    P: np.ndarray
    p: int
    Q: np.ndarray
    q: int
    layers: np.ndarray
    l: int
    parts: np.ndarray  # in shared memory


@formula
def channels_of(row):
    """Channels of A_prev, for a convolution's row of the table of layers."""
    return quotient(row[N_IN], row[HEIGHT] * row[WIDTH])


@formula
def _back(row, offset, y, x, sign):
    """A part of an address in dZ, where y and x with those of the other part must be whole numbers of strides."""
    top, left = quotient(y, row[STRIDE_Y]), quotient(x, row[STRIDE_X])
    phase = (y - top * row[STRIDE_Y]) * row[STRIDE_X] + x - left * row[STRIDE_X]
    return offset + sign * (top * row[OUT_WIDTH] + left) * row[CHANNELS], sign * top, sign * left, sign * phase


@formula
def _of_pixel(windows, number):
    row = windows.layers[windows.l]
    is_back = windows.role == BACKWARD
    height, width = (row[HEIGHT], row[WIDTH]) if is_back else (row[OUT_HEIGHT], row[OUT_WIDTH])
    line = quotient(number, width)
    image = quotient(line, height)
    y, x = line - image * height, number - line * width
    if is_back:
        return _back(row, image * row[N_OUT], y + row[PAD_Y], x + row[PAD_X], 1)
    y, x = y * row[STRIDE_Y] - row[PAD_Y], x * row[STRIDE_X] - row[PAD_X]
    return image * row[N_IN] + (y * row[WIDTH] + x) * channels_of(row), y, x, 0


@formula
def _of_tap(windows, number):
    """Going back filters stand for channels, and windows lie the other way round."""
    row = windows.layers[windows.l]
    is_back = windows.role == BACKWARD
    channels = row[CHANNELS] if is_back else channels_of(row)
    of_group = quotient(channels, row[GROUPS])
    tap = quotient(number, of_group)
    dy = quotient(tap, row[WINDOW_WIDTH])
    channel, y, x = number - tap * of_group, dy * row[DILATION_Y], (tap - dy * row[WINDOW_WIDTH]) * row[DILATION_X]
    if is_back:
        return _back(row, channel, y, x, -1)
    return channel + (y * row[WIDTH] + x) * channels, y, x, 0


@formula
def _of_weight(windows, number):
    """Of the numbers of W that a channel is multiplied with: tap by tap, filter by filter."""
    row = windows.layers[windows.l]
    filters = quotient(row[CHANNELS], row[GROUPS])
    tap = quotient(number, filters)
    return (number - tap * filters) * row[LDW] + tap * quotient(channels_of(row), row[GROUPS]), 0, 0, 0


@formula
def _part_in_p(windows, is_depth, number):
    if windows.role == WEIGHTS:
        return number * windows.layers[windows.l, CHANNELS] if is_depth else number, 0, 0, 0
    return _of_tap(windows, number) if is_depth else _of_pixel(windows, number)


@formula
def _part_in_q(windows, is_depth, number):
    if windows.role == WEIGHTS:
        return _of_pixel(windows, number) if is_depth else _of_tap(windows, number)
    if windows.role == FORWARD:
        return number if is_depth else number * windows.layers[windows.l, LDW], 0, 0, 0
    return _of_weight(windows, number) if is_depth else (number, 0, 0, 0)


@inner
def _put(parts, number, part, is_there):
    offset, y, x, phase = part
    parts[4 * number] = offset if is_there else 0
    parts[4 * number + 1] = y if is_there else NOWHERE
    parts[4 * number + 2] = x if is_there else 0
    parts[4 * number + 3] = phase if is_there else 0


def _gatherer(height, depth):
    """GPU code that copies a slab of a factor, `height` rows by `depth`, to shared memory from where it lies."""
    count, stride = height * depth // THREADS, height + PADDING

    @inner
    def gather(numbers, offset, extents, parts, is_along_depth, rows, depths, shared, to):
        """`extents` are height and width of the images, `rows` and `depths` the numbers of the first parts.

        `is_along_depth` says which way numbers lie side by side.
        """
        thread = cuda.threadIdx.x
        if is_along_depth:
            row, k = thread // depth, thread % depth
            own, others, step, shared_step = depths + k, rows + row, THREADS // depth, THREADS // depth
        else:
            row, k = thread % height, thread // height
            own, others, step, shared_step = rows + row, depths + k, THREADS // height, THREADS // height * stride
        part, first = read_part(parts, own), to + k * stride + row
        for s in range(count):
            is_there, place = meet(part, read_part(parts, others + s * step), *extents)
            copy(numbers, offset + place, shared, first + s * shared_step, is_there)

    return gather


def parts_of(tile: Tile) -> int:
    """How many parts of addresses a tile needs: of rows, of columns, and of the depths of each stage."""
    return tile.height + tile.width + 2 * tile.stages * tile.depth


def of_windows(tile: Tile):
    """GPU code that begins a tile of a product of `Windows`, and that moves the next slab of both factors."""
    height, width, depth, stages = tile.height, tile.width, tile.depth, tile.stages
    gather_P, gather_Q = _gatherer(height, depth), _gatherer(width, depth)
    right = depth * (height + PADDING)  # from a slab's P to its Q
    first_slot, slot_size = height + width, 2 * depth

    @inner
    def put_depths(windows, slot, k0, stop):
        """The parts of depths k0:k0 + depth of both factors."""
        for e in range(cuda.threadIdx.x, 2 * depth, THREADS):
            k, number = k0 + e % depth, first_slot + slot * slot_size + e
            part = _part_in_p(windows, True, k) if e < depth else _part_in_q(windows, True, k)
            _put(windows.parts, number, part, k < stop)

    @inner
    def begin(windows, i0, m, j0, n, start, stop):
        """What `fetch` needs of the tile from i0, j0 on of an m x n product, and of k from `start` to `stop`."""
        for e in range(cuda.threadIdx.x, height, THREADS):
            _put(windows.parts, e, _part_in_p(windows, False, i0 + e), i0 + e < m)
        for e in range(cuda.threadIdx.x, width, THREADS):
            _put(windows.parts, height + e, _part_in_q(windows, False, j0 + e), j0 + e < n)
        for stage in range(stages):
            put_depths(windows, stage, start + stage * depth, stop)
        cuda.syncthreads()
        return 0, start, stop

    @inner
    def fetch(windows, state, slab, shared, to):
        """Copy the next slab, if there is one, to offset `to` of shared memory; returns the state for the one after.

        Parts are made a barrier before they are read, for the slab after the one that is copied, in place of those that
        were read before the last barrier.
        """
        slot, k, stop = state
        row, role, depths = windows.layers[windows.l], windows.role, first_slot + slot * slot_size
        if k < stop:
            extents = (row[OUT_HEIGHT], row[OUT_WIDTH]) if role == BACKWARD else (row[HEIGHT], row[WIDTH])
            gather_P(windows.P, windows.p, extents, windows.parts, role != WEIGHTS, 0, depths, shared, to)
            depths += depth
            gather_Q(
                windows.Q, windows.q, extents, windows.parts, role == FORWARD, height, depths, shared, to + right
            )  # fmt: skip
        slot = slot + 1 if slot < stages - 1 else 0
        if slab >= 0:
            put_depths(windows, slot, k + depth, stop)
        return slot, k + depth, stop

    return begin, fetch
