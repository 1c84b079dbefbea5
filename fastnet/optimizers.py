"""Optimizers: named settings of how a gradient changes the parameters. The compiled program does the work.

Names, defaults and results are those of `torch.optim`. Every learning rate may be a number or a schedule, see
`fastnet.schedules`. Before anything else, gradients are cut to at most `clip_value` in size, and then as a whole to a
norm of at most `clip_norm` (Pascanu, Mikolov and Bengio, 2013).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from fastnet_kernels import codes

from .checks import flag, real_number
from .schedules import Schedule, as_schedule
from .shown import as_call

Rate = float | Schedule | Callable[[int], float]


@dataclass(frozen=True, kw_only=True, repr=False)
class Optimizer:
    """What all optimizers share: how much weights shrink with every step, and how gradients are cut."""

    weight_decay: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None

    def __repr__(self) -> str:
        return as_call(self, type(self).__name__, always=["learning_rate"])

    @property
    def schedule(self) -> Schedule:
        return as_schedule(self.learning_rate)  # type: ignore[attr-defined]

    @property
    def n_states(self) -> int:
        """How many numbers it remembers of each parameter, 0 to 2."""
        return 2

    def settings(self) -> np.ndarray:
        """The settings as the compiled program reads them."""
        found = np.zeros(codes.OPTIMIZER_SETTINGS)
        found[codes.WEIGHT_DECAY], found[codes.PENALTY_FACTOR] = self.weight_decay, 1
        found[codes.CLIP_VALUE] = math.inf if self.clip_value is None else self.clip_value
        found[codes.CLIP_NORM] = math.inf if self.clip_norm is None else self.clip_norm
        return found

    def _check(
        self, shares: tuple[str, ...] = (), at_least_0: tuple[str, ...] = (), above_0: tuple[str, ...] = ()
    ) -> None:
        as_schedule(self.learning_rate)  # type: ignore[attr-defined]
        for name in ("clip_value", "clip_norm"):
            if getattr(self, name) is not None:
                above_0 = (*above_0, name)
        for name in (*shares, *at_least_0, "weight_decay"):
            object.__setattr__(self, name, real_number(name, getattr(self, name), at_least=0))
        for name in above_0:
            object.__setattr__(self, name, real_number(name, getattr(self, name), above=0))
        for name in shares:
            if getattr(self, name) >= 1:
                raise ValueError(f"{name}={getattr(self, name)} is too large: give a share from 0 to below 1")


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Gradient descent: parameters -= learning_rate * gradient of the mini-batch's cost.

    Parameters
    ----------
    learning_rate : float or schedule
        The course's alpha, above 0.
    momentum : float
        velocity = momentum * velocity + gradient takes the gradient's place (Polyak, 1964); 0 to below 1.
    nesterov : bool
        The step is gradient + momentum * velocity (Sutskever et al., 2013).
    weight_decay : float
        Adds its multiple of the parameters to the gradient, at least 0.
    clip_value, clip_norm : float, optional
        Limits of the gradients, above 0.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.SGD(0.1).learning_rate
    0.1
    """

    learning_rate: Rate = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        self._check(shares=("momentum",))
        flag("nesterov", self.nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True means nothing without momentum: give momentum=0.9, say")

    @property
    def _is_plain(self) -> bool:
        return not (self.momentum or self.weight_decay or self.clip_value or self.clip_norm)

    @property
    def n_states(self) -> int:
        return 0 if self._is_plain else 1

    def settings(self) -> np.ndarray:
        found = super().settings()
        found[codes.OPTIMIZER] = codes.PLAIN if self._is_plain else codes.MOMENTUM
        found[codes.FIRST_DECAY], found[codes.NESTEROV] = self.momentum, self.nesterov
        return found


@dataclass(frozen=True, repr=False)
class RMSProp(Optimizer):
    """Steps of about equal size for all parameters: gradient / (sqrt(mean square of gradients) + epsilon).

    After Tieleman and Hinton (2012).

    Parameters
    ----------
    learning_rate : float or schedule
        Above 0.
    decay : float
        Of the mean square, at each step; PyTorch's alpha. 0 to below 1.
    epsilon : float
        Above 0.
    momentum : float
        Of the steps, 0 to below 1.
    weight_decay, clip_value, clip_norm
        As of `SGD`.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.RMSProp(1e-3).decay
    0.99
    """

    learning_rate: Rate = 0.01
    decay: float = 0.99
    epsilon: float = 1e-8
    momentum: float = 0.0

    def __post_init__(self) -> None:
        self._check(shares=("decay", "momentum"), above_0=("epsilon",))

    def settings(self) -> np.ndarray:
        found = super().settings()
        found[codes.OPTIMIZER], found[codes.OPTIMIZER_EPSILON] = codes.RMSPROP, self.epsilon
        found[codes.FIRST_DECAY], found[codes.SECOND_DECAY] = self.momentum, self.decay
        return found


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Means of gradients over the root of their mean squares, both corrected for their start from 0.

    After Kingma and Ba (2015). Its `weight_decay` is part of the gradient; see `AdamW`.

    Parameters
    ----------
    learning_rate : float or schedule
        Above 0.
    beta1, beta2 : float
        Decay of the two means at each step, 0 to below 1.
    epsilon : float
        Above 0.
    epsilon_hat : bool
        Whether epsilon is added to the root of the mean square before that is corrected, as Keras and scikit-learn do
        ("epsilon hat" in section 2 of the paper). If not, it is added afterwards, as in algorithm 1 and in PyTorch.
    weight_decay, clip_value, clip_norm
        As of `SGD`.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Adam().learning_rate
    0.001
    """

    learning_rate: Rate = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = False
    _code = codes.ADAM

    def __post_init__(self) -> None:
        self._check(shares=("beta1", "beta2"), above_0=("epsilon",))
        flag("epsilon_hat", self.epsilon_hat)

    def settings(self) -> np.ndarray:
        found = super().settings()
        found[codes.OPTIMIZER], found[codes.OPTIMIZER_EPSILON] = self._code, self.epsilon
        found[codes.FIRST_DECAY], found[codes.SECOND_DECAY] = self.beta1, self.beta2
        found[codes.EPSILON_HAT] = self.epsilon_hat
        return found


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with weight decay beside the gradients: parameters *= 1 - learning_rate * weight_decay at each step.

    After Loshchilov and Hutter (2019). Parameters as of `Adam`; `weight_decay` is 0.01 unless given.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.AdamW(fn.schedules.cosine(1e-3, steps=1000), weight_decay=0.1).weight_decay
    0.1
    """

    weight_decay: float = field(default=0.01, kw_only=True)
    _code = codes.ADAMW


def as_optimizer(given: object) -> Optimizer:
    """`given`, if it is an optimizer; TypeError otherwise."""
    if not isinstance(given, Optimizer):
        raise TypeError(f"optimizer={given!r} is no optimizer: give fastnet.SGD(learning_rate), Adam(), AdamW() ...")
    return given
