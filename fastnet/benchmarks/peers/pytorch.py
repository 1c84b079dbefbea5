"""PyTorch, eager, compiled, and on a GPU: fused optimizers, losses from logits, mini-batches as views made once."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..workloads import Weights
from . import Peer


class PytorchPeer(Peer):
    device = "cpu"
    optimizers: tuple[str, ...] = ("sgd", "adam")

    @staticmethod
    def version() -> str:
        return f"PyTorch {torch.__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        size, sizes = self.workload.batch_size, self.workload.sizes
        self.given = torch.from_numpy(X)
        self.X = self.given.to(self.device)
        labels = torch.from_numpy(y).to(self.device)
        self.cost = functional.cross_entropy
        if sizes[-1] == 1:
            labels = labels.to(self.X.dtype).reshape(-1, 1)
            self.cost = functional.binary_cross_entropy_with_logits
        self.y = labels
        self.batches = list(zip(self.X.split(size), labels.split(size), strict=True))
        self.make_model()
        self.step = self.make_step()

    def make_model(self) -> None:
        """The network with first weights of PyTorch's own, and its optimizer."""
        self.linear = [
            torch.nn.Linear(*pair, dtype=self.X.dtype, device=self.device)
            for pair in itertools.pairwise(self.workload.sizes)
        ]
        hidden = torch.nn.Tanh if self.workload.hidden == "tanh" else torch.nn.ReLU
        self.model = torch.nn.Sequential(*[layer for linear in self.linear for layer in (linear, hidden())][:-1])
        make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[self.workload.optimizer]
        self.optimizer = make(self.model.parameters(), lr=self.workload.learning_rate, fused=True)

    def reset(self, weights: Weights) -> None:
        with torch.no_grad():
            for layer, (W, b) in zip(self.linear, weights, strict=True):
                layer.weight.copy_(torch.from_numpy(W))
                layer.bias.copy_(torch.from_numpy(b))
        self.optimizer.state.clear()

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

    def fit(self) -> None:
        self.make_model()
        step = self.make_step()
        for _ in range(self.workload.epochs):
            for rows in torch.randperm(len(self.X), device=self.device).split(self.workload.batch_size):
                step(self.X[rows], self.y[rows])

    def weights(self) -> Weights:
        return [(layer.weight.detach().cpu().numpy(), layer.bias.detach().cpu().numpy()) for layer in self.linear]

    @torch.inference_mode()
    def predict(self) -> Any:
        Z = self.model(self.X)
        return torch.sigmoid(Z) if Z.shape[1] == 1 else torch.softmax(Z, dim=1)


class CompiledPytorchPeer(PytorchPeer):
    """torch.compile of the whole step, with gradients by torch.func: measured faster than compiling the cost alone."""

    optimizers = ("sgd",)  # compiling takes longer than any of the fits

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


class CudaPytorchPeer(PytorchPeer):
    """The same on a GPU, where the data and the model stay; predictions take their samples from the CPU's memory."""

    device = "cuda"

    @staticmethod
    def version() -> str:
        if not torch.cuda.is_available():
            raise RuntimeError("PyTorch finds no GPU")
        return f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}"

    def train(self, epochs: int) -> None:
        super().train(epochs)
        torch.cuda.synchronize()

    def fit(self) -> None:
        super().fit()
        torch.cuda.synchronize()

    @torch.inference_mode()
    def predict(self) -> Any:
        Z = self.model(self.given.to(self.device))
        return (torch.sigmoid(Z) if Z.shape[1] == 1 else torch.softmax(Z, dim=1)).cpu()


class CudaGraphPytorchPeer(CudaPytorchPeer):
    """The steps of an epoch, recorded once as a CUDA graph."""

    optimizers = ("sgd",)  # a graph repeats the same samples

    @staticmethod
    def version() -> str:
        return f"{CudaPytorchPeer.version()}, CUDA graph"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        super().load(X, y)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # what is recorded must have run before, on another stream than the default
            for _ in range(3):
                self.step(*self.batches[0])
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            for X_batch, y_batch in self.batches:
                self.step(X_batch, y_batch)

    def train(self, epochs: int) -> None:
        for _ in range(epochs):
            self.graph.replay()
        torch.cuda.synchronize()
