"""Embedding: at each step of a sequence the row of W (vocabulary, n) that its number names. dW is sums of those rows.

The numbers are whole, and the host has checked them; one that is not in the vocabulary stands for its nearest.
"""

import numpy as np

from ...codes import A_OFFSET, DZ_OFFSET, EMBEDDING, LDW, N_IN, N_OUT, VOCABULARY, W_OFFSET
from ..codegen.arrays import numbers_on_stack, vector
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Matrix, Rows, unscaled
from ..codegen.processor import VECTOR_BYTES
from ..gemm.load_convert import transpose
from ..partition import n_blocks
from ..step.workspace import below, count_of, offset_of, piece_of

_INDEX = np.zeros(1, np.int64)  # for its dtype


@inner
def _find_rows(index, numbers, vocabulary):
    """index[i] = which row of W number i names."""
    for i in range(numbers.size):
        index[i] = min(max(np.int64(numbers[i]), 0), vocabulary - 1)


@routine(component=EMBEDDING)
def forward(job, l, first_block, last_block):
    """A (t, n, samples) of some blocks, from the numbers (t, samples) of the layer below."""
    plan, workspace = job.plan, job.workspace
    row, size, lanes = plan.layers[l], plan.block_rows, VECTOR_BYTES // workspace.itemsize
    steps, index = row[N_IN], numbers_on_stack(_INDEX)
    n = row[N_OUT] // steps
    for block in range(first_block, last_block):
        x, a = offset_of(plan, below(job, l), A_OFFSET, block), offset_of(plan, l, A_OFFSET, block)
        for t in range(steps):
            for s in range(0, size, lanes):
                _find_rows(index, vector(workspace, x + t * size + s, lanes), row[VOCABULARY])
                for k in range(0, n, lanes):
                    target = Matrix(workspace, a + (t * n + k) * size + s, size, 1)
                    W = Rows(job.parameters, row[W_OFFSET] + k, row[LDW], index)
                    transpose(target, W, 0, min(lanes, n - k), unscaled(workspace))


@inner
def parameters_of(plan, piece, j):
    """Offset and count of a task's parameters: some columns of row j of W; there is no b."""
    row = plan.layers[piece.layer]
    count = piece.last_column - piece.first_column if j < piece.last_row else 0
    return row[W_OFFSET] + j * row[LDW] + piece.first_column, count


@routine(component=EMBEDDING)
def weight_gradient(job, scratch, alpha, changed, task):
    """changed[...] += alpha * the derivatives of some columns of W: only rows that occur are touched."""
    plan, workspace, piece = job.plan, job.workspace, piece_of(task)
    l, size, lanes = piece.layer, plan.block_rows, VECTOR_BYTES // scratch.itemsize
    row, index = plan.layers[l], numbers_on_stack(_INDEX)
    steps = row[N_IN]
    n = row[N_OUT] // steps
    for block in range(n_blocks(job.m, size)):
        x, dz = offset_of(plan, below(job, l), A_OFFSET, block), offset_of(plan, l, DZ_OFFSET, block)
        count = count_of(job, block)
        for t in range(steps):
            for s in range(0, count, lanes):
                _find_rows(index, vector(workspace, x + t * size + s, lanes), row[VOCABULARY])
                for c in range(piece.first_column, piece.last_column, lanes):
                    units = Rows(workspace, dz + (t * n + c) * size + s, size, plan.iota)
                    transpose(Matrix(scratch, 0, lanes, 1), units, 0, None, unscaled(scratch))
                    width = min(lanes, piece.last_column - c)
                    for i in range(min(lanes, count - s)):
                        target = vector(changed, row[W_OFFSET] + index[i] * row[LDW] + c, width)
                        numbers = vector(scratch, i * lanes, width)
                        for k in range(width):
                            target[k] += alpha * numbers[k]
