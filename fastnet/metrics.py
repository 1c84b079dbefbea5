"""What counts as good, beside the cost: functions of the true targets and of what a network makes of the samples.

`net.evaluate(X, y, metrics=["f1", "auc"])` and `net.fit(..., metrics=[...])` take them by name or as functions
`metric(truth, outputs) -> float`. For one of k classes `truth` (m,) holds class indices and `outputs` probabilities,
(m, k) or, for one sigmoid unit, (m,) of the second class; with hinge, a number that is above 1/2 for the second class.
For several yes or no questions both are (m, n), 0 and 1 and probabilities; for numbers (m,) or (m, n).

A function is known by its `__name__`. Where it is clear which way is better it may say so by an attribute,
`metric.greater_is_better = True`.
"""

import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from .checks import positive_integer
from .data.targets import Classification, MultiLabel, Regression, Task, sum_of_squares
from .losses import OUTPUTS

Metric = Callable[[np.ndarray, np.ndarray], Any]
_Function = TypeVar("_Function", bound=Metric)

_CLASSES: tuple[type[Task], ...] = (Classification,)
_ANSWERS: tuple[type[Task], ...] = (Classification, MultiLabel)
_NUMBERS: tuple[type[Task], ...] = (Regression,)


def _for(tasks: tuple[type[Task], ...], greater_is_better: bool | None) -> Callable[[_Function], _Function]:
    """Writes on a metric which tasks it is for, and whether a larger one is better."""

    def mark(metric: _Function) -> _Function:
        vars(metric).update(tasks=tasks, greater_is_better=greater_is_better)
        return metric

    return mark


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


@_for(_ANSWERS, True)
def accuracy(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The share of right predictions; of several answers, of all of them.

    >>> import numpy as np
    >>> accuracy(np.array([0, 1, 1]), np.array([0.1, 0.4, 0.9])).__round__(3)
    0.667
    """
    predicted = outputs > 0.5 if truth.ndim == 2 else _predicted(outputs)
    return float(np.mean(predicted == truth))


def top_k(k: int) -> Metric:
    """The share of samples whose class is among the `k` most probable ones; of equal ones the first, as `predict` does.

    >>> import numpy as np
    >>> top_k(2)(np.array([0, 2]), np.array([[0.2, 0.3, 0.5], [0.2, 0.3, 0.5]]))
    0.5
    """
    k = positive_integer("k", k)

    @_for(_CLASSES, True)
    def metric(truth: np.ndarray, outputs: np.ndarray) -> float:
        if outputs.ndim != 2 or k > outputs.shape[1]:
            raise ValueError(
                f"top_k({k}) is for softmax outputs of at least {k} classes: these have shape {outputs.shape}"
            )
        classes, own = np.arange(outputs.shape[1]), np.take_along_axis(outputs, truth[:, None], axis=1)
        before = (outputs > own) | ((outputs == own) & (classes < truth[:, None]))
        return float(np.mean(before.sum(axis=1) < k))

    metric.__name__ = f"top_{k}"
    return metric


@_for(_ANSWERS, True)
def precision(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The share of what was predicted as a class that is one; the mean over the classes, or for the second of two."""
    is_true, is_predicted = _answers(truth, outputs)
    return _shares((is_true & is_predicted).sum(axis=0), is_predicted.sum(axis=0))


@_for(_ANSWERS, True)
def recall(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The share of a class that was predicted as one; the mean over the classes, or for the second of two."""
    is_true, is_predicted = _answers(truth, outputs)
    return _shares((is_true & is_predicted).sum(axis=0), is_true.sum(axis=0))


@_for(_ANSWERS, True)
def f1(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The harmonic mean of precision and recall; the mean over the classes, or for the second of two."""
    is_true, is_predicted = _answers(truth, outputs)
    return _shares(2 * (is_true & is_predicted).sum(axis=0), is_true.sum(axis=0) + is_predicted.sum(axis=0))


@_for(_ANSWERS, True)
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


@_for(_NUMBERS, True)
def r2(truth: np.ndarray, outputs: np.ndarray) -> float:
    """1 - squared error / variance, over all outputs together; for a constant truth 1 if it is met, and else 0."""
    total = sum_of_squares(truth)
    error = float(np.sum((truth - outputs) ** 2, dtype=np.float64))
    return 1 - error / total if total else float(error == 0)


@_for(_NUMBERS, False)
def mean_absolute_error(truth: np.ndarray, outputs: np.ndarray) -> float:
    """The mean distance of outputs from targets."""
    return float(np.mean(np.abs(truth - outputs), dtype=np.float64))


def counts_of(truth: np.ndarray, predicted: np.ndarray, k: int) -> np.ndarray:
    """(k, k): how often each of k classes, a row, was predicted as each, a column; both given (m,) as indices."""
    return np.bincount(truth * k + predicted, minlength=k * k).reshape(k, k)


@_for(_CLASSES, None)
def confusion_matrix(truth: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """(k, k): how many samples of each class, a row, were predicted as each class, a column.

    >>> import numpy as np
    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0.1, 0.4, 0.9])).tolist()
    [[1, 0], [1, 1]]
    """
    k = max(2, 1 if outputs.ndim == 1 else outputs.shape[1])
    return counts_of(truth.astype(np.intp), _predicted(outputs), k)


METRICS: dict[str, Metric] = {
    function.__name__: function for function in (accuracy, precision, recall, f1, auc, r2, mean_absolute_error)
}


# ---------------------------------------------------------------- which of them, for a network


def named(metrics: Iterable[str | Metric], task: Task) -> dict[str, Metric]:
    """Metrics by name, from names and functions; without the task's own, which is measured anyway.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, something that cannot be called, two of one name, a name that the history has already, or
        a metric for other tasks.
    """
    if isinstance(metrics, str) or callable(metrics) or not isinstance(metrics, Iterable):
        raise TypeError(f"metrics={metrics!r} is no list: give [{metrics!r}]")
    found: dict[str, Metric] = {}
    for given in metrics:
        metric = _metric(given, task)
        name = getattr(metric, "__name__", type(metric).__name__)
        if metric is METRICS[task.metric]:
            continue
        if name in ("cost", "seconds", "learning_rate", "epoch", task.metric) or name.startswith("validation_"):
            raise ValueError(f"metric {name!r} has a name that the history needs: give the function another __name__")
        if name in found:
            raise ValueError(f"metric {name!r} is there twice: leave one out, or give the function another __name__")
        found[name] = metric
    return found


def _metric(given: object, task: Task) -> Metric:
    fitting = [name for name, metric in METRICS.items() if _fits(metric, task)]
    if isinstance(given, str) and given not in METRICS:
        raise ValueError(f"metric {given!r} is not known: choose one of {', '.join(map(repr, fitting))}, or a function")
    metric = METRICS[given] if isinstance(given, str) else given
    if not callable(metric) or isinstance(metric, type):
        raise TypeError(f"metric {given!r} is neither a name nor a function of truth and outputs")
    if not _fits(metric, task):
        name = getattr(metric, "__name__", repr(given))
        raise ValueError(f"metric {name!r} does not fit this network: choose of {', '.join(map(repr, fitting))}")
    return metric


def _fits(metric: Metric, task: Task) -> bool:
    return isinstance(task, getattr(metric, "tasks", Task))


def direction(name: str, metrics: Mapping[str, Metric] = METRICS) -> str | None:
    """Whether a list of the history should become small, "min", or large, "max"; None where nobody has said.

    `metrics` are those that the training measures, if they are not the built-in ones.

    >>> direction("validation_cost"), direction("f1"), direction("learning_rate")
    ('min', 'max', None)
    """
    name = name.removeprefix("validation_")
    if name in ("cost", "seconds", *OUTPUTS):
        return "min"
    if name.startswith("top_") and name.removeprefix("top_").isdecimal():
        return "max"
    greater = getattr(metrics.get(name, METRICS.get(name)), "greater_is_better", None)
    return None if greater is None else "max" if greater else "min"


# ---------------------------------------------------------------- measuring


def measured(metrics: Mapping[str, Metric], truth: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    """Metrics by name, of any kind; all are NaN where an output is."""
    if np.isnan(outputs).any():
        return dict.fromkeys(metrics, math.nan)
    truth = _read_only(truth)
    return {name: metric(truth, outputs) for name, metric in metrics.items()}


def measured_numbers(metrics: Mapping[str, Metric], truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Metrics by name, as a history keeps them; TypeError for what is no real number."""
    return {name: as_number(name, value) for name, value in measured(metrics, truth, outputs).items()}


def as_number(name: str, value: Any) -> float:
    """What the metric `name` has returned, as a float; TypeError for what is no real number."""
    if not isinstance(value, numbers.Real):
        array = np.asarray(value)
        if array.ndim or array.dtype.kind not in "buif":
            what = f"an array of shape {array.shape}" if array.ndim else repr(value)
            raise TypeError(
                f"metric {name!r} returns {what}: training wants a real number a call; evaluate takes others as well"
            )
    return float(value)


def check_metrics(metrics: Mapping[str, Metric], task: Task, truth: np.ndarray, dtype: Any = "float32") -> None:
    """Call each metric once, before training: with `truth`, of `task.truth(Y)`, and outputs that are made up.

    Raises
    ------
    TypeError, ValueError
        If it returns no real number, or raises; the message has its name.
    """
    if not metrics:
        return
    truth, outputs = _read_only(truth), _made_up(task, truth, np.dtype(dtype))
    for name, metric in metrics.items():
        try:
            value = metric(truth, outputs)
        except Exception as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"metric {name!r} fails with truth {truth.shape} and outputs {outputs.shape} ({error!r}): "
                "see fastnet.metrics for what these are"
            ) from error
        as_number(name, value)


def _read_only(array: np.ndarray) -> np.ndarray:
    """The same numbers, which may be the user's own targets: a metric must not change them."""
    view = array.view()
    view.flags.writeable = False
    return view


def _made_up(task: Task, truth: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Outputs as metrics take them, random, always the same ones."""
    rng, shape = np.random.default_rng(0), (len(truth), task.n_units)
    if isinstance(task, Regression):
        outputs = truth.reshape(shape) + rng.standard_normal(shape)
    elif isinstance(task, Classification) and task.signed:
        outputs = rng.standard_normal(shape)
    else:
        outputs = rng.random(shape)
        if task.n_units > 1 and isinstance(task, Classification):
            outputs /= outputs.sum(axis=1, keepdims=True)
    return task.measurable(outputs.astype(dtype))
