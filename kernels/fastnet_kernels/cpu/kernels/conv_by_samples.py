"""Convolutions of images that are transposed first, some samples side by side, for groups of few channels.

So the compiled program keeps them, and its loop is what computes them: a vector holds as many samples as it has lanes,
however few channels there are. A task has as many samples and some rows of pixels of them.
"""

from typing import NamedTuple

from ..codegen.arrays import matrix, vector
from ..codegen.compiling import inner, routine
from ..codegen.elements import added
from ..codegen.loops import map_numbers
from ..codegen.matrix import Matrix
from ..codegen.processor import LINE_BYTES, TARGET, VECTOR_BYTES
from ..codegen.scratch import give_back, numbers_in, take
from ..codegen.tasks import run_tasks
from ..gemm.winograd_transforms import TERMS, TILE
from ..layers.conv import winograd
from ..layers.conv.convolve import Window, convolve
from ..layers.conv.dots import Span, sum_dots
from ..layers.conv.taps import Axis, Side
from ..layers.conv.winograd import spread_filters
from ..partition import bounds, n_blocks, share
from .conv_direct import clear
from .samples import read_samples, write_samples

_TASKS = 4 * TARGET.balanced_threads
_CACHED_BYTES = TARGET.l2_bytes // 2
_OPERATIONS = TARGET.min_parallel_flops
_CHANNELS, _WINOGRAD_BYTES = TARGET.min_winograd_channels, TARGET.winograd_bytes
_WINOGRAD_TILES = TARGET.max_winograd_tiles
_MEETING_BYTES = 1024


@inner
def _rows_seen(axis, first, last):
    """The rows of the input that rows `first` to `last` - 1 of the output see: first and last (exclusive)."""
    start = first * axis.stride - axis.pad
    end = (last - 1) * axis.stride - axis.pad + (axis.window - 1) * axis.dilation + 1
    seen = min(max(start, 0), axis.extent)
    return seen, max(seen, min(end, axis.extent))


@inner
def _rows_that_see(axis, first, last):
    """The rows of the output that see rows `first` to `last` - 1 of the input: first and last (exclusive)."""
    start = n_blocks(first + axis.pad - (axis.window - 1) * axis.dilation, axis.stride)
    seeing = min(max(start, 0), axis.out_extent)
    return seeing, max(seeing, min((last - 1 + axis.pad) // axis.stride + 1, axis.out_extent))


@inner
def _axis_of_rows(axis, first, last, out_first, out_last):
    """The axis of some rows of the input and of the output."""
    pad = axis.pad + first - out_first * axis.stride
    return Axis(last - first, out_last - out_first, axis.window, axis.stride, pad, axis.dilation)


@inner
def _read_rows(images, sample, count, first, last, block):
    """Rows of pixels of some samples as a block (numbers, samples)."""
    row = images.width * images.channels
    M = Matrix(images.data, first * row, images.height * row, 1)
    read_samples(M, sample, count, block)


@inner
def winograd_tiles(groups, y_axis, x_axis, W):
    """How many tiles Winograd's convolution, of 3 x 3 windows beside each other, spreads at a time; 0 for others."""
    fits = y_axis.window == 3 and x_axis.window == 3 and y_axis.stride == 1 and x_axis.stride == 1
    if not fits or groups > 1 or y_axis.dilation > 1 or x_axis.dilation > 1 or min(W.count, W.channels) < _CHANNELS:
        return 0
    if W.channels * W.data.itemsize % _MEETING_BYTES == 0:  # going back, terms would meet in the first-level cache
        return 0
    most = _WINOGRAD_BYTES // (TERMS * (W.count + W.channels) * VECTOR_BYTES)
    return min(_WINOGRAD_TILES, max(2, most // 2 * 2))


class Loop(NamedTuple):
    """How a convolution is computed from blocks of samples: by W as it is, or by the terms of its filters."""

    is_backward: int
    groups: int
    together: int  # tiles by Winograd's terms at a time, or 0
    window: Window
    terms: Matrix


@routine
def _task(task, m, rows, loop, y_axis, x_axis, start, zero, source, target):
    lanes, bands = VECTOR_BYTES // source.data.itemsize, n_blocks(target.height, rows)
    sample, last_sample = bounds(task // bands, m, lanes)
    row, last_row = bounds(task % bands, target.height, rows)
    if loop.is_backward:
        first, last = _rows_that_see(y_axis, row, last_row)
        axis = _axis_of_rows(y_axis, row, last_row, first, last)
    else:
        first, last = _rows_seen(y_axis, row, last_row)
        axis = _axis_of_rows(y_axis, first, last, row, last_row)
    k, n, itemsize = source.channels, target.channels, source.data.itemsize
    given, made = (last - first) * source.width * k, (last_row - row) * target.width * n
    of_terms = 0
    if loop.together > 0:
        of_terms = TERMS * (loop.together * (k + n) * lanes + 2 * LINE_BYTES // itemsize) + TERMS * max(k, n) * lanes
    piece = take(((given + made) * lanes + of_terms) * itemsize)
    numbers = numbers_in(piece, source.data, 0, (given + made) * lanes)
    _read_rows(source, sample, last_sample - sample, first, last, matrix(numbers, 0, given, lanes))
    before = Side(Matrix(numbers, 0, lanes, 1), last - first, source.width, k)
    behind = Side(Matrix(numbers, given * lanes, lanes, 1), last_row - row, target.width, n)
    if loop.together > 0:
        pad_y, pad_x = (2 - axis.pad, 2 - x_axis.pad) if loop.is_backward else (axis.pad, x_axis.pad)
        scratch = numbers_in(piece, source.data, (given + made) * lanes, of_terms)
        winograd.convolve(
            loop.is_backward, pad_y, pad_x, loop.together, loop.terms, start, zero, before, behind, 1, scratch
        )
    else:
        convolve(loop.is_backward, axis, x_axis, loop.groups, loop.window, start, before, behind, 1)
    line = target.width * n
    M = Matrix(target.data, row * line, target.height * line, 1)
    write_samples(matrix(numbers, given * lanes, made, lanes), M, sample, last_sample - sample)
    give_back(piece)


@routine
def convolve_by_samples(is_backward, m, groups, y_axis, x_axis, W, b, source, target):
    """All of `target` from `source`: Z from A_prev and b, or dA_prev from dZ, where b is empty."""
    size, lanes, together = (
        W.height * W.width * W.channels,
        VECTOR_BYTES // b.itemsize,
        winograd_tiles(groups, y_axis, x_axis, W),
    )
    of_terms = TERMS * W.count * W.channels if together > 0 else 0
    piece = take((target.channels + of_terms + 1) * b.itemsize)
    starts = numbers_in(piece, b, 0, target.channels + 1)
    terms = numbers_in(piece, b, target.channels + 1, of_terms)
    for i in range(target.channels + 1):
        starts[i] = b[i] if i < b.size else 0
    if together > 0:
        spread_filters(W.count, W.channels, W.data, 0, size, terms, 0)
    row = (source.width * source.channels + target.width * target.channels) * lanes * b.itemsize
    most = min(_CACHED_BYTES // max(1, row), n_blocks(m, lanes) * target.height // _TASKS)
    rows = max(1, n_blocks(target.height, n_blocks(target.height, max(1, most))))
    if together > 0:
        rows += rows % TILE
    count = n_blocks(m, lanes) * n_blocks(target.height, rows)
    is_shared = m * y_axis.out_extent * x_axis.out_extent * W.count * groups * size > _OPERATIONS
    by_row, by_column = (1, size) if is_backward else (size, 1)
    window = Window(Matrix(W.data, 0, by_row, by_column), W.width * W.channels, W.channels, W.count * size)
    by_row, by_column = (1, W.channels) if is_backward else (W.channels, 1)
    loop = Loop(is_backward, groups, together, window, Matrix(terms, 0, by_row, by_column))
    start, zero = Matrix(starts, 0, 1, 1), Matrix(starts, target.channels, 0, 1)
    run_tasks(count, is_shared, _task, (m, rows, loop, y_axis, x_axis, start, zero, source, target))
    give_back(piece)


@inner
def _parts_of(m, y_axis, A_prev, dZ):
    """Rows of dZ that are summed at a time, which stay in cache, and how many parts the sum of all has."""
    lanes = VECTOR_BYTES // dZ.data.itemsize
    row = (dZ.width * dZ.channels + y_axis.stride * A_prev.width * A_prev.channels) * VECTOR_BYTES
    rows = max(1, n_blocks(dZ.height, n_blocks(dZ.height, max(1, _CACHED_BYTES // max(1, row)))))
    return rows, max(1, min(_TASKS, n_blocks(m, lanes) * n_blocks(dZ.height, rows)))


@routine
def _sum_task(task, m, rows, parts, groups, y_axis, x_axis, W, A_prev, dZ, sums):
    """dW and db, one after the other, of a part of all samples and rows."""
    n, numbers = dZ.channels, W.height * W.width * W.channels
    lanes, bands, size = VECTOR_BYTES // sums.itemsize, n_blocks(dZ.height, rows), n * (numbers + 1)
    dW, db = Matrix(sums, task * size, numbers, 1), vector(sums, task * size + n * numbers, n)
    clear(sums, task * size, size)
    line, source_line = dZ.width * n, A_prev.width * A_prev.channels
    most = rows * line + min(A_prev.height, rows * y_axis.stride + (y_axis.window - 1) * y_axis.dilation) * source_line
    piece = take(most * lanes * sums.itemsize)
    block = numbers_in(piece, sums, 0, most * lanes)
    first_index, last_index = share(task, parts, n_blocks(m, lanes) * bands)
    for index in range(first_index, last_index):
        sample, last_sample = bounds(index // bands, m, lanes)
        row, last_row = bounds(index % bands, dZ.height, rows)
        first, last = _rows_seen(y_axis, row, last_row)
        count, behind, before = last_sample - sample, (last_row - row) * line, (last - first) * source_line
        _read_rows(dZ, sample, count, row, last_row, matrix(block, 0, behind, lanes))
        _read_rows(A_prev, sample, count, first, last, matrix(block, behind * lanes, before, lanes))
        made = Side(Matrix(block, 0, lanes, 1), last_row - row, dZ.width, n)
        given = Side(Matrix(block, behind * lanes, lanes, 1), last - first, A_prev.width, A_prev.channels)
        axis, span, one = _axis_of_rows(y_axis, first, last, row, last_row), Span(0, n, 0, W.height), sums.dtype.type(1)
        sum_dots(axis, x_axis, groups, span, 0, last_row - row, count, one, dW, made, given)
        for i in range(sample, last_sample):
            for pixel in range(row * dZ.width, last_row * dZ.width):
                some = vector(dZ.data, (i * dZ.height * dZ.width + pixel) * n, n)
                for o in range(n):
                    db[o] += some[o]
    give_back(piece)


@routine
def sum_weights_by_samples(m, groups, y_axis, x_axis, A_prev, dZ, W, db):
    """dW and db from A_prev and dZ; `W` has dW."""
    n, numbers = dZ.channels, W.height * W.width * W.channels
    rows, parts = _parts_of(m, y_axis, A_prev, dZ)
    size = n * (numbers + 1)
    piece = take(parts * size * db.itemsize)
    sums = numbers_in(piece, db, 0, parts * size)
    is_shared = m * dZ.height * dZ.width * n * numbers > _OPERATIONS
    run_tasks(parts, is_shared, _sum_task, (m, rows, parts, groups, y_axis, x_axis, W, A_prev, dZ, sums))
    for part in range(1, parts):
        total, more = vector(sums, 0, size), vector(sums, part * size, size)
        map_numbers(added, total, (total, more), ())
    for i in range(n * numbers):
        W.data[i] = sums[i]
    for o in range(n):
        db[o] = sums[n * numbers + o]
    give_back(piece)
