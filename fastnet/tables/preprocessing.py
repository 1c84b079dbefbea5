"""What becomes of a table's columns before a network sees them: numbers are standardised, categories one-hot."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..checks import known, real_number
from ..storage.json_checks import fields, mapping, sequence, text
from .table import CATEGORY, NUMBER, Categories, Column, Kind, Numbers, Table, as_categories, listed

MOST_CATEGORIES = 100  # of a column: the most frequent ones


def mean_and_scale(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of numbers (m,); 1 for the latter where they differ by no more than rounding.

    They are divided by the largest first: their squares could overflow.
    """
    largest = float(np.abs(values).max()) or 1.0
    mean, scale = (float(found) * largest for found in ((values / largest).mean(), (values / largest).std()))
    return mean, scale if scale > 4 * np.finfo(np.float64).eps * largest else 1.0


@dataclass(frozen=True)
class NumberInput:
    """A column of numbers: (x - mean) / scale, with `fill` in place of what is missing.

    Where the training had missing numbers a second input is 1 for them, and else 0.
    """

    name: str
    mean: float
    scale: float
    fill: float
    marks_missing: bool = False
    kind: ClassVar[Kind] = NUMBER

    @classmethod
    def of(cls, name: str, column: Numbers) -> "NumberInput":
        """With the mean and the standard deviation of a column, and its median for what is missing."""
        there = column.values[~column.is_missing]
        return cls(name, *mean_and_scale(there), float(np.median(there)), len(there) < len(column))

    @property
    def inputs(self) -> list[str]:
        """The names of the network's inputs that it makes."""
        return [self.name, f"{self.name} is missing"] if self.marks_missing else [self.name]

    def write(self, column: Column, X: np.ndarray) -> None:
        """Into columns X (m, len(inputs)) of the network's input."""
        assert isinstance(column, Numbers)
        is_missing = column.is_missing
        with np.errstate(over="ignore"):
            X[:, 0] = (np.where(is_missing, self.fill, column.values) - self.mean) / self.scale
        if self.marks_missing:
            X[:, 1] = is_missing

    def to_json(self) -> dict[str, Any]:
        """As numbers and texts."""
        return {
            "kind": self.kind, "name": self.name, "mean": self.mean, "scale": self.scale, "fill": self.fill,
            "marks_missing": self.marks_missing,
        }  # fmt: skip

    @classmethod
    def from_json(cls, where: str, given: Any) -> "NumberInput":
        """What `to_json` made; ValueError or TypeError for anything else."""
        found = fields(where, given, ("kind", "name", "mean", "scale", "fill", "marks_missing"))
        mean, scale, fill = (real_number(f"{where}.{key}", found[key]) for key in ("mean", "scale", "fill"))
        if not scale > 0 or not isinstance(found["marks_missing"], bool):
            raise ValueError(f"{where} has scale {scale} and marks_missing {found['marks_missing']!r}")
        return cls(text(f"{where}.name", found["name"]), mean, scale, fill, found["marks_missing"])


@dataclass(frozen=True)
class CategoryInput:
    """A column of categories: an input for each, which is 1 for its rows, and else 0.

    All are 0 for what is missing, and for a category that the training did not have, or too rarely.
    """

    name: str
    categories: tuple[str, ...]
    kind: ClassVar[Kind] = CATEGORY

    @classmethod
    def of(cls, name: str, column: Categories) -> "CategoryInput":
        """With the categories of a column, sorted: the most frequent ones where they are too many."""
        counts = column.counts()
        # By how often, and then by name.
        chosen = sorted(range(len(column.names)), key=lambda code: (-counts[code], column.names[code]))
        return cls(name, tuple(sorted(column.names[code] for code in chosen[:MOST_CATEGORIES] if counts[code])))

    @property
    def inputs(self) -> list[str]:
        """The names of the network's inputs that it makes."""
        return [f"{self.name}={category}" for category in self.categories]

    def write(self, column: Column, X: np.ndarray) -> None:
        """Into columns X (m, len(inputs)) of the network's input."""
        codes = as_categories(column).codes_among(self.categories)
        X[...] = 0
        rows = np.flatnonzero(codes >= 0)
        X[rows, codes[rows]] = 1

    def unseen(self, column: Column) -> list[str]:
        """The column's categories that are not among these."""
        names, known = as_categories(column), set(self.categories)
        counts = names.counts()
        return [names.names[code] for code in np.flatnonzero(counts).tolist() if names.names[code] not in known]

    def to_json(self) -> dict[str, Any]:
        """As texts."""
        return {"kind": self.kind, "name": self.name, "categories": list(self.categories)}

    @classmethod
    def from_json(cls, where: str, given: Any) -> "CategoryInput":
        """What `to_json` made; ValueError or TypeError for anything else."""
        found = fields(where, given, ("kind", "name", "categories"))
        names = [text(f"{where}.categories", name) for name in sequence(f"{where}.categories", found["categories"])]
        if names != sorted(set(names)):
            raise ValueError(f"{where}.categories are not sorted, or not all different")
        return cls(text(f"{where}.name", found["name"]), tuple(names))


Input = NumberInput | CategoryInput
_INPUTS: dict[str, type[NumberInput] | type[CategoryInput]] = {NUMBER: NumberInput, CATEGORY: CategoryInput}


@dataclass(frozen=True)
class Preprocessing:
    """How the columns of a table become the inputs of a network: fixed by `of`, by the rows to train on alone.

    Examples
    --------
    >>> import fastnet as fn
    >>> table = fn.tables.as_table({"age": [20, 40, None], "sex": ["f", "m", "f"]})
    >>> prepared = fn.tables.Preprocessing.of(table)
    >>> prepared.input_names
    ['age', 'age is missing', 'sex=f', 'sex=m']
    >>> prepared.transform(table).tolist()
    [[-1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]]
    """

    inputs: tuple[Input, ...]
    # Why columns are not among them, by name.
    left_out: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, table: Table, *, keep: Collection[str] = ()) -> "Preprocessing":
        """For the columns of a table.

        Left out are columns where everything is missing, or the same; and texts of which more than half are different,
        such as names of people, unless they are among those to `keep`. ValueError if nothing remains.
        """
        inputs: list[Input] = []
        left_out: dict[str, str] = {}
        for name, column in table.items():
            why = None if name in keep else _useless(column)
            if why is None and column.is_missing.all():
                why = "nothing in it"
            if why is not None:
                left_out[name] = why
            elif isinstance(column, Numbers):
                inputs.append(NumberInput.of(name, column))
            else:
                inputs.append(CategoryInput.of(name, column))
        if not inputs:
            why_all = "; ".join(f"{name}: {why}" for name, why in left_out.items())
            raise ValueError(f"no column of the table can be learned from ({why_all}): give others")
        return cls(tuple(inputs), left_out)

    @property
    def kinds(self) -> dict[str, Kind]:
        """What each column that is needed holds, by name."""
        return {each.name: each.kind for each in self.inputs}

    @property
    def input_names(self) -> list[str]:
        """Of the network's inputs, in order."""
        return [name for each in self.inputs for name in each.inputs]

    def transform(self, table: Table, dtype: Any = np.float32) -> np.ndarray:
        """The rows of a table as the input X (m, n) of the network, C-contiguous.

        Categories that the training did not have are a warning.

        Raises
        ------
        ValueError
            For columns that are missing, or hold texts where there were numbers, and for numbers that are too large.
        """
        table.require(self.kinds)
        for each in self.inputs:
            if isinstance(each, NumberInput) and not isinstance(table[each.name], Numbers):
                names = listed(as_categories(table[each.name]).names, 3)
                raise ValueError(f"column {each.name!r} holds texts ({names}), and was one of numbers in training")
        X = np.empty((table.n_rows, len(self.input_names)), dtype)
        start = 0
        for each in self.inputs:
            part = X[:, start : start + len(each.inputs)]
            each.write(table[each.name], part)
            if not np.isfinite(part).all():
                row = int(np.flatnonzero(~np.isfinite(part).all(axis=1))[0])
                raise ValueError(f"column {each.name!r} has in {table.place(row)} a number too large for {X.dtype}")
            start += len(each.inputs)
        self._warn_of_unseen(table)
        return X

    def _warn_of_unseen(self, table: Table) -> None:
        unseen = {
            each.name: names
            for each in self.inputs
            if isinstance(each, CategoryInput) and (names := each.unseen(table[each.name]))
        }
        # A column with all the categories that there is room for had others in training, too.
        full = {each.name for each in self.inputs if len(each.inputs) >= MOST_CATEGORIES}
        strange = [
            f"{name}: {listed(names, 5)}"
            for name, names in unseen.items()
            if name not in full or len(names) == np.count_nonzero(as_categories(table[name]).counts())
        ]
        if strange:
            warnings.warn(
                f"categories that the training did not have are taken for none ({'; '.join(strange)})", stacklevel=4
            )

    def to_json(self) -> list[dict[str, Any]]:
        """As texts and numbers, an entry a column."""
        return [each.to_json() for each in self.inputs]

    @classmethod
    def from_json(cls, where: str, given: Any) -> "Preprocessing":
        """What `to_json` made; ValueError or TypeError for anything else."""
        inputs = []
        for i, each in enumerate(sequence(where, given)):
            name = mapping(f"{where}[{i}]", each).get("kind")
            known(f"{where}[{i}].kind", name, _INPUTS)
            inputs.append(_INPUTS[str(name)].from_json(f"{where}[{i}]", each))
        if len({each.name for each in inputs}) != len(inputs) or not inputs:
            raise ValueError(f"{where} has no columns, or two of one name")
        return cls(tuple(inputs))


def _useless(column: Column) -> str | None:
    """Why nothing can be learned from a column; None if something may."""
    there = column.take(~column.is_missing)
    if not len(there):
        return "nothing in it"
    if isinstance(there, Numbers):
        return (
            "always the same number" if (there.values == there.values[0]).all() and len(there) == len(column) else None
        )
    n = int(np.count_nonzero(there.counts()))
    if n == 1 and len(there) == len(column):
        return "always the same text"
    if n > MOST_CATEGORIES // 10 and n > len(there) / 2:
        return f"{n:,} different texts in {len(there):,} rows"
    return None


def looks_like_row_numbers(column: Column) -> bool:
    """Whether a column holds a different whole number in each of many rows, one after the other."""
    if not isinstance(column, Numbers) or len(column) < 20 or column.is_missing.any() or not column.are_whole:
        return False
    return bool(len(np.unique(column.values)) == len(column) == np.ptp(column.values) + 1)
