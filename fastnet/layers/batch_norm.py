"""Batch normalisation."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from fastnet_kernels import codes

from ..checks import flag, real_number
from .activations import check_hidden
from .base import Parameter, Shape
from .normalisation import Normalisation


@dataclass(frozen=True, repr=False)
class BatchNorm(Normalisation):
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

    kind: ClassVar[int] = codes.BATCH_NORM

    activation: str = "linear"
    momentum: float = 0.1
    epsilon: float = 1e-5
    trainable: bool = True

    def __post_init__(self) -> None:
        check_hidden(self.activation)
        momentum = real_number("momentum", self.momentum, above=0)
        if momentum > 1:
            raise ValueError(f"momentum={momentum} is above 1: give a share, such as 0.1")
        self._set_checked(momentum=momentum, epsilon=real_number("epsilon", self.epsilon, above=0))
        flag("trainable", self.trainable)

    @property
    def learns_statistics(self) -> bool:
        return self.trainable

    def parameters(self, shape: Shape) -> list[Parameter]:
        n = math.prod(shape)
        remembered = [
            Parameter("mean", (n,), codes.RUNNING_OFFSET, is_trained=False),
            Parameter("variance", (n,), None, value=1.0, is_trained=False),
        ]
        return super().parameters(shape) + remembered

    def statistics_size(self, units: int, samples: int, blocks: int) -> int:
        """Mean, inv_std, dgamma and dbeta of each unit, and two sums of each unit and block."""
        return (4 + 2 * blocks) * units

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        super().describe(row, settings, shape)
        row[codes.BATCH_STATISTICS] = self.trainable
        settings[codes.EPSILON] = self.epsilon
        settings[codes.RUNNING_RATE] = self.momentum
