"""Max pooling, a number a thread: each looks through its window, or, on the way back, the windows that it is in."""

from typing import NamedTuple

from ...codes import (
    A_OFFSET,
    DZ_OFFSET,
    HEIGHT,
    N_IN,
    N_OUT,
    STRIDE_X,
    STRIDE_Y,
    WIDTH,
    WINDOW_HEIGHT,
    WINDOW_WIDTH,
)
from ..codegen.arrays import flat
from ..codegen.compiling import cuda, formula, inner, kernel
from ..codegen.launching import launch
from ..program.workspace import below
from ..target import PIECE, THREADS
from .activation import derive_number


class Windows(NamedTuple):
    """Images (height, width, channels), and the windows that are laid over them."""

    height: int
    width: int
    channels: int
    pool_height: int
    pool_width: int
    stride_y: int
    stride_x: int


@formula
def counts_of(windows):
    """How many windows there are in a column of them, and in a row."""
    return (
        (windows.height - windows.pool_height) // windows.stride_y + 1,
        (windows.width - windows.pool_width) // windows.stride_x + 1,
    )


@formula
def _largest_of(A_prev, given, windows, e):
    """Number e of A, flat, from A_prev, flat, which begins at `given`."""
    height, width = counts_of(windows)
    channel, x, row = e % windows.channels, e // windows.channels % width, e // (windows.channels * width)
    y = row // height * windows.height + row % height * windows.stride_y  # from the first image's first row on
    first = given + (y * windows.width + x * windows.stride_x) * windows.channels + channel
    largest = A_prev[first]
    for dy in range(windows.pool_height):
        for dx in range(windows.pool_width):
            a = A_prev[first + (dy * windows.width + dx) * windows.channels]
            if a > largest or a != a:  # a NaN stays
                largest = a
    return largest


@formula
def _gradient_of(dA, dz, A_prev, given, A, made, windows, e):
    """Number e of dA_prev, flat: the sum, over all windows in which it is the first largest one, of their dA.

    The arrays are flat, and begin at `dz`, `given` and `made`.
    """
    height, width = counts_of(windows)
    channels, stride_y, stride_x = windows.channels, windows.stride_y, windows.stride_x
    channel, x, row = e % channels, e // channels % windows.width, e // (channels * windows.width)
    image, y = row // windows.height, row % windows.height
    total = type(A_prev[given])(0)
    for v in range(max(0, (y - windows.pool_height + stride_y) // stride_y), min(y // stride_y + 1, height)):
        for u in range(max(0, (x - windows.pool_width + stride_x) // stride_x), min(x // stride_x + 1, width)):
            number = ((image * height + v) * width + u) * channels + channel
            largest, first = A[made + number], (image * windows.height + v * stride_y) * windows.width + u * stride_x
            own = (y - v * stride_y) * windows.pool_width + x - u * stride_x  # its place in the window
            place, is_found = -1, False
            while place < own and not is_found:
                place += 1
                pixel = first + place // windows.pool_width * windows.width + place % windows.pool_width
                a = A_prev[given + pixel * channels + channel]
                is_found = a == largest or a != a
            if is_found and place == own:
                total += dA[dz + number]
    return total


@kernel
def _max_pool(height, width, channels, pool_height, pool_width, stride_y, stride_x, A_prev, A):
    windows = Windows(height, width, channels, pool_height, pool_width, stride_y, stride_x)
    for e in range(cuda.grid(1), A.size, cuda.gridsize(1)):
        A[e] = _largest_of(A_prev, 0, windows, e)


@kernel
def _max_pool_backward(height, width, channels, pool_height, pool_width, stride_y, stride_x, dA, A_prev, A, dA_prev):
    windows = Windows(height, width, channels, pool_height, pool_width, stride_y, stride_x)
    for e in range(cuda.grid(1), A_prev.size, cuda.gridsize(1)):
        dA_prev[e] = _gradient_of(dA, 0, A_prev, 0, A, 0, windows, e)


def max_pool2d(A_prev, pool_height, pool_width, stride_y, stride_x, A):
    """A (m, h', w', c), the largest numbers of the windows of A_prev (m, h, w, c); a window with a NaN gives NaN."""
    windows = Windows(*A_prev.shape[1:], pool_height, pool_width, stride_y, stride_x)
    launch(_max_pool, -(-A.size // PIECE), *windows, *flat(A_prev, A))


def max_pool2d_backward(dA, A_prev, A, pool_height, pool_width, stride_y, stride_x, dA_prev):
    """dA_prev (m, h, w, c): each number of dA (m, h', w', c) goes to the first of its window's largest numbers."""
    windows = Windows(*A_prev.shape[1:], pool_height, pool_width, stride_y, stride_x)
    launch(_max_pool_backward, -(-A_prev.size // PIECE), *windows, *flat(dA, A_prev, A, dA_prev))


def max_pool1d(A_prev, pool_size, stride, A):
    """A (m, t', c), the largest numbers of the windows of A_prev (m, t, c): a signal is an image of one row."""
    windows = Windows(1, *A_prev.shape[1:], 1, pool_size, 1, stride)
    launch(_max_pool, -(-A.size // PIECE), *windows, *flat(A_prev, A))


def max_pool1d_backward(dA, A_prev, A, pool_size, stride, dA_prev):
    """dA_prev (m, t, c), from dA and A (m, t', c), as in two dimensions."""
    windows = Windows(1, *A_prev.shape[1:], 1, pool_size, 1, stride)
    launch(_max_pool_backward, -(-A_prev.size // PIECE), *windows, *flat(dA, A_prev, A, dA_prev))


@inner
def windows_of(job, l):
    """The windows of a pooling layer."""
    row = job.layers[l]
    height, width = row[HEIGHT], row[WIDTH]
    channels = row[N_IN] // (height * width)
    return Windows(height, width, channels, row[WINDOW_HEIGHT], row[WINDOW_WIDTH], row[STRIDE_Y], row[STRIDE_X])


@inner
def max_pool_task(job, l, task):
    """A task: a piece of the numbers of A."""
    windows, given, made = windows_of(job, l), job.layers[below(job, l), A_OFFSET], job.layers[l, A_OFFSET]
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_OUT]), THREADS):
        job.workspace[made + e] = _largest_of(job.workspace, given, windows, e)


@inner
def max_pool_backward_task(job, l, task):
    """A task: a piece of the numbers of dZ of the layer before."""
    windows, workspace = windows_of(job, l), job.workspace
    dz, given, made = job.layers[l, DZ_OFFSET], job.layers[below(job, l), A_OFFSET], job.layers[l, A_OFFSET]
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_IN]), THREADS):
        derive_number(job, below(job, l), e, _gradient_of(workspace, dz, workspace, given, workspace, made, windows, e))
