"""Many small images in one."""

import math
from typing import Any

import numpy as np

_MOST_ROWS = 12  # of images whose units are named


def mosaic(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Images (n, h, w) or (n, h, w, c) in rows and columns, apart by numbers that are masked; channels side by side.

    With them the first and the last row and column of each, (n, 4), and how many there are in a row.
    """
    if images.ndim == 4:
        images = np.concatenate(list(np.moveaxis(images, 3, 0)), axis=2)
    n, h, w = images.shape
    gap = max(1, round(0.08 * min(h, w)))
    # About half as wide again as high.
    columns = min(n, max(1, math.ceil(math.sqrt(1.5 * n * (h + gap) / (w + gap)))))
    rows = math.ceil(n / columns)
    whole, corners = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap), np.nan), np.empty((n, 4))
    for index, image in enumerate(images):
        y, x = index // columns * (h + gap), index % columns * (w + gap)
        whole[y : y + h, x : x + w] = image
        corners[index] = y, y + h - 1, x, x + w - 1
    return np.ma.masked_invalid(whole), corners, columns


def frame(ax: Any, corners: np.ndarray, columns: int, name: str, channels: int = 1) -> None:
    """Put a frame around each image and lines between its channels, and say at rows which units they have.

    Of many rows those have names that there is room for.
    """
    from matplotlib import rcParams
    from matplotlib.collections import LineCollection

    sides = corners + np.array([-0.5, 0.5, -0.5, 0.5])
    frames = [
        [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)] for top, bottom, left, right in sides
    ]
    frames += [
        [(left + (right - left) * channel / channels, edge) for edge in (top, bottom)]
        for top, bottom, left, right in sides
        for channel in range(1, channels)
    ]
    ax.add_collection(
        LineCollection(frames, colors=[rcParams["axes.edgecolor"]], linewidths=0.4, alpha=0.5), autolim=False
    )
    n, firsts = len(corners), range(0, len(corners), columns)
    shown = firsts[:: math.ceil(len(firsts) / _MOST_ROWS)]
    lasts = [min(first + columns, n) - 1 for first in shown]
    names = [f"{first}–{last}" if last > first else str(first) for first, last in zip(shown, lasts, strict=True)]  # noqa: RUF001
    ax.set_yticks([corners[first, :2].mean() for first in shown], names)
    ax.set_xticks([])
    ax.set_ylabel(name)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
