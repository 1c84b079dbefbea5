"""Formulas for each number by itself, on matrices of any strides: how a matrix is cut into runs of contiguous numbers.

What is contiguous as a whole is one long row; else rows or columns are taken as they lie, if they are contiguous in all
matrices of a call, and all other numbers by way of a few on the stack.
"""

from ...codes import HARD_SIGMOID, HARD_SILU, LEAKY_RELU, LINEAR, RELU
from ..codegen.arrays import ON_STACK, numbers_on_stack, vector
from ..codegen.compiling import inner, routine
from ..codegen.loops import copy_strided
from ..codegen.matrix import row_of, transposed
from ..codegen.processor import TARGET
from ..codegen.tasks import run_tasks
from ..layers.activation import activate, derive
from ..partition import bounds, n_blocks, worth_threads

_RUN = TARGET.copied_numbers
_SHORT = TARGET.short_run


@inner
def _apply(is_derivative, activation, slope, given, A, result):
    """A run of numbers: result = given * g'(A), or g(given); all (n,)."""
    if is_derivative:
        derive(activation, slope, given, A, result)
    else:
        activate(activation, slope, given, result)


@inner
def _gather(M, i, j, n, numbers, count):
    """numbers[:count] = the numbers of M from row i and column j on, row after row of n."""
    done = 0
    while done < count:
        run = min(count - done, n - j)
        first = M.offset + i * M.row_stride + j * M.column_stride
        copy_strided(numbers, done, 1, M.data, first, M.column_stride, run)
        done, i, j = done + run, i + 1, 0


@inner
def _scatter(numbers, M, i, j, n, count):
    """The numbers of M from row i and column j on, row after row of n, = numbers[:count]."""
    done = 0
    while done < count:
        run = min(count - done, n - j)
        first = M.offset + i * M.row_stride + j * M.column_stride
        copy_strided(M.data, first, M.column_stride, numbers, done, 1, run)
        done, i, j = done + run, i + 1, 0


@routine
def _apply_to_scattered(is_derivative, activation, slope, n, first, last, given, A, result):
    """Numbers `first` to `last` - 1, counted row after row of n, of matrices of any strides."""
    d, a = numbers_on_stack(given.data), numbers_on_stack(given.data)
    for start in range(first, last, ON_STACK):
        count = min(ON_STACK, last - start)
        i, j = start // n, start % n
        _gather(given, i, j, n, d, count)
        if is_derivative and activation != LINEAR:
            _gather(A, i, j, n, a, count)
        some = vector(d, 0, count)
        _apply(is_derivative, activation, slope, some, vector(a, 0, count), some)
        _scatter(d, result, i, j, n, count)


@routine
def _task(task, is_derivative, activation, slope, m, n, are_rows, given, A, result):
    if not are_rows:
        first, last = bounds(task, m * n, _RUN)
        _apply_to_scattered(is_derivative, activation, slope, n, first, last, given, A, result)
        return
    rows, pieces = max(1, _RUN // n), n_blocks(n, _RUN)
    first, last = bounds(task // pieces, m, rows)
    start, end = bounds(task % pieces, n, _RUN)
    for i in range(first, last):
        d, a = row_of(given, i, start, end - start), row_of(A, i, start, end - start)
        _apply(is_derivative, activation, slope, d, a, row_of(result, i, start, end - start))


@inner
def _have_rows(given, A, result):
    """Whether rows are contiguous in all three."""
    return given.column_stride == 1 and A.column_stride == 1 and result.column_stride == 1


@routine
def apply_to_matrix(is_derivative, activation, slope, m, n, given, A, result):
    """result = given * g'(A), or g(given) if it is no derivative; all `Matrix`es (m, n), of which some may be the same.

    `activation` and `slope` say what g is. A derivative is by A = g(Z), or by Z itself where it needs that.
    """
    if m == 0 or n == 0:
        return
    if n == 1 or not _have_rows(given, A, result):
        m, n, given, A, result = n, m, transposed(given), transposed(A), transposed(result)
    are_rows = _have_rows(given, A, result)
    if not are_rows and abs(result.row_stride) < abs(result.column_stride):
        m, n, given, A, result = n, m, transposed(given), transposed(A), transposed(result)
    if are_rows and (m == 1 or (given.row_stride == n and A.row_stride == n and result.row_stride == n)):
        m, n = 1, m * n
    elif n < _SHORT:
        are_rows = False
    count = n_blocks(m, max(1, _RUN // n)) * n_blocks(n, _RUN) if are_rows else n_blocks(m * n, _RUN)
    arguments = is_derivative, activation, slope, m, n, are_rows, given, A, result
    passes = 1 if activation in (LINEAR, RELU, LEAKY_RELU, HARD_SIGMOID, HARD_SILU) else 4
    run_tasks(count, worth_threads(m * n * given.data.itemsize, passes), _task, arguments)
