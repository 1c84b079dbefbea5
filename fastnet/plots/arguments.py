"""Labels as pictures take them."""

from typing import Any

import numpy as np

from ..data.arrays import as_array
from ..data.targets import whole_labels


def labels_of(name: str, given: Any, m: int | None = None) -> np.ndarray:
    """Labels (m,) as int64, booleans or strings, from an array or column (m, 1) of these, or of whole floats.

    Raises
    ------
    ValueError
        For another shape, another number than `m`, missing values, and fractions.
    TypeError
        For what is no array of labels.

    Examples
    --------
    >>> labels_of("y", [[1.0], [0.0]])
    array([1, 0])
    """
    labels = as_array(name, given)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim == 2:
        advice = f"; of one-hot rows {name}.argmax(axis=1) are the classes" if labels.dtype.kind != "U" else ""
        raise ValueError(f"{name} has shape {labels.shape}: give one label a sample, ({len(labels)},){advice}")
    if labels.ndim != 1 or not labels.size or (m is not None and len(labels) != m):
        raise ValueError(f"{name} has shape {labels.shape}: give one label a sample, ({'m' if m is None else m},)")
    if labels.dtype.kind not in "biufU":
        raise TypeError(f"{name} holds {labels.dtype}: give labels that are integers, strings or booleans")
    return whole_labels(name, labels) if labels.dtype.kind in "iuf" else labels


def require_one_kind(**labels: np.ndarray) -> None:
    """ValueError where some are strings and others numbers, which would be compared as strings.

    Examples
    --------
    >>> require_one_kind(y_true=np.array(["a"]), y_pred=np.array([0]))
    Traceback (most recent call last):
    ...
    ValueError: y_true holds strings and y_pred numbers: give labels of one kind
    """
    strings = [name for name, array in labels.items() if array.dtype.kind == "U"]
    numbers = [name for name in labels if name not in strings]
    if strings and numbers:
        raise ValueError(f"{strings[0]} holds strings and {numbers[0]} numbers: give labels of one kind")
