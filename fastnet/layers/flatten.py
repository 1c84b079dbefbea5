"""Flatten."""

import math
from dataclasses import dataclass
from typing import ClassVar

from .base import Layer, Shape


@dataclass(frozen=True, repr=False)
class Flatten(Layer):
    """Takes samples of any shape for their numbers, pixel by pixel, in each channel by channel: (h, w, c) to (h w c,).

    Nothing is computed. `Dense` does it by itself; a normalisation of all numbers needs it before.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Flatten().output_shape((4, 4, 3))
    (48,)
    """

    flattens: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)
