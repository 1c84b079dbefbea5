"""Batch normalisation."""

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

    After Ioffe and Szegedy (2015). gamma (n,) starts at 1, beta (n,) at 0. Of images (m, h, w, c) each channel is
    normalised over all pixels of the mini-batch, of signals (m, t, c) over all steps, with gamma and beta (c,); a
    network of dense layers alone takes images for features, a unit each number.

    Evaluation and prediction use a mean and a variance (n,) that training remembers; so does training itself where the
    layer is not `trainable`, and with a mini-batch of a single sample of features: that has no variance, and
    nothing of it is remembered.

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
        n = shape[-1]
        remembered = [
            Parameter("mean", (n,), codes.RUNNING_OFFSET, is_trained=False),
            Parameter("variance", (n,), None, value=1.0, is_trained=False),
        ]
        return super().parameters(shape) + remembered

    def statistics_size(self, shape: Shape, samples: int, blocks: int) -> int:
        """Four numbers a unit (mean, inv_std, dgamma, dbeta), and two sums a block; of images also two a sample."""
        of_samples = 2 * samples if len(shape) > 1 else 0
        return (4 + 2 * blocks + of_samples) * shape[-1]

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        super().describe(row, settings, shape)
        row[codes.BATCH_STATISTICS] = self.trainable
        settings[codes.EPSILON] = self.epsilon
        settings[codes.RUNNING_RATE] = self.momentum
