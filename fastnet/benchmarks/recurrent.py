"""What stands before the dense layers of a recurrent workload: a layer of plain units, an LSTM or a GRU.

Samples are (t, n_prev), and W and b as fastnet has them; `peers/gates.py` has them for others.
"""

from typing import Any, NamedTuple

import numpy as np

from .convolutional import Shape


class Recurrence(NamedTuple):
    """A recurrent layer, "rnn" (with tanh), "lstm" or "gru", which gives the states of all steps or the last one."""

    kind: str
    units: int
    all_steps: bool = False

    @property
    def gates(self) -> int:
        """Products a unit and step."""
        return {"rnn": 1, "lstm": 4, "gru": 3}[self.kind]

    def weight_shape(self, shape: Shape) -> tuple[Shape, int]:
        """Of W, for sequences of `shape`, and how many numbers b has."""
        n_biases = self.gates + (self.kind == "gru")  # its candidate has two
        return (self.gates * self.units, self.units + shape[1]), n_biases * self.units

    def products(self, shape: Shape) -> tuple[int, int]:
        """Multiply-adds of a sample, with its numbers and with the states."""
        rows = shape[0] * self.gates * self.units
        return rows * shape[1], rows * self.units

    def states(self, weights: tuple[np.ndarray, np.ndarray], X: np.ndarray) -> np.ndarray:
        """The states of all steps of X (m, t, n_prev), (m, t, n), or the last ones (m, n), in float64 NumPy."""
        (W, b), X = (np.asarray(each, np.float64) for each in weights), X.astype(np.float64)
        h = c = np.zeros((len(X), self.units))
        found = np.empty((len(X), X.shape[1], self.units))
        for step in range(X.shape[1]):
            h, c = self._step(W, b, X[:, step], h, c)
            found[:, step] = h
        return found if self.all_steps else h

    def _step(self, W: np.ndarray, b: np.ndarray, x: np.ndarray, h: Any, c: Any) -> tuple[Any, Any]:
        n = self.units
        of_state, of_input = h @ W[:, :n].T, x @ W[:, n:].T
        if self.kind == "rnn":
            return np.tanh(of_state + of_input + b), c
        if self.kind == "lstm":
            i, f, g, o = np.split(of_state + of_input + b, 4, axis=1)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            return _sigmoid(o) * np.tanh(c), c
        r, z = np.split(_sigmoid(of_state[:, : 2 * n] + of_input[:, : 2 * n] + b[: 2 * n]), 2, axis=1)
        candidate = np.tanh(of_input[:, 2 * n :] + b[2 * n : 3 * n] + r * (of_state[:, 2 * n :] + b[3 * n :]))
        return (1 - z) * candidate + z * h, c


def _sigmoid(z: np.ndarray) -> Any:
    return 1 / (1 + np.exp(-z))
