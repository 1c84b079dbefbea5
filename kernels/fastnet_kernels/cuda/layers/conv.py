"""Convolutions, number by number: a thread looks through the window of each of its numbers, or through the windows that
it is in; threads of a block share the pixels that a number of dW is summed over.
"""

from typing import NamedTuple

from ..codegen.arrays import flat
from ..codegen.compiling import cuda, formula, kernel
from ..codegen.launching import launch
from ..program.partition import n_blocks
from ..program.reducing import column_of, sum_over_column
from ..target import COLUMNS_AT_ONCE, PIECE, ROWS_AT_ONCE, THREADS
from .dense import sum_columns


class Convolution(NamedTuple):
    """Images (height, width, channels) become (out_height, out_width, filters), and how windows lie."""

    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    filters: int
    window_height: int
    window_width: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int
    dilation_y: int
    dilation_x: int
    groups: int


@formula
def _weighted_sum(A_prev, W, b, conv, e):
    """Number e of Z, flat."""
    k, n = conv.channels // conv.groups, conv.filters // conv.groups
    o, pixel = e % conv.filters, e // conv.filters
    x, row = pixel % conv.out_width, pixel // conv.out_width
    y, image = row % conv.out_height, row // conv.out_height
    total = b[o]
    for dy in range(conv.window_height):
        v = y * conv.stride_y - conv.pad_y + dy * conv.dilation_y
        for dx in range(conv.window_width):
            u = x * conv.stride_x - conv.pad_x + dx * conv.dilation_x
            if 0 <= v < conv.height and 0 <= u < conv.width:
                a = ((image * conv.height + v) * conv.width + u) * conv.channels + o // n * k
                w = ((o * conv.window_height + dy) * conv.window_width + dx) * k
                for i in range(k):
                    total += W[w + i] * A_prev[a + i]
    return total


@formula
def _given_back(dZ, W, conv, e):
    """Number e of dA_prev, flat: of all windows that it is in."""
    k, n = conv.channels // conv.groups, conv.filters // conv.groups
    channel, pixel = e % conv.channels, e // conv.channels
    u, row = pixel % conv.width, pixel // conv.width
    v, image = row % conv.height, row // conv.height
    total = type(dZ[0])(0)
    for dy in range(conv.window_height):
        down = v + conv.pad_y - dy * conv.dilation_y
        for dx in range(conv.window_width):
            right = u + conv.pad_x - dx * conv.dilation_x
            if down >= 0 and right >= 0 and down % conv.stride_y == 0 and right % conv.stride_x == 0:
                y, x = down // conv.stride_y, right // conv.stride_x
                if y < conv.out_height and x < conv.out_width:
                    first = channel // k * n
                    d = ((image * conv.out_height + y) * conv.out_width + x) * conv.filters + first
                    for o in range(n):
                        w = ((first + o) * conv.window_height + dy) * conv.window_width + dx
                        total += W[w * k + channel % k] * dZ[d + o]
    return total


@formula
def _summed(dZ, A_prev, conv, e, first, pixels):
    """Of number e of dW, flat: the sum over every ROWS_AT_ONCE'th pixel of dZ from the `first` on."""
    k, n = conv.channels // conv.groups, conv.filters // conv.groups
    i, tap = e % k, e // k % (conv.window_height * conv.window_width)
    o = e // (k * conv.window_height * conv.window_width)
    down = tap // conv.window_width * conv.dilation_y - conv.pad_y
    right = tap % conv.window_width * conv.dilation_x - conv.pad_x
    total = type(dZ[0])(0)
    for pixel in range(first, pixels, ROWS_AT_ONCE):
        row = pixel // conv.out_width
        v = row % conv.out_height * conv.stride_y + down
        u = pixel % conv.out_width * conv.stride_x + right
        if 0 <= v < conv.height and 0 <= u < conv.width:
            a = ((row // conv.out_height * conv.height + v) * conv.width + u) * conv.channels + o // n * k + i
            total += dZ[pixel * conv.filters + o] * A_prev[a]
    return total


@kernel(blocks=2)
def _conv_forward(h, w, c, out_h, out_w, n, u, v, sy, sx, py, px, dy, dx, groups, A_prev, W, b, Z):
    conv = Convolution(h, w, c, out_h, out_w, n, u, v, sy, sx, py, px, dy, dx, groups)
    for e in range(cuda.grid(1), Z.size, cuda.gridsize(1)):
        Z[e] = _weighted_sum(A_prev, W, b, conv, e)


@kernel(blocks=2)
def _conv_backward_data(h, w, c, out_h, out_w, n, u, v, sy, sx, py, px, dy, dx, groups, dZ, W, dA_prev):
    conv = Convolution(h, w, c, out_h, out_w, n, u, v, sy, sx, py, px, dy, dx, groups)
    for e in range(cuda.grid(1), dA_prev.size, cuda.gridsize(1)):
        dA_prev[e] = _given_back(dZ, W, conv, e)


@kernel
def _conv_backward_weights(h, w, c, out_h, out_w, n, u, v, sy, sx, py, px, dy, dx, groups, pixels, dZ, A_prev, dW):
    shared = cuda.shared.array(THREADS, dW.dtype)
    conv = Convolution(h, w, c, out_h, out_w, n, u, v, sy, sx, py, px, dy, dx, groups)
    for task in range(cuda.blockIdx.x, n_blocks(dW.size, COLUMNS_AT_ONCE), cuda.gridDim.x):
        e, first = column_of(task)
        total = sum_over_column(_summed(dZ, A_prev, conv, min(e, dW.size - 1), first, pixels), shared)
        if e < dW.size and first == 0:
            dW[e] = total


def conv2d_forward(A_prev, W, b, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, Z):
    """Z (m, h', w', n) from A_prev (m, h, w, c), W (n, window height, window width, c / groups) and b (n,)."""
    windows = stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups
    conv = Convolution(*A_prev.shape[1:], *Z.shape[1:], *W.shape[1:3], *windows)
    launch(_conv_forward, -(-Z.size // PIECE), *conv, *flat(A_prev, W, b, Z))


def conv2d_backward_data(dZ, W, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, dA_prev):
    """dA_prev (m, h, w, c) from dZ (m, h', w', n): what each window has taken from a pixel it gives back."""
    windows = stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups
    conv = Convolution(*dA_prev.shape[1:], *dZ.shape[1:], *W.shape[1:3], *windows)
    launch(_conv_backward_data, -(-dA_prev.size // PIECE), *conv, *flat(dZ, W, dA_prev))


def conv2d_backward_weights(dZ, A_prev, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, dW, db):
    """dW, as W, and db (n,), summed over samples and pixels, from dZ (m, h', w', n) and A_prev (m, h, w, c)."""
    windows = stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups
    conv = Convolution(*A_prev.shape[1:], *dZ.shape[1:], *dW.shape[1:3], *windows)
    pixels, tasks = dZ.size // max(1, conv.filters), -(-dW.size // COLUMNS_AT_ONCE)
    dZ, A_prev, dW, db = flat(dZ, A_prev, dW, db)
    launch(_conv_backward_weights, tasks, *conv, pixels, dZ, A_prev, dW)
    launch(sum_columns, -(-conv.filters // COLUMNS_AT_ONCE), dZ, pixels, conv.filters, db)
