"""Convolutions of images as they lie, channels side by side: a vector holds some channels of one pixel of the target.

W is packed once, in panels of two vectors of the target's channels, a number of the window a row; some pixels of a row
make a tile with a panel, and the numbers that they are multiplied with are read where they lie: no matrix of windows is
made. Where windows reach beyond the edge, the rows that a task needs are copied into a frame of zeros.

Going back is the same, with the taps the other way round. With a stride only every so many'th tap of a window meets a
pixel, and which ones depends on the pixel: so pixels that have the same taps are taken together.
"""

from typing import NamedTuple

import numpy as np

from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Matrix, moved
from ..codegen.processor import PANEL_BYTES, TARGET, VECTOR_BYTES
from ..codegen.scratch import give_back, numbers_in, take
from ..codegen.tasks import run_tasks
from ..gemm.conv_micro_kernels import MR, conv_micro_kernel
from ..gemm.macro_kernel import even_height
from ..gemm.pack_tiles import pack_tile
from ..layers.conv.taps import steps_backward
from ..partition import bounds, n_blocks

_TASKS = 4 * TARGET.balanced_threads
_CACHED_BYTES = TARGET.l2_bytes // 2
_OPERATIONS = TARGET.min_parallel_flops
_TALLEST = MR[0]


class Images(NamedTuple):
    """Images (m, height, width, channels), without gaps."""

    data: np.ndarray
    height: int
    width: int
    channels: int


class Sweep(NamedTuple):
    """Along one axis: some pixels of the target that have the same taps, and the pixels of the source that they meet.

    Pixel first + t step of the target, for t < count, meets by tap + j tap_step, for j < taps, pixel
    origin + t stride + j gap of the source.
    """

    first: int
    step: int
    count: int
    origin: int
    stride: int
    taps: int
    gap: int
    tap: int
    tap_step: int


@inner
def sweep_forward(axis):
    """All pixels of the output."""
    return Sweep(0, 1, axis.out_extent, -axis.pad, axis.stride, axis.window, axis.dilation, 0, 1)


@inner
def sweep_backward(axis, first):
    """Every `stride`th pixel of the input from the `first` on; taps from the last one down, so the source goes up."""
    tap_step, gap = steps_backward(axis)
    tap = 0
    while tap < tap_step and (first + axis.pad - tap * axis.dilation) % axis.stride != 0:
        tap += 1
    taps = n_blocks(axis.window - tap, tap_step) if tap < min(tap_step, axis.window) else 0
    origin = (first + axis.pad - tap * axis.dilation) // axis.stride - (taps - 1) * gap
    count = n_blocks(max(0, axis.extent - first), axis.stride)
    return Sweep(first, axis.stride, count, origin, 1, taps, gap, tap + (taps - 1) * tap_step, -tap_step)


class Frame(NamedTuple):
    """Rows and columns of an image that some pixels see, from (y, x) on, which may lie beyond its edges."""

    y: int
    x: int
    rows: int
    columns: int


@inner
def frame_of(y, x, first, last):
    """What rows `first` to `last` - 1 of a sweep see."""
    rows, columns = (last - first - 1) * y.stride, (x.count - 1) * x.stride
    return Frame(
        y.origin + first * y.stride, x.origin, rows + (y.taps - 1) * y.gap + 1, columns + (x.taps - 1) * x.gap + 1
    )


@inner
def is_inside(frame, images):
    """Whether no pixel of a frame lies beyond the edges."""
    rows_are = frame.y >= 0 and frame.y + frame.rows <= images.height
    return rows_are and frame.x >= 0 and frame.x + frame.columns <= images.width


@inner
def clear(numbers, first, count):
    some = vector(numbers, first, count)
    for i in range(count):
        some[i] = 0


@routine
def copy_frame(image, frame, images, target):
    """target (rows, columns, channels) = those pixels of one of the images, 0 beyond its edges."""
    c = images.channels
    left = min(frame.columns, max(0, -frame.x))
    right = max(left, min(frame.columns, images.width - frame.x))
    for row in range(frame.rows):
        y, t = frame.y + row, row * frame.columns * c
        if y < 0 or y >= images.height:
            clear(target, t, frame.columns * c)
            continue
        clear(target, t, left * c)
        pixel, count = (image * images.height + y) * images.width + frame.x + left, (right - left) * c
        given, copied = vector(images.data, pixel * c, count), vector(target, t + left * c, count)
        for i in range(count):
            copied[i] = given[i]
        clear(target, t + right * c, (frame.columns - right) * c)


class Filters(NamedTuple):
    """W (groups * count, window height, window width, channels), of which each group has `count`."""

    data: np.ndarray
    count: int
    height: int
    width: int
    channels: int


@routine
def _pack_task(task, is_backward, panels, y, x, W, packed):
    """A panel of a group's filters, or going back of its channels: a row for each tap and number of the source."""
    nr, numbers = PANEL_BYTES // packed.itemsize, W.height * W.width * W.channels
    k, n = (W.count, W.channels) if is_backward else (W.channels, W.count)
    group, j = task // panels, task % panels * nr
    t = task * y.taps * x.taps * k * nr
    for tap_y in range(y.taps):
        for tap_x in range(x.taps):
            tap = (y.tap + tap_y * y.tap_step) * W.width + x.tap + tap_x * x.tap_step
            place = group * W.count * numbers + tap * W.channels
            if is_backward:
                M = Matrix(W.data, place + j, 1, numbers)
            else:
                M = Matrix(W.data, place + j * numbers, numbers, 1)
            pack_tile(packed, t, nr, M, min(nr, n - j), k)
            t += k * nr


@inner
def _is_run(groups, x):
    """Whether the numbers that a row of the window meets are contiguous."""
    return groups == 1 and x.gap == 1


@routine
def _convolve_rows(first, last, groups, y, x, line, A, image, target, packed, starts, tile):
    """Rows `first` to `last` - 1 of a sweep through one image; A begins with what the first row meets.

    `line` is from row to row of the source, A's row stride from pixel to pixel of those that the target's meet.
    """
    n, c = target.channels // groups, A.row_stride // x.stride
    k, nr, lanes = c // groups, PANEL_BYTES // packed.itemsize, VECTOR_BYTES // packed.itemsize
    panels = n_blocks(n, nr)
    depth, columns = (x.taps * k, 1) if _is_run(groups, x) else (k, x.taps)
    for panel in range(groups * panels):
        group, j = panel // panels, panel % panels * nr
        some, vectors = min(nr, n - j), 2 if n - j > lanes else 1
        is_whole = some == vectors * lanes
        B, start = Matrix(packed, panel * y.taps * x.taps * k * nr, nr, 1), vector(starts, panel * nr, nr)
        for t in range(first, last):
            row = (image * target.height + y.first + t * y.step) * target.width + x.first
            a = (t - first) * y.stride * line + group * k
            i = 0
            while i < x.count:
                mr = even_height(x.count - i, MR)
                place, step = (row + i * x.step) * target.channels + group * n + j, x.step * target.channels
                C = Matrix(target.data, place, step, 1) if is_whole else Matrix(tile, 0, nr, 1)
                conv_micro_kernel(
                    mr, vectors, depth, columns, x.gap * c, k * nr, y.taps, y.gap * line, x.taps * k * nr, lanes, lanes,
                    C, start, moved(A, a + i * A.row_stride), B,
                )  # fmt: skip
                if not is_whole:
                    for r in range(mr):
                        for v in range(some):
                            target.data[place + r * step + v] = tile[r * nr + v]
                i += mr


@routine
def _rows_task(task, rows_together, groups, y, x, source, target, packed, starts):
    """Some rows of a sweep through one image, which they see where it lies or, beyond its edges, in a frame."""
    bands, c = n_blocks(y.count, rows_together), source.channels
    image, (first, last) = task // bands, bounds(task % bands, y.count, rows_together)
    frame = frame_of(y, x, first, last)
    is_there = is_inside(frame, source) or y.taps == 0 or x.taps == 0
    size, nr = 0 if is_there else frame.rows * frame.columns * c, PANEL_BYTES // packed.itemsize
    piece = take((size + _TALLEST * nr) * packed.itemsize)
    numbers, tile = numbers_in(piece, packed, 0, size), numbers_in(piece, packed, size, _TALLEST * nr)
    if is_there:
        line = source.width * c
        A = Matrix(source.data, (image * source.height + frame.y) * line + frame.x * c, x.stride * c, 1)
        _convolve_rows(first, last, groups, y, x, line, A, image, target, packed, starts, tile)
    else:
        copy_frame(image, frame, source, numbers)
        A = Matrix(numbers, 0, x.stride * c, 1)
        _convolve_rows(first, last, groups, y, x, frame.columns * c, A, image, target, packed, starts, tile)
    give_back(piece)


@inner
def _rows_together(m, y, x, source, target):
    """How many rows of the target a task makes: so many as fit the cache, but rather some tasks for each thread."""
    of_source = ((x.count - 1) * x.stride + (x.taps - 1) * x.gap + 1) * source.channels * y.stride
    row = (of_source + target.width * target.channels) * target.data.itemsize
    most = max(1, min(_CACHED_BYTES // max(1, row), m * y.count // _TASKS))
    return n_blocks(y.count, n_blocks(y.count, most))


@routine
def _sweep(is_backward, m, groups, y, x, W, starts, source, target):
    """All pixels of two sweeps, down and across."""
    nr, size = PANEL_BYTES // starts.itemsize, target.channels // groups
    panels = n_blocks(size, nr)
    numbers = y.taps * x.taps * (source.channels // groups)
    is_shared = m * y.count * x.count * target.channels * numbers > _OPERATIONS
    piece = take(groups * panels * numbers * nr * starts.itemsize)
    packed = numbers_in(piece, starts, 0, groups * panels * numbers * nr)
    run_tasks(groups * panels, is_shared, _pack_task, (is_backward, panels, y, x, W, packed))
    rows = max(1, _rows_together(m, y, x, source, target))
    arguments = rows, groups, y, x, source, target, packed, starts
    if x.count > 0:
        run_tasks(m * n_blocks(y.count, rows), is_shared, _rows_task, arguments)
    give_back(piece)


@inner
def _starts_of(groups, size, b, starts):
    """What panels begin from: b, or 0 where there is none."""
    nr = PANEL_BYTES // starts.itemsize
    panels = n_blocks(size, nr)
    for panel in range(groups * panels):
        j = panel % panels * nr
        for v in range(nr):
            is_one = j + v < size and b.size > 0
            starts[panel * nr + v] = b[panel // panels * size + j + v] if is_one else 0


@routine
def convolve_directly(is_backward, m, groups, y_axis, x_axis, W, b, source, target):
    """All of `target` from `source`, by channels: Z from A_prev and b, or dA_prev from dZ, where b is empty."""
    size = target.channels // groups
    nr = PANEL_BYTES // b.itemsize
    count = groups * n_blocks(size, nr) * nr
    piece = take(count * b.itemsize)
    starts = numbers_in(piece, b, 0, count)
    _starts_of(groups, size, b, starts)
    if is_backward:
        for first_y in range(min(y_axis.stride, y_axis.extent)):
            for first_x in range(min(x_axis.stride, x_axis.extent)):
                y, x = sweep_backward(y_axis, first_y), sweep_backward(x_axis, first_x)
                _sweep(is_backward, m, groups, y, x, W, starts, source, target)
    else:
        _sweep(is_backward, m, groups, sweep_forward(y_axis), sweep_forward(x_axis), W, starts, source, target)
    give_back(piece)
