"""Networks of ONNX files, with their weights: each operator as the layer, or the part of one, that it is.

ONNX has channels before rows and columns. Which unit of a layer a number of a tensor is, is kept beside it, so that
columns of the next W can be put in order.
"""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..checks import all_finite
from ..data.targets import Classification
from ..layers import BatchNorm, Dense, Dropout, LayerNorm, MaxPool1D, MaxPool2D, Rescale, Shape
from ..losses import Loss, with_setting
from ..network import Network
from ..storage.json_checks import parsed
from ..storage.model_file import ModelFileError
from ..storage.onnx.answers import Answers, answers_of
from ..storage.onnx.graph import Graph, read_graph
from ..storage.onnx.patterns import Step, steps_to
from ..storage.writing import AnyPath
from .assembly import Assembly

_MOST_NUMBERS = 1 << 22  # of a sample, whose shape is a mere claim until a parameter has it
_FLOATS = {1: "float32", 11: "float64"}  # of `onnx.TensorProto`


def from_onnx(path: AnyPath, *, output: str | None = None) -> Network:
    """The network in an ONNX file, with its weights: in float64 if they are, else in float32.

    It reads what `Network.to_onnx` writes, what PyTorch exports of layers in a row, and what skl2onnx makes of
    perceptrons, behind a StandardScaler too: scales and shifts become part of the next dense layer, and what ends in
    labels has them. The page docs/exchange.md lists operators. Of a model whose first layers are max pooling, images
    (m, c, h, w) are (m, h, w, c) here, and signals (m, c, t) are (m, t, c).

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
    reader = _Reader(graph, output)
    for step in steps[:-1] if has_two else steps:
        try:
            if step.operator not in _OPERATORS:
                raise ValueError(f"fastnet has no layer for it; it reads {', '.join(sorted(_OPERATORS))}")
            _OPERATORS[step.operator](reader, step)
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


def _shortest(number: Any) -> float:
    """A number as it was written before it became float32: 0.01, and not 0.00999999977..."""
    return float(str(np.float32(number)))


class _Reader:
    """The layers so far, and how the value behind them lies.

    `shape` is that of a sample behind the last layer here, and `order` (of the shape of a sample there) says of each
    number which unit it is here; both are None as long as nobody has said how many features there are. `affine` is a
    scale and a shift that are part of no layer yet.
    """

    def __init__(self, graph: Graph, output: str | None) -> None:
        self.graph, self.output = graph, output
        self.assembly = Assembly()
        self.shape: Shape | None = None
        self.order: np.ndarray | None = None
        self.input_shape: Shape | None = None
        self.affine: tuple[np.ndarray, np.ndarray] | None = None
        self.casts: set[str] = set()
        given = graph.input_shape
        if given is not None and len(given) < 2:
            raise ValueError(f"the input {graph.input} has {len(given)} axes: samples (m, n) or images are supported")
        self.batch = given[0] if given is not None else None
        if given is not None:
            extents = tuple(extent for extent in given[1:] if extent is not None)
            if len(extents) == len(given) - 1:
                self.begin_with(extents)

    def begin_with(self, shape: Shape) -> None:
        """Samples of this shape, or as many features."""
        if min(shape) < 1 or math.prod(shape) > _MOST_NUMBERS:
            raise ValueError(f"samples of shape {shape} are not supported: {_MOST_NUMBERS} numbers at the most")
        self.input_shape = self.shape = shape
        self.order = _ordered(shape)

    def known_order(self, n: int | None = None) -> np.ndarray:
        """`order`; if it is unknown yet, that of n features."""
        if self.order is None:
            if n is None:
                raise ValueError("the file does not say what shape samples have: export it with fixed sizes")
            self.begin_with((n,))
        assert self.order is not None
        return self.order

    def features(self, n: int) -> np.ndarray:
        """`order` of n features (m, n); ValueError for others."""
        order = self.known_order(n)
        if order.shape != (n,):
            raise ValueError(f"it takes features (m, {n}), and gets (m, {', '.join(map(str, order.shape))})")
        return order

    def vector(self, constant: np.ndarray | None) -> np.ndarray:
        """A constant that is added to or multiplied with each sample: one number (), or one a unit (n,)."""
        if constant is None or constant.dtype.kind not in "fi":
            raise ValueError("it takes no constant of numbers")
        if not np.isfinite(constant).all():
            raise ValueError("its constant holds NaN or infinity")
        if constant.size == 1 and self.order is None:
            return np.array(_exact(constant))
        order = self.known_order(constant.shape[-1] if constant.ndim else None)
        shape = (1, *order.shape)
        if constant.ndim > len(shape) or np.broadcast_shapes(constant.shape, shape) != shape:
            raise ValueError(f"it takes a constant of shape {constant.shape} and samples of shape {order.shape}")
        if constant.size == 1:
            return np.array(_exact(constant))
        found = np.empty(order.size)
        found[order.ravel()] = np.broadcast_to(constant, shape).ravel()
        return found

    def scale_and_shift(self, scale: np.ndarray, shift: np.ndarray) -> None:
        """scale * x + shift: part of the layer before it, if that has no activation, else of the one behind it."""
        part = self.assembly.open_part
        if part is None:
            before = self.affine or (np.array(1.0), np.array(0.0))
            self.affine = (scale * before[0], scale * before[1] + shift)
            return
        gain, bias = ("W", "b") if part.kind is Dense else ("gamma", "beta")
        by_row = scale[:, None] if scale.ndim and part.kind is Dense else scale
        part.arrays[gain] = _as(part.arrays[gain] * by_row, part.arrays[gain].dtype)
        part.arrays[bias] = _as(part.arrays[bias] * scale + shift, part.arrays[bias].dtype)

    def rescale_first(self) -> None:
        """What is done alike to all inputs is a layer of its own."""
        if self.affine is not None and not self.assembly.parts and self.affine[0].ndim == self.affine[1].ndim == 0:
            self.assembly.add(Rescale, {"scale": float(self.affine[0]), "shift": float(self.affine[1])})
            self.affine = None

    def refuse_affine(self) -> None:
        """ValueError for a scale and a shift that belong to no layer here."""
        self.rescale_first()
        if self.affine is not None:
            raise ValueError("before it numbers are scaled or shifted: that is supported before a dense layer only")

    def add_dense(self, W: np.ndarray, b: np.ndarray) -> None:
        order = self.features(W.shape[1])
        self.rescale_first()
        W = _in_place(W, order)
        if self.affine is not None:
            scale, shift = self.affine
            b = _as(b + W.astype(np.float64) @ np.broadcast_to(shift, W.shape[1]), W.dtype)
            W, self.affine = _as(W * scale, W.dtype), None
        self.assembly.add(Dense, {"units": len(W)}, {"W": W, "b": b})
        self.now_has((len(W),), _ordered((len(W),)))

    def now_has(self, shape: Shape, order: np.ndarray) -> None:
        self.shape, self.order = shape, order

    def reshape(self, shape: Sequence[int]) -> None:
        order = self.known_order()
        if math.prod(shape) != order.size:
            raise ValueError(f"it makes {tuple(shape)} of samples of shape {order.shape}: samples stay apart here")
        self.order = order.reshape(shape)

    def network(self, loss: Loss | None) -> Network:
        if self.affine is not None:
            raise ValueError("it ends with a scale and a shift behind an activation, which fastnet has no layer for")
        if self.order is not None and self.order.ndim > 1 and self.order.size > 1:
            raise ValueError(
                f"its outputs have shape (m, {', '.join(map(str, self.order.shape))}): give a model of (m, n)"
            )
        net = self.assembly.network(self.input_shape or (1,), self.output, loss)
        if not all_finite(net.buffer):
            raise ValueError(f"scales and shifts make weights of it that are too large for {net.dtype}")
        if self.casts - {str(net.dtype)}:
            raise ValueError(f"it computes in {' and '.join(sorted(self.casts))}, with parameters of {net.dtype}")
        return net


def _ordered(shape: Shape) -> np.ndarray:
    return np.arange(math.prod(shape), dtype=np.int32).reshape(shape)


def _exact(constant: np.ndarray) -> float:
    value = constant.reshape(())
    return _shortest(value) if constant.dtype == np.float32 else float(value)


def _as(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _in_place(array: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Columns where the units are that they belong to."""
    found = np.empty_like(array)
    found[..., order] = array
    return found


def _parameter(step: Step, place: int, what: str) -> np.ndarray:
    found = step.constant(place)
    if found is None:
        raise ValueError(f"its {what} is no constant of the file")
    if found.dtype not in (np.float32, np.float64):
        raise ValueError(f"its {what} is {found.dtype}: float32 and float64 are supported")
    if not np.isfinite(found).all():
        raise ValueError(f"its {what} holds NaN or infinity")
    return found


# ---------------------------------------------------------------- layers


def _gemm(reader: _Reader, step: Step) -> None:
    given = step.attributes
    W = _parameter(step, 1, "B")
    if W.ndim != 2 or given.get("transA", 0):
        raise ValueError("A B with A (m, n) is supported, and B a constant matrix")
    W = W if given.get("transB", 0) else W.T
    b = np.zeros(len(W), W.dtype)
    if len(step.inputs) > 2:
        added = _parameter(step, 2, "C")
        if np.broadcast_shapes(added.shape, (1, len(W))) != (1, len(W)):
            raise ValueError(f"its C has shape {added.shape}, for {len(W)} units")
        b = np.array(np.broadcast_to(added, (1, len(W)))[0])
    alpha, beta = given.get("alpha", 1.0), given.get("beta", 1.0)
    reader.add_dense(_as(W * alpha, W.dtype), _as(b * beta, b.dtype))


def _matmul(reader: _Reader, step: Step) -> None:
    W = _parameter(step, 1, "second factor")
    if W.ndim != 2:
        raise ValueError(f"its second factor has shape {W.shape}: a matrix is supported")
    reader.add_dense(W.T, np.zeros(W.shape[1], W.dtype))


def _add(reader: _Reader, step: Step) -> None:
    reader.scale_and_shift(np.array(1.0), reader.vector(_other(step)))


def _sub(reader: _Reader, step: Step) -> None:
    constant, is_first = reader.vector(_other(step)), step.constant(0) is not None
    reader.scale_and_shift(np.array(-1.0 if is_first else 1.0), constant if is_first else -constant)


def _mul(reader: _Reader, step: Step) -> None:
    reader.scale_and_shift(reader.vector(_other(step)), np.array(0.0))


def _div(reader: _Reader, step: Step) -> None:
    divisor = reader.vector(step.constant(1))
    if not divisor.all():
        raise ValueError("it divides by 0")
    reader.scale_and_shift(1 / divisor, np.array(0.0))


def _other(step: Step) -> np.ndarray | None:
    """The constant of two operands."""
    return next((each for each in step.inputs if each is not None), None)


def _scaler(reader: _Reader, step: Step) -> None:
    numbers = [np.array(step.attributes.get(name, [usual])) for name, usual in (("offset", 0.0), ("scale", 1.0))]
    offset, scale = (reader.vector(each) for each in numbers)
    reader.scale_and_shift(scale, -scale * offset)


def _normalise(reader: _Reader, kind: Any, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """A normalisation of features, with parameters (n,) in the order of the file."""
    order = reader.features(arrays["gamma"].size)
    if any(array.shape != order.shape for array in arrays.values()):
        raise ValueError(
            f"its parameters have shapes {[array.shape for array in arrays.values()]}: one number a feature"
        )
    reader.refuse_affine()
    reader.assembly.add(kind, settings, {name: _in_place(array, order) for name, array in arrays.items()})


def _batch_norm(reader: _Reader, step: Step) -> None:
    if step.attributes.get("training_mode", 0) or len(step.inputs) != 5:
        raise ValueError("it is in training mode: export the model as it predicts")
    names = ("gamma", "beta", "mean", "variance")
    arrays = {name: _parameter(step, place, name) for place, name in enumerate(names, start=1)}
    if (arrays["variance"] < 0).any():
        raise ValueError("its variance holds numbers below 0")
    momentum = _shortest(1 - _shortest(step.attributes.get("momentum", 0.9)))
    settings = {"epsilon": _shortest(step.attributes.get("epsilon", 1e-5))}
    if 0 < momentum <= 1:  # else nothing new would be remembered, which is for training to say
        settings["momentum"] = momentum
    _normalise(reader, BatchNorm, settings, arrays)


def _layer_norm(reader: _Reader, step: Step) -> None:
    gamma = _parameter(step, 1, "scale")
    beta = _parameter(step, 2, "bias") if len(step.inputs) > 2 else np.zeros_like(gamma)
    if step.attributes.get("axis", -1) not in (1, -1):
        raise ValueError("axis -1 is supported")
    settings = {"epsilon": _shortest(step.attributes.get("epsilon", 1e-5))}
    _normalise(reader, LayerNorm, settings, {"gamma": gamma, "beta": beta})


def _dropout(reader: _Reader, step: Step) -> None:
    training = step.constant(2)
    if training is not None and training.any():
        raise ValueError("it is in training mode: export the model as it predicts")
    given = step.constant(1)
    rate = _exact(given) if given is not None and given.size == 1 else _shortest(step.attributes.get("ratio", 0.5))
    reader.rescale_first()
    reader.assembly.add(Dropout, {"rate": rate})


def _max_pool(reader: _Reader, step: Step) -> None:
    order, given = reader.known_order(), step.attributes
    axes = order.ndim - 1
    kernel = list(given.get("kernel_shape", ()))
    strides = list(given.get("strides", [1] * axes))
    if axes not in (1, 2) or len(kernel) != axes or len(strides) != axes:
        raise ValueError(f"it gets samples of shape {order.shape}: (c, h, w) and (c, t) are supported")
    usual = {"auto_pad": ("NOTSET", "VALID"), "ceil_mode": (0,), "storage_order": (0,)}
    if any(given.get(name, values[0]) not in values for name, values in usual.items()):
        raise ValueError("auto_pad, ceil_mode and storage_order are not supported")
    if any(given.get("pads", ())) or any(each != 1 for each in given.get("dilations", ())):
        raise ValueError("pads and dilations are not supported: windows lie within a sample, without gaps")
    reader.refuse_affine()
    shape = _shape_for_pooling(reader, order)
    if len(shape) == 2 and order.shape[0] == shape[1] and (axes == 1 or order.shape[1] == 1 != shape[0]):
        layer: Any = MaxPool1D(kernel[-1], strides[-1])
        one = (1,) * (axes - 1)
        if kernel[:-1] != list(one):
            raise ValueError(f"its windows, {kernel}, are larger than a sample of {order.shape}")
        seen = (*one, *layer.output_shape(shape))
    else:
        layer = MaxPool2D(_one_or_pair(kernel), _one_or_pair(strides))
        seen = (*layer.output_shape(shape), 1)[:3]
    settings = {"pool_size": layer.pool_size}
    if layer.steps != layer.window:
        settings["stride"] = layer.stride
    reader.assembly.add(type(layer), settings)
    reader.now_has(layer.output_shape(shape), np.moveaxis(_ordered(seen), -1, 0))


def _one_or_pair(extents: list[int]) -> int | tuple[int, int]:
    height, width = extents
    return height if height == width else (height, width)


def _shape_for_pooling(reader: _Reader, order: np.ndarray) -> Shape:
    """Of a sample with channels last: that which it has, or, before any layer, that which it is to have from now on."""
    channels, extents = order.shape[0], order.shape[1:]
    fits = [(*extents, channels)]
    if len(extents) == 2:
        fits += [extents] * (channels == 1) + [(extents[1], channels)] * (extents[0] == 1)
    last = np.moveaxis(order, 0, -1).ravel()
    counted = np.arange(order.size)
    if reader.shape in fits and np.array_equal(last, counted):
        return reader.shape
    is_first = all(part.kind is Rescale for part in reader.assembly.parts)
    if is_first and np.array_equal(order.ravel(), counted) and (reader.shape == order.shape or channels == 1):
        reader.begin_with(fits[0])
        assert reader.shape is not None
        return reader.shape
    raise ValueError(
        "it takes images that are not those of the input, or of another MaxPool: fastnet has no layer for it"
    )


# ---------------------------------------------------------------- shapes


def _reshape(reader: _Reader, step: Step) -> None:
    target = step.constant(1)
    if target is None or target.ndim != 1 or not target.size or target.dtype.kind != "i":
        raise ValueError("its shape is no constant of the file")
    first, *rest = (int(extent) for extent in target)
    if reader.order is None and len(rest) == 1:
        if rest[0] < 1:
            return  # features they are
        reader.begin_with((rest[0],))
    order = reader.known_order()
    if not step.attributes.get("allowzero", 0):
        rest = [order.shape[i] if extent == 0 and i < order.ndim else extent for i, extent in enumerate(rest)]
    if first in (0, reader.batch) and rest.count(-1) == 1:
        known = -math.prod(rest)
        rest = [order.size // known if extent == -1 and known > 0 else extent for extent in rest]
    elif first not in (0, -1, reader.batch):
        raise ValueError(f"its shape {target.tolist()} does not begin with the number of samples: use 0 or -1 for it")
    if any(extent < 1 for extent in rest):
        raise ValueError(f"its shape {target.tolist()} does not tell what a sample is")
    reader.reshape(rest)


def _flatten(reader: _Reader, step: Step) -> None:
    axis = step.attributes.get("axis", 1)
    if reader.order is None:
        raise ValueError("the file does not say what shape samples have: export it with fixed sizes")
    if axis not in (1, -reader.order.ndim):
        raise ValueError(f"axis={axis} is not supported: 1 is, which keeps samples apart")
    reader.reshape([reader.order.size])


def _transpose(reader: _Reader, step: Step) -> None:
    order = reader.known_order()
    perm = list(step.attributes.get("perm", ()))
    if perm[:1] != [0] or sorted(perm) != list(range(order.ndim + 1)):
        raise ValueError(f"perm={perm} is not supported: samples stay apart, so that it begins with 0")
    reader.order = order.transpose([axis - 1 for axis in perm[1:]])


def _axes(step: Step, rank: int) -> list[int]:
    constant = step.constant(1)
    given = step.attributes.get("axes") if constant is None else constant.ravel().tolist()
    found = sorted(axis + rank if axis < 0 else axis for axis in given or ())
    if not found or found[0] < 1 or found[-1] >= rank or len(set(found)) != len(found):
        raise ValueError(f"axes={given} is not supported: one or more behind the first, which counts samples")
    return found


def _squeeze(reader: _Reader, step: Step) -> None:
    shape = [0, *reader.known_order().shape]
    axes = _axes(step, len(shape))
    if any(shape[axis] != 1 for axis in axes):
        raise ValueError(f"axes={axes} of samples of shape {tuple(shape[1:])} are not all 1")
    reader.reshape([extent for axis, extent in enumerate(shape) if axis not in axes][1:])


def _unsqueeze(reader: _Reader, step: Step) -> None:
    shape = [0, *reader.known_order().shape]
    constant = step.constant(1)
    n_axes = len(step.attributes.get("axes", ())) if constant is None else constant.size
    for axis in _axes(step, len(shape) + n_axes):
        shape.insert(axis, 1)
    reader.reshape(shape[1:])


def _cast(reader: _Reader, step: Step) -> None:
    to = step.attributes["to"]
    if to not in _FLOATS:
        raise ValueError("it makes other numbers than float32 and float64")
    if reader.assembly.parts or reader.affine is not None:
        reader.casts.add(_FLOATS[to])


# ---------------------------------------------------------------- activations


def _softmax(reader: _Reader, step: Step) -> None:
    if step.attributes.get("axis", -1 if reader.graph.opset >= 13 else 1) not in (1, -1):
        raise ValueError("axis 1 is supported")
    reader.assembly.activate({"activation": "softmax"})


def _log_softmax(reader: _Reader, step: Step) -> None:
    if reader.output != "softmax":
        raise ValueError("the logarithms of probabilities are no output here: give output='softmax' for probabilities")
    _softmax(reader, step)
    reader.output = None


def _is(value: float, expected: float) -> bool:
    return abs(value - expected) <= 1e-6


# The activation and its settings, by a node's attributes; None for settings that are not supported.
_ACTIVATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "Sigmoid": lambda given: {"activation": "sigmoid"},
    "Tanh": lambda given: {"activation": "tanh"},
    "Relu": lambda given: {"activation": "relu"},
    "LeakyRelu": lambda given: {"activation": "leaky_relu", "slope": _shortest(given.get("alpha", 0.01))},
    "Elu": lambda given: {"activation": "elu", "alpha": _shortest(given.get("alpha", 1.0))},
    "Softplus": lambda given: {"activation": "softplus"},
    "Silu": lambda given: {"activation": "silu"},
    "Swish": lambda given: {"activation": "silu"} if given.get("alpha", 1.0) == 1 else None,
    "Gelu": lambda given: {"activation": "gelu"} if given.get("approximate", "none") == "none" else None,
    "HardSigmoid": lambda given: (
        {"activation": "hard_sigmoid"}
        if _is(given.get("alpha", 0.2), 1 / 6) and _is(given.get("beta", 0.5), 0.5)
        else None
    ),
    "HardSwish": lambda given: {"activation": "hard_silu"},
}


def _activation(reader: _Reader, step: Step) -> None:
    settings = _ACTIVATIONS[step.operator](step.attributes)
    if settings is None:
        raise ValueError(f"its settings, {step.attributes}, are not supported")
    reader.assembly.activate(settings)


_OPERATORS: dict[str, Callable[[_Reader, Step], None]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Sub": _sub,
    "Mul": _mul,
    "Div": _div,
    "ai.onnx.ml.Scaler": _scaler,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Dropout": _dropout,
    "MaxPool": _max_pool,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Cast": _cast,
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    **dict.fromkeys(_ACTIVATIONS, _activation),
}
