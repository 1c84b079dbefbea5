"""What normalisations share."""

import math
from dataclasses import dataclass
from typing import ClassVar

from fastnet_kernels import codes

from .activations import ActivatedLayer
from .base import Parameter, Shape, shown_shape


@dataclass(frozen=True, repr=False)
class Normalisation(ActivatedLayer):
    """A layer A = g(gamma X + beta), with X the normalised inputs; it has fields `epsilon` and `trainable`."""

    is_normalisation: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) > 1:
            raise ValueError(f"it takes features (m, n), and gets {shown_shape(shape)}: put a Dense layer before it")
        return shape

    def parameters(self, shape: Shape) -> list[Parameter]:
        n = math.prod(shape)
        gamma = Parameter("gamma", (n,), codes.W_OFFSET, value=1.0, is_trained=self.is_trainable)
        return [gamma, Parameter("beta", (n,), codes.B_OFFSET, is_trained=self.is_trainable)]

    def shown_settings(self) -> str:
        return ", ".join([self.activation_name, *["frozen"] * (not self.is_trainable)])
