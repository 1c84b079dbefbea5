"""Which labels are taken for which."""

from typing import Any

import numpy as np

from ..checks import known
from ..metrics import counts_of
from .arguments import labels_of, require_one_kind
from .figures import axes_on, image_on, points_of, shortened, text_width
from .palette import readable_on, sequential

_CELL, _TALLEST = 26.0, 1000.0  # points: of a cell at least, and of all of them at the most
_FEW = 10  # labels, among which a 0 is no clutter
_SMALLEST = 5.0  # points that can still be read
_SHARES = {"true": 1, "pred": 0, "all": None}  # by what a count is divided: the sum along this axis


def confusion_matrix(
    y_true: Any, y_pred: Any, *, labels: Any = None, normalize: str | None = None, ax: Any = None
) -> Any:
    """How many samples of each label, a row, were predicted as each label, a column.

    Cells have their numbers in them, of more than 10 labels those above 0, or where they would be too small to be read
    there is a colour bar beside them.

    Parameters
    ----------
    y_true, y_pred : array (m,)
        Labels: integers, strings or booleans.
    labels : array (k,), optional
        All labels, in the order in which they are drawn; unless given, those there are, sorted.
    normalize : str, optional
        "true": shares of the samples of a label, a row; "pred": of the predictions of a label, a column; "all": of
        all samples. A label without samples, or predictions, has no shares: these cells hold a dash.
    ax : axes of matplotlib, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError, TypeError
        For arrays of other shapes, missing values, strings beside numbers, an unknown `normalize`, and labels that
        are not among `labels`.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> import fastnet as fn
    >>> axes = fn.plots.confusion_matrix(["cat", "dog", "dog"], ["cat", "cat", "dog"])
    >>> [text.get_text() for text in axes.texts]
    ['1', '0', '1', '1']
    """
    if normalize is not None:
        known("normalize", normalize, _SHARES)
    names, counts = _counts(y_true, y_pred, labels)
    numbers: np.ndarray = counts.astype(float)
    if normalize is not None:
        total = counts.sum(axis=_SHARES[normalize], keepdims=True)
        numbers = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    is_share = normalize is not None
    texts = [[_text(number, is_share) for number in row] for row in numbers.tolist()]
    k, shown = len(names), [shortened(name) for name in names]

    widest = max(text_width(text, 10) for text in {text for row in texts for text in row})
    longest = max(text_width(name, 10) for name in shown)
    side = min(k * max(_CELL, 1.4 * widest), _TALLEST)
    around = 60 + longest  # labels, titles of the axes
    is_own, ax = ax is None, axes_on(ax, (max(side + around, 200) / 72, max(side + around, 200) / 72))
    most = 1.0 if normalize in ("true", "pred") else max(float(np.nanmax(numbers)), 1e-9)
    image = image_on(ax, numbers, cmap=sequential(ax), vmin=0, vmax=most, interpolation="nearest")
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    _name_cells(ax, shown, longest / 10, side / k if is_own else None)
    cell = min(points_of(ax)) / k
    size = min(10.0, 0.75 * cell, 10 * 0.8 * cell / widest)
    if size < _SMALLEST:
        ax.get_figure().colorbar(image, ax=ax)
        return ax
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            if k > _FEW and numbers[i, j] == 0:
                continue
            ax.text(
                j, i, text, ha="center", va="center", fontsize=size, color=readable_on(_color(image, numbers[i, j]))
            )
    return ax


def _counts(y_true: Any, y_pred: Any, labels: Any) -> tuple[list[str], np.ndarray]:
    """The labels as text, and the counts (k, k)."""
    truth = labels_of("y_true", y_true)
    predicted = labels_of("y_pred", y_pred, len(truth))
    require_one_kind(y_true=truth, y_pred=predicted)
    if labels is None:
        order = np.unique(np.concatenate([truth, predicted]))
    else:
        order = labels_of("labels", labels)
        require_one_kind(labels=order, y_true=truth)
        if len(np.unique(order)) < len(order):
            raise ValueError(f"labels={order.tolist()} has some more than once: give each label once")
    place = {label: index for index, label in enumerate(order.tolist())}
    for name, array in (("y_true", truth), ("y_pred", predicted)):
        strange = [label for label in np.unique(array).tolist() if label not in place]
        if strange:
            raise ValueError(f"{name} holds {strange[0]!r}, which is not among labels: give all labels, or none")
    index = [np.array([place[label] for label in array.tolist()]) for array in (truth, predicted)]
    return [str(label) for label in order.tolist()], counts_of(index[0], index[1], len(order))


def _text(number: float, is_share: bool) -> str:
    return "–" if np.isnan(number) else f"{number:.2f}" if is_share else f"{number:.0f}"  # noqa: RUF001


def _color(image: Any, number: float) -> Any:
    """The colour of a cell, which is that of the background where there is no number."""
    return image.cmap(image.norm(0.0 if np.isnan(number) else number))[:3]


def _name_cells(ax: Any, names: list[str], width: float, cell: float | None) -> None:
    """Write the labels at rows and columns, upright where they would reach into each other.

    `width` is that of the longest one at 1 point, `cell` a cell's, or None to look how large cells are.
    """
    places = range(len(names))
    ax.set_xticks(places, names)
    ax.set_yticks(places, names)
    cell = min(points_of(ax)) / len(names) if cell is None else cell
    usual = ax.xaxis.get_ticklabels()[0].get_fontsize()
    size = min(usual, max(0.8 * cell, _SMALLEST))
    step = max(1, int(np.ceil(1.2 * size / cell)))  # where even small labels do not fit, some are left out
    ax.set_xticks(places[::step], names[::step])
    ax.set_yticks(places[::step], names[::step])
    ax.tick_params(labelsize=size)
    if width * size > 0.9 * cell * step:
        ax.tick_params(axis="x", labelrotation=90)
