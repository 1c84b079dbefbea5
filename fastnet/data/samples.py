"""Inputs X as users have them, made into the plain rows that the compiled program reads."""

from typing import Any

import numpy as np

from ..checks import finite
from .arrays import as_numbers, names_of

ROWS_AT_ONCE = 1024  # of a prediction, at the most


def is_converted_one_by_one(X: Any, dtype: np.dtype) -> bool:
    """Whether samples are so many, and of such a kind, that they are converted a mini-batch at a time."""
    return isinstance(X, np.memmap) and X.dtype not in (np.dtype(np.uint8), dtype)


def as_rows(
    X: Any,
    dtype: np.dtype,
    shape: tuple[int, ...] | None = None,
    *,
    names: tuple[str, ...] | None = None,
    must_be_finite: bool = True,
) -> np.ndarray:
    """X (m, ...) as rows (m, n_0), C-contiguous, in uint8 where it was uint8 (or boolean), else in `dtype`.

    Images (m, h, w, c) are flattened. Nothing is copied that has the right form already. `shape` is that of the samples
    a network was built for: of one extent, (n,), it stands for all samples of so many numbers. `names` are those of the
    columns it was trained with: a data frame is to have them too, in this order.

    Raises
    ------
    TypeError
        If X does not hold real numbers, or is no array.
    ValueError
        If values are missing or masked, or X is empty, of rank 0 or 1, not finite, or has samples of another shape, or
        columns of other names. Unless they `must_be_finite`, the numbers of an array are not looked at.
    """
    return as_samples(X, dtype, shape, names=names, must_be_finite=must_be_finite)[0]


def as_samples(
    X: Any,
    dtype: np.dtype,
    shape: tuple[int, ...] | None = None,
    *,
    names: tuple[str, ...] | None = None,
    must_be_finite: bool = True,
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Rows of X, as `as_rows` makes them, and the shape of a sample, such as (h, w, c)."""
    is_plain = type(X) is np.ndarray and X.dtype.kind in "buif"
    if not is_plain and names is not None:
        _check_names(names_of(X), names)
    given = X if is_plain else as_numbers("X", X)
    if given.ndim < 2:
        raise ValueError(
            f"X has shape {given.shape}: expected (m, n) with one sample a row; "
            "for one sample use X.reshape(1, -1), for one feature X.reshape(-1, 1)"
        )
    if given.size == 0:
        raise ValueError(f"X is empty, of shape {given.shape}: give at least one sample with at least one feature")
    n_features, found = given.size // len(given), given.shape[1:]
    if shape is not None and found != shape:
        if len(shape) > 1:
            raise ValueError(
                f"X has shape {given.shape}, samples of {found}: this network was built for samples of {shape}; give "
                f"(m, {', '.join(map(str, shape))}), also of a single one"
            )
        if n_features != shape[0]:
            n = shape[0]
            raise ValueError(
                f"X has {n_features} features a sample (shape {given.shape}): this network was built for {n}; give "
                f"(m, {n}), or (1, {n}) for one sample"
            )
    flat = given if given.ndim == 2 else given.reshape(len(given), n_features)
    if flat.dtype == dtype and flat.flags.c_contiguous:
        rows = flat
    elif flat.dtype.kind == "b" or flat.dtype == np.uint8:
        return np.ascontiguousarray(flat, dtype=np.uint8), found
    else:
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(flat, dtype=dtype)
    if must_be_finite:
        finite("X", rows, flat, None if is_plain else names_of(X))
    return rows, found


def _check_names(given: tuple[str, ...] | None, names: tuple[str, ...]) -> None:
    """Raise ValueError for a data frame whose columns are others than in training, or in another order."""
    if given is None or given == names:
        return
    lacking, more = ([name for name in a if name not in b] for a, b in ((names, given), (given, names)))
    what = "in another order" if not lacking and not more and len(given) == len(names) else "other ones"
    differences = "".join(
        f"; {verb} {', '.join(map(repr, some[:8]))}{', ...' if len(some) > 8 else ''}"
        for verb, some in (("it lacks", lacking), ("it has also", more))
        if some
    )
    raise ValueError(
        f"X has columns that are {what} than in training{differences}: give X[list(net.feature_names)], or an array "
        "for columns without names"
    )
