"""What `Network.generate` does: draw one symbol after the other, each from the network's prediction behind the last."""

from typing import Any

import numpy as np

from .checks import positive_integer, real_number, whole_number
from .data.arrays import as_numbers
from .data.targets import Classification
from .layers import Embedding
from .training.trainable import Trainable


def generate(network: Trainable, start: Any, length: int, temperature: float, seed: int) -> np.ndarray:
    """Symbols that come behind `start`; see `Network.generate`."""
    length, temperature = positive_integer("length", length), real_number("temperature", temperature, at_least=0)
    rng, k = np.random.default_rng(whole_number("seed", seed)), _n_symbols(network)
    given = as_numbers("start", start)
    symbols = np.atleast_2d(given).astype(np.int64)
    if given.ndim not in (1, 2) or not given.size or (symbols != given).any() or not (symbols >= 0).all():
        raise ValueError(f"start has shape {given.shape}: give whole numbers from 0 on, (m, t) or (t,), at least one")
    if symbols.max() >= k:
        raise ValueError(f"start holds {symbols.max()}: this network knows the symbols 0 to {k - 1}")
    found = np.empty((len(symbols), length), np.int64)
    state = network.first_state(len(symbols))
    for place in range(length):
        inputs = symbols if isinstance(network.layers[0], Embedding) else np.eye(k, dtype=network.dtype)[symbols]
        probabilities = network.outputs(inputs, of_classes=True, state=state).reshape(len(symbols), -1, k)[:, -1]
        symbols = _drawn(probabilities.astype(np.float64), temperature, rng)[:, np.newaxis]
        found[:, place] = symbols[:, 0]
    return found if given.ndim == 2 else found[0]


def _n_symbols(network: Trainable) -> int:
    """How many symbols there are; ValueError unless the network takes and predicts the same ones."""
    network.require_parameters()
    task, first, shape = network.task, network.layers[0], network.input_shape or ()
    k = first.vocabulary if isinstance(first, Embedding) else shape[-1] if len(shape) == 2 else 0
    if not isinstance(task, Classification) or task.n_units != k or k < 2:
        raise ValueError(
            "this network does not predict symbols like those it takes: generate is for Embedding(k, ...), or one-hot "
            "rows of k numbers, at one end and Dense(k, 'softmax') at the other"
        )
    if task.labels.tolist() != list(range(k)):
        raise ValueError(f"the labels are not 0 to {k - 1}: train with the number of the next symbol as target")
    return k


def _drawn(probabilities: np.ndarray, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """A symbol for each row of probabilities (m, k)."""
    if temperature == 0:
        likeliest: np.ndarray = probabilities.argmax(axis=1)
        return likeliest
    with np.errstate(divide="ignore", over="ignore"):  # what becomes -inf is never drawn
        logits = np.log(probabilities)
        weights = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    sums = weights.cumsum(axis=1)
    drawn: np.ndarray = (sums < rng.random((len(sums), 1)) * sums[:, -1:]).sum(axis=1)
    return drawn
