"""A table in two: rows to train on, and rows to be held out."""

from typing import Any

import numpy as np

from ..checks import real_number, whole_number
from .conversion import as_table
from .table import Categories, Numbers, Table


def split(table: Any, share: float = 0.2, *, by: str | None = None, seed: int = 0) -> tuple[Table, Table]:
    """The rows to train on, and a random `share` of the rows, held out; both in the order of the table.

    Parameters
    ----------
    table : Table, or whatever `as_table` takes
    share : float
        Between 0 and 1; at least one row goes either way.
    by : str, optional
        A column of categories, or of whole numbers, of whose each value the same share is held out, as far as rows are
        whole, and at least one row is trained on.
    seed : int
        Another one, another choice.

    Raises
    ------
    ValueError
        For another share, a table of one row, and a column that is not there, or has no value twice.

    Examples
    --------
    >>> import fastnet as fn
    >>> table = fn.tables.as_table({"age": range(10), "sex": ["f", "m"] * 5})
    >>> train, test = fn.tables.split(table, 0.4, by="sex")
    >>> train.n_rows, sorted(test["sex"].texts())
    (6, ['f', 'f', 'm', 'm'])
    """
    table = as_table(table)
    share = real_number("share", share, above=0)
    if share >= 1:
        raise ValueError(f"share={share} leaves nothing to train on: give a number between 0 and 1")
    if table.n_rows < 2:
        raise ValueError("the table has one row: give two at least, one to train on and one to hold out")
    m, rng = table.n_rows, np.random.default_rng(whole_number("seed", seed))
    order = rng.permutation(m)
    held = np.zeros(m, bool)
    if by is not None:
        table.require([by])
        groups = _groups(table, by)[order]
        sizes = np.bincount(groups)
        if (sizes < 2).all():
            raise ValueError(
                f"no value of {by!r} occurs twice: no row can be held out whose value is trained on as well"
            )
        wanted = _shares(sizes, share)
        # The first ones of each group, in the random order.
        by_group = np.argsort(groups, kind="stable")
        rank = np.empty(m, np.intp)
        rank[by_group] = np.arange(m) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        held[order] = rank < wanted[groups]
    else:
        held[order[: min(max(1, round(share * m)), m - 1)]] = True
    return table.take(~held), table.take(held)


def _shares(sizes: np.ndarray, share: float) -> np.ndarray:
    """How many rows of each group are held out: in all the share, rounded; the largest remainders come first.

    All but one of a group at the most, and one of all at the least.
    """
    exact = sizes * share
    wanted = np.minimum(exact.astype(np.intp), sizes - 1)
    room = sizes - 1 > wanted
    count = min(max(1, round(share * int(sizes.sum()))) - int(wanted.sum()), np.count_nonzero(room))
    remainders = np.where(room, exact - wanted, -1.0)
    wanted[np.argsort(-remainders, kind="stable")[: max(0, count)]] += 1
    found: np.ndarray = wanted
    return found


def _groups(table: Table, by: str) -> np.ndarray:
    """(m,) a number for each value of a column; those that are missing are a value."""
    column = table[by]
    found = column.codes if isinstance(column, Categories) else column.values
    if isinstance(column, Numbers):
        found = np.where(column.is_missing, np.inf, found)
    return np.unique(found, return_inverse=True)[1].reshape(-1)
