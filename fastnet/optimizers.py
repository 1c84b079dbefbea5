"""Optimizers: named settings of how a gradient changes the parameters. The compiled program does the work."""

from dataclasses import dataclass

from .checks import real_number


@dataclass(frozen=True)
class SGD:
    """Gradient descent: parameters -= learning_rate * gradient of the mini-batch's cost.

    Parameters
    ----------
    learning_rate : float
        The course's alpha, above 0.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.SGD(0.1)
    SGD(learning_rate=0.1)
    """

    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", real_number("learning_rate", self.learning_rate, above=0))
