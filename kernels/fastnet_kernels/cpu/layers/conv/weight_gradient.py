"""The weight gradient of a convolution, dW[o, tap, i] = the sum over samples and pixels of dZ[p, o] A_prev[q, i].

For a tap q is a fixed way from p. With as many filters as a vector has lanes, dZ of some rows of pixels is transposed,
a sample a row, and the sum is a product like that of the other directions; with fewer it is dot products of dZ's and
A's own rows, which lie side by side. Either way A is read where it lies.
"""

from typing import NamedTuple

from ....codes import A_OFFSET, B_OFFSET, CONV, DZ_OFFSET, GROUPS, LDW, N_IN, N_OUT, W_OFFSET, WINOGRAD_TILES
from ...codegen.arrays import ON_STACK, numbers_on_stack, vector
from ...codegen.compiling import inner, routine
from ...codegen.matrix import Matrix, Rows, moved, unscaled
from ...codegen.processor import TARGET, VECTOR_BYTES
from ...gemm.conv_micro_kernels import MR, conv_dot_micro_kernel, conv_micro_kernel
from ...gemm.dot_and_gemv import largest_of
from ...gemm.load_convert import transpose
from ...gemm.macro_kernel import even_height
from ...partition import n_blocks
from ...step.workspace import below, count_of, offset_of, piece_of, units_of
from . import winograd_gradient
from .taps import Axis, axes_of, pixels_of_all_taps, pixels_of_tap

_DOT_MR, _DOT_NR = TARGET.dot_mr, TARGET.dot_nr
_CHUNK_BYTES, _DOT_BYTES, _LONG_ROW = TARGET.conv_chunk_bytes, TARGET.conv_dot_bytes, TARGET.conv_long_row


class Pixels(NamedTuple):
    """The pixels of one sum: how many, and from one to the next in dZ and in A, down and across."""

    rows: int
    columns: int
    dz_down: int
    dz_across: int
    a_down: int
    a_across: int


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


@inner
def _add_product(m, n, count, pixels, panel_stride, G, A, T):
    """G (n, m) += the sums over pixels and `count` samples; T has panels of two vectors of filters, a sample a row."""
    lanes = VECTOR_BYTES // T.data.itemsize
    for j in range(0, m, 2 * lanes):
        i = 0
        while i < n:
            mr = even_height(n - i, MR)
            conv_micro_kernel(
                mr, 2 if m - j > lanes else 1, count, pixels.columns, pixels.a_across, pixels.dz_across, pixels.rows,
                pixels.a_down, pixels.dz_down, lanes, lanes, moved(G, i * G.row_stride + j), None,
                moved(A, i * A.row_stride), moved(T, j // (2 * lanes) * panel_stride),
            )  # fmt: skip
            i += mr


@inner
def _transpose(job, T, panel_stride, dz, filters, pixels, channels, count):
    """dZ of some pixels and filters as panels of two vectors of filters, a row a sample of a pixel."""
    size, width = job.plan.block_rows, T.row_stride
    lanes = width // 2
    for j in range(0, filters, lanes):
        panel = T.offset + j // width * panel_stride + j % width
        for pixel in range(pixels):
            for s in range(0, count, lanes):
                units = Rows(job.workspace, dz + (pixel * channels + j) * size + s, size, job.plan.iota)
                target = Matrix(T.data, panel + (pixel * size + s) * width, width, 1)
                transpose(target, units, 0, None, unscaled(T.data))


@inner
def _add_bias(job, alpha, changed, l, first_row, last_row, pixels):
    """db[rows] += alpha * the sum of dZ over all samples and pixels."""
    plan = job.plan
    size, channels = plan.block_rows, plan.layers[l, N_OUT] // pixels
    some = numbers_on_stack(job.workspace)  # sums over pixels, of some samples each for itself
    for o in range(first_row, last_row):
        total = alpha * 0
        for block in range(n_blocks(job.m, size)):
            count, dz = count_of(job, block), offset_of(plan, l, DZ_OFFSET, block) + o * size
            for start in range(0, count, ON_STACK):
                sums = vector(some, 0, min(ON_STACK, count - start))
                for i in range(sums.size):
                    sums[i] = 0
                for pixel in range(pixels):
                    numbers = vector(job.workspace, dz + pixel * channels * size + start, sums.size)
                    for i in range(sums.size):
                        sums[i] += numbers[i]
                for i in range(sums.size):
                    total += sums[i]
        changed[plan.layers[l, B_OFFSET] + o] += alpha * total


class Part(NamedTuple):
    """Taps of a row of the window, from `tap` on, for some columns of pixels of the output."""

    tap: int
    taps: int
    first: int
    last: int


@inner
def _count_parts(axis, is_run):
    return 1 + 2 * axis.window if is_run else axis.window


@inner
def _part_of(axis, is_run, index):
    """Of a run: all taps, for the pixels that they all meet; and then each tap for what it meets on either side."""
    if not is_run:
        first, last = pixels_of_tap(axis, index)
        return Part(index, 1, first, last)
    inner_first, inner_last = pixels_of_all_taps(axis)
    if index == 0:
        return Part(0, axis.window, inner_first, inner_last)
    tap = (index - 1) // 2
    first, last = pixels_of_tap(axis, tap)
    return Part(tap, 1, first, min(inner_first, last)) if index % 2 else Part(tap, 1, max(first, inner_last), last)


class Shape(NamedTuple):
    """A convolution, for its weight gradient."""

    y_axis: Axis
    x_axis: Axis
    channels_in: int
    channels: int
    k: int  # channels of a group before it, and
    n: int  # behind it
    row: int  # numbers of W for a row of the window
    is_run: int  # whether the taps of a row and their channels lie without a gap


@inner
def _shape_of(plan, l):
    y_axis, x_axis = axes_of(plan.layers[l])
    channels_in = plan.layers[l, N_IN] // (y_axis.extent * x_axis.extent)
    channels = plan.layers[l, N_OUT] // (y_axis.out_extent * x_axis.out_extent)
    groups, (first, last) = plan.layers[l, GROUPS], pixels_of_all_taps(x_axis)
    is_run, k = groups == 1 and x_axis.dilation == 1 and last > first, channels_in // groups
    return Shape(y_axis, x_axis, channels_in, channels, k, channels // groups, x_axis.window * k, is_run)


class Chunk(NamedTuple):
    """What is summed at a time: some rows of pixels of the output, and some filters, for some rows of the window."""

    first_row: int
    last_row: int
    first_filter: int
    filters: int
    first_tap: int
    last_tap: int


@inner
def _add_chunk(is_product, job, l, shape, block, chunk, alpha, dW, T, panel_stride):
    """dW += alpha * the sums of a chunk of a block; as a product dW += the sums, with a filter a column."""
    y_axis, x_axis, size, count = shape.y_axis, shape.x_axis, job.plan.block_rows, count_of(job, block)
    dZ, A = units_of(job, l, DZ_OFFSET, block), units_of(job, below(job, l), A_OFFSET, block)
    width, group = x_axis.out_extent, chunk.first_filter // shape.n
    across = T.row_stride * size if is_product else shape.channels * size  # from pixel to pixel of dZ
    a_across = x_axis.stride * shape.channels_in * size
    a_down = y_axis.stride * x_axis.extent * shape.channels_in * size
    for tap_y in range(chunk.first_tap, chunk.last_tap):
        first_y, last_y = pixels_of_tap(y_axis, tap_y)
        first_y, last_y = max(first_y, chunk.first_row), min(last_y, chunk.last_row)
        source_y = first_y * y_axis.stride - y_axis.pad + tap_y * y_axis.dilation
        for index in range(_count_parts(x_axis, shape.is_run)):
            part = _part_of(x_axis, shape.is_run, index)
            if last_y <= first_y or part.last <= part.first:
                continue
            source_x = part.first * x_axis.stride - x_axis.pad + part.tap * x_axis.dilation
            source = moved(A, ((source_y * x_axis.extent + source_x) * shape.channels_in + group * shape.k) * size)
            column = (tap_y - chunk.first_tap) * shape.row + part.tap * shape.k
            pixels = Pixels(last_y - first_y, part.last - part.first, width * across, across, a_down, a_across)
            if is_product:
                place = ((first_y - chunk.first_row) * width + part.first) * across
                _add_product(
                    chunk.filters, part.taps * shape.k, count, pixels, panel_stride, moved(dW, column * dW.row_stride),
                    source, moved(T, place),
                )  # fmt: skip
            else:
                place = (first_y * width + part.first) * across + chunk.first_filter * size
                _add_dots(
                    chunk.filters, part.taps * shape.k, count, pixels, alpha, moved(dW, column), moved(dZ, place),
                    source,
                )  # fmt: skip


@inner
def _dots(job, l, shape, piece, alpha, changed):
    """dW of some filters and rows of the window, in dot products: a few filters at a time, which stay in cache."""
    size, height, stride = job.plan.block_rows, shape.y_axis.out_extent, job.plan.layers[l, LDW]
    few = _DOT_MR[0]
    numbers = shape.x_axis.out_extent * (few + shape.x_axis.stride * shape.y_axis.stride * shape.channels_in)
    at_once = max(1, _DOT_BYTES // (numbers * size * changed.itemsize))
    first_tap, last_tap = piece.first_column // shape.row, piece.last_column // shape.row
    for block in range(n_blocks(job.m, size)):
        for start in range(0, height, at_once):
            end, o = min(height, start + at_once), piece.first_row
            while o < piece.last_row:
                filters = min(few, piece.last_row - o, shape.n - o % shape.n)
                w = job.plan.layers[l, W_OFFSET] + o * stride + piece.first_column
                chunk, dW = Chunk(start, end, o, filters, first_tap, last_tap), Matrix(changed, w, stride, 1)
                _add_chunk(0, job, l, shape, block, chunk, alpha, dW, dW, 0)
                o += filters


@inner
def _products(job, scratch, l, shape, piece, alpha, changed):
    """dW of some filters and rows of the window as products with dZ, transposed for some rows of pixels at a time."""
    size, lanes, stride = job.plan.block_rows, VECTOR_BYTES // scratch.itemsize, job.plan.layers[l, LDW]
    height, width, n = shape.y_axis.out_extent, shape.x_axis.out_extent, shape.n
    filters, columns = piece.last_row - piece.first_row, piece.last_column - piece.first_column
    first_tap, last_tap = piece.first_column // shape.row, piece.last_column // shape.row
    # So much of dZ and A stays in cache for all taps.
    numbers = width * (filters + shape.x_axis.stride * shape.y_axis.stride * shape.channels_in)
    at_once = min(height, max(1, _CHUNK_BYTES // (numbers * size * scratch.itemsize)))
    panel_stride, ldg = at_once * width * size * 2 * lanes, n_blocks(min(n, filters), lanes) * lanes
    T = Matrix(scratch, 0, 2 * lanes, 1)
    sums = Matrix(scratch, n_blocks(min(n, filters), 2 * lanes) * panel_stride, ldg, 1)
    for group in range(piece.first_row // n, n_blocks(piece.last_row, n)):
        o, last_o = max(piece.first_row, group * n), min(piece.last_row, (group + 1) * n)
        zeros = vector(scratch, sums.offset, columns * ldg)
        for i in range(zeros.size):
            zeros[i] = 0
        for block in range(n_blocks(job.m, size)):
            for start in range(0, height, at_once):
                end = min(height, start + at_once)
                dz = offset_of(job.plan, l, DZ_OFFSET, block) + (start * width * shape.channels + o) * size
                pixels = (end - start) * width
                _transpose(job, T, panel_stride, dz, last_o - o, pixels, shape.channels, count_of(job, block))
                chunk = Chunk(start, end, o, last_o - o, first_tap, last_tap)
                _add_chunk(1, job, l, shape, block, chunk, alpha, sums, T, panel_stride)
        for i in range(last_o - o):
            target = vector(changed, job.plan.layers[l, W_OFFSET] + (o + i) * stride + piece.first_column, columns)
            for j in range(columns):
                target[j] += alpha * scratch[sums.offset + j * ldg + i]


@routine(component=CONV)
def weight_gradient(job, scratch, alpha, changed, task):
    """changed[...] += alpha * the derivatives of some rows of W, for some rows of the window, and the first's of b."""
    piece = piece_of(task)
    l = piece.layer
    shape = _shape_of(job.plan, l)
    is_whole = piece.last_column - piece.first_column == shape.y_axis.window * shape.row
    if piece.first_column == 0:
        pixels = shape.y_axis.out_extent * shape.x_axis.out_extent
        _add_bias(job, alpha, changed, l, piece.first_row, piece.last_row, pixels)
    # Few numbers of W a row make low tiles, which have to pay for the transposition, in each task anew.
    if job.plan.layers[l, WINOGRAD_TILES] and is_whole:
        winograd_gradient.weight_gradient(job, scratch, alpha, changed, task)
    elif shape.n >= VECTOR_BYTES // scratch.itemsize and (shape.row >= _LONG_ROW or is_whole):
        _products(job, scratch, l, shape, piece, alpha, changed)
    else:
        _dots(job, l, shape, piece, alpha, changed)
