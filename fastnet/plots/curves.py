"""What was measured, epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..checks import known
from ..metrics import direction
from .figures import axes_on, axes_row

_FEW = 30  # epochs, each of which has a point


def history(history: Mapping[str, Sequence[float]], names: str | Sequence[str] = "cost", *, ax: Any = None) -> Any:
    """Lists of a history by epoch, those of the validation data as dashed lines beside them.

    The axis is logarithmic for what should become small, such as the cost, where it falls to less than a tenth.

    Parameters
    ----------
    history : History, or mapping of names to sequences with one number an epoch
    names : str or sequence of str
        Which lists: "cost", "accuracy", ...; each with its "validation_" twin. Several are drawn below each other.
    ax : axes of matplotlib, optional
        For several names a sequence with one for each.

    Returns
    -------
    Axes, or for several names an array of them

    Raises
    ------
    ValueError
        For a name that is not in the history, a history without epochs, or another number of axes.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.planar()
    >>> found = fn.LogisticRegression().fit(X, y, epochs=5, validation_data=(X, y), verbose=False)
    >>> [line.get_label() for line in fn.plots.history(found, "accuracy").lines]
    ['accuracy', 'validation_accuracy']
    >>> fn.plots.history(found, ["cost", "accuracy"]).shape
    (2,)
    """
    panels = _panels(history, [names] if isinstance(names, str) else list(names))
    if len(panels) == 1:
        axes = [axes_on(ax)]
    else:
        axes = list(axes_row(ax, len(panels), 1, len(panels), (6.4, 1.2 + 2.4 * len(panels)), sharex=True))
    for each, (name, lists) in zip(axes, panels.items(), strict=True):
        _draw(each, name, {label: np.asarray(history[label], float) for label in lists}, _direction(history, name))
        if ax is None:
            each.label_outer()
    return axes[0] if len(axes) == 1 else np.array(axes)


def _panels(history: Mapping[str, Sequence[float]], names: list[str]) -> dict[str, list[str]]:
    """The lists of each panel, by the name without "validation_"."""
    if not names:
        raise ValueError(f"names=[] is empty: give some of {', '.join(map(repr, history))}")
    panels: dict[str, list[str]] = {}
    for name in names:
        known("name", name, history)
        lists = panels.setdefault(name.removeprefix("validation_"), [])
        lists += [twin for twin in (name, f"validation_{name}") if twin in history and twin not in lists]
    if not any(len(history[name]) for lists in panels.values() for name in lists):
        raise ValueError("the history has no epochs yet: draw it after fit")
    return panels


def _direction(history: Mapping[str, Sequence[float]], name: str) -> str | None:
    """Whether a list should fall, "min": a history may know it of metrics of one's own."""
    found: str | None = getattr(history, "direction", direction)(name)
    return found


def _draw(ax: Any, name: str, lists: Mapping[str, np.ndarray], direction: str | None) -> None:
    from matplotlib.ticker import MaxNLocator

    color = None
    for label, values in lists.items():
        # A line shows no epoch that stands alone, as the only one, or as the only one of its kind that was measured.
        marker = "." if len(values) < _FEW else None
        style = "--" if label.startswith("validation_") else "-"
        epochs = np.arange(1, len(values) + 1)
        color = ax.plot(epochs, values, style, label=label, marker=marker, color=color)[0].get_color()
    drawn = np.concatenate(list(lists.values()))
    drawn = drawn[np.isfinite(drawn)]
    if direction == "min" and drawn.size and drawn.min() > 0 and drawn.max() > 10 * drawn.min():
        ax.set_yscale("log")
        for which in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
            which(_plain_numbers())
    ax.set_xlabel("epoch")
    # What was drawn on the same axes before is named, too.
    before = [text for text in ax.get_ylabel().split(", ") if text not in ("", name)]
    ax.set_ylabel(", ".join([*before, name]))
    ax.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    if len(ax.lines) > 1:
        ax.legend()


def _plain_numbers() -> Any:
    """What names numbers of a logarithmic axis as 0.2 and 50, where matplotlib has powers of ten; as many of them."""
    from matplotlib.ticker import LogFormatterSciNotation

    class PlainNumbers(LogFormatterSciNotation):  # type: ignore[misc]
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    return PlainNumbers()
