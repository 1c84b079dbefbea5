"""The layers of an ONNX file so far, and how the value behind them lies.

ONNX has channels before rows and columns. Which unit of a layer a number of a tensor is, is kept beside it, so that
columns of the next W can be put in order.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks import all_finite
from ..layers import Dense, Flatten, Rescale, Shape, Steps
from ..layers.weighted import WeightedLayer
from ..losses import Loss
from ..network import Network
from ..storage.onnx.graph import Graph
from ..storage.onnx.patterns import Step
from .assembly import Assembly

_MOST_NUMBERS = 1 << 22  # of a sample, whose shape is a mere claim until a parameter has it


class Reader:
    """The layers so far, and how the value behind them lies.

    `shape` is that of a sample behind the last layer here, and `order` (of the shape of a sample there) says of each
    number which unit it is here; both are None as long as nobody has said how many features there are. `sample_axis` is
    the place of the samples among its axes: 0, but for sequences on their way into a recurrent layer and out of it.
    `affine` is a scale and a shift that are part of no layer yet.
    """

    def __init__(self, graph: Graph, output: str | None) -> None:
        self.graph, self.output = graph, output
        self.assembly = Assembly()
        self.shape: Shape | None = None
        self.order: np.ndarray | None = None
        self.input_shape: Shape | None = None
        self.affine: tuple[np.ndarray, np.ndarray] | None = None
        self.zeros: list[tuple[int, int]] = []  # put before and behind a sample, along each axis, for the next layer
        self.sample_axis = 0
        self.rows: int | None = None  # how many steps a sample has, while each of them is a sample there
        self.is_whole = False  # whether whole numbers have been made, for an embedding
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
        require_possible(shape)
        self.input_shape = self.shape = shape
        self.order = ordered(shape)

    def known_order(self, n: int | None = None) -> np.ndarray:
        """`order`; if it is unknown yet, that of n features."""
        if self.order is None:
            if n is None:
                raise ValueError("the file does not say what shape samples have: export it with fixed sizes")
            self.begin_with((n,))
        assert self.order is not None
        return self.order

    @property
    def rank(self) -> int:
        """How many axes a sample has there."""
        return 1 if self.order is None else self.order.ndim

    def swap_rows(self, shape: Sequence[int]) -> None:
        """All steps of sequences (t, n) become samples (n,), or sequences again."""
        order = self.known_order()
        if self.rows is None:
            self.rows, self.order = len(order), ordered(order.shape[1:])
        elif list(shape) == [self.rows, order.size]:
            self.order, self.rows = ordered((self.rows, order.size)), None
        else:
            raise ValueError(f"steps of sequences are samples before it, and {tuple(shape)} are no sequences again")

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
            return np.array(exact(constant))
        order = self.known_order(constant.shape[-1] if constant.ndim else None)
        shape = (1, *order.shape)
        if constant.ndim > len(shape) or np.broadcast_shapes(constant.shape, shape) != shape:
            raise ValueError(f"it takes a constant of shape {constant.shape} and samples of shape {order.shape}")
        if constant.size == 1:
            return np.array(exact(constant))
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
        gain, bias = ("W", "b") if issubclass(part.kind, WeightedLayer) else ("gamma", "beta")
        arrays, n = part.arrays, len(part.arrays[bias])
        scale, shift = by_channel(scale, n), by_channel(shift, n)
        by_row = scale.reshape(-1, *(1,) * (arrays[gain].ndim - 1))
        arrays[gain] = as_dtype(arrays[gain] * by_row, arrays[gain].dtype)
        arrays[bias] = as_dtype(arrays[bias] * scale + shift, arrays[bias].dtype)

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
        if isinstance(self.shape, Steps):
            self._add_dense_of_steps(W, b)
            return
        order = self.features(W.shape[1])
        self.rescale_first()
        W = in_place(W, order)
        if self.affine is not None:
            scale, shift = self.affine
            b = as_dtype(b + W.astype(np.float64) @ np.broadcast_to(shift, W.shape[1]), W.dtype)
            W, self.affine = as_dtype(W * scale, W.dtype), None
        self.assembly.add(Dense, {"units": len(W)}, {"W": W, "b": b})
        self.now_has((len(W),), ordered((len(W),)))

    def _add_dense_of_steps(self, W: np.ndarray, b: np.ndarray) -> None:
        """A dense layer at each step, or behind all features of a sequence."""
        assert self.shape is not None
        order, (steps, n) = self.known_order(), self.shape
        self.refuse_affine()
        if self.rows is None and order.ndim == 1:
            self.assembly.add(Flatten, {})
            self.now_has((steps * n,), order)
            self.add_dense(W, b)
            return
        if order.shape[-1] != n or W.shape[1] != n or not np.array_equal(order, ordered(order.shape)):
            raise ValueError(f"it takes {W.shape[1]} features of each step, and gets {order.shape}, in another order")
        self.assembly.add(Dense, {"units": len(W)}, {"W": W, "b": b})
        made = Steps((steps, len(W)))
        self.now_has(made, ordered(made if self.rows is None else made[1:]))

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
        if self.sample_axis or self.rows:
            raise ValueError("its outputs have steps before samples, or as samples: give a model of (m, t, n)")
        is_sequence = isinstance(self.shape, Steps) and self.rank == 2
        if self.order is not None and self.order.ndim > 1 and self.order.size > 1 and not is_sequence:
            raise ValueError(
                f"its outputs have shape (m, {', '.join(map(str, self.order.shape))}): give a model of (m, n)"
            )
        net = self.assembly.network(self.input_shape or (1,), self.output, loss)
        if not all_finite(net.buffer):
            raise ValueError(f"scales and shifts make weights of it that are too large for {net.dtype}")
        if self.casts - {str(net.dtype)}:
            raise ValueError(f"it computes in {' and '.join(sorted(self.casts))}, with parameters of {net.dtype}")
        return net


def parameter(step: Step, place: int, what: str) -> np.ndarray:
    """A constant of a node that is a parameter of a layer; ValueError for what cannot be one."""
    found = step.constant(place)
    if found is None:
        raise ValueError(f"its {what} is no constant of the file")
    if found.dtype not in (np.float32, np.float64):
        raise ValueError(f"its {what} is {found.dtype}: float32 and float64 are supported")
    if not np.isfinite(found).all():
        raise ValueError(f"its {what} holds NaN or infinity")
    return found


def require_possible(shape: Shape) -> None:
    """ValueError for a sample that is empty, or larger than what is made of a mere claim."""
    if min(shape) < 1 or math.prod(shape) > _MOST_NUMBERS:
        raise ValueError(f"samples of shape {shape} are not supported: {_MOST_NUMBERS} numbers at the most")


def by_channel(numbers: np.ndarray, n: int) -> np.ndarray:
    """One number (), or one for each of n channels (n,), of a number a unit; ValueError where pixels have their own."""
    if not numbers.ndim:
        return numbers
    pixels = numbers.reshape(-1, n)
    first: np.ndarray = pixels[0]
    if (pixels != first).any():
        raise ValueError("pixels are scaled or shifted by numbers of their own: one a channel is supported")
    return first


def shortest(number: Any) -> float:
    """A number as it was written before it became float32: 0.01, and not 0.00999999977..."""
    return float(str(np.float32(number)))


def ordered(shape: Shape) -> np.ndarray:
    return np.arange(math.prod(shape), dtype=np.int32).reshape(shape)


def exact(constant: np.ndarray) -> float:
    value = constant.reshape(())
    return shortest(value) if constant.dtype == np.float32 else float(value)


def as_dtype(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def in_place(array: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Columns where the units are that they belong to."""
    found = np.empty_like(array)
    found[..., order] = array
    return found
