"""Dropout."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from fastnet_kernels import codes

from ..checks import real_number
from .base import Layer, Shape


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

    kind: ClassVar[int] = codes.DROPOUT
    is_random: ClassVar[bool] = True

    rate: float

    def __post_init__(self) -> None:
        rate = real_number("rate", self.rate, at_least=0)
        if rate >= 1:
            raise ValueError(f"rate={rate} would leave out everything: give a share below 1, such as 0.5")
        self._set_checked(rate=rate)

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        settings[codes.RATE] = self.rate

    def shown_settings(self) -> str:
        return f"rate {self.rate:g}"
