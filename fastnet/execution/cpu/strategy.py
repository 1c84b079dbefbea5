"""How samples go through a network on a CPU: the fastest strategy, by a model of what the kernels cost."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from fastnet_kernels import codes

from ...layers import Node

BYTES_AT_ONCE = 16384  # of an input's row, as it lies: of W's rows so much stays in the second-level cache
_LARGE_BYTES = 1 << 20  # of a W whose columns, read across its rows, need more pages than a processor knows by heart
_CACHED_BYTES = 1 << 26  # of samples that stay in the workspace: two copies
_BLOCK_BYTES = 16384  # of all A and dZ of a block with several panels: it stays in the first-level cache
_MOST_PANELS = 32  # of a block
_SAMPLE_MAJOR = 3  # times as many samples fit a vector that are not worth one
_UNITS_UNPACKED_ROWS = 8  # of a first layer that reads them where they lie: for more of them an aligned copy is faster
_UNITS_FUSED = 2  # of a single layer, at the most: dW is read and written once a block
_BYTES_FUSED = 3 << 18  # of a block's inputs, which stay in the second-level cache
_UNITS_UNPACKED = 28  # of a first layer whose dW is summed from the samples' own rows: one tile's height
SHARES = 2  # threads that work is cut for: any number of them can take it, and so many get like shares
MAX_IMBALANCE = 1.1  # how much larger than its part one of these threads' shares may be
# Floating-point operations of a step: with fewer it takes longer to wake other threads, and to fetch from their caches
# what they have changed, than they save; and with fewer of a single block of samples.
_OPERATIONS = 3_000_000
_OPERATIONS_OF_ONE_BLOCK = 15_000_000
# Cycles, measured: of two multiply-adds in a dot product, where a product's take one; of adding up its lanes; and of
# turning a square of one vector's side.
_CYCLES_OF_DOT = 1.45
_CYCLES_OF_SUM = 4
_CYCLES_OF_SQUARE = 110
_LEAST_EXTENT_AMX = 64  # of a product's three extents, for a matrix unit
_LEAST_WEIGHTS_AMX = 4160  # with less than these a unit gains a tenth at the most, and has to be compiled for


class Strategy(NamedTuple):
    """How mini-batches of one size go through a network, layer by layer: see the codes of the same names."""

    layout: int
    inputs: int
    block_rows: int
    wgrad: tuple[int, ...]
    packs_w: tuple[bool, ...]
    uses_amx: tuple[bool, ...]
    input_tails: tuple[int, ...]


def choose_strategy(
    nodes: Sequence[Node], batch_size: int, dtype: np.dtype, panel: int, *, repeats: bool = False, has_amx: bool = False
) -> Strategy:
    """The fastest strategy by a model of what the kernels cost, from the shapes alone.

    Samples as rows read W once for all of them and compute nothing in vain: right for mini-batches that would leave
    most of a vector empty. The others are columns, in blocks of one panel, or of several where all activations of
    these still fit the first-level cache, as in the smallest networks, whose time goes into calls and not into sums.
    Where every step `repeats` the same samples, they stay in the workspace as the products want them, twice. A matrix
    unit, if the machine `has_amx`, makes the larger products.
    """
    units = [node.n_out for node in nodes]
    n_inputs, is_plain = nodes[0].n_in, all(node.is_product for node in nodes)
    lanes = panel // 2
    never, no_tails = (False,) * len(units), (0,) * len(units)
    if batch_size * _SAMPLE_MAJOR < lanes and is_plain:
        by_rows = (codes.WGRAD_ROWS,) * len(units)
        inputs = codes.UNPACKED if units[0] <= _UNITS_UNPACKED_ROWS else codes.PACKED_CACHED
        return Strategy(codes.SAMPLE_MAJOR, inputs, batch_size, by_rows, never, never, no_tails)
    if is_plain and len(units) == 1 and units[0] <= _UNITS_FUSED and n_inputs >= panel:
        block_rows = _rows_of_fused_block(batch_size, n_inputs * dtype.itemsize)
        return Strategy(codes.FEATURE_MAJOR, codes.UNPACKED, block_rows, (codes.WGRAD_FUSED,), never, never, no_tails)
    vectors = -(-batch_size // lanes)
    uses_amx = [
        has_amx
        and node.is_product
        and min(node.n_in, node.n_out, batch_size) >= _LEAST_EXTENT_AMX
        and node.n_weights >= _LEAST_WEIGHTS_AMX
        for node in nodes
    ]
    stays = repeats and 2 * vectors * lanes * n_inputs * dtype.itemsize <= _CACHED_BYTES
    most_panels = _BLOCK_BYTES // (panel * dtype.itemsize * (n_inputs + 2 * sum(units)))
    if most_panels > 1:
        blocks = -(-vectors // (2 * min(most_panels, _MOST_PANELS)))
        block_rows = lanes * -(-vectors // blocks)
    else:
        pays = should_parallelize(sum(node.n_weights for node in nodes), batch_size, 2, trains=True)
        is_shared = pays and not stays and not any(uses_amx)
        block_rows = lanes * _vectors_of_block(vectors, is_shared)

    def dot_is_cheaper(n_in: int, n_out: int) -> bool:
        steps = -(-batch_size // block_rows) * block_rows // lanes
        blocks = -(-batch_size // block_rows)
        by_dot = n_out * n_in * (steps + blocks * _CYCLES_OF_SUM)
        by_gemm = n_out * -(-n_in // lanes) * lanes * steps + -(-n_in // lanes) * steps * _CYCLES_OF_SQUARE
        return by_dot < by_gemm

    wgrad = [
        codes.WGRAD_NONE
        if not node.is_product
        else codes.WGRAD_DOT
        if not by_amx and dot_is_cheaper(node.n_in, node.n_out)
        else codes.WGRAD_GEMM
        for node, by_amx in zip(nodes, uses_amx, strict=True)
    ]
    inputs = codes.PACKED
    if nodes[0].is_product:
        inputs, wgrad[0] = _read_inputs(
            nodes[0],
            batch_size,
            panel,
            dtype.itemsize,
            uses_amx=uses_amx[0],
            wgrad=wgrad[0],
            is_small=most_panels >= 1,
            stays=stays,
        )
    packs_w = [
        not by_amx and node.n_weights * dtype.itemsize >= _LARGE_BYTES
        for node, by_amx in zip(nodes, uses_amx, strict=True)
    ]
    input_tails = [
        _input_tail(node.n_in, batch_size, lanes) if l > 0 and wgrad[l] == codes.WGRAD_GEMM and not uses_amx[l] else 0
        for l, node in enumerate(nodes)
    ]
    layers = tuple(wgrad), tuple(packs_w), tuple(uses_amx), tuple(input_tails)
    return Strategy(codes.FEATURE_MAJOR, inputs, block_rows, *layers)


def _read_inputs(
    node: Node, batch_size: int, panel: int, itemsize: int, *, uses_amx: bool, wgrad: int, is_small: bool, stays: bool
) -> tuple[int, int]:
    """How a first layer reads samples, and how it sums its dW, for which any other layer would take the way `wgrad`."""
    n_in, n_out, lanes = node.n_in, node.n_out, panel // 2
    vectors = -(-batch_size // lanes)
    # Cycles of the forward pass: products, and the sums of lanes or the transposition that each way needs.
    chunks = -(-n_in * itemsize // BYTES_AT_ONCE)
    of_rows = batch_size * n_out * (_CYCLES_OF_DOT * n_in / lanes / 2 + chunks * _CYCLES_OF_SUM)
    of_packed = vectors * (n_out * n_in / 2 + n_in / lanes * _CYCLES_OF_SQUARE)
    if uses_amx:
        inputs = codes.PACKED
    elif is_small and wgrad == codes.WGRAD_DOT:
        return codes.PACKED_CACHED, wgrad
    elif stays and n_in >= panel:
        return codes.PACKED_CACHED, codes.WGRAD_GEMM
    elif n_in >= panel and of_rows < of_packed:
        inputs = codes.UNPACKED
    else:
        inputs = codes.PACKED
    reads_rows = n_out <= _UNITS_UNPACKED and n_in >= panel
    return inputs, codes.WGRAD_ROWS if reads_rows else codes.WGRAD_GEMM


def should_parallelize(n_parameters: int, m: int, blocks: int, *, trains: bool) -> bool:
    """Whether a step of m samples, in so many blocks, is sooner done by several threads.

    A single block of samples goes through the network on one thread; only its dW are shared.
    """
    operations = (6 if trains else 2) * n_parameters * m
    if blocks == 1:
        return trains and operations >= _OPERATIONS_OF_ONE_BLOCK
    return operations >= _OPERATIONS


def _vectors_of_block(vectors: int, is_shared: bool) -> int:
    """Two, a panel, if there are as many; but one where that makes the shares of two threads more alike."""
    # Whole panels and perhaps a vector at the end: what the thread with the largest share has of them.
    largest = 2 * (vectors // (2 * SHARES)) + min(vectors % (2 * SHARES), 2)
    is_uneven = largest > MAX_IMBALANCE * -(-vectors // SHARES)
    return 1 if vectors == 1 or (is_shared and is_uneven) else 2


def _rows_of_fused_block(batch_size: int, bytes_of_sample: int) -> int:
    """Samples of a block: the more the better, in fours, as long as they stay in cache and two threads share them."""
    most = min(codes.ROWS_BEYOND, max(4, _BYTES_FUSED // bytes_of_sample // 4 * 4))

    def are_shared(rows: int) -> bool:
        blocks = -(-batch_size // rows)
        return -(-blocks // SHARES) * rows <= MAX_IMBALANCE * batch_size / SHARES

    return next((rows for rows in range(most, 0, -4) if are_shared(rows)), most)


def _input_tail(n_in: int, batch_size: int, lanes: int) -> int:
    """How many of a layer's last inputs fill so little of a vector that dot products make their dW sooner."""
    tail = n_in % lanes
    of_dots = tail * (_CYCLES_OF_DOT * batch_size / lanes / 2 + _CYCLES_OF_SUM)
    return tail if of_dots < batch_size / 2 else 0
