"""Embedding: rows of W (v, n) by their numbers, and sums of what comes back to them. As in `reference`.

A row of dW is summed by the threads of one block, which look at all numbers in order: so the same bits come each time.
"""

import math

from ..codegen.arrays import flat
from ..codegen.compiling import cuda, formula, kernel
from ..codegen.launching import launch
from ..target import PIECE, THREADS


@formula
def _row_of(number, v):
    """The row that a number names; -1 if there is none."""
    row = int(number) if number >= 0 and number < v else -1
    return row if row == number else -1


@kernel
def _embedding(n, v, indices, W, A):
    for e in range(cuda.grid(1), A.size, cuda.gridsize(1)):
        row = _row_of(indices[e // n], v)
        A[e] = W[row * n + e % n] if row >= 0 else math.nan


@kernel
def _embedding_backward(count, n, v, dA, indices, dW):
    for row in range(cuda.blockIdx.x, v, cuda.gridDim.x):
        for j in range(cuda.threadIdx.x, n, THREADS):
            total = dW.dtype.type(0)
            for s in range(count):
                found = _row_of(indices[s], v)
                if found == row:
                    total += dA[s * n + j]
                elif found < 0:
                    total = dW.dtype.type(math.nan)
            dW[row * n + j] = total


def embedding(indices, W, A):
    """A[i, t] = W[indices[i, t]], for indices (m, t), whole numbers, W (v, n) and A (m, t, n).

    A number that is no row's, from 0 to v - 1, gives NaN.
    """
    v, n = W.shape
    launch(_embedding, -(-A.size // PIECE), n, v, *flat(indices, W, A))


def embedding_backward(dA, indices, dW):
    """dW (v, n): each row is the sum of dA (m, t, n) where indices (m, t) name it; with one that is no row's, NaN."""
    v, n = dW.shape
    launch(_embedding_backward, v, indices.size, n, v, *flat(dA, indices, dW))
