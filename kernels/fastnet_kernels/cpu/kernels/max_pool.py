"""Max pooling as public kernels: images (m, h, w, c) and signals (m, t, c), which are images of one row."""

from ..codegen.arrays import flat, image
from ..codegen.compiling import routine
from ..codegen.kernel import kernel
from ..codegen.tasks import run_tasks
from ..layers.max_pool import pool, pool_backward
from ..partition import worth_threads


@routine
def _task(task, shape, pooled, window, A_prev, A):
    given = image(A_prev, task * shape[0] * shape[1] * shape[2], shape[0], shape[1], shape[2])
    result = image(A, task * pooled[0] * pooled[1] * pooled[2], pooled[0], pooled[1], pooled[2])
    pool(given, window[0], window[1], window[2], window[3], result)


@routine
def _backward_task(task, shape, pooled, window, dA, A_prev, A, dA_prev):
    before, behind = task * shape[0] * shape[1] * shape[2], task * pooled[0] * pooled[1] * pooled[2]
    pool_backward(
        image(dA, behind, pooled[0], pooled[1], pooled[2]), image(A_prev, before, shape[0], shape[1], shape[2]),
        image(A, behind, pooled[0], pooled[1], pooled[2]), window[0], window[1], window[2], window[3],
        image(dA_prev, before, shape[0], shape[1], shape[2]),
    )  # fmt: skip


@routine
def _pool(m, shape, pooled, window, A_prev, A):
    is_shared = worth_threads(m * shape[0] * shape[1] * shape[2] * A.itemsize, 2)
    run_tasks(m, is_shared, _task, (shape, pooled, window, A_prev, A))


@routine
def _pool_backward(m, shape, pooled, window, dA, A_prev, A, dA_prev):
    is_shared = worth_threads(m * shape[0] * shape[1] * shape[2] * A.itemsize, 2)
    run_tasks(m, is_shared, _backward_task, (shape, pooled, window, dA, A_prev, A, dA_prev))


@kernel
def max_pool2d(A_prev, pool_height, pool_width, stride_y, stride_x, A):
    """A (m, h', w', c), the largest numbers of the windows of A_prev (m, h, w, c); a window with a NaN gives NaN."""
    m, h, w, c = A_prev.shape
    shape, pooled, window = (h, w, c), A.shape[1:], (pool_height, pool_width, stride_y, stride_x)
    _pool(m, shape, pooled, window, flat(A_prev), flat(A))


@kernel
def max_pool2d_backward(dA, A_prev, A, pool_height, pool_width, stride_y, stride_x, dA_prev):
    """dA_prev (m, h, w, c): each number of dA (m, h', w', c) goes to the first of its window's largest numbers."""
    m, h, w, c = A_prev.shape
    shape, pooled, window = (h, w, c), A.shape[1:], (pool_height, pool_width, stride_y, stride_x)
    _pool_backward(m, shape, pooled, window, flat(dA), flat(A_prev), flat(A), flat(dA_prev))


@kernel
def max_pool1d(A_prev, pool_size, stride, A):
    """A (m, t', c), the largest numbers of the windows of A_prev (m, t, c): a signal is an image of one row."""
    m, t, c = A_prev.shape
    shape, pooled, window = (1, t, c), (1, A.shape[1], c), (1, pool_size, 1, stride)
    _pool(m, shape, pooled, window, flat(A_prev), flat(A))


@kernel
def max_pool1d_backward(dA, A_prev, A, pool_size, stride, dA_prev):
    """dA_prev (m, t, c), from dA and A (m, t', c), as in two dimensions."""
    m, t, c = A_prev.shape
    shape, pooled, window = (1, t, c), (1, A.shape[1], c), (1, pool_size, 1, stride)
    _pool_backward(m, shape, pooled, window, flat(dA), flat(A_prev), flat(A), flat(dA_prev))
