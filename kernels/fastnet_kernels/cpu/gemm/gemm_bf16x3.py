"""The products of panels once more, by a matrix unit: faster than by vectors, and as exact.

B is given as terms (see `terms`) of some panels and a depth of at most _DEPTH, which stay in the second-level
cache; the terms of 32 rows of A are made in the first-level cache, and used for all panels.
"""

from ...codes import AMX
from ..codegen.compiling import inner, routine
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
    """Where B's terms of panel p begin, in room from t on: behind those of A."""
    return t + (1 + p) * _PANEL


@inner
def tile_of(t, k, i):
    """Where, of terms that begin at t, those of the step with k and of the tile with row or column i begin."""
    return t + k // STEP * _BF16X3_WORDS + i // TILE_ROWS * TILE_NUMBERS


@inner
def _bf16x3_panel(terms, t, B, b, depth):
    """Terms of a panel, `depth` rows of 32 numbers from b on."""
    one, zero, half = terms.dtype.type(1), terms.dtype.type(0), TILE_ROWS * STEP
    for k in range(0, depth, STEP):
        left = depth - k
        for row in range(TILE_ROWS):
            for column in range(0, STEP, TILE_ROWS):
                target = tile_of(t, k, column) + row * TILE_ROWS
                first = b + (k + row) * STEP + column
                if left >= STEP:
                    bf16x3_pairs(terms, target, B, first, first + half, None, None, one, zero)
                else:
                    of_first, of_second = row < left, row + TILE_ROWS < left
                    bf16x3_pairs(
                        terms, target, B, first, first + half, of_first * TILE_ROWS, of_second * TILE_ROWS, one, zero
                    )


@inner
def _bf16x3_rows(terms, t, alpha, A, a, a_row, rows, depth):
    """Terms of alpha A, up to 32 rows whose numbers lie side by side."""
    zero, left = terms.dtype.type(0), depth % STEP
    for row in range(rows):
        source, offset = a + row * a_row, row % TILE_ROWS * TILE_ROWS
        for k in range(0, depth - left, STEP):
            first, target = source + k, tile_of(t, k, row) + offset
            bf16x3_pairs(terms, target, A, first, first + TILE_ROWS, None, None, alpha, zero)
        if left:
            first, target = source + depth - left, tile_of(t, depth, row) + offset
            of_first = min(left, TILE_ROWS)
            bf16x3_pairs(terms, target, A, first, first + TILE_ROWS, of_first, left - of_first, alpha, zero)


@inner
def _bf16x3_columns(terms, t, A, a, a_k, rows, depth):
    """Terms of A, up to 32 rows; the numbers of a step of k lie side by side."""
    for row in range(0, rows, TILE_ROWS):
        for k in range(0, depth, STEP):
            bf16x3_columns(
                terms, tile_of(t, k, row), A, a + row + k * a_k, a_k, min(TILE_ROWS, rows - row), min(STEP, depth - k)
            )


@inner
def _multiply(rows, columns, C, c, c_row, terms, a, b, steps):
    """C[c + r c_row + v] += A B, for r < rows and v < columns: 1 to 32 of both."""
    if rows > TILE_ROWS:
        if columns > TILE_ROWS:
            multiply_tiles(2, 2, C, c, c_row, terms, a, b, steps)
        else:
            multiply_tiles(2, 1, C, c, c_row, terms, a, b, steps)
    elif columns > TILE_ROWS:
        multiply_tiles(1, 2, C, c, c_row, terms, a, b, steps)
    else:
        multiply_tiles(1, 1, C, c, c_row, terms, a, b, steps)


@inner
def depth_at_once(depth):
    """`depth` in equal pieces of whole steps, of _DEPTH at the most."""
    steps = n_blocks(depth, STEP)
    return n_blocks(steps, n_blocks(depth, _DEPTH)) * STEP


@routine(component=AMX)
def gemm_bf16x3(rows, columns, alpha, C, c, c_row, c_panel, A, a, a_row, a_k, depth, terms, t):
    """C[c + r c_row + p c_panel + v] += alpha sum_k A[a + r a_row + k a_k] B_p[k, v].

    For r < rows, k < depth, and 32 p + v < columns with v < 32: panels of 32 columns, at most _PANELS, whose terms
    are there. Either a_k or a_row is 1, and where a_row is, alpha is 1. There is room for A's terms from t on.
    """
    whole, rest, steps = columns // STEP, columns % STEP, n_blocks(depth, STEP)
    for row in range(0, rows, STEP):
        height, offset = min(STEP, rows - row), c + row * c_row
        if row == 0 or height < STEP or rest > 0:
            open_tiles(C, height, STEP)
        if a_k == 1:
            _bf16x3_rows(terms, t, alpha, A, a + row * a_row, a_row, height, depth)
        else:
            _bf16x3_columns(terms, t, A, a + row, a_k, height, depth)
        for p in range(whole):
            _multiply(height, STEP, C, offset + p * c_panel, c_row, terms, t, bf16x3_panel(t, p), steps)
        if rest > 0:
            open_tiles(C, height, rest)
            _multiply(height, rest, C, offset + whole * c_panel, c_row, terms, t, bf16x3_panel(t, whole), steps)
    close_tiles(C)


@routine(component=AMX)
def gemm_amx(rows, columns, alpha, C, c, c_row, c_panel, A, a, a_row, a_k, B, b, b_panel, depth, terms, t):
    """The same for any number of panels B_p[k, v] = B[b + p b_panel + 32 k + v], and any depth."""
    at_once = depth_at_once(depth)
    for first in range(0, columns, _PANELS * STEP):
        some, p = min(_PANELS * STEP, columns - first), first // STEP
        for k in range(0, depth, at_once):
            deep = min(at_once, depth - k)
            for i in range(n_blocks(some, STEP)):
                _bf16x3_panel(terms, bf16x3_panel(t, i), B, b + (p + i) * b_panel + k * STEP, deep)
            gemm_bf16x3(
                rows, some, alpha, C, c + p * c_panel, c_row, c_panel, A, a + k * a_k, a_row, a_k, deep, terms, t
            )
