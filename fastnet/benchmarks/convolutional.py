"""What stands before the dense layers of a convolutional workload: convolutions with ReLU, and max pooling.

Samples are (h, w, c) or (t, c), and W is (filters, ..., c), as in fastnet; whoever has another order turns them.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Conv(NamedTuple):
    """A convolution with ReLU: windows of `size` numbers along each axis, and `pad` zeros on every side."""

    filters: int
    size: int
    pad: int


class Pool(NamedTuple):
    """Max pooling of windows of `size` numbers along each axis, side by side."""

    size: int


Front = Sequence[Conv | Pool]


def shapes(front: Front, shape: Shape) -> Iterator[tuple[Conv | Pool, Shape, Shape]]:
    """Each layer with the shape of a sample before and behind it."""
    for layer in front:
        extents, channels = shape[:-1], shape[-1]
        if isinstance(layer, Conv):
            made = (*(extent + 2 * layer.pad - layer.size + 1 for extent in extents), layer.filters)
        else:
            made = (*(extent // layer.size for extent in extents), channels)
        yield layer, shape, made
        shape = made


def n_features(front: Front, shape: Shape) -> int:
    """Numbers of a sample behind all of it."""
    return math.prod([shape, *(made for _, _, made in shapes(front, shape))][-1])


def kernel_shapes(front: Front, shape: Shape) -> list[Shape]:
    """Of W, in each convolution."""
    return [
        (layer.filters, *(layer.size,) * (len(given) - 1), given[-1])
        for layer, given, _ in shapes(front, shape)
        if isinstance(layer, Conv)
    ]


def products(front: Front, shape: Shape) -> list[int]:
    """Multiply-adds of a sample in each convolution, as if the zeros around it counted."""
    return [
        math.prod(made) * layer.size ** (len(given) - 1) * given[-1]
        for layer, given, made in shapes(front, shape)
        if isinstance(layer, Conv)
    ]


def features(front: Front, weights: Sequence[tuple[np.ndarray, np.ndarray]], X: np.ndarray) -> np.ndarray:
    """What the dense layers get of X (m, *shape): (m, n), in float64 NumPy, tap by tap."""
    A, kernels = X.astype(np.float64), iter(weights)
    for layer in front:
        if isinstance(layer, Conv):
            W, b = (np.asarray(each, np.float64) for each in next(kernels))
            A = np.maximum(_convolved(A, W, layer.pad) + b, 0)
        else:
            A = _pooled(A, layer.size)
    return A.reshape(len(A), -1)


def _convolved(A: np.ndarray, W: np.ndarray, pad: int) -> np.ndarray:
    axes = A.ndim - 2
    A = np.pad(A, [(0, 0), *[(pad, pad)] * axes, (0, 0)])
    extents = [extent - size + 1 for extent, size in zip(A.shape[1:-1], W.shape[1:-1], strict=True)]
    Z = np.zeros((len(A), *extents, len(W)))
    for tap in np.ndindex(*W.shape[1:-1]):
        here = tuple(slice(start, start + extent) for start, extent in zip(tap, extents, strict=True))
        Z += A[:, *here] @ W[:, *tap].T
    return Z


def _pooled(A: np.ndarray, size: int) -> np.ndarray:
    m, *extents, channels = A.shape
    whole = A[:, *(slice(extent // size * size) for extent in extents)]
    windows = whole.reshape(m, *(part for extent in extents for part in (extent // size, size)), channels)
    found: np.ndarray = windows.max(axis=tuple(range(2, 2 * len(extents) + 1, 2)))
    return found
