"""Convolutions."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from fastnet_kernels import codes

from ..checks import known, positive_integer
from .base import Parameter, Shape, shown_shape
from .weighted import WeightedLayer
from .windows import IMAGES, SIGNALS, WindowedLayer, by

_PADDINGS = ("valid", "same")


@dataclass(frozen=True, repr=False)
class _Conv(WindowedLayer, WeightedLayer):
    """What both kinds share: windows along the first one or two extents of a sample, and W (filters, ..., channels)."""

    kind: ClassVar[int] = codes.CONV
    wgrad: ClassVar[int] = codes.WGRAD_TAPS
    begins_number: ClassVar[bool] = True

    filters: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = "valid"
    dilation: Any = 1
    groups: int = 1
    activation: str = "linear"
    init: str | None = None
    slope: float = 0.01
    alpha: float = 1.0
    l1: float = 0.0
    l2: float = 0.0
    trainable: bool = True

    def __post_init__(self) -> None:
        for name in ("filters", "groups"):
            self._set_checked(**{name: positive_integer(name, getattr(self, name))})
        for name in ("kernel_size", "stride", "dilation"):
            self._set_checked(**{name: self.checked_extents(name, getattr(self, name))})
        if isinstance(self.padding, str):
            known("padding", self.padding, _PADDINGS)
        else:
            self._set_checked(padding=self.checked_extents("padding", self.padding, 0))
        if self.filters % self.groups:
            raise ValueError(f"filters={self.filters} are not whole {self.groups} groups: give a multiple of groups")
        self.check_settings()

    @property
    def window(self) -> Shape:
        """How large a window is along each axis."""
        return self.each_axis(self.kernel_size)

    def window_of(self, shape: Shape) -> Shape:
        return self.window

    @property
    def steps(self) -> Shape:
        """How far the next window is along each axis."""
        return self.each_axis(self.stride)

    @property
    def gaps(self) -> Shape:
        """From one number of a window to the next, along each axis."""
        return self.each_axis(self.dilation)

    @property
    def reach(self) -> Shape:
        """From a window's first number to behind its last one, along each axis."""
        sizes = zip(self.window, self.gaps, strict=True)
        return tuple((size - 1) * step + 1 for size, step in sizes)

    def around(self, shape: Shape) -> list[tuple[int, int]]:
        """How many zeros there are before and behind a sample, along each axis."""
        if self.padding == "valid":
            return [(0, 0)] * self.axes
        if not isinstance(self.padding, str):
            return [(pad, pad) for pad in self.each_axis(self.padding)]
        sizes = zip(shape, self.reach, self.steps, strict=False)
        # Of an odd number the larger half stands behind, as in Keras.
        wanted = [max(0, (-(-extent // step) - 1) * step + reach - extent) for extent, reach, step in sizes]
        return [(pad // 2, pad - pad // 2) for pad in wanted]

    def _channels(self, shape: Shape) -> int:
        return shape[self.axes] if len(shape) > self.axes else 1

    def output_shape(self, shape: Shape) -> Shape:
        self.check_rank(shape)
        channels = self._channels(shape)
        if channels % self.groups:
            raise ValueError(f"{channels} channels are not whole {self.groups} groups: give groups that divide them")
        extents = []
        for extent, reach, step, (before, behind) in zip(
            shape, self.reach, self.steps, self.around(shape), strict=False
        ):
            if extent + before + behind < reach:
                raise ValueError(
                    f"its windows reach over {by(self.reach)} numbers, further than a sample of {shown_shape(shape)} "
                    f"with its padding: give a smaller kernel_size or dilation, or padding='same'{self._hint(shape)}"
                )
            extents.append((extent + before + behind - reach) // step + 1)
        return (*extents, self.filters)

    def _hint(self, shape: Shape) -> str:
        """What to do about samples whose channels may stand first, as in PyTorch."""
        may_be_first = len(shape) > self.axes and shape[0] < min(shape[1:])
        return "; channels stand last: where they are first, give np.moveaxis(X, 1, -1)" if may_be_first else ""

    def parameters(self, shape: Shape) -> list[Parameter]:
        return self.weights_and_biases((self.filters, *self.window, self._channels(shape) // self.groups))

    def can_be_winograd(self, shape: Shape) -> bool:
        around = [pad for pair in self.around(shape) for pad in pair]
        plain = set(self.steps) == set(self.gaps) == {1} and self.groups == 1
        return len(shape) == 3 and self.window == (3, 3) and plain and max(around) <= 2

    def uses_of_weights(self, shape: Shape) -> int:
        return math.prod(self.output_shape(shape)[: self.axes])

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        super().describe(row, settings, shape)
        one, none = (1,) * (2 - self.axes), (0,) * (2 - self.axes)
        row[[codes.PAD_Y, codes.PAD_X]] = *none, *(before for before, _ in self.around(shape))
        row[[codes.DILATION_Y, codes.DILATION_X]] = *one, *self.gaps
        row[codes.GROUPS] = self.groups

    def check_place(self, place: str, *, is_last: bool) -> None:
        if self.activation == "softmax":
            raise ValueError(f"layer {place} is a convolution and softmax: softmax is for the output layer only")

    def shown_settings(self) -> str:
        padding = self.padding if isinstance(self.padding, str) else by(self.each_axis(self.padding))
        shown = [f"windows {by(self.window)}", f"padding {padding}"]
        shown += [f"stride {by(self.steps)}"] * (set(self.steps) != {1})
        shown += [f"dilation {by(self.gaps)}"] * (set(self.gaps) != {1})
        shown += [f"{self.groups} groups"] * (self.groups > 1)
        return ", ".join([*shown, super().shown_settings()])


@dataclass(frozen=True, repr=False)
class Conv2D(_Conv):
    """A convolution of images: samples (h, w, c) become (h', w', filters), A = g(Z).

    Z[y, x, o] = b[o] + sum over (dy, dx, i) of W[o, dy, dx, i] A_prev[y stride + dy dilation - pad, ..., i], where what
    is beyond the edge counts as 0 (LeCun et al., 1989; Goodfellow, Bengio and Courville, Deep Learning, 9). Samples
    (h, w) have one channel.

    Parameters
    ----------
    filters : int
        Channels behind it: W is (filters, kernel height, kernel width, channels / groups), b is (filters,).
    kernel_size : int or pair of int
        Height and width of a window.
    stride : int or pair of int
        Rows and columns from one window to the next.
    padding : "valid", "same", int or pair of int
        "valid": none, so that h' = (h - reach) // stride + 1, where reach = (kernel height - 1) dilation + 1. "same":
        so many zeros around that h' = ceil(h / stride), of an odd number one more behind than before. A number: so many
        on every side.
    dilation : int or pair of int
        From one number of a window to the next.
    groups : int
        The channels are cut into as many groups, and the filters too, which see only theirs.
    activation, init, slope, alpha, l1, l2, trainable
        As of `Dense`; n_prev, by which first weights are scaled, is the numbers of W a filter.

    Raises
    ------
    ValueError, TypeError
        For settings that cannot be; and by `fit` and `build`, if samples are no images, smaller than a window, or have
        channels that the groups do not divide.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Conv2D(16, 3, padding="same", activation="relu").output_shape((28, 28, 1))
    (28, 28, 16)
    """

    axes: ClassVar[int] = 2
    takes: ClassVar[dict[int, str]] = IMAGES


@dataclass(frozen=True, repr=False)
class Conv1D(_Conv):
    """A convolution of signals: samples (t, c) become (t', filters), A = g(Z).

    As `Conv2D` of images of one row: kernel_size, stride, padding and dilation are one whole number each, or "valid" or
    "same", and W is (filters, kernel_size, channels / groups).

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Conv1D(64, 3, stride=2, padding=1).output_shape((128, 9))
    (64, 64)
    """

    axes: ClassVar[int] = 1
    takes: ClassVar[dict[int, str]] = SIGNALS
