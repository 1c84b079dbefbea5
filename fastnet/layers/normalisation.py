"""What normalisations share."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from fastnet_kernels import codes

from .activations import ActivatedLayer
from .base import Parameter, Shape


@dataclass(frozen=True, repr=False)
class Normalisation(ActivatedLayer):
    """A layer A = g(gamma X + beta), with X the normalised inputs; it has fields `epsilon` and `trainable`."""

    is_normalisation: ClassVar[bool] = True

    def parameters(self, shape: Shape) -> list[Parameter]:
        n = shape[-1]
        gamma = Parameter("gamma", (n,), codes.W_OFFSET, value=1.0, is_trained=self.is_trainable)
        return [gamma, Parameter("beta", (n,), codes.B_OFFSET, is_trained=self.is_trainable)]

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        super().describe(row, settings, shape)
        row[codes.CHANNELS] = shape[-1]

    def shown_settings(self) -> str:
        return ", ".join([self.activation_name, *["frozen"] * (not self.is_trainable)])
