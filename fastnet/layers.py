"""The layers a network is described with: what they are called, how many units they have, how they start."""

import math
from dataclasses import dataclass

import numpy as np

from .checks import known, positive_integer, real_number

ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "softmax")

# Standard deviation of the first random weights, by the number of inputs n of a unit.
INITIALISATIONS = {
    "he": lambda n: math.sqrt(2 / n),
    "xavier": lambda n: math.sqrt(1 / n),
    "small": lambda n: 0.01,
    "zeros": lambda n: 0.0,
}


@dataclass(frozen=True)
class Dense:
    """A fully connected layer: Z = A_prev W^T + b, A = g(Z).

    Parameters
    ----------
    units : int
        Number of units n, at least 1: W is (n, n_prev), b is (n,).
    activation : str
        g: "linear", "sigmoid", "tanh", "relu", "leaky_relu", or, for the output layer, "softmax".
    init : str, optional
        Standard deviation of the normal distribution that the first weights are drawn from; b starts at 0.
        "he": sqrt(2 / n_prev) (He et al., 2015), the default for relu and leaky_relu;
        "xavier": sqrt(1 / n_prev) (after Glorot and Bengio, 2010), the default for all others;
        "small": 0.01; "zeros": 0, which is good for an output layer only.
    slope : float
        leaky_relu's slope for negative z, at least 0.

    Raises
    ------
    ValueError, TypeError
        For units below 1, an unknown activation or initialisation, or a negative slope.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Dense(20, "relu")
    Dense(units=20, activation='relu', init='he', slope=0.01)
    """

    units: int
    activation: str = "linear"
    init: str | None = None
    slope: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", positive_integer("units", self.units))
        known("activation", self.activation, ACTIVATIONS)
        if self.init is None:
            init = "he" if self.activation in ("relu", "leaky_relu") else "xavier"
            object.__setattr__(self, "init", init)
        known("init", self.init, INITIALISATIONS)
        object.__setattr__(self, "slope", real_number("slope", self.slope, at_least=0))

    def initial_weights(self, rng: np.random.Generator, n_inputs: int) -> np.ndarray:
        """W (units, n_inputs), float64, drawn from `rng`."""
        scale = INITIALISATIONS[str(self.init)](n_inputs)
        return rng.standard_normal((self.units, n_inputs)) * scale


@dataclass(frozen=True)
class Rescale:
    """A first layer that reads its inputs as `scale * x + shift`, without a copy of the whole set.

    With `Rescale(1/255)` a network takes images of uint8 as they are.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Rescale(0.5, -1)
    Rescale(scale=0.5, shift=-1.0)
    """

    scale: float
    shift: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", real_number("scale", self.scale))
        object.__setattr__(self, "shift", real_number("shift", self.shift))


Layer = Dense | Rescale
