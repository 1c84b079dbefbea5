"""What a model predicts in each place of the plane."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.arrays import as_array
from ..data.samples import as_rows
from .arguments import labels_of
from .figures import axes_on, image_on, shortened, text_width
from .palette import class_styles

_ACROSS = 300  # places in each direction
_MARGIN = 0.08  # of the samples' range
_IN_A_COLUMN = 20  # labels of a legend
_PALE = 0.35  # how much of its colour a region has


def decision_boundary(model: Any, X: Any, y: Any, *, ax: Any = None) -> Any:
    """Which label, or number, a model of two features predicts in each place of the plane, with samples and their y.

    Parameters
    ----------
    model : Network, another object with `predict`, or a function
        `predict` takes rows (n, 2) and returns labels (n,), or numbers, such as probabilities.
    X : array (m, 2)
        Samples. Columns of a data frame give the axes their names.
    y : array (m,)
        Labels of any kind, all that `predict` returns among them; or numbers.
    ax : axes of matplotlib, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError, TypeError
        If X is not (m, 2), y not (m,), some are missing, or `predict` returns something else, such as a label that is
        not in y.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.planar()
    >>> axes = fn.plots.decision_boundary(fn.LogisticRegression().build(2), X, y)
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['0', '1']
    """
    samples = as_rows(X, np.dtype(np.float64)).astype(np.float64)
    if samples.shape[1] != 2:
        raise ValueError(
            f"X has {samples.shape[1]} features a sample: give two, (m, 2), to draw the samples in the plane"
        )
    targets = as_array("y", y)
    targets = targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets
    if targets.shape != (len(samples),):
        raise ValueError(f"y has shape {targets.shape}: give one label or number a sample, ({len(samples)},)")
    if targets.dtype.kind == "f" and not np.isfinite(targets).all():
        raise ValueError("y holds NaN or infinity: fill in what is missing, or leave the row out")
    low, high = samples.min(axis=0), samples.max(axis=0)
    margin = np.where(high > low, _MARGIN * (high - low), 0.5)
    low, high = low - margin, high + margin
    across, up = np.meshgrid(*(np.linspace(low[i], high[i], _ACROSS) for i in range(2)))
    predicted = _predicted(model, np.column_stack([across.ravel(), up.ravel()]))
    draw = _draw_numbers if _has_fractions(targets) or _has_fractions(predicted) else _draw_labels
    ax = draw(ax, (across, up), predicted, samples, targets)
    for name, set_label in zip(getattr(X, "columns", ()), (ax.set_xlabel, ax.set_ylabel), strict=False):
        set_label(str(name))
    return ax


def _predicted(model: Any, places: np.ndarray) -> np.ndarray:
    predict: Callable[[np.ndarray], Any] | None = getattr(model, "predict", model if callable(model) else None)
    if predict is None:
        raise TypeError(f"model is a {type(model).__name__}: give a network, or a function that returns labels (n,)")
    predicted = as_array("what predict returns", predict(places))
    predicted = predicted[:, 0] if predicted.ndim == 2 and predicted.shape[1] == 1 else predicted
    if predicted.shape != (len(places),):
        raise ValueError(
            f"predict returns {predicted.shape} for {len(places)} samples: give a model of one label or number a "
            "sample, such as a network, whose predict is used"
        )
    if predicted.dtype.kind == "f" and not np.isfinite(predicted).all():
        raise ValueError("predict returns NaN or infinity: train the model anew")
    return predicted


def _has_fractions(values: np.ndarray) -> bool:
    return values.dtype.kind == "f" and bool((values != np.floor(values)).any())


def _draw_labels(
    ax: Any, grid: tuple[np.ndarray, np.ndarray], predicted: np.ndarray, X: np.ndarray, y: np.ndarray
) -> Any:
    from matplotlib import rcParams
    from matplotlib.colors import ListedColormap

    labels, classes = np.unique(labels_of("y", y), return_inverse=True)
    where = _places(labels_of("what predict returns", predicted), labels).reshape(grid[0].shape)
    k, names = len(labels), [shortened(str(label)) for label in labels.tolist()]
    columns = -(-k // _IN_A_COLUMN)
    beside = columns * (max(text_width(name, 10) for name in names) + 50)  # of the legend
    is_own, ax = ax is None, axes_on(ax, (5.6 + beside / 72, 4.8))
    colors, markers = class_styles(k)
    extent = (grid[0].min(), grid[0].max(), grid[1].min(), grid[1].max())
    # Pixel by pixel: contours between the first and the third label would pass through the second.
    image_on(
        ax, where, cmap=ListedColormap(colors), vmin=-0.5, vmax=k - 0.5, extent=extent, origin="lower", aspect="auto",
        interpolation="nearest", alpha=_PALE,
    )  # fmt: skip
    ink = rcParams["text.color"]
    for index in np.unique(where):
        if not (where == index).all():
            ax.contour(*grid, where == index, levels=[0.5], colors=[ink], linewidths=0.6)
    for index, name in enumerate(names):
        chosen = X[classes == index]
        ax.scatter(
            *chosen.T, color=colors[index], marker=markers[index], edgecolors=ink, linewidths=0.4, s=20,
            label=name,
        )  # fmt: skip
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0} if is_own else {}
    ax.legend(ncols=columns, **place)
    return ax


def _draw_numbers(
    ax: Any, grid: tuple[np.ndarray, np.ndarray], predicted: np.ndarray, X: np.ndarray, y: np.ndarray
) -> Any:
    from matplotlib import rcParams

    if "U" in (y.dtype.kind, predicted.dtype.kind):
        what = "y holds strings and predict returns numbers"
        raise ValueError(f"{what if y.dtype.kind == 'U' else 'predict returns strings and y holds numbers'}: "
                         "give a y of what predict returns")  # fmt: skip
    values, truth = predicted.astype(float).reshape(grid[0].shape), y.astype(float)
    ax = axes_on(ax)
    low, high = min(values.min(), truth.min()), max(values.max(), truth.max())
    extent = (grid[0].min(), grid[0].max(), grid[1].min(), grid[1].max())
    options = {"cmap": "viridis", "vmin": low, "vmax": high}
    image = image_on(ax, values, extent=extent, origin="lower", aspect="auto", interpolation="bilinear", **options)
    ax.scatter(*X.T, c=truth, edgecolors=rcParams["text.color"], linewidths=0.6, s=22, **options)
    ax.get_figure().colorbar(image, ax=ax, label="predicted; points: y")
    ax.set_xlim(*extent[:2])
    ax.set_ylim(*extent[2:])
    return ax


def _places(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The index (n,) of each predicted label among `labels`."""
    seen, inverse = np.unique(predicted, return_inverse=True)
    index = {label: place for place, label in enumerate(labels.tolist())}
    strange = [label for label in seen.tolist() if label not in index]
    if strange:
        raise ValueError(
            f"predict returns {strange[0]!r}, which is no label of y ({', '.join(map(repr, list(index)[:8]))}): "
            "give a model that returns labels, such as a network, and a y with all of them"
        )
    return np.array([index[label] for label in seen.tolist()])[inverse]
