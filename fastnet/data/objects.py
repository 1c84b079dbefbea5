"""Arrays of Python objects, such as lists and data frames make them, as arrays of booleans, numbers or strings."""

import numbers
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

_KINDS: dict[str, tuple[type, ...]] = {
    "other": (np.datetime64, np.timedelta64),  # which NumPy counts among the integers
    "boolean": (bool, np.bool_),
    "integer": (numbers.Integral,),
    "number": (numbers.Real, Decimal),
    "complex": (numbers.Complex,),
    "string": (str,),
    "bytes": (bytes, bytearray),
    "sequence": (list, tuple, np.ndarray),
}
_REFUSED = {
    "missing": "fill in what is missing, or leave the row out",
    "bytes": "decode them, such as [label.decode() for label in y]",
    "complex": "give real numbers; real and imaginary parts can be two columns",
    "sequence": "give every sample the same number of values, in one array (np.stack makes it)",
}


def missing_among(values: Iterable[Any]) -> list[bool]:
    """Which of some objects stand for nothing: None, NaN, pandas' NA and NaT."""
    by_class: dict[type, str] = {}
    return [
        (kind := by_class.setdefault(type(value), _kind(type(value)))) == "missing"
        or (kind == "number" and _is_nan(value))
        for value in values
    ]


def _is_nan(value: Any) -> bool:
    """Also of a Fraction that no float can hold, and of a Decimal that signals."""
    return value.is_nan() if isinstance(value, Decimal) else bool(value != value)


def from_objects(name: str, array: np.ndarray, wanted: str) -> np.ndarray:
    """The same values in a dtype of their own: booleans, int64, uint64, float64 or strings.

    `wanted` says in messages what does.

    Raises
    ------
    ValueError
        For what is missing (None, NaN, pandas' NA), and for numbers beyond float64.
    TypeError
        For strings beside numbers, for bytes, and for all other objects.
    """
    values = array.ravel().tolist()
    by_class = {cls: _kind(cls) for cls in set(map(type, values))}
    kinds = [by_class[type(value)] for value in values]
    if "number" in by_class.values():  # NaN is one
        pairs = zip(kinds, values, strict=True)
        kinds = ["missing" if kind == "number" and _is_nan(value) else kind for kind, value in pairs]
    found = set(kinds)

    def first(kind: str) -> str:
        index = kinds.index(kind)
        return f"{_shown(values[index])} in {where(np.unravel_index(index, array.shape))}"

    for kind, advice in (*_REFUSED.items(), ("other", f"give {wanted}")):
        if kind in found:
            raise (ValueError if kind == "missing" else TypeError)(f"{name} holds {first(kind)}: {advice}")
    if "string" in found and len(found) > 1:
        other = min(found - {"string"})
        raise TypeError(f"{name} holds {first('string')} and {first(other)}: give {wanted}, of one kind")
    return _as_one_kind(name, values, found).reshape(array.shape)


def where(place: Sequence[Any]) -> str:
    """A place in an array: "row 3", or "row 3, column 1"."""
    row, *others = (int(index) for index in place)
    return f"row {row}" + (f", column {', '.join(map(str, others))}" if others else "")


def _kind(cls: type) -> str:
    if cls is type(None) or cls.__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return "missing"
    return next((kind for kind, classes in _KINDS.items() if issubclass(cls, classes)), "other")


def _shown(value: Any) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def _as_one_kind(name: str, values: Sequence[Any], kinds: set[str]) -> np.ndarray:
    if kinds == {"string"}:
        return np.array(values, dtype=str)
    if kinds == {"boolean"}:
        return np.array(values, dtype=bool)
    if kinds and kinds <= {"boolean", "integer"}:
        integers = [int(value) for value in values]
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= min(integers) and max(integers) <= np.iinfo(dtype).max:
                return np.array(integers, dtype=dtype)
    try:
        return np.array([float(value) for value in values], dtype=np.float64)
    except OverflowError as error:
        raise ValueError(f"{name} holds a number beyond float64: scale it") from error
