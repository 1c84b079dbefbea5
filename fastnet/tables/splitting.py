"""A table in two: rows to train on, and rows to be held out."""

import numpy as np

from ..checks import real_number, whole_number
from .table import Categories, Numbers, Table


def split(table: Table, share: float = 0.2, *, by: str | None = None, seed: int = 0) -> tuple[Table, Table]:
    """The rows to train on, and a random `share` of the rows, held out; both in the order of the table.

    Parameters
    ----------
    table : Table
    share : float
        Between 0 and 1; at least one row goes either way.
    by : str, optional
        A column of categories, or of whole numbers, of whose each value the same share is held out, rounded; what
        occurs once is trained on.
    seed : int
        Another one, another choice.

    Raises
    ------
    ValueError
        For another share, a table of one row, and a column that is not there.

    Examples
    --------
    >>> import fastnet as fn
    >>> table = fn.tables.as_table({"age": range(10), "sex": ["f", "m"] * 5})
    >>> train, test = fn.tables.split(table, 0.4, by="sex")
    >>> train.n_rows, sorted(test["sex"].texts())
    (6, ['f', 'f', 'm', 'm'])
    """
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
        wanted = np.where(sizes > 1, np.rint(sizes * share), 0).astype(np.intp)
        # The first ones of each group, in the random order.
        by_group = np.argsort(groups, kind="stable")
        rank = np.empty(m, np.intp)
        rank[by_group] = np.arange(m) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        held[order] = rank < wanted[groups]
    if not held.any() or held.all():  # also where each group is too small
        held[:] = False
        held[order[: min(max(1, round(share * m)), m - 1)]] = True
    return table.take(~held), table.take(held)


def _groups(table: Table, by: str) -> np.ndarray:
    """(m,) a number for each value of a column; those that are missing are a value."""
    column = table[by]
    found = column.codes if isinstance(column, Categories) else column.values
    if isinstance(column, Numbers):
        found = np.where(column.is_missing, np.inf, found)
    return np.unique(found, return_inverse=True)[1].reshape(-1)
