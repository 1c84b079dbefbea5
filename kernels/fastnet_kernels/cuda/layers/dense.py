"""The dense layer: Z = A_prev W^T + b, with one sample a row."""

from ...codes import LARGE, SMALL
from ..codegen.arrays import flat
from ..codegen.compiling import cuda, inner, kernel
from ..codegen.launching import launch
from ..gemm.slabs import Matrices
from ..gemm.tiles import height_of, large_product, medium_product, shared_for, small_product, width_of
from ..program.partition import n_blocks
from ..program.reducing import column_of, sum_of_column
from ..target import COLUMNS_AT_ONCE, MANY_TILES, MEDIUM_TILE, SMALL_TILE, THREADS, tiles_for

_MEDIUM = 2  # a third kind of tile, beside those of `codes`


@inner
def _add_bias(C, c, c_row, b, has_b, i0, m, j0, n, height, width):
    """C[i, j] += b[j] in a tile from i0, j0 on."""
    if has_b:
        j, step = j0 + cuda.threadIdx.x % width, THREADS // width
        for i in range(i0 + cuda.threadIdx.x // width, min(i0 + height, m), step):
            if j < n:
                C[c + i * c_row + j] += b[j]


# C = P Q^T, m x n, and b's numbers more in each row if it `has_b`; C begins at offset c, and its rows are c_row apart.
# A kernel for each tile, since the compiler has more registers for each then.


@kernel(blocks=2)
def _multiply_small(C, c, c_row, P, p, p_row, p_depth, Q, q, q_row, q_depth, m, n, depth, b, has_b):
    shared, height, width = shared_for(C), SMALL_TILE.height, SMALL_TILE.width
    across, factors = n_blocks(n, width), Matrices(P, p, p_row, p_depth, Q, q, q_row, q_depth)
    for task in range(cuda.blockIdx.x, n_blocks(m, height) * across, cuda.gridDim.x):
        i0, j0 = task // across * height, task % across * width
        small_product(C, c, c_row, factors, i0, m, j0, n, 0, depth, shared)
        _add_bias(C, c, c_row, b, has_b, i0, m, j0, n, height, width)


@kernel(blocks=2)
def _multiply_medium(C, c, c_row, P, p, p_row, p_depth, Q, q, q_row, q_depth, m, n, depth, b, has_b):
    shared, height, width = shared_for(C), MEDIUM_TILE.height, MEDIUM_TILE.width
    across, factors = n_blocks(n, width), Matrices(P, p, p_row, p_depth, Q, q, q_row, q_depth)
    for task in range(cuda.blockIdx.x, n_blocks(m, height) * across, cuda.gridDim.x):
        i0, j0 = task // across * height, task % across * width
        medium_product(C, c, c_row, factors, i0, m, j0, n, 0, depth, shared)
        _add_bias(C, c, c_row, b, has_b, i0, m, j0, n, height, width)


@kernel(blocks=2)
def _multiply_large(C, c, c_row, P, p, p_row, p_depth, Q, q, q_row, q_depth, m, n, depth, b, has_b):
    shared, height, width = shared_for(C), height_of(LARGE, C), width_of(LARGE, C)
    across, factors = n_blocks(n, width), Matrices(P, p, p_row, p_depth, Q, q, q_row, q_depth)
    for task in range(cuda.blockIdx.x, n_blocks(m, height) * across, cuda.gridDim.x):
        i0, j0 = task // across * height, task % across * width
        large_product(C, c, c_row, factors, i0, m, j0, n, 0, depth, shared)
        _add_bias(C, c, c_row, b, has_b, i0, m, j0, n, height, width)


@kernel
def sum_columns(numbers, m, n, sums):
    shared = cuda.shared.array(THREADS, numbers.dtype)
    for task in range(cuda.blockIdx.x, n_blocks(n, COLUMNS_AT_ONCE), cuda.gridDim.x):
        j, first = column_of(task)
        total = sum_of_column(numbers, 0, m, n, j, first, shared)
        if j < n and first == 0:
            sums[j] = total


def launch_product(C, c, c_row, factors, m, n, depth, b=None):
    """C = P Q^T, m x n, of `Matrices` of what `flat` has made, by the largest tile of which there are many.

    C begins at offset c, and its rows are c_row apart; with b, a vector, its numbers come to each row.
    """
    kernels = _multiply_small, _multiply_large, _multiply_medium
    tiles = [-(-m // tile.height) * -(-n // tile.width) for tile in tiles_for(C.itemsize)]
    tile = next((tile for tile in (LARGE, _MEDIUM) if tiles[tile] >= MANY_TILES), SMALL)
    bias = (C, 0) if b is None else (b, 1)
    launch(kernels[tile], tiles[tile], C, c, c_row, *factors, m, n, depth, *bias)


def dense_forward(A_prev, W, b, Z):
    """Z = A_prev W^T + b, for A_prev (m, n_prev), W (n, n_prev), b (n,), Z (m, n)."""
    (m, n), n_prev = Z.shape, W.shape[1]
    A_prev, W, b, Z = flat(A_prev, W, b, Z)
    launch_product(Z, 0, n, Matrices(A_prev, 0, n_prev, 1, W, 0, n_prev, 1), m, n, n_prev, b)


def dense_backward(dZ, A_prev, W, dW, db, dA_prev):
    """dW = dZ^T A_prev, db = the column sums of dZ, dA_prev = dZ W: each in the shape of what it is the derivative of.

    The 1/m of the cost is in dZ already: the losses put it there.
    """
    (m, n), n_prev = dZ.shape, W.shape[1]
    dZ, A_prev, W, dW, db, dA_prev = flat(dZ, A_prev, W, dW, db, dA_prev)
    launch_product(dW, 0, n_prev, Matrices(dZ, 0, 1, n, A_prev, 0, 1, n_prev), n, n_prev, m)
    launch_product(dA_prev, 0, n_prev, Matrices(dZ, 0, n, 1, W, 0, 1, n_prev), m, n_prev, n)
    launch(sum_columns, -(-n // COLUMNS_AT_ONCE), dZ, m, n, db)
