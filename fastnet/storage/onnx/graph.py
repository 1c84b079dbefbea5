"""An ONNX file as a graph: which node makes which value, and which values are constants.

Nothing is made of the sizes that a file claims: tensors are as large as what the file holds of them.
"""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..model_file import ModelFileError, shortened
from ..writing import AnyPath
from .package import onnx_package

OLDEST_OPSET = 9
RECURRENT = ("RNN", "LSTM", "GRU")
_OF_ZEROS = (
    "Identity",
    "Expand",
    "Slice",
    "Reshape",
    "Transpose",
)  # what makes zeros of zeros, whatever else they take


class Graph:
    """Nodes by the value they make, constants by name, and the one input of a model.

    Attributes
    ----------
    producers : dict
        The node (`onnx.NodeProto`) whose first output a value is, or, of a recurrent one, any.
    constants : dict
        Arrays: initializers, and what nodes make of constants alone.
    input : str
    input_shape : tuple of int or None, or None
        Of X, the samples first; None where the file does not say.
    outputs : list of str
    metadata : dict of str
    producer : str
        What has written the file.
    opset : int
    """

    def __init__(self, model: Any) -> None:
        onnx, graph = onnx_package(), model.graph
        self.opset = _checked_opset(onnx, model)
        self.metadata = {each.key: each.value for each in model.metadata_props}
        self.producer = model.producer_name
        self.outputs = [each.name for each in graph.output]
        self.producers = {
            name: node
            for node in graph.node
            for name in (node.output if node.op_type in RECURRENT else node.output[:1])
            if name
        }
        self.constants = {each.name: _array(onnx, each) for each in graph.initializer}
        self._names: dict[str, str] = {}
        self.input, self.input_shape = self._input(graph)
        for node in graph.node:  # which are in order: a node stands behind those it takes from
            found = self._folded(onnx, node)
            if found is not None:
                self.constants[node.output[0]] = found

    def _input(self, graph: Any) -> tuple[str, tuple[int | None, ...] | None]:
        given = [each for each in graph.input if each.name not in self.constants]
        if len(given) != 1:
            names = ", ".join(each.name for each in given)
            raise ValueError(f"the graph has {len(given)} inputs ({shortened(names)}): give a model of one, (m, n)")
        kind = given[0].type.WhichOneof("value")
        if kind != "tensor_type":
            raise ValueError(
                f"the graph's input {given[0].name} is a {kind}: give a model that takes one tensor, (m, n)"
            )
        tensor = given[0].type.tensor_type
        if not tensor.HasField("shape"):
            return given[0].name, None
        extents = [each.dim_value if each.HasField("dim_value") else None for each in tensor.shape.dim]
        return given[0].name, tuple(extent or None for extent in extents)  # some write 0 where they do not know

    def _folded(self, onnx: Any, node: Any) -> np.ndarray | None:
        """The constant that a node makes; None if it makes none, or one that is not folded."""
        attributes = attributes_of(onnx, node)
        if node.op_type == "Constant":
            return _constant(onnx, attributes)
        names = list(node.input)
        if node.op_type not in _FOLDED or node.domain or not names or any(name not in self.constants for name in names):
            return None
        arrays = [self.constants[name] for name in names]
        return _FOLDED[node.op_type](onnx, attributes, *arrays)

    def is_zero(self, name: str) -> bool:
        """Whether all numbers of a value are 0, however many there are."""
        while name not in self.constants and name in self.producers:
            node = self.producers[name]
            if node.op_type == "ConstantOfShape":
                value = attributes_of(onnx_package(), node).get("value")
                return value is None or not _array(onnx_package(), value).any()
            if node.op_type not in _OF_ZEROS:
                return False
            name = node.input[0]
        return name in self.constants and not self.constants[name].any()

    def same_as(self, name: str) -> str:
        """The value behind nodes that pass it on as it is."""
        while name in self.producers and self.producers[name].op_type == "Identity":
            name = self.producers[name].input[0]
        return name


def attributes_of(onnx: Any, node: Any) -> dict[str, Any]:
    """A node's attributes, texts as str."""
    found = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def shown_node(node: Any) -> str:
    """What messages call a node."""
    domain = f" of {node.domain}" if node.domain else ""
    return f"node {node.name or '-> ' + ', '.join(node.output)}, {node.op_type}{domain}"


def read_graph(path: AnyPath) -> Graph:
    """The graph of an ONNX file, with tensors in files beside it, if it has some.

    Raises
    ------
    OSError
        If it cannot be read.
    ModelFileError
        If it is no whole ONNX file, or not as the standard has it.
    ValueError
        For a version that is not supported, or several inputs.
    """
    onnx, given = onnx_package(), os.fsdecode(path)
    with open(given, "rb"):  # whose errors are those of every file
        pass
    try:
        model = onnx.load(given, format="protobuf", load_external_data=False)
    except Exception as error:  # of the protocol buffers
        raise _damaged(given, error) from error
    _checked_opset(onnx, model)
    try:
        onnx.checker.check_model(given)
        onnx.load_external_data_for_model(model, os.path.dirname(os.path.abspath(given)))
    except Exception as error:  # its own, RuntimeError, and those of files that are missing
        raise _damaged(given, error) from error
    try:
        return Graph(model)
    except (_TensorError, TypeError, KeyError, IndexError, OverflowError, UnicodeError) as error:
        raise _damaged(given, error) from error


def _damaged(given: str, error: object) -> ModelFileError:
    why = shortened(str(error).strip() or type(error).__name__)
    return ModelFileError(f"{given} is not an ONNX file, or is damaged ({why}): export it again")


def _checked_opset(onnx: Any, model: Any) -> int:
    """The version of the operators; ValueError for one that is not known."""
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if not versions or not OLDEST_OPSET <= versions[0] <= newest:
        found = f"opset {versions[0]}" if versions else "no operators of ONNX"
        raise ValueError(
            f"the file has {found}: with this version of the package onnx fastnet reads {OLDEST_OPSET} to {newest}"
        )
    return int(versions[0])


class _TensorError(Exception):
    """What is wrong with a tensor."""


def _array(onnx: Any, tensor: Any) -> np.ndarray:
    """A tensor as the array that it says it is, if it holds as many numbers."""
    try:
        found: np.ndarray = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # of several kinds, by what is wrong
        raise _TensorError(f"the tensor {shortened(tensor.name)}: {error}") from error
    return found


def _constant(onnx: Any, attributes: dict[str, Any]) -> np.ndarray | None:
    (kind, value), *_ = attributes.items()
    if kind == "sparse_value":
        return None
    return _array(onnx, value) if kind == "value" else np.asarray(value)


def _cast(onnx: Any, attributes: dict[str, Any], array: np.ndarray) -> np.ndarray | None:
    names = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.DOUBLE: np.float64, onnx.TensorProto.INT64: np.int64}
    to = names.get(attributes["to"])
    return None if to is None or array.dtype.kind not in "fiub" else array.astype(to)


def _transpose(onnx: Any, attributes: dict[str, Any], array: np.ndarray) -> np.ndarray:
    return np.transpose(array, attributes.get("perm"))


def _reshape(onnx: Any, attributes: dict[str, Any], array: np.ndarray, shape: np.ndarray) -> np.ndarray | None:
    return None if (shape == 0).any() else array.reshape(shape.tolist())


def _constant_of_shape(onnx: Any, attributes: dict[str, Any], shape: np.ndarray) -> np.ndarray | None:
    if shape.ndim != 1 or not 0 <= math.prod(shape.tolist()) <= _FEW:
        return None
    return np.full(shape.tolist(), _array(onnx, attributes["value"])[0] if "value" in attributes else np.float32(0))


def _concat(onnx: Any, attributes: dict[str, Any], *arrays: np.ndarray) -> np.ndarray | None:
    is_short = sum(array.size for array in arrays) <= _FEW
    return np.concatenate(arrays, axis=attributes["axis"]) if is_short else None


def _slice(onnx: Any, attributes: dict[str, Any], array: np.ndarray, *places: np.ndarray) -> np.ndarray | None:
    if len(places) != 4 or not array.ndim or any(each.size != 1 for each in places):
        return None
    start, stop, axis, step = (int(each.item()) for each in places)
    # As far back as there is anything means to the first one, which Python writes as None.
    ends = slice(start, None if step < 0 and stop < -array.shape[axis] else stop, step)
    return array[(slice(None),) * (axis % array.ndim) + (ends,)]


# What PyTorch and others leave to be done with weights, and with the numbers of zeros around samples; but for a few,
# none of it makes more numbers than there are.
_FEW = 16
_FOLDED: dict[str, Callable[..., np.ndarray | None]] = {
    "Identity": lambda onnx, attributes, array: array,
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Slice": _slice,
    "Transpose": _transpose,
    "Reshape": _reshape,
}
