"""fastnet itself, through the same calls as anybody's script: fit with all its checks, and predict_proba."""

from typing import Any

import numpy as np

from ... import SGD, Adam, Conv1D, Conv2D, Dense, MaxPool1D, MaxPool2D, Network, __version__
from ...layers import Layer
from ..convolutional import Conv, Pool
from ..workloads import Weights, Workload
from . import Peer
from .gates import layer_of


def network(workload: Workload, dtype: str, device: str = "cpu") -> Network:
    """The workload's network, not yet built."""
    is_signal = len(workload.input_shape) == 2
    front = [_layer(layer, is_signal=is_signal) for layer in workload.front]
    if workload.recurrence is not None:
        front = [layer_of(workload.recurrence)]
    hidden = [Dense(n, workload.hidden) for n in workload.sizes[1:-1]]
    n_out = workload.sizes[-1]
    layers = [*front, *hidden, Dense(n_out, "sigmoid" if n_out == 1 else "softmax")]
    return Network(layers, dtype=dtype, device=device)


def _layer(layer: Conv | Pool, *, is_signal: bool) -> Layer:
    if isinstance(layer, Conv):
        kind: Any = Conv1D if is_signal else Conv2D
        return kind(layer.filters, layer.size, padding=layer.pad, activation="relu")  # type: ignore[no-any-return]
    return MaxPool1D(layer.size) if is_signal else MaxPool2D(layer.size)


def set_weights(net: Network, weights: Weights) -> None:
    """Write (W, b) of every layer into the network's parameters."""
    for l, (W, b) in enumerate(weights, start=1):
        net.parameters[f"W{l}"][:], net.parameters[f"b{l}"][:] = W, b


class FastnetPeer(Peer):
    device = "cpu"
    optimizers = ("sgd", "adam")
    networks: tuple[str, ...] = ("dense", "convolutional", "recurrent")

    @staticmethod
    def version() -> str:
        return f"fastnet {__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X, self.y = X, y
        self.net = network(self.workload, self.dtype, self.device).build(self.workload.input_shape)

    def reset(self, weights: Weights) -> None:
        set_weights(self.net, weights)
        if self.workload.recurrence is not None:
            self.state = self.net.first_state(len(self.X))

    def train(self, epochs: int) -> None:
        self._fit(epochs, shuffle=False)

    def fit(self) -> None:
        self.net = network(self.workload, self.dtype, self.device)
        self._fit(self.workload.epochs, shuffle=True)

    def _fit(self, epochs: int, *, shuffle: bool) -> None:
        optimizer = {"sgd": SGD, "adam": Adam}[self.workload.optimizer]
        self.net.fit(
            self.X,
            self.y,
            epochs=epochs,
            batch_size=self.workload.batch_size,
            optimizer=optimizer(self.workload.learning_rate),
            shuffle=shuffle,
            verbose=False,
        )

    def weights(self) -> Weights:
        parameters = self.net.parameters
        n_layers = sum(name.startswith("W") for name in parameters)
        return [(parameters[f"W{l}"], parameters[f"b{l}"]) for l in range(1, n_layers + 1)]

    def predict(self) -> Any:
        return self.net.predict_proba(self.X)

    def advance(self) -> Any:
        return self.net.predict_proba(self.X, state=self.state)


class CudaFastnetPeer(FastnetPeer):
    device = "cuda"
    networks = ("dense", "convolutional")

    @staticmethod
    def version() -> str:
        Network([Dense(1)], device="cuda")  # RuntimeError where there is no GPU
        return f"fastnet {__version__}, CUDA"
