"""fastnet itself, through the same calls as anybody's script: fit with all its checks, and predict_proba."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import (
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    MaxPool1D,
    MaxPool2D,
    Network,
    __version__,
)
from ...layers import Layer
from ...optimizers import Optimizer
from ..convolutional import Conv, Pool
from ..workloads import Weights, Workload
from . import Peer
from .gates import layer_of

OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {
    "sgd": SGD,
    "momentum": lambda rate: SGD(rate, momentum=0.9),
    "adam": Adam,
    "adamw": lambda rate: AdamW(rate, weight_decay=0.01, clip_norm=1.0),
}


def network(workload: Workload, dtype: str, device: str = "cpu") -> Network:
    """The workload's network, not yet built."""
    is_signal = len(workload.input_shape) == 2
    front = [_layer(layer, is_signal=is_signal) for layer in workload.front]
    if workload.recurrence is not None:
        front = [layer_of(workload.recurrence)]
    hidden = [layer for n in workload.sizes[1:-1] for layer in _hidden(n, workload.hidden, workload.regularisation)]
    n_out = workload.sizes[-1]
    layers = [*front, *hidden, Dense(n_out, "sigmoid" if n_out == 1 else "softmax")]
    return Network(layers, dtype=dtype, device=device)


def _hidden(n: int, activation: str, regularisation: str) -> list[Layer]:
    if regularisation == "batch_norm":
        return [Dense(n), BatchNorm(activation)]
    return [Dense(n, activation), *([Dropout(0.2)] if regularisation == "dropout" else [])]


def _layer(layer: Conv | Pool, *, is_signal: bool) -> Layer:
    if isinstance(layer, Conv):
        kind: Any = Conv1D if is_signal else Conv2D
        return kind(layer.filters, layer.size, padding=layer.pad, activation="relu")  # type: ignore[no-any-return]
    return MaxPool1D(layer.size) if is_signal else MaxPool2D(layer.size)


def set_weights(net: Network, weights: Weights) -> None:
    """Write (W, b) of every layer, and (gamma, beta) of every normalisation, into the network's parameters."""
    for (first, second), (W, b) in zip(_names(net), weights, strict=True):
        net.parameters[first][:], net.parameters[second][:] = W, b
    for name, numbers in net.parameters.items():  # what a normalisation remembers of earlier samples
        if name.startswith(("mean", "variance")):
            numbers[:] = name.startswith("variance")


def _names(net: Network) -> list[tuple[str, str]]:
    """What the parameters are called, pair by pair, in the order of `Weights`."""
    return [
        (f"{first}{l}", f"{second}{l}")
        for first, second in (("W", "b"), ("gamma", "beta"))
        for l in range(1, len(net.layers) + 1)
        if f"{first}{l}" in net.parameters
    ]


class FastnetPeer(Peer):
    device = "cpu"
    optimizers = tuple(OPTIMIZERS)
    networks: tuple[str, ...] = ("dense", "convolutional", "recurrent")
    regularisations = ("batch_norm", "dropout")

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
        self.net.fit(
            self.X,
            self.y,
            epochs=epochs,
            batch_size=self.workload.batch_size,
            optimizer=OPTIMIZERS[self.workload.optimizer](self.workload.learning_rate),
            shuffle=shuffle,
            verbose=False,
        )

    def weights(self) -> Weights:
        parameters = self.net.parameters
        return [(parameters[first], parameters[second]) for first, second in _names(self.net)]

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
