"""What layers with a W of their own share: its first values, penalties, whether it is trained."""

import math
from collections.abc import Callable

import numpy as np
from fastnet_kernels import codes

from ..checks import flag, known, real_number
from .activations import ACTIVATIONS, LIKE_RELU, ActivatedLayer
from .base import Layer, Parameter, Shape

# Standard deviation of the first random weights, by the number of inputs n of a unit.
INITIALISATIONS = {
    "he": lambda n: math.sqrt(2 / n),
    "xavier": lambda n: math.sqrt(1 / n),
    "small": lambda n: 0.01,
    "zeros": lambda n: 0.0,
}


class PenalisedLayer(Layer):
    """A layer with a W whose numbers may add to the cost: it has fields `l1`, `l2` and `trainable`."""

    l1: float
    l2: float
    trainable: bool

    def check_penalties(self) -> None:
        """Check these fields; ValueError or TypeError says which is wrong."""
        self._set_checked(**{name: real_number(name, getattr(self, name), at_least=0) for name in ("l1", "l2")})
        flag("trainable", self.trainable)

    @property
    def has_penalty(self) -> bool:
        return self.trainable and (self.l1 > 0 or self.l2 > 0)

    def penalty(self, parameter: Callable[[str], np.ndarray]) -> float:
        W = parameter("W").astype(np.float64)
        return self.l1 * float(np.abs(W).sum()) + self.l2 / 2 * float((W * W).sum())

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        super().describe(row, settings, shape)
        settings[codes.L1], settings[codes.L2] = (self.l1, self.l2) if self.trainable else (0.0, 0.0)

    def shown_penalties(self) -> list[str]:
        """Penalties, and whether it is frozen, as settings in the table of `print(network)`."""
        shown = [f"{name} {value:g}" for name, value in (("l1", self.l1), ("l2", self.l2)) if value]
        return shown + ["frozen"] * (not self.trainable)


class WeightedLayer(PenalisedLayer, ActivatedLayer):
    """A layer A = g(Z), where Z has products with W (n, ...) and b (n,): fields of it are the settings of both."""

    activation: str
    init: str | None

    def check_settings(self) -> None:
        """Check the fields that all such layers have; ValueError or TypeError says which is wrong."""
        known("activation", self.activation, ACTIVATIONS)
        if self.init is not None:
            known("init", self.init, INITIALISATIONS)
        names = ("slope", "alpha")
        self._set_checked(**{name: real_number(name, getattr(self, name), at_least=0) for name in names})
        self.check_penalties()

    @property
    def initialisation(self) -> str:
        """`init`, or the default for the activation."""
        return self.init or ("he" if self.activation in LIKE_RELU else "xavier")

    def weights_and_biases(self, shape: Shape) -> list[Parameter]:
        """W of this shape, a unit or filter a row, and b."""
        n_inputs = math.prod(shape[1:])

        def draw(rng: np.random.Generator) -> np.ndarray:
            return rng.standard_normal(shape) * INITIALISATIONS[self.initialisation](n_inputs)

        W = Parameter("W", shape, codes.W_OFFSET, is_trained=self.trainable, draw=draw)
        return [W, Parameter("b", shape[:1], codes.B_OFFSET, is_trained=self.trainable)]

    def shown_settings(self) -> str:
        extra = {"leaky_relu": f"slope {self.slope:g}", "elu": f"alpha {self.alpha:g}"}
        shown = [self.activation, f"init {self.initialisation}", *filter(None, [extra.get(self.activation)])]
        return ", ".join(shown + self.shown_penalties())
