"""PyTorch, eager, with channels last, compiled, and on a GPU.

With fused optimizers, losses from logits, and mini-batches that are views made once.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...layers.gates import Gates
from .. import convolutional
from ..convolutional import Conv
from ..recurrent import Recurrence
from ..workloads import Weights
from . import Peer
from .channels import channels_first, channels_last, images
from .gates import joined, rates_of_biases, split

_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class States(torch.nn.Module):
    """A recurrent layer: the states of all steps of all samples, (m t, n), or the last ones, (m, n).

    Of its two biases, where they add up, each learns at half the rate: the sum at that of the one others have.
    """

    def __init__(self, recurrence: Recurrence, n_prev: int, options: dict[str, Any]) -> None:
        super().__init__()
        kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[recurrence.kind]
        self.layer: Any = kind(n_prev, recurrence.units, batch_first=True, **options)
        self.all_steps = recurrence.all_steps
        rates = torch.as_tensor(rates_of_biases(recurrence), **options)
        for bias in (self.layer.bias_ih_l0, self.layer.bias_hh_l0):
            bias.register_hook(lambda gradient: gradient * rates)

    def forward(self, X: Any) -> Any:
        found = self.layer(X)[0]
        return found.flatten(0, 1) if self.all_steps else found[:, -1]

    def parts(self) -> list[Any]:
        """Its parameters, in the order of `Gates`."""
        return [getattr(self.layer, f"{name}_l0") for name in _PARTS]

    def cell(self) -> Any:
        """The module of single steps, with copies of its parameters: measured faster than sequences of one step."""
        kind = {"RNN": torch.nn.RNNCell, "LSTM": torch.nn.LSTMCell, "GRU": torch.nn.GRUCell}[type(self.layer).__name__]
        found = kind(self.layer.input_size, self.layer.hidden_size, dtype=self.layer.weight_hh_l0.dtype)
        found.load_state_dict(dict(zip(_PARTS, self.parts(), strict=True)))
        return found


OPTIMIZERS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": functools.partial(torch.optim.AdamW, weight_decay=0.01),
}
CLIPPED = ("adamw",)  # to a norm of 1


class PytorchPeer(Peer):
    device = "cpu"
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    networks: tuple[str, ...] = ("dense", "convolutional", "recurrent")
    regularisations: tuple[str, ...] = ("batch_norm", "dropout")
    memory_format = torch.contiguous_format

    @staticmethod
    def version() -> str:
        return f"PyTorch {torch.__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        size, sizes = self.workload.batch_size, self.workload.sizes
        self.given = torch.from_numpy(X if self.workload.recurrence else images(X))
        self.given = self.given.contiguous(memory_format=self.memory_format)
        self.X = self.given.to(self.device)
        labels = torch.from_numpy(y).to(self.device)
        self.cost = functional.cross_entropy
        if sizes[-1] == 1:
            labels = labels.to(self.X.dtype).reshape(-1, 1)
            self.cost = functional.binary_cross_entropy_with_logits
        self.y = labels
        answers = [each.flatten() if each.ndim > 1 and sizes[-1] > 1 else each for each in labels.split(size)]
        self.batches = list(zip(self.X.split(size), answers, strict=True))
        self.make_model()
        self.step = self.make_step()

    def make_model(self) -> None:
        """The network with first weights of PyTorch's own, and its optimizer."""
        options = {"dtype": self.X.dtype, "device": self.device}
        dense = [torch.nn.Linear(*pair, **options) for pair in itertools.pairwise(self.workload.sizes)]
        hidden = [layer for linear in dense[:-1] for layer in (linear, *self._behind(linear.out_features, options))]
        layers = [*self._front(options), *hidden, dense[-1]]
        self.states = None
        if self.workload.recurrence is not None:
            self.states = States(self.workload.recurrence, self.workload.input_shape[1], options)
            layers = [self.states, *layers]
        self.model = torch.nn.Sequential(*layers).to(memory_format=self.memory_format)
        weighted = [layer for layer in layers if getattr(layer, "weight", None) is not None]
        self.weighted = sorted(weighted, key=lambda layer: isinstance(layer, torch.nn.BatchNorm1d))
        make = OPTIMIZERS[self.workload.optimizer]
        self.optimizer = make(self.model.parameters(), lr=self.workload.learning_rate, fused=True)

    def _behind(self, n: int, options: dict[str, Any]) -> list[Any]:
        """What stands behind the product of a hidden layer of n units."""
        hidden = torch.nn.Tanh() if self.workload.hidden == "tanh" else torch.nn.ReLU()
        if self.workload.regularisation == "batch_norm":
            return [torch.nn.BatchNorm1d(n, **options), hidden]
        return [hidden, *([torch.nn.Dropout(0.2)] if self.workload.regularisation == "dropout" else [])]

    def _front(self, options: dict[str, Any]) -> list[Any]:
        """The layers before the dense ones."""
        workload, found, axes = self.workload, [], self.given.ndim - 2
        before = axes + 1 - len(workload.input_shape)  # extents of 1 before those along which windows lie
        conv, pool = (torch.nn.Conv1d, torch.nn.MaxPool1d) if axes == 1 else (torch.nn.Conv2d, torch.nn.MaxPool2d)
        for layer, shape, _ in convolutional.shapes(workload.front, workload.input_shape):
            size = (1,) * before + (layer.size,) * (axes - before)
            if isinstance(layer, Conv):
                pads = (0,) * before + (layer.pad,) * (axes - before)
                found += [conv(shape[-1], layer.filters, size, padding=pads, **options), torch.nn.ReLU(inplace=True)]
            else:
                found.append(pool(size))
        return [*found, torch.nn.Flatten()] if found else []

    def reset(self, weights: Weights) -> None:
        with torch.no_grad():
            if self.states is not None:
                assert self.workload.recurrence is not None
                first, *weights = weights
                parts = zip(self.states.parts(), split(self.workload.recurrence, first), strict=True)
                for parameter, part in parts:
                    parameter.copy_(torch.from_numpy(part))
                self.cell, self.dense, self.state = self.states.cell(), self.model[1:], None
            for layer, (W, b) in zip(self.weighted, channels_first(self.workload, weights), strict=True):
                layer.weight.copy_(torch.from_numpy(W).reshape(layer.weight.shape))
                layer.bias.copy_(torch.from_numpy(b))
            for layer in self.weighted:
                if isinstance(layer, torch.nn.BatchNorm1d):
                    layer.reset_running_stats()
        self.optimizer.state.clear()

    def make_step(self) -> Callable[[Any, Any], None]:
        model, cost, optimizer = self.model, self.cost, self.optimizer
        parameters, is_clipped = list(model.parameters()), self.workload.optimizer in CLIPPED

        def step(X: Any, y: Any) -> None:
            optimizer.zero_grad()
            cost(model(X), y).backward()
            if is_clipped:
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()

        return step

    def train(self, epochs: int) -> None:
        step = self.step
        self.model.train()
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
        shapes = [W.shape for W, _ in channels_first(self.workload, self.workload.weights())]
        before = []
        if self.states is not None:
            assert self.workload.recurrence is not None
            parts = Gates(*(each.detach().cpu().numpy() for each in self.states.parts()))
            before, shapes = [joined(self.workload.recurrence, parts)], shapes[1:]
        arrays = [[each.detach().cpu().numpy() for each in (layer.weight, layer.bias)] for layer in self.weighted]
        found = [(W.reshape(shape), b) for (W, b), shape in zip(arrays, shapes, strict=True)]
        return before + channels_last(self.workload, found)

    @torch.inference_mode()
    def predict(self) -> Any:
        self.model.eval()
        return activated(self.model(self.X))

    @torch.inference_mode()
    def advance(self) -> Any:
        self.state = self.cell(self.X[:, 0], self.state)
        return activated(self.dense(self.state[0] if isinstance(self.state, tuple) else self.state))


def activated(Z: Any) -> Any:
    return torch.sigmoid(Z) if Z.shape[1] == 1 else torch.softmax(Z, dim=1)


class ChannelsLastPytorchPeer(PytorchPeer):
    """The same in the memory format that PyTorch's documentation advises for images; signals are images of one row."""

    networks = ("convolutional",)
    memory_format = torch.channels_last

    @staticmethod
    def version() -> str:
        return f"{PytorchPeer.version()}, channels_last"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        super().load(X if X.ndim == 4 else X[:, np.newaxis], y)


class CompiledPytorchPeer(PytorchPeer):
    """torch.compile of the whole step, with gradients by torch.func: measured faster than compiling the cost alone.

    Of a recurrent network it is that of the cost. The recurrent layer it leaves as it is, unless
    `torch._dynamo.config.allow_rnn` is set, and then every step of a sequence is compiled for itself, which takes
    minutes.
    """

    regularisations = ()
    optimizers = ("sgd",)  # compiling takes longer than any of the fits

    @staticmethod
    def version() -> str:
        return f"PyTorch {torch.__version__}, torch.compile"

    def make_step(self) -> Callable[[Any, Any], None]:
        model, cost, rate = self.model, self.cost, self.workload.learning_rate
        self.forward = torch.compile(model)
        if self.states is not None:
            return self._compiled_cost_step()

        def step(X: Any, y: Any) -> None:
            parameters = dict(model.named_parameters())
            detached = {name: parameter.detach() for name, parameter in parameters.items()}
            gradients = torch.func.grad(lambda p: cost(torch.func.functional_call(model, p, (X,)), y))(detached)
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.sub_(gradients[name], alpha=rate)

        compiled: Callable[[Any, Any], None] = torch.compile(step, fullgraph=True)
        return compiled

    def _compiled_cost_step(self) -> Callable[[Any, Any], None]:
        model, cost, optimizer = self.model, self.cost, self.optimizer
        compiled = torch.compile(lambda X, y: cost(model(X), y))

        def step(X: Any, y: Any) -> None:
            optimizer.zero_grad()
            compiled(X, y).backward()
            optimizer.step()

        return step

    @torch.inference_mode()
    def predict(self) -> Any:
        return activated(self.forward(self.X))


class CudaPytorchPeer(PytorchPeer):
    """The same on a GPU, where the data and the model stay; predictions take their samples from the CPU's memory."""

    device = "cuda"
    networks = ("dense", "convolutional")

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
        self.model.eval()
        return activated(self.model(self.given.to(self.device))).cpu()


class CudaGraphPytorchPeer(CudaPytorchPeer):
    """The steps of an epoch, recorded once as a CUDA graph."""

    regularisations = ()
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
