"""W and b of recurrent layers as others have them: the state's part and that of the inputs apart, with a bias each."""

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


def split_gates(layer: Any, W: np.ndarray, b: np.ndarray) -> Gates:
    """W and b of a recurrent layer, in parts. The biases of the inputs' product are b, those of the state's are 0, but
    for a GRU's candidate, which has two."""
    n, rows = layer.units, len(W)
    b_state = np.zeros_like(b[:rows])
    if isinstance(layer, GRU):
        b_state[-n:] = b[rows:]
    return Gates(W[:, n:], W[:, :n], b[:rows], b_state)


def joined_gates(kind: type, gates: Gates) -> dict[str, np.ndarray]:
    """W and b of a layer of this kind."""
    n = gates.of_state.shape[1]
    b = gates.b_input + gates.b_state
    if kind is GRU:
        b = np.concatenate([b[: 2 * n], gates.b_input[2 * n :], gates.b_state[2 * n :]])
    return {"W": np.hstack([gates.of_state, gates.of_input]), "b": b}
