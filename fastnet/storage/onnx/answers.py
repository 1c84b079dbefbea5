"""What the outputs of a graph are: scores, the labels that are chosen by them, or both, as scikit-learn's have it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .graph import Graph, attributes_of, shown_node
from .package import onnx_package


@dataclass(frozen=True)
class Answers:
    """The value that all outputs come from, the activations of the last layer, and what is made of it."""

    scores: str
    labels: np.ndarray | None = None  # by column of the scores
    chooses: bool = False  # whether one output is the label with the largest score


_PASSING = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze")  # of labels


def answers_of(graph: Graph) -> Answers:
    """What the outputs are; ValueError unless all of them come from the same scores."""
    found = [_answers(graph, name) for name in graph.outputs]
    if len({graph.same_as(each.scores) for each in found}) != 1:
        raise ValueError(
            f"the graph has {len(found)} outputs ({', '.join(graph.outputs)}): give a model with one, or with labels "
            "and the probabilities that they are chosen by"
        )
    labels = next((each.labels for each in found if each.labels is not None), None)
    return Answers(found[0].scores, labels, any(each.chooses for each in found))


def _behind(graph: Graph, name: str) -> Any:
    """The node that makes a value, before others pass it on; None for an input."""
    while name in graph.producers and graph.producers[name].op_type in _PASSING:
        name = graph.producers[name].input[0]
    return graph.producers.get(name)


def _answers(graph: Graph, name: str) -> Answers:
    node = _behind(graph, name)
    operator = node.op_type if node is not None else ""
    if operator == "ArgMax":
        return _chosen(graph, name, None)
    if operator == "ArrayFeatureExtractor" and node.input[0] in graph.constants:
        return _chosen(graph, node.input[1], _texts(graph.constants[node.input[0]].ravel()))
    if operator == "LabelEncoder":
        return _chosen(graph, node.input[0], _encoded(node))
    if operator == "Binarizer" and attributes_of(onnx_package(), node).get("threshold", 0) == 0.5:
        return Answers(node.input[0])
    if operator == "ZipMap":
        given = attributes_of(onnx_package(), node)
        return Answers(node.input[0], _texts(given.get("classlabels_strings") or given.get("classlabels_int64s")))
    return Answers(name)


def _chosen(graph: Graph, index: str, labels: np.ndarray | None) -> Answers:
    node = _behind(graph, index)
    if node is None or node.op_type != "ArgMax":
        raise ValueError("labels are chosen by something else than ArgMax: give a model without them")
    if attributes_of(onnx_package(), node).get("axis", 0) not in (1, -1):
        raise ValueError(f"{shown_node(node)}: it looks for the largest of a column: axis 1 is supported")
    return Answers(node.input[0], labels, True)


def _encoded(node: Any) -> np.ndarray:
    """The labels of a LabelEncoder of 0, 1, 2 and so on."""
    given = attributes_of(onnx_package(), node)
    labels = _texts(given.get("values_strings") or given.get("values_int64s"))
    if list(given.get("keys_int64s", ())) != list(range(len(labels))):
        raise ValueError(
            f"{shown_node(node)}: keys 0, 1, 2 and so on are supported, with labels that are integers or texts"
        )
    return labels


def _texts(labels: Any) -> np.ndarray:
    """Labels as an array of integers or of texts."""
    values = [each.decode() if isinstance(each, bytes) else each for each in labels]
    return np.array(values)
