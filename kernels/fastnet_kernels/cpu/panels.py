"""Panels and blocks: how the compiled program keeps matrices, and the one product that all its layers are made of.

A panel is a matrix two vectors wide, row after row without a gap. A block holds some samples, each a column: with as
many samples as a panel is wide, its A and dZ are panels.
"""

from ..codes import N_OUT
from .blocks import n_blocks
from .compiling import inner, routine
from .microkernel import PANEL_BYTES, PANEL_HEIGHTS, panel_tile
from .views import matrix, vector


@inner
def panel_width(buffer):
    """Width of a panel, in numbers."""
    return PANEL_BYTES // buffer.itemsize


@inner
def block_of(plan, workspace, layer, column, block):
    """A (or, by its column, dZ) of one layer and block: (n_l, block_rows), a sample a column."""
    n = plan.layers[layer, N_OUT]
    return matrix(workspace, plan.layers[layer, column] + block * n * plan.block_rows, n, plan.block_rows)


@inner
def flat(M):
    return vector(M, 0, M.size)


@routine
def add_product(rows, alpha, C, c, c_row, A, a, a_row, a_k, a_block, B, b, blocks, n_k):
    """`panel_tile` for any number of rows, in tiles of like height: a low one does not keep the FMA units busy."""
    row = 0
    while row < rows:
        left = rows - row
        wanted = n_blocks(left, n_blocks(left, PANEL_HEIGHTS[0]))
        height = 1
        for size in PANEL_HEIGHTS:
            if size <= left and (size >= wanted or height == 1):
                height = size
        panel_tile(height, alpha, C, c + row * c_row, c_row, A, a + row * a_row, a_row, a_k, a_block, B, b, blocks, n_k)
        row += height
