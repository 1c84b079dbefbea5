"""Matrices inside flat buffers as small named tuples, which routines are handed by value.

`arrays` has views of a buffer, whose rows lie one after the other; these here have any strides.
"""

from typing import NamedTuple

import numpy as np

from .compiling import inner


class Matrix(NamedTuple):
    """A matrix in a buffer: number [r, c] is data[offset + r * row + c * column], counted in elements."""

    data: np.ndarray
    offset: int
    row: int
    column: int


class Rows(NamedTuple):
    """Rows that lie anywhere in a buffer: number [r, c] is data[offset + index[r] * row + c], counted in elements."""

    data: np.ndarray
    offset: int
    row: int
    index: np.ndarray


class Rescale(NamedTuple):
    """How numbers are read: as scale * x + shift."""

    scale: float
    shift: float


@inner
def moved(M, by):
    """The matrix whose first number is `by` elements behind that of M."""
    return Matrix(M.data, M.offset + by, M.row, M.column)


@inner
def unscaled(buffer):
    """Numbers are read as they are: of the dtype of `buffer`."""
    return Rescale(buffer.dtype.type(1), buffer.dtype.type(0))
