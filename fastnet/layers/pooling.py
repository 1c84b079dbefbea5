"""Pooling: the largest number, or the mean, of each window or of a whole sample, channel by channel."""

from dataclasses import dataclass
from typing import Any, ClassVar

from fastnet_kernels import codes

from .base import Shape, shown_shape
from .windows import IMAGES, SIGNALS, WindowedLayer, by


@dataclass(frozen=True, repr=False)
class _WindowPool(WindowedLayer):
    """Pooling of windows of one size."""

    pool_size: Any
    stride: Any = None

    def __post_init__(self) -> None:
        self._set_checked(pool_size=self.checked_extents("pool_size", self.pool_size))
        if self.stride is not None:
            self._set_checked(stride=self.checked_extents("stride", self.stride))

    @property
    def window(self) -> Shape:
        """How large a window is along each axis."""
        return self.each_axis(self.pool_size)

    def window_of(self, shape: Shape) -> Shape:
        return self.window

    @property
    def steps(self) -> Shape:
        """How far the next window is along each axis."""
        return self.each_axis(self.pool_size if self.stride is None else self.stride)

    def output_shape(self, shape: Shape) -> Shape:
        self.check_rank(shape)
        extents, rest = shape[: self.axes], shape[self.axes :]
        if any(size > extent for size, extent in zip(self.window, extents, strict=True)):
            raise ValueError(
                f"its windows, {by(self.window)}, are larger than a sample of {shown_shape(shape)}: "
                f"give a pool_size of at most {by(extents)}, or larger samples"
            )
        sizes = zip(extents, self.window, self.steps, strict=True)
        return (*((extent - size) // step + 1 for extent, size, step in sizes), *rest)

    def shown_settings(self) -> str:
        return f"windows {by(self.window)}, stride {by(self.steps)}"


@dataclass(frozen=True, repr=False)
class MaxPool1D(_WindowPool):
    """The largest number of each window of a signal, channel by channel: samples (t, c) become (t', c).

    t' = (t - pool_size) // stride + 1: there is no padding, and steps at the end that fill no window are left out. The
    gradient goes to the largest number, the first of equal ones; where windows overlap, theirs add up.

    Parameters
    ----------
    pool_size : int
        Steps of a window.
    stride : int, optional
        Steps from one window to the next; None: `pool_size`.

    Raises
    ------
    ValueError
        By `fit` and `build`, if samples are no signals (t, c) of at least `pool_size` steps.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.MaxPool1D(3, stride=2).output_shape((16, 8))
    (7, 8)
    """

    kind: ClassVar[int] = codes.MAX_POOL
    axes: ClassVar[int] = 1
    takes: ClassVar[dict[int, str]] = SIGNALS

    pool_size: int
    stride: int | None = None


@dataclass(frozen=True, repr=False)
class MaxPool2D(_WindowPool):
    """The largest number of each window of an image, channel by channel: samples (h, w, c) become (h', w', c).

    h' = (h - pool_size) // stride + 1, and w' likewise: there is no padding, and rows and columns at the far edges that
    fill no window are left out. Samples (h, w) have one channel, and become (h', w'). The gradient goes to the largest
    number, the first of equal ones, row by row; where windows overlap, theirs add up.

    Parameters
    ----------
    pool_size : int or pair of int
        Height and width of a window.
    stride : int or pair of int, optional
        Rows and columns from one window to the next; None: `pool_size`.

    Raises
    ------
    ValueError
        By `fit` and `build`, if samples are no images, or smaller than a window.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.MaxPool2D(2).output_shape((28, 28, 3))
    (14, 14, 3)
    >>> fn.MaxPool2D((2, 3), stride=1).output_shape((28, 28))
    (27, 26)
    """

    kind: ClassVar[int] = codes.MAX_POOL
    axes: ClassVar[int] = 2
    takes: ClassVar[dict[int, str]] = IMAGES

    pool_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None


@dataclass(frozen=True, repr=False)
class AveragePool1D(_WindowPool):
    """The mean of each window of a signal, channel by channel: samples (t, c) become (t', c).

    t' = (t - pool_size) // stride + 1: there is no padding, and steps at the end that fill no window are left out.

    Parameters
    ----------
    pool_size : int
        Steps of a window.
    stride : int, optional
        Steps from one window to the next; None: `pool_size`.

    Raises
    ------
    ValueError
        By `fit` and `build`, if samples are no signals (t, c) of at least `pool_size` steps.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.AveragePool1D(4).output_shape((16, 8))
    (4, 8)
    """

    kind: ClassVar[int] = codes.AVERAGE_POOL
    axes: ClassVar[int] = 1
    takes: ClassVar[dict[int, str]] = SIGNALS

    pool_size: int
    stride: int | None = None


@dataclass(frozen=True, repr=False)
class AveragePool2D(_WindowPool):
    """The mean of each window of an image, channel by channel: samples (h, w, c) become (h', w', c).

    h' = (h - pool_size) // stride + 1, and w' likewise: there is no padding, and rows and columns at the far edges that
    fill no window are left out. Samples (h, w) have one channel, and become (h', w').

    Parameters
    ----------
    pool_size : int or pair of int
        Height and width of a window.
    stride : int or pair of int, optional
        Rows and columns from one window to the next; None: `pool_size`.

    Raises
    ------
    ValueError
        By `fit` and `build`, if samples are no images, or smaller than a window.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.AveragePool2D(2).output_shape((28, 28, 3))
    (14, 14, 3)
    """

    kind: ClassVar[int] = codes.AVERAGE_POOL
    axes: ClassVar[int] = 2
    takes: ClassVar[dict[int, str]] = IMAGES

    pool_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None


@dataclass(frozen=True, repr=False)
class _GlobalPool(WindowedLayer):
    """Pooling of a whole sample, one window."""

    @property
    def steps(self) -> Shape:
        """How far the next window is along each axis: there is none."""
        return (1,) * self.axes

    def window_of(self, shape: Shape) -> Shape:
        return shape[: self.axes]

    def pixels_of(self, shape: Shape) -> Shape:
        return (1,) * self.axes

    def output_shape(self, shape: Shape) -> Shape:
        self.check_rank(shape)
        return shape[self.axes :] or (1,)


@dataclass(frozen=True, repr=False)
class GlobalMaxPool1D(_GlobalPool):
    """The largest number of each channel of a signal: samples (t, c) become features (c,).

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.GlobalMaxPool1D().output_shape((128, 64))
    (64,)
    """

    kind: ClassVar[int] = codes.MAX_POOL
    axes: ClassVar[int] = 1
    takes: ClassVar[dict[int, str]] = SIGNALS


@dataclass(frozen=True, repr=False)
class GlobalMaxPool2D(_GlobalPool):
    """The largest number of each channel of an image: samples (h, w, c) become features (c,).

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.GlobalMaxPool2D().output_shape((7, 7, 64))
    (64,)
    """

    kind: ClassVar[int] = codes.MAX_POOL
    axes: ClassVar[int] = 2
    takes: ClassVar[dict[int, str]] = IMAGES


@dataclass(frozen=True, repr=False)
class GlobalAveragePool1D(_GlobalPool):
    """The mean of each channel of a signal: samples (t, c) become features (c,).

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.GlobalAveragePool1D().output_shape((128, 64))
    (64,)
    """

    kind: ClassVar[int] = codes.AVERAGE_POOL
    axes: ClassVar[int] = 1
    takes: ClassVar[dict[int, str]] = SIGNALS


@dataclass(frozen=True, repr=False)
class GlobalAveragePool2D(_GlobalPool):
    """The mean of each channel of an image, of any size: samples (h, w, c) become features (c,).

    After Lin, Chen and Yan (2014).

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.GlobalAveragePool2D().output_shape((7, 7, 64))
    (64,)
    """

    kind: ClassVar[int] = codes.AVERAGE_POOL
    axes: ClassVar[int] = 2
    takes: ClassVar[dict[int, str]] = IMAGES
