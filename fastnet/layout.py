"""Where each parameter lies in one flat buffer, and what the tables of all plans say of a layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fastnet_kernels import codes

from .layers import ACTIVATIONS, BatchNorm, Dense, Dropout, Layer, LayerNorm, Rescale
from .losses import OUTPUTS, Loss

_KIND_CODES = {
    Dense: codes.DENSE,
    BatchNorm: codes.BATCH_NORM,
    LayerNorm: codes.LAYER_NORM,
    Dropout: codes.DROPOUT,
}
_KIND_NAMES = [kind.__name__ for kind in _KIND_CODES]
_ACTIVATION_CODES = {name: getattr(codes, name.upper()) for name in ACTIVATIONS}
LOSS_CODES = {name: getattr(codes, name.upper()) for name in OUTPUTS}
_DERIVED_FROM_Z = ("elu", "softplus", "silu", "gelu", "hard_silu")

ALIGNMENT = 64  # bytes: a cache line, and the longest vector register
_CONFLICT = 2048  # bytes: rows this far apart, or a multiple of it, compete for the same places in a cache


@dataclass(frozen=True)
class Place:
    """Where one parameter lies in the flat buffer: its rows are `stride` elements apart."""

    name: str
    shape: tuple[int, ...]
    stride: int
    offset: int
    first_value: float = 0.0
    is_trained: bool = True  # by gradients; else it is what a normalisation remembers, or frozen

    @property
    def end(self) -> int:
        return self.offset + (self.shape[0] * self.stride if len(self.shape) == 2 else self.shape[0])

    def view(self, buffer: np.ndarray) -> np.ndarray:
        flat = buffer[self.offset : self.end]
        return flat.reshape(-1, self.stride)[:, : self.shape[1]] if len(self.shape) == 2 else flat


def apart(size: int, dtype: np.dtype) -> int:
    """The stride of rows of `size` numbers that do not compete for the same places in a cache."""
    return size + (ALIGNMENT // dtype.itemsize if size * dtype.itemsize % _CONFLICT == 0 else 0)


def computing(layers: Sequence[Layer], n_inputs: int) -> list[tuple[Layer, int, int]]:
    """The layers that compute something, all but Rescale, each with its numbers of inputs and of units."""
    found = []
    for layer in layers:
        if not isinstance(layer, Rescale):
            n_units = layer.units_after(n_inputs)
            found.append((layer, n_inputs, n_units))
            n_inputs = n_units
    return found


def count_weights(found: Sequence[tuple[Layer, int, int]]) -> int:
    """How many numbers all W of the dense layers have, of what `computing` has found."""
    return sum(n_in * n_out for layer, n_in, n_out in found if isinstance(layer, Dense))


def places(layers: Sequence[Layer], n_inputs: int, dtype: np.dtype) -> list[Place]:
    """The parameters, one after the other in the flat buffer.

    W1, b1, W2, b2, ... of the dense layers, and of a normalisation behind the second of them gamma2 and beta2, and what
    a batch normalisation remembers, mean2 and variance2.
    """
    found: list[Place] = []
    offset = l = 0

    def place(name: str, *shape: int, stride: int = 0, value: float = 0.0, is_trained: bool = True) -> None:
        nonlocal offset
        found.append(Place(f"{name}{l}", shape, stride, offset, value, is_trained))
        offset = found[-1].end

    for layer, n_in, n in computing(layers, n_inputs):
        if isinstance(layer, Dense):
            l += 1
            place("W", n, n_in, stride=apart(n_in, dtype) if n > 1 else n_in, is_trained=layer.trainable)
            place("b", n, is_trained=layer.trainable)
        elif isinstance(layer, BatchNorm | LayerNorm):
            place("gamma", n, value=1.0, is_trained=layer.trainable)
            place("beta", n, is_trained=layer.trainable)
        if isinstance(layer, BatchNorm):
            place("mean", n, is_trained=False)
            place("variance", n, value=1.0, is_trained=False)
    return found


class Allocator:
    """Hands out aligned pieces of a buffer that is made afterwards."""

    def __init__(self, itemsize: int):
        self.step = ALIGNMENT // itemsize
        self.size = 0

    def take(self, count: int) -> int:
        offset = self.size
        self.size += -(-count // self.step) * self.step
        return offset


def n_targets(loss: Loss, n_last: int) -> int:
    """Numbers of Y a sample."""
    return 1 if loss.name == "cross_entropy" else n_last


def kind_of(layer: Layer) -> int:
    """The code of a layer's kind."""
    return _KIND_CODES[type(layer)]


def is_derived_from_z(layer: Layer) -> bool:
    """Whether the derivative of a layer's activation needs Z."""
    return getattr(layer, "activation", "linear") in _DERIVED_FROM_Z


def rescale_of(layers: Sequence[Layer]) -> Rescale:
    """How the inputs are read."""
    return next((layer for layer in layers if isinstance(layer, Rescale)), Rescale(1.0))


def describe(layer: Layer, n_in: int, n_out: int, row: np.ndarray, settings: np.ndarray) -> None:
    """What a layer says of itself, in its rows of a plan's tables.

    Raises TypeError for a layer of a kind that the compiled programs do not know.
    """
    if type(layer) not in _KIND_CODES:
        raise TypeError(f"{layer!r} is no layer that can be run: give one of {', '.join(_KIND_NAMES)}")
    row[codes.KIND], row[codes.N_IN], row[codes.N_OUT] = _KIND_CODES[type(layer)], n_in, n_out
    if isinstance(layer, Dropout):
        settings[codes.RATE] = layer.rate
    if isinstance(layer, Dense | BatchNorm | LayerNorm):
        row[codes.ACTIVATION] = _ACTIVATION_CODES[layer.activation]
    if isinstance(layer, Dense):
        settings[codes.SLOPE] = layer.alpha if layer.activation == "elu" else layer.slope
        settings[codes.L1], settings[codes.L2] = (layer.l1, layer.l2) if layer.trainable else (0.0, 0.0)
    if isinstance(layer, BatchNorm):
        row[codes.BATCH_STATISTICS] = layer.trainable
        settings[codes.RUNNING_RATE] = layer.momentum
    if isinstance(layer, BatchNorm | LayerNorm):
        settings[codes.SLOPE] = 1.0 if layer.activation == "elu" else 0.01
        settings[codes.EPSILON] = layer.epsilon


def aligned_zeros(size: int, dtype: np.dtype) -> np.ndarray:
    """`size` zeros that start at a cache line."""
    raw = np.zeros(size * dtype.itemsize + 3 * ALIGNMENT, np.uint8)  # kernels may read two vectors beyond
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)
