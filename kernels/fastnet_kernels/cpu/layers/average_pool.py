"""Average pooling: of each window of an image the mean of each channel. The formulas are those of `reference`.

Images lie as max pooling has them: a pixel is a row of numbers side by side.
"""

from ...codes import A_OFFSET, AVERAGE_POOL, DZ_OFFSET, STRIDE_X, STRIDE_Y, WINDOW_HEIGHT, WINDOW_WIDTH
from ..codegen.compiling import inner, routine
from .max_pool import before, behind, clear, pixel, windows_cover


@routine
def pool(A_prev, pool_height, pool_width, stride_y, stride_x, A):
    """A (h', w', n), the means of the windows of A_prev (h, w, n).

    Four pixels at a time, since a pass over a short row takes as long as what it costs to begin one.
    """
    count = pool_height * pool_width
    whole, share = count // 4 * 4, A.dtype.type(1 / count)
    for y in range(A.shape[0]):
        for x in range(A.shape[1]):
            top, left, mean = y * stride_y, x * stride_x, A[y, x]
            if count == 4:  # as most windows have: one pass in the place of three
                a, b = pixel(A_prev, top, left, 0, pool_width), pixel(A_prev, top, left, 1, pool_width)
                c, d = pixel(A_prev, top, left, 2, pool_width), pixel(A_prev, top, left, 3, pool_width)
                for i in range(mean.size):
                    mean[i] = ((a[i] + b[i]) + (c[i] + d[i])) * share
                continue
            mean[:] = 0
            for place in range(0, whole, 4):
                a = pixel(A_prev, top, left, place, pool_width)
                b = pixel(A_prev, top, left, place + 1, pool_width)
                c = pixel(A_prev, top, left, place + 2, pool_width)
                d = pixel(A_prev, top, left, place + 3, pool_width)
                for i in range(mean.size):
                    mean[i] += (a[i] + b[i]) + (c[i] + d[i])
            for place in range(whole, count):
                a = pixel(A_prev, top, left, place, pool_width)
                for i in range(mean.size):
                    mean[i] += a[i]
            for i in range(mean.size):
                mean[i] *= share


@inner
def _add_share(d, share, result):
    for i in range(result.size):
        result[i] += share * d[i]


@inner
def _write_share(d, share, result):
    for i in range(result.size):
        result[i] = share * d[i]


@routine
def pool_backward(dA, pool_height, pool_width, stride_y, stride_x, dA_prev):
    """dA_prev (h, w, n): each number of dA (h', w', n) is shared out among its window.

    Where windows overlap, or leave pixels out, all begin at 0 and are added to; else each pixel is written once.
    """
    share = dA.dtype.type(1 / (pool_height * pool_width))
    adds = not windows_cover(dA, pool_height, pool_width, stride_y, stride_x, dA_prev)
    if adds:
        clear(dA_prev)
    for y in range(dA.shape[0]):
        for x in range(dA.shape[1]):
            for place in range(pool_height * pool_width):
                result = pixel(dA_prev, y * stride_y, x * stride_x, place, pool_width)
                if adds:
                    _add_share(dA[y, x], share, result)
                else:
                    _write_share(dA[y, x], share, result)


@routine(component=AVERAGE_POOL)
def forward(job, l, first_block, last_block):
    """A of each block, from A of the layer before."""
    row = job.plan.layers[l]
    for block in range(first_block, last_block):
        A_prev, A = before(job, l, A_OFFSET, block), behind(job, l, A_OFFSET, block)
        pool(A_prev, row[WINDOW_HEIGHT], row[WINDOW_WIDTH], row[STRIDE_Y], row[STRIDE_X], A)


@routine(component=AVERAGE_POOL)
def backward(job, l, first_block, last_block):
    """dA_prev of each block, from dA."""
    row = job.plan.layers[l]
    for block in range(first_block, last_block):
        dA, dA_prev = behind(job, l, DZ_OFFSET, block), before(job, l, DZ_OFFSET, block)
        pool_backward(dA, row[WINDOW_HEIGHT], row[WINDOW_WIDTH], row[STRIDE_Y], row[STRIDE_X], dA_prev)
