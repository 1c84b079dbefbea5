"""C += alpha A B for panels of 32 columns by AMX: faster than by vectors, and as exact.

B is given as bf16x3 terms of some panels and a limited depth, which stay in the second-level cache; the terms of 32
rows of A are made in the first-level cache, and used for all panels. A buffer of terms begins with those of A, and B's
panels follow.
"""

from ...codes import AMX
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Rescale, moved, unscaled
from ..codegen.processor import TARGET
from ..partition import n_blocks
from .amx import TILE_NUMBERS, TILE_ROWS, close_tiles, multiply_tiles, open_tiles
from .bf16x3 import bf16x3_columns, bf16x3_pairs

_PANELS = TARGET.amx_panels
_DEPTH = TARGET.amx_depth
_PANEL = TARGET.bf16x3_panel

STEP = 2 * TILE_ROWS  # rows, columns and depth of what is multiplied at a time
_BF16X3_WORDS = 6 * TILE_NUMBERS  # words of the terms of such a square


@inner
def bf16x3_panel(t, p):
    """Where B's terms of panel p begin: behind those of A, which begin at t."""
    return t + (1 + p) * _PANEL


@inner
def tile_of(t, k, i):
    """Where, of terms that begin at t, those of the step with k and of the tile with row or column i begin."""
    return t + k // STEP * _BF16X3_WORDS + i // TILE_ROWS * TILE_NUMBERS


@inner
def _bf16x3_panel(terms, t, B, b, depth):
    """Terms of a panel, `depth` rows of 32 numbers of B from b on."""
    as_it_is, half = unscaled(terms), TILE_ROWS * STEP
    for k in range(0, depth, STEP):
        left = depth - k
        for row in range(TILE_ROWS):
            for column in range(0, STEP, TILE_ROWS):
                target = tile_of(t, k, column) + row * TILE_ROWS
                first = b + (k + row) * STEP + column
                if left >= STEP:
                    bf16x3_pairs(terms, target, B, first, first + half, None, None, as_it_is)
                else:
                    of_first, of_second = (row < left) * TILE_ROWS, (row + TILE_ROWS < left) * TILE_ROWS
                    bf16x3_pairs(terms, target, B, first, first + half, of_first, of_second, as_it_is)


@inner
def _bf16x3_rows(terms, alpha, A, rows, depth):
    """Terms of alpha A, from the beginning of `terms` on: up to 32 rows, contiguous ones."""
    rescale, left = Rescale(alpha, terms.dtype.type(0)), depth % STEP
    for row in range(rows):
        source, offset = A.offset + row * A.row, row % TILE_ROWS * TILE_ROWS
        for k in range(0, depth - left, STEP):
            first, target = source + k, tile_of(0, k, row) + offset
            bf16x3_pairs(terms, target, A.data, first, first + TILE_ROWS, None, None, rescale)
        if left:
            first, target = source + depth - left, tile_of(0, depth, row) + offset
            of_first = min(left, TILE_ROWS)
            bf16x3_pairs(terms, target, A.data, first, first + TILE_ROWS, of_first, left - of_first, rescale)


@inner
def _bf16x3_columns(terms, A, rows, depth):
    """Terms of A, from the beginning of `terms` on: up to 32 rows; the numbers of a step of k are contiguous."""
    for row in range(0, rows, TILE_ROWS):
        for k in range(0, depth, STEP):
            height, deep = min(TILE_ROWS, rows - row), min(STEP, depth - k)
            bf16x3_columns(terms, tile_of(0, k, row), A.data, A.offset + row + k * A.column, A.column, height, deep)


@inner
def _multiply(rows, columns, C, terms, b, steps):
    """C[r, v] += A B, for r < rows and v < columns, 1 to 32 of both; B's terms begin at b, A's at 0."""
    if rows > TILE_ROWS:
        if columns > TILE_ROWS:
            multiply_tiles(2, 2, C, terms, 0, b, steps)
        else:
            multiply_tiles(2, 1, C, terms, 0, b, steps)
    elif columns > TILE_ROWS:
        multiply_tiles(1, 2, C, terms, 0, b, steps)
    else:
        multiply_tiles(1, 1, C, terms, 0, b, steps)


@inner
def depth_at_once(depth):
    """`depth` in equal pieces of whole steps, of _DEPTH at the most."""
    steps = n_blocks(depth, STEP)
    return n_blocks(steps, n_blocks(depth, _DEPTH)) * STEP


@routine(component=AMX)
def gemm_bf16x3(rows, columns, alpha, C, A, depth, terms):
    """C_p[r, v] += alpha sum_k A[r, k] B_p[k, v], for r < rows, k < depth, and 32 p + v < columns with v < 32.

    C and B are panels of 32 columns, at most `amx_panels` of the target: C is a `Matrix` of contiguous rows whose
    `column` is from panel to panel, and B's terms are there, behind the place for A's in `terms`. A is a `Matrix` whose
    rows are contiguous, or its columns; then alpha is 1.
    """
    whole, rest, steps = columns // STEP, columns % STEP, n_blocks(depth, STEP)
    for row in range(0, rows, STEP):
        height, offset = min(STEP, rows - row), row * C.row
        if row == 0 or height < STEP or rest > 0:
            open_tiles(C.data, height, STEP)
        if A.column == 1:
            _bf16x3_rows(terms, alpha, moved(A, row * A.row), height, depth)
        else:
            _bf16x3_columns(terms, moved(A, row), height, depth)
        for p in range(whole):
            _multiply(height, STEP, moved(C, offset + p * C.column), terms, bf16x3_panel(0, p), steps)
        if rest > 0:
            open_tiles(C.data, height, rest)
            _multiply(height, rest, moved(C, offset + whole * C.column), terms, bf16x3_panel(0, whole), steps)
    close_tiles(C.data)


@routine(component=AMX)
def gemm_amx(rows, columns, alpha, C, A, B, depth, terms):
    """C_p[r, v] += alpha sum_k A[r, k] B_p[k, v], for r < rows, k < depth, and 32 p + v < columns with v < 32.

    C, A and B are `Matrix`es: C and B of contiguous rows, `column` from panel to panel of 32 columns; of A the rows are
    contiguous, or the columns, and then alpha is 1. `terms` is for use.
    """
    at_once = depth_at_once(depth)
    for first in range(0, columns, _PANELS * STEP):
        some, p = min(_PANELS * STEP, columns - first), first // STEP
        for k in range(0, depth, at_once):
            deep = min(at_once, depth - k)
            for i in range(n_blocks(some, STEP)):
                _bf16x3_panel(terms, bf16x3_panel(0, i), B.data, B.offset + (p + i) * B.column + k * STEP, deep)
            gemm_bf16x3(rows, some, alpha, moved(C, p * C.column), moved(A, k * A.column), deep, terms)
