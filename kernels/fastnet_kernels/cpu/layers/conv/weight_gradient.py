"""The weight gradient of a convolution, dW[o, tap, i] = the sum over samples and pixels of dZ[p, o] A_prev[q, i].

For a tap q is a fixed way from p, so that dW is dot products of rows that lie side by side, over all pixels for which
the tap is not beyond the edge. No operand is transposed or copied.
"""

from ....codes import (
    A_OFFSET,
    B_OFFSET,
    CONV,
    DZ_OFFSET,
    GROUPS,
    LDW,
    N_IN,
    N_OUT,
    W_OFFSET,
)
from ...codegen.arrays import vector
from ...codegen.compiling import inner, routine
from ...codegen.matrix import Matrix, moved
from ...codegen.processor import TARGET
from ...gemm.conv_micro_kernels import conv_dot_micro_kernel
from ...gemm.dot_and_gemv import largest_of
from ...partition import n_blocks
from ...step.workspace import count_of, offset_of, piece_of, units_of
from .taps import axes_of, pixels_of_all_taps, pixels_of_tap

_DOT_MR, _DOT_NR = TARGET.dot_mr, TARGET.dot_nr
_CHUNK_BYTES = TARGET.conv_chunk_bytes


@inner
def _add_tiles(m, n, count, rows, columns, dz_strides, a_strides, alpha, dW, dZ, A):
    """dW (m, n) += alpha * the sums over some pixels, `rows` and `columns` of them, of `count` samples each."""
    j = 0
    while j < n:
        nr = largest_of(_DOT_NR, n - j)
        i = 0
        while i < m:
            mr = largest_of(_DOT_MR, m - i)
            conv_dot_micro_kernel(
                mr, nr, count, columns, dz_strides[1], a_strides[1], rows, dz_strides[0], a_strides[0], alpha,
                moved(dW, i * dW.row_stride + j), moved(dZ, i * dZ.row_stride), moved(A, j * A.row_stride),
            )  # fmt: skip
            i += mr
        j += nr


@inner
def _add_bias(job, alpha, changed, l, first_row, last_row, pixels):
    """db[rows] += alpha * the sum of dZ over all samples and pixels."""
    plan = job.plan
    size, n = plan.block_rows, plan.layers[l, N_OUT]
    channels = n // pixels
    for o in range(first_row, last_row):
        total = alpha * 0
        for block in range(n_blocks(job.m, size)):
            count, dz = count_of(job, block), offset_of(plan, l, DZ_OFFSET, block) + o * size
            for pixel in range(pixels):
                numbers = vector(job.workspace, dz + pixel * channels * size, count)
                for i in range(count):
                    total += numbers[i]
        changed[plan.layers[l, B_OFFSET] + o] += alpha * total


@routine(component=CONV)
def weight_gradient(job, alpha, changed, task):
    """changed[...] += alpha * the derivatives of some rows of W, for some rows of the window, and the first's of b."""
    plan, piece = job.plan, piece_of(task)
    l, size = piece.layer, plan.block_rows
    y_axis, x_axis = axes_of(plan.layers[l])
    pixels, groups, stride = y_axis.out_extent * x_axis.out_extent, plan.layers[l, GROUPS], plan.layers[l, LDW]
    channels_in, channels = plan.layers[l, N_IN] // (y_axis.extent * x_axis.extent), plan.layers[l, N_OUT] // pixels
    k, n = channels_in // groups, channels // groups
    row = x_axis.window * k  # numbers of W for a row of the window
    if piece.first_column == 0:
        _add_bias(job, alpha, changed, l, piece.first_row, piece.last_row, pixels)
    # Rows of pixels at a time: so much of dZ and A stays in cache for all taps.
    numbers = x_axis.out_extent * ((piece.last_row - piece.first_row) + x_axis.stride * y_axis.stride * channels_in)
    at_once = max(1, _CHUNK_BYTES // (numbers * size * job.workspace.itemsize))
    dz_strides = x_axis.out_extent * channels * size, channels * size
    a_strides = y_axis.stride * x_axis.extent * channels_in * size, x_axis.stride * channels_in * size
    inner_first, inner_last = pixels_of_all_taps(x_axis)
    is_run = groups == 1 and x_axis.dilation == 1 and inner_last > inner_first
    for block in range(n_blocks(job.m, size)):
        count = count_of(job, block)
        dZ_rows, A_rows = units_of(job, l, DZ_OFFSET, block), units_of(job, l - 1, A_OFFSET, block)
        for start in range(0, y_axis.out_extent, at_once):
            for tap_y in range(piece.first_column // row, piece.last_column // row):
                first_y, last_y = pixels_of_tap(y_axis, tap_y)
                first_y, last_y = max(first_y, start), min(last_y, start + at_once)
                if last_y <= first_y:
                    continue
                source_y = first_y * y_axis.stride - y_axis.pad + tap_y * y_axis.dilation
                for group in range(piece.first_row // n, n_blocks(piece.last_row, n)):
                    o, last_o = max(piece.first_row, group * n), min(piece.last_row, (group + 1) * n)
                    dW = Matrix(changed, plan.layers[l, W_OFFSET] + o * stride + tap_y * row, stride, 1)
                    # All taps of a row at once for the pixels that they all meet, and each for what it meets besides.
                    for tap_x in range(-1 if is_run else 0, x_axis.window):
                        first_x, last_x = pixels_of_tap(x_axis, max(0, tap_x))
                        if tap_x < 0:
                            first_x, last_x = inner_first, inner_last
                        for side in range(2):
                            x, last = first_x, last_x
                            if tap_x >= 0 and is_run:
                                x, last = (inner_last, last_x) if side else (first_x, min(inner_first, last_x))
                            elif side:
                                continue
                            if last <= x:
                                continue
                            at = max(0, tap_x)
                            source_x = x * x_axis.stride - x_axis.pad + at * x_axis.dilation
                            dZ = moved(dZ_rows, ((first_y * x_axis.out_extent + x) * channels + o) * size)
                            place = (source_y * x_axis.extent + source_x) * channels_in + group * k
                            _add_tiles(
                                last_o - o, row if tap_x < 0 else k, count, last_y - first_y, last - x, dz_strides,
                                a_strides, alpha, moved(dW, at * k), dZ, moved(A_rows, place * size),
                            )  # fmt: skip
