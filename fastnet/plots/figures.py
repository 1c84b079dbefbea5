"""Where pictures are drawn: on axes that are given, or in a figure of their own."""

import sys
from typing import Any

import numpy as np

_WITHOUT_WINDOWS = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")  # backends that only write files
_INCH = 72.0  # points


def axes_on(ax: Any, size: tuple[float, float] | None = None) -> Any:
    """`ax`, if it is one of matplotlib's axes, or for None the axes of a new figure, of `size` in inches.

    Raises
    ------
    ImportError
        Without matplotlib.
    TypeError
        For an `ax` that is something else.
    """
    _require_matplotlib()
    if ax is None:
        return _new_figure(size).subplots()
    return _checked("ax", ax)


def axes_row(ax: Any, rows: int, columns: int, count: int, size: tuple[float, float], **options: Any) -> np.ndarray:
    """`count` axes as an array (count,): those given in `ax`, or those of a new figure of `rows` by `columns`.

    `options` are those of matplotlib's `Figure.subplots`. Axes of a new figure that are too many are left out of it.

    Raises
    ------
    ImportError, TypeError
        As `axes_on`.
    ValueError
        For another number of axes.
    """
    _require_matplotlib()
    if ax is None:
        made = _new_figure(size).subplots(rows, columns, squeeze=False, **options).ravel()
        for unused in made[count:]:
            unused.remove()
        return np.asarray(made[:count])
    given = np.empty(np.size(ax), object)
    given[:] = np.ravel(np.asarray(ax, object))
    if len(given) != count:
        raise ValueError(f"ax has {len(given)} axes: give {count}, one a picture, or leave it out")
    for index, each in enumerate(given):
        _checked(f"ax[{index}]", each)
    return given


def image_on(ax: Any, pixels: Any, **options: Any) -> Any:
    """`ax.imshow(pixels, **options)`, without the grid that some styles would draw over it."""
    ax.grid(False)
    return ax.imshow(pixels, **options)


def points_of(ax: Any) -> tuple[float, float]:
    """Width and height of axes, in points, after everything in their figure has found its place."""
    figure = ax.get_figure()
    figure = getattr(figure, "figure", figure)  # of a part of a figure
    figure.draw_without_rendering()
    extent = ax.get_window_extent()
    return extent.width / figure.dpi * _INCH, extent.height / figure.dpi * _INCH


def text_width(text: str, size: float) -> float:
    """Points that a text takes in the style's font, at `size` points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), text, prop=FontProperties(size=size)).get_extents().width) if text.strip() else 0.0


def shortened(text: str, most: int = 32) -> str:
    """A long text with its middle left out, since the ends of labels are where they differ.

    Examples
    --------
    >>> shortened("a label that is far too long to be drawn", 16)
    'a label…be drawn'
    """
    if len(text) <= most:
        return text
    end = most // 2
    return f"{text[: most - end - 1]}…{text[-end:]}"


def _new_figure(size: tuple[float, float] | None) -> Any:
    """A figure that can be shown where there is somebody to see it, and that elsewhere nobody has to close."""
    if _pyplot_shows():
        import matplotlib.pyplot as plt

        return plt.figure(figsize=size, layout="constrained")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _pyplot_shows() -> bool:
    """Whether pyplot is in use, as it always is in a notebook, with a backend that shows its figures."""
    if "matplotlib.pyplot" not in sys.modules and "ipykernel" not in sys.modules:
        return False
    import matplotlib.pyplot as plt

    return str(plt.get_backend()).lower() not in _WITHOUT_WINDOWS


def _require_matplotlib() -> None:
    try:
        import matplotlib.axes  # noqa: F401
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install 'fastnet-numba[plot]'") from error


def _checked(name: str, ax: Any) -> Any:
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"{name} is a {type(ax).__name__}: give axes of matplotlib, as plt.subplots() returns them")
    return ax
