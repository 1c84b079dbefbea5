"""Targets y as users have them (labels or numbers), made into the matrix Y that a loss needs, and back."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .checks import finite, real_number


class Task(ABC):
    """What a network learns: how y becomes Y, how outputs become predictions, and what counts as good."""

    metric: str
    n_units: int  # of the output layer

    @abstractmethod
    def learn(self, y: np.ndarray) -> "Task":
        """This task with what only the training targets tell."""

    @abstractmethod
    def encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """y, as of `as_targets`, as Y (m, n_targets), C-contiguous, of `dtype`."""

    @abstractmethod
    def score(self, scores: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """The metric of several runs over Y, from what the compiled program has counted in each."""

    def class_weights(self, Y: np.ndarray, given: Any) -> np.ndarray:
        """(m,) from weights by class; ValueError unless there are classes."""
        raise ValueError("class_weight is for one of several classes, and this network has none: use sample_weight")


@dataclass(frozen=True)
class Regression(Task):
    """Numbers y (m,) or (m, n_units). The metric is R^2, over all outputs together: 1 - squared error / variance."""

    n_units: int
    metric = "r2"

    def learn(self, y: np.ndarray) -> "Regression":
        return self

    def encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        m = len(y)
        if y.dtype.kind not in "buif":
            raise TypeError(f"y holds {y.dtype}: give numbers, or use a softmax or sigmoid output for labels")
        if y.ndim == 1:
            y = y.reshape(m, 1)
        if y.shape != (m, self.n_units):
            raise ValueError(f"y has shape {y.shape}: expected ({m}, {self.n_units}), as the output layer has units")
        with np.errstate(over="ignore"):
            Y = np.ascontiguousarray(y, dtype=dtype)
        finite("y", Y, y)
        return Y

    def score(self, scores: np.ndarray, Y: np.ndarray) -> np.ndarray:
        total = float(np.sum((Y - Y.mean(axis=0, dtype=np.float64)) ** 2))
        if total == 0:
            return np.where(scores == 0, 1.0, 0.0)
        return 1 - scores / total


@dataclass(frozen=True)
class MultiLabel(Task):
    """Several yes or no questions at once: y (m, n_units) of 0 and 1. The metric is the share of right answers."""

    n_units: int
    metric = "accuracy"

    def learn(self, y: np.ndarray) -> "MultiLabel":
        return self

    def encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        if y.dtype.kind not in "buif" or y.shape != (len(y), self.n_units) or not ((y == 0) | (y == 1)).all():
            raise ValueError(
                f"y has shape {y.shape} and dtype {y.dtype}: {self.n_units} sigmoid units answer as many questions, "
                f"so give 0 or 1 for each, ({len(y)}, {self.n_units}); for one of {self.n_units} classes use "
                f"Dense({self.n_units}, 'softmax')"
            )
        return np.ascontiguousarray(y, dtype=dtype)

    def score(self, scores: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return scores / Y.size


@dataclass(frozen=True)
class Classification(Task):
    """Labels y (m,): integers, strings or booleans. The metric is accuracy.

    The classes are the sorted labels of the training set. If those are integers among 0 to k - 1 for k classes, the
    classes are 0 to k - 1, whether or not each of them occurs.
    """

    n_units: int
    classes: np.ndarray | None = None
    signed: bool = False  # Y is -1 or 1, as hinge wants it
    metric = "accuracy"

    @property
    def n_classes(self) -> int:
        return max(2, self.n_units)

    @property
    def labels(self) -> np.ndarray:
        """The labels by class index; 0 to k - 1 until `learn` has seen others."""
        return np.arange(self.n_classes) if self.classes is None else self.classes

    def learn(self, y: np.ndarray) -> "Classification":
        if self.classes is not None:
            return self
        seen = np.unique(self._labels(y))
        k = self.n_classes
        if seen.dtype.kind in "iu" and seen[0] >= 0 and seen[-1] < k:
            return replace(self, classes=np.arange(k))
        if len(seen) != k:
            units = "one sigmoid unit" if self.n_units == 1 else f"{self.n_units} softmax units"
            raise ValueError(
                f"y has {len(seen)} classes ({_some(seen)}): an output layer of {units} is for {k}; "
                f"give it one unit a class, or check the labels"
            )
        return replace(self, classes=seen)

    def encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        given = self._labels(y)
        classes = self.labels
        if (given.dtype.kind in "US") != (classes.dtype.kind in "US"):
            raise ValueError(f"y holds {given.dtype} labels: this network was trained with {_some(classes)}")
        index = np.minimum(np.searchsorted(classes, given), len(classes) - 1)
        unseen = classes[index] != given
        if unseen.any():
            raise ValueError(
                f"y holds labels that were not there in training ({_some(np.unique(given[unseen]))}): "
                f"this network knows {_some(classes)}"
            )
        if self.signed:
            index = 2 * index - 1
        return index.astype(dtype).reshape(-1, 1)

    def _labels(self, y: np.ndarray) -> np.ndarray:
        """y as labels (m,), from labels (m,) or (m, 1) or from one-hot rows (m, k)."""
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.dtype.kind == "f":
            if not np.isfinite(y).all():
                raise ValueError("y holds NaN or infinity: give every sample a label")
            if (y != np.floor(y)).any():
                raise ValueError(
                    f"y holds {y[y != np.floor(y)].flat[0]}, which is no label: give integers or strings, "
                    "or use a linear output layer to predict numbers"
                )
            y = y.astype(np.int64)
        if y.dtype.kind not in "biuUS":
            raise TypeError(f"y holds {y.dtype}: give labels that are integers, strings or booleans")
        if y.ndim == 2 and self.n_units > 1:
            if y.shape[1] != self.n_units or y.dtype.kind in "US" or not ((y == 0) | (y == 1)).all():
                raise ValueError(
                    f"y has shape {y.shape}: give labels (m,), or one-hot rows (m, {self.n_units}) of 0 and 1"
                )
            if (y.sum(axis=1) != 1).any():
                raise ValueError("y has one-hot rows with other than one 1: each sample belongs to one class")
            y = y.argmax(axis=1)
        if y.ndim != 1:
            raise ValueError(f"y has shape {y.shape}: give labels (m,)")
        return y

    def score(self, scores: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return scores / len(Y)

    def class_weights(self, Y: np.ndarray, given: Any) -> np.ndarray:
        """(m,) for Y of `encode`: by label, {label: weight}, or "balanced": m / (k times the class's samples)."""
        index = (Y[:, 0] > 0).astype(np.intp) if self.signed else Y[:, 0].astype(np.intp)
        counts = np.bincount(index, minlength=self.n_classes)
        if isinstance(given, str) and given == "balanced":
            present = np.count_nonzero(counts)
            return (len(Y) / (present * np.maximum(counts, 1)))[index]
        if not isinstance(given, dict):
            raise TypeError(
                f"class_weight={given!r} is neither 'balanced' nor weights by label: give {{label: weight}}"
            )
        labels = self.labels.tolist()
        for label, weight in given.items():
            if label not in labels:
                raise ValueError(f"class_weight has the label {label!r}: this network knows {_some(self.labels)}")
            real_number(f"class_weight[{label!r}]", weight, at_least=0)
        return np.array([float(given.get(label, 1.0)) for label in labels])[index]


def task_for(loss: str, n_units: int) -> Task:
    """What a loss means: one of several classes, several answers, or numbers."""
    if loss == "log_loss" and n_units > 1:
        return MultiLabel(n_units)
    if loss in ("log_loss", "cross_entropy", "hinge"):
        return Classification(n_units, signed=loss == "hinge")
    return Regression(n_units)


def sample_weights(
    task: Task, Y: np.ndarray, sample_weight: Any, class_weight: Any, dtype: np.dtype, *, may_be_idle: bool = False
) -> np.ndarray:
    """(m,) of the samples' losses, the product of both kinds; empty where neither is given.

    Raises
    ------
    ValueError, TypeError
        For weights of another shape, below 0, not finite, or, unless they `may_be_idle`, all 0.
    """
    weights = np.ones(len(Y))
    if sample_weight is None and class_weight is None:
        return np.zeros(0, dtype)
    if sample_weight is not None:
        given = np.asarray(sample_weight)
        if given.shape != (len(Y),) or given.dtype.kind not in "buif":
            raise ValueError(
                f"sample_weight has shape {given.shape} and dtype {given.dtype}: give one number a sample, ({len(Y)},)"
            )
        if not np.isfinite(given).all() or (given < 0).any():
            raise ValueError("sample_weight holds numbers below 0, NaN or infinity: give weights of 0 or more")
        weights *= given
    if class_weight is not None:
        weights *= task.class_weights(Y, class_weight)
    if not weights.any() and not may_be_idle:
        raise ValueError("all samples have weight 0: nothing would be learned")
    return weights.astype(dtype)


def as_targets(y: Any, m: int) -> np.ndarray:
    """y as an array with one entry or row for each of m samples; a column (m, 1) or more is left as it is.

    Raises
    ------
    ValueError
        If it has another number of samples.
    """
    targets: np.ndarray = np.asarray(y)
    if targets.dtype.kind == "O":
        targets = np.array(targets.tolist())
    given = len(targets) if targets.ndim else 0
    if given != m:
        raise ValueError(f"y has {given} samples and X has {m}: give one target a sample")
    return targets


def _some(values: np.ndarray, most: int = 8) -> str:
    shown = ", ".join(repr(value) for value in values[:most].tolist())
    return shown + (f", ... ({len(values)} in all)" if len(values) > most else "")
