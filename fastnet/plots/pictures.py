"""Samples that are images, with what they were taken for."""

import math
from typing import Any

import numpy as np

from ..data.arrays import as_numbers
from .arguments import labels_of, require_one_kind
from .figures import axes_row, image_on, shortened, text_width
from .palette import WRONG, background_of, is_dark

_IN_A_ROW = 12
_SIDE = 1.1  # of an image, in inches


def images(images: Any, predicted: Any = None, true: Any = None, *, ax: Any = None) -> np.ndarray:
    """Images side by side, each under its predicted label; where that is wrong, with the true one, in another colour.

    Parameters
    ----------
    images : array (n, h, w), or (n, h, w, 3) of red, green and blue
        Numbers of any range, the largest of all drawn white; colours are integers from 0 to 255, or floats from 0 to 1.
    predicted : array (n,), optional
        Labels, which are the titles.
    true : array (n,), optional
        The labels that are right.
    ax : sequence of n axes of matplotlib, optional

    Returns
    -------
    array (n,) of Axes

    Raises
    ------
    ValueError, TypeError
        For arrays of other shapes, for NaN, and for `true` labels without predicted ones.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.digits()
    >>> axes = fn.plots.images(X[:2].reshape(-1, 8, 8), predicted=[0, 7], true=y[:2])
    >>> axes[0].get_title(), axes[1].get_title()
    ('0', '7 (is 1)')
    """
    pixels = as_numbers("images", images)
    pixels = pixels[..., 0] if pixels.ndim == 4 and pixels.shape[3] == 1 else pixels
    n = len(pixels) if pixels.ndim else 0
    if not n or pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[3] != 3):
        raise ValueError(f"images has shape {pixels.shape}: give (n, h, w), or (n, h, w, 3) of colours")
    if not np.isfinite(pixels).all():
        raise ValueError("images holds NaN or infinity: replace or leave out what is no number")
    most = 1 if pixels.dtype.kind == "f" else 255
    if pixels.ndim == 4 and (pixels.min() < 0 or pixels.max() > most):
        raise ValueError(
            f"images holds colours of {pixels.min()} to {pixels.max()}: give {pixels.dtype} of 0 to {most}"
        )
    if predicted is None and true is not None:
        raise ValueError("true is given without predicted: give both, or the labels as predicted")
    titles, are_wrong = _titles(predicted, true, n)
    columns = min(n, _IN_A_ROW)
    rows = math.ceil(n / columns)
    axes = axes_row(ax, rows, columns, n, (_SIDE * columns, (_SIDE + 0.4) * rows))
    size = _title_size(titles)
    for each, image, title, is_wrong in zip(axes, pixels, titles, are_wrong, strict=True):
        color = {"color": WRONG[is_dark(background_of(each))], "fontweight": "bold"} if is_wrong else {}
        options = {"cmap": "gray", "vmin": pixels.min(), "vmax": pixels.max()} if image.ndim == 2 else {}
        image_on(each, image, **options)
        each.set_title(title, fontsize=size, **color)
        each.axis("off")
    return axes


def _titles(predicted: Any, true: Any, n: int) -> tuple[list[str], list[bool]]:
    """A title for each of n images, and whether its prediction is wrong."""
    if predicted is None:
        return [""] * n, [False] * n
    said = labels_of("predicted", predicted, n)
    right = said if true is None else labels_of("true", true, n)
    require_one_kind(predicted=said, true=right)
    are_wrong = (said != right).tolist()
    pairs = zip(said.tolist(), right.tolist(), are_wrong, strict=True)
    return [shortened(f"{label} (is {truth})" if wrong else str(label), 24) for label, truth, wrong in pairs], are_wrong


def _title_size(titles: list[str]) -> float:
    """Points, so that no title reaches into the next."""
    widest = max(text_width(title, 10) for title in titles)
    return min(10.0, 10.0 * 0.8 * _SIDE * 72 / widest) if widest else 10.0
