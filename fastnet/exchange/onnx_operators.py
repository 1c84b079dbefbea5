"""What each operator of ONNX is here: a layer, a part of one, or another order of its units."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..layers import BatchNorm, Dropout, Flatten, LayerNorm, Steps
from ..storage.onnx.patterns import Step
from .onnx_reader import Reader, as_dtype, exact, in_place, parameter, shortest
from .onnx_sequences import SEQUENCES
from .onnx_windows import WINDOWS, images_of

_FLOATS = {1: "float32", 11: "float64"}  # of `onnx.TensorProto`
_WHOLE = (6, 7)  # int32 and int64


# ---------------------------------------------------------------- layers


def _gemm(reader: Reader, step: Step) -> None:
    given = step.attributes
    W = parameter(step, 1, "B")
    if W.ndim != 2 or given.get("transA", 0):
        raise ValueError("A B with A (m, n) is supported, and B a constant matrix")
    W = W if given.get("transB", 0) else W.T
    b = np.zeros(len(W), W.dtype)
    if len(step.inputs) > 2:
        added = parameter(step, 2, "C")
        if np.broadcast_shapes(added.shape, (1, len(W))) != (1, len(W)):
            raise ValueError(f"its C has shape {added.shape}, for {len(W)} units")
        b = np.array(np.broadcast_to(added, (1, len(W)))[0])
    alpha, beta = given.get("alpha", 1.0), given.get("beta", 1.0)
    reader.add_dense(as_dtype(W * alpha, W.dtype), as_dtype(b * beta, b.dtype))


def _matmul(reader: Reader, step: Step) -> None:
    W = parameter(step, 1, "second factor")
    if W.ndim != 2:
        raise ValueError(f"its second factor has shape {W.shape}: a matrix is supported")
    reader.add_dense(W.T, np.zeros(W.shape[1], W.dtype))


def _add(reader: Reader, step: Step) -> None:
    reader.scale_and_shift(np.array(1.0), reader.vector(_other(step)))


def _sub(reader: Reader, step: Step) -> None:
    constant, is_first = reader.vector(_other(step)), step.constant(0) is not None
    reader.scale_and_shift(np.array(-1.0 if is_first else 1.0), constant if is_first else -constant)


def _mul(reader: Reader, step: Step) -> None:
    reader.scale_and_shift(reader.vector(_other(step)), np.array(0.0))


def _div(reader: Reader, step: Step) -> None:
    divisor = reader.vector(step.constant(1))
    if not divisor.all():
        raise ValueError("it divides by 0")
    reader.scale_and_shift(1 / divisor, np.array(0.0))


def _other(step: Step) -> np.ndarray | None:
    """The constant of two operands."""
    return next((each for each in step.inputs if each is not None), None)


def _scaler(reader: Reader, step: Step) -> None:
    numbers = [np.array(step.attributes.get(name, [usual])) for name, usual in (("offset", 0.0), ("scale", 1.0))]
    offset, scale = (reader.vector(each) for each in numbers)
    reader.scale_and_shift(scale, -scale * offset)


def _normalise(reader: Reader, kind: Any, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """A normalisation of features, with parameters (n,) in the order of the file."""
    order = reader.features(arrays["gamma"].size)
    _require_one_each(arrays, order.size)
    reader.refuse_affine()
    if len(reader.shape or ()) > 1:
        reader.assembly.add(Flatten, {})
        reader.shape = order.shape
    reader.assembly.add(kind, settings, {name: in_place(array, order) for name, array in arrays.items()})


def _normalise_channels(reader: Reader, kind: Any, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """A normalisation of images or signals, with parameters (c,)."""
    assert reader.shape is not None
    _require_one_each(arrays, reader.shape[-1])
    reader.refuse_affine()
    reader.assembly.add(kind, settings, arrays)


def _require_one_each(arrays: dict[str, np.ndarray], n: int) -> None:
    if any(array.shape != (n,) for array in arrays.values()):
        shapes = [array.shape for array in arrays.values()]
        raise ValueError(f"its parameters have shapes {shapes}: one number for each of {n} features or channels")


def _batch_norm(reader: Reader, step: Step) -> None:
    if step.attributes.get("training_mode", 0) or len(step.inputs) != 5:
        raise ValueError("it is in training mode: export the model as it predicts")
    names = ("gamma", "beta", "mean", "variance")
    arrays = {name: parameter(step, place, name) for place, name in enumerate(names, start=1)}
    if (arrays["variance"] < 0).any():
        raise ValueError("its variance holds numbers below 0")
    momentum = shortest(1 - shortest(step.attributes.get("momentum", 0.9)))
    settings = {"epsilon": shortest(step.attributes.get("epsilon", 1e-5))}
    if 0 < momentum <= 1:  # else nothing new would be remembered, which is for training to say
        settings["momentum"] = momentum
    if reader.order is None or reader.order.ndim == 1:
        _normalise(reader, BatchNorm, settings, arrays)
    else:
        images_of(reader)
        _normalise_channels(reader, BatchNorm, settings, arrays)


def _layer_norm(reader: Reader, step: Step) -> None:
    gamma = parameter(step, 1, "scale")
    beta = parameter(step, 2, "bias") if len(step.inputs) > 2 else np.zeros_like(gamma)
    settings = {"epsilon": shortest(step.attributes.get("epsilon", 1e-5))}
    arrays, order, axis = {"gamma": gamma, "beta": beta}, reader.order, step.attributes.get("axis", -1)
    rank = 1 if order is None else order.ndim
    if axis not in (rank, -1):
        raise ValueError(f"axis={axis} is not supported: the last one is")
    if rank == 1:
        _normalise(reader, LayerNorm, settings, arrays)
    elif order is not None and order.shape == reader.shape and np.array_equal(order.ravel(), np.arange(order.size)):
        _normalise_channels(reader, LayerNorm, settings, arrays)
    else:
        raise ValueError("it normalises over something else than channels, which fastnet has no layer for")


def _dropout(reader: Reader, step: Step) -> None:
    training = step.constant(2)
    if training is not None and training.any():
        raise ValueError("it is in training mode: export the model as it predicts")
    given = step.constant(1)
    rate = exact(given) if given is not None and given.size == 1 else shortest(step.attributes.get("ratio", 0.5))
    reader.rescale_first()
    reader.assembly.add(Dropout, {"rate": rate})


# ---------------------------------------------------------------- shapes


def _reshape(reader: Reader, step: Step) -> None:
    target = step.constant(1)
    if target is None or target.ndim != 1 or not target.size or target.dtype.kind != "i":
        raise ValueError("its shape is no constant of the file")
    first, *rest = (int(extent) for extent in target)
    if reader.order is None and len(rest) == 1:
        if rest[0] < 1:
            return  # features they are
        reader.begin_with((rest[0],))
    order = reader.known_order()
    if reader.rows or _is_rows(reader, first, rest):
        reader.swap_rows(rest)
        return
    before, behind = order.shape[: reader.sample_axis], order.shape[reader.sample_axis :]
    if before:
        found, (first, *rest) = [first, *rest][: len(before)], [first, *rest, 0][len(before) :]
        rest = rest[:-1]
        if any(extent not in (0, there) for extent, there in zip(found, before, strict=False)):
            raise ValueError(f"its shape {target.tolist()} changes what stands before the samples")
    if not step.attributes.get("allowzero", 0):
        rest = [behind[i] if extent == 0 and i < len(behind) else extent for i, extent in enumerate(rest)]
    if first in (0, reader.batch) and rest.count(-1) == 1:
        known = -math.prod(rest)
        size = math.prod(behind)
        rest = [size // known if extent == -1 and known > 0 else extent for extent in rest]
    elif first not in (0, -1, reader.batch):
        raise ValueError(f"its shape {target.tolist()} does not begin with the number of samples: use 0 or -1 for it")
    if any(extent < 1 for extent in rest):
        raise ValueError(f"its shape {target.tolist()} does not tell what a sample is")
    reader.reshape([*before, *rest])


def _is_rows(reader: Reader, first: int, rest: list[int]) -> bool:
    """Whether all steps of all sequences become samples."""
    order = reader.known_order()
    is_sequence = isinstance(reader.shape, Steps) and not reader.sample_axis and order.shape == reader.shape
    return is_sequence and first == -1 and rest == [order.shape[-1]]


def _flatten(reader: Reader, step: Step) -> None:
    axis = step.attributes.get("axis", 1)
    if reader.order is None:
        raise ValueError("the file does not say what shape samples have: export it with fixed sizes")
    if axis not in (1, -reader.order.ndim):
        raise ValueError(f"axis={axis} is not supported: 1 is, which keeps samples apart")
    reader.reshape([reader.order.size])


def _transpose(reader: Reader, step: Step) -> None:
    order, samples = reader.known_order(), reader.sample_axis
    perm = list(step.attributes.get("perm", ()))
    if sorted(perm) != list(range(order.ndim + 1)):
        raise ValueError(f"perm={perm} is not supported: each of {order.ndim + 1} axes once is")
    reader.order = order.transpose([axis - (axis > samples) for axis in perm if axis != samples])
    reader.sample_axis = perm.index(samples)


def _axes(step: Step, rank: int, samples: int) -> list[int]:
    constant = step.constant(1)
    given = step.attributes.get("axes") if constant is None else constant.ravel().tolist()
    found = sorted(axis + rank if axis < 0 else axis for axis in given or ())
    if not found or found[0] < 0 or samples in found or found[-1] >= rank or len(set(found)) != len(found):
        raise ValueError(f"axes={given} is not supported: one or more that do not count samples are")
    return found


def _squeeze(reader: Reader, step: Step) -> None:
    order, samples = reader.known_order(), reader.sample_axis
    shape = list(order.shape)
    shape.insert(samples, 0)
    axes = _axes(step, len(shape), samples)
    if any(shape[axis] != 1 for axis in axes):
        raise ValueError(f"axes={axes} of samples of shape {order.shape} are not all 1")
    left = [extent for axis, extent in enumerate(shape) if axis not in axes]
    reader.reshape([extent for extent in left if extent])
    reader.sample_axis = left.index(0)


def _unsqueeze(reader: Reader, step: Step) -> None:
    shape = [0, *reader.known_order().shape]
    constant = step.constant(1)
    n_axes = len(step.attributes.get("axes", ())) if constant is None else constant.size
    for axis in _axes(step, len(shape) + n_axes, 0):
        shape.insert(axis, 1)
    reader.reshape(shape[1:])


def _cast(reader: Reader, step: Step) -> None:
    to = step.attributes["to"]
    if to in _WHOLE and not reader.assembly.parts and reader.affine is None:
        reader.is_whole = True
        return
    if to not in _FLOATS:
        raise ValueError("it makes other numbers than float32 and float64")
    if reader.assembly.parts or reader.affine is not None:
        reader.casts.add(_FLOATS[to])


# ---------------------------------------------------------------- activations


def _softmax(reader: Reader, step: Step) -> None:
    if step.attributes.get("axis", -1 if reader.graph.opset >= 13 else 1) not in (reader.rank, -1):
        raise ValueError(f"axis {reader.rank} is supported")
    reader.assembly.activate({"activation": "softmax"})


def _log_softmax(reader: Reader, step: Step) -> None:
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
    "LeakyRelu": lambda given: {"activation": "leaky_relu", "slope": shortest(given.get("alpha", 0.01))},
    "Elu": lambda given: {"activation": "elu", "alpha": shortest(given.get("alpha", 1.0))},
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


def _activation(reader: Reader, step: Step) -> None:
    settings = _ACTIVATIONS[step.operator](step.attributes)
    if settings is None:
        raise ValueError(f"its settings, {step.attributes}, are not supported")
    reader.assembly.activate(settings)


OPERATORS: dict[str, Callable[[Reader, Step], None]] = {
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
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Cast": _cast,
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    **WINDOWS,
    **SEQUENCES,
    **dict.fromkeys(_ACTIVATIONS, _activation),
}

# What may stand where samples are not the first axis, and where steps are samples.
ORDERING = ("Reshape", "Transpose", "Squeeze", "Gather", "Dropout", "RNN", "LSTM", "GRU", "BothDirections", "MergeLast")
OF_ROWS = ("Reshape", "Gemm", "MatMul", "Add", "Mul", "Softmax", "LogSoftmax", *_ACTIVATIONS)
