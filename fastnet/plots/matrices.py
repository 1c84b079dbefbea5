"""The weights of a layer."""

import math
from typing import Any

import numpy as np

from ..checks import positive_integer
from ..layers import Node, Steps
from ..layers.stack import nodes_of
from .figures import axes_on, image_on
from .mosaic import frame, mosaic
from .palette import diverging


def weights(net: Any, layer: int = 1, *, shape: Any = None, ax: Any = None) -> Any:
    """W of a layer: a small image for each of its units where its inputs are images, and else one row a unit.

    Units and inputs are counted from 0, as in `net.parameters`. Colours say sign and size: 0 has the colour of the
    background. The channels of an image lie side by side.

    Parameters
    ----------
    net : Network
    layer : int
        l of W[l], counted from 1: dense layers have numbers, as in `net.parameters["W1"]`.
    shape : sequence of int, optional
        (h, w) or (h, w, c) of the layer's inputs, where a network takes images as features; otherwise it is known.
    ax : axes of matplotlib, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError, TypeError
        Before the network is built, for a layer that is not there, a `shape` of another size, and NaN.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> import fastnet as fn
    >>> net = fn.Network([fn.Dense(16, "relu"), fn.Dense(10, "softmax")]).build(64)
    >>> fn.plots.weights(net, shape=(8, 8)).get_title()
    'W1 (16, 64)'
    >>> fn.plots.weights(net, layer=2).get_xlabel()
    'input'
    """
    number = positive_integer("layer", layer)
    W, inputs = _matrix(net, number)
    extents = tuple(extent for extent in _shape(inputs, shape, W.shape[1]) if extent > 1)
    is_images = len(extents) in (2, 3)
    if is_images:
        drawn, corners, columns = mosaic(W.reshape(len(W), *extents))
        size = (7.0, max(1.5, 5.2 * drawn.shape[0] / drawn.shape[1] + 0.5))
    else:
        drawn, size = W, (6.4, 4.8)
    ax = axes_on(ax, size)
    most = float(np.abs(W).max()) or 1.0
    aspect = "equal" if is_images else "auto"
    image = image_on(ax, drawn, cmap=diverging(ax), vmin=-most, vmax=most, interpolation="nearest", aspect=aspect)
    ax.set_title(f"W{number} {W.shape}")
    if is_images:
        frame(ax, corners, columns, "units", extents[2] if len(extents) == 3 else 1)
    else:
        _count(ax)
    ax.get_figure().colorbar(image, ax=ax, label="weight")
    return ax


def _matrix(net: Any, number: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """W (n_l, n_{l-1}) of a layer, and the shape of what a row is for: an image's where it sees all of one."""
    W, node = weights_of(net, number)
    if W.ndim != 2:
        raise ValueError(f"layer={number} is a convolution: fn.plots.filters(net, {number}) draws it")
    # Layers for sequences see one step at a time, recurrent ones beside their states.
    sees_all = node.is_dense and not isinstance(node.input_shape, Steps)
    return W, node.input_shape if sees_all else W.shape[1:]


def weights_of(net: Any, number: int) -> tuple[np.ndarray, Node]:
    """W of a layer, in float64, and the layer at its place; ValueError for what cannot be drawn."""
    if not hasattr(net, "require_parameters"):
        raise TypeError(f"net is a {type(net).__name__}: give a fastnet.Network; fn.from_sklearn(model) makes one")
    net.require_parameters()
    with net.reading():
        found = {node.number: node for node in nodes_of(net.layers, net.input_shape) if node.n_weights}
        if number not in found:
            raise ValueError(f"layer={number} is not there: choose one of {', '.join(map(str, found))}")
        W: np.ndarray = net.parameters[f"W{number}"].astype(np.float64)
    if not np.isfinite(W).all():
        raise ValueError(f"W{number} holds NaN or infinity: set the parameters anew, or build(n_inputs) again")
    return W, found[number]


def _shape(inputs: tuple[int, ...], given: Any, n: int) -> tuple[int, ...]:
    """The shape of a layer's inputs, by what is given, or known."""
    if given is None:
        return inputs
    shape = tuple(positive_integer(f"shape[{i}]", extent) for i, extent in enumerate(given))
    if math.prod(shape) != n or not 1 <= len(shape) <= 3:
        raise ValueError(f"shape={shape} is not that of {n} inputs: give (h, w) or (h, w, c) of {n} numbers")
    return shape


def _count(ax: Any) -> None:
    """Number inputs and units."""
    from matplotlib.ticker import MaxNLocator

    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel("input")
    ax.set_ylabel("unit")
