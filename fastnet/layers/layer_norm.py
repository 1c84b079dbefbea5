"""Layer normalisation."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from fastnet_kernels import codes

from ..checks import flag, real_number
from .activations import check_hidden
from .base import Shape
from .normalisation import Normalisation


@dataclass(frozen=True, repr=False)
class LayerNorm(Normalisation):
    """Each sample normalised over its units: g(gamma X + beta), X = (A_prev - mean) / sqrt(variance + epsilon).

    After Ba, Kiros and Hinton (2016). gamma (n,) starts at 1, beta (n,) at 0. Of images (m, h, w, c) each pixel is
    normalised over its channels, and of signals (m, t, c) each step, with gamma and beta (c,).

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

    kind: ClassVar[int] = codes.LAYER_NORM

    activation: str = "linear"
    epsilon: float = 1e-5
    trainable: bool = True

    def __post_init__(self) -> None:
        check_hidden(self.activation)
        self._set_checked(epsilon=real_number("epsilon", self.epsilon, above=0))
        flag("trainable", self.trainable)

    def statistics_size(self, shape: Shape, samples: int, blocks: int) -> int:
        """Mean, inv_std and two sums of each sample, at each of its places."""
        return 4 * samples * math.prod(shape[:-1])

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        super().describe(row, settings, shape)
        settings[codes.EPSILON] = self.epsilon
