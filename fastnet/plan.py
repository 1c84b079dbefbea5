"""Lays a network out: where each parameter lies in one flat buffer, and the plan that the compiled program reads."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fastnet_kernels import codes

from .layers import ACTIVATIONS, Dense, Layer, Rescale

_ACTIVATION_CODES = dict(
    zip(
        ACTIVATIONS,
        (codes.LINEAR, codes.SIGMOID, codes.TANH, codes.RELU, codes.LEAKY_RELU, codes.SOFTMAX),
        strict=True,
    )
)
_LOSS_CODES = {
    "squared_error": codes.SQUARED_ERROR,
    "log_loss": codes.LOG_LOSS,
    "cross_entropy": codes.CROSS_ENTROPY,
}

_ALIGNMENT = 64  # bytes: a cache line, and the longest vector register
_BLOCK_ROWS = 32  # samples that pass through the network together
_TILE = (64, 512)  # rows and columns of W, at the most, that one task of the backward pass works on


@dataclass(frozen=True)
class Place:
    """Where one parameter lies in the flat buffer."""

    name: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def view(self, buffer: np.ndarray) -> np.ndarray:
        return buffer[self.offset : self.offset + self.size].reshape(self.shape)


def places(layers: Sequence[Layer], n_inputs: int) -> list[Place]:
    """W1, b1, W2, b2, ... of the dense layers, one after the other in the flat buffer."""
    found: list[Place] = []
    n_prev, offset = n_inputs, 0
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    for l, layer in enumerate(dense, start=1):
        for name, shape in ((f"W{l}", (layer.units, n_prev)), (f"b{l}", (layer.units,))):
            found.append(Place(name, shape, offset))
            offset += found[-1].size
        n_prev = layer.units
    return found


class _Allocator:
    """Hands out aligned pieces of a buffer that is made afterwards."""

    def __init__(self, itemsize: int):
        self.step = _ALIGNMENT // itemsize
        self.size = 0

    def take(self, count: int) -> int:
        offset = self.size
        self.size += -(-count // self.step) * self.step
        return offset


def _even_pieces(extent: int, most: int) -> list[tuple[int, int]]:
    """0:extent cut into nearly equal pieces of `most` at the most."""
    count = -(-extent // most)
    edges = [extent * i // count for i in range(count + 1)]
    return list(itertools.pairwise(edges))


def make_plan(
    layers: Sequence[Layer], n_inputs: int, loss: str, batch_size: int, dtype: np.dtype, *, copies_inputs: bool
) -> tuple[codes.Plan, int]:
    """The plan for mini-batches of up to `batch_size`, and the number of elements its workspace has.

    `copies_inputs` makes room for a copy of a mini-batch's inputs, which shuffled, rescaled or uint8 inputs need.
    """
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    rescale = next((layer for layer in layers if isinstance(layer, Rescale)), Rescale(1.0))
    parameters = places(layers, n_inputs)
    room = _Allocator(dtype.itemsize)

    table = np.zeros((len(dense), codes.LAYER_COLUMNS), np.int64)
    tiles = []
    for l, layer in enumerate(dense):
        W, b = parameters[2 * l], parameters[2 * l + 1]
        n_out, n_in = W.shape
        row = table[l]
        row[codes.N_IN], row[codes.N_OUT] = n_in, n_out
        row[codes.ACTIVATION] = _ACTIVATION_CODES[layer.activation]
        row[codes.W], row[codes.B] = W.offset, b.offset
        row[codes.A], row[codes.DZ] = room.take(batch_size * n_out), room.take(batch_size * n_out)
        tiles += [
            (l, first_row, last_row, first_column, last_column)
            for first_row, last_row in _even_pieces(n_out, _TILE[0])
            for first_column, last_column in _even_pieces(n_in, _TILE[1])
        ]

    n_targets = 1 if loss == "cross_entropy" else dense[-1].units
    plan = codes.Plan(
        layers=table,
        slopes=np.array([layer.slope for layer in dense]),
        tiles=np.array(tiles, np.int64),
        loss=_LOSS_CODES[loss],
        n_targets=n_targets,
        batch_size=batch_size,
        block_rows=_BLOCK_ROWS,
        Y=room.take(batch_size * n_targets),
        L=room.take(batch_size),
        hits=room.take(batch_size),
        X=room.take(batch_size * n_inputs if copies_inputs else 0),
        scale=rescale.scale,
        shift=rescale.shift,
    )
    return plan, room.size


def aligned_zeros(size: int, dtype: np.dtype) -> np.ndarray:
    """`size` zeros that start at a cache line."""
    raw = np.zeros(size * dtype.itemsize + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)
