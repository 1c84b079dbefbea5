"""JAX once more: a jitted call a step, parameters donated. Inside a scan its convolutions are many times slower."""

import functools
from typing import Any

import jax

from .jax_scan import JaxPeer, Layers, cost


@functools.partial(jax.jit, donate_argnums=0, static_argnames="layers")
def step(parameters: Any, X: Any, y: Any, rate: Any, layers: Layers) -> Any:
    gradients, _ = jax.grad(cost, has_aux=True)(parameters, X, y, layers, (), jax.random.key(0))
    return jax.tree.map(lambda p, g: p - rate * g, parameters, gradients)


class JaxStepsPeer(JaxPeer):
    optimizers = ("sgd",)
    networks = ("convolutional", "recurrent")
    regularisations = ()

    @staticmethod
    def version() -> str:
        return f"{JaxPeer.version()}, a call a step"

    def load(self, X: Any, y: Any) -> None:
        super().load(X, y)
        size = self.workload.batch_size
        self.batches = [(self.X[i : i + size], self.y[i : i + size]) for i in range(0, len(X), size)]

    def train(self, epochs: int) -> None:
        for _ in range(epochs):
            for X, y in self.batches:
                self.parameters = step(self.parameters, X, y, self.rate, layers=self.settings["layers"])
        jax.block_until_ready(self.parameters)
