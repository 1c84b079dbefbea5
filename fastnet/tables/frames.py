"""Data frames of pandas and polars, Arrow tables, and mappings of columns, as tables."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..data.arrays import as_array, columns_of, decoded, holds_categories, is_frame
from ..data.objects import missing_among
from .table import (
    CATEGORY,
    NUMBER,
    Column,
    Kind,
    Numbers,
    Table,
    categories_of,
    is_wanted,
    names_of_numbers,
    require,
)


def table_of_frame(
    given: Any, kinds: Mapping[str, Kind] | None, only: Collection[str] | None, ignore: Collection[str]
) -> Table:
    """What `as_table` makes of a data frame or a mapping."""
    if not is_frame(given) and not isinstance(given, Mapping):
        raise TypeError(
            f"the table is a {type(given).__name__}: give a data frame, a mapping of columns by name, or a path"
        )
    pairs = columns_of(given) if is_frame(given) else list(given.items())
    require("the table", [*(only or ()), *ignore], [name for name, _ in pairs])
    columns: dict[str, Column] = {}
    for name, values in pairs:
        if not isinstance(name, str):
            raise ValueError(f"a column is called {name!r}, a {type(name).__name__}: give names that are strings")
        if name in columns:
            raise ValueError(f"two columns are called {name!r}: give each a name of its own")
        if is_wanted(name, only, ignore):
            columns[name] = _column(f"column {name!r}", values, (kinds or {}).get(name))
    return Table(columns)


def _column(name: str, given: Any, kind: Kind | None) -> Column:
    is_category = kind == CATEGORY or holds_categories(given)
    if isinstance(given, list | tuple):
        given = np.array(given, object)  # else NumPy makes strings of numbers beside some
    values = _values(name, decoded(given), is_category)
    if values.ndim != 1:
        raise ValueError(f"{name} has shape {values.shape}: give one value a row")
    is_missing = np.ma.getmaskarray(values).copy()
    if values.dtype.kind in "OT":
        is_missing |= np.array(missing_among(values.astype(object).tolist()), bool)
    elif values.dtype.kind == "f":
        is_missing |= np.isnan(np.asarray(values))
    elif values.dtype.kind not in "buiU":
        raise TypeError(f"{name} holds {values.dtype}: give numbers, booleans or strings, or leave the column out")
    if values.dtype.kind == "U":
        is_missing |= np.asarray(values) == ""
    there = as_array(name, np.asarray(values)[~is_missing])
    if there.dtype.kind == "U":  # of objects
        is_empty = there == ""
        is_missing[np.flatnonzero(~is_missing)[is_empty]] = True
        there = there[~is_empty]
    if kind == NUMBER and there.dtype.kind in "bU" and len(there):
        raise ValueError(f"{name} holds {str(there[0])!r} in row {int((~is_missing).argmax())}: give numbers")
    if there.dtype.kind in "bU":
        return categories_of(there.astype(str), is_missing, are_booleans=there.dtype.kind == "b")
    if is_category and kind != NUMBER:
        return categories_of(np.array(names_of_numbers(there), str), is_missing)
    numbers = np.full(len(values), np.nan)
    numbers[~is_missing] = there
    if np.isinf(numbers).any():
        raise ValueError(f"{name} holds infinity in row {int(np.isinf(numbers).argmax())}: give finite numbers")
    return Numbers(numbers)


def _values(name: str, given: Any, is_category: bool) -> np.ndarray:
    """A column as an array, or a masked one."""
    if isinstance(given, np.ma.MaskedArray):
        return np.ma.asarray(given)
    try:
        values = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise type(error)(f"{name} is no array ({error}): give a NumPy array of it") from error
    to_list = getattr(given, "to_pylist", None) or getattr(given, "to_list", None)
    if is_category and values.dtype.kind == "f" and to_list is not None:
        return np.array(to_list(), object)  # whole numbers with gaps, which NumPy makes floats of
    return values
