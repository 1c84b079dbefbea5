"""A table in memory: columns of numbers or of categories, by name."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from ..checks import known

NUMBER: Literal["number"] = "number"
CATEGORY: Literal["category"] = "category"
Kind = Literal["number", "category"]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: float64 (m,), NaN where one is missing."""

    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_missing(self) -> np.ndarray:
        """(m,) booleans."""
        found: np.ndarray = np.isnan(self.values)
        return found

    @property
    def are_whole(self) -> bool:
        """Whether all that are there are whole numbers, which float64 holds exactly."""
        return bool(_are_whole(self.values[~self.is_missing]).all())

    def take(self, rows: np.ndarray) -> Self:
        """Some of the rows: by index, or by a mask."""
        return type(self)(self.values[rows])

    def texts(self) -> list[str]:
        """Each number as text, by its value alone: "3", "2.5", and empty where it is missing."""
        there = ~self.is_missing
        texts = np.full(len(self), "", object)
        texts[there] = names_of_numbers(self.values[there])
        return list(texts)


@dataclass(frozen=True)
class Categories:
    """A column of texts: for each row the index of its text in `names`, int32 (m,), -1 where it is missing.

    Booleans are the texts "False" and "True", and `are_booleans`.
    """

    codes: np.ndarray
    names: Sequence[str]
    are_booleans: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """From a text for each row."""
        names, codes = np.unique(np.asarray(texts, str), return_inverse=True)
        return cls(codes.reshape(-1).astype(np.int32), names.tolist())

    @property
    def is_missing(self) -> np.ndarray:
        """(m,) booleans."""
        found: np.ndarray = self.codes < 0
        return found

    def take(self, rows: np.ndarray) -> Self:
        """Some of the rows: by index, or by a mask."""
        return type(self)(self.codes[rows], self.names, self.are_booleans)

    def counts(self) -> np.ndarray:
        """How often each name occurs."""
        found: np.ndarray = np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))
        return found

    def codes_among(self, names: Sequence[str]) -> np.ndarray:
        """(m,) indices among other `names`, and -1 for a text that is not there or missing."""
        index = {name: code for code, name in enumerate(names)}
        places = np.array([*(index.get(name, -1) for name in self.names), -1], np.int32)
        found: np.ndarray = places[self.codes]
        return found

    def texts(self) -> list[str]:
        """The text of each row, empty where it is missing."""
        names = [*self.names, ""]
        return [names[code] for code in self.codes.tolist()]


Column = Numbers | Categories


class Table(Mapping[str, Column]):
    """Columns of one length by name, in order: a mapping.

    Parameters
    ----------
    columns : mapping of str to Numbers or Categories
    place : callable, optional
        How messages call a row, given its index: of a file "line 17", else "row 16".

    Raises
    ------
    ValueError
        Without a column or a row, or for columns of several lengths.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnet.tables import Categories, Numbers, Table
    >>> table = Table({"age": Numbers(np.array([41.0, np.nan])), "sex": Categories.of(["f", "m"])})
    >>> table
    Table(2 rows: age (number), sex (category))
    >>> table.take(np.array([1]))["sex"].texts()
    ['m']
    """

    def __init__(self, columns: Mapping[str, Column], place: Callable[[int], str] = "row {}".format) -> None:
        self._columns, self.place = dict(columns), place
        lengths = {name: len(column) for name, column in self._columns.items()}
        if not lengths:
            raise ValueError("the table has no columns: give one at least")
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns have {lengths} rows: give each as many")
        self.n_rows = next(iter(lengths.values()))
        if not self.n_rows:
            raise ValueError(f"the table ({', '.join(lengths)}) has no rows: give one at least")

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        """The number of columns: it is a mapping of these. `n_rows` has the other."""
        return len(self._columns)

    def take(self, rows: np.ndarray) -> "Table":
        """A table of some of the rows: by index, or by a mask."""
        chosen, place = np.arange(self.n_rows)[rows], self.place
        columns = {name: column.take(rows) for name, column in self.items()}
        return Table(columns, lambda row: place(int(chosen[row])))

    def require(self, names: Iterable[str]) -> None:
        """Raise ValueError for columns that are not there; it names all of them."""
        require("the table", names, self)

    def __repr__(self) -> str:
        kinds = (f"{name} ({kind_of(column)})" for name, column in self.items())
        return f"Table({self.n_rows} rows: {', '.join(kinds)})"


def _are_whole(values: np.ndarray) -> np.ndarray:
    """Which numbers are whole, and of a size at which float64 has every whole number."""
    found: np.ndarray = (np.abs(values) < 2.0**53) & (values == np.floor(values))
    return found


def names_of_numbers(values: np.ndarray) -> list[str]:
    """Numbers as names of categories: the same number has the same name, whatever others there are.

    >>> import numpy as np
    >>> names_of_numbers(np.array([3.0, 2.5, -0.0]))
    ['3', '2.5', '0']
    """
    if values.dtype.kind in "iu":
        return [str(value) for value in values.tolist()]
    values = values + 0.0  # -0 is 0
    pairs = zip(values.tolist(), _are_whole(values).tolist(), strict=True)
    return [f"{value:.0f}" if is_whole else repr(value) for value, is_whole in pairs]


def check_names(name: str, given: object) -> None:
    """TypeError for a text where a list of texts is wanted, which would be taken for its letters."""
    if isinstance(given, str):
        raise TypeError(f"{name}={given!r} is a text: give a list, [{given!r}]")
    if given is not None and not isinstance(given, Iterable):
        raise TypeError(f"{name}={given!r} is a {type(given).__name__}: give a list of texts")


def check_kinds(kinds: Mapping[str, Kind] | None) -> None:
    """ValueError unless all columns are "number" or "category"."""
    for name, kind in (kinds or {}).items():
        known(f"kinds[{name!r}]", kind, (NUMBER, CATEGORY))


def kind_of(column: Column) -> Kind:
    """What a column holds, in a word."""
    return NUMBER if isinstance(column, Numbers) else CATEGORY


def listed(names: Sequence[object], most: int = 12) -> str:
    """Names of columns, for a message."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f", ... ({len(names)} in all)" if len(names) > most else "")


def require(what: str, names: Iterable[str], there: Iterable[str]) -> None:
    """Raise ValueError for names of columns that are not there; it says all of them."""
    there = dict.fromkeys(there)
    lacking = [name for name in names if name not in there]
    if lacking:
        raise ValueError(f"{what} lacks {listed(lacking)}: it has {listed(list(there))}")


def is_wanted(name: str, only: Collection[str] | None, ignore: Collection[str]) -> bool:
    """Whether a column is among those asked for."""
    return (only is None or name in only) and name not in ignore


def categories_of(texts: np.ndarray, is_missing: np.ndarray, *, are_booleans: bool = False) -> Categories:
    """From the texts that are there, and which rows have none."""
    names, found = np.unique(texts, return_inverse=True)
    codes = np.full(len(is_missing), -1, np.int32)
    codes[~is_missing] = found.reshape(-1)
    return Categories(codes, names.tolist(), are_booleans)


def as_categories(column: Column) -> Categories:
    """The same column with its numbers taken for names."""
    if isinstance(column, Categories):
        return column
    texts, is_missing = np.array(column.texts()), column.is_missing
    return categories_of(texts[~is_missing], is_missing)
