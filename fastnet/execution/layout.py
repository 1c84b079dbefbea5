"""Where each parameter lies in one flat buffer, and how workspaces are cut: what all plans have in common."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fastnet_kernels import codes

from ..layers import Node, Parameter
from ..losses import OUTPUTS, Loss

LOSS_CODES = {name: getattr(codes, name.upper()) for name in OUTPUTS}

ALIGNMENT = 64  # bytes: a cache line, and the longest vector register
_CONFLICT = 2048  # bytes: rows this far apart, or a multiple of it, compete for the same places in a cache


@dataclass(frozen=True)
class ParameterSlot:
    """Where one parameter lies in the flat buffer: its rows, of all extents but the first, are `stride` elements apart.

    A vector is one row.
    """

    name: str
    shape: tuple[int, ...]
    stride: int
    offset: int
    parameter: Parameter

    @property
    def end(self) -> int:
        return self.offset + (self.shape[0] * self.stride if len(self.shape) > 1 else self.shape[0])

    @property
    def is_trained(self) -> bool:
        return self.parameter.is_trained

    def view(self, buffer: np.ndarray) -> np.ndarray:
        flat = buffer[self.offset : self.end]
        if len(self.shape) == 1:
            return flat
        rows = flat.reshape(-1, self.stride)[:, : math.prod(self.shape[1:])]
        return rows.reshape(self.shape)  # a view: extents are only split


def padded_ld(size: int, dtype: np.dtype) -> int:
    """The stride of rows of `size` numbers that do not compete for the same places in a cache."""
    return size + (ALIGNMENT // dtype.itemsize if size * dtype.itemsize % _CONFLICT == 0 else 0)


def slots_by_node(nodes: Sequence[Node], dtype: np.dtype) -> list[list[ParameterSlot]]:
    """The parameters of each layer, one after the other in the flat buffer.

    W1, b1, W2, b2, ... of the products, and of a normalisation behind the second of them gamma2 and beta2, and what a
    batch normalisation remembers, mean2 and variance2.
    """
    found: list[list[ParameterSlot]] = []
    offset = 0
    for node in nodes:
        slots = []
        for parameter in node.layer.parameters(node.input_shape):
            shape = parameter.shape
            stride = 0
            if len(shape) > 1:
                row = math.prod(shape[1:])
                stride = padded_ld(row, dtype) if shape[0] > 1 else row
            slot = ParameterSlot(f"{parameter.name}{node.number}", shape, stride, offset, parameter)
            offset = slot.end
            slots.append(slot)
        found.append(slots)
    return found


def slots_of(nodes: Sequence[Node], dtype: np.dtype) -> list[ParameterSlot]:
    """The parameters of all layers, in the order in which they lie in the flat buffer."""
    return [slot for slots in slots_by_node(nodes, dtype) for slot in slots]


def set_offsets(row: np.ndarray, slots: Sequence[ParameterSlot]) -> None:
    """Where a layer's parameters lie, in its row of a plan's table, with the stride of the rows of its W."""
    for slot in slots:
        if slot.parameter.column is not None:
            row[slot.parameter.column] = slot.offset
        if slot.parameter.column == codes.W_OFFSET:
            row[codes.LDW] = slot.stride


class Allocator:
    """Hands out aligned pieces of a buffer that is made afterwards."""

    def __init__(self, itemsize: int):
        self.step = ALIGNMENT // itemsize
        self.size = 0

    def take(self, count: int) -> int:
        """Offset of a piece of `count` elements."""
        offset = self.size
        self.size += -(-count // self.step) * self.step
        return offset


def n_targets(loss: Loss, n_last: int, steps: int = 1) -> int:
    """Numbers of Y a sample, which has an answer at each of some steps."""
    return steps if loss.name == "cross_entropy" else n_last


def aligned_zeros(size: int, dtype: np.dtype) -> np.ndarray:
    """`size` zeros that start at a cache line."""
    raw = np.zeros(size * dtype.itemsize + 3 * ALIGNMENT, np.uint8)  # kernels may read two vectors beyond
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)
