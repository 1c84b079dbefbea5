"""What is computed for each sample by itself, on arrays of any strides: rows as they lie, or some samples side by side.

Long rows of contiguous numbers are taken one by one, in vectors along the row. Others, a few samples at a time, are
copied to where a sample is a column, so that a vector holds many samples; as the compiled program keeps them.
"""

import numpy as np

from ..codegen.arrays import ON_STACK, flat, matrix, numbers_on_stack
from ..codegen.compiling import inner, routine
from ..codegen.loops import copy_strided
from ..codegen.matrix import Matrix, Rows, part, unscaled
from ..codegen.processor import TARGET, VECTOR_BYTES
from ..codegen.scratch import numbers_in
from ..codegen.tasks import run_tasks
from ..gemm.load_convert import transpose
from ..gemm.pack_tiles import transpose_rows
from ..partition import bounds, n_blocks

_BLOCK_BYTES = TARGET.kernel_block_bytes
_INDEX = np.zeros(1, np.int64)  # for its dtype
_SHORT = TARGET.short_row_bytes
_COPIED = 256  # samples that a task copies


@inner
def are_long_rows(n, M):
    """Whether the rows of a `Matrix` (m, n) are to be taken one by one."""
    return M.column_stride == 1 and n * M.data.itemsize >= _SHORT


@inner
def samples_together(m, n, like):
    """How many of m samples are copied at a time: whole vectors of them, which stay in cache."""
    lanes = VECTOR_BYTES // like.itemsize
    return min(max(1, _BLOCK_BYTES // (n * VECTOR_BYTES)), ON_STACK // lanes, n_blocks(m, lanes)) * lanes


@inner
def block_in(piece, like, place, n, size):
    """Block number `place` in a piece of scratch memory, (n, size)."""
    return matrix(numbers_in(piece, like, place * n * size, n * size), 0, n, size)


@routine
def read_samples(M, first, count, block):
    """block[j, i] = M[first + i, j], for i < count; for other i whatever is a number of M. `M` is a `Matrix`."""
    n, size = block.shape
    start = M.offset + first * M.row_stride
    if M.column_stride == 1:
        transpose_rows(flat(block), 0, size, part(M, first, 0), count, size, n)
        return
    for j in range(n):
        row = block[j]
        copy_strided(row, 0, 1, M.data, start + j * M.column_stride, M.row_stride, count)
        for i in range(count, size):
            row[i] = 0


@routine
def write_samples(block, M, first, count):
    """M[first + i, j] = block[j, i], for i < count. `M` is a `Matrix`."""
    n, size = block.shape
    lanes, rescale, start = VECTOR_BYTES // block.itemsize, unscaled(block), M.offset + first * M.row_stride
    whole = 0
    if M.column_stride == 1:
        index, numbers, whole = numbers_on_stack(_INDEX), flat(block), n // lanes * lanes
        for j in range(0, whole, lanes):
            for r in range(lanes):
                index[r] = j + r
            for i in range(0, count, lanes):
                target = Matrix(M.data, start + i * M.row_stride + j, M.row_stride, 1)
                transpose(target, Rows(numbers, i, size, index), 0, min(lanes, count - i), rescale)
    for j in range(whole, n):
        copy_strided(M.data, start + j * M.column_stride, M.row_stride, block[j], 0, 1, count)


@inner
def samples_of_task(is_long, m, n, like):
    """How many of m samples a task takes."""
    return max(1, TARGET.copied_numbers // n) if is_long else samples_together(m, n, like)


@inner
def n_sample_tasks(m, n, is_long, like):
    """How many tasks there are for m samples."""
    return n_blocks(m, samples_of_task(is_long, m, n, like))


@routine
def _copy_task(task, m, n, source, target):
    first, last = bounds(task, m, _COPIED)
    for start in range(0, n, 8):  # a cache line of each sample, or of each unit, is used as a whole
        for i in range(first, last):
            t = target.offset + i * target.row_stride + start * target.column_stride
            s = source.offset + i * source.row_stride + start * source.column_stride
            copy_strided(target.data, t, target.column_stride, source.data, s, source.column_stride, min(8, n - start))


@inner
def copy_by_units(m, n, is_shared, source, target):
    """target = source, `Matrix`es (m, n) of any strides; in one or the other a unit's numbers are contiguous."""
    run_tasks(n_blocks(m, _COPIED), is_shared, _copy_task, (m, n, source, target))
