"""Embedding."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from fastnet_kernels import codes

from ..checks import positive_integer
from .base import Parameter, Shape, Steps, shown_shape
from .weighted import PenalisedLayer

_MOST = 1 << 24  # so many whole numbers float32 tells apart


@dataclass(frozen=True, repr=False)
class Embedding(PenalisedLayer):
    """A vector of its own for each number of a sequence: samples (t,) of whole numbers become (t, units), rows of W.

    So words, characters or categories come into recurrent layers (Bengio et al., 2003). It is the first layer.

    Parameters
    ----------
    vocabulary : int
        How many numbers there are, from 0 on, at most 2^24: W is (vocabulary, units), at first of a normal distribution
        with standard deviation 1.
    units : int
        Numbers of each vector.
    l1, l2 : float
        Add l1 sum |W| + l2 / 2 sum W^2 to the cost, at least 0.
    trainable : bool
        Whether training changes W.

    Raises
    ------
    ValueError, TypeError
        For settings that cannot be; by `fit` and `build`, if samples are no sequences of numbers; and by whatever takes
        samples, for a number that is not whole, or not in the vocabulary.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Embedding(64, 32).output_shape((100,))
    (100, 32)
    """

    kind: ClassVar[int] = codes.EMBEDDING
    wgrad: ClassVar[int] = codes.WGRAD_LOOKUP
    begins_number: ClassVar[bool] = True
    uses_shape: ClassVar[bool] = True

    vocabulary: int
    units: int
    l1: float = 0.0
    l2: float = 0.0
    trainable: bool = True

    def __post_init__(self) -> None:
        for name in ("vocabulary", "units"):
            self._set_checked(**{name: positive_integer(name, getattr(self, name))})
        if self.vocabulary > _MOST:
            raise ValueError(f"vocabulary={self.vocabulary} is above {_MOST}: give fewer numbers, for what is frequent")
        self.check_penalties()

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ValueError(f"it takes sequences of whole numbers (m, t), and gets {shown_shape(shape)}: give such")
        return Steps((shape[0], self.units))

    def parameters(self, shape: Shape) -> list[Parameter]:
        def draw(rng: np.random.Generator) -> np.ndarray:
            return rng.standard_normal((self.vocabulary, self.units))

        return [Parameter("W", (self.vocabulary, self.units), codes.W_OFFSET, is_trained=self.trainable, draw=draw)]

    def uses_of_weights(self, shape: Shape) -> int:
        return 0  # it multiplies nothing

    def check_samples(self, rows: np.ndarray) -> None:
        is_wrong = ~((rows >= 0) & (rows < self.vocabulary))
        if rows.dtype.kind == "f":
            is_wrong |= rows != np.floor(rows)
        if is_wrong.any():
            row, step = map(int, np.argwhere(is_wrong)[0])
            raise ValueError(
                f"X holds {rows[row, step]:g} in row {row}, step {step}: {self!r} takes whole numbers from 0 to "
                f"{self.vocabulary - 1}"
            )

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        super().describe(row, settings, shape)
        row[codes.VOCABULARY] = self.vocabulary

    def shown_settings(self) -> str:
        return ", ".join([f"of {self.vocabulary}", *self.shown_penalties()])
