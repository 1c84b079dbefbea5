"""What training remembers from one call to the next, and in a file: enough to go on as if it had never stopped."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .history import History
from .optimizers import Optimizer


@dataclass
class Unfinished:
    """An epoch that was interrupted: the random generator before it, and its steps so far."""

    rng_state: dict[str, Any]
    step: int  # the one that comes next
    costs: np.ndarray  # (steps of the epoch,)
    scores: np.ndarray


@dataclass
class TrainingState:
    """Of one network; `steps` and `history` count whole epochs, an `unfinished` one comes on top."""

    optimizer: str
    states: tuple[np.ndarray, np.ndarray]  # what the optimizer remembers of each parameter
    noise: int = 0
    steps: int = 0
    history: History = field(default_factory=History)
    unfinished: Unfinished | None = None
    best: np.ndarray | None = None  # the parameters that `EarlyStopping` will restore

    @classmethod
    def new(cls, optimizer: Optimizer, buffer: np.ndarray, noise: int, names: Iterable[str]) -> "TrainingState":
        """Before the first step; `names` are those of the history."""
        empty = np.zeros(0, buffer.dtype)
        first, second = (np.zeros_like(buffer) if optimizer.n_states > i else empty for i in range(2))
        return cls(type(optimizer).__name__, (first, second), noise, history=History(names))

    def fits(self, optimizer: Optimizer, buffer: np.ndarray) -> bool:
        """Whether training can go on with this optimizer."""
        sizes = [buffer.size if optimizer.n_states > i else 0 for i in range(2)]
        return self.optimizer == type(optimizer).__name__ and [state.size for state in self.states] == sizes
