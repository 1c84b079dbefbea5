"""The fully connected layer."""

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

from fastnet_kernels import codes

from ..checks import positive_integer
from .base import Layer, Parameter, Shape, Steps
from .conv import Conv1D
from .weighted import WeightedLayer


@dataclass(frozen=True, repr=False)
class Dense(WeightedLayer):
    """A fully connected layer: Z = A_prev W^T + b, A = g(Z).

    It takes samples of any shape for as many features, but for sequences (m, t, n_prev), which come from recurrent
    layers: of these it works at each step, (m, t, n), with the same W and b. `Flatten` before it makes features.

    Parameters
    ----------
    units : int
        Number of units n, at least 1, and 2 of softmax: W is (n, n_prev), b is (n,).
    activation : str
        g: "linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "hard_sigmoid",
        "hard_silu", or, for the output layer, "softmax". `fastnet_kernels.reference.activation` has the formulas.
    init : str, optional
        Standard deviation of the normal distribution that the first weights are drawn from; b starts at 0.
        "he": sqrt(2 / n_prev) (He et al., 2015), the default for relu and what resembles it;
        "xavier": sqrt(1 / n_prev) (after Glorot and Bengio, 2010), the default for all others;
        "small": 0.01; "zeros": 0, which is good for an output layer only.
    slope : float
        leaky_relu's slope for negative z, at least 0.
    alpha : float
        elu's distance from 0 far below it, at least 0.
    l1, l2 : float
        Add l1 sum |W| + l2 / 2 sum W^2 to the cost, at least 0: weights stay small.
    trainable : bool
        Whether training changes W and b.

    Raises
    ------
    ValueError, TypeError
        For units below 1, an unknown activation or initialisation, or a negative setting.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Dense(20, "relu", l2=1e-4)
    Dense(20, activation='relu', l2=0.0001)
    """

    kind: ClassVar[int] = codes.DENSE
    begins_number: ClassVar[bool] = True
    is_dense: ClassVar[bool] = True
    reads_samples: ClassVar[bool] = True
    flattens: ClassVar[bool] = True
    can_be_last: ClassVar[bool] = True

    units: int
    activation: str = "linear"
    init: str | None = None
    slope: float = 0.01
    alpha: float = 1.0
    l1: float = 0.0
    l2: float = 0.0
    trainable: bool = True

    def __post_init__(self) -> None:
        self._set_checked(units=positive_integer("units", self.units))
        self.check_settings()

    @property
    def fixed_units(self) -> int:
        return self.units

    def output_shape(self, shape: Shape) -> Shape:
        return Steps((shape[0], self.units)) if isinstance(shape, Steps) else (self.units,)

    def parameters(self, shape: Shape) -> list[Parameter]:
        n_prev = shape[1] if isinstance(shape, Steps) else math.prod(shape)
        return self.weights_and_biases((self.units, n_prev))

    def uses_of_weights(self, shape: Shape) -> int:
        return shape[0] if isinstance(shape, Steps) else 1

    def planned(self, shape: Shape) -> Layer:
        if not isinstance(shape, Steps):
            return self
        settings = {name: getattr(self, name) for name in ("activation", "init", "slope", "alpha", "l1", "l2")}
        return StepwiseDense(self.units, 1, trainable=self.trainable, **settings)

    def check_place(self, place: str, *, is_last: bool) -> None:
        if self.activation == "softmax" and not is_last:
            raise ValueError(f"layer {place} is hidden and softmax: softmax is for the output layer only")
        if self.activation == "softmax" and self.units == 1:
            raise ValueError(
                f"layer {place} is softmax and has units=1, whose probability is always 1: give it a unit a class, or "
                "use Dense(1, 'sigmoid') for two classes"
            )
        if self.init == "zeros" and not is_last and self.units > 1:
            warnings.warn(
                f"layer {place} is hidden and starts at zeros: its units get the same gradient and stay alike, as if "
                "there were one; use init='he' or 'xavier'",
                stacklevel=4,  # the line that makes the network
            )


@dataclass(frozen=True, repr=False)
class StepwiseDense(Conv1D):
    """`Dense` at each step of a sequence, as plans have it: a convolution whose windows are one step long."""

    def parameters(self, shape: Shape) -> list[Parameter]:
        return self.weights_and_biases((self.filters, shape[1]))

    @property
    def sees_other_steps(self) -> bool:
        return False
