"""How samples go through a network on a CPU: the fastest form, by a model of what the kernels cost."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from fastnet_kernels import codes
from fastnet_kernels.first_use import imported

from .layers import Dense, Layer
from .layout import computing, count_weights

BYTES_AT_ONCE = 16384  # of an input's row, as it lies: of W's rows so much stays in the second-level cache
_LARGE_BYTES = 1 << 20  # of a W whose columns, read across its rows, need more pages than a processor knows by heart
_KEPT_BYTES = 1 << 26  # of samples that stay in the workspace: two copies
_BLOCK_BYTES = 16384  # of all A and dZ of a block with several panels: it stays in the first-level cache
_MOST_PANELS = 32  # of a block
_ONE_BY_ONE = 3  # times as many samples fit a vector that are not worth one
_UNITS_OF_FEW = 8  # of a first layer that reads them where they lie: for more of them an aligned copy is faster
_UNITS_IN_ONE_PASS = 2  # of a single layer, at the most: dW is read and written once a block
_BYTES_IN_ONE_PASS = 3 << 18  # of a block's inputs, which stay in the second-level cache
_UNITS_AS_THEY_LIE = 28  # of a first layer whose dW is summed from the samples' own rows: one tile's height
UNEVEN = 1.1  # how much larger than the half one of two threads' shares may be
# Floating-point operations of a step: with fewer it takes longer to wake other threads, and to fetch from their caches
# what they have changed, than they save; and with fewer of a single block of samples.
_OPERATIONS = 3_000_000
_OPERATIONS_OF_ONE_BLOCK = 15_000_000
# Cycles, measured: of two multiply-adds in a dot product, where a product's take one; of adding up its lanes; and of
# turning a square of one vector's side.
_CYCLES_OF_DOT = 1.45
_CYCLES_OF_SUM = 4
_CYCLES_OF_SQUARE = 110
_LEAST_ON_UNIT = 64  # of a product's three extents, for a matrix unit
_LEAST_WEIGHTS_ON_UNIT = 4160  # with less than these a unit gains a tenth at the most, and has to be compiled for


class Form(NamedTuple):
    """How mini-batches of one size go through a network: see the codes of the same names."""

    layout: int
    inputs: int
    block_rows: int
    wgrad: tuple[int, ...]
    packed: tuple[bool, ...]
    on_unit: tuple[bool, ...]
    edges: tuple[int, ...]


def form_for(
    layers: Sequence[Layer],
    n_inputs: int,
    batch_size: int,
    dtype: np.dtype,
    panel: int,
    *,
    repeats: bool = False,
    has_unit: bool = False,
) -> Form:
    """The fastest form by a model of what the kernels cost, from the shapes alone.

    Samples one by one read W once for all of them and compute nothing in vain: right for mini-batches that would leave
    most of a vector empty. The others lie side by side, in blocks of one panel, or of several where all activations of
    these still fit the first-level cache, as in the smallest networks, whose time goes into calls and not into sums.
    Where every step `repeats` the same samples, they stay in the workspace as the products want them, twice. A matrix
    unit, if the machine `has_unit`, makes the larger products.
    """
    found = computing(layers, n_inputs)
    units = [n for _, _, n in found]
    is_plain = all(isinstance(layer, Dense) for layer, _, _ in found)
    lanes = panel // 2
    never, no_edges = (False,) * len(units), (0,) * len(units)
    if batch_size * _ONE_BY_ONE < lanes and is_plain:
        sums_of_samples = (codes.WGRAD_ROWS,) * len(units)
        inputs = codes.UNPACKED if units[0] <= _UNITS_OF_FEW else codes.PACKED_CACHED
        return Form(codes.SAMPLE_MAJOR, inputs, batch_size, sums_of_samples, never, never, no_edges)
    if len(units) == 1 and units[0] <= _UNITS_IN_ONE_PASS and n_inputs >= panel:
        block_rows = _rows_in_one_pass(batch_size, n_inputs * dtype.itemsize)
        return Form(codes.FEATURE_MAJOR, codes.UNPACKED, block_rows, (codes.WGRAD_FUSED,), never, never, no_edges)
    vectors = -(-batch_size // lanes)
    on_unit = [
        has_unit
        and isinstance(layer, Dense)
        and min(n_in, n_out, batch_size) >= _LEAST_ON_UNIT
        and n_in * n_out >= _LEAST_WEIGHTS_ON_UNIT
        for layer, n_in, n_out in found
    ]
    stays = repeats and 2 * vectors * lanes * n_inputs * dtype.itemsize <= _KEPT_BYTES
    most_panels = _BLOCK_BYTES // (panel * dtype.itemsize * (n_inputs + 2 * sum(units)))
    if most_panels > 1:
        blocks = -(-vectors // (2 * min(most_panels, _MOST_PANELS)))
        block_rows = lanes * -(-vectors // blocks)
    else:
        pays = worth_threads(count_weights(found), batch_size, 2, trains=True)
        is_shared = pays and not stays and not any(on_unit)
        block_rows = lanes * _vectors_of_block(vectors, is_shared)

    def of_columns_is_cheaper(n_in: int, n_out: int) -> bool:
        steps = -(-batch_size // block_rows) * block_rows // lanes
        blocks = -(-batch_size // block_rows)
        of_columns = n_out * n_in * (steps + blocks * _CYCLES_OF_SUM)
        of_panels = n_out * -(-n_in // lanes) * lanes * steps + -(-n_in // lanes) * steps * _CYCLES_OF_SQUARE
        return of_columns < of_panels

    sums = [
        codes.WGRAD_NONE
        if not isinstance(layer, Dense)
        else codes.WGRAD_DOT
        if not by_unit and of_columns_is_cheaper(n_in, n_out)
        else codes.WGRAD_GEMM
        for (layer, n_in, n_out), by_unit in zip(found, on_unit, strict=True)
    ]
    # Cycles of the first layer's forward pass: products, and the sums of lanes or the turning that each way needs.
    chunks = -(-n_inputs * dtype.itemsize // BYTES_AT_ONCE)
    of_rows = batch_size * units[0] * (_CYCLES_OF_DOT * n_inputs / lanes / 2 + chunks * _CYCLES_OF_SUM)
    of_turned = vectors * (units[0] * n_inputs / 2 + n_inputs / lanes * _CYCLES_OF_SQUARE)
    if on_unit[0]:
        inputs = codes.PACKED
    elif most_panels >= 1 and sums[0] == codes.WGRAD_DOT:
        inputs = codes.PACKED_CACHED
    elif stays and n_inputs >= panel:
        inputs, sums[0] = codes.PACKED_CACHED, codes.WGRAD_GEMM
    elif n_inputs >= panel and of_rows < of_turned:
        inputs = codes.UNPACKED
    else:
        inputs = codes.PACKED
    if inputs != codes.PACKED_CACHED:
        as_they_lie = units[0] <= _UNITS_AS_THEY_LIE and n_inputs >= panel
        sums[0] = codes.WGRAD_ROWS if as_they_lie else codes.WGRAD_GEMM
    packed = [
        isinstance(layer, Dense) and not by_unit and n_in * n_out * dtype.itemsize >= _LARGE_BYTES
        for (layer, n_in, n_out), by_unit in zip(found, on_unit, strict=True)
    ]
    edges = [
        _edge(n_in, batch_size, lanes) if l > 0 and sums[l] == codes.WGRAD_GEMM and not on_unit[l] else 0
        for l, (_, n_in, _) in enumerate(found)
    ]
    return Form(codes.FEATURE_MAJOR, inputs, block_rows, tuple(sums), tuple(packed), tuple(on_unit), tuple(edges))


def worth_threads(n_parameters: int, m: int, blocks: int, *, trains: bool) -> bool:
    """Whether a step of m samples, in so many blocks, is sooner done by several threads.

    A single block of samples goes through the network on one thread; only its dW are shared.
    """
    operations = (6 if trains else 2) * n_parameters * m
    if blocks == 1:
        return trains and operations >= _OPERATIONS_OF_ONE_BLOCK
    return operations >= _OPERATIONS


def _vectors_of_block(vectors: int, is_shared: bool) -> int:
    """Two, a panel, if there are as many; but one where that makes the shares of two threads more alike."""
    larger_share = 2 * (vectors // 4) + min(vectors % 4, 2)  # of whole panels and perhaps a vector at the end
    is_uneven = larger_share > UNEVEN * -(-vectors // 2)
    return 1 if vectors == 1 or (is_shared and is_uneven) else 2


def _rows_in_one_pass(batch_size: int, bytes_of_sample: int) -> int:
    """Samples of a block: the more the better, in fours, as long as they stay in cache and two threads share them."""
    most = min(
        imported("fastnet_kernels.cpu.codegen.processor").TARGET.samples_beyond,
        max(4, _BYTES_IN_ONE_PASS // bytes_of_sample // 4 * 4),
    )

    def are_shared(rows: int) -> bool:
        blocks = -(-batch_size // rows)
        return -(-blocks // 2) * rows <= UNEVEN * batch_size / 2

    return next((rows for rows in range(most, 0, -4) if are_shared(rows)), most)


def _edge(n_in: int, batch_size: int, lanes: int) -> int:
    """How many of a layer's last inputs fill so little of a vector that dot products make their dW sooner."""
    edge = n_in % lanes
    of_dots = edge * (_CYCLES_OF_DOT * batch_size / lanes / 2 + _CYCLES_OF_SUM)
    return edge if of_dots < batch_size / 2 else 0
