"""What layers with windows share: how these lie along the first one or two extents of a sample."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from fastnet_kernels import codes

from ..checks import whole_number
from .base import Layer, Shape, shown_shape

SIGNALS = {2: "signals (m, t, c)"}
IMAGES = {3: "images (m, h, w, c)", 2: "(m, h, w)"}
_LARGEST_EXTENT = (1 << 31) - 1


class WindowedLayer(Layer):
    """A layer of windows along `axes` of a sample. A signal, with one, is an image of one row to plans and kernels."""

    uses_shape: ClassVar[bool] = True
    axes: ClassVar[int]  # along which windows lie
    takes: ClassVar[dict[int, str]]  # shapes of X that fit, by the rank of a sample

    def window_of(self, shape: Shape) -> Shape:
        """How large a window of a sample of `shape` is along each axis."""
        raise NotImplementedError

    def pixels_of(self, shape: Shape) -> Shape:
        """How many windows of a sample of `shape` there are along each axis."""
        return self.output_shape(shape)[: self.axes]

    def check_rank(self, shape: Shape) -> None:
        """ValueError, with what would fit, for a sample that is no image, or no signal."""
        if len(shape) not in self.takes:
            fits = " or ".join(self.takes.values())
            raise ValueError(
                f"it takes {fits}, and gets {shown_shape(shape)}: give samples of that shape to fit or build, and put "
                "Dense behind it"
            )

    @property
    def steps(self) -> Shape:
        """How far the next window is along each axis."""
        raise NotImplementedError

    @property
    def sees_other_steps(self) -> bool:
        return True

    def checked_extents(self, name: str, value: object, at_least: int = 1) -> int | Shape:
        """A setting that is one whole number, or one for each axis."""
        if self.axes == 1 or not isinstance(value, tuple | list):
            return _extent(name, value, at_least)
        if len(value) != self.axes:
            raise ValueError(f"{name}={value!r} has {len(value)} entries: give a whole number, or {self.axes} of them")
        return tuple(_extent(f"{name}[{i}]", each, at_least) for i, each in enumerate(value))

    def each_axis(self, given: Any) -> Shape:
        """Such a setting, for each axis."""
        return given if isinstance(given, tuple) else (given,) * self.axes

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        super().describe(row, settings, shape)
        one = (1,) * (2 - self.axes)
        row[[codes.HEIGHT, codes.WIDTH]] = *one, *shape[: self.axes]
        row[[codes.OUT_HEIGHT, codes.OUT_WIDTH]] = *one, *self.pixels_of(shape)
        row[[codes.WINDOW_HEIGHT, codes.WINDOW_WIDTH]] = *one, *self.window_of(shape)
        row[[codes.STRIDE_Y, codes.STRIDE_X]] = *one, *self.steps


def _extent(name: str, value: object, at_least: int) -> int:
    """A whole number that plans can hold, and multiply by another one."""
    number = whole_number(name, value, at_least)
    if number > _LARGEST_EXTENT:
        raise ValueError(f"{name}={number} is beyond all samples: give at most {_LARGEST_EXTENT}")
    return number


def one_or_each(extents: Sequence[int]) -> Any:
    """A setting of windows: one number for all axes, or one for each."""
    return extents[0] if len(set(extents)) == 1 else tuple(extents)


def by(extents: Sequence[int]) -> str:
    """2 x 3, for people."""
    return " x ".join(map(str, extents))
