"""Convolutions of images that are transposed first, some samples side by side, for groups of few channels.

So the compiled program keeps them, and its loop is what computes them: a vector holds as many samples as it has lanes,
however few channels there are. A task has as many samples and some rows of pixels of them.
"""

from ..codegen.arrays import matrix
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Matrix
from ..codegen.processor import TARGET, VECTOR_BYTES
from ..codegen.scratch import give_back, numbers_in, take
from ..codegen.tasks import run_tasks
from ..layers.conv.convolve import Side, Window, convolve
from ..layers.conv.taps import Axis
from ..partition import bounds, n_blocks
from .samples import read_samples, write_samples

_TASKS = 4 * TARGET.balanced_threads
_CACHED_BYTES = TARGET.l2_bytes // 2
_OPERATIONS = TARGET.min_parallel_flops


@inner
def rows_seen(axis, first, last):
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
def axis_of_rows(axis, first, last, out_first, out_last):
    """The axis of some rows of the input and of the output."""
    pad = axis.pad + first - out_first * axis.stride
    return Axis(last - first, out_last - out_first, axis.window, axis.stride, pad, axis.dilation)


@inner
def read_rows(images, sample, count, first, last, block):
    """Rows of pixels of some samples as a block (numbers, samples)."""
    row = images.width * images.channels
    M = Matrix(images.data, first * row, images.height * row, 1)
    read_samples(M, sample, count, block)


@routine
def _task(task, m, rows, is_backward, groups, y_axis, x_axis, window, start, source, target):
    lanes, bands = VECTOR_BYTES // source.data.itemsize, n_blocks(target.height, rows)
    sample, last_sample = bounds(task // bands, m, lanes)
    row, last_row = bounds(task % bands, target.height, rows)
    if is_backward:
        first, last = _rows_that_see(y_axis, row, last_row)
        axis = axis_of_rows(y_axis, row, last_row, first, last)
    else:
        first, last = rows_seen(y_axis, row, last_row)
        axis = axis_of_rows(y_axis, first, last, row, last_row)
    given, made = (last - first) * source.width * source.channels, (last_row - row) * target.width * target.channels
    piece = take((given + made) * lanes * source.data.itemsize)
    numbers = numbers_in(piece, source.data, 0, (given + made) * lanes)
    read_rows(source, sample, last_sample - sample, first, last, matrix(numbers, 0, given, lanes))
    convolve(
        is_backward, axis, x_axis, groups, window, start,
        Side(Matrix(numbers, 0, lanes, 1), last - first, source.width, source.channels),
        Side(Matrix(numbers, given * lanes, lanes, 1), last_row - row, target.width, target.channels), 1,
    )  # fmt: skip
    line = target.width * target.channels
    M = Matrix(target.data, row * line, target.height * line, 1)
    write_samples(matrix(numbers, given * lanes, made, lanes), M, sample, last_sample - sample)
    give_back(piece)


@routine
def convolve_by_samples(is_backward, m, groups, y_axis, x_axis, W, b, source, target):
    """All of `target` from `source`: Z from A_prev and b, or dA_prev from dZ, where b is empty."""
    numbers, lanes = W.height * W.width * W.channels, VECTOR_BYTES // b.itemsize
    piece = take(b.itemsize)
    zero = numbers_in(piece, b, 0, 1)
    zero[0] = 0
    row = (source.width * source.channels + target.width * target.channels) * lanes * b.itemsize
    most = min(_CACHED_BYTES // max(1, row), n_blocks(m, lanes) * target.height // _TASKS)
    rows = max(1, n_blocks(target.height, n_blocks(target.height, max(1, most))))
    count, is_shared = n_blocks(m, lanes) * n_blocks(target.height, rows), True
    is_shared = m * y_axis.out_extent * x_axis.out_extent * W.count * groups * numbers > _OPERATIONS
    by_row, by_column = (1, numbers) if is_backward else (numbers, 1)
    window = Window(Matrix(W.data, 0, by_row, by_column), W.width * W.channels, W.channels, W.count * numbers)
    if b.size > 0:
        arguments = m, rows, is_backward, groups, y_axis, x_axis, window, Matrix(b, 0, 1, 1), source, target
        run_tasks(count, is_shared, _task, arguments)
    else:
        arguments = m, rows, is_backward, groups, y_axis, x_axis, window, Matrix(zero, 0, 0, 1), source, target
        run_tasks(count, is_shared, _task, arguments)
    give_back(piece)
