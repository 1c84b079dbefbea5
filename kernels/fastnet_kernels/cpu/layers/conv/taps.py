"""Which numbers of a window meet which pixels: along one axis of an image, for one pixel of the other image.

Pixel p of the output sees pixel p * stride - pad + tap * dilation of the input, for each tap of the window that is not
beyond the edge. The other way round, pixel q of the input is seen by (q + pad - tap * dilation) / stride, where that is
whole and a pixel of the output.
"""

import math
from typing import NamedTuple

from ....codes import (
    DILATION_X,
    DILATION_Y,
    HEIGHT,
    OUT_HEIGHT,
    OUT_WIDTH,
    PAD_X,
    PAD_Y,
    STRIDE_X,
    STRIDE_Y,
    WIDTH,
    WINDOW_HEIGHT,
    WINDOW_WIDTH,
)
from ...codegen.compiling import inner
from ...codegen.matrix import Matrix
from ...partition import n_blocks


class Axis(NamedTuple):
    """One axis of a convolution: extents of both images, and how windows lie."""

    extent: int  # of the input
    out_extent: int
    window: int
    stride: int
    pad: int  # zeros before the input
    dilation: int


class Side(NamedTuple):
    """One image of a convolution: (height, width, channels) of a vector or more of samples, a channel a row."""

    rows: Matrix
    height: int
    width: int
    channels: int


class Run(NamedTuple):
    """Taps that lie the same step apart, as do the pixels that they meet."""

    first: int  # tap
    count: int
    pixel: int  # that the first one meets


@inner
def axes_of(row):
    """The axes y and x of a convolution, from its row of `Plan.layers`."""
    y = Axis(row[HEIGHT], row[OUT_HEIGHT], row[WINDOW_HEIGHT], row[STRIDE_Y], row[PAD_Y], row[DILATION_Y])
    x = Axis(row[WIDTH], row[OUT_WIDTH], row[WINDOW_WIDTH], row[STRIDE_X], row[PAD_X], row[DILATION_X])
    return y, x


@inner
def taps_forward(axis, pixel):
    """Of a pixel of the output: the taps that meet pixels of the input, `dilation` apart."""
    start = pixel * axis.stride - axis.pad
    if start >= 0 and start + (axis.window - 1) * axis.dilation < axis.extent:
        return Run(0, axis.window, start)
    first = n_blocks(max(0, -start), axis.dilation)
    last = min(axis.window, n_blocks(max(0, axis.extent - start), axis.dilation))
    return Run(first, max(0, last - first), start + first * axis.dilation)


@inner
def steps_backward(axis):
    """From tap to tap of those that meet pixels of the output, and how far back the next pixel is."""
    tap_step = axis.stride // math.gcd(axis.stride, axis.dilation)
    return tap_step, tap_step * axis.dilation // axis.stride


@inner
def taps_backward(axis, pixel, tap_step, pixel_step):
    """Of a pixel of the input: the taps by which pixels of the output see it, in `steps_backward`."""
    start = pixel + axis.pad
    if axis.stride == 1 and start < axis.out_extent and start - (axis.window - 1) * axis.dilation >= 0:
        return Run(0, axis.window, start)
    tap = 0
    while tap < tap_step and (start - tap * axis.dilation) % axis.stride != 0:
        tap += 1
    if tap == tap_step:
        return Run(0, 0, 0)
    seen = (start - tap * axis.dilation) // axis.stride
    while seen >= axis.out_extent:
        tap, seen = tap + tap_step, seen - pixel_step
    count = 0
    while tap + count * tap_step < axis.window and seen - count * pixel_step >= 0:
        count += 1
    return Run(tap, count, seen)


class Steps(NamedTuple):
    """Along one axis, from tap to tap, and from a pixel of the target to the next that may have the same taps."""

    tap: int
    pixel: int  # of the source, from tap to tap
    neighbour: int  # of the target
    between: int  # of the source, from what one pixel of the target meets to what its neighbour meets


@inner
def steps_of(is_backward, axis):
    """Forward the target is the output, backward the input."""
    if is_backward:
        tap, pixel = steps_backward(axis)
        return Steps(tap, -pixel, axis.stride, 1)
    return Steps(1, axis.dilation, 1, axis.stride)


@inner
def taps_of(is_backward, axis, pixel, steps):
    """Of a pixel of the target: the taps that meet pixels of the source."""
    if is_backward:
        return taps_backward(axis, pixel, steps.tap, -steps.pixel)
    return taps_forward(axis, pixel)


@inner
def are_alike(run, other):
    """Whether two pixels have the same taps."""
    return run.first == other.first and run.count == other.count


class Tile(NamedTuple):
    """A tile's vectors along an axis: its taps, where the second vector lies in target and source, and what follows."""

    run: Run
    vectors: int
    in_target: int
    in_source: int
    following: int  # pixel of the target


@inner
def tile_at(is_backward, axis, steps, x, extent, lanes, has_second, pixel, source_pixel):
    """The tile from pixel x of the target on, whose row has `extent`; pixels are so many numbers.

    Its second vector is the next one of samples, if it `has_second`; else that of the next pixel, if this has the same
    taps.
    """
    run, following = taps_of(is_backward, axis, x, steps), x + steps.neighbour
    if has_second:
        return Tile(run, 2, lanes, lanes, following)
    if following < extent and are_alike(run, taps_of(is_backward, axis, following, steps)):
        return Tile(run, 2, steps.neighbour * pixel, steps.between * source_pixel, following + steps.neighbour)
    return Tile(run, 1, lanes, lanes, following)


@inner
def pixels_of_tap(axis, tap):
    """First and last (exclusive) pixel of the output for which a tap meets a pixel of the input."""
    start = tap * axis.dilation - axis.pad
    first = n_blocks(max(0, -start), axis.stride)
    last = min(axis.out_extent, n_blocks(max(0, axis.extent - start), axis.stride))
    return min(first, axis.out_extent), max(last, min(first, axis.out_extent))


@inner
def pixels_of_all_taps(axis):
    """First and last (exclusive) pixel of the output whose whole window lies in the input."""
    first, _ = pixels_of_tap(axis, 0)
    _, last = pixels_of_tap(axis, axis.window - 1)
    return first, max(first, last)


class Part(NamedTuple):
    """Taps of a row of the window, from `tap` on, for some columns of pixels of the output."""

    tap: int
    taps: int
    first: int
    last: int


@inner
def has_inner_pixels(axis):
    """Whether there are pixels of the output whose whole window lies in the input."""
    first, last = pixels_of_all_taps(axis)
    return last > first


@inner
def count_parts(axis, takes_all):
    """How many parts there are for `part_of`."""
    return 1 + 2 * axis.window if takes_all else axis.window


@inner
def part_of(axis, takes_all, index):
    """Each tap for the pixels that it meets; or all taps for those that they all meet, and each for what is beside."""
    if not takes_all:
        first, last = pixels_of_tap(axis, index)
        return Part(index, 1, first, last)
    inner_first, inner_last = pixels_of_all_taps(axis)
    if index == 0:
        return Part(0, axis.window, inner_first, inner_last)
    tap = (index - 1) // 2
    first, last = pixels_of_tap(axis, tap)
    return Part(tap, 1, first, min(inner_first, last)) if index % 2 else Part(tap, 1, max(first, inner_last), last)
