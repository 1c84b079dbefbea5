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
_CONFLICT = 4096  # bytes: rows this far apart, or a multiple of it, compete for the same places in a cache
_FEATURES_AT_ONCE = 128  # of the inputs: a block's share of them stays in the first-level cache
_SAMPLES_AT_ONCE = 1024  # of the backward pass: a panel of them stays in the second-level cache
_PANELS_A_TASK = 4  # of a weight matrix's columns, so that samples are read some cache lines at a time
_ROWS_A_TASK = 512  # of a weight matrix, at the most
_COLUMNS_A_TASK = 1024  # of a single unit's weights
_ROWS_OF_SINGLE_UNIT = 4  # as the kernels have it


@dataclass(frozen=True)
class Place:
    """Where one parameter lies in the flat buffer: its rows are `stride` elements apart."""

    name: str
    shape: tuple[int, ...]
    stride: int
    offset: int

    @property
    def end(self) -> int:
        return self.offset + (self.shape[0] * self.stride if len(self.shape) == 2 else self.shape[0])

    def view(self, buffer: np.ndarray) -> np.ndarray:
        flat = buffer[self.offset : self.end]
        return flat.reshape(-1, self.stride)[:, : self.shape[1]] if len(self.shape) == 2 else flat


def places(layers: Sequence[Layer], n_inputs: int, dtype: np.dtype) -> list[Place]:
    """W1, b1, W2, b2, ... of the dense layers, one after the other in the flat buffer."""
    found: list[Place] = []
    n_prev, offset = n_inputs, 0
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    for l, layer in enumerate(dense, start=1):
        conflicts = n_prev * dtype.itemsize % _CONFLICT == 0
        stride = n_prev + (_ALIGNMENT // dtype.itemsize if conflicts and layer.units > 1 else 0)
        for name, shape in ((f"W{l}", (layer.units, n_prev)), (f"b{l}", (layer.units,))):
            found.append(Place(name, shape, stride, offset))
            offset = found[-1].end
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


def rows_of_block(layers: Sequence[Layer], batch_size: int, panel: int) -> int:
    """How many samples pass through the network together: a panel's width, or one.

    One at a time, W is read for every sample, but nothing is computed in vain: right for mini-batches that would leave
    half of a panel empty. A network of a single unit takes four, each where it lies.
    """
    if _is_single_unit(layers):
        return _ROWS_OF_SINGLE_UNIT
    return 1 if batch_size < panel // 2 else panel


def _is_single_unit(layers: Sequence[Layer]) -> bool:
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    return len(dense) == 1 and dense[0].units == 1


def make_plan(
    layers: Sequence[Layer], n_inputs: int, loss: str, batch_size: int, dtype: np.dtype, *, panel: int, workers: int
) -> tuple[codes.Plan, int]:
    """The plan for mini-batches of up to `batch_size`, and the number of elements its workspace has.

    `panel` is how many numbers the kernels compute side by side, `workers` how many threads may share a step.
    """
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    rescale = next((layer for layer in layers if isinstance(layer, Rescale)), Rescale(1.0))
    parameters = places(layers, n_inputs, dtype)
    room = _Allocator(dtype.itemsize)
    block_rows = rows_of_block(layers, batch_size, panel)
    places_for_samples = -(-batch_size // block_rows) * block_rows
    is_single_unit = _is_single_unit(layers)
    columns_a_task = _COLUMNS_A_TASK if is_single_unit else _PANELS_A_TASK * panel

    table = np.zeros((len(dense), codes.LAYER_COLUMNS), np.int64)
    tasks = []
    for l, layer in enumerate(dense):
        W, b = parameters[2 * l], parameters[2 * l + 1]
        n_out, n_in = W.shape
        row = table[l]
        row[codes.N_IN], row[codes.N_OUT] = n_in, n_out
        row[codes.ACTIVATION] = _ACTIVATION_CODES[layer.activation]
        row[codes.W], row[codes.W_STRIDE], row[codes.B] = W.offset, W.stride, b.offset
        row[codes.A], row[codes.DZ] = (room.take(places_for_samples * n_out) for _ in range(2))
        tasks += [
            (l, column, min(column + columns_a_task, n_in), first_row, last_row)
            for first_row, last_row in _even_pieces(n_out, _ROWS_A_TASK)
            for column in range(0, n_in, columns_a_task)
        ]

    n_targets = 1 if loss == "cross_entropy" else dense[-1].units
    features_at_once = min(n_inputs, _FEATURES_AT_ONCE)
    samples_at_once = min(_SAMPLES_AT_ONCE, places_for_samples)
    # Forward a block's features go through it, backward some panels and, behind them, the edge of W.
    edge = _PANELS_A_TASK * samples_at_once * panel
    scratch_size = max(features_at_once * panel, n_inputs, edge + codes.EDGE_ROWS * panel)
    scratch_size = -(-scratch_size // room.step) * room.step
    plan = codes.Plan(
        layers=table,
        slopes=np.array([layer.slope for layer in dense]),
        tasks=np.array(tasks, np.int64),
        numbers=np.arange(panel),
        loss=_LOSS_CODES[loss],
        n_targets=n_targets,
        batch_size=batch_size,
        block_rows=block_rows,
        features_at_once=features_at_once,
        blocks_at_once=samples_at_once // block_rows,
        is_single_unit=is_single_unit,
        workers=workers,
        Y=room.take(places_for_samples * n_targets),
        L=room.take(places_for_samples),
        hits=room.take(places_for_samples),
        scratch=room.take(scratch_size * workers),
        scratch_size=scratch_size,
        edge=edge,
        scale=rescale.scale,
        shift=rescale.shift,
    )
    return plan, room.size


def aligned_zeros(size: int, dtype: np.dtype) -> np.ndarray:
    """`size` zeros that start at a cache line."""
    raw = np.zeros(size * dtype.itemsize + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)
