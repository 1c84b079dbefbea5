"""fastnet itself, through the same calls as anybody's script: fit with all its checks, and predict_proba."""

from typing import Any

import numpy as np

from ... import SGD, Adam, Dense, Network, __version__
from ..workloads import Weights, Workload
from . import Peer


def network(workload: Workload, dtype: str, device: str = "cpu") -> Network:
    """The workload's network, not yet built."""
    hidden = [Dense(n, workload.hidden) for n in workload.sizes[1:-1]]
    n_out = workload.sizes[-1]
    return Network([*hidden, Dense(n_out, "sigmoid" if n_out == 1 else "softmax")], dtype=dtype, device=device)


def set_weights(net: Network, weights: Weights) -> None:
    """Write (W, b) of every layer into the network's parameters."""
    for l, (W, b) in enumerate(weights, start=1):
        net.parameters[f"W{l}"][:], net.parameters[f"b{l}"][:] = W, b


class FastnetPeer(Peer):
    device = "cpu"
    optimizers = ("sgd", "adam")

    @staticmethod
    def version() -> str:
        return f"fastnet {__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X, self.y = X, y
        self.net = network(self.workload, self.dtype, self.device).build(self.workload.sizes[0])

    def reset(self, weights: Weights) -> None:
        set_weights(self.net, weights)

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
        return [(parameters[f"W{l}"], parameters[f"b{l}"]) for l in range(1, len(self.workload.sizes))]

    def predict(self) -> Any:
        return self.net.predict_proba(self.X)


class CudaFastnetPeer(FastnetPeer):
    device = "cuda"

    @staticmethod
    def version() -> str:
        Network([Dense(1)], device="cuda")  # RuntimeError where there is no GPU
        return f"fastnet {__version__}, CUDA"
