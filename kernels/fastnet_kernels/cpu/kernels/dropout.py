"""Dropout as a public kernel, on (m, n) matrices of any strides."""

from ..codegen.arrays import ON_STACK, numbers_on_stack, vector
from ..codegen.compiling import routine
from ..codegen.kernel import kernel
from ..codegen.matrix import as_matrix
from ..codegen.processor import TARGET
from ..codegen.tasks import run_tasks
from ..layers.dropout import drop
from ..partition import bounds, n_blocks, worth_threads

_RUN = TARGET.copied_numbers


@routine
def _dropout_row(first, n, rate, key, given, given_stride, result, result_stride):
    """A row of n numbers by way of the stack, some at a time; the hash counts them from `first` on."""
    numbers = numbers_on_stack(given)
    for start in range(0, n, ON_STACK):
        some = vector(numbers, 0, min(ON_STACK, n - start))
        for j in range(some.size):
            some[j] = given[(start + j) * given_stride]
        drop(some, some, first + start, 1, rate, key)
        for j in range(some.size):
            result[(start + j) * result_stride] = some[j]


@routine
def _task(task, m, n, rate, key, A_prev, A):
    rows = max(1, _RUN // n)
    first, last = bounds(task, m, rows)
    is_whole = A_prev.column_stride == 1 and A.column_stride == 1
    if is_whole and A_prev.row_stride == n and A.row_stride == n:
        count = (last - first) * n
        given, result = (
            vector(A_prev.data, A_prev.offset + first * n, count),
            vector(A.data, A.offset + first * n, count),
        )
        drop(given, result, first * n, 1, rate, key)
        return
    for i in range(first, last):
        given = vector(A_prev.data, A_prev.offset + i * A_prev.row_stride, n)
        result = vector(A.data, A.offset + i * A.row_stride, n)
        if is_whole:
            drop(given, result, i * n, 1, rate, key)
        else:
            _dropout_row(i * n, n, rate, key, given, A_prev.column_stride, result, A.column_stride)


@kernel
def dropout(A_prev, rate, key, A):
    """A = A_prev / (1 - rate) where a number is kept, else 0; both (m, n), `key` a whole number of 64 bits, uint64."""
    m, n = A.shape
    count = n_blocks(m, max(1, _RUN // max(1, n)))
    run_tasks(count, worth_threads(m * n * A.itemsize), _task, (m, n, rate, key, as_matrix(A_prev), as_matrix(A)))
