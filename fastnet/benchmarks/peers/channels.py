"""Images and weights for libraries that have channels before rows and columns."""

from collections.abc import Callable

import numpy as np

from .. import convolutional
from ..convolutional import Shape
from ..workloads import Weights, Workload


def images(X: np.ndarray) -> np.ndarray:
    """X (m, h, w, c) as (m, c, h, w), signals likewise, and features as they are."""
    return np.ascontiguousarray(np.moveaxis(X, -1, 1))


def channels_first(workload: Workload, weights: Weights) -> Weights:
    """A workload's weights as such a library has them: W (filters, c, h, w), and columns in the order c, h, w."""
    return _turned(workload, weights, images, lambda W, made: images(W.reshape(-1, *made)))


def channels_last(workload: Workload, weights: Weights) -> Weights:
    """Such a library's weights as `Workload.cost` takes them."""

    def last(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(array, 1, -1))

    return _turned(workload, weights, last, lambda W, made: last(W.reshape(-1, made[-1], *made[:-1])))


def _turned(
    workload: Workload,
    weights: Weights,
    kernel: Callable[[np.ndarray], np.ndarray],
    columns: Callable[[np.ndarray, Shape], np.ndarray],
) -> Weights:
    if not workload.front:
        return weights
    n_kernels = len(convolutional.kernel_shapes(workload.front, workload.input_shape))
    *_, (_, _, made) = convolutional.shapes(workload.front, workload.input_shape)
    W, b = weights[n_kernels]
    behind = (columns(W, made).reshape(W.shape), b)
    return [*((kernel(W), b) for W, b in weights[:n_kernels]), behind, *weights[n_kernels + 1 :]]
