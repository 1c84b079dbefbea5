"""C += alpha A B for panels of 32 columns by AMX: faster than by vectors, and as exact.

B is packed as bf16x3, some panels of a limited depth at a time, which stay in the second-level cache; 32 rows of A at a
time are packed in the first-level cache, and used for all panels. The buffer `packed` begins with A's bf16x3, and B's
panels follow.
"""

from ...codes import AMX
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Rescale, moved, panel_of, panels_from, unscaled
from ..codegen.processor import TARGET
from ..partition import n_blocks
from .amx import TILE_NUMBERS, TILE_ROWS, close_tiles, multiply_tiles, open_tiles
from .bf16x3 import bf16x3_columns, bf16x3_pairs

_PANELS = TARGET.amx_panels
_DEPTH = TARGET.amx_depth
_PANEL_SIZE = TARGET.bf16x3_panel_size

STEP = 2 * TILE_ROWS  # rows, columns and depth of what is multiplied at a time
_BF16X3_WORDS = 6 * TILE_NUMBERS  # words of such a square's bf16x3


@inner
def panel_offset(p):
    """Where the bf16x3 of B's panel p begins: behind that of A."""
    return (1 + p) * _PANEL_SIZE


@inner
def tile_of(t, k, i):
    """Where, of a bf16x3 that begins at t, the step with k and in it the tile with row or column i begin."""
    return t + k // STEP * _BF16X3_WORDS + i // TILE_ROWS * TILE_NUMBERS


@inner
def _pack_panel(packed, t, B, b, depth):
    """The bf16x3 of a panel, `depth` rows of 32 numbers of B from b on."""
    as_it_is, half = unscaled(packed), TILE_ROWS * STEP
    for k in range(0, depth, STEP):
        left = depth - k
        for row in range(TILE_ROWS):
            for column in range(0, STEP, TILE_ROWS):
                target = tile_of(t, k, column) + row * TILE_ROWS
                first = b + (k + row) * STEP + column
                if left >= STEP:
                    bf16x3_pairs(packed, target, B, first, first + half, None, None, as_it_is)
                else:
                    of_first, of_second = (row < left) * TILE_ROWS, (row + TILE_ROWS < left) * TILE_ROWS
                    bf16x3_pairs(packed, target, B, first, first + half, of_first, of_second, as_it_is)


@inner
def _pack_rows(packed, alpha, A, rows, depth):
    """The bf16x3 of alpha A, at the beginning of `packed`: up to 32 rows, contiguous ones."""
    rescale, left = Rescale(alpha, packed.dtype.type(0)), depth % STEP
    for row in range(rows):
        source, offset = A.offset + row * A.row_stride, row % TILE_ROWS * TILE_ROWS
        for k in range(0, depth - left, STEP):
            first, target = source + k, tile_of(0, k, row) + offset
            bf16x3_pairs(packed, target, A.data, first, first + TILE_ROWS, None, None, rescale)
        if left:
            first, target = source + depth - left, tile_of(0, depth, row) + offset
            of_first = min(left, TILE_ROWS)
            bf16x3_pairs(packed, target, A.data, first, first + TILE_ROWS, of_first, left - of_first, rescale)


@inner
def _pack_columns(packed, A, rows, depth):
    """The bf16x3 of A, at the beginning of `packed`: up to 32 rows; the numbers of a step of k are contiguous."""
    for row in range(0, rows, TILE_ROWS):
        for k in range(0, depth, STEP):
            height, deep = min(TILE_ROWS, rows - row), min(STEP, depth - k)
            bf16x3_columns(
                packed, tile_of(0, k, row), A.data, A.offset + row + k * A.column_stride, A.column_stride, height, deep
            )


@inner
def _multiply(m, n, C, packed, b, steps):
    """C[i, j] += A B, for i < m and j < n, 1 to 32 of both; B's bf16x3 begins at b, A's at 0."""
    if m > TILE_ROWS:
        if n > TILE_ROWS:
            multiply_tiles(2, 2, C, packed, 0, b, steps)
        else:
            multiply_tiles(2, 1, C, packed, 0, b, steps)
    elif n > TILE_ROWS:
        multiply_tiles(1, 2, C, packed, 0, b, steps)
    else:
        multiply_tiles(1, 1, C, packed, 0, b, steps)


@inner
def depth_at_once(depth):
    """`depth` in equal pieces of whole steps, of _DEPTH at the most."""
    steps = n_blocks(depth, STEP)
    return n_blocks(steps, n_blocks(depth, _DEPTH)) * STEP


@routine(component=AMX)
def gemm_bf16x3(m, n, k, alpha, C, A, packed):
    """C[i, j] += alpha sum_p A[i, p] B[p, j], for i < m, j < n, p < k.

    C and B are in panels of 32 columns, at most `amx_panels` of the target: C is `Panels`, and B's are in `packed`
    already, behind the place for A's. A is a `Matrix` whose rows are contiguous, or its columns; then alpha is 1.
    """
    whole, rest, steps = n // STEP, n % STEP, n_blocks(k, STEP)
    for row in range(0, m, STEP):
        height, offset = min(STEP, m - row), row * C.row_stride
        if row == 0 or height < STEP or rest > 0:
            open_tiles(C.data, height, STEP)
        if A.column_stride == 1:
            _pack_rows(packed, alpha, moved(A, row * A.row_stride), height, k)
        else:
            _pack_columns(packed, moved(A, row), height, k)
        for p in range(whole):
            _multiply(height, STEP, moved(panel_of(C, p), offset), packed, panel_offset(p), steps)
        if rest > 0:
            open_tiles(C.data, height, rest)
            _multiply(height, rest, moved(panel_of(C, whole), offset), packed, panel_offset(whole), steps)
    close_tiles(C.data)


@routine(component=AMX)
def gemm_amx(m, n, k, alpha, C, A, B, packed):
    """C[i, j] += alpha sum_p A[i, p] B[p, j], for i < m, j < n, p < k.

    C and B are `Panels` of 32 columns. A is a `Matrix` whose rows are contiguous, or its columns; then alpha is 1.
    `packed` is for use.
    """
    at_once = depth_at_once(k)
    for first in range(0, n, _PANELS * STEP):
        some, p = min(_PANELS * STEP, n - first), first // STEP
        for k0 in range(0, k, at_once):
            deep = min(at_once, k - k0)
            for i in range(n_blocks(some, STEP)):
                _pack_panel(packed, panel_offset(i), B.data, B.offset + (p + i) * B.panel_stride + k0 * STEP, deep)
            gemm_bf16x3(m, some, deep, alpha, panels_from(C, p), moved(A, k0 * A.column_stride), packed)
