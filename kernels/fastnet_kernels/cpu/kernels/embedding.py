"""Embedding as public kernels: rows of W (v, n) by their numbers, and sums of what comes back to them."""

import math

from ..codegen.arrays import flat, vector
from ..codegen.compiling import inner, routine
from ..codegen.elements import added, same
from ..codegen.kernel import kernel
from ..codegen.loops import map_numbers
from ..codegen.processor import LINE_BYTES, TARGET
from ..codegen.tasks import run_tasks
from ..loss import label_of
from ..partition import bounds, n_blocks, worth_threads

_COPIED = TARGET.copied_numbers
_TASKS = 4 * TARGET.balanced_threads


@inner
def _fill(numbers, value):
    for i in range(numbers.size):
        numbers[i] = value


@routine
def _gather_task(task, count, n, v, at_once, indices, W, A):
    first, last = bounds(task, count, at_once)
    for s in range(first, last):
        row, target = label_of(indices[s], v), vector(A, s * n, n)
        if row < 0:
            _fill(target, math.nan)
        else:
            map_numbers(same, target, (vector(W, row * n, n),), ())


@routine
def _gather(count, n, v, indices, W, A):
    at_once = max(1, _COPIED // max(1, n))
    arguments = count, n, v, at_once, indices, W, A
    run_tasks(n_blocks(count, at_once), worth_threads(count * n * A.itemsize, 2), _gather_task, arguments)


@routine
def _scatter_task(task, count, n, v, width, dA, indices, dW):
    """Some columns of dW, of all rows: a sum goes through all steps in their order."""
    first, last = bounds(task, n, width)
    is_known = True
    for row in range(v):
        _fill(vector(dW, row * n + first, last - first), 0)
    for s in range(count):
        row = label_of(indices[s], v)
        if row < 0:
            is_known = False
        else:
            target = vector(dW, row * n + first, last - first)
            map_numbers(added, target, (target, vector(dA, s * n + first, last - first)), ())
    if not is_known:
        for row in range(v):
            _fill(vector(dW, row * n + first, last - first), math.nan)


@routine
def _scatter(count, n, v, dA, indices, dW):
    line = LINE_BYTES // dW.itemsize
    width = n_blocks(n_blocks(n, _TASKS), line) * line
    arguments = count, n, v, width, dA, indices, dW
    run_tasks(n_blocks(n, max(1, width)), worth_threads((count + v) * n * dW.itemsize, 2), _scatter_task, arguments)


@kernel
def embedding(indices, W, A):
    """A[i, t] = W[indices[i, t]], for indices (m, t), whole numbers in any dtype, W (v, n) and A (m, t, n).

    A number that is no row's, from 0 to v - 1, gives NaN.
    """
    count = indices.size
    _gather(count, W.shape[1], W.shape[0], vector(flat(indices), 0, count), flat(W), flat(A))


@kernel
def embedding_backward(dA, indices, dW):
    """dW (v, n): each row is the sum of dA (m, t, n) where indices (m, t) name it; with one that is no row's, NaN."""
    count = indices.size
    _scatter(count, dW.shape[1], dW.shape[0], flat(dA), vector(flat(indices), 0, count), flat(dW))
