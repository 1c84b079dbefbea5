"""How samples go through a network on a CPU: the fastest strategy, by a model of what the kernels cost."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from fastnet_kernels import codes
from fastnet_kernels.cpu.target import Target

from ...layers import Node


class Strategy(NamedTuple):
    """How mini-batches of one size go through a network, layer by layer: see the codes of the same names."""

    layout: int
    inputs: int
    block_rows: int
    wgrad: tuple[int, ...]
    packs_w: tuple[bool, ...]
    uses_amx: tuple[bool, ...]
    input_tails: tuple[int, ...]
    winograd_tiles: tuple[int, ...]


def choose_strategy(
    nodes: Sequence[Node], batch_size: int, dtype: np.dtype, target: Target, panel: int, *, repeats: bool = False,
    has_amx: bool = False,
) -> Strategy:  # fmt: skip
    """The fastest strategy by a model of what the kernels cost, from the shapes alone.

    `panel` is how many numbers the kernels compute side by side.

    Samples as rows read W once for all of them and compute nothing in vain: right for mini-batches that would leave
    most of a vector empty. The others are columns, in blocks of one panel, or of several where all activations of
    these still fit the first-level cache, as in the smallest networks, whose time goes into calls and not into sums.
    Where every step `repeats` the same samples, they stay in the workspace as the products want them, twice. AMX,
    if the machine `has_amx`, makes the larger products.
    """
    units = [node.n_out for node in nodes]
    n_inputs, is_plain = nodes[0].n_in, all(node.is_dense for node in nodes)
    lanes = panel // 2
    never, none = (False,) * len(units), (0,) * len(units)
    if batch_size * target.sample_major_share < lanes and is_plain:
        by_rows = (codes.WGRAD_ROWS,) * len(units)
        inputs = codes.UNPACKED if units[0] <= target.max_units_unpacked else codes.ROWS_COPIED
        return Strategy(codes.SAMPLE_MAJOR, inputs, batch_size, by_rows, never, never, none, none)
    if is_plain and len(units) == 1 and units[0] <= target.max_units_fused and n_inputs >= panel:
        block_rows = _rows_of_fused_block(batch_size, n_inputs * dtype.itemsize, target)
        return Strategy(codes.FEATURE_MAJOR, codes.UNPACKED, block_rows, (codes.WGRAD_FUSED,), never, never, none, none)
    vectors = -(-batch_size // lanes)
    uses_amx = [
        has_amx
        and node.is_dense
        and min(node.n_in, node.n_out, batch_size) >= target.min_amx_extent
        and node.n_weights >= target.min_amx_weights
        for node in nodes
    ]
    stays = repeats and 2 * vectors * lanes * n_inputs * dtype.itemsize <= target.cached_inputs_bytes
    most_panels = target.block_bytes // (panel * dtype.itemsize * (n_inputs + 2 * sum(units)))
    if most_panels > 1:
        blocks = -(-vectors // (2 * min(most_panels, target.max_block_panels)))
        block_rows = lanes * -(-vectors // blocks)
    else:
        pays = is_cut_for_threads(sum(node.n_products for node in nodes), batch_size, target)
        is_shared = pays and not stays and not any(uses_amx)
        block_rows = lanes * (_vectors_of_block(vectors, target) if is_shared else min(vectors, 2))

    def dot_is_cheaper(n_in: int, n_out: int) -> bool:
        steps = -(-batch_size // block_rows) * block_rows // lanes
        blocks = -(-batch_size // block_rows)
        by_dot = n_out * n_in * (steps + blocks * target.cycles_of_lanes)
        by_gemm = n_out * -(-n_in // lanes) * lanes * steps + -(-n_in // lanes) * steps * target.cycles_of_transpose
        return bool(by_dot < by_gemm)

    wgrad = [
        node.layer.wgrad
        if not node.is_dense
        else codes.WGRAD_DOT
        if not by_amx and dot_is_cheaper(node.n_in, node.n_out)
        else codes.WGRAD_GEMM
        for node, by_amx in zip(nodes, uses_amx, strict=True)
    ]
    inputs = codes.PACKED
    if nodes[0].is_dense:
        inputs, wgrad[0] = _read_inputs(
            nodes[0],
            batch_size,
            target,
            panel,
            dtype.itemsize,
            uses_amx=uses_amx[0],
            wgrad=wgrad[0],
            is_small=most_panels >= 1,
            stays=stays,
        )
    packs_w = [
        node.is_dense and not by_amx and node.n_weights * dtype.itemsize >= target.large_w_bytes
        for node, by_amx in zip(nodes, uses_amx, strict=True)
    ]
    input_tails = [
        _input_tail(node.n_in, batch_size, target, lanes)
        if l > 0 and wgrad[l] == codes.WGRAD_GEMM and not uses_amx[l]
        else 0
        for l, node in enumerate(nodes)
    ]
    tiles = (_winograd_tiles(node, target) for node in nodes)
    layers = tuple(wgrad), tuple(packs_w), tuple(uses_amx), tuple(input_tails), tuple(tiles)
    return Strategy(codes.FEATURE_MAJOR, inputs, block_rows, *layers)


def _winograd_tiles(node: Node, target: Target) -> int:
    """How many tiles a convolution by Winograd's terms spreads at a time: two at least; 0 for what is not one.

    What there is for each channel, spreading pixels and putting them together, pays where there are many of them.
    """
    if not node.layer.can_be_winograd(node.input_shape):
        return 0
    k, n = node.input_shape[-1], node.output_shape[-1]
    if min(k, n) < target.min_winograd_channels:
        return 0
    most = target.winograd_bytes // (16 * (k + n) * target.vector_bytes)
    return int(min(target.max_winograd_tiles, max(2, most // 2 * 2)))


def _read_inputs(
    node: Node,
    batch_size: int,
    target: Target,
    panel: int,
    itemsize: int,
    *,
    uses_amx: bool,
    wgrad: int,
    is_small: bool,
    stays: bool,
) -> tuple[int, int]:
    """How a first layer reads samples, and how it sums its dW, for which any other layer would take the way `wgrad`."""
    n_in, n_out, lanes = node.n_in, node.n_out, panel // 2
    vectors = -(-batch_size // lanes)
    # Cycles of the forward pass: products, and the sums of lanes or the transposition that each way needs.
    chunks = -(-n_in * itemsize // target.input_chunk_bytes)
    of_rows = batch_size * n_out * (target.cycles_of_dot * n_in / lanes / 2 + chunks * target.cycles_of_lanes)
    of_packed = vectors * (n_out * n_in / 2 + n_in / lanes * target.cycles_of_transpose)
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
    reads_rows = n_out <= target.max_units_wgrad_rows and n_in >= panel
    return inputs, codes.WGRAD_ROWS if reads_rows else codes.WGRAD_GEMM


def is_cut_for_threads(n_products: int, m: int, target: Target) -> bool:
    """Whether a step of m samples is large enough to be cut so that threads have like shares.

    By shapes alone, so that the bits are the same on any number of threads; `threads` says how many take part.
    """
    return bool(6 * n_products * m >= target.min_parallel_operations)


def _vectors_of_block(vectors: int, target: Target) -> int:
    """Two, a panel, if there are as many; but one where that makes the shares of threads more alike."""
    threads = target.balanced_threads
    # Whole panels and perhaps a vector at the end: what the thread with the largest share has of them.
    largest = 2 * (vectors // (2 * threads)) + min(vectors % (2 * threads), 2)
    return 1 if vectors == 1 or largest > target.max_imbalance * -(-vectors // threads) else 2


def _rows_of_fused_block(batch_size: int, bytes_of_sample: int, target: Target) -> int:
    """Samples of a block: the more the better, in fours, as long as they stay in cache and two threads share them."""
    most = min(target.samples_beyond, max(4, target.fused_block_bytes // bytes_of_sample // 4 * 4))

    def are_shared(rows: int) -> bool:
        blocks, threads = -(-batch_size // rows), target.balanced_threads
        return bool(-(-blocks // threads) * rows <= target.max_imbalance * batch_size / threads)

    return next((rows for rows in range(most, 0, -4) if are_shared(rows)), most)


def _input_tail(n_in: int, batch_size: int, target: Target, lanes: int) -> int:
    """How many of a layer's last inputs fill so little of a vector that dot products make their dW sooner."""
    tail = n_in % lanes
    of_dots = tail * (target.cycles_of_dot * batch_size / lanes / 2 + target.cycles_of_lanes)
    return tail if of_dots < batch_size / 2 else 0
