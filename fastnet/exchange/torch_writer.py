"""Modules of PyTorch for the nodes of a network, with their parameters."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..layers import (
    GRU,
    LSTM,
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    Layer,
    LayerNorm,
    MaxPool1D,
    MaxPool2D,
    Node,
    Recurrent,
    Shape,
    Steps,
)
from ..layers.residual import Add, Skip
from .torch_reader import channels_first
from .torch_sequences import gates_of, sequence_module
from .torch_windows import convolution_module, zeros_modules

_LAYERS: dict[type[Layer], Callable[[Any, Node], Any]] = {
    Dense: lambda nn, node: nn.Linear(_n_features(node), _of(node).units),
    BatchNorm: lambda nn, node: _batch_norm_module(nn, node),
    LayerNorm: lambda nn, node: _layer_norm_module(nn, node),
    Dropout: lambda nn, node: nn.Dropout(_of(node).rate),
    Conv1D: convolution_module,
    Conv2D: convolution_module,
    Embedding: sequence_module,
    Recurrent: sequence_module,
    LSTM: sequence_module,
    GRU: sequence_module,
    MaxPool1D: lambda nn, node: nn.MaxPool1d(_of(node).window, _of(node).steps),
    MaxPool2D: lambda nn, node: nn.MaxPool2d(_of(node).window, _of(node).steps),
    AveragePool1D: lambda nn, node: nn.AvgPool1d(_of(node).window, _of(node).steps),
    AveragePool2D: lambda nn, node: nn.AvgPool2d(_of(node).window, _of(node).steps),
    GlobalMaxPool1D: lambda nn, node: nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten()),
    GlobalMaxPool2D: lambda nn, node: nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()),
    GlobalAveragePool1D: lambda nn, node: nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten()),
    GlobalAveragePool2D: lambda nn, node: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
}
_TORCH_NAMES = {
    "W": "weight",
    "b": "bias",
    "gamma": "weight",
    "beta": "bias",
    "mean": "running_mean",
    "variance": "running_var",
}
_TORCH_ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sigmoid": lambda nn, layer: nn.Sigmoid(),
    "tanh": lambda nn, layer: nn.Tanh(),
    "relu": lambda nn, layer: nn.ReLU(),
    "leaky_relu": lambda nn, layer: nn.LeakyReLU(layer.slope),
    "elu": lambda nn, layer: nn.ELU(layer.alpha),
    "softplus": lambda nn, layer: nn.Softplus(),
    "silu": lambda nn, layer: nn.SiLU(),
    "gelu": lambda nn, layer: nn.GELU(),
    "hard_sigmoid": lambda nn, layer: nn.Hardsigmoid(),
    "hard_silu": lambda nn, layer: nn.Hardswish(),
    "softmax": lambda nn, layer: nn.Softmax(dim=-1),
}


def _of(node: Node) -> Any:
    return node.layer


def _n_features(node: Node) -> int:
    """Of a sample, or of a step of a sequence."""
    return node.input_shape[1] if isinstance(node.input_shape, Steps) else node.n_in


def _batch_norm_module(nn: Any, node: Node) -> Any:
    if isinstance(node.input_shape, Steps):
        raise ValueError("PyTorch normalises batches of (m, c, t), and has sequences (m, t, c): use LayerNorm")
    layer, kind = _of(node), nn.BatchNorm2d if len(node.input_shape) == 3 else nn.BatchNorm1d
    return kind(node.input_shape[-1], eps=layer.epsilon, momentum=layer.momentum)


def _layer_norm_module(nn: Any, node: Node) -> Any:
    from .torch_modules import ChannelNorm

    is_last = len(node.input_shape) == 1 or isinstance(node.input_shape, Steps)
    kind = nn.LayerNorm if is_last else ChannelNorm
    return kind(node.input_shape[-1], eps=_of(node).epsilon)


class Writer:
    """The modules of a network's nodes, and what brings samples into shape between them."""

    def __init__(self, torch: Any, nodes: Sequence[Node], parameters: dict[str, np.ndarray]) -> None:
        self.torch, self.nodes, self.parameters = torch, nodes, parameters
        self.are_signals = any(getattr(node.layer, "axes", 0) == 1 for node in nodes)
        self.are_sequences = any(isinstance(node.output_shape, Steps) or node.layer.state_size for node in nodes)
        if self.are_sequences and any(hasattr(node.layer, "axes") for node in nodes):
            raise ValueError(
                "PyTorch has signals (m, c, t) for convolutions and pooling, and sequences (m, t, c) for recurrent "
                "layers: networks of both cannot be taken there"
            )

    def modules(self, shape: Shape) -> list[Any]:
        """Those of the whole network, for samples of `shape`."""
        first = [self.torch.nn.Unflatten(1, (1, shape[0]))] if self._is_grey(shape) else []
        return [*first, *self._between(0, len(self.nodes), shape)]

    def _is_grey(self, shape: Shape) -> bool:
        """Whether samples are images (h, w), which are (1, h, w) there."""
        return len(shape) == 2 and not self.are_signals and not self.are_sequences

    def _between(self, first: int, last: int, shape: Shape) -> Iterator[Any]:
        """Those of some nodes, of which the first takes samples of `shape`."""
        l = first
        while l < last:
            node = self.nodes[l]
            yield from self._reshaped(shape, node)
            if isinstance(node.layer, Skip):
                end = self._end_of(l)
                yield self._block(l, end)
                l, node = end, self.nodes[end]
            else:
                yield from self._of_node(node, shape)
            if node.layer.activation_name != "linear":
                yield _TORCH_ACTIVATIONS[node.layer.activation_name](self.torch.nn, node.layer)
            l, shape = l + 1, node.output_shape

    def _end_of(self, skip: int) -> int:
        """Where the block ends whose input goes around by a node."""
        around = skip + 1 if skip + 1 < len(self.nodes) and self.nodes[skip + 1].below == skip else skip
        return next(l for l, node in enumerate(self.nodes) if isinstance(node.layer, Add) and node.other == around)

    def _block(self, skip: int, end: int) -> Any:
        from .torch_modules import Residual as ResidualModule

        shape, around = self.nodes[skip].input_shape, self.nodes[end].other
        Sequential = self.torch.nn.Sequential
        projection = Sequential(*self._between(skip + 1, around + 1, shape)) if around > skip else None
        inner = list(self._between(around + 1, end, shape))
        before = self.nodes[end - 1].output_shape if end > around + 1 else shape
        return ResidualModule(Sequential(*inner, *self._reshaped(before, self.nodes[end])), projection)

    def _reshaped(self, shape: Shape, node: Node) -> Iterator[Any]:
        """What makes of samples of `shape` those that a node takes, where Flatten or Reshape stand between."""
        from .torch_modules import Reshaped

        if self.are_sequences and shape != node.input_shape and len(node.input_shape) > 1:
            raise ValueError(
                "Reshape beside recurrent layers has no module in PyTorch: the network cannot be taken there"
            )
        if isinstance(shape, Steps) and len(node.input_shape) == 1 and not node.is_dense:
            yield self.torch.nn.Flatten()
        elif shape != node.input_shape and not node.is_dense:
            yield Reshaped((*node.input_shape, 1) if self._is_grey(node.input_shape) else node.input_shape)

    def _of_node(self, node: Node, shape: Shape) -> Iterator[Any]:
        """The module of a node, with its parameters, and what stands right before it."""
        layer: Any = node.layer
        nn = self.torch.nn
        if self._is_grey(node.input_shape) and layer.is_normalisation:
            raise ValueError(f"{layer!r} normalises columns of images (m, h, w): give images (m, h, w, 1)")
        if self.are_sequences and layer.is_normalisation and len(node.input_shape) == 2:  # samples themselves too
            node = replace(node, input_shape=Steps(node.input_shape))
        module = _LAYERS[type(layer)](nn, node)
        names = [each.name for each in layer.parameters(node.input_shape)]
        arrays = {name: self.parameters[f"{name}{node.number}"] for name in names}
        if layer.is_dense and len(shape) > 1 and not isinstance(node.input_shape, Steps):
            yield nn.Flatten()
            has_channels = not self._is_grey(shape) and not self.are_sequences
            arrays["W"] = channels_first(arrays["W"], shape) if has_channels else arrays["W"]
        if isinstance(layer, Conv1D | Conv2D):
            arrays["W"] = np.moveaxis(arrays["W"], -1, 1)
            yield from zeros_modules(nn, node)
        if layer.state_size:
            arrays = gates_of(layer, arrays)
        for name, array in arrays.items():
            tensor = getattr(module, _TORCH_NAMES.get(name, name))
            tensor.data = self.torch.from_numpy(np.ascontiguousarray(array))
            if name not in ("mean", "variance"):
                tensor.requires_grad_(layer.is_trainable)
        yield module
        if layer.state_size:
            from .torch_modules import States

            yield States(layer.return_sequences, layer.directions)
