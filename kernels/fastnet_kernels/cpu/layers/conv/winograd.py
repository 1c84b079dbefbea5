"""Convolutions with windows of 3 x 3, stride 1, in 16 products in the place of 36 (`gemm/winograd_transforms`).

Tiles of 2 x 2 pixels, some at a time: their inputs are spread to 16 terms each, all terms of one kind are multiplied
with the filters' terms of that kind, which are made once a step, and the sums are put together to pixels. Going back
is the same with the taps the other way round, which is another order of the terms.
"""

from ....codes import LDW, N_IN, N_OUT, W_OFFSET, WINOGRAD, WINOGRAD_OFFSET
from ...codegen.arrays import vector
from ...codegen.compiling import inner, routine
from ...codegen.loops import map_to_many
from ...codegen.matrix import Matrix, moved
from ...codegen.processor import LINE_BYTES, VECTOR_BYTES
from ...gemm.conv_micro_kernels import MR, conv_micro_kernel
from ...gemm.macro_kernel import even_height
from ...gemm.winograd_transforms import REACH, TERMS, TILE, winograd_input, winograd_output
from ...partition import n_blocks
from .taps import axes_of


@inner
def _filter_terms(a, b, c, d, e, f, g, h, i):
    """G w G^T of the taps w = [a b c; d e f; g h i], row by row."""
    half = type(a)(0.5)
    # The rows of G w, of which the first and the last are w's own.
    p, q, r = half * (a + d + g), half * (b + e + h), half * (c + f + i)
    s, t, u = half * (a - d + g), half * (b - e + h), half * (c - f + i)
    return (
        a, half * (a + b + c), half * (a - b + c), c,
        p, half * (p + q + r), half * (p - q + r), r,
        s, half * (s + t + u), half * (s - t + u), u,
        g, half * (g + h + i), half * (g - h + i), i,
    )  # fmt: skip


@routine(component=WINOGRAD)
def spread_filters(n, k, W, w, ldw, U, u):
    """The 16 terms (n, k) of all filters, one after the other from u on; a filter (3, 3, k) is a row of W from w on."""
    size = n * k
    for o in range(n):
        p, t = w + o * ldw, u + o * k
        map_to_many(
            _filter_terms,
            (
                vector(U, t, k), vector(U, t + size, k), vector(U, t + 2 * size, k), vector(U, t + 3 * size, k),
                vector(U, t + 4 * size, k), vector(U, t + 5 * size, k), vector(U, t + 6 * size, k),
                vector(U, t + 7 * size, k), vector(U, t + 8 * size, k), vector(U, t + 9 * size, k),
                vector(U, t + 10 * size, k), vector(U, t + 11 * size, k), vector(U, t + 12 * size, k),
                vector(U, t + 13 * size, k), vector(U, t + 14 * size, k), vector(U, t + 15 * size, k),
            ),
            (
                vector(W, p, k), vector(W, p + k, k), vector(W, p + 2 * k, k), vector(W, p + 3 * k, k),
                vector(W, p + 4 * k, k), vector(W, p + 5 * k, k), vector(W, p + 6 * k, k), vector(W, p + 7 * k, k),
                vector(W, p + 8 * k, k),
            ),
            (),
        )  # fmt: skip


@routine(component=WINOGRAD)
def prepare(job, l):
    """Before the data phase: the terms of all filters of layer l."""
    row, (y, x) = job.plan.layers[l], axes_of(job.plan.layers[l])
    k, n = row[N_IN] // (y.extent * x.extent), row[N_OUT] // (y.out_extent * x.out_extent)
    spread_filters(n, k, job.parameters, row[W_OFFSET], row[LDW], job.workspace, row[WINOGRAD_OFFSET])


@inner
def filters_of(job, l, k, is_backward):
    """Term 0 of the filters (n, k) as one direction reads it, a `Matrix`; k are the channels before the layer."""
    offset = job.plan.layers[l, WINOGRAD_OFFSET]
    return Matrix(job.workspace, offset, 1 if is_backward else k, k if is_backward else 1)


@inner
def _copy(n, target, source, lanes):
    """Rows of one vector each."""
    for i in range(n):
        a, b = target.offset + i * target.row_stride, source.offset + i * source.row_stride
        for s in range(lanes):
            target.data[a + s] = source.data[b + s]


@inner
def _clear(n, target, lanes):
    for i in range(n):
        for s in range(lanes):
            target.data[target.offset + i * target.row_stride + s] = 0


@inner
def spread(source, top, left, place, V, step, patch, lanes):
    """V: the terms of 4 x 4 pixels from (top, left) on, of the samples from `place` on; beyond the edge are zeros."""
    k = source.channels
    pixel = k * source.rows.row_stride
    down = source.width * pixel
    if top >= 0 and left >= 0 and top + REACH <= source.height and left + REACH <= source.width:
        winograd_input(k, V, step, moved(source.rows, top * down + left * pixel + place), pixel, down)
        return
    for y in range(REACH):
        for x in range(REACH):
            target = moved(patch, (y * REACH + x) * k * lanes)
            if 0 <= top + y < source.height and 0 <= left + x < source.width:
                _copy(k, target, moved(source.rows, (top + y) * down + (left + x) * pixel + place), lanes)
            else:
                _clear(k, target, lanes)
    winograd_input(k, V, step, patch, k * lanes, REACH * k * lanes)


@inner
def _put_together(M, step, start, target, y, x, place, patch, lanes):
    """The 2 x 2 pixels of a tile from (y, x) on, those beyond the edge left out, of the samples from `place` on."""
    n = target.channels
    pixel = n * target.rows.row_stride
    down = target.width * pixel
    if y + TILE <= target.height and x + TILE <= target.width:
        winograd_output(n, moved(target.rows, y * down + x * pixel + place), pixel, down, M, step, start)
        return
    winograd_output(n, patch, n * lanes, TILE * n * lanes, M, step, start)
    for dy in range(min(TILE, target.height - y)):
        for dx in range(min(TILE, target.width - x)):
            found = moved(patch, (dy * TILE + dx) * n * lanes)
            _copy(n, moved(target.rows, (y + dy) * down + (x + dx) * pixel + place), found, lanes)


@routine(component=WINOGRAD)
def convolve(is_backward, pad_y, pad_x, together, filters, start, zero, source, target, vectors, scratch):
    """All of `target`, from `source`, as the function of that name in `convolve`; `zero` is a start of zeros."""
    lanes = VECTOR_BYTES // scratch.itemsize
    k, n, line = source.channels, target.channels, LINE_BYTES // scratch.itemsize
    across = n_blocks(target.width, TILE)
    tiles = across * n_blocks(target.height, TILE)
    # A line between terms, which else would compete for the same places in a cache.
    v_step, m_step = together * k * lanes + line, together * n * lanes + line
    V, M = Matrix(scratch, 0, lanes, 1), Matrix(scratch, TERMS * v_step, lanes, 1)
    patch = Matrix(scratch, TERMS * (v_step + m_step), lanes, 1)
    for place in range(0, vectors * lanes, lanes):
        for first in range(0, tiles, together):
            count = min(together, tiles - first)
            for t in range(count):
                y, x = (first + t) // across * TILE, (first + t) % across * TILE
                spread(source, y - pad_y, x - pad_x, place, moved(V, t * k * lanes), v_step, patch, lanes)
            for q in range(TERMS):
                # Taps the other way round: the first row and column of terms change places with the last.
                q_y, q_x = q // REACH, q % REACH
                if is_backward:
                    q_y, q_x = (3 - q_y if q_y % 3 == 0 else q_y), (3 - q_x if q_x % 3 == 0 else q_x)
                U = moved(filters, (q_y * REACH + q_x) * n * k)
                i = 0
                while i < n:
                    mr = even_height(n - i, MR)
                    for t in range(0, count, 2):
                        conv_micro_kernel(
                            mr, min(2, count - t), k, 1, 0, 0, 1, 0, 0, n * lanes, k * lanes,
                            moved(M, q * m_step + (t * n + i) * lanes), zero, moved(U, i * U.row_stride),
                            moved(V, q * v_step + t * k * lanes),
                        )  # fmt: skip
                    i += mr
            for t in range(count):
                y, x = (first + t) // across * TILE, (first + t) % across * TILE
                _put_together(moved(M, t * n * lanes), m_step, start, target, y, x, place, patch, lanes)
