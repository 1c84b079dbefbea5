"""What counts as good, beside the cost: functions of the true targets and of what a network makes of the samples.

`net.evaluate(X, y, metrics=["f1", "auc"])` and `net.fit(..., metrics=[...])` take them by name or as functions
`metric(truth, outputs) -> float`. For one of k classes `truth` (m,) holds class indices and `outputs` probabilities,
(m, k) or, for one sigmoid unit, (m,) of the second class; with hinge, a number that is above 1/2 for the second class.
For several yes or no questions both are (m, n), 0 and 1 and probabilities; for numbers (m,) or (m, n).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

Metric = Callable[[np.ndarray, np.ndarray], float]


def _predicted(outputs: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    found: np.ndarray = outputs > threshold if outputs.ndim == 1 else outputs.argmax(axis=1)
    return found.astype(np.intp)


def _answers(truth: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction as 0 or 1 in a column for each class, or only one for the second of two."""
    if truth.ndim == 2:
        return truth.astype(bool), outputs > 0.5
    if outputs.ndim == 1 or outputs.shape[1] == 2:
        return truth[:, None] == 1, _predicted(outputs)[:, None] == 1
    classes = np.arange(outputs.shape[1])
    return truth[:, None] == classes, _predicted(outputs)[:, None] == classes


def _shares(numerator: np.ndarray, denominator: np.ndarray) -> float:
    """The mean over the classes of a share that is 0 where there is nothing to share."""
    return float(np.mean(np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)))


def accuracy(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The share of right predictions; of several answers, of all of them.

    >>> import numpy as np
    >>> accuracy(np.array([0, 1, 1]), np.array([0.1, 0.4, 0.9])).__round__(3)
    0.667
    """
    predicted = outputs > 0.5 if truth.ndim == 2 else _predicted(outputs)
    return float(np.mean(predicted == truth))


def top_k(k: int) -> Metric:
    """The share of samples whose class is among the `k` most probable ones."""

    def metric(truth: np.ndarray, outputs: np.ndarray) -> float:
        if outputs.ndim != 2 or not 1 <= k <= outputs.shape[1]:
            raise ValueError(
                f"top_k({k}) is for softmax outputs of at least {k} classes: these have shape {outputs.shape}"
            )
        best = np.argpartition(outputs, -k, axis=1)[:, -k:]
        return float(np.mean((best == truth[:, None]).any(axis=1)))

    metric.__name__ = f"top_{k}"
    return metric


def precision(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The share of what was predicted as a class that is one; the mean over the classes, or for the second of two."""
    is_true, is_predicted = _answers(truth, outputs)
    return _shares((is_true & is_predicted).sum(axis=0), is_predicted.sum(axis=0))


def recall(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The share of a class that was predicted as one; the mean over the classes, or for the second of two."""
    is_true, is_predicted = _answers(truth, outputs)
    return _shares((is_true & is_predicted).sum(axis=0), is_true.sum(axis=0))


def f1(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The harmonic mean of precision and recall; the mean over the classes, or for the second of two."""
    is_true, is_predicted = _answers(truth, outputs)
    return _shares(2 * (is_true & is_predicted).sum(axis=0), is_true.sum(axis=0) + is_predicted.sum(axis=0))


def auc(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The area under the ROC curve: how often a sample of a class ranks above one of another (Hanley, McNeil, 1982).

    The mean over the classes, each against the rest, or for the second of two; NaN where a class has all samples or
    none.

    >>> import numpy as np
    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    if truth.ndim == 1 and (outputs.ndim == 1 or outputs.shape[1] == 2):
        return _area(truth == 1, outputs if outputs.ndim == 1 else outputs[:, 1])
    is_true = truth.astype(bool) if truth.ndim == 2 else truth[:, None] == np.arange(outputs.shape[1])
    return float(np.mean([_area(is_true[:, j], outputs[:, j]) for j in range(outputs.shape[1])]))


def _area(is_true: np.ndarray, scores: np.ndarray) -> float:
    n_true = int(is_true.sum())
    pairs = n_true * (len(is_true) - n_true)
    if pairs == 0:
        return math.nan
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place.reshape(-1)]  # equal scores share the mean of their ranks
    return float((ranks[is_true].sum() - n_true * (n_true + 1) / 2) / pairs)


def r2(truth: np.ndarray, outputs: np.ndarray) -> float:
    """1 - squared error / variance, over all outputs together."""
    total = float(np.sum((truth - truth.mean(axis=0, dtype=np.float64)) ** 2))
    return 1 - float(np.sum((truth - outputs) ** 2, dtype=np.float64)) / total if total else math.nan


def mean_absolute_error(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The mean distance of outputs from targets."""
    return float(np.mean(np.abs(truth - outputs), dtype=np.float64))


def confusion_matrix(truth: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """(k, k): how many samples of each class, a row, were predicted as each class, a column.

    >>> import numpy as np
    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0.1, 0.4, 0.9])).tolist()
    [[1, 0], [1, 1]]
    """
    k = max(2, 1 if outputs.ndim == 1 else outputs.shape[1])
    return np.bincount(truth.astype(np.intp) * k + _predicted(outputs), minlength=k * k).reshape(k, k)


METRICS: dict[str, Metric] = {
    function.__name__: function for function in (accuracy, precision, recall, f1, auc, r2, mean_absolute_error)
}


def named(metrics: Sequence[str | Metric]) -> dict[str, Metric]:
    """Metrics by name, from names and functions.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, or something that cannot be called.
    """
    if isinstance(metrics, str) or callable(metrics):
        raise TypeError(f"metrics={metrics!r} is no list: give [{metrics!r}]")
    found: dict[str, Metric] = {}
    for metric in metrics:
        if isinstance(metric, str):
            if metric not in METRICS:
                raise ValueError(f"metric {metric!r} is not known: choose one of {', '.join(map(repr, METRICS))}")
            found[metric] = METRICS[metric]
        elif callable(metric):
            found[getattr(metric, "__name__", type(metric).__name__)] = metric
        else:
            raise TypeError(f"metric {metric!r} is neither a name nor a function of truth and outputs")
    return found


def direction(name: str) -> str | None:
    name = name.removeprefix("validation_")
    if name in ("cost", "seconds", "mean_absolute_error"): return "min"
    return "max" if name.startswith(("accuracy", "r2", "f1", "auc", "precision", "recall", "top_")) else None
