"""Max pooling as public kernels: images (m, h, w, c) and signals (m, t, c), which are images of one row."""

from ..codegen.arrays import flat
from ..codegen.compiling import routine
from ..codegen.kernel import kernel
from ..codegen.tasks import run_tasks
from ..layers.max_pool import pool, pool_backward
from ..partition import worth_threads
from .images import image_of


@routine
def _task(task, shape, pooled, window, A_prev, A):
    given = image_of(A_prev, task, shape)
    result = image_of(A, task, pooled)
    pool(given, window[0], window[1], window[2], window[3], result)


@routine
def _backward_task(task, shape, pooled, window, dA, A_prev, A, dA_prev):
    images = image_of(dA, task, pooled), image_of(A_prev, task, shape), image_of(A, task, pooled)
    pool_backward(*images, window[0], window[1], window[2], window[3], image_of(dA_prev, task, shape))


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
