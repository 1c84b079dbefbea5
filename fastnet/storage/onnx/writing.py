"""A network as an ONNX model, for ONNX Runtime and whatever else reads such files: inference, in float32.

ONNX has channels before rows and columns, (m, c, h, w): images stay (m, h, w, c) here, and are turned for pooling only.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...data.targets import Classification
from ...layers import (
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
    Recurrent,
    Shape,
    Steps,
)
from ...layers.base import Node
from ...layers.gates import split_gates
from ...layers.residual import Add, Skip
from ...layers.stack import masking_of, nodes_of, rescale_of
from ...training.trainable import Trainable
from ..writing import AnyPath, replacing
from .cells import CELLS
from .package import onnx_package

# LayerNormalization is in opset 17, and ONNX Runtime reads all of these from 1.12 on.
_OPSETS, _IR_VERSION = {"": 17, "ai.onnx.ml": 3}, 8
_MOST_BYTES = 1 << 31  # of a protocol buffer


class Graph:
    """Nodes that are added one after the other, each to the output of the one before, the first to `current`."""

    def __init__(self, onnx: Any, current: str = "X") -> None:
        self.helper, self.from_array = onnx.helper, onnx.numpy_helper.from_array
        self.int64 = onnx.TensorProto.INT64
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.current = current

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        if dtype is np.float32:
            value = _in_float32(name, np.asarray(value))
        self.constants.append(self.from_array(np.array(value, dtype), name))
        return name

    def add(
        self, operator: str, *more: str, of: Sequence[str] | None = None, output: int = 0, **attributes: Any
    ) -> str:
        """A node on `of`, or on the last one's output, and constants; returns the name of one of its outputs."""
        found = f"{operator}_{len(self.nodes)}"
        inputs = list(of) if of is not None else [self.current, *more]
        self.nodes.append(self.helper.make_node(operator, inputs, [""] * output + [found], name=found, **attributes))
        self.current = found
        return found

    def reshape(self, shape: Shape) -> None:
        self.add("Reshape", self.constant(f"shape_{len(self.nodes)}", (-1, *shape), np.int64))


def _gelu(graph: Graph, layer: Layer) -> None:
    """z (1 + erf(z / sqrt(2))) / 2: an operator of its own is in newer versions only."""
    z = graph.current
    graph.add("Mul", graph.constant(f"root_{len(graph.nodes)}", math.sqrt(0.5)))
    graph.add("Erf")
    graph.add("Add", graph.constant(f"one_{len(graph.nodes)}", 1))
    graph.add("Mul", z)
    graph.add("Mul", graph.constant(f"half_{len(graph.nodes)}", 0.5))


def _silu(graph: Graph, layer: Layer) -> None:
    z = graph.current
    graph.add("Mul", of=[z, graph.add("Sigmoid")])


def _plain(operator: str, **settings: Callable[[Layer], float]) -> Callable[[Graph, Layer], None]:
    def add(graph: Graph, layer: Layer) -> None:
        numbers: dict[str, Any] = {name: _number(name, value(layer)) for name, value in settings.items()}
        graph.add(operator, **numbers)

    return add


_ACTIVATIONS: dict[str, Callable[[Graph, Any], object]] = {
    "linear": lambda graph, layer: None,
    "sigmoid": _plain("Sigmoid"),
    "tanh": _plain("Tanh"),
    "relu": _plain("Relu"),
    "leaky_relu": _plain("LeakyRelu", alpha=lambda layer: getattr(layer, "slope", 0.01)),
    "elu": _plain("Elu", alpha=lambda layer: getattr(layer, "alpha", 1.0)),
    "softplus": _plain("Softplus"),
    "silu": _silu,
    "gelu": _gelu,
    "hard_sigmoid": _plain("HardSigmoid", alpha=lambda layer: 1 / 6, beta=lambda layer: 0.5),
    "hard_silu": _plain("HardSwish"),
    "softmax": lambda graph, layer: graph.add("Softmax", axis=-1),
}


class _Given(NamedTuple):
    """A layer in its place, and its parameters by their names in the file."""

    node: Node
    parameters: dict[str, np.ndarray]


def _dense(graph: Graph, given: _Given, names: dict[str, str]) -> None:
    shape = given.node.input_shape
    if len(shape) > 1:  # all steps of all sequences, or all features of a sample
        graph.reshape((shape[-1] if isinstance(shape, Steps) else given.node.n_in,))
    graph.add("Gemm", names["W"], names["b"], transB=1)
    if isinstance(shape, Steps):
        graph.reshape(given.node.output_shape)


def _embedding(graph: Graph, given: _Given, names: dict[str, str]) -> None:
    graph.add("Gather", of=[names["W"], graph.add("Cast", to=graph.int64)])


def _recurrent(graph: Graph, given: _Given, names: dict[str, str]) -> None:
    """Steps and directions come before samples there, and each array has an axis of directions."""
    layer: Any = given.node.layer
    operator, order, settings = CELLS[type(layer)]
    if isinstance(layer, Recurrent):
        settings = {"activations": [layer.nonlinearity.capitalize()] * layer.directions}
    found = split_gates(layer, given.parameters["W"], given.parameters["b"])
    directions = [gates.in_order(order) for gates in found]
    arrays = {
        "inputs": [gates.of_input for gates in directions],
        "state": [gates.of_state for gates in directions],
        "biases": [np.concatenate(gates[2:]) for gates in directions],
    }
    constants = [graph.constant(f"{name}_{given.node.number}", np.stack(parts)) for name, parts in arrays.items()]
    if layer.bidirectional:
        settings = settings | {"direction": "bidirectional"}
    graph.add("Transpose", perm=(1, 0, 2))
    graph.add(operator, *constants, hidden_size=layer.units, output=int(not layer.return_sequences), **settings)
    graph.add("Transpose", perm=(2, 0, 1, 3) if layer.return_sequences else (1, 0, 2))
    graph.reshape(given.node.output_shape)


def _batch_norm(graph: Graph, given: _Given, names: dict[str, str]) -> None:
    layer: Any = given.node.layer
    four = (names[name] for name in ("gamma", "beta", "mean", "variance"))
    # momentum is the share of what was remembered there, and that of the mini-batch here.
    settings = {"epsilon": _number("epsilon", layer.epsilon), "momentum": 1 - layer.momentum}
    rank = len(given.node.input_shape)
    if rank > 1:
        graph.add("Transpose", perm=(0, rank, *range(1, rank)))
    graph.add("BatchNormalization", *four, **settings)
    if rank > 1:
        graph.add("Transpose", perm=(0, *range(2, rank + 1), 1))


def _layer_norm(graph: Graph, given: _Given, names: dict[str, str]) -> None:
    layer: Any = given.node.layer
    graph.add("LayerNormalization", names["gamma"], names["beta"], axis=-1, epsilon=_number("epsilon", layer.epsilon))


def _dropout(graph: Graph, given: _Given, names: dict[str, str]) -> None:
    """Nothing is left out of predictions: it is for whoever goes on training."""
    layer: Any = given.node.layer
    graph.add("Dropout", graph.constant(f"rate_{len(graph.nodes)}", layer.rate))


def _add_to_images(graph: Graph, given: _Given, operator: str, *constants: str, **settings: Any) -> None:
    """A node that takes (m, c, h, w), of the images before a layer; a signal is an image of one row."""
    layer: Any = given.node.layer
    shape = given.node.input_shape
    one = (1,) * (2 - layer.axes)
    graph.reshape((*one, *shape[: layer.axes], *(shape[layer.axes :] or (1,))))
    graph.add("Transpose", perm=(0, 3, 1, 2))
    graph.add(operator, *constants, **settings)
    graph.add("Transpose", perm=(0, 2, 3, 1))
    graph.reshape(given.node.output_shape)


def _windows(layer: Any) -> dict[str, Shape]:
    """How its windows lie on images."""
    one = (1,) * (2 - layer.axes)
    return {"kernel_shape": (*one, *layer.window), "strides": (*one, *layer.steps)}


def _pool(operator: str) -> Callable[[Graph, _Given, dict[str, str]], None]:
    return lambda graph, given, names: _add_to_images(graph, given, operator, **_windows(given.node.layer))


def _global_pool(operator: str) -> Callable[[Graph, _Given, dict[str, str]], None]:
    return lambda graph, given, names: _add_to_images(graph, given, operator)


def _conv(graph: Graph, given: _Given, names: dict[str, str]) -> None:
    layer: Any = given.node.layer
    W, one = given.parameters["W"], (1,) * (2 - layer.axes)
    filters = graph.constant(f"filters_{given.node.number}", np.moveaxis(W.reshape(len(W), *one, *W.shape[1:]), -1, 1))
    around = [(0, 0)] * len(one) + layer.around(given.node.input_shape)
    pads = [before for before, _ in around] + [behind for _, behind in around]
    settings = {"pads": pads, "dilations": (*one, *layer.gaps), "group": layer.groups}
    _add_to_images(graph, given, "Conv", filters, names["b"], **_windows(layer), **settings)


_LAYERS: dict[type[Layer], Callable[[Graph, _Given, dict[str, str]], object]] = {
    Dense: _dense,
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    Dropout: _dropout,
    Conv1D: _conv,
    Conv2D: _conv,
    MaxPool1D: _pool("MaxPool"),
    MaxPool2D: _pool("MaxPool"),
    GlobalMaxPool1D: _global_pool("GlobalMaxPool"),
    GlobalMaxPool2D: _global_pool("GlobalMaxPool"),
    AveragePool1D: _pool("AveragePool"),
    AveragePool2D: _pool("AveragePool"),
    GlobalAveragePool1D: _global_pool("GlobalAveragePool"),
    GlobalAveragePool2D: _global_pool("GlobalAveragePool"),
    Skip: lambda graph, given, names: None,
    Embedding: _embedding,
    Recurrent: _recurrent,
    LSTM: _recurrent,
    GRU: _recurrent,
}


def _number(name: str, value: float) -> float:
    """A setting, as float32 holds it; ValueError if that is another one altogether."""
    found = float(_in_float32(name, np.asarray(value)))
    if value and not found:
        raise ValueError(f"{name}={value:g} is 0 in float32, which ONNX files are written in")
    return found


def _in_float32(name: str, array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        found = array.astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError(f"{name} holds NaN, infinity or numbers beyond float32, which ONNX files are written in")
    return found


def _layers_of(network: Trainable, shape: Shape) -> Iterator[_Given]:
    for node in nodes_of(network.layers, shape):
        names = [parameter.name for parameter in node.layer.parameters(node.input_shape)]
        arrays = {name: network.parameters[f"{name}{node.number}"] for name in names}
        yield _Given(node, {name: _in_float32(f"{name}{node.number}", array) for name, array in arrays.items()})


def add_network(graph: Graph, network: Trainable) -> Shape:
    """Add the nodes of a built network to `graph.current`, samples (m, *input_shape); returns the shape of an output.

    Raises ValueError for what an ONNX file cannot hold.
    """
    assert network.input_shape is not None
    if network.buffer.size * 4 >= _MOST_BYTES:
        raise ValueError("the network has parameters of more than 2 GB, which an ONNX file cannot hold: use save")
    if masking_of(network.layers) is not None:
        raise ValueError("ONNX has no operator like Masking: the network cannot be written to such a file")
    rescale = rescale_of(network.layers)
    if rescale.scale != 1:
        graph.add("Mul", graph.constant("scale", _number("scale", rescale.scale)))
    if rescale.shift != 0:
        graph.add("Add", graph.constant("shift", rescale.shift))
    made = [(graph.current, network.input_shape)]  # what nodes give, and the shape of a sample; the samples first
    for given in _layers_of(network, network.input_shape):
        layer, number = given.node.layer, given.node.number
        graph.current, shape = made[given.node.below + 1]
        if given.node.input_shape != shape:  # behind Flatten or Reshape
            graph.reshape(given.node.input_shape)
        # Weights of convolutions and of recurrent layers are constants of their own, in another order.
        arrays = (
            {} if type(layer) in CELLS else {name: array for name, array in given.parameters.items() if array.ndim < 3}
        )
        names = {name: graph.constant(f"{name}{number}", array) for name, array in arrays.items()}
        if isinstance(layer, Add):
            graph.add("Add", made[given.node.other + 1][0])
        else:
            _LAYERS[type(layer)](graph, given, names)
        _ACTIVATIONS[layer.activation_name](graph, layer)
        made.append((graph.current, given.node.output_shape))
    return given.node.output_shape


def metadata_of(network: Trainable) -> dict[str, str]:
    """What outputs mean: the loss, its setting and, of a classification, the labels, each as JSON."""
    loss = network.loss_and_setting
    found = {"loss": json.dumps(loss.name), "loss_setting": json.dumps(loss.setting)}
    if isinstance(network.task, Classification):
        found["labels"] = json.dumps(network.task.labels.tolist())
    return found


def model_of(network: Trainable) -> Any:
    """The network as an `onnx.ModelProto`; ValueError before it is built, and for what such a file cannot hold."""
    network.require_parameters()
    shape, onnx = network.input_shape, onnx_package()
    assert shape is not None
    graph = Graph(onnx)
    output_shape = add_network(graph, network)
    samples = onnx.helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, ["m", *shape])
    return finished(graph, [samples], output_shape, metadata_of(network))


def finished(
    graph: Graph, inputs: Sequence[Any], output_shape: Shape, metadata: Mapping[str, str], *, is_double: bool = False
) -> Any:
    """A checked `onnx.ModelProto` of what was added to a graph, whose last node makes "output", (m, *output_shape).

    That is float32, or float64 if it `is_double`.
    """
    onnx = onnx_package()
    graph.add("Identity")
    graph.nodes[-1].output[0] = "output"
    kind = onnx.TensorProto.DOUBLE if is_double else onnx.TensorProto.FLOAT
    output = onnx.helper.make_tensor_value_info("output", kind, ["m", *output_shape])
    made = onnx.helper.make_graph(graph.nodes, "fastnet", inputs, [output], graph.constants)
    domains = {node.domain for node in graph.nodes}
    opsets = [onnx.helper.make_opsetid(domain, _OPSETS[domain]) for domain in sorted({"", *domains})]
    model = onnx.helper.make_model(made, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="fastnet")
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return model


def write_model(model: Any, path: AnyPath) -> None:
    """Write an `onnx.ModelProto` to a file, which is replaced whole or not at all."""
    content = model.SerializeToString()
    with replacing(path) as file:
        file.write(content)


def save_onnx(network: Trainable, path: AnyPath) -> None:
    """Write `model_of` the network to a file."""
    write_model(model_of(network), path)
