"""Whatever people have a table in, as a `Table`."""

import os
from collections.abc import Collection, Mapping
from typing import Any

from .frames import table_of_frame
from .reading import read_table
from .table import CATEGORY, Kind, Table, as_categories, check_kinds, check_names, is_wanted


def as_table(
    given: Any, *, kinds: Mapping[str, Kind] | None = None, only: Collection[str] | None = None,
    ignore: Collection[str] = (),
) -> Table:  # fmt: skip
    """A data frame of pandas or polars, an Arrow table, or a mapping of columns by name, as a `Table`.

    Numbers become numbers; strings, booleans and categories become categories. NaN, None and the like are missing.

    Parameters
    ----------
    given : data frame, Arrow table, mapping of str to array-like (m,), Table, or path
        A path is read as `read_table` does.
    kinds : mapping of str to "number" or "category", optional
        What columns are whatever they look like.
    only, ignore : collection of str, optional
        The columns that are wanted, if not all, and those that are not.

    Raises
    ------
    TypeError
        For what is no table, and for columns of other values, such as dates.
    ValueError
        For columns of `only` or `ignore` that are not there, other kinds, a name that is no string or occurs twice, and
        infinite numbers.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.tables.as_table({"age": [41, 35], "sex": ["f", None]})
    Table(2 rows: age (number), sex (category))
    """
    check_kinds(kinds)
    check_names("only", only)
    check_names("ignore", ignore)
    if isinstance(given, str | os.PathLike):
        return read_table(given, kinds=kinds, only=only, ignore=ignore)
    if isinstance(given, Table):
        given.require([*(only or ()), *ignore])
        return Table(
            {
                name: as_categories(column) if (kinds or {}).get(name) == CATEGORY else column
                for name, column in given.items()
                if is_wanted(name, only, ignore)
            },
            given.place,
        )
    return table_of_frame(given, kinds, only, ignore)
