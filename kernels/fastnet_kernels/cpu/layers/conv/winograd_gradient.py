"""The weight gradient of `winograd`: for each of 16 terms a product over tiles and samples, then G^T (...) G of them.

dZ of two rows of pixels is transposed, a sample a row, filters side by side, and spread to terms, as A is; A's terms
are those of the forward pass, made again, since all of them together fit no cache.
"""

from ....codes import A_OFFSET, DZ_OFFSET, LDW, N_IN, N_OUT, W_OFFSET, WINOGRAD, WINOGRAD_TILES
from ...codegen.arrays import vector
from ...codegen.compiling import inner, routine
from ...codegen.elements import clear
from ...codegen.loops import map_to_many
from ...codegen.matrix import Matrix, Rows, moved, unscaled
from ...codegen.processor import LINE_BYTES, VECTOR_BYTES
from ...gemm.conv_micro_kernels import MR, conv_micro_kernel
from ...gemm.load_convert import transpose
from ...gemm.macro_kernel import even_height
from ...gemm.winograd_transforms import TERMS, TILE, winograd_gradient
from ...partition import n_blocks
from ...step.workspace import below, count_of, offset_of, piece_of, units_of
from .taps import Side, axes_of
from .winograd import spread


@inner
def _tap_sums(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p):
    """G^T t G of the terms t = [a b c d; e f g h; i j k l; m n o p], 3 x 3 taps row by row."""
    half = type(a)(0.5)
    # The rows of G^T t.
    q, r, s, t = a + half * (e + i), b + half * (f + j), c + half * (g + k), d + half * (h + l)
    u, v, w, x = half * (e - i), half * (f - j), half * (g - k), half * (h - l)
    y, z, aa, bb = half * (e + i) + m, half * (f + j) + n, half * (g + k) + o, half * (h + l) + p
    return (
        q + half * (r + s), half * (r - s), half * (r + s) + t,
        u + half * (v + w), half * (v - w), half * (v + w) + x,
        y + half * (z + aa), half * (z - aa), half * (z + aa) + bb,
    )  # fmt: skip


@inner
def _transpose_row(job, T, panel_stride, dz, filters, channels, width):
    """A row of pixels of dZ, a vector of samples: as panels of two vectors of filters, a row a sample of a pixel."""
    size, lanes = job.plan.block_rows, T.row_stride // 2
    for j in range(0, filters, lanes):
        panel = T.offset + j // (2 * lanes) * panel_stride + j % (2 * lanes)
        for x in range(width):
            units = Rows(job.workspace, dz + (x * channels + j) * size, size, job.plan.iota)
            target = Matrix(T.data, panel + x * lanes * 2 * lanes, 2 * lanes, 1)
            transpose(target, units, 0, None, unscaled(T.data))


@inner
def _transpose_two_rows(job, T, panel_stride, dz, filters, channels, width, across, rows):
    """Two rows of pixels, `across` pairs each; those beyond the edge are zeros."""
    lanes, panels = T.row_stride // 2, n_blocks(filters, T.row_stride)
    pixel = lanes * 2 * lanes
    for row in range(TILE):
        target = moved(T, row * across * TILE * pixel)
        if row < rows:
            source = dz + row * width * channels * job.plan.block_rows
            _transpose_row(job, target, panel_stride, source, filters, channels, width)
        first = width if row < rows else 0
        for panel in range(panels):
            offset = target.offset + panel * panel_stride + first * pixel
            clear(vector(T.data, offset, (across * TILE - first) * pixel))


@inner
def _add_taps(changed, w, ldw, alpha, k, filters, sums, term, ldg, taps):
    """changed[o, tap, i] += alpha * the taps of the sums (k, ldg) of 16 terms, `term` apart."""
    s, d, t = sums.data, taps.data, taps.offset
    for i in range(k):
        g = sums.offset + i * ldg
        map_to_many(
            _tap_sums,
            (
                vector(d, t, ldg), vector(d, t + ldg, ldg), vector(d, t + 2 * ldg, ldg), vector(d, t + 3 * ldg, ldg),
                vector(d, t + 4 * ldg, ldg), vector(d, t + 5 * ldg, ldg), vector(d, t + 6 * ldg, ldg),
                vector(d, t + 7 * ldg, ldg), vector(d, t + 8 * ldg, ldg),
            ),
            (
                vector(s, g, ldg), vector(s, g + term, ldg), vector(s, g + 2 * term, ldg), vector(s, g + 3 * term, ldg),
                vector(s, g + 4 * term, ldg), vector(s, g + 5 * term, ldg), vector(s, g + 6 * term, ldg),
                vector(s, g + 7 * term, ldg), vector(s, g + 8 * term, ldg), vector(s, g + 9 * term, ldg),
                vector(s, g + 10 * term, ldg), vector(s, g + 11 * term, ldg), vector(s, g + 12 * term, ldg),
                vector(s, g + 13 * term, ldg), vector(s, g + 14 * term, ldg), vector(s, g + 15 * term, ldg),
            ),
            (),
        )  # fmt: skip
        for o in range(filters):
            for tap in range(9):
                changed[w + o * ldw + tap * k + i] += alpha * d[t + tap * ldg + o]


@routine(component=WINOGRAD)
def weight_gradient(job, scratch, alpha, changed, task):
    """changed[...] += alpha * the derivatives of some filters of W."""
    plan, piece = job.plan, piece_of(task)
    l, size, together = piece.layer, plan.block_rows, plan.layers[piece.layer, WINOGRAD_TILES]
    y_axis, x_axis = axes_of(plan.layers[l])
    height, width, lanes = y_axis.out_extent, x_axis.out_extent, VECTOR_BYTES // scratch.itemsize
    k, n = plan.layers[l, N_IN] // (y_axis.extent * x_axis.extent), plan.layers[l, N_OUT] // (height * width)
    filters, across, line = piece.last_row - piece.first_row, n_blocks(width, TILE), LINE_BYTES // scratch.itemsize
    panels, ldg, pixel = n_blocks(filters, 2 * lanes), n_blocks(filters, lanes) * lanes, lanes * 2 * lanes
    panel_stride, v_step, d_step = (
        TILE * TILE * across * pixel,
        together * k * lanes + line,
        panels * together * pixel + line,
    )
    sums, term = Matrix(scratch, 0, ldg, 1), k * ldg + line
    V, D = (
        moved(Matrix(scratch, 0, lanes, 1), TERMS * term),
        moved(Matrix(scratch, 0, lanes, 1), TERMS * (term + v_step)),
    )
    T = Matrix(scratch, TERMS * (term + v_step + d_step), 2 * lanes, 1)
    patch = Matrix(scratch, T.offset + panels * panel_stride, lanes, 1)
    clear(vector(scratch, 0, TERMS * term))
    for block in range(n_blocks(job.m, size)):
        count, dz = count_of(job, block), offset_of(plan, l, DZ_OFFSET, block) + piece.first_row * size
        source = Side(units_of(job, below(job, l), A_OFFSET, block), y_axis.extent, x_axis.extent, k)
        for place in range(0, count, lanes):
            samples = min(lanes, count - place)
            for y in range(0, height, TILE):
                _transpose_two_rows(
                    job, T, panel_stride, dz + y * width * n * size + place, filters, n, width, across,
                    min(TILE, height - y),
                )  # fmt: skip
                for first in range(0, across, together):
                    tiles = min(together, across - first)
                    for t in range(tiles):
                        x = (first + t) * TILE
                        V_tile = moved(V, t * k * lanes)
                        spread(source, y - y_axis.pad, x - x_axis.pad, place, V_tile, v_step, patch, lanes)
                        for panel in range(panels):
                            pixels = Matrix(scratch, T.offset + panel * panel_stride + x * pixel, lanes, 1)
                            winograd_gradient(
                                2 * samples, moved(D, (panel * together + t) * pixel), d_step, pixels, pixel,
                                TILE * across * pixel,
                            )  # fmt: skip
                    for q in range(TERMS):
                        for panel in range(panels):
                            wide = 2 if filters - panel * 2 * lanes > lanes else 1
                            B = Matrix(scratch, D.offset + q * d_step + panel * together * pixel, 2 * lanes, 1)
                            i = 0
                            while i < k:
                                mr = even_height(k - i, MR)
                                conv_micro_kernel(
                                    mr, wide, samples, tiles, k * lanes, pixel, 1, 0, 0, lanes, lanes,
                                    moved(sums, q * term + i * ldg + panel * 2 * lanes), None,
                                    moved(V, q * v_step + i * lanes), B,
                                )  # fmt: skip
                                i += mr
    w, ldw = plan.layers[l, W_OFFSET] + piece.first_row * plan.layers[l, LDW], plan.layers[l, LDW]
    _add_taps(changed, w, ldw, alpha, k, filters, sums, term, ldg, V)
