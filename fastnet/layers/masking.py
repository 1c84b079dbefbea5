"""Masking."""

from dataclasses import dataclass
from typing import ClassVar

from ..checks import real_number
from .base import Layer, Shape, shown_shape


@dataclass(frozen=True, repr=False)
class Masking(Layer):
    """Steps of sequences that are left out: those whose numbers all are `value`, such as padding behind shorter ones.

    Recurrent layers keep their state over such a step, so that it does not change a bit of the last one. It stands
    first, or behind `Rescale`, whose numbers it then sees, and before `Embedding` it leaves out a number of the
    vocabulary. It is for networks with one answer a sequence.

    Parameters
    ----------
    value : float
        What all numbers of a step are that is left out.

    Raises
    ------
    ValueError
        By `fit` and `build`, if samples are no sequences, or if other layers than recurrent ones see several steps.

    Examples
    --------
    >>> import fastnet as fn
    >>> net = fn.Network([fn.Masking(0), fn.GRU(8, bidirectional=True), fn.Dense(1)]).build((20, 3))
    """

    uses_shape: ClassVar[bool] = True

    value: float = 0.0

    def __post_init__(self) -> None:
        self._set_checked(value=real_number("value", self.value))

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) > 2:
            raise ValueError(f"it takes sequences (m, t, n) or (m, t), and gets {shown_shape(shape)}: give such")
        return shape

    def shown_settings(self) -> str:
        return f"steps of {self.value:g}"
