"""Residual blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from fastnet_kernels import codes

from ..checks import flag
from .activations import ActivatedLayer, check_hidden
from .base import Layer, Shape, Steps, shown_shape
from .conv import Conv1D, Conv2D
from .dense import Dense
from .windows import WindowedLayer, one_or_each


@dataclass(frozen=True, repr=False)
class Skip(Layer):
    """What goes around a block: A_prev, and on the way back what it gives to dA_prev."""

    kind: ClassVar[int] = codes.SKIP


@dataclass(frozen=True, repr=False)
class Add(ActivatedLayer):
    """What ends a block: A = g(A_prev + A of another layer)."""

    kind: ClassVar[int] = codes.ADD

    activation: str


@dataclass(frozen=True, repr=False)
class Residual(Layer):
    """A block of layers whose input is added to its output: A = g(block(A_prev) + A_prev).

    After He, Zhang, Ren and Sun (2016). Where the block gives samples another shape, what is added is a linear layer of
    the input: of images and signals a convolution with windows of 1, with the strides of the block's own layers, so
    that it sees the pixels that they begin at; of features, and where the block makes features, a Dense layer. It
    stands before the block's own layers, with W and b of its number.

    Parameters
    ----------
    layers : sequence of layers
        The block: any but Rescale, also Residual.
    activation : str
        g, any but softmax.
    trainable : bool
        Whether training changes the linear layer, where there is one.

    Raises
    ------
    ValueError, TypeError
        For layers that cannot be in a block; and by `fit` and `build`, where that does not give the input the shape of
        the output.

    Examples
    --------
    >>> import fastnet as fn
    >>> block = fn.Residual(
    ...     [fn.Conv2D(8, 3, padding="same"), fn.BatchNorm("relu"), fn.Conv2D(8, 3, padding="same"), fn.BatchNorm()],
    ...     activation="relu",
    ... )
    >>> block.output_shape((16, 16, 8))
    (16, 16, 8)
    """

    uses_shape: ClassVar[bool] = True

    layers: Sequence[Layer]
    activation: str = "linear"
    trainable: bool = True

    def __post_init__(self) -> None:
        check_hidden(self.activation)
        flag("trainable", self.trainable)
        if not isinstance(self.layers, Sequence) or not self.layers:
            raise TypeError(f"layers={self.layers!r} is no block: give its layers in order, as in Residual([Dense(8)])")
        self._set_checked(layers=tuple(self.layers))

    def __repr__(self) -> str:
        settings = "".join(
            f", {field.name}={value!r}"
            for field in fields(self)
            if field.name != "layers" and (value := getattr(self, field.name)) != field.default
        )
        return f"Residual({list(self.layers)!r}{settings})"

    def output_shape(self, shape: Shape) -> Shape:
        for place, layer in enumerate(self.layers, start=1):
            try:
                shape = layer.output_shape(shape)
            except ValueError as error:
                raise ValueError(f"its layer {place}, {layer!r}, does not fit: {error}") from None
        return shape

    def projection(self, shape: Shape) -> Layer | None:
        """What makes of a sample of `shape` one that can be added; None where it can be as it is.

        Raises ValueError where nothing does.
        """
        output = self.output_shape(shape)
        if output == shape:
            return None
        made: Layer | None = None
        if len(output) == 1 or (isinstance(shape, Steps) and output[0] == shape[0]):
            made = Dense(output[-1], trainable=self.trainable)
        elif len(output) == len(shape) in (2, 3):
            stride = one_or_each(_strides(self.layers, len(shape) - 1))
            made = (Conv1D if len(output) == 2 else Conv2D)(output[-1], 1, stride=stride, trainable=self.trainable)
        if made is not None and made.output_shape(shape) == output:
            return made
        raise ValueError(
            f"its block makes {shown_shape(output)} of {shown_shape(shape)}, to which no convolution with windows of 1 "
            "brings the input: give padding='same', and strides alone to make images smaller"
        )

    def with_trainable(self, flag: bool) -> Layer:
        return replace(self, layers=tuple(layer.with_trainable(flag) for layer in self.layers), trainable=flag)

    @property
    def is_trainable(self) -> bool:
        return self.trainable or any(layer.is_trainable for layer in self.layers)

    @property
    def is_random(self) -> bool:  # type: ignore[override]
        return any(layer.is_random for layer in self.layers)

    def shown_settings(self) -> str:
        return self.activation_name


def _strides(layers: Sequence[Layer], axes: int) -> Shape:
    """How far apart the pixels lie, along each axis, at which windows of a block's output begin."""
    found = (1,) * axes
    for layer in layers:
        steps: Shape = (1,) * axes
        if isinstance(layer, Residual):
            steps = _strides(layer.layers, axes)
        elif isinstance(layer, WindowedLayer):
            steps = layer.steps
        found = tuple(a * b for a, b in zip(found, steps, strict=False))
    return found
