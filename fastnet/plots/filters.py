"""The filters of a convolution."""

from typing import Any

import numpy as np

from ..checks import positive_integer
from .figures import axes_on, image_on
from .matrices import weights_of
from .mosaic import frame, mosaic
from .palette import diverging


def filters(net: Any, layer: int = 1, *, ax: Any = None) -> Any:
    """W of a convolution: a small image for each of its filters, whose channels lie side by side.

    Filters are counted from 0, as in `net.parameters`. Colours say sign and size: 0 has the colour of the background.
    Filters of signals have a row for each channel, and steps from left to right.

    Parameters
    ----------
    net : Network
    layer : int
        l of W[l], counted from 1: of the first convolution, whose filters look at the samples themselves, or another.
    ax : axes of matplotlib, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError, TypeError
        Before the network is built, for a layer that is not there or no convolution, and for NaN.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> import fastnet as fn
    >>> net = fn.Network([fn.Conv2D(16, 5, activation="relu"), fn.Dense(10, "softmax")]).build((28, 28))
    >>> fn.plots.filters(net).get_title()
    'W1 (16, 5, 5, 1)'
    """
    number = positive_integer("layer", layer)
    W, _ = weights_of(net, number)
    if W.ndim not in (3, 4):
        raise ValueError(f"layer={number} is no convolution: fn.plots.weights(net, {number}) draws it")
    drawn, corners, columns = mosaic(W if W.ndim == 4 else np.moveaxis(W, 2, 1))
    ax = axes_on(ax, (7.0, max(1.5, 5.2 * drawn.shape[0] / drawn.shape[1] + 0.5)))
    most = float(np.abs(W).max()) or 1.0
    image = image_on(ax, drawn, cmap=diverging(ax), vmin=-most, vmax=most, interpolation="nearest")
    ax.set_title(f"W{number} {W.shape}")
    frame(ax, corners, columns, "filters", W.shape[3] if W.ndim == 4 else 1)
    ax.get_figure().colorbar(image, ax=ax, label="weight")
    return ax
