"""What training remembers from one call to the next, and in a file: enough to go on as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..optimizers import Optimizer
from .history import History


@dataclass
class Unfinished:
    """An epoch that was interrupted after `step` of its mini-batches: enough to go on in the middle of it."""

    rng_before: Mapping[str, Any]  # the random generator before the epoch: the order of samples is drawn from it
    rng: Mapping[str, Any]  # the random generator at the interruption, after what `augment` has drawn
    step: int  # mini-batches that are done
    steps: int | None  # mini-batches of the whole epoch; None where a stream does not say
    costs: np.ndarray  # (step,) float64
    scores: np.ndarray  # (step,) float64
    seconds: float = 0.0  # of training so far
    # Of arrays, how many samples there are and how many make a mini-batch, which must be the same to go on.
    m: int | None = None
    batch_size: int | None = None
    # What a stream has given so far: "sizes" (step,) int64, "targets" (m, n_targets), and where metrics are measured
    # "outputs" (m, n_L).
    seen: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class TrainingState:
    """Of one network; `steps` and `history` count whole epochs, an `unfinished` one comes on top."""

    optimizer: str
    states: tuple[np.ndarray, np.ndarray]  # what the optimizer remembers of each parameter
    dropout_seed: int = 0
    steps: int = 0
    history: History = field(default_factory=History)
    unfinished: Unfinished | None = None
    # The parameters after the last epoch, where a callback has put better ones in their place at the end of training.
    last: np.ndarray | None = None
    # What callbacks remember, by the callback's name: what JSON can say, and arrays.
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def new(cls, optimizer: Optimizer, buffer: np.ndarray, dropout_seed: int, history: History) -> "TrainingState":
        """Before the first step."""
        empty = np.zeros(0, buffer.dtype)
        first, second = (np.zeros_like(buffer) if optimizer.n_states > i else empty for i in range(2))
        return cls(type(optimizer).__name__, (first, second), dropout_seed, history=history)

    def fits(self, optimizer: Optimizer, buffer: np.ndarray) -> bool:
        """Whether training can go on with this optimizer."""
        sizes = [buffer.size if optimizer.n_states > i else 0 for i in range(2)]
        return self.optimizer == type(optimizer).__name__ and [state.size for state in self.states] == sizes
