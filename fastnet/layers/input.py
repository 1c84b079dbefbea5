"""Samples as a layer's activations, for a network whose first layer is no product."""

from dataclasses import dataclass
from typing import ClassVar

from fastnet_kernels import codes

from .base import Layer


@dataclass(frozen=True, repr=False)
class Input(Layer):
    """A = X. Plans put it before a first layer that does not read samples by itself; nobody gives it to a network."""

    kind: ClassVar[int] = codes.INPUT
    reads_samples: ClassVar[bool] = True
