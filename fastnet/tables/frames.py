"""Data frames of pandas and polars, Arrow tables, and mappings of columns, as tables."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..data.arrays import as_array, columns_of, holds_categories, is_frame
from ..data.objects import missing_among
from .table import CATEGORY, NUMBER, Column, Kind, Numbers, Table, as_categories, categories_of, is_wanted, require


def table_of_frame(
    given: Any, kinds: Mapping[str, Kind] | None, only: Collection[str] | None, ignore: Collection[str]
) -> Table:
    """What `as_table` makes of a data frame or a mapping."""
    if not is_frame(given) and not isinstance(given, Mapping):
        raise TypeError(
            f"the table is a {type(given).__name__}: give a data frame, a mapping of columns by name, or a path"
        )
    pairs = columns_of(given) if is_frame(given) else list(given.items())
    require("the table", only or (), [name for name, _ in pairs])
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
    if isinstance(given, list | tuple):
        given = np.array(given, object)  # else NumPy makes strings of numbers beside some
    values = np.ma.asarray(given) if isinstance(given, np.ma.MaskedArray) else np.asarray(given)
    if values.ndim != 1:
        raise ValueError(f"{name} has shape {values.shape}: give one value a row")
    is_missing = np.ma.getmaskarray(values).copy()
    if values.dtype.kind in "OT":
        is_missing |= np.array(missing_among(values.astype(object).tolist()), bool)
    elif values.dtype.kind == "f":
        is_missing |= np.isnan(np.asarray(values))
    elif values.dtype.kind not in "buiU":
        raise TypeError(f"{name} holds {values.dtype}: give numbers, booleans or strings, or leave the column out")
    there = as_array(name, np.asarray(values)[~is_missing])
    if there.dtype.kind in "bU" or holds_categories(given):
        if kind == NUMBER and len(there):
            raise ValueError(f"{name} holds {there[0]!r} in row {int((~is_missing).argmax())}: give numbers")
        return categories_of(there.astype(str), is_missing)
    numbers = np.full(len(values), np.nan)
    numbers[~is_missing] = there
    if np.isinf(numbers).any():
        raise ValueError(f"{name} holds infinity in row {int(np.isinf(numbers).argmax())}: give finite numbers")
    return as_categories(Numbers(numbers)) if kind == CATEGORY else Numbers(numbers)
