"""Average pooling: of each window of an image the mean, channel by channel (LeCun et al., 1989; Goodfellow, Bengio and
Courville, Deep Learning, 9.3).

Windows lie as those of max pooling do.
"""

import numpy as np


def average_pool2d(A_prev, pool_height, pool_width, stride_y, stride_x, A):
    """A (m, h', w', c) from A_prev (m, h, w, c), where h' = (h - pool_height) // stride_y + 1, and w' likewise."""
    for y, x in np.ndindex(A.shape[1:3]):
        top, left = y * stride_y, x * stride_x
        A[:, y, x] = A_prev[:, top : top + pool_height, left : left + pool_width].mean(axis=(1, 2))


def average_pool2d_backward(dA, pool_height, pool_width, stride_y, stride_x, dA_prev):
    """dA_prev (m, h, w, c): each number of dA (m, h', w', c) is shared out evenly among its window."""
    dA_prev[...] = 0
    for y, x in np.ndindex(dA.shape[1:3]):
        top, left = y * stride_y, x * stride_x
        share = dA[:, y, x, np.newaxis, np.newaxis] / (pool_height * pool_width)
        dA_prev[:, top : top + pool_height, left : left + pool_width] += share
