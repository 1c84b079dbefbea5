"""Recurrent layers as fastnet has them, and their weights for libraries that have a matrix and a bias of the inputs,
and others of the states."""

from typing import Any

import numpy as np

from ...layers import GRU, LSTM, Recurrent
from ...layers.gates import Gates, joined_gates, split_gates
from ..recurrent import Recurrence

_KINDS: dict[str, Any] = {"rnn": Recurrent, "lstm": LSTM, "gru": GRU}


def layer_of(recurrence: Recurrence) -> Any:
    """The layer of fastnet."""
    return _KINDS[recurrence.kind](recurrence.units, return_sequences=recurrence.all_steps)


def split(recurrence: Recurrence, weights: tuple[np.ndarray, np.ndarray]) -> Gates:
    """W and b of fastnet, apart."""
    return split_gates(layer_of(recurrence), *weights)[0]


def joined(recurrence: Recurrence, gates: Gates) -> tuple[np.ndarray, np.ndarray]:
    """And back."""
    found = joined_gates(_KINDS[recurrence.kind], [gates])
    return found["W"], found["b"]


def rates_of_biases(recurrence: Recurrence) -> np.ndarray:
    """By what each number of the two biases (g n,) has to learn more slowly: by half, where the two add up."""
    found = np.full(recurrence.gates * recurrence.units, 0.5)
    if recurrence.kind == "gru":
        found[-recurrence.units :] = 1
    return found
