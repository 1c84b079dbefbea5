"""A model of a table as an ONNX model: its columns are prepared in the file, by the operators of ONNX."""

import json
from typing import Any

import numpy as np

from ..storage.onnx.package import onnx_package
from ..storage.onnx.writing import Graph, add_network, finished, metadata_of, write_model
from ..storage.writing import AnyPath
from ..training.trainable import Trainable
from .preprocessing import CategoryInput, NumberInput, Preprocessing
from .target import REGRESSION, Target


def _add_number(graph: Graph, each: NumberInput, column: str, at: int) -> list[str]:
    """Inputs (m, 1) from a column of numbers (m, 1), NaN where one is missing.

    In float64: times and ids are large, and would be all the same in float32.
    """
    float32 = onnx_package().TensorProto.FLOAT
    fill, mean, scale = (
        graph.constant(f"{name}_{at}", getattr(each, name), np.float64) for name in ("fill", "mean", "scale")
    )
    is_missing = graph.add("IsNaN", of=[column])
    graph.add("Where", of=[is_missing, fill, column])
    graph.add("Sub", mean)
    graph.add("Div", scale)
    made = [graph.add("Cast", to=float32)]
    if each.marks_missing:
        made.append(graph.add("Cast", of=[is_missing], to=float32))
    return made


def _add_category(graph: Graph, each: CategoryInput, column: str) -> list[str]:
    """Inputs (m, k) from a column of texts (m, 1), empty where one is missing."""
    graph.add("OneHotEncoder", of=[column], domain="ai.onnx.ml", cats_strings=list(each.categories), zeros=1)
    graph.reshape((len(each.categories),))
    return [graph.current]


def model_of_table(network: Trainable, preprocessing: Preprocessing, target: Target) -> Any:
    """As an `onnx.ModelProto`; ValueError for what such a file cannot hold."""
    onnx = onnx_package()
    graph, describe = Graph(onnx), onnx.helper.make_tensor_value_info
    inputs, made = [], []
    for at, each in enumerate(preprocessing.inputs):
        is_number = isinstance(each, NumberInput)
        kind = onnx.TensorProto.DOUBLE if is_number else onnx.TensorProto.STRING
        inputs.append(describe(each.name, kind, ["m", 1]))
        if isinstance(each, NumberInput):
            made += _add_number(graph, each, each.name, at)
        elif each.categories:
            made += _add_category(graph, each, each.name)
    graph.add("Concat", of=made, axis=1)
    metadata = metadata_of(network) | {"target": json.dumps(target.name)}
    output_shape = add_network(graph, network)
    if target.task == REGRESSION:
        graph.add("Cast", to=onnx.TensorProto.DOUBLE)
        graph.add("Mul", graph.constant("target_scale", target.scale, np.float64))
        graph.add("Add", graph.constant("target_mean", target.mean, np.float64))
    taken = {"output", "", *(each.name for each in graph.constants), *(each.output[0] for each in graph.nodes)}
    for each in preprocessing.inputs:
        if each.name in taken:
            raise ValueError(f"column {each.name!r} has a name that an ONNX file needs for itself: rename the column")
    return finished(graph, inputs, output_shape, metadata, is_double=target.task == REGRESSION)


def save_table_onnx(path: AnyPath, network: Trainable, preprocessing: Preprocessing, target: Target) -> None:
    """Write `model_of_table` to a file, which is replaced whole or not at all."""
    write_model(model_of_table(network, preprocessing, target), path)
