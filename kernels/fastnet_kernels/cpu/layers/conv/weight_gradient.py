"""The weight gradient of a convolution, dW[o, tap, i] = the sum over samples and pixels of dZ[p, o] A_prev[q, i].

For a tap q is a fixed way from p. With as many filters as a vector has lanes, dZ of some rows of pixels is transposed,
a sample a row, and the sum is a product like that of the other directions; with fewer it is dot products of dZ's and
A's own rows, which lie side by side. Either way A is read where it lies.
"""

from ....codes import A_OFFSET, B_OFFSET, CONV, DZ_OFFSET, GROUPS, LDW, N_IN, N_OUT, W_OFFSET, WINOGRAD_TILES
from ...codegen.arrays import ON_STACK, numbers_on_stack, vector
from ...codegen.compiling import inner, routine
from ...codegen.matrix import Matrix, Rows, moved, unscaled
from ...codegen.processor import TARGET, VECTOR_BYTES
from ...gemm.conv_micro_kernels import MR, conv_micro_kernel
from ...gemm.load_convert import transpose
from ...gemm.macro_kernel import even_height
from ...partition import n_blocks
from ...step.workspace import below, count_of, offset_of, piece_of, units_of
from . import winograd_gradient
from .dots import Pixels, Span, sum_dots
from .taps import Side, axes_of, count_parts, has_inner_pixels, part_of, pixels_of_tap

_CHUNK_BYTES, _LONG_ROW = TARGET.conv_chunk_bytes, TARGET.conv_long_row


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


@routine(component=CONV)
def weight_gradient(job, scratch, alpha, changed, task):
    """changed[...] += alpha * the derivatives of some rows of W, for some rows of the window, and the first's of b."""
    plan, piece = job.plan, piece_of(task)
    l, size = piece.layer, plan.block_rows
    y_axis, x_axis = axes_of(plan.layers[l])
    height, width = y_axis.out_extent, x_axis.out_extent
    groups, stride, lanes = plan.layers[l, GROUPS], plan.layers[l, LDW], VECTOR_BYTES // scratch.itemsize
    channels_in, channels = (
        plan.layers[l, N_IN] // (y_axis.extent * x_axis.extent),
        plan.layers[l, N_OUT] // (height * width),
    )
    k, n = channels_in // groups, channels // groups
    row, filters = x_axis.window * k, piece.last_row - piece.first_row  # numbers of W for a row of the window
    first_tap, last_tap = piece.first_column // row, piece.last_column // row
    if first_tap == 0:
        _add_bias(job, alpha, changed, l, piece.first_row, piece.last_row, height * width)
    if plan.layers[l, WINOGRAD_TILES] and last_tap - first_tap == y_axis.window:
        winograd_gradient.weight_gradient(job, scratch, alpha, changed, task)
        return
    # Few numbers of W a row make low tiles, which have to pay for the transposition, in each task anew.
    is_product = n >= lanes and (row >= _LONG_ROW or last_tap - first_tap == y_axis.window)
    # Rows of pixels at a time: so much of dZ and A stays in cache for all taps.
    numbers = width * (filters + x_axis.stride * y_axis.stride * channels_in)
    at_once = min(height, max(1, _CHUNK_BYTES // (numbers * size * scratch.itemsize)))
    panel_stride, ldg = at_once * width * size * 2 * lanes, n_blocks(min(n, filters), lanes) * lanes
    panels = n_blocks(min(n, filters), 2 * lanes)
    T, sums = Matrix(scratch, 0, 2 * lanes, 1), panels * panel_stride
    columns = piece.last_column - piece.first_column
    across = size * 2 * lanes  # from pixel to pixel of dZ, as it is packed
    a_down, a_across = y_axis.stride * x_axis.extent * channels_in * size, x_axis.stride * channels_in * size
    if not is_product:
        span = Span(piece.first_row, piece.last_row, first_tap, last_tap)
        dW = Matrix(changed, plan.layers[l, W_OFFSET], stride, 1)
        for block in range(n_blocks(job.m, size)):
            dZ = Side(units_of(job, l, DZ_OFFSET, block), height, width, channels)
            A = Side(units_of(job, below(job, l), A_OFFSET, block), y_axis.extent, x_axis.extent, channels_in)
            for start in range(0, height, at_once):
                end = min(height, start + at_once)
                sum_dots(y_axis, x_axis, groups, span, start, end, count_of(job, block), alpha, dW, dZ, A)
        return
    takes_all = groups == 1 and x_axis.dilation == 1 and has_inner_pixels(x_axis)
    for group in range(piece.first_row // n, n_blocks(piece.last_row, n)):
        o, last_o = max(piece.first_row, group * n), min(piece.last_row, (group + 1) * n)
        w = plan.layers[l, W_OFFSET] + o * stride + piece.first_column
        zeros = vector(scratch, sums, columns * ldg)
        for i in range(zeros.size):
            zeros[i] = 0
        for block in range(n_blocks(job.m, size)):
            count = count_of(job, block)
            dZ_rows, A_rows = units_of(job, l, DZ_OFFSET, block), units_of(job, below(job, l), A_OFFSET, block)
            for start in range(0, height, at_once):
                end = min(height, start + at_once)
                dz = dZ_rows.offset + (start * width * channels + o) * size
                _transpose(job, T, panel_stride, dz, last_o - o, (end - start) * width, channels, count)
                for tap_y in range(first_tap, last_tap):
                    first_y, last_y = pixels_of_tap(y_axis, tap_y)
                    first_y, last_y = max(first_y, start), min(last_y, end)
                    source_y = first_y * y_axis.stride - y_axis.pad + tap_y * y_axis.dilation
                    for index in range(count_parts(x_axis, takes_all)):
                        part = part_of(x_axis, takes_all, index)
                        if last_y <= first_y or part.last <= part.first:
                            continue
                        source_x = part.first * x_axis.stride - x_axis.pad + part.tap * x_axis.dilation
                        A = moved(A_rows, ((source_y * x_axis.extent + source_x) * channels_in + group * k) * size)
                        column = (tap_y - first_tap) * row + part.tap * k
                        pixels = Pixels(
                            last_y - first_y, part.last - part.first, width * across, across, a_down, a_across
                        )
                        place = ((first_y - start) * width + part.first) * across
                        G = Matrix(scratch, sums + column * ldg, ldg, 1)
                        _add_product(last_o - o, part.taps * k, count, pixels, panel_stride, G, A, moved(T, place))
        for i in range(last_o - o):
            target = vector(changed, w + i * stride, columns)
            for j in range(columns):
                target[j] += alpha * scratch[sums + j * ldg + i]
