"""PyTorch, eager and compiled: Sequential, the fused SGD, losses from logits, mini-batches as views made once."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..workloads import Weights
from . import Peer


class PytorchPeer(Peer):
    @staticmethod
    def version() -> str:
        return f"PyTorch {torch.__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        size, sizes = self.workload.batch_size, self.workload.sizes
        self.X = torch.from_numpy(X)
        labels = torch.from_numpy(y)
        self.cost = functional.cross_entropy
        if sizes[-1] == 1:
            labels = labels.to(self.X.dtype).reshape(-1, 1)
            self.cost = functional.binary_cross_entropy_with_logits
        self.batches = list(zip(self.X.split(size), labels.split(size), strict=True))
        self.linear = [torch.nn.Linear(*pair, dtype=self.X.dtype) for pair in itertools.pairwise(sizes)]
        hidden = torch.nn.Tanh if self.workload.hidden == "tanh" else torch.nn.ReLU
        self.model = torch.nn.Sequential(*[layer for linear in self.linear for layer in (linear, hidden())][:-1])
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=self.workload.learning_rate, fused=True)
        self.step = self.make_step()

    def reset(self, weights: Weights) -> None:
        with torch.no_grad():
            for layer, (W, b) in zip(self.linear, weights, strict=True):
                layer.weight.copy_(torch.from_numpy(W))
                layer.bias.copy_(torch.from_numpy(b))

    def make_step(self) -> Callable[[Any, Any], None]:
        model, cost, optimizer = self.model, self.cost, self.optimizer

        def step(X: Any, y: Any) -> None:
            optimizer.zero_grad()
            cost(model(X), y).backward()
            optimizer.step()

        return step

    def train(self, epochs: int) -> None:
        step = self.step
        for _ in range(epochs):
            for X, y in self.batches:
                step(X, y)

    def weights(self) -> Weights:
        return [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in self.linear]

    @torch.inference_mode()
    def predict(self) -> Any:
        Z = self.model(self.X)
        return torch.sigmoid(Z) if Z.shape[1] == 1 else torch.softmax(Z, dim=1)


class CompiledPytorchPeer(PytorchPeer):
    """torch.compile of the whole step, with gradients by torch.func: measured faster than compiling the cost alone."""

    @staticmethod
    def version() -> str:
        return f"PyTorch {torch.__version__}, torch.compile"

    def make_step(self) -> Callable[[Any, Any], None]:
        model, cost, rate = self.model, self.cost, self.workload.learning_rate
        self.forward = torch.compile(model)

        def step(X: Any, y: Any) -> None:
            parameters = dict(model.named_parameters())
            detached = {name: parameter.detach() for name, parameter in parameters.items()}
            gradients = torch.func.grad(lambda p: cost(torch.func.functional_call(model, p, (X,)), y))(detached)
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.sub_(gradients[name], alpha=rate)

        compiled: Callable[[Any, Any], None] = torch.compile(step, fullgraph=True)
        return compiled

    @torch.inference_mode()
    def predict(self) -> Any:
        Z = self.forward(self.X)
        return torch.sigmoid(Z) if Z.shape[1] == 1 else torch.softmax(Z, dim=1)
