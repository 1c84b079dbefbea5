"""Max pooling: of each window of an image the largest number of each channel. The formulas are those of `reference`.

A pixel is a row of numbers side by side: its channels, and in the program each channel of all samples of a block. Which
number of a window was the largest is not kept: on the way back it is the first that is as large as the output.
"""

from ...codes import (
    A_OFFSET,
    DZ_OFFSET,
    HEIGHT,
    MAX_POOL,
    N_IN,
    N_OUT,
    OUT_HEIGHT,
    OUT_WIDTH,
    STRIDE_X,
    STRIDE_Y,
    WIDTH,
    WINDOW_HEIGHT,
    WINDOW_WIDTH,
)
from ..codegen.arrays import ON_STACK, image, numbers_on_stack, vector
from ..codegen.compiling import inner, routine
from ..codegen.elements import same, zero
from ..codegen.loops import map_numbers, map_to_many
from ..step.workspace import below, offset_of


@inner
def _larger(a, b):
    """The larger number, or NaN if one of them is."""
    return b if (b > a) | (b != b) else a


@inner
def pixel(image, top, left, place, width):
    """Pixel number `place`, row by row, of a window of some width."""
    return image[top + place // width, left + place % width]


@routine
def pool(A_prev, pool_height, pool_width, stride_y, stride_x, A):
    """A (h', w', n), the largest numbers of the windows of A_prev (h, w, n).

    Several pixels at a time, since a pass over a short row takes as long as what it costs to begin one. Where there are
    no more of them the last one is taken again, which changes nothing.
    """
    last = pool_height * pool_width - 1
    for y in range(A.shape[0]):
        for x in range(A.shape[1]):
            top, left, largest = y * stride_y, x * stride_x, A[y, x]
            a = pixel(A_prev, top, left, 0, pool_width)
            b = pixel(A_prev, top, left, min(1, last), pool_width)
            c = pixel(A_prev, top, left, min(2, last), pool_width)
            d = pixel(A_prev, top, left, min(3, last), pool_width)
            for i in range(largest.size):
                largest[i] = _larger(_larger(a[i], b[i]), _larger(c[i], d[i]))
            for place in range(4, last + 1, 3):
                b = pixel(A_prev, top, left, place, pool_width)
                c = pixel(A_prev, top, left, min(place + 1, last), pool_width)
                d = pixel(A_prev, top, left, min(place + 2, last), pool_width)
                for i in range(largest.size):
                    largest[i] = _larger(_larger(largest[i], b[i]), _larger(c[i], d[i]))


@inner
def _taken_and_left(rest, a, largest):
    """What a pixel takes of the rest, if it is as large as the largest or NaN, and what is left."""
    takes, zero = (a == largest) | (a != a), type(rest)(0)
    return (rest if takes else zero), (zero if takes else rest)


@inner
def _added_and_left(rest, a, largest, result):
    taken, left = _taken_and_left(rest, a, largest)
    return result + taken, left


@inner
def windows_cover(A, pool_height, pool_width, stride_y, stride_x, A_prev):
    """Whether each pixel of A_prev (h, w, n) is in one window of A (h', w', n)."""
    whole = A.shape[0] * stride_y == A_prev.shape[0] and A.shape[1] * stride_x == A_prev.shape[1]
    return whole and stride_y == pool_height and stride_x == pool_width


@routine
def clear(image):
    """image (h, w, n) = 0."""
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            map_numbers(zero, image[y, x], (image[y, x],), ())


@routine
def pool_backward(dA, A_prev, A, pool_height, pool_width, stride_y, stride_x, dA_prev):
    """dA_prev (h, w, n): each number of dA (h', w', n) goes to the first of its window that is as large as A's.

    Where windows overlap, or leave pixels out, all begin at 0 and are added to; else each pixel is written once.
    """
    rest = numbers_on_stack(dA)  # what no pixel of the window has taken yet
    adds = not windows_cover(A, pool_height, pool_width, stride_y, stride_x, dA_prev)
    if adds:
        clear(dA_prev)
    for y in range(A.shape[0]):
        for x in range(A.shape[1]):
            for start in range(0, A.shape[2], ON_STACK):
                count = min(ON_STACK, A.shape[2] - start)
                largest, some = vector(A[y, x], start, count), vector(rest, 0, count)
                map_numbers(same, some, (vector(dA[y, x], start, count),), ())
                for row in range(y * stride_y, y * stride_y + pool_height):
                    for column in range(x * stride_x, x * stride_x + pool_width):
                        a, result = (
                            vector(A_prev[row, column], start, count),
                            vector(dA_prev[row, column], start, count),
                        )
                        if adds:
                            map_to_many(_added_and_left, (result, some), (some, a, largest, result), ())
                        else:
                            map_to_many(_taken_and_left, (result, some), (some, a, largest), ())


@inner
def before(job, l, column, block):
    """A or dZ of a block of the layer before l, as (h, w, n)."""
    plan = job.plan
    height, width = plan.layers[l, HEIGHT], plan.layers[l, WIDTH]
    n = plan.layers[l, N_IN] // (height * width) * plan.block_rows
    return image(job.workspace, offset_of(plan, below(job, l), column, block), height, width, n)


@inner
def behind(job, l, column, block):
    """A or dZ of a block of layer l, as (h', w', n)."""
    plan = job.plan
    height, width = plan.layers[l, OUT_HEIGHT], plan.layers[l, OUT_WIDTH]
    n = plan.layers[l, N_OUT] // (height * width) * plan.block_rows
    return image(job.workspace, offset_of(plan, l, column, block), height, width, n)


@routine(component=MAX_POOL)
def forward(job, l, first_block, last_block):
    """A of each block, from A of the layer before."""
    row = job.plan.layers[l]
    for block in range(first_block, last_block):
        A_prev, A = before(job, l, A_OFFSET, block), behind(job, l, A_OFFSET, block)
        pool(A_prev, row[WINDOW_HEIGHT], row[WINDOW_WIDTH], row[STRIDE_Y], row[STRIDE_X], A)


@routine(component=MAX_POOL)
def backward(job, l, first_block, last_block):
    """dA_prev of each block, from dA."""
    row = job.plan.layers[l]
    for block in range(first_block, last_block):
        pool_backward(
            behind(job, l, DZ_OFFSET, block), before(job, l, A_OFFSET, block), behind(job, l, A_OFFSET, block),
            row[WINDOW_HEIGHT], row[WINDOW_WIDTH], row[STRIDE_Y], row[STRIDE_X], before(job, l, DZ_OFFSET, block),
        )  # fmt: skip
