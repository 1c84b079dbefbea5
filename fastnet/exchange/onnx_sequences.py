"""Embeddings and recurrent layers of ONNX.

Steps come before samples there, and states (t, d, m, n) have an axis of directions: `order` of the reader has the axes
but that of the samples, and `sample_axis` says where that is.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..layers import GRU, LSTM, Embedding, Recurrent, Steps
from ..layers.gates import Gates, joined_gates
from ..storage.onnx.cells import CELLS
from ..storage.onnx.patterns import Step
from .onnx_reader import Reader, ordered, parameter, require_possible

_KINDS = {cell.operator: (kind, cell) for kind, cell in CELLS.items()}
_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


def _gather(reader: Reader, step: Step) -> None:
    table, place = step.constant(0), step.constant(1)
    if table is not None:
        _embedding(reader, step)
    elif place is not None and place.size == 1 and place.dtype.kind == "i":
        _take(reader, step.attributes.get("axis", 0), int(place.reshape(())), keeps_axis=place.ndim > 0)
    else:
        raise ValueError("it takes rows of a constant matrix, or one constant place of an axis")


def _embedding(reader: Reader, step: Step) -> None:
    W, order = parameter(step, 0, "data"), reader.known_order()
    if reader.assembly.parts or reader.affine is not None or order.ndim != 1:
        raise ValueError("rows of a matrix are taken before all layers only, by whole numbers (m, t)")
    if W.ndim != 2 or step.attributes.get("axis", 0) != 0:
        raise ValueError(f"its data has shape {W.shape}: rows of a matrix are supported")
    reader.is_whole = False
    reader.assembly.add(Embedding, {"vocabulary": len(W), "units": W.shape[1]}, {"W": W})
    reader.now_has(Steps((order.size, W.shape[1])), ordered((order.size, W.shape[1])))


def _take(reader: Reader, axis: int, place: int, *, keeps_axis: bool) -> None:
    """One place along an axis: the only one there is, or the last step of what a recurrent layer gives."""
    order = reader.known_order()
    axis = axis + order.ndim + 1 if axis < 0 else axis
    if axis == reader.sample_axis or keeps_axis or not 0 <= axis <= order.ndim:
        raise ValueError("it takes one of several samples, or keeps its axis: one step of each sample is supported")
    there = axis - (axis > reader.sample_axis)
    extent = order.shape[there]
    if not -extent <= place < extent:
        raise ValueError(f"it takes number {place} of {extent}")
    found = order.take(place, there)
    if extent > 1:
        found = _last_step(reader, found)
    reader.order, reader.sample_axis = found, reader.sample_axis - (axis < reader.sample_axis)


def _last_step(reader: Reader, found: np.ndarray) -> np.ndarray:
    """The numbers of the last step alone, which the layer then gives from the beginning."""
    last, shape = reader.assembly.parts[-1:], reader.shape
    steps, n = (shape[0], shape[1]) if isinstance(shape, Steps) else (0, 0)
    gives_steps = bool(last) and last[0].kind in CELLS and last[0].settings["return_sequences"]
    if not gives_steps or not np.array_equal(np.sort(found.ravel()), np.arange(n) + (steps - 1) * n):
        raise ValueError("it takes a part of a sample: that is supported of the last step of a recurrent layer only")
    if last[0].settings["bidirectional"]:
        raise ValueError(
            "of two directions it takes the last step, where the one that comes back has seen one step alone: take the "
            "last states, Y_h, of both"
        )
    last[0].settings["return_sequences"] = False
    reader.shape = (n,)
    return found - (steps - 1) * n


def _both_directions(reader: Reader, step: Step) -> None:
    """The last states of two directions side by side."""
    order = reader.known_order()
    if reader.sample_axis != 1 or order.ndim != 2 or len(order) != 2:
        raise ValueError("it puts two parts of a sample side by side that are not the last states of two directions")
    reader.order, reader.sample_axis = order.ravel(), 0


def _merge_last(reader: Reader, step: Step) -> None:
    """The last two axes of four become one."""
    order = reader.known_order()
    if order.ndim != 3 or reader.sample_axis > 1:
        raise ValueError("it makes one of two axes that are not both of a sample")
    reader.reshape((*order.shape[:1], order.shape[1] * order.shape[2]))


def _recurrent(reader: Reader, step: Step) -> None:
    kind, cell = _KINDS[step.operator]
    settings = _settings(step, kind)
    reader.refuse_affine()
    order = reader.known_order()
    if order.ndim != 2 or reader.sample_axis != 1 or not np.array_equal(order, ordered(order.shape)):
        raise ValueError("it takes sequences (t, m, n), steps first, as layout=0 has them")
    W, R = parameter(step, 1, "W"), parameter(step, 2, "R")
    directions, n = 1 + settings["bidirectional"], settings["units"]
    rows = len(cell.order) * n
    B = parameter(step, 3, "B") if step.constant(3) is not None else np.zeros((directions, 2 * rows), W.dtype)
    shapes = {"W": (directions, rows, order.shape[1]), "R": (directions, rows, n), "B": (directions, 2 * rows)}
    for (name, shape), array in zip(shapes.items(), (W, R, B), strict=True):
        if array.shape != shape:
            raise ValueError(f"its {name} has shape {array.shape}, and {shape} would fit")
    back = np.argsort(cell.order).tolist()
    gates = [
        Gates(W[d], R[d], *np.split(B[d], 2)).in_order(back) for d in range(directions)
    ]  # fmt: skip
    steps, all_steps = len(order), step.output == 0
    if step.output > 1:
        raise ValueError("its third output, the cells, is taken: fastnet's layers give the states")
    reader.assembly.add(kind, settings | {"return_sequences": all_steps}, joined_gates(kind, gates))
    made = (steps, directions, n) if all_steps else (directions, n)
    require_possible(made)
    reader.now_has(Steps((steps, directions * n)) if all_steps else (directions * n,), ordered(made))
    reader.sample_axis = len(made) - 1


def _settings(step: Step, kind: type) -> dict[str, Any]:
    """Of the layer; ValueError for what fastnet's layers cannot do."""
    given = dict(step.attributes)
    direction, R = given.pop("direction", "forward"), parameter(step, 2, "R")
    if R.ndim != 3:
        raise ValueError(f"its R has shape {R.shape}: directions, rows of gates and units are supported")
    if direction not in ("forward", "bidirectional"):
        raise ValueError(f"direction={direction!r} is not supported: forward and bidirectional are")
    settings: dict[str, Any] = {"units": given.pop("hidden_size", R.shape[-1]), "bidirectional": direction != "forward"}
    usual = {Recurrent: ["Tanh"], LSTM: ["Sigmoid", "Tanh", "Tanh"], GRU: ["Sigmoid", "Tanh"]}[kind]
    names = [name.decode() if isinstance(name, bytes) else name for name in given.pop("activations", [])]
    found = names[: len(usual)] or usual
    if kind is Recurrent and found == ["Relu"]:
        settings["nonlinearity"] = "relu"
    elif found != usual:
        raise ValueError(f"activations={found} are not supported: {usual} are")
    if names and names != found * (1 + settings["bidirectional"]):
        raise ValueError(f"activations={names} of two directions differ: the same ones are supported")
    if kind is GRU and given.pop("linear_before_reset", 0) != 1:
        raise ValueError("linear_before_reset=0 is not supported: with 1 the reset gate stands behind the product")
    if any(given.pop(name, 0) for name in ("layout", "input_forget", "clip")) or given:
        raise ValueError(f"its settings, {step.attributes}, are not supported")
    for place, name in enumerate(_INPUTS):
        constant = step.constant(place)
        is_zero = constant is not None and not constant.any() and name.startswith("initial")
        if place > 3 and constant is not None and not is_zero:
            raise ValueError(
                f"its input {name} is not supported: sequences as long as each other, that begin with 0, are"
            )
    return settings


SEQUENCES: dict[str, Callable[[Reader, Step], None]] = {
    "Gather": _gather,
    "RNN": _recurrent,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "BothDirections": _both_directions,
    "MergeLast": _merge_last,
}
