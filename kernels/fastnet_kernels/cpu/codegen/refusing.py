"""What is wrong with the arguments of a kernel, in words: for calls that compiled checks have refused."""

import numbers

import numpy as np

from ...shapes import COUNT, FLOAT, KEY, NUMBERS, RATE, WHOLE, YES_OR_NO, extents


def refuse(name, arguments, given):
    """TypeError or ValueError for the first argument that does not fit; nothing if all do."""
    call = f"{name}({', '.join(given)})"
    arrays = {}
    for key, value in given.items():
        shape = arguments.given[key]
        if shape in NUMBERS:
            _check_number(call, key, value, shape)
        else:
            arrays[key] = _check_array(call, key, value, shape)
    _check_dtypes(call, arguments, arrays)
    _check_shapes(call, arguments, arrays, given)
    for place, key in enumerate(arguments.written):
        if not arrays[key].flags.writeable:
            raise ValueError(f"{call}: {key} is read-only, and the kernel writes it: give an array that can be written")
        for other in arguments.written[:place]:
            if np.shares_memory(arrays[key], arrays[other]):
                raise ValueError(
                    f"{call}: {other} and {key} overlap, and both are written: give each memory of its own"
                )


_FITTING = {
    FLOAT: (numbers.Real, np.bool_),
    RATE: (numbers.Real, np.bool_),
    COUNT: (numbers.Integral,),
    WHOLE: (numbers.Integral,),
    KEY: (numbers.Integral,),
    YES_OR_NO: (numbers.Integral, np.bool_),
}
_LEAST, _END = {COUNT: 1, WHOLE: 0, KEY: 0, RATE: 0}, {COUNT: 1 << 63, WHOLE: 1 << 63, KEY: 1 << 64, RATE: 1}


def _check_number(call, key, value, kind):
    if not isinstance(value, _FITTING[kind]):
        raise TypeError(f"{call}: {key} is {_what(value)}: give {kind}")
    if kind in _LEAST and not _LEAST[kind] <= value < _END[kind]:
        raise ValueError(f"{call}: {key} is {value}: give {kind}, at least {_LEAST[kind]} and below {_END[kind]}")
    if kind in (FLOAT, RATE):
        try:
            float(value)
        except OverflowError:
            raise ValueError(f"{call}: {key} is too large: give a number that a float can hold") from None


def _check_array(call, key, value, shape):
    n = len(shape.split())
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{call}: {key} is {_what(value)}: give a NumPy array of shape ({', '.join(shape.split())})")
    if value.ndim != n:
        raise ValueError(f"{call}: {key} has shape {value.shape}: give one of {n} axes, ({', '.join(shape.split())})")
    return value


def _check_dtypes(call, arguments, arrays):
    first = next(key for key in arrays if key not in arguments.indices)
    for key, array in arrays.items():
        if key in arguments.indices:
            if array.dtype.kind not in "biuf":
                raise TypeError(f"{call}: {key} is of dtype {array.dtype}: give indices, whole numbers")
        elif array.dtype not in (np.float32, np.float64) or not array.dtype.isnative:
            raise TypeError(f"{call}: {key} is of dtype {array.dtype}: give float32 or float64 for all arrays")
        elif array.dtype != arrays[first].dtype:
            raise TypeError(
                f"{call}: {first} is of dtype {arrays[first].dtype} and {key} of {array.dtype}: give one dtype for all"
            )


def _check_shapes(call, arguments, arrays, given):
    letters, meant = {}, {}
    for key, array in arrays.items():
        for letter, extent in zip(arguments.given[key].split(), array.shape, strict=True):
            if letter.isalpha() and letter not in letters:
                letters[letter], meant[letter] = extent, key
    known = {**letters, **{key: value for key, value in given.items() if key not in arrays}}
    for letter, number in arguments.multiples.items():
        key, extent = meant[letter], letters[letter]
        if extent % given[number]:
            raise ValueError(
                f"{call}: {key} has shape {arrays[key].shape}, of which {letter}={extent} is no multiple of "
                f"{number}={given[number]}: give {number} that divide it"
            )
    for key, array in arrays.items():
        names = arguments.given[key].split()
        expected = extents(arguments.given[key], known)
        if array.shape != expected:
            others = [other for other in dict.fromkeys(meant[name] for name in names if name in meant) if other != key]
            because = ", as ".join([""] + [f"{other} is {arrays[other].shape}" for other in others]) if others else ""
            raise ValueError(
                f"{call}: {key} has shape {array.shape}: give one of ({', '.join(names)}) = {expected}{because}"
            )


def _what(value):
    return f"{value!r} ({type(value).__name__})" if isinstance(value, numbers.Number) else f"a {type(value).__name__}"
