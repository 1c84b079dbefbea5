"""Numbers and labels as users have them (lists, data frames, tensors, masked arrays), as plain NumPy arrays.

Nothing is guessed: what is missing, or of several kinds, is refused with the place where it is.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.ma

from .objects import from_objects, where

# NumPy imports numpy.ma where it is first needed, for which `np.unique` is enough. In the middle of a call, an import
# that Ctrl-C or a handler of a signal ends may keep Python's lock of imports, and whoever imports then waits for ever.

# By kind of dtype: how to go on from what is no number.
_HINTS = {
    "U": "; numbers written as text become some by .astype(float)",
    "c": "; real and imaginary parts can be two columns",
    "M": "; .astype('datetime64[s]').astype(float) gives seconds",
    "m": "; .astype('timedelta64[s]').astype(float) gives seconds",
    "V": "; give .astype('float32'), or for records a column for each field",
}
_REAL_NUMBERS = "real numbers (integers, floats or uint8 pixels)"
_ONE_COLUMN_EACH = "make one column each, 0 or 1, as pandas.get_dummies does"


def as_array(name: str, given: Any, *, wanted: str = "numbers, booleans or strings") -> np.ndarray:
    """`given` as a plain array, of any dtype but object and bytes.

    Objects become booleans, numbers or strings where all are of one of these kinds. `wanted` says in messages what
    does.

    Raises
    ------
    TypeError
        For what is no array (a generator, a set, a sparse matrix), or holds other objects, or several kinds.
    ValueError
        For missing values, and for rows of several lengths.

    Examples
    --------
    >>> import numpy as np
    >>> as_array("y", np.array(["no", "yes", "no"], object))
    array(['no', 'yes', 'no'], dtype='<U3')
    >>> as_array("y", ["no", None])
    Traceback (most recent call last):
    ...
    ValueError: y holds None in row 1: fill in what is missing, or leave the row out
    """
    if isinstance(given, np.ma.MaskedArray):
        masked = np.argwhere(np.ma.getmaskarray(given))
        if masked.size:
            raise ValueError(f"{name} is masked in {where(masked[0])}: fill in what is masked, or leave the row out")
        array: np.ndarray = np.asarray(given.data)
    elif isinstance(given, np.ndarray):
        array = np.asarray(given)
    elif is_frame(given):
        array = _from_frame(name, given, as_array)
    else:
        array = _converted(name, given)
    if array.dtype.kind in "OT":  # T: NumPy's strings of any length, some of which may be missing
        array = from_objects(name, array.astype(object), wanted)
    if array.dtype.kind == "S":
        raise TypeError(f"{name} holds bytes: decode them, {name}.astype(str)")
    return array


def as_numbers(name: str, given: Any) -> np.ndarray:
    """`given` as a plain array of booleans, integers or floats.

    Raises
    ------
    TypeError, ValueError
        As `as_array`, and for whatever is no real number, or is a category.
    """
    if holds_categories(given):
        raise TypeError(f"{name} holds categories: {_ONE_COLUMN_EACH}")
    array = _from_frame(name, given, as_numbers) if is_frame(given) else as_array(name, given, wanted=_REAL_NUMBERS)
    if array.dtype.kind not in "buif":
        advice = f", and for categories {_ONE_COLUMN_EACH}" if array.dtype.kind == "U" else ""
        raise TypeError(f"{name} holds {kind_of(array)}: give {_REAL_NUMBERS}{hint_for(array)}{advice}")
    return array


def kind_of(array: np.ndarray) -> str:
    """What the array holds, in words."""
    return f"strings ({str(array.flat[0])!r}, ...)" if array.dtype.kind == "U" and array.size else str(array.dtype)


def hint_for(array: np.ndarray) -> str:
    """How numbers can be made of an array that holds none."""
    return _HINTS.get(array.dtype.kind, "")


def _converted(name: str, given: Any) -> np.ndarray:
    """By NumPy, which is asked again for objects where it has written numbers as strings."""
    if hasattr(given, "toarray") and hasattr(given, "nnz"):
        raise TypeError(f"{name} is sparse, a {type(given).__name__}: give {name}.toarray()")
    if getattr(given, "requires_grad", False):
        raise TypeError(f"{name} is a tensor that records its gradient: give {name}.detach()")
    is_list = isinstance(given, list | tuple)
    try:
        array = np.asarray(decoded(given))
        if is_list and array.dtype.kind in "US":
            array = np.asarray(given, dtype=object)
    except (ValueError, TypeError, RuntimeError) as error:
        advice = "give a NumPy array of it"
        if is_list:
            advice = (
                "give every sample the same number of features; shorter sequences are padded, and Masking leaves out "
                "what is added"
            )
        raise type(error)(f"{name} is no array ({error}): {advice}") from error
    if array.ndim == 0 and array.dtype.kind == "O":
        is_row = isinstance(given, Iterable) and not isinstance(given, Mapping)
        what = f"list({name})" if is_row else "an array, a list or a data frame"
        kind = "None" if given is None else f"a {type(given).__name__}"
        raise TypeError(f"{name} is {kind}: give {what}, with one entry a sample")
    return array


# ---------------------------------------------------------------- data frames


def is_frame(given: Any) -> bool:
    """Whether it is a table of pandas, polars or Arrow, or one that looks like theirs."""
    return hasattr(given, "__array__") and hasattr(given, "columns") and (hasattr(given, "dtypes") or _is_arrow(given))


def _is_arrow(given: Any) -> bool:
    return hasattr(given, "column_names") and hasattr(given, "schema")


def columns_of(frame: Any) -> list[tuple[Any, Any]]:
    """Names and columns; in pandas and Arrow several may have one name."""
    if _is_arrow(frame):
        return list(zip(frame.column_names, frame.columns, strict=True))
    if hasattr(frame, "items"):
        return list(frame.items())
    return [(column.name, column) for column in frame.get_columns()]


def decoded(given: Any) -> Any:
    """A column of Arrow whose texts are numbered, as the texts; NumPy would take what is missing for the last one."""
    return given.cast(given.type.value_type) if str(getattr(given, "type", "")).startswith("dictionary") else given


def names_of(given: Any) -> tuple[str, ...] | None:
    """The names of a data frame's columns; None where they are no strings, and for anything else.

    >>> names_of([[1.0, 2.0]])
    """
    if not is_frame(given):
        return None
    names = tuple(name for name, _ in columns_of(given))
    return names if all(isinstance(name, str) for name in names) else None


def holds_categories(column: Any) -> bool:
    """Whether a column is of categories that are numbered, whatever they are."""
    kind = str(getattr(column, "dtype", getattr(column, "type", "")))
    return kind in ("category", "Categorical") or kind.startswith(("Enum", "dictionary"))


def _from_frame(name: str, frame: Any, as_column: Callable[[str, Any], np.ndarray]) -> np.ndarray:
    """(m, n), at once where NumPy makes numbers of it, or else from columns whose kinds differ."""
    if not any(holds_categories(values) for _, values in columns_of(frame)):
        whole = np.asarray(frame)
        if whole.dtype.kind in "buif":
            return whole
    columns = [as_column(f"{name}[{column!r}]", values) for column, values in columns_of(frame)]
    kinds = {column.dtype.kind == "U" for column in columns}
    if len(kinds) != 1:
        raise TypeError(f"{name} has columns of strings and of numbers: give strings alone, or numbers alone")
    return np.column_stack(columns)
