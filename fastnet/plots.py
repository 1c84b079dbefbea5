"""Pictures, with matplotlib (extra `[plot]`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


def plot_history(history: Mapping[str, Sequence[float]], ax: Any = None) -> Any:
    """The cost by epoch, and the validation cost where there is one; returns the axes."""
    ax = _pyplot().subplots()[1] if ax is None else ax
    epochs = np.arange(1, len(history["cost"]) + 1)
    ax.plot(epochs, history["cost"], label="training")
    if "validation_cost" in history:
        ax.plot(epochs, history["validation_cost"], label="validation")
    ax.set_xlabel("epoch")
    ax.set_ylabel("cost")
    if min(history["cost"], default=0) > 0:
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


def plot_boundary(predict: Callable[[np.ndarray], np.ndarray], X: np.ndarray, y: np.ndarray, ax: Any = None) -> Any:
    """Where in the plane `predict` says 1, with the samples X (m, 2) and their labels 0 or 1; returns the axes."""
    ax = _pyplot().subplots()[1] if ax is None else ax
    low, high = X.min(axis=0) - 0.5, X.max(axis=0) + 0.5
    across, up = np.meshgrid(np.linspace(low[0], high[0], 300), np.linspace(low[1], high[1], 300))
    where = predict(np.column_stack([across.ravel(), up.ravel()])).reshape(across.shape)
    ax.contourf(across, up, where, levels=[-0.5, 0.5, 1.5], cmap="Spectral", alpha=0.6)
    ax.scatter(X[:, 0], X[:, 1], c=y, cmap="Spectral", edgecolors="black", linewidths=0.3, s=18)
    return ax


def plot_groups(values: Mapping[str, Mapping[str, float]], label: str) -> Any:
    """Horizontal bars on a logarithmic axis: {group: {contestant: value}}; returns the figure."""
    contestants = list(dict.fromkeys(name for group in values.values() for name in group))
    height = 0.8 / len(contestants)
    figure, ax = _pyplot().subplots(figsize=(8, 1 + 0.16 * len(values) * (len(contestants) + 1)))
    for place, name in enumerate(contestants):
        rows = [(row, group[name]) for row, group in enumerate(values.values()) if name in group]
        ax.barh([row + place * height for row, _ in rows], [value for _, value in rows], height, label=name)
    ax.set_yticks([row + 0.4 - height / 2 for row in range(len(values))], list(values))
    ax.margins(y=0.01)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel(label)
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="best")
    figure.tight_layout()
    return figure


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install 'fastnet[plot]'") from error
    return plt
