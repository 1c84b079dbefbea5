"""JSON of unknown origin, checked piece by piece: errors say where it is wrong, and what was expected there."""

import json
import re
from collections.abc import Collection
from typing import Any

from ..checks import whole_number

MOST_DEPTH = 32  # of lists and mappings in each other
_MOST_BITS = 10_000  # of a whole number: Python reads and writes decimals up to 4,300 digits

# A string, which hides the brackets in it, or a bracket. Possessive, so that the time is linear for any text.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


def parsed(where: str, text: str) -> Any:
    """The value of a text; ValueError if it is no JSON, or nested too deep. NaN and Infinity are numbers here."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > MOST_DEPTH:
            raise ValueError(f"{where} is nested deeper than {MOST_DEPTH}")
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where} is no JSON: {error}") from error


def mapping(where: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {value!r} and no mapping")
    return value


def sequence(where: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is {value!r} and no list")
    return value


def text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{where} is {value!r} and no text")
    return value


def fields(where: str, value: object, names: Collection[str], optional: Collection[str] = ()) -> dict[str, Any]:
    """A mapping with exactly these names; those that are `optional` may be missing."""
    found = mapping(where, value)
    for name in names:
        if name not in found and name not in optional:
            raise ValueError(f"{where}.{name} is missing")
    for name in found:
        if name not in names:
            raise ValueError(f"{where}.{name} is not known")
    return found


def whole(where: str, value: object, below: int) -> int:
    """A whole number of 0 or more, `below` some other."""
    number = whole_number(where, value)
    if number >= below:
        raise ValueError(f"{where}={number} is too large")
    return number


def number(where: str, value: object) -> float:
    """A number as a float, NaN and infinity among them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where} is {value!r} and no number")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{where} is too large for a number") from error


def check_plain(value: object, depth: int = 0) -> None:
    """Raise TypeError for what would not come back from JSON as it was."""
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise TypeError("a whole number of more than 3,000 digits")
    if value is None or isinstance(value, str | int | float):
        return
    if depth >= MOST_DEPTH // 2:
        raise TypeError(f"lists and mappings nested deeper than {MOST_DEPTH // 2}")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a mapping with a key that is no text")
        value = list(value.values())
    if not isinstance(value, list):
        raise TypeError(f"a {type(value).__name__}")
    for each in value:
        check_plain(each, depth + 1)
