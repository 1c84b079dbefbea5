"""Checks of arguments: each says what was given, what is expected and what to do."""

import contextlib
import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

_SLICE = 1 << 16  # numbers


def known(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not known: choose one of {', '.join(map(repr, choices))}")


def float_dtype(name: str, value: Any) -> np.dtype:
    """float32 or float64, as a NumPy dtype, from all that NumPy understands as one: "f4", np.float64, float, ..."""
    with contextlib.suppress(TypeError):
        dtype: np.dtype = np.dtype(value)
        if value is not None and dtype in (np.float32, np.float64):
            return dtype
    raise ValueError(f"{name}={value!r} is not known: choose one of 'float32', 'float64'")


def whole_number(name: str, value: object, at_least: int = 0) -> int:
    """`value` as an int of `at_least` or more."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}: give a whole number of {at_least} or more")
    if value < at_least:
        raise ValueError(f"{name}={value} is below {at_least}: give a whole number of {at_least} or more")
    return int(value)


def flag(name: str, value: object) -> bool:
    """`value`, which must be True or False; TypeError for anything else, which might be meant either way."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}: give True or False")
    return bool(value)


def positive_integer(name: str, value: object) -> int:
    """`value` as an int of 1 or more."""
    return whole_number(name, value, at_least=1)


def real_number(name: str, value: object, *, at_least: float | None = None, above: float | None = None) -> float:
    """`value` as a finite float within its bounds."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}: give a number")
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond all floats
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name}={value} is not finite: give an ordinary number")
    if at_least is not None and number < at_least:
        raise ValueError(f"{name}={value} is too small: give a number of {at_least} or more")
    if above is not None and number <= above:
        raise ValueError(f"{name}={value} is too small: give a number above {above}")
    return number


def all_finite(numbers: np.ndarray) -> bool:
    """Whether no number of a 1-D array is NaN or infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(numbers.sum()):  # as good as always, and in one pass
            return True
    # A slice at a time, which stays in cache.
    return all(np.isfinite(numbers[start : start + _SLICE]).all() for start in range(0, numbers.size, _SLICE))


def finite(name: str, array: np.ndarray, original: np.ndarray, columns: Sequence[str] | None = None) -> None:
    """Raise ValueError unless all numbers of `array` (m, ...), a copy of `original`, are finite.

    It says in which column, by its name where `columns` are given.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):  # as good as always, and several times faster than looking at each number
            return
    rows = max(1, 1_000_000 // max(1, array[:1].size))  # a slice at a time, to need no second array of this size
    for start in range(0, len(array), rows):
        bad = ~np.isfinite(array[start : start + rows])
        if bad.any():
            place = np.argwhere(bad)[0]
            row = start + int(place[0])
            value = original[(row, *place[1:])]
            column = int(place[-1]) if columns is None else repr(columns[int(place[-1])])
            at = f"row {row}" if array[0].size == 1 and columns is None else f"row {row}, column {column}"
            if np.isfinite(value):
                raise ValueError(
                    f"{name} holds {value} in {at}, which is too large for {array.dtype}: "
                    "scale it, or make the network with dtype='float64'"
                )
            raise ValueError(f"{name} holds {value} in {at}: replace or leave out what is NaN or infinite")
