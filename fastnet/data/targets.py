"""Targets y as users have them (labels or numbers), made into the matrix Y that a loss needs, and back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..checks import finite, real_number
from .arrays import as_array, as_numbers, hint_for, kind_of


class Task(ABC):
    """What a network learns: how y becomes Y, how outputs become predictions, and what counts as good.

    Where it answers at each of the `steps` of a sequence, targets y are (m, t) or (m, t, k), and Y and outputs have the
    numbers of all steps of a sample in a row. What a kind of task does itself is for one answer a row.
    """

    metric: str
    n_units: int  # of the output layer
    steps: int | None  # at each of which a sample has a target; None where it has one
    predicts_numbers = False  # and no classes, or answers

    def at_steps(self, steps: int | None) -> "Task":
        """This task with answers at as many steps, or with one a sample."""
        return self if steps == self.steps else replace(self, steps=steps)  # type: ignore[type-var]

    def learn(self, y: np.ndarray) -> "Task":
        """This task with what only the training targets tell."""
        return self._learn(self._one_by_one(y))

    def encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """y, as of `as_targets`, as Y (m, n_targets), C-contiguous, of `dtype`."""
        return self._encode(self._one_by_one(y), dtype).reshape(len(y), -1)

    def predict(self, outputs: np.ndarray, threshold: float) -> np.ndarray:
        """What the outputs (m, n_units) say, with a threshold of `checked_threshold`."""
        return self.by_sample(self._predict(self._rows(outputs), threshold))

    def truth(self, Y: np.ndarray) -> np.ndarray:
        """Y as metrics take it, an answer a row."""
        return self._truth(self._rows(Y))

    def measurable(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs (m, n_units) as metrics take them, an answer a row."""
        return self._measurable(self._rows(outputs))

    def score(self, scores: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """The metric of several runs over Y, from what the compiled program has counted in each."""
        return self._score(scores, self._rows(Y))

    def by_sample(self, answers: np.ndarray) -> np.ndarray:
        """Answers one a row, as samples have them: (m, t, ...) where there is one at each step."""
        return answers if self.steps is None else answers.reshape(-1, self.steps, *answers.shape[1:])

    def _rows(self, numbers: np.ndarray) -> np.ndarray:
        """Y or outputs of samples, an answer a row."""
        return numbers if self.steps is None else numbers.reshape(len(numbers) * self.steps, -1)

    def _one_by_one(self, y: np.ndarray) -> np.ndarray:
        """Targets, one a row."""
        if self.steps is None:
            return y
        if y.ndim not in (2, 3) or y.shape[1] != self.steps:
            raise ValueError(
                f"y has shape {y.shape}: this network answers at each step of a sequence, so give (m, {self.steps}) or "
                f"(m, {self.steps}, k); for one answer a sequence, let the last recurrent layer return its last state"
            )
        return y.reshape(-1, *y.shape[2:])

    @abstractmethod
    def _learn(self, y: np.ndarray) -> "Task": ...

    @abstractmethod
    def _encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray: ...

    @abstractmethod
    def _predict(self, outputs: np.ndarray, threshold: float) -> np.ndarray: ...

    @abstractmethod
    def _truth(self, Y: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _score(self, scores: np.ndarray, Y: np.ndarray) -> np.ndarray: ...

    def _measurable(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def with_classes(self, classes: Any) -> "Task":
        """This task with all labels that there will be; ValueError if it has none, or knows others."""
        raise ValueError("classes=... is for one of several classes, and this network has none: leave it out")

    def checked_threshold(self, given: float | None) -> float:
        """The probability above which the answer is yes; ValueError where there is none, and one is given."""
        if given is not None:
            raise ValueError(f"threshold={given!r} has no effect here: it is for sigmoid outputs, so leave it out")
        return 0.5

    def class_weights(self, Y: np.ndarray, given: Any) -> np.ndarray:
        """(m,) from weights by class; ValueError unless there are classes."""
        raise ValueError("class_weight is for one of several classes, and this network has none: use sample_weight")


@dataclass(frozen=True)
class Regression(Task):
    """Numbers y (m,) or (m, n_units). The metric is R^2, over all outputs together: 1 - squared error / variance."""

    n_units: int
    steps: int | None = None
    predicts_numbers = True
    metric = "r2"

    def _learn(self, y: np.ndarray) -> "Regression":
        return self

    def _encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        m = len(y)
        if y.dtype.kind not in "buif":
            raise TypeError(
                f"y holds {kind_of(y)}: give numbers, or use a softmax or sigmoid output for labels{hint_for(y)}"
            )
        if y.ndim == 1:
            y = y.reshape(m, 1)
        if y.shape != (m, self.n_units):
            raise ValueError(f"y has shape {y.shape}: expected ({m}, {self.n_units}), as the output layer has units")
        with np.errstate(over="ignore"):
            Y = np.ascontiguousarray(y, dtype=dtype)
        finite("y", Y, y)
        return Y

    def _predict(self, outputs: np.ndarray, threshold: float) -> np.ndarray:
        return self._measurable(outputs)

    def _truth(self, Y: np.ndarray) -> np.ndarray:
        return self._measurable(Y)

    def _score(self, scores: np.ndarray, Y: np.ndarray) -> np.ndarray:
        total = sum_of_squares(Y)
        if total == 0:
            return np.where(scores == 0, 1.0, 0.0)
        return 1 - scores / total


@dataclass(frozen=True)
class MultiLabel(Task):
    """Several yes or no questions at once: y (m, n_units) of 0 and 1. The metric is the share of right answers."""

    n_units: int
    steps: int | None = None
    metric = "accuracy"

    def _learn(self, y: np.ndarray) -> "MultiLabel":
        return self

    def _encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        if y.dtype.kind not in "buif" or y.shape != (len(y), self.n_units):
            raise ValueError(
                f"y has shape {y.shape} and holds {kind_of(y)}: {self.n_units} sigmoid units answer as many questions, "
                f"so give 0 or 1 for each, ({len(y)}, {self.n_units}); for one of {self.n_units} classes use "
                f"Dense({self.n_units}, 'softmax')"
            )
        others = np.argwhere((y != 0) & (y != 1))
        if len(others):
            row, column = map(int, others[0])
            raise ValueError(f"y holds {y[row, column]} in row {row}, column {column}: give 0 for no and 1 for yes")
        return np.ascontiguousarray(y, dtype=dtype)

    def checked_threshold(self, given: float | None) -> float:
        return _probability(given)

    def _predict(self, outputs: np.ndarray, threshold: float) -> np.ndarray:
        answers: np.ndarray = outputs > threshold
        return answers.astype(np.int64)

    def _truth(self, Y: np.ndarray) -> np.ndarray:
        return Y

    def _score(self, scores: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return scores / Y.size


@dataclass(frozen=True)
class Classification(Task):
    """Labels y (m,): integers, strings or booleans. The metric is accuracy.

    The classes are the sorted labels of the training set. If those are integers among 0 to k - 1 for k classes, the
    classes are 0 to k - 1, whether or not each of them occurs; and so are False and True for two.
    """

    n_units: int
    classes: np.ndarray | None = None
    signed: bool = False  # Y is -1 or 1, as hinge wants it
    steps: int | None = None
    metric = "accuracy"

    @property
    def n_classes(self) -> int:
        return max(2, self.n_units)

    @property
    def labels(self) -> np.ndarray:
        """The labels by class index; 0 to k - 1 until `learn` has seen others."""
        return np.arange(self.n_classes) if self.classes is None else self.classes

    def _learn(self, y: np.ndarray) -> "Classification":
        return self if self.classes is not None else self._with_labels("y", self._labels("y", y))

    def _with_labels(self, name: str, given: np.ndarray) -> "Classification":
        seen, k = np.unique(given), self.n_classes
        if seen.dtype.kind == "b" and k == 2:
            return replace(self, classes=np.array([False, True]))
        if seen.dtype.kind == "i" and seen[0] >= 0 and seen[-1] < k:
            return replace(self, classes=np.arange(k))
        if len(seen) != k:
            units = "one unit" if self.n_units == 1 else f"{self.n_units} softmax units"
            raise ValueError(
                f"{name} has {len(seen)} classes ({_some(seen)}): an output layer of {units} is for {k}; "
                "give it one unit a class, or check the labels"
                + (", or name all classes in partial_fit(..., classes=[...])" if len(seen) < k else "")
            )
        return replace(self, classes=seen)

    def with_classes(self, classes: Any) -> "Classification":
        given = as_array("classes", classes)
        if given.ndim != 1 or not given.size:
            raise ValueError(f"classes has shape {given.shape}: give a list of all labels")
        given = self._labels("classes", given)
        labels, counts = np.unique(given, return_counts=True)
        if (counts > 1).any():
            raise ValueError(f"classes has {_some(labels[counts > 1])} more than once: give each label once")
        found = self._with_labels("classes", given)
        if self.classes is None:
            return found
        if found.labels.tolist() != self.classes.tolist():
            raise ValueError(
                f"classes={given.tolist()}: this network knows {_some(self.classes)}, so give these or none"
            )
        return self

    def _encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        given, classes = self._labels("y", y), self.labels
        if (given.dtype.kind == "U") != (classes.dtype.kind == "U"):
            raise ValueError(f"y holds {kind_of(given)} as labels: this network was trained with {_some(classes)}")
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

    def _labels(self, name: str, y: np.ndarray) -> np.ndarray:
        """y as labels (m,), booleans, int64 or strings, from labels (m,) or (m, 1) or from one-hot rows (m, k)."""
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.dtype.kind not in "biufU":
            raise TypeError(
                f"{name} holds {y.dtype}: give labels that are integers, strings such as y.astype(str), or booleans"
            )
        if y.ndim == 2 and self.n_units > 1:
            y = self._from_one_hot(y)
        if y.ndim != 1:
            raise ValueError(f"{name} has shape {y.shape}: give labels (m,)")
        return whole_labels(name, y) if y.dtype.kind in "iuf" else y

    def _from_one_hot(self, y: np.ndarray) -> np.ndarray:
        if y.shape[1] != self.n_units or y.dtype.kind == "U" or not ((y == 0) | (y == 1)).all():
            raise ValueError(f"y has shape {y.shape}: give labels (m,), or one-hot rows (m, {self.n_units}) of 0 and 1")
        if (y.sum(axis=1) != 1).any():
            raise ValueError("y has one-hot rows with other than one 1: each sample belongs to one class")
        classes: np.ndarray = y.argmax(axis=1)
        return classes

    def checked_threshold(self, given: float | None) -> float:
        if self.n_units == 1 and not self.signed:
            return _probability(given)
        super().checked_threshold(given)
        return 0.0

    def _predict(self, outputs: np.ndarray, threshold: float) -> np.ndarray:
        index = (outputs[:, 0] > threshold).astype(np.intp) if self.n_units == 1 else outputs.argmax(axis=1)
        found: np.ndarray = self.labels[index]
        return found

    def _truth(self, Y: np.ndarray) -> np.ndarray:
        """(m,) class indices."""
        return (Y[:, 0] > 0).astype(np.intp) if self.signed else Y[:, 0].astype(np.intp)

    def _measurable(self, outputs: np.ndarray) -> np.ndarray:
        if not self.signed:
            return outputs[:, 0] if self.n_units == 1 else outputs
        # Above 1/2 exactly where they are above 0, however little.
        shifted = outputs[:, 0].astype(np.float64) + 0.5
        return np.where(outputs[:, 0] > 0, np.maximum(shifted, np.nextafter(0.5, 1)), shifted)

    def _score(self, scores: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return scores / len(Y)

    def class_weights(self, Y: np.ndarray, given: Any) -> np.ndarray:
        """(m,) for Y of `encode`: by label, {label: weight}, or "balanced": m / (k times the class's samples)."""
        index, weights = self._truth(Y), np.ones(self.n_classes)
        counts = np.bincount(index, minlength=self.n_classes)
        if isinstance(given, str) and given == "balanced":
            present = np.count_nonzero(counts)
            weights = len(Y) / (present * np.maximum(counts, 1))
            return np.take(weights, index)
        if not isinstance(given, Mapping):
            raise TypeError(
                f"class_weight={given!r} is neither 'balanced' nor weights by label: give {{label: weight}}"
            )
        labels = self.labels.tolist()
        for label, weight in given.items():
            if label not in labels:
                raise ValueError(f"class_weight has the label {label!r}: this network knows {_some(self.labels)}")
            weights[labels.index(label)] = real_number(f"class_weight[{label!r}]", weight, at_least=0)
        return np.take(weights, index)


def sum_of_squares(Y: np.ndarray) -> float:
    """Of the distances from the mean of each column: exactly 0 where a column is constant."""
    apart = Y.astype(np.float64) - Y[:1]
    return float(np.sum((apart - apart.mean(axis=0)) ** 2))


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
        given = as_numbers("sample_weight", sample_weight)
        if given.shape != (len(Y),):
            raise ValueError(f"sample_weight has shape {given.shape}: give one number a sample, ({len(Y)},)")
        if not np.isfinite(given).all() or (given < 0).any():
            raise ValueError("sample_weight holds numbers below 0, NaN or infinity: give weights of 0 or more")
        weights *= given
    if class_weight is not None and task.steps is not None:
        raise ValueError(
            "class_weight is for one label a sample, and this network has one a step: leave it out, or give "
            "sample_weight, one number a sequence"
        )
    if class_weight is not None:
        weights *= task.class_weights(Y, class_weight)
    with np.errstate(over="ignore"):
        found: np.ndarray = weights.astype(dtype)
    if not np.isfinite(found).all():
        raise ValueError(f"weights up to {weights.max():g} are too large for {dtype}: divide all of them")
    if not found.any() and not may_be_idle:
        raise ValueError("all samples have weight 0: nothing would be learned")
    return found


def as_targets(y: Any, m: int) -> np.ndarray:
    """y as an array with one entry or row for each of m samples; a column (m, 1) or more is left as it is.

    Raises
    ------
    ValueError
        If it has another number of samples, or values are missing.
    TypeError
        If it is no array, or holds several kinds: strings and numbers, say.
    """
    targets = as_array("y", y)
    given = len(targets) if targets.ndim else 0
    if given != m:
        raise ValueError(f"y has {given} samples and X has {m}: give one target a sample")
    return targets


def whole_labels(name: str, y: np.ndarray) -> np.ndarray:
    """Labels (m,) that are numbers as int64, without a change of their values."""
    if y.dtype.kind == "f":
        advice = {
            "give every sample a label": ~np.isfinite(y),
            "give integers or strings, or use a linear output layer to predict numbers": y != np.floor(y),
            "give integers, as floats of this size lie further apart than labels": np.abs(y) > np.float64(2**53),
        }
    else:
        advice = {"give labels within int64, or strings such as y.astype(str)": y > np.iinfo(np.int64).max}
    for what, is_wrong in advice.items():
        if is_wrong.any():
            row = int(is_wrong.argmax())
            raise ValueError(f"{name} holds {y[row]} in row {row}, which is no label: {what}")
    return y.astype(np.int64)


def _probability(threshold: float | None) -> float:
    if threshold is None:
        return 0.5
    threshold = real_number("threshold", threshold, at_least=0)
    if threshold > 1:
        raise ValueError(f"threshold={threshold} is above 1: give a probability between 0 and 1")
    return threshold


def _some(values: np.ndarray, most: int = 8) -> str:
    shown = ", ".join(repr(value) for value in values[:most].tolist())
    return shown + (f", ... ({len(values)} in all)" if len(values) > most else "")
