"""The loop of a convolution, both ways: tiles of some channels of one or two pixels, for a vector of samples.

Going back is the same as going forward, with the taps the other way round: dA_prev[q, i] is the sum over taps and
channels o of W[o, tap, i] dZ[p, o], for those pixels p of the output that see q.
"""

from typing import NamedTuple

from ....codes import A_OFFSET, B_OFFSET, CONV, DZ_OFFSET, GROUPS, LDW, N_IN, N_OUT, W_OFFSET, WINOGRAD_TILES
from ...codegen.compiling import inner, routine
from ...codegen.matrix import Matrix, moved
from ...codegen.processor import VECTOR_BYTES
from ...gemm.conv_micro_kernels import MR, conv_micro_kernel
from ...gemm.macro_kernel import even_height
from ...step.workspace import below, clear_beyond, units_of, vectors_of
from . import winograd
from .depthwise import convolve_depthwise
from .taps import Side, axes_of, steps_of, taps_of, tile_at


class Window(NamedTuple):
    """W as one direction reads it: number [r, k] of tap (y, x) of a group, in a `Matrix` that the first three move."""

    numbers: Matrix
    by_y: int
    by_x: int
    by_group: int


@routine(component=CONV)
def convolve(is_backward, y_axis, x_axis, groups, window, start, source, target, vectors):
    """All of `target`, from `source`: start[r] + the sums over taps and channels, for some vectors of samples.

    Where the last vector has none beside it, the tile's second one is that of the next pixel which has the same taps.
    """
    B, C, lanes = source.rows, target.rows, VECTOR_BYTES // target.rows.data.itemsize
    n, k = target.channels // groups, source.channels // groups
    if n == 1 and k == 1 and groups > 1:
        convolve_depthwise(is_backward, y_axis, x_axis, window, start, source, target, vectors)
        return
    down, across = steps_of(is_backward, y_axis), steps_of(is_backward, x_axis)
    pixel, source_pixel = target.channels * C.row_stride, source.channels * B.row_stride
    # The taps of a row and their channels are one run, where nothing lies between.
    is_run = not is_backward and groups == 1 and x_axis.dilation == 1
    for y in range(target.height):
        rows = taps_of(is_backward, y_axis, y, down)
        for group in range(groups):
            i = 0
            while i < n:
                mr = even_height(n - i, MR)
                for first in range(min(across.neighbour, target.width)):
                    for v in range(0, vectors, 2):
                        x = first
                        while x < target.width:
                            part = tile_at(
                                is_backward, x_axis, across, x, target.width, lanes, v + 1 < vectors, pixel,
                                source_pixel,
                            )  # fmt: skip
                            run = part.run
                            A = moved(
                                window.numbers,
                                group * window.by_group
                                + i * window.numbers.row_stride
                                + rows.first * window.by_y
                                + run.first * window.by_x,
                            )
                            place = (rows.pixel * source.width + run.pixel) * source_pixel
                            numbers = moved(B, place + group * k * B.row_stride + v * lanes)
                            channel = group * n + i
                            tile = moved(C, (y * target.width + x) * pixel + channel * C.row_stride + v * lanes)
                            conv_micro_kernel(
                                mr, part.vectors, run.count * k if is_run else k, 1 if is_run else run.count,
                                across.tap * window.by_x, across.pixel * source_pixel,
                                rows.count if run.count else 0, down.tap * window.by_y,
                                down.pixel * source.width * source_pixel,
                                part.in_target, part.in_source, tile, moved(start, channel * start.row_stride), A,
                                numbers,
                            )  # fmt: skip
                            x = part.following
                i += mr


@inner
def _before(job, l, column, block, axes):
    height, width = axes[0].extent, axes[1].extent
    return Side(
        units_of(job, below(job, l), column, block), height, width, job.plan.layers[l, N_IN] // (height * width)
    )


@inner
def _behind(job, l, column, block, axes):
    height, width = axes[0].out_extent, axes[1].out_extent
    return Side(units_of(job, l, column, block), height, width, job.plan.layers[l, N_OUT] // (height * width))


@inner
def _window_of(job, l, axes, channels_in, channels_out, is_backward):
    """W (n, window_height, window_width, channels of a group), a row each, from either direction."""
    plan = job.plan
    groups, stride = plan.layers[l, GROUPS], plan.layers[l, LDW]
    k = channels_in // groups
    numbers = Matrix(
        job.parameters, plan.layers[l, W_OFFSET], 1 if is_backward else stride, stride if is_backward else 1
    )
    return Window(numbers, axes[1].window * k, k, channels_out // groups * stride)


@routine(component=CONV)
def forward(job, scratch, l, first_block, last_block):
    """Z of convolution l, for some blocks, from A of the layer below."""
    axes, b = axes_of(job.plan.layers[l]), Matrix(job.parameters, job.plan.layers[l, B_OFFSET], 1, 1)
    zero = Matrix(job.workspace, job.plan.zeros, 0, 1)
    together = job.plan.layers[l, WINOGRAD_TILES]
    for block in range(first_block, last_block):
        source, target = _before(job, l, A_OFFSET, block, axes), _behind(job, l, A_OFFSET, block, axes)
        clear_beyond(job, l, A_OFFSET, block)
        if together:
            filters = winograd.filters_of(job, l, source.channels, 0)
            vectors = vectors_of(job, block)
            pads = axes[0].pad, axes[1].pad
            winograd.convolve(0, *pads, together, filters, b, zero, source, target, vectors, scratch)
            continue
        window = _window_of(job, l, axes, source.channels, target.channels, 0)
        convolve(0, axes[0], axes[1], job.plan.layers[l, GROUPS], window, b, source, target, vectors_of(job, block))


@routine(component=CONV)
def backward(job, scratch, l, first_block, last_block):
    """dA of the layer below convolution l, for some blocks, from dZ."""
    axes, zero = axes_of(job.plan.layers[l]), Matrix(job.workspace, job.plan.zeros, 0, 1)
    together = job.plan.layers[l, WINOGRAD_TILES]
    for block in range(first_block, last_block):
        source, target = _behind(job, l, DZ_OFFSET, block, axes), _before(job, l, DZ_OFFSET, block, axes)
        clear_beyond(job, below(job, l), DZ_OFFSET, block)
        if together:
            filters = winograd.filters_of(job, l, target.channels, 1)
            pads, vectors = (2 - axes[0].pad, 2 - axes[1].pad), vectors_of(job, block)
            winograd.convolve(1, *pads, together, filters, zero, zero, source, target, vectors, scratch)
            continue
        window = _window_of(job, l, axes, target.channels, source.channels, 1)
        convolve(1, axes[0], axes[1], job.plan.layers[l, GROUPS], window, zero, source, target, vectors_of(job, block))
