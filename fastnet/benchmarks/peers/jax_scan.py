"""JAX: all epochs in one jitted call, a scan over epochs around a scan over mini-batches, parameters donated."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..workloads import Weights
from . import Peer

jax.config.update("jax_platforms", "cpu")


def forward(parameters: Any, A: Any, hidden: Any) -> Any:
    for W, b in parameters[:-1]:
        A = hidden(A @ W.T + b)
    W, b = parameters[-1]
    return A @ W.T + b


def cost(parameters: Any, X: Any, y: Any, hidden: Any) -> Any:
    Z = forward(parameters, X, hidden)
    if Z.shape[1] == 1:
        z = Z[:, 0]
        return jnp.mean(jax.nn.softplus(z) - y * z)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(Z), y[:, None], axis=1))


@functools.partial(jax.jit, donate_argnums=0, static_argnames=("epochs", "hidden"))
def train(parameters: Any, X: Any, y: Any, rate: Any, epochs: int, hidden: Any) -> Any:
    def step(parameters: Any, batch: Any) -> Any:
        gradients = jax.grad(cost)(parameters, *batch, hidden)
        return jax.tree.map(lambda p, g: p - rate * g, parameters, gradients), None

    def epoch(parameters: Any, _: Any) -> Any:
        if len(X) == 1:  # a scan over one mini-batch would copy it
            return step(parameters, (X[0], y[0]))
        return jax.lax.scan(step, parameters, (X, y))

    return jax.lax.scan(epoch, parameters, None, length=epochs)[0]


@functools.partial(jax.jit, static_argnames="hidden")
def probabilities(parameters: Any, X: Any, hidden: Any) -> Any:
    Z = forward(parameters, X, hidden)
    return jax.nn.sigmoid(Z) if Z.shape[1] == 1 else jax.nn.softmax(Z)


class JaxPeer(Peer):
    @staticmethod
    def version() -> str:
        return f"JAX {jax.__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        jax.config.update("jax_enable_x64", self.dtype == "float64")
        size = min(self.workload.batch_size, len(X))
        self.hidden = jnp.tanh if self.workload.hidden == "tanh" else jax.nn.relu
        self.X_all = jnp.asarray(X)
        self.X = jnp.asarray(X[: len(X) // size * size].reshape(-1, size, X.shape[1]))
        labels = y[: len(X) // size * size].reshape(-1, size)
        self.y = jnp.asarray(labels, self.dtype if self.workload.sizes[-1] == 1 else "int32")
        self.rate = jnp.asarray(self.workload.learning_rate, self.dtype)

    def reset(self, weights: Weights) -> None:
        self.parameters = [(jnp.array(W), jnp.array(b)) for W, b in weights]
        jax.block_until_ready(self.parameters)

    def train(self, epochs: int) -> None:
        self.parameters = jax.block_until_ready(
            train(self.parameters, self.X, self.y, self.rate, epochs=epochs, hidden=self.hidden)
        )

    def weights(self) -> Weights:
        return [(np.asarray(W), np.asarray(b)) for W, b in self.parameters]

    def predict(self) -> Any:
        return probabilities(self.parameters, self.X_all, hidden=self.hidden).block_until_ready()


class CudaJaxPeer(JaxPeer):
    """The same on a GPU."""

    @staticmethod
    def version() -> str:
        jax.config.update("jax_platforms", "cuda")
        try:
            jax.devices()
        except (AssertionError, RuntimeError):
            raise RuntimeError("JAX finds no GPU") from None
        return f"JAX {jax.__version__}, {jax.devices()[0].device_kind}"
