"""Dropout as a public kernel, on (m, n) matrices of any strides."""

from ..codegen.arrays import ON_STACK, numbers_on_stack, vector
from ..codegen.compiling import routine
from ..codegen.kernel import kernel
from ..codegen.loops import copy_strided
from ..codegen.matrix import as_matrix, row_of
from ..codegen.processor import TARGET
from ..codegen.tasks import run_tasks
from ..layers.dropout import drop
from ..partition import bounds, n_blocks, worth_threads

_RUN = TARGET.copied_numbers


@routine
def _dropout_row(i, n, rate, key, A_prev, A):
    """Row i of n numbers by way of the stack, some at a time."""
    numbers = numbers_on_stack(A.data)
    for start in range(0, n, ON_STACK):
        some = vector(numbers, 0, min(ON_STACK, n - start))
        read = A_prev.offset + i * A_prev.row_stride + start * A_prev.column_stride
        copy_strided(some, 0, 1, A_prev.data, read, A_prev.column_stride, some.size)
        drop(some, some, i * n + start, 1, rate, key)
        written = A.offset + i * A.row_stride + start * A.column_stride
        copy_strided(A.data, written, A.column_stride, some, 0, 1, some.size)


@routine
def _task(task, m, n, rate, key, A_prev, A):
    rows = max(1, _RUN // n)
    first, last = bounds(task, m, rows)
    is_whole = A_prev.column_stride == 1 and A.column_stride == 1
    if is_whole and A_prev.row_stride == n and A.row_stride == n:
        count = (last - first) * n
        given, result = A_prev.offset + first * n, A.offset + first * n
        drop(vector(A_prev.data, given, count), vector(A.data, result, count), first * n, 1, rate, key)
        return
    for i in range(first, last):
        if is_whole:
            drop(row_of(A_prev, i, 0, n), row_of(A, i, 0, n), i * n, 1, rate, key)
        else:
            _dropout_row(i, n, rate, key, A_prev, A)


@kernel
def dropout(A_prev, rate, key, A):
    """A = A_prev / (1 - rate) where a number is kept, else 0; both (m, n), `key` a whole number of 64 bits, uint64."""
    m, n = A.shape
    count = n_blocks(m, max(1, _RUN // max(1, n)))
    run_tasks(count, worth_threads(m * n * A.itemsize, 4), _task, (m, n, rate, key, as_matrix(A_prev), as_matrix(A)))
