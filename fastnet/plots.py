"""Pictures, with matplotlib (extra `[plot]`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .checks import known


def plot_history(history: Mapping[str, Sequence[float]], names: str | Sequence[str] = "cost", *, ax: Any = None) -> Any:
    """Lists of a history by epoch, each with that of the validation data where there is one; returns the axes.

    Raises
    ------
    ValueError
        For a name that is not in the history, or a history of no epochs.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.planar()
    >>> history = fn.LogisticRegression().fit(X, y, epochs=5, validation_data=(X, y), verbose=False)
    >>> [line.get_label() for line in fn.plots.plot_history(history, "accuracy").lines]
    ['accuracy', 'validation_accuracy']
    """
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        known("name", name, history)
    if not history["cost"]:
        raise ValueError("the history has no epochs yet: draw it after fit")
    shown = dict.fromkeys(twin for name in names for twin in (name, f"validation_{name}") if twin in history)
    ax = _pyplot().subplots()[1] if ax is None else ax
    for name in shown:
        values = np.asarray(history[name])
        # A line shows no epoch that stands alone, as the only one, or as the only one of its kind that was measured.
        ax.plot(np.arange(1, len(values) + 1), values, label=name, marker="." if len(values) < 30 else None)
    ax.set_xlabel("epoch")
    ax.set_ylabel(", ".join(names))
    ax.xaxis.get_major_locator().set_params(integer=True)
    drawn = np.concatenate([history[name] for name in shown])
    if names == ["cost"] and np.nanmin(drawn) > 0 and np.nanmax(drawn) > 10 * np.nanmin(drawn):
        ax.set_yscale("log")
    ax.legend()
    return ax


def plot_images(images: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> Any:
    """Images (n, h, w) in a row, each with its predicted label, red where that is wrong; returns the figure."""
    n = len(images)
    figure, axes = _pyplot().subplots(1, n, figsize=(1.1 * n, 1.6), squeeze=False)
    for ax, image, label, right in zip(axes[0], images, predicted, true, strict=True):
        ax.imshow(image, cmap="gray_r")
        ax.set_title(
            str(label) if label == right else f"{label} (is {right})", color="black" if label == right else "red"
        )
        ax.axis("off")
    figure.tight_layout()
    return figure


def plot_boundary(predict: Callable[[np.ndarray], np.ndarray], X: Any, y: Any, *, ax: Any = None) -> Any:
    """Which label `predict` gives to each place of the plane, with samples X (m, 2) and their labels y; the axes.

    `predict` takes rows (n, 2) and returns labels (n,), as `Network.predict` does; labels may be strings.

    Raises
    ------
    ValueError
        If X is not (m, 2), y not (m,), or `predict` returns what is no label of y.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.planar()
    >>> net = fn.LogisticRegression().build(2)
    >>> axes = fn.plots.plot_boundary(net.predict, X, y)
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['0', '1']
    """
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or X.shape[1] != 2:
        raise ValueError(f"X has shape {X.shape}: give samples of two features, (m, 2), to draw them in the plane")
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != (len(X),):
        raise ValueError(f"y has shape {y.shape}: give one label a sample, ({len(X)},)")
    labels, classes = np.unique(y, return_inverse=True)
    low, high = X.min(axis=0) - 0.5, X.max(axis=0) + 0.5
    across, up = np.meshgrid(np.linspace(low[0], high[0], 300), np.linspace(low[1], high[1], 300))
    where = _places(np.asarray(predict(np.column_stack([across.ravel(), up.ravel()]))), labels)
    ax = _pyplot().subplots()[1] if ax is None else ax
    colors = _colors(len(labels))
    edges = np.arange(len(labels) + 1) - 0.5
    ax.contourf(across, up, where.reshape(across.shape), levels=edges, colors=colors, alpha=0.4)
    for index, label in enumerate(labels):
        chosen = X[classes == index]
        ax.scatter(*chosen.T, color=colors[index], edgecolors="black", linewidths=0.3, s=18, label=str(label))
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.legend()
    return ax


def _places(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The index (n,) of each predicted label among `labels`."""
    seen, inverse = np.unique(predicted, return_inverse=True)
    index = {label: place for place, label in enumerate(labels.tolist())}
    strange = [label for label in seen.tolist() if label not in index]
    if strange:
        raise ValueError(
            f"predict returns {strange[0]!r}, which is no label of y ({', '.join(map(repr, list(index)[:8]))}): "
            "give a function that returns labels, such as net.predict, and a y with all of them"
        )
    return np.array([index[label] for label in seen.tolist()])[inverse]


def _colors(count: int) -> Any:
    """Colours (count, 4) that can be told apart."""
    plt = _pyplot()
    return plt.get_cmap("tab10")(np.arange(count)) if count <= 10 else plt.get_cmap("turbo")(np.linspace(0, 1, count))


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install 'fastnet-numba[plot]'") from error
    return plt
