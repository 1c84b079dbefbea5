"""How slabs of two matrices come to shared memory, for the products of `tiles`."""

from typing import NamedTuple

import numpy as np

from ..codegen.async_copy import copy
from ..codegen.compiling import cuda, inner
from ..target import PADDING, THREADS, Tile


class Matrices(NamedTuple):
    """P and Q of a product C = P Q^T: a vector each, where the matrix begins there, and from row to row and from depth
    to depth of it. One of the two steps is 1.
    """

    P: np.ndarray
    p: int
    p_row: int
    p_depth: int
    Q: np.ndarray
    q: int
    q_row: int
    q_depth: int


def _mover(height, depth):
    """GPU code that moves a slab of a factor, `height` rows by `depth`, from memory to shared memory.

    Thread by thread along the way the factor lies, so that neighbouring threads read neighbouring numbers.
    """
    count, stride = height * depth // THREADS, height + PADDING
    everything = (1 << count) - 1

    @inner
    def share(by_row, by_depth, n_rows):
        """A thread's numbers of each slab. Where the first one is in memory; then which are in the factor's rows, the
        first one's depth, how far the next ones are in depth, in memory and in shared memory, and where the first
        one is there.
        """
        thread = cuda.threadIdx.x
        if by_depth == 1:
            row, k, rows, depths = thread // depth, thread % depth, THREADS // depth, 0
        else:
            row, k, rows, depths = thread % height, thread // height, 0, THREADS // height
        in_rows = 0
        for s in range(count):
            if row + s * rows < n_rows:
                in_rows |= 1 << s
        step, shared_step = rows * by_row + depths * by_depth, depths * stride + rows
        return row * by_row + k * by_depth, (in_rows, k, depths, step, shared_step, k * stride + row)

    @inner
    def fetch(numbers, offset, n_depths, mine, shared, to):
        """Copy this thread's numbers of a slab, from its first one's offset on; 0 where the factor has none."""
        there, k, depths, step, shared_step, first = mine
        if n_depths < depth:
            for s in range(count):
                if k + s * depths >= n_depths:
                    there &= ~(1 << s)
        if there == everything:
            for s in range(count):
                copy(numbers, offset + s * step, shared, to + first + s * shared_step, True)
        else:
            for s in range(count):
                copy(numbers, offset + s * step, shared, to + first + s * shared_step, (there & (1 << s)) != 0)

    return share, fetch


def of_matrices(tile: Tile):
    """GPU code that begins a tile of a product of `Matrices`, and that moves the next slab of both."""
    depth = tile.depth
    share_P, fetch_P = _mover(tile.height, depth)
    share_Q, fetch_Q = _mover(tile.width, depth)
    right = depth * (tile.height + PADDING)  # from a slab's P to its Q

    @inner
    def begin(factors, i0, m, j0, n, start, stop):
        """What `fetch` needs of the tile from i0, j0 on of an m x n product, and of k from `start` to `stop`."""
        first_P, mine_P = share_P(factors.p_row, factors.p_depth, m - i0)
        first_Q, mine_Q = share_Q(factors.q_row, factors.q_depth, n - j0)
        p = factors.p + first_P + i0 * factors.p_row + start * factors.p_depth
        q = factors.q + first_Q + j0 * factors.q_row + start * factors.q_depth
        return p, q, stop - start, mine_P, mine_Q

    @inner
    def fetch(factors, state, slab, shared, to):
        """Copy the next slab, if there is one, to offset `to` of shared memory; returns the state for the one after."""
        p, q, left_over, mine_P, mine_Q = state
        if left_over > 0:
            fetch_P(factors.P, p, left_over, mine_P, shared, to)
            fetch_Q(factors.Q, q, left_over, mine_Q, shared, to + right)
        return p + depth * factors.p_depth, q + depth * factors.q_depth, left_over - depth, mine_P, mine_Q

    return begin, fetch
