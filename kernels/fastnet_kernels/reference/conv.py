"""Convolutions of images (LeCun et al., 1989; Goodfellow, Bengio and Courville, Deep Learning, 9).

    Z[y, x, o] = b[o] + sum over (dy, dx, i) of W[o, dy, dx, i] A_prev[y stride_y + dy dilation_y - pad_y, ..., i]

What is beyond the edge counts as 0. With groups the channels i and the filters o are cut into as many groups, and a
filter sees the channels of its own group, so that W is (n, window height, window width, c / groups). A signal is an
image of one row.
"""

from typing import NamedTuple

import numpy as np


class Windows(NamedTuple):
    """How windows lie: from one to the next, zeros above and to the left, from tap to tap, and groups of channels."""

    stride_y: int = 1
    stride_x: int = 1
    pad_y: int = 0
    pad_x: int = 0
    dilation_y: int = 1
    dilation_x: int = 1
    groups: int = 1


def _framed(A_prev, W, Z, windows):
    """A_prev (m, h, w, c) in a frame of zeros that holds every window, and a function that gives what a tap meets."""
    height = (Z.shape[1] - 1) * windows.stride_y + (W.shape[1] - 1) * windows.dilation_y + 1
    width = (Z.shape[2] - 1) * windows.stride_x + (W.shape[2] - 1) * windows.dilation_x + 1
    m, h, w, c = A_prev.shape
    frame = np.zeros((m, max(height, windows.pad_y + h), max(width, windows.pad_x + w), c), A_prev.dtype)

    def met_by(tap_y, tap_x):
        """(m, h', w', c), a view."""
        y, x = tap_y * windows.dilation_y, tap_x * windows.dilation_x
        rows = slice(y, y + (Z.shape[1] - 1) * windows.stride_y + 1, windows.stride_y)
        columns = slice(x, x + (Z.shape[2] - 1) * windows.stride_x + 1, windows.stride_x)
        return frame[:, rows, columns]

    image = frame[:, windows.pad_y : windows.pad_y + h, windows.pad_x : windows.pad_x + w]
    return image, met_by


def _groups(windows, W, Z):
    """For each group its channels and its filters."""
    k, n = W.shape[3], Z.shape[3] // windows.groups
    return [(slice(g * k, (g + 1) * k), slice(g * n, (g + 1) * n)) for g in range(windows.groups)]


def conv2d_forward(A_prev, W, b, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, Z):
    """Z (m, h', w', n) from A_prev (m, h, w, c), W (n, window height, window width, c / groups) and b (n,).

    h' = (h + 2 pad_y - dilation_y (window height - 1) - 1) // stride_y + 1, and w' likewise.
    """
    windows = Windows(stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups)
    image, met_by = _framed(A_prev, W, Z, windows)
    image[...] = A_prev
    Z[...] = b
    for tap in np.ndindex(W.shape[1:3]):
        for channels, filters in _groups(windows, W, Z):
            Z[..., filters] += met_by(*tap)[..., channels] @ W[filters, *tap].T


def conv2d_backward_data(dZ, W, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, dA_prev):
    """dA_prev (m, h, w, c) from dZ (m, h', w', n): what each window has taken from a pixel it gives back."""
    windows = Windows(stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups)
    image, met_by = _framed(dA_prev, W, dZ, windows)
    for tap in np.ndindex(W.shape[1:3]):
        for channels, filters in _groups(windows, W, dZ):
            met_by(*tap)[..., channels] += dZ[..., filters] @ W[filters, *tap]
    dA_prev[...] = image


def conv2d_backward_weights(dZ, A_prev, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, dW, db):
    """dW, as W, and db (n,), summed over samples and pixels, from dZ (m, h', w', n) and A_prev (m, h, w, c)."""
    windows = Windows(stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups)
    image, met_by = _framed(A_prev, dW, dZ, windows)
    image[...] = A_prev
    db[...] = dZ.sum(axis=(0, 1, 2))
    for tap in np.ndindex(dW.shape[1:3]):
        for channels, filters in _groups(windows, dW, dZ):
            dW[filters, *tap] = np.tensordot(dZ[..., filters], met_by(*tap)[..., channels], axes=((0, 1, 2), (0, 1, 2)))
