"""The column that a network learns to predict: its labels, or its numbers, which are standardised on the way."""

from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, Literal

import numpy as np

from ..checks import flag, known, real_number
from ..layers import Dense
from ..storage.json_checks import fields, text
from .preprocessing import mean_and_scale
from .table import CATEGORY, NUMBER, Kind, Numbers, Table, kind_of

Task = Literal["classification", "regression"]
CLASSIFICATION: Task = "classification"
REGRESSION: Task = "regression"
MOST_NUMBERED_CLASSES = 10  # whole numbers of no more different values are labels, unless told otherwise


@dataclass(frozen=True)
class Target:
    """What is predicted: a column by name, whether it holds numbers or texts, and what is to be found.

    Numbers of a regression are learned as (y - mean) / scale.
    """

    name: str
    kind: Kind
    task: Task
    mean: float = 0.0
    scale: float = 1.0
    are_booleans: bool = False

    @classmethod
    def of(cls, table: Table, name: str, task: Task | None) -> "Target":
        """The target `name` of a table, by the rows to train on.

        Texts are labels, and so are whole numbers of at most ten different values, unless `task` says otherwise.

        Raises ValueError for a column that is not there, lacks values, or does not fit the task.
        """
        if task is not None:
            known("task", task, (CLASSIFICATION, REGRESSION))
        table.require([name])
        _check_complete(table, name)
        column = table[name]
        kind = kind_of(column)
        if not isinstance(column, Numbers):
            if task == REGRESSION:
                raise ValueError(f"target {name!r} holds texts ({column.names[0]!r}, ...): a regression is of numbers")
            return cls(name, kind, CLASSIFICATION, are_booleans=column.are_booleans)
        if task is None:
            few = len(np.unique(column.values)) <= MOST_NUMBERED_CLASSES
            task = CLASSIFICATION if few and column.are_whole else REGRESSION
        if task == CLASSIFICATION:
            if not column.are_whole:
                raise ValueError(
                    f"target {name!r} holds numbers such as {column.values[0]:g}, and labels are whole numbers below "
                    "2^53: use a regression, or take the column for categories"
                )
            return cls(name, kind, task)
        return cls(name, kind, task, *mean_and_scale(column.values))

    def values(self, table: Table) -> np.ndarray:
        """(m,) labels, as int64, strings or booleans, or numbers in float64; ValueError where some are missing."""
        table.require([self.name])
        _check_complete(table, self.name)
        column = table[self.name]
        if kind_of(column) != self.kind:
            raise ValueError(f"target {self.name!r} holds {kind_of(column)} values: in training they were {self.kind}")
        if not isinstance(column, Numbers):
            texts = np.array(column.texts())
            if not self.are_booleans:
                return texts
            strange = np.setdiff1d(texts, ["False", "True"])
            if len(strange):
                raise ValueError(f"target {self.name!r} holds {str(strange[0])!r}: in training it was True or False")
            return np.asarray(texts == "True")
        if self.task == REGRESSION:
            return column.values
        if not column.are_whole:
            raise ValueError(f"target {self.name!r} holds numbers that are not whole: in training they were labels")
        return column.values.astype(np.int64)

    def encoded(self, values: np.ndarray) -> np.ndarray:
        """`values` as the network is to learn them."""
        return (values - self.mean) / self.scale if self.task == REGRESSION else values

    def decoded(self, predicted: np.ndarray) -> np.ndarray:
        """What the network predicts, as values of the column."""
        return predicted.astype(np.float64) * self.scale + self.mean if self.task == REGRESSION else predicted

    def output_layer(self, values: np.ndarray) -> Dense:
        """For the `values` to train on; ValueError for a single label."""
        if self.task == REGRESSION:
            return Dense(1)
        n = len(np.unique(values))
        if n < 2:
            raise ValueError(f"target {self.name!r} is always {values[0].item()!r}: there is nothing to tell apart")
        return Dense(1, "sigmoid") if n == 2 else Dense(n, "softmax")

    def to_json(self) -> dict[str, Any]:
        """As texts and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, where: str, given: Any) -> "Target":
        """What `to_json` made; ValueError or TypeError for anything else."""
        found = fields(where, given, [field.name for field in dataclass_fields(cls)])
        known(f"{where}.kind", found["kind"], (NUMBER, CATEGORY))
        known(f"{where}.task", found["task"], (CLASSIFICATION, REGRESSION))
        mean, scale = (real_number(f"{where}.{key}", found[key]) for key in ("mean", "scale"))
        name = text(f"{where}.name", found["name"])
        if not scale > 0:
            raise ValueError(f"{where} has the scale {scale}")
        are_booleans = flag(f"{where}.are_booleans", found["are_booleans"])
        return cls(name, found["kind"], found["task"], mean, scale, are_booleans)


def _check_complete(table: Table, name: str) -> None:
    is_missing = table[name].is_missing
    if is_missing.any():
        count, place = int(is_missing.sum()), table.place(int(is_missing.argmax()))
        raise ValueError(
            f"target {name!r} is missing in {count} of {table.n_rows} rows, first in {place}: leave these rows "
            "out, as --skip-bad-rows and a frame's dropna do"
        )
