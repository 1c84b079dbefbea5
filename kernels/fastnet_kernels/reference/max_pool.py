"""Max pooling: of each window of an image, or of a signal, the largest number, channel by channel (Goodfellow,
Bengio and Courville, Deep Learning, 9.3).

Windows lie `stride` apart, from the first number on; one that would reach beyond the edge is left out.
"""

import numpy as np


def _windows(A_prev, pool_height, pool_width, stride_y, stride_x, A):
    """Window by window: where it lies in A_prev (m, h, w, c), and its place in A (m, h', w', c)."""
    for y, x in np.ndindex(A.shape[1:3]):
        top, left = y * stride_y, x * stride_x
        yield A_prev[:, top : top + pool_height, left : left + pool_width], (slice(None), y, x)


def max_pool2d(A_prev, pool_height, pool_width, stride_y, stride_x, A):
    """A (m, h', w', c) from A_prev (m, h, w, c), where h' = (h - pool_height) // stride_y + 1, and w' likewise.

    A window with a NaN gives NaN.
    """
    for window, place in _windows(A_prev, pool_height, pool_width, stride_y, stride_x, A):
        A[place] = window.max(axis=(1, 2))


def max_pool2d_backward(dA, A_prev, A, pool_height, pool_width, stride_y, stride_x, dA_prev):
    """dA_prev (m, h, w, c): each number of dA (m, h', w', c) goes to the place of its window's largest number.

    Of equal ones that is the first, row by row; of a window with a NaN the first NaN. What several windows give is
    added up.
    """
    dA_prev[...] = 0
    windows = _windows(A_prev, pool_height, pool_width, stride_y, stride_x, A)
    targets = _windows(dA_prev, pool_height, pool_width, stride_y, stride_x, A)
    for (window, place), (target, _) in zip(windows, targets, strict=True):
        rest = dA[place].copy()  # what no number of the window has taken yet
        for dy, dx in np.ndindex(window.shape[1:3]):
            number = window[:, dy, dx]
            takes = (number == A[place]) | np.isnan(number)
            target[:, dy, dx] += np.where(takes, rest, 0)
            rest[takes] = 0


def max_pool1d(A_prev, pool_size, stride, A):
    """A (m, t', c) from A_prev (m, t, c), where t' = (t - pool_size) // stride + 1: a signal is an image of one row."""
    max_pool2d(A_prev[:, None], 1, pool_size, 1, stride, A[:, None])


def max_pool1d_backward(dA, A_prev, A, pool_size, stride, dA_prev):
    """dA_prev (m, t, c), from dA and A (m, t', c), as in two dimensions."""
    max_pool2d_backward(dA[:, None], A_prev[:, None], A[:, None], 1, pool_size, 1, stride, dA_prev[:, None])
