"""How inputs are read."""

from dataclasses import dataclass

from ..checks import real_number
from .base import Layer


@dataclass(frozen=True)
class Rescale(Layer):
    """A first layer that reads its inputs as `scale * x + shift`, without a copy of the whole set.

    With `Rescale(1/255)` a network takes images of uint8 as they are.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Rescale(0.5, -1)
    Rescale(scale=0.5, shift=-1.0)
    """

    scale: float
    shift: float = 0.0

    def __post_init__(self) -> None:
        self._set_checked(scale=real_number("scale", self.scale), shift=real_number("shift", self.shift))

    def check_place(self, place: str, *, is_last: bool) -> None:
        if place != "1":
            raise ValueError(f"layer {place} is Rescale: it can only be the first layer")

    def shown_settings(self) -> str:
        return f"{self.scale:g} x + {self.shift:g}"
