"""Numba's types from the annotations of a named tuple: each field's type is written once."""

from typing import get_type_hints

import numba
import numpy as np
from numba import types

_SCALARS = {int: types.int64, float: types.float64, bool: types.boolean}


def numba_type(annotation, number):
    """Numba's type of a field: int, float, bool, a named tuple, or an array that `codes` has annotated.

    `number` is the dtype of the arrays that are annotated to be of the program's own.
    """
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if hasattr(annotation, "_fields"):
        hints = get_type_hints(annotation, include_extras=True).values()
        return types.NamedTuple([numba_type(hint, number) for hint in hints], annotation)
    dtype, ndim = annotation.__metadata__
    return types.Array(numba.from_dtype(np.dtype(number if dtype is None else dtype)), ndim, "C")
