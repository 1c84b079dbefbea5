"""Matrix products, tile by tile: C = P Q^T over a part of the inner dimension, for factors that lie either way.

After the usual plan of a fast product on a GPU (Volkov and Demmel, 2008; NVIDIA's CUTLASS): a block copies a slab of
both factors to shared memory, each thread multiplies its own small tile of registers from there, and meanwhile the next
slabs are on their way from memory.
"""

from ...codes import LARGE, SMALL
from ..codegen.async_copy import end_batch, waiter
from ..codegen.compiling import by_dtype, cuda, inner
from ..codegen.intrinsics import size_of
from ..codegen.registers import add_all, multiplier, put_all, store_tile, zeros
from ..codegen.shared import numbers_in_shared
from ..codegen.tensor_cores import tensor_multiplier
from ..program.partition import n_blocks
from ..target import (
    LARGE_TILE,
    LARGE_TILE_OF_DOUBLES,
    MEDIUM_TILE,
    PADDING,
    SMALL_TILE,
    THREADS,
    WARP,
    WARP_COLUMNS,
    Tile,
)
from .slabs import of_matrices


def _plain(tile, p_stride, q_stride):
    """A thread's share of a tile.

    GPU code for its first number's row and column, and for its sums; how far its rows and columns are from that one.
    """
    down, across = tile.height // tile.rows, tile.width // tile.columns
    warp_columns, a_share = min(across, WARP_COLUMNS), tile.depth // tile.groups
    warp_rows = WARP // warp_columns
    multiply = multiplier(tile.rows, tile.columns, a_share, p_stride, 4 * down, q_stride, 4 * across)

    @inner
    def offset_of(thread):
        """Row and column of a thread's first number: neighbours read the same rows and columns."""
        warp, lane = thread // WARP, thread % WARP
        row = warp // (across // warp_columns) * warp_rows + lane // warp_columns
        column = warp % (across // warp_columns) * warp_columns + lane % warp_columns
        return 4 * row, 4 * column

    @inner
    def add(sums, shared, left, right, i, j):
        return multiply(sums, shared, left + i, right + j)

    rows = [r // 4 * 4 * down + r % 4 for r in range(tile.rows)]
    columns = [c // 4 * 4 * across + c % 4 for c in range(tile.columns)]
    return offset_of, add, rows, columns


def _by_tensor_cores(tile, p_stride, q_stride):
    """What `_plain` returns, for a tile whose warps have tile.rows x tile.columns numbers each, by tensor cores."""
    across = tile.width // tile.columns
    multiply = tensor_multiplier(tile.rows, tile.columns, tile.depth, p_stride, q_stride)

    @inner
    def offset_of(thread):
        warp, lane = thread // 32, thread % 32
        return warp // across * tile.rows + lane // 4, warp % across * tile.columns + lane % 4 * 2

    @inner
    def add(sums, shared, left, right, i, j):
        lane = cuda.threadIdx.x % 32
        return multiply(sums, shared, left + i - lane // 4, right + j - lane % 4 * 2, lane)

    return offset_of, add, range(0, tile.rows, 8), [c + v for c in range(0, tile.columns, 8) for v in range(2)]


def make_product(tile: Tile, factors_of=of_matrices):
    """The product of one kind of tile; for the sizes see `target`, for its factors `slabs`."""
    height, width, depth, stages, groups = tile.height, tile.width, tile.depth, tile.stages, tile.groups
    begin, fetch = factors_of(tile)
    p_stride, q_stride = height + PADDING, width + PADDING
    slab = depth * (p_stride + q_stride)
    a_group, a_share = THREADS // groups, depth // groups
    offset_of, add, rows, columns = (_by_tensor_cores if tile.is_tensor else _plain)(tile, p_stride, q_stride)
    n_sums = len(rows) * len(columns)
    zeros_for, store_sums, wait = zeros(n_sums), store_tile(rows, columns), waiter(stages - 2)

    @inner
    def product(C, c, stride, factors, i0, m, j0, n, start, stop, shared):
        """C[i, j] = sum_k P[i, k] Q[j, k] for one tile, from i0, j0 on, of the m x n, and k from `start` to `stop`.

        C is a vector, begins at offset c, and its rows are `stride` apart. `shared` must be free for use, and is so
        again at the end, when all of the block see C.
        """
        thread = cuda.threadIdx.x
        group, (i, j) = thread // a_group, offset_of(thread % a_group)
        sums = zeros_for(C)
        state = begin(factors, i0, m, j0, n, start, stop)
        to, current = 0, group * a_share * p_stride
        right = depth * p_stride + group * a_share * (q_stride - p_stride)  # from a slab's P to its Q
        for slab_ in range(1 - stages, n_blocks(stop - start, depth)):
            if slab_ >= 0:
                wait()
                cuda.syncthreads()  # one slab is there, for all, and another has been used
            state = fetch(factors, state, slab_, shared, to)
            to = to + slab if to < (stages - 1) * slab else 0
            end_batch()
            if slab_ >= 0:
                sums = add(sums, shared, current, current + right, i, j)
                current = current + slab if current < (stages - 1) * slab else current - (stages - 1) * slab
        if groups > 1:  # the first group adds up what the others have, one after the other
            cuda.syncthreads()
            if group > 0:
                put_all(sums, shared, (group - 1) * n_sums * a_group + thread % a_group, a_group)
            cuda.syncthreads()
            if group == 0:
                for other in range(groups - 1):
                    sums = add_all(sums, shared, other * n_sums * a_group + thread, a_group)
        if group == 0:
            i += i0
            j += j0
            store_sums(sums, C, c + i * stride + j, stride, m - i, n - j)
        cuda.syncthreads()

    return product


def _shared(*tiles):
    """GPU code for shared memory that is large enough for some tiles."""
    return numbers_in_shared(max(tile.shared for tile in tiles))


# Shared memory that serves all products, for numbers of an array's dtype.
shared_for = by_dtype(*(_shared(SMALL_TILE, MEDIUM_TILE, tile) for tile in (LARGE_TILE, LARGE_TILE_OF_DOUBLES)))


small_product, medium_product = make_product(SMALL_TILE), make_product(MEDIUM_TILE)
large_product = by_dtype(make_product(LARGE_TILE), make_product(LARGE_TILE_OF_DOUBLES))


@inner
def height_of(tile, numbers):
    """Rows of the small or the large tile, for an array's dtype."""
    if tile == SMALL:
        return SMALL_TILE.height
    return LARGE_TILE.height if size_of(numbers) == 4 else LARGE_TILE_OF_DOUBLES.height


@inner
def width_of(tile, numbers):
    """Columns of the small or the large tile, for an array's dtype."""
    if tile == SMALL:
        return SMALL_TILE.width
    return LARGE_TILE.width if size_of(numbers) == 4 else LARGE_TILE_OF_DOUBLES.width


@inner
def product_of_tile(tile, C, c, stride, factors, i0, m, j0, n, start, stop, shared):
    """C = P Q^T by the small or the large tile: see `make_product`."""
    if tile == LARGE:
        large_product(C, c, stride, factors, i0, m, j0, n, start, stop, shared)
    else:
        small_product(C, c, stride, factors, i0, m, j0, n, start, stop, shared)
