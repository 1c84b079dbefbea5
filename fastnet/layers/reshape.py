"""Reshape."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from ..checks import whole_number
from .base import Layer, Shape, shown_shape


@dataclass(frozen=True, repr=False)
class Reshape(Layer):
    """Takes the numbers of a sample, in their order, for a sample of another shape: features (784,) for (28, 28, 1).

    Nothing is computed.

    Parameters
    ----------
    shape : int or sequence of int
        Of one sample, without m; one of the extents may be -1: what is left for it.

    Raises
    ------
    ValueError
        By `fit` and `build`, for samples with more or fewer numbers.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Reshape((28, 28, 1)).output_shape((784,))
    (28, 28, 1)
    >>> fn.Reshape((-1, 9)).output_shape((128 * 9,))
    (128, 9)
    """

    flattens: ClassVar[bool] = True

    shape: Any

    def __post_init__(self) -> None:
        given = tuple(self.shape) if isinstance(self.shape, tuple | list) else (self.shape,)
        if not given:
            raise ValueError("shape=() has no extents: give those of one sample, such as (28, 28, 1)")
        shape = tuple(whole_number(f"shape[{i}]", extent, -1) for i, extent in enumerate(given))
        if shape.count(-1) > 1 or 0 in shape:
            raise ValueError(f"shape={shape} is no shape: give extents of at least 1, of which one may be -1")
        self._set_checked(shape=shape)

    def output_shape(self, shape: Shape) -> Shape:
        numbers, known = math.prod(shape), math.prod(extent for extent in self.shape if extent > 0)
        if numbers % known or (numbers != known and -1 not in self.shape):
            raise ValueError(f"a sample of {shown_shape(shape)} has {numbers} numbers: give a shape of as many")
        return tuple(numbers // known if extent < 0 else extent for extent in self.shape)

    def shown_settings(self) -> str:
        return f"to {shown_shape(self.shape)}"
