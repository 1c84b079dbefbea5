"""The layers a network is described with: what they are called, how many units they have, how they start."""

import math
from dataclasses import dataclass

import numpy as np

from .checks import flag, known, positive_integer, real_number
from .shown import as_call

ACTIVATIONS = (
    "linear",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "softmax",
    "elu",
    "hard_sigmoid",
    "softplus",
    "silu",
    "gelu",
    "hard_silu",
)
_LIKE_RELU = ("relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "hard_silu")

# Standard deviation of the first random weights, by the number of inputs n of a unit.
INITIALISATIONS = {
    "he": lambda n: math.sqrt(2 / n),
    "xavier": lambda n: math.sqrt(1 / n),
    "small": lambda n: 0.01,
    "zeros": lambda n: 0.0,
}


@dataclass(frozen=True, repr=False)
class Layer:
    """What all layers share: a text that names what differs from the defaults, and units that follow those before."""

    def __repr__(self) -> str:
        return as_call(self, type(self).__name__)

    def units_after(self, n_inputs: int) -> int:
        """Number of outputs for so many inputs."""
        return n_inputs

    def _set_checked(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)


def _hidden_activation(activation: str) -> None:
    known("activation", activation, [name for name in ACTIVATIONS if name != "softmax"])


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """A fully connected layer: Z = A_prev W^T + b, A = g(Z).

    Parameters
    ----------
    units : int
        Number of units n, at least 1, and 2 of softmax: W is (n, n_prev), b is (n,).
    activation : str
        g: "linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "hard_sigmoid",
        "hard_silu", or, for the output layer, "softmax". `fastnet_kernels.reference.activations` has the formulas.
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

    units: int
    activation: str = "linear"
    init: str | None = None
    slope: float = 0.01
    alpha: float = 1.0
    l1: float = 0.0
    l2: float = 0.0
    trainable: bool = True

    def __post_init__(self) -> None:
        known("activation", self.activation, ACTIVATIONS)
        if self.init is not None:
            known("init", self.init, INITIALISATIONS)
        numbers = {name: real_number(name, getattr(self, name), at_least=0) for name in ("slope", "alpha", "l1", "l2")}
        self._set_checked(units=positive_integer("units", self.units), **numbers)
        flag("trainable", self.trainable)

    @property
    def initialisation(self) -> str:
        """`init`, or the default for the activation."""
        return self.init or ("he" if self.activation in _LIKE_RELU else "xavier")

    def units_after(self, n_inputs: int) -> int:
        return self.units

    def initial_weights(self, rng: np.random.Generator, n_inputs: int) -> np.ndarray:
        """W (units, n_inputs), float64, drawn from `rng`."""
        scale = INITIALISATIONS[self.initialisation](n_inputs)
        return rng.standard_normal((self.units, n_inputs)) * scale


@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """Each unit normalised over the mini-batch: g(gamma X + beta), X = (A_prev - mean) / sqrt(variance + epsilon).

    After Ioffe and Szegedy (2015). gamma (n,) starts at 1, beta (n,) at 0. Evaluation and prediction use a mean and a
    variance (n,) that training remembers; so does training itself where the layer is not `trainable`, and with a
    mini-batch of a single sample: that has no variance, and nothing of it is remembered.

    Parameters
    ----------
    activation : str
        g, any but softmax; so `Dense(64), BatchNorm("relu")` normalises Z.
    momentum : float
        How far what is remembered moves towards each mini-batch's statistics, above 0 and at most 1.
    epsilon : float
        Above 0.
    trainable : bool
        Whether training changes gamma and beta, and what is remembered.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.BatchNorm("relu")
    BatchNorm(activation='relu')
    """

    activation: str = "linear"
    momentum: float = 0.1
    epsilon: float = 1e-5
    trainable: bool = True

    def __post_init__(self) -> None:
        _hidden_activation(self.activation)
        momentum = real_number("momentum", self.momentum, above=0)
        if momentum > 1:
            raise ValueError(f"momentum={momentum} is above 1: give a share, such as 0.1")
        self._set_checked(momentum=momentum, epsilon=real_number("epsilon", self.epsilon, above=0))
        flag("trainable", self.trainable)


@dataclass(frozen=True, repr=False)
class LayerNorm(Layer):
    """Each sample normalised over its units: g(gamma X + beta), X = (A_prev - mean) / sqrt(variance + epsilon).

    After Ba, Kiros and Hinton (2016). gamma (n,) starts at 1, beta (n,) at 0.

    Parameters
    ----------
    activation : str
        g, any but softmax.
    epsilon : float
        Above 0.
    trainable : bool
        Whether training changes gamma and beta.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.LayerNorm("gelu")
    LayerNorm(activation='gelu')
    """

    activation: str = "linear"
    epsilon: float = 1e-5
    trainable: bool = True

    def __post_init__(self) -> None:
        _hidden_activation(self.activation)
        self._set_checked(epsilon=real_number("epsilon", self.epsilon, above=0))
        flag("trainable", self.trainable)


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """While training, each number is 0 with probability `rate`, and 1 / (1 - rate) times itself otherwise.

    After Srivastava et al. (2014). What is left out follows from the network's seed, the step and the place alone.

    Parameters
    ----------
    rate : float
        At least 0 and below 1.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Dropout(0.3)
    Dropout(0.3)
    """

    rate: float

    def __post_init__(self) -> None:
        rate = real_number("rate", self.rate, at_least=0)
        if rate >= 1:
            raise ValueError(f"rate={rate} would leave out everything: give a share below 1, such as 0.5")
        self._set_checked(rate=rate)


@dataclass(frozen=True)
class Rescale(Layer):
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
        self._set_checked(scale=real_number("scale", self.scale), shift=real_number("shift", self.shift))
