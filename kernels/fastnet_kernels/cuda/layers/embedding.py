"""Embedding: at each step of a sequence the row of W (vocabulary, n) that its number names. dW is sums of those rows.

A row of dW is summed by threads that look at all numbers in order, so the same bits come each time. Those that the
program reads are whole, and the host has checked them; one that is not in the vocabulary stands for its nearest.
"""

import math

from ...codes import A_OFFSET, DZ_OFFSET, LDW, N_IN, N_OUT, VOCABULARY, W_OFFSET
from ..codegen.arrays import flat
from ..codegen.compiling import cuda, formula, inner, kernel
from ..codegen.launching import launch
from ..program.reducing import column_of, sum_over_column
from ..program.weight_update import change
from ..program.workspace import below, offset_of_activations
from ..target import PIECE, ROWS_AT_ONCE, THREADS


@inner
def numbers_of_embedding(job, l):
    """Numbers of W, without gaps between its rows."""
    return job.layers[l, VOCABULARY] * (job.layers[l, N_OUT] // job.layers[l, N_IN])


@inner
def _row_of(job, l, number):
    return min(max(int(number), 0), job.layers[l, VOCABULARY] - 1)


@inner
def embedding_task(job, l, task):
    """A task: a piece of A (m, t, n)."""
    n, X = job.layers[l, N_OUT] // job.layers[l, N_IN], offset_of_activations(job, below(job, l))
    W, stride = job.layers[l, W_OFFSET], job.layers[l, LDW]
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_OUT]), THREADS):
        row = _row_of(job, l, job.workspace[X + e // n])
        job.workspace[job.layers[l, A_OFFSET] + e] = job.parameters[W + row * stride + e % n]


@inner
def embedding_weights_task(job, l, task, shared):
    """A task: some numbers of W, each changed by the sum of dZ over all steps whose number names its row."""
    n, count, (number, first) = (
        job.layers[l, N_OUT] // job.layers[l, N_IN],
        numbers_of_embedding(job, l),
        column_of(task),
    )
    X, dZ = offset_of_activations(job, below(job, l)), job.layers[l, DZ_OFFSET]
    row, j = min(number, count - 1) // n, min(number, count - 1) % n
    total = job.workspace.dtype.type(0)
    for i in range(first, job.m * job.layers[l, N_IN], ROWS_AT_ONCE):
        if _row_of(job, l, job.workspace[X + i]) == row:
            total += job.workspace[dZ + i * n + j]
    total = sum_over_column(total, shared)
    if number < count and first == 0:
        change(job, l, job.layers[l, W_OFFSET] + row * job.layers[l, LDW] + j, total, True)


@formula
def _known_row_of(number, v):
    """The row that a number names; -1 if there is none."""
    row = int(number) if number >= 0 and number < v else -1
    return row if row == number else -1


@kernel
def _embedding(n, v, indices, W, A):
    for e in range(cuda.grid(1), A.size, cuda.gridsize(1)):
        row = _known_row_of(indices[e // n], v)
        A[e] = W[row * n + e % n] if row >= 0 else math.nan


@kernel
def _embedding_backward(count, n, v, dA, indices, dW):
    for row in range(cuda.blockIdx.x, v, cuda.gridDim.x):
        for j in range(cuda.threadIdx.x, n, THREADS):
            total = dW.dtype.type(0)
            for s in range(count):
                found = _known_row_of(indices[s], v)
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
