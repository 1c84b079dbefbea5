"""Matrices inside flat buffers as small named tuples, which routines are handed by value.

`arrays` has views of a buffer, whose rows lie one after the other; these here have any strides.
"""

from typing import NamedTuple

import numpy as np

from .arrays import flat, vector
from .compiling import inner


class Matrix(NamedTuple):
    """A matrix in a buffer: number [r, c] is data[offset + r * row_stride + c * column_stride], counted in elements."""

    data: np.ndarray
    offset: int
    row_stride: int
    column_stride: int


class Panels(NamedTuple):
    """A matrix in panels of a few columns, whose rows are contiguous.

    Number [r, c] of panel p is data[offset + p * panel_stride + r * row_stride + c], counted in elements.
    """

    data: np.ndarray
    offset: int
    row_stride: int
    panel_stride: int


class Rows(NamedTuple):
    """Rows that lie anywhere in a buffer: number [r, c] is data[offset + index[r] * row_stride + c], in elements."""

    data: np.ndarray
    offset: int
    row_stride: int
    index: np.ndarray


class Rescale(NamedTuple):
    """How numbers are read: as scale * x + shift."""

    scale: float
    shift: float


@inner
def as_matrix(M):
    """A 2-D array of any strides as a `Matrix`."""
    return Matrix(flat(M), 0, M.strides[0] // M.itemsize, M.strides[1] // M.itemsize)


@inner
def as_column(v):
    """A 1-D array of any stride as a `Matrix` of one column."""
    return Matrix(flat(v), 0, v.strides[0] // v.itemsize, 1)


@inner
def transposed(M):
    """The transpose, in the same memory."""
    return Matrix(M.data, M.offset, M.column_stride, M.row_stride)


@inner
def part(M, i, j):
    """The matrix from row i and column j on."""
    return moved(M, i * M.row_stride + j * M.column_stride)


@inner
def row_of(M, i, j, count):
    """`count` numbers of row i from column j on, where rows are contiguous, as a vector."""
    return vector(M.data, M.offset + i * M.row_stride + j, count)


@inner
def place_of(column, i):
    """Where number i of a column is, in its data."""
    return column.offset + i * column.row_stride


@inner
def moved(M, by):
    """The matrix whose first number is `by` elements behind that of M."""
    return Matrix(M.data, M.offset + by, M.row_stride, M.column_stride)


@inner
def panel_of(M, p):
    """Panel p of some `Panels`, as a `Matrix` of contiguous rows."""
    return Matrix(M.data, M.offset + p * M.panel_stride, M.row_stride, 1)


@inner
def panels_from(M, p):
    """The panels from panel p on."""
    return Panels(M.data, M.offset + p * M.panel_stride, M.row_stride, M.panel_stride)


@inner
def unscaled(buffer):
    """Numbers are read as they are: of the dtype of `buffer`."""
    return Rescale(buffer.dtype.type(1), buffer.dtype.type(0))
