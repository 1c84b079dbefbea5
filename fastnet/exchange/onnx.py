"""Networks of ONNX files, with their weights."""

import os

import numpy as np

from ..data.targets import Classification
from ..losses import Loss, with_setting
from ..network import Network
from ..storage.json_checks import parsed
from ..storage.model_file import ModelFileError
from ..storage.onnx.answers import Answers, answers_of
from ..storage.onnx.graph import Graph, read_graph
from ..storage.onnx.patterns import steps_to
from ..storage.writing import AnyPath
from .onnx_operators import OF_ROWS, OPERATORS, ORDERING
from .onnx_reader import Reader


def from_onnx(path: AnyPath, *, output: str | None = None) -> Network:
    """The network in an ONNX file, with its weights: in float64 if they are, else in float32.

    It reads what `Network.to_onnx` writes, what PyTorch exports of layers in a row, and what skl2onnx makes of
    perceptrons, behind a StandardScaler too: scales and shifts become part of the next dense layer, and what ends in
    labels has them. The page docs/exchange.md lists operators. Of a model that begins with convolutions or
    pooling, images (m, c, h, w) are (m, h, w, c) here, and signals (m, c, t) are (m, t, c). Sequences stay (m, t, n).

    Parameters
    ----------
    path : path of the file
        Tensors in files beside it are read as well.
    output : str, optional
        An activation of the last layer, "softmax" say, for a model that ends in logits; "softmax" is also for one that
        ends in LogSoftmax.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ModelFileError
        A ValueError, if it is no ONNX file, or a damaged one.
    ValueError
        For an operator, a version or a dtype that is not supported, or layers that are not in a row; it names the node.
    ModuleNotFoundError
        Without the package onnx.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastnet as fn
    >>> net = fn.Network([fn.Dense(8, "gelu"), fn.Dense(3, "softmax")]).build(4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.onnx")
    ...     net.to_onnx(path)
    ...     again = fn.from_onnx(path)
    >>> again
    Network([Dense(8, activation='gelu'), Dense(3, activation='softmax')], loss='cross_entropy', dtype='float32')
    """
    try:
        graph = read_graph(path)
        return _network(graph, answers_of(graph), output)
    except ModelFileError:
        raise
    except (ValueError, TypeError) as error:
        raise ValueError(f"{os.fsdecode(path)}: {error}") from error


def _network(graph: Graph, answers: Answers, output: str | None) -> Network:
    steps = steps_to(graph, answers.scores)
    has_two = bool(steps) and steps[-1].operator == "TwoClasses"
    reader = Reader(graph, output)
    for step in steps[:-1] if has_two else steps:
        try:
            if step.operator not in OPERATORS:
                raise ValueError(f"fastnet has no layer for it; it reads {', '.join(sorted(OPERATORS))}")
            if reader.zeros and step.operator != "Conv":
                raise ValueError("zeros are put around samples before it: a convolution behind them is supported")
            if reader.is_whole and step.operator != "Gather":
                raise ValueError("whole numbers are made before it: an embedding behind them is supported")
            if (reader.sample_axis or reader.rows) and step.operator not in (
                ORDERING if reader.sample_axis else OF_ROWS
            ):
                raise ValueError(
                    "steps come before samples there, or are samples: that is supported for sequences only"
                )
            OPERATORS[step.operator](reader, step)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{step.shown}: {error}") from error
    net = reader.network(_loss(graph))
    if has_two and (net.layers[-1].activation_name != "sigmoid" or net.layers[-1].fixed_units != 1):
        raise ValueError(f"{steps[-1].shown}: two columns of what is no single sigmoid unit are not supported")
    labels = answers.labels if graph.producer != "fastnet" else _own_labels(graph)
    if isinstance(net.task, Classification):
        if labels is not None:
            net.task = _with_labels(net.task, labels)
    elif answers.chooses:
        raise ValueError("it chooses one label by scores that are no probabilities: give output='softmax'")
    return net


def _with_labels(task: Classification, labels: np.ndarray) -> Classification:
    if labels.shape != (task.n_classes,) or labels.dtype.kind not in "biU" or not (labels[:-1] < labels[1:]).all():
        raise ValueError(
            f"its labels are {labels.tolist()[:8]}: {task.n_classes} integers or texts are supported, smallest first, "
            "and all different"
        )
    return task.with_classes(labels)


def _own_labels(graph: Graph) -> np.ndarray | None:
    """Those that `to_onnx` writes."""
    values = parsed("labels", graph.metadata.get("labels", "null"))
    if values is None:
        return None
    if not isinstance(values, list) or len({type(value) for value in values}) != 1:
        raise ValueError("its labels are no list of integers, of texts or of booleans: write it again by to_onnx")
    return np.array(values)


def _loss(graph: Graph) -> Loss | None:
    """The one that `to_onnx` writes; None for what others have written."""
    if graph.producer != "fastnet" or "loss" not in graph.metadata:
        return None
    name, setting = (parsed(key, graph.metadata.get(key, "0")) for key in ("loss", "loss_setting"))
    return with_setting(name, setting)
