"""A network, layer by layer."""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..summary import LayerRow, rows_of, totals_of
from .figures import axes_on, points_of, text_width
from .palette import sequential

_MOST_UNITS = 12  # drawn one by one
_PITCH, _MIDDLE, _GAP = 36.0, 220.0, 14.0  # points: from a layer to the next, widest layer, between columns
_SIZE, _SMALLER = 9.0, 7.5  # of text, in points, where there is room
_UNIT, _APART, _FRAME = 9.0, 12.0, 20.0  # points: a unit's diameter, from one to the next, an image's height


class _Layer(NamedTuple):
    """What is drawn of the inputs or of a layer, in points."""

    row: LayerRow
    y: float
    width: float
    height: float
    keeps_shape: bool  # and only changes its numbers

    @property
    def units(self) -> np.ndarray:
        """Where its units are across, from the middle; empty where they are too many, or pixels."""
        shape = self.row.shape or ()
        few = len(shape) == 1 and shape[0] <= _MOST_UNITS and not self.keeps_shape
        return (np.arange(shape[0]) - (shape[0] - 1) / 2) * _APART if few else np.empty(0)

    @property
    def half(self) -> float:
        """From its middle to its side."""
        return float(self.units[-1] + _UNIT / 2) if self.units.size else self.width / 2


def network(net: Any, *, ax: Any = None) -> Any:
    """The layers of a network from top to bottom, with their settings, output shapes and numbers of parameters.

    Units are drawn one by one if they are 12 at the most; else a layer's width grows with the logarithm of their
    number. Images are frames, one behind the other for channels. What keeps the shape, such as Dropout, is a line.

    Parameters
    ----------
    net : Network
    ax : axes of matplotlib, optional
        Text becomes as small as they want it.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError, TypeError
        Before the network is built, and for what is no network.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> import fastnet as fn
    >>> net = fn.Network([fn.Dense(16, "relu"), fn.Dense(3, "softmax")]).build(4)
    >>> [text.get_text() for text in fn.plots.network(net).texts if "Dense" in text.get_text()]
    ['1 Dense', '2 Dense']
    """
    if not hasattr(net, "require_parameters"):
        raise TypeError(f"net is a {type(net).__name__}: give a fastnet.Network; fn.from_sklearn(model) makes one")
    net.require_parameters()
    with net.reading():
        rows, totals = rows_of(net), totals_of(net)
    left = max(max(text_width(row.layer, _SIZE), text_width(row.settings, _SMALLER)) for row in rows)
    right = max(max(text_width(row.output, _SIZE), text_width(_parameters(row), _SMALLER)) for row in rows)
    width, height = left + _MIDDLE + right + 4 * _GAP, _PITCH * (len(rows) + 1)
    ax = axes_on(ax, (width / 72, height / 72))
    ax.axis("off")
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.set_aspect("equal")
    there = points_of(ax)
    scale = min(1.0, there[0] / width, there[1] / height)  # of text, which does not shrink with the axes by itself

    layers = _layers(rows)
    middle = left + 2 * _GAP + _MIDDLE / 2
    for before, layer in pairwise(layers):
        _draw_connections(ax, before, layer, middle)
    for layer in layers:
        _draw_layer(ax, layer, middle)
        _write(ax, (layer.row.layer.strip(), layer.row.settings), _GAP, layer.y, scale)
        _write(ax, (layer.row.output, _parameters(layer.row)), width - right - _GAP, layer.y, scale)
    fitting = min(_SIZE, _SIZE * (width - _GAP) / text_width(totals, _SIZE))
    ax.text(width / 2, height - 0.5 * _PITCH, totals, ha="center", va="center", fontsize=fitting * scale)
    return ax


def _parameters(row: LayerRow) -> str:
    return "" if row.parameters == "0" else f"{row.parameters} parameter{'s' * (row.parameters != '1')}"


def _layers(rows: list[LayerRow]) -> list[_Layer]:
    units = [max(_MOST_UNITS + 1, math.prod(row.shape or ())) for row in rows]
    narrowest, most = _MOST_UNITS * _APART, math.log(max(units) / _MOST_UNITS)
    found: list[_Layer] = []
    for index, row in enumerate(rows):
        keeps_shape = index > 0 and row.shape == rows[index - 1].shape and not row.layer[:1].isdigit()
        height = 2.0 if keeps_shape else _UNIT if len(row.shape or ()) == 1 else _FRAME
        width = narrowest + (_MIDDLE - narrowest) * math.log(units[index] / _MOST_UNITS) / most
        found.append(_Layer(row, _PITCH * (0.6 + index), width, height, keeps_shape))
    return found


def _draw_connections(ax: Any, before: _Layer, layer: _Layer, middle: float) -> None:
    """Lines from unit to unit, or, where these would be too many, the area that they fill."""
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Polygon

    top, bottom = before.y + before.height / 2, layer.y - layer.height / 2
    color = sequential(ax)(0.35)
    if before.units.size and layer.units.size:
        lines = [[(middle + a, before.y), (middle + b, layer.y)] for a in before.units for b in layer.units]
        ax.add_collection(LineCollection(lines, colors=[color], linewidths=0.7, zorder=1), autolim=False)
        return
    sides = [(-before.half, top), (before.half, top), (layer.half, bottom), (-layer.half, bottom)]
    ax.add_patch(Polygon([(middle + x, y) for x, y in sides], facecolor=color, alpha=0.5, linewidth=0, zorder=1))


def _draw_layer(ax: Any, layer: _Layer, middle: float) -> None:
    from matplotlib.patches import Ellipse, Rectangle

    strong, pale = sequential(ax)(1.0), sequential(ax)(0.35)
    shape = layer.row.shape or ()
    for x in layer.units:
        ax.add_patch(Ellipse((middle + x, layer.y), _UNIT, _UNIT, facecolor=strong, linewidth=0, zorder=3))
    if layer.units.size:
        return
    is_image = len(shape) > 1 and not layer.keeps_shape
    frames = min(3, shape[2]) if is_image and len(shape) == 3 else 1
    for behind in reversed(range(frames)):
        corner = middle - layer.half + 3 * behind, layer.y - layer.height / 2 - 3 * behind
        colors = {"facecolor": pale, "edgecolor": strong} if is_image else {"facecolor": strong, "linewidth": 0}
        ax.add_patch(Rectangle(corner, 2 * layer.half, layer.height, zorder=3, **colors))


def _write(ax: Any, texts: tuple[str, str], x: float, y: float, scale: float) -> None:
    """Two lines, or only the first, which then stands in the middle."""
    first, second = texts
    ax.text(x, y, first, ha="left", va="bottom" if second else "center", fontsize=_SIZE * scale)
    if second:
        ax.text(x, y + 2, second, ha="left", va="top", fontsize=_SMALLER * scale)
