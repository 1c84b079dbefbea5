"""Average pooling, a number a thread: each sums up its window, or, on the way back, takes its share of each window."""

from ...codes import A_OFFSET, DZ_OFFSET, N_IN, N_OUT
from ..codegen.arrays import flat
from ..codegen.compiling import cuda, formula, inner, kernel
from ..codegen.launching import launch
from ..program.workspace import below
from ..target import PIECE, THREADS
from .activation import derive_number
from .max_pool import Windows, counts_of, windows_of


@formula
def _mean_of(A_prev, given, windows, e):
    """Number e of A, flat, from A_prev, flat, which begins at `given`."""
    height, width = counts_of(windows)
    channel, x, row = e % windows.channels, e // windows.channels % width, e // (windows.channels * width)
    y = row // height * windows.height + row % height * windows.stride_y  # from the first image's first row on
    first = given + (y * windows.width + x * windows.stride_x) * windows.channels + channel
    total = type(A_prev[given])(0)
    for dy in range(windows.pool_height):
        for dx in range(windows.pool_width):
            total += A_prev[first + (dy * windows.width + dx) * windows.channels]
    return total / type(total)(windows.pool_height * windows.pool_width)


@formula
def _gradient_of(dA, dz, windows, e):
    """Number e of dA_prev, flat: the sum over all windows in which it is, of dA, flat from `dz` on, by their size."""
    height, width = counts_of(windows)
    channels, stride_y, stride_x = windows.channels, windows.stride_y, windows.stride_x
    channel, x, row = e % channels, e // channels % windows.width, e // (channels * windows.width)
    image, y = row // windows.height, row % windows.height
    total = type(dA[dz])(0)
    for v in range(max(0, (y - windows.pool_height + stride_y) // stride_y), min(y // stride_y + 1, height)):
        for u in range(max(0, (x - windows.pool_width + stride_x) // stride_x), min(x // stride_x + 1, width)):
            total += dA[dz + ((image * height + v) * width + u) * channels + channel]
    return total / type(total)(windows.pool_height * windows.pool_width)


@kernel
def _average_pool(height, width, channels, pool_height, pool_width, stride_y, stride_x, A_prev, A):
    windows = Windows(height, width, channels, pool_height, pool_width, stride_y, stride_x)
    for e in range(cuda.grid(1), A.size, cuda.gridsize(1)):
        A[e] = _mean_of(A_prev, 0, windows, e)


@kernel
def _average_pool_backward(height, width, channels, pool_height, pool_width, stride_y, stride_x, dA, dA_prev):
    windows = Windows(height, width, channels, pool_height, pool_width, stride_y, stride_x)
    for e in range(cuda.grid(1), dA_prev.size, cuda.gridsize(1)):
        dA_prev[e] = _gradient_of(dA, 0, windows, e)


def average_pool2d(A_prev, pool_height, pool_width, stride_y, stride_x, A):
    """A (m, h', w', c), the means of the windows of A_prev (m, h, w, c)."""
    windows = Windows(*A_prev.shape[1:], pool_height, pool_width, stride_y, stride_x)
    launch(_average_pool, -(-A.size // PIECE), *windows, *flat(A_prev, A))


def average_pool2d_backward(dA, pool_height, pool_width, stride_y, stride_x, dA_prev):
    """dA_prev (m, h, w, c): each number of dA (m, h', w', c) is shared out among its window."""
    windows = Windows(*dA_prev.shape[1:], pool_height, pool_width, stride_y, stride_x)
    launch(_average_pool_backward, -(-dA_prev.size // PIECE), *windows, *flat(dA, dA_prev))


@inner
def average_pool_task(job, l, task):
    """A task: a piece of the numbers of A."""
    windows, given, made = windows_of(job, l), job.layers[below(job, l), A_OFFSET], job.layers[l, A_OFFSET]
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_OUT]), THREADS):
        job.workspace[made + e] = _mean_of(job.workspace, given, windows, e)


@inner
def average_pool_backward_task(job, l, task):
    """A task: a piece of the numbers of dZ of the layer before."""
    windows, dz = windows_of(job, l), job.layers[l, DZ_OFFSET]
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_IN]), THREADS):
        derive_number(job, below(job, l), e, _gradient_of(job.workspace, dz, windows, e))
