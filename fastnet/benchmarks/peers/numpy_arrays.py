"""NumPy as a careful person writes it: BLAS products into arrays made once, everything else in place."""

import itertools
from typing import Any

import numpy as np

from ..workloads import Weights
from . import Peer


class NumpyPeer(Peer):
    @staticmethod
    def version() -> str:
        return f"NumPy {np.__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        size = self.workload.batch_size
        n_out = self.workload.sizes[-1]
        Y = y.reshape(-1, 1) if n_out == 1 else np.eye(n_out)[y]
        self.X = X
        starts = range(0, len(X), size)
        self.batches = [(X[i : i + size], Y[i : i + size].astype(self.dtype)) for i in starts]
        self.Z = [np.empty((min(size, len(X)), n), self.dtype) for n in self.workload.sizes[1:]]
        self.dZ = [np.empty_like(Z) for Z in self.Z]
        self.dW = [np.empty((n, n_prev), self.dtype) for n_prev, n in itertools.pairwise(self.workload.sizes)]

    def reset(self, weights: Weights) -> None:
        self.W = [W.copy() for W, _ in weights]
        self.b = [b.copy() for _, b in weights]

    def _activate(self, Z: np.ndarray) -> None:
        if self.workload.hidden == "tanh":
            np.tanh(Z, out=Z)
        else:
            np.maximum(Z, 0, out=Z)

    def _forward(self, X: np.ndarray, Zs: list[np.ndarray]) -> np.ndarray:
        A = X
        for l, Z in enumerate(Zs):
            np.matmul(A, self.W[l].T, out=Z)
            Z += self.b[l]
            if l < len(Zs) - 1:
                self._activate(Z)
            A = Z
        if A.shape[1] == 1:
            np.negative(A, out=A)
            np.exp(A, out=A)
            A += 1
            np.reciprocal(A, out=A)
        else:
            A -= A.max(axis=1, keepdims=True)
            np.exp(A, out=A)
            A /= A.sum(axis=1, keepdims=True)
        return A

    def train(self, epochs: int) -> None:
        rate = np.dtype(self.dtype).type(self.workload.learning_rate)
        for _ in range(epochs):
            for X, Y in self.batches:
                self._step(X, Y, rate)

    def _step(self, X: np.ndarray, Y: np.ndarray, rate: Any) -> None:
        A = self._forward(X, self.Z)
        np.subtract(A, Y, out=self.dZ[-1])
        self.dZ[-1] *= rate / len(X)
        for l in range(len(self.W) - 1, -1, -1):
            dZ = self.dZ[l]
            if l > 0:
                A_prev, dZ_prev = self.Z[l - 1], self.dZ[l - 1]
                np.matmul(dZ, self.W[l], out=dZ_prev)
                if self.workload.hidden == "tanh":
                    dZ_prev *= 1 - A_prev * A_prev
                else:
                    dZ_prev *= A_prev > 0
            np.matmul(dZ.T, X if l == 0 else self.Z[l - 1], out=self.dW[l])
            self.W[l] -= self.dW[l]
            self.b[l] -= dZ.sum(axis=0)

    def weights(self) -> Weights:
        return list(zip(self.W, self.b, strict=True))

    def predict(self) -> Any:
        return self._forward(self.X, [np.empty((len(self.X), len(b)), self.dtype) for b in self.b])
