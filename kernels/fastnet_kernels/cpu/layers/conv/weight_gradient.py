"""The weight gradient of a convolution, dW[o, tap, i] = the sum over samples and pixels of dZ[p, o] A_prev[q, i].

For a tap q is a fixed way from p. With as many filters as a vector has lanes, dZ of some rows of pixels is transposed,
a sample a row, and the sum is a product like that of the other directions; with fewer it is dot products of dZ's and
A's own rows, which lie side by side. Either way A is read where it lies.
"""

from typing import NamedTuple

from ....codes import A_OFFSET, B_OFFSET, CONV, DZ_OFFSET, GROUPS, LDW, N_IN, N_OUT, W_OFFSET, WINOGRAD_TILES
from ...codegen.arrays import ON_STACK, numbers_on_stack, vector
from ...codegen.compiling import inner, routine
from ...codegen.elements import clear
from ...codegen.matrix import Matrix, Rows, moved, unscaled
from ...codegen.processor import TARGET, VECTOR_BYTES
from ...gemm.conv_micro_kernels import MR, conv_micro_kernel
from ...gemm.load_convert import transpose
from ...gemm.macro_kernel import even_height
from ...partition import n_blocks
from ...step.workspace import below, count_of, offset_of, piece_of, units_of
from . import winograd_gradient
from .dots import Pixels, Span, sum_dots
from .taps import Axis, Side, axes_of, count_parts, has_inner_pixels, part_of, pixels_of_tap

_DOT_MR = TARGET.dot_mr
_CHUNK_BYTES, _DOT_BYTES, _LONG_ROW = TARGET.conv_chunk_bytes, TARGET.conv_dot_bytes, TARGET.conv_long_row


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


class Shape(NamedTuple):
    """A convolution, for its weight gradient."""

    y_axis: Axis
    x_axis: Axis
    channels_in: int
    channels: int
    k: int  # channels of a group before it, and
    n: int  # behind it
    row: int  # numbers of W for a row of the window
    takes_all: int  # whether all taps of a row can be taken together, which lie without a gap then


@inner
def _shape_of(plan, l):
    y_axis, x_axis = axes_of(plan.layers[l])
    channels_in = plan.layers[l, N_IN] // (y_axis.extent * x_axis.extent)
    channels = plan.layers[l, N_OUT] // (y_axis.out_extent * x_axis.out_extent)
    groups = plan.layers[l, GROUPS]
    takes_all, k = groups == 1 and x_axis.dilation == 1 and has_inner_pixels(x_axis), channels_in // groups
    return Shape(y_axis, x_axis, channels_in, channels, k, channels // groups, x_axis.window * k, takes_all)


class Chunk(NamedTuple):
    """What is summed at a time: some rows of pixels of the output, and some filters, for some rows of the window."""

    first_row: int
    last_row: int
    first_filter: int
    filters: int
    first_tap: int
    last_tap: int


@inner
def _add_chunk(job, l, shape, block, chunk, sums, T, panel_stride):
    """`sums`, with a filter a column, += those of a chunk of a block; T is dZ of the chunk, transposed."""
    y_axis, x_axis, size = shape.y_axis, shape.x_axis, job.plan.block_rows
    A, width, group = units_of(job, below(job, l), A_OFFSET, block), x_axis.out_extent, chunk.first_filter // shape.n
    across, pixel = T.row_stride * size, shape.channels_in * size  # from pixel to pixel of T, and of A
    down = y_axis.stride * x_axis.extent * pixel
    for tap_y in range(chunk.first_tap, chunk.last_tap):
        first_y, last_y = pixels_of_tap(y_axis, tap_y)
        first_y, last_y = max(first_y, chunk.first_row), min(last_y, chunk.last_row)
        source_y = first_y * y_axis.stride - y_axis.pad + tap_y * y_axis.dilation
        for index in range(count_parts(x_axis, shape.takes_all)):
            part = part_of(x_axis, shape.takes_all, index)
            if last_y <= first_y or part.last <= part.first:
                continue
            source_x = part.first * x_axis.stride - x_axis.pad + part.tap * x_axis.dilation
            pixels = Pixels(
                last_y - first_y, part.last - part.first, width * across, across, down, x_axis.stride * pixel
            )
            column = (tap_y - chunk.first_tap) * shape.row + part.tap * shape.k
            _add_product(
                chunk.filters, part.taps * shape.k, count_of(job, block), pixels, panel_stride,
                moved(sums, column * sums.row_stride),
                moved(A, (source_y * x_axis.extent + source_x) * pixel + group * shape.k * size),
                moved(T, ((first_y - chunk.first_row) * width + part.first) * across),
            )  # fmt: skip


@inner
def _dots(job, l, shape, piece, alpha, changed):
    """dW of some filters and rows of the window, in dot products: a few filters at a time, which stay in cache."""
    size, y_axis, x_axis = job.plan.block_rows, shape.y_axis, shape.x_axis
    few = shape.channels if shape.k == 1 and shape.n == 1 else _DOT_MR[0]  # a depthwise one's A is as much as its dZ
    numbers = x_axis.out_extent * (few + x_axis.stride * y_axis.stride * shape.channels_in)
    at_once = max(1, _DOT_BYTES // (numbers * size * changed.itemsize))
    dW = Matrix(changed, job.plan.layers[l, W_OFFSET], job.plan.layers[l, LDW], 1)
    first_tap, last_tap = piece.first_column // shape.row, piece.last_column // shape.row
    for block in range(n_blocks(job.m, size)):
        dZ = Side(units_of(job, l, DZ_OFFSET, block), y_axis.out_extent, x_axis.out_extent, shape.channels)
        A = Side(units_of(job, below(job, l), A_OFFSET, block), y_axis.extent, x_axis.extent, shape.channels_in)
        for start in range(0, y_axis.out_extent, at_once):
            end = min(y_axis.out_extent, start + at_once)
            for o in range(piece.first_row, piece.last_row, few):
                span = Span(o, min(piece.last_row, o + few), first_tap, last_tap)
                groups = job.plan.layers[l, GROUPS]
                sum_dots(y_axis, x_axis, groups, span, start, end, count_of(job, block), alpha, dW, dZ, A)


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
        clear(vector(scratch, sums.offset, columns * ldg))
        for block in range(n_blocks(job.m, size)):
            for start in range(0, height, at_once):
                end = min(height, start + at_once)
                dz = offset_of(job.plan, l, DZ_OFFSET, block) + (start * width * shape.channels + o) * size
                pixels = (end - start) * width
                _transpose(job, T, panel_stride, dz, last_o - o, pixels, shape.channels, count_of(job, block))
                chunk = Chunk(start, end, o, last_o - o, first_tap, last_tap)
                _add_chunk(job, l, shape, block, chunk, sums, T, panel_stride)
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
