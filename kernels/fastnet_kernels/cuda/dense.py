"""The dense layer: Z = A_prev W^T + b, with one sample a row."""

from ..codes import LARGE, SMALL
from .blocks import n_blocks
from .compiling import cuda, flat, inner, kernel, launch
from .reducing import column_of, sum_over_column
from .registers import size_of
from .sizes import (
    COLUMNS_AT_ONCE,
    LARGE_HEIGHT,
    LARGE_WIDTH_BYTES,
    ROWS_AT_ONCE,
    SHARED,
    SMALL_HEIGHT,
    SMALL_WIDTH,
    THREADS,
)
from .tiles import large_product, large_product_of_doubles, small_product

_MANY_TILES = 100  # large ones, that keep most GPUs busy


@inner
def height_of(tile):
    return LARGE_HEIGHT if tile == LARGE else SMALL_HEIGHT


@inner
def width_of(tile, numbers):
    return LARGE_WIDTH_BYTES // size_of(numbers) if tile == LARGE else SMALL_WIDTH


@inner
def product_of_tile(tile, C, c, stride, P, p, p_row, p_depth, Q, q, q_row, q_depth, i0, m, j0, n, start, stop, shared):
    """C = P Q^T for either kind of tile: see `tiles`."""
    if tile == LARGE and size_of(C) == 8:
        large_product_of_doubles(
            C, c, stride, P, p, p_row, p_depth, Q, q, q_row, q_depth, i0, m, j0, n, start, stop, shared
        )  # fmt: skip
    elif tile == LARGE:
        large_product(
            C, c, stride, P, p, p_row, p_depth, Q, q, q_row, q_depth, i0, m, j0, n, start, stop, shared
        )  # fmt: skip
    else:
        small_product(
            C, c, stride, P, p, p_row, p_depth, Q, q, q_row, q_depth, i0, m, j0, n, start, stop, shared
        )  # fmt: skip


@inner
def sum_of_column(numbers, offset, m, n, j, first, shared):
    """The sum of column j of an m x n matrix, to all threads of it, whose `first` row is theirs; 0 beyond the last."""
    total = numbers.dtype.type(0)
    if j < n:
        for i in range(first, m, ROWS_AT_ONCE):
            total += numbers[offset + i * n + j]
    return sum_over_column(total, shared)


@kernel
def _multiply(tile, C, P, p_row, p_depth, Q, q_row, q_depth, m, n, depth, b):
    """C = P Q^T, m x n, and b's numbers more in each row where there are some."""
    shared = cuda.shared.array(SHARED, C.dtype)
    height, width = height_of(tile), width_of(tile, C)
    across = n_blocks(n, width)
    for task in range(cuda.blockIdx.x, n_blocks(m, height) * across, cuda.gridDim.x):
        i0, j0 = task // across * height, task % across * width
        product_of_tile(tile, C, 0, n, P, 0, p_row, p_depth, Q, 0, q_row, q_depth, i0, m, j0, n, 0, depth, shared)
        if b.size > 0:
            for e in range(cuda.threadIdx.x, height * width, THREADS):
                i, j = i0 + e // width, j0 + e % width
                if i < m and j < n:
                    C[i * n + j] += b[j]


@kernel
def _sum_columns(numbers, m, n, sums):
    shared = cuda.shared.array(THREADS, numbers.dtype)
    for task in range(cuda.blockIdx.x, n_blocks(n, COLUMNS_AT_ONCE), cuda.gridDim.x):
        j, first = column_of(task)
        total = sum_of_column(numbers, 0, m, n, j, first, shared)
        if j < n and first == 0:
            sums[j] = total


def _launch_product(C, P, p_row, p_depth, Q, q_row, q_depth, m, n, depth, b):
    shapes = (SMALL_HEIGHT, SMALL_WIDTH), (LARGE_HEIGHT, LARGE_WIDTH_BYTES // C.dtype.itemsize)
    tiles = [-(-m // height) * -(-n // width) for height, width in shapes]
    tile = LARGE if tiles[LARGE] >= _MANY_TILES else SMALL
    launch(_multiply, tiles[tile], tile, C, P, p_row, p_depth, Q, q_row, q_depth, m, n, depth, b)


def dense_forward(A_prev, W, b, Z):
    """Z = A_prev W^T + b, for A_prev (m, n_prev), W (n, n_prev), b (n,), Z (m, n)."""
    (m, n), n_prev = Z.shape, W.shape[1]
    A_prev, W, b, Z = flat(A_prev, W, b, Z)
    _launch_product(Z, A_prev, n_prev, 1, W, n_prev, 1, m, n, n_prev, b)


def dense_backward(dZ, A_prev, W, dW, db, dA_prev):
    """dW = dZ^T A_prev, db = the column sums of dZ, dA_prev = dZ W: each in the shape of what it is the derivative of.

    The 1/m of the cost is in dZ already: the losses put it there.
    """
    (m, n), n_prev = dZ.shape, W.shape[1]
    dZ, A_prev, W, dW, db, dA_prev = flat(dZ, A_prev, W, dW, db, dA_prev)
    nothing = db[:0]
    _launch_product(dW, dZ, 1, n, A_prev, 1, n_prev, n, n_prev, m, nothing)
    _launch_product(dA_prev, dZ, n, 1, W, 1, n_prev, m, n_prev, n, nothing)
    launch(_sum_columns, -(-n // COLUMNS_AT_ONCE), dZ, m, n, db)
