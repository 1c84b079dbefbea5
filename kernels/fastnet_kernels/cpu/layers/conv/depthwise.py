"""Depthwise convolutions, in which each channel has a filter of its own: the loops of `convolve` and `dots` for these.

A tile is some channels of one or two pixels. All of a pixel's channels come before the next pixel, so that memory is
read from its first number to its last one.
"""

from ....codes import DEPTHWISE
from ...codegen.compiling import routine
from ...codegen.matrix import Matrix, moved
from ...codegen.processor import VECTOR_BYTES
from ...gemm.conv_micro_kernels import MR
from ...gemm.depthwise_micro_kernels import CHANNELS, TAPS, depthwise_dot_micro_kernel, depthwise_micro_kernel
from ...gemm.dot_and_gemv import largest_of
from ...gemm.macro_kernel import even_height
from .taps import steps_of, taps_of, tile_at


@routine(component=DEPTHWISE)
def convolve_depthwise(is_backward, y_axis, x_axis, window, start, source, target, vectors):
    """All of `target`, from `source`: start[r] + the sum over the taps of channel r, for some vectors of samples."""
    B, C, lanes, channels = source.rows, target.rows, VECTOR_BYTES // target.rows.data.itemsize, target.channels
    y, x = steps_of(is_backward, y_axis), steps_of(is_backward, x_axis)
    pixel, source_pixel = channels * C.row_stride, channels * B.row_stride
    for row in range(target.height):
        rows = taps_of(is_backward, y_axis, row, y)
        for first in range(min(x.neighbour, target.width)):
            for v in range(0, vectors, 2):
                column = first
                while column < target.width:
                    part = tile_at(
                        is_backward, x_axis, x, column, target.width, lanes, v + 1 < vectors, pixel, source_pixel
                    )
                    run = part.run
                    place = (rows.pixel * source.width + run.pixel) * source_pixel + v * lanes
                    tap = window.numbers.offset + rows.first * window.by_y + run.first * window.by_x
                    i = 0
                    while i < channels:
                        mr = even_height(channels - i, MR)
                        tile = moved(C, (row * target.width + column) * pixel + i * C.row_stride + v * lanes)
                        W = Matrix(window.numbers.data, tap + i * window.by_group, window.by_group, 1)
                        depthwise_micro_kernel(
                            mr, part.vectors, run.count, x.tap * window.by_x, x.pixel * source_pixel,
                            rows.count if run.count else 0, y.tap * window.by_y, y.pixel * source.width * source_pixel,
                            part.in_target, part.in_source, tile, moved(start, i * start.row_stride), W,
                            moved(B, place + i * B.row_stride),
                        )  # fmt: skip
                        i += mr
                    column = part.following


@routine(component=DEPTHWISE)
def add_depthwise_dots(
    channels, taps, a_tap, count, columns, dz_across, a_across, rows, dz_down, a_down, alpha, dW, dZ, A
):
    """dW (channels, taps) += alpha * the sums over pixels and samples of dZ times A, which is `a_tap` further a tap."""
    i = 0
    while i < channels:
        mr = largest_of(CHANNELS, channels - i)
        j = 0
        while j < taps:
            nr = largest_of(TAPS, taps - j)
            depthwise_dot_micro_kernel(
                mr, nr, a_tap, count, columns, dz_across, a_across, rows, dz_down, a_down, alpha,
                moved(dW, i * dW.row_stride + j), moved(dZ, i * dZ.row_stride), moved(A, i * A.row_stride + j * a_tap),
            )  # fmt: skip
            j += nr
        i += mr
