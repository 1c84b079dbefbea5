"""The activations g by name, and which layers may have which."""

from dataclasses import dataclass

import numpy as np
from fastnet_kernels import codes

from ..checks import known
from .base import Layer, Shape

_CODES = {
    "linear": codes.LINEAR,
    "sigmoid": codes.SIGMOID,
    "tanh": codes.TANH,
    "relu": codes.RELU,
    "leaky_relu": codes.LEAKY_RELU,
    "softmax": codes.SOFTMAX,
    "elu": codes.ELU,
    "hard_sigmoid": codes.HARD_SIGMOID,
    "softplus": codes.SOFTPLUS,
    "silu": codes.SILU,
    "gelu": codes.GELU,
    "hard_silu": codes.HARD_SILU,
}
ACTIVATIONS = tuple(_CODES)
_COMMON = ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "softmax")
_DERIVED_FROM_Z = ("elu", "softplus", "silu", "gelu", "hard_silu")
LIKE_RELU = ("relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "hard_silu")


def check_hidden(activation: str) -> None:
    """ValueError for an activation that is unknown, or softmax, which is for the output layer's units alone."""
    known("activation", activation, [name for name in ACTIVATIONS if name != "softmax"])


@dataclass(frozen=True, repr=False)
class ActivatedLayer(Layer):
    """A layer that ends with an activation g, its field `activation`: A = g(Z)."""

    @property
    def slope(self) -> float:
        """leaky_relu's slope for negative z."""
        return 0.01

    @property
    def alpha(self) -> float:
        """elu's distance from 0 far below it."""
        return 1.0

    @property
    def saves_z(self) -> bool:
        return self.activation_name in _DERIVED_FROM_Z

    @property
    def components(self) -> set[int]:
        rare = set() if self.activation_name in _COMMON else {codes.RARE_ACTIVATIONS}
        return super().components | rare

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        row[codes.ACTIVATION] = _CODES[self.activation_name]
        settings[codes.SLOPE] = self.alpha if self.activation_name == "elu" else self.slope
