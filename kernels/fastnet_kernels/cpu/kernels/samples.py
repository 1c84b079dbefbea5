"""What is computed for each sample by itself, on arrays of any strides: rows as they lie, or some samples side by side.

Long rows of contiguous numbers are taken one by one, in vectors along the row. Others, a few samples at a time, are
copied to where a sample is a column, so that a vector holds many samples; as the compiled program keeps them.
"""

from ..codegen.arrays import ON_STACK, matrix
from ..codegen.compiling import inner, routine
from ..codegen.processor import TARGET, VECTOR_BYTES
from ..codegen.scratch import numbers_in
from ..codegen.tasks import run_tasks
from ..partition import bounds, n_blocks

_BLOCK_BYTES = TARGET.kernel_block_bytes
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
    """block[j, i] = M[first + i, j], for i < count; 0 for other i. `M` is a `Matrix`."""
    n, size = block.shape
    start = M.offset + first * M.row_stride
    if M.row_stride == 1:
        for j in range(n):
            row = block[j]
            for i in range(count):
                row[i] = M.data[start + j * M.column_stride + i]
    else:
        for i in range(count):
            for j in range(n):
                block[j, i] = M.data[start + i * M.row_stride + j * M.column_stride]
    for j in range(n):
        for i in range(count, size):
            block[j, i] = 0


@routine
def write_samples(block, M, first, count):
    """M[first + i, j] = block[j, i], for i < count. `M` is a `Matrix`."""
    n = block.shape[0]
    start = M.offset + first * M.row_stride
    if M.row_stride == 1:
        for j in range(n):
            row = block[j]
            for i in range(count):
                M.data[start + j * M.column_stride + i] = row[i]
    else:
        for i in range(count):
            for j in range(n):
                M.data[start + i * M.row_stride + j * M.column_stride] = block[j, i]


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
            for j in range(start, min(start + 8, n)):
                given = source.data[source.offset + i * source.row_stride + j * source.column_stride]
                target.data[target.offset + i * target.row_stride + j * target.column_stride] = given


@inner
def copy_by_units(m, n, is_shared, source, target):
    """target = source, `Matrix`es (m, n) of any strides, of which in one or the other a unit's numbers are contiguous."""
    run_tasks(n_blocks(m, _COPIED), is_shared, _copy_task, (m, n, source, target))
