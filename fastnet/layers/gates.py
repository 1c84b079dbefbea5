"""W and b of recurrent layers as others have them: the state's part and that of the inputs apart, with a bias each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .recurrent import GRU


class Gates(NamedTuple):
    """Rows of all gates, one behind the other: weights of inputs and of the state, and the biases of both products."""

    of_input: np.ndarray  # (g n, n_prev)
    of_state: np.ndarray  # (g n, n)
    b_input: np.ndarray  # (g n,)
    b_state: np.ndarray  # (g n,)

    def in_order(self, order: list[int]) -> "Gates":
        """The same with the gates in another order."""
        return Gates(*(np.concatenate([np.split(array, len(order))[i] for i in order]) for array in self))


def split_gates(layer: Any, W: np.ndarray, b: np.ndarray) -> list[Gates]:
    """W and b of a recurrent layer, in parts, for each direction.

    The biases of the inputs' product are b, those of the state's are 0, but for a GRU's candidate, which has two.
    """
    found, n = [], layer.units
    for rows, biases in zip(np.split(W, layer.directions), np.split(b, layer.directions), strict=True):
        b_state = np.zeros_like(biases[: len(rows)])
        if isinstance(layer, GRU):
            b_state[-n:] = biases[len(rows) :]
        found.append(Gates(rows[:, n:], rows[:, :n], biases[: len(rows)], b_state))
    return found


def joined_gates(kind: type, directions: Sequence[Gates]) -> dict[str, np.ndarray]:
    """W and b of a layer of this kind, from the parts of each direction."""
    W, b = [], []
    for gates in directions:
        n, total = gates.of_state.shape[1], gates.b_input + gates.b_state
        W.append(np.hstack([gates.of_state, gates.of_input]))
        b += [total[: 2 * n], gates.b_input[2 * n :], gates.b_state[2 * n :]] if kind is GRU else [total]
    return {"W": np.vstack(W), "b": np.concatenate(b)}
