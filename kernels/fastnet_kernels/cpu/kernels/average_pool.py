"""Average pooling as public kernels, of images (m, h, w, c)."""

from ..codegen.arrays import flat
from ..codegen.compiling import routine
from ..codegen.kernel import kernel
from ..codegen.tasks import run_tasks
from ..layers.average_pool import pool, pool_backward
from ..partition import worth_threads
from .images import image_of


@routine
def _task(task, shape, pooled, window, A_prev, A):
    given = image_of(A_prev, task, shape)
    result = image_of(A, task, pooled)
    pool(given, window[0], window[1], window[2], window[3], result)


@routine
def _backward_task(task, shape, pooled, window, dA, dA_prev):
    given = image_of(dA, task, pooled)
    result = image_of(dA_prev, task, shape)
    pool_backward(given, window[0], window[1], window[2], window[3], result)


@routine
def _pool(m, shape, pooled, window, A_prev, A):
    is_shared = worth_threads(m * shape[0] * shape[1] * shape[2] * A.itemsize, 2)
    run_tasks(m, is_shared, _task, (shape, pooled, window, A_prev, A))


@routine
def _pool_backward(m, shape, pooled, window, dA, dA_prev):
    is_shared = worth_threads(m * shape[0] * shape[1] * shape[2] * dA.itemsize, 2)
    run_tasks(m, is_shared, _backward_task, (shape, pooled, window, dA, dA_prev))


@kernel
def average_pool2d(A_prev, pool_height, pool_width, stride_y, stride_x, A):
    """A (m, h', w', c), the means of the windows of A_prev (m, h, w, c)."""
    m, h, w, c = A_prev.shape
    _pool(m, (h, w, c), A.shape[1:], (pool_height, pool_width, stride_y, stride_x), flat(A_prev), flat(A))


@kernel
def average_pool2d_backward(dA, pool_height, pool_width, stride_y, stride_x, dA_prev):
    """dA_prev (m, h, w, c): each number of dA (m, h', w', c) is shared out evenly among its window."""
    m, h, w, c = dA_prev.shape
    window = pool_height, pool_width, stride_y, stride_x
    _pool_backward(m, (h, w, c), dA.shape[1:], window, flat(dA), flat(dA_prev))
