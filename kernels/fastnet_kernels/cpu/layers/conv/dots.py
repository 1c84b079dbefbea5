"""The weight gradient of a convolution in dot products of dZ's and A's own rows, whose numbers are samples.

They are for groups whose filters fill no vector; where each channel has a filter of its own, dot products of all taps
that meet the same pixels are taken together.
"""

from typing import NamedTuple

from ....codes import CONV
from ...codegen.compiling import inner, routine
from ...codegen.matrix import moved
from ...codegen.processor import TARGET
from ...gemm.conv_micro_kernels import conv_dot_micro_kernel
from ...gemm.dot_and_gemv import largest_of
from ...partition import n_blocks
from .depthwise import add_depthwise_dots
from .taps import count_parts, has_inner_pixels, part_of, pixels_of_tap

_DOT_MR, _DOT_NR = TARGET.dot_mr, TARGET.dot_nr


class Pixels(NamedTuple):
    """The pixels of one sum: how many, and from one to the next in dZ and in A, down and across."""

    rows: int
    columns: int
    dz_down: int
    dz_across: int
    a_down: int
    a_across: int


class Span(NamedTuple):
    """Which numbers of W: some filters, and some rows of the window."""

    first: int
    last: int
    first_tap: int
    last_tap: int


@inner
def _add_dots(m, n, count, pixels, alpha, dW, dZ, A):
    """dW (m, n) += alpha * the sums over pixels and `count` samples, a filter of dZ and a channel of A a row."""
    j = 0
    while j < n:
        nr = largest_of(_DOT_NR, n - j)
        i = 0
        while i < m:
            mr = largest_of(_DOT_MR, m - i)
            conv_dot_micro_kernel(
                mr, nr, count, pixels.columns, pixels.dz_across, pixels.a_across, pixels.rows, pixels.dz_down,
                pixels.a_down, alpha, moved(dW, i * dW.row_stride + j), moved(dZ, i * dZ.row_stride),
                moved(A, j * A.row_stride),
            )  # fmt: skip
            i += mr
        j += nr


@routine(component=CONV)
def sum_dots(y_axis, x_axis, groups, span, start, end, count, alpha, dW, dZ, A):
    """dW += alpha * the sums over rows `start` to `end` - 1 of dZ and `count` samples; dZ and A are a `Side` each.

    `dW` is a `Matrix` of a filter a row, from the first filter on; of it what `span` says is added to.
    """
    n, k = dZ.channels // groups, A.channels // groups
    is_depthwise = n == 1 and k == 1 and groups > 1
    pixel, source_pixel = dZ.channels * dZ.rows.row_stride, A.channels * A.rows.row_stride
    takes_all = has_inner_pixels(x_axis) and (is_depthwise or (groups == 1 and x_axis.dilation == 1))
    down, across = y_axis.stride * x_axis.extent * source_pixel, x_axis.stride * source_pixel
    for tap_y in range(span.first_tap, span.last_tap):
        first_y, last_y = pixels_of_tap(y_axis, tap_y)
        first_y, last_y = max(first_y, start), min(last_y, end)
        source_y = first_y * y_axis.stride - y_axis.pad + tap_y * y_axis.dilation
        for index in range(count_parts(x_axis, takes_all)):
            part = part_of(x_axis, takes_all, index)
            if last_y <= first_y or part.last <= part.first:
                continue
            source_x = part.first * x_axis.stride - x_axis.pad + part.tap * x_axis.dilation
            pixels = Pixels(last_y - first_y, part.last - part.first, dZ.width * pixel, pixel, down, across)
            d = moved(dZ.rows, (first_y * dZ.width + part.first) * pixel)
            a, column = moved(A.rows, (source_y * A.width + source_x) * source_pixel), tap_y * x_axis.window + part.tap
            if is_depthwise:
                o, rows = span.first, span.first * dZ.rows.row_stride
                add_depthwise_dots(
                    span.last - o, part.taps, x_axis.dilation * source_pixel, count, pixels.columns, pixels.dz_across,
                    pixels.a_across, pixels.rows, pixels.dz_down, pixels.a_down, alpha,
                    moved(dW, o * dW.row_stride + column), moved(d, rows), moved(a, rows),
                )  # fmt: skip
                continue
            for group in range(span.first // n, n_blocks(span.last, n)):
                o, last_o = max(span.first, group * n), min(span.last, (group + 1) * n)
                _add_dots(
                    last_o - o, part.taps * k, count, pixels, alpha, moved(dW, o * dW.row_stride + column * k),
                    moved(d, o * dZ.rows.row_stride), moved(a, group * k * A.rows.row_stride),
                )  # fmt: skip
