"""The plan that a CPU's compiled program reads: where what is computed lies, and how it is cut into tasks."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from fastnet_kernels import codes
from fastnet_kernels.cpu.target import Target

from ...layers import Node
from ..graph import Graph
from ..layout import LOSS_CODES, Allocator, n_targets, padded_ld, set_offsets, slots_by_node
from .strategy import Strategy


def _even_pieces(extent: int, count: int, unit: int = 1) -> list[tuple[int, int]]:
    """0:extent in so many nearly equal pieces, cut at multiples of `unit`; in fewer if there are no so many."""
    units = -(-extent // unit)
    count = min(units, count)
    return list(itertools.pairwise([*(units * i // count * unit for i in range(count)), extent]))


def _shared_pieces(extent: int, most: int, unit: int, target: Target) -> list[tuple[int, int]]:
    """0:extent in pieces of `most`, a multiple of `unit`, at the most, of which threads have like shares."""
    pieces = [(first, min(first + most, extent)) for first in range(0, extent, most)]
    largest_share = sum(
        last - first for first, last in pieces[:: target.balanced_threads]
    )  # that of the thread which begins
    if largest_share <= target.max_imbalance * extent / target.balanced_threads:
        return pieces
    return _even_pieces(extent, target.balanced_threads * -(-len(pieces) // target.balanced_threads), unit)


def _tasks_of(
    l: int, node: Node, strategy: Strategy, target: Target, panel: int
) -> list[tuple[int, int, int, int, int]]:
    """One layer's W in pieces: (layer, first and last column, first and last row)."""
    wgrad, n_in, n_out = strategy.wgrad[l], node.n_in, node.n_out
    if wgrad == codes.WGRAD_NONE:  # gamma; beta goes with it
        return [(l, 0, n_out, 0, 1)]
    if wgrad == codes.WGRAD_TAPS:
        return _tasks_of_window(l, node, target, panel)
    if wgrad == codes.WGRAD_STEPS:
        return _tasks_of_steps(l, node, target, panel)
    if wgrad == codes.WGRAD_LOOKUP:
        rows, columns = node.layer.parameters(node.input_shape)[0].shape
        return [(l, *piece, 0, rows) for piece in _even_pieces(columns, target.balanced_threads, panel // 2)]
    if wgrad == codes.WGRAD_DOT:
        return [(l, 0, n_in, 0, n_out)]
    if strategy.layout == codes.SAMPLE_MAJOR:
        return [(l, 0, n_in, *rows) for rows in _shared_pieces(n_out, max(1, target.task_numbers // n_in), 1, target)]
    columns = target.panels_at_once * panel
    if wgrad in (codes.WGRAD_FUSED, codes.WGRAD_ROWS):
        columns = target.task_columns
    elif l == 0 and strategy.inputs == codes.PACKED_CACHED:
        pieces_of_cached = max(target.min_cached_tasks, -(-n_in // (target.max_cached_panels * panel)))
        columns = max(columns, -(-n_in // (pieces_of_cached * panel)) * panel)
    elif strategy.uses_amx[l]:
        columns = target.amx_panels * panel  # what is made of dZ serves all columns of a task: so they are wide
    pieces = _shared_pieces(n_in, columns, panel, target)
    return [(l, *piece, *rows) for rows in _even_pieces(n_out, -(-n_out // target.max_task_rows)) for piece in pieces]


def _has_window(node: Node) -> bool:
    return node.layer.wgrad == codes.WGRAD_TAPS


def _scratch_of_winograd(node: Node, together: int, target: Target, lanes: int, dtype: np.dtype) -> int:
    """Of Winograd's terms of some tiles, with a line between them, and of a patch at an edge."""
    (_, width, n), k, line = node.output_shape, node.input_shape[-1], target.line_bytes // dtype.itemsize
    convolved = 16 * (together * (k + n) * lanes + 2 * line) + 16 * max(k, n) * lanes
    # For dW the sums, the terms of A and of dZ, two rows of pixels of dZ in panels of two vectors, and a patch of A.
    filters = min(n, target.max_conv_task_rows)
    padded, panels = -(-filters // lanes) * lanes, -(-filters // (2 * lanes))
    terms = k * padded + together * k * lanes + panels * together * 2 * lanes**2 + 3 * line
    rows = panels * 4 * -(-width // 2) * 2 * lanes**2
    return int(max(convolved, 16 * terms + rows + 16 * k * lanes))


def _scratch_of_window(node: Node, block_rows: int, target: Target, panel: int, dtype: np.dtype) -> int:
    """Of a convolution's weight gradient: dZ of some rows of pixels, transposed, and the sums of a task."""
    filters, *window = node.layer.parameters(node.input_shape)[0].shape
    width, padded = node.output_shape[-2], -(-min(filters, target.max_conv_task_rows) // panel) * panel
    at_once = max(1, target.conv_chunk_bytes // (width * block_rows * dtype.itemsize))
    rows = min(math.prod(node.output_shape[:-1]) // width, at_once)
    return int(padded * (rows * width * block_rows + math.prod(window)))


def _tasks_of_window(l: int, node: Node, target: Target, panel: int) -> list[tuple[int, int, int, int, int]]:
    """A convolution's W in pieces of whole rows of its windows, of which threads have like shares."""
    (filters, *window), threads = node.layer.parameters(node.input_shape)[0].shape, target.balanced_threads
    height = window[0] if len(window) == 3 else 1  # a signal is an image of one row
    row = math.prod(window) // height
    columns = [(tap * row, (tap + 1) * row) for tap in range(height)]
    lanes = panel // 2
    if filters >= threads * lanes or height < threads:
        pieces = threads * -(-filters // (threads * target.max_conv_task_rows))
        return [(l, 0, height * row, *rows) for rows in _even_pieces(filters, pieces, lanes)]
    return [(l, *piece, 0, filters) for piece in columns]


def _scratch_of_steps(node: Node, block_rows: int, target: Target, panel: int, dtype: np.dtype) -> int:
    """Of a recurrent layer's weight gradient: states or inputs of some steps, transposed, and the sums of a task."""
    layer: Any = node.layer
    gates = layer.gates * layer.units  # of one direction after the other
    steps = min(node.input_shape[0], max(1, target.conv_chunk_bytes // (gates * block_rows * dtype.itemsize)))
    columns = max(last - first for _, first, last, *_ in _tasks_of_steps(0, node, target, panel))
    return int(-(-columns // panel) * panel * (steps * block_rows + gates))


def _tasks_of_steps(l: int, node: Node, target: Target, panel: int) -> list[tuple[int, int, int, int, int]]:
    """A recurrent layer's W in pieces of columns, either of the state or of the inputs, which threads share."""
    layer: Any = node.layer
    n, (rows, columns) = layer.units, layer.parameters(node.input_shape)[0].shape
    pieces = [
        (begin + first, begin + last)
        for begin, extent in ((0, n), (n, columns - n))
        for first, last in _shared_pieces(extent, target.panels_at_once * panel, panel, target)
    ]
    return [(l, *piece, 0, rows) for piece in pieces]


def _is_online(graph: Graph, batch_size: int, strategy: Strategy, target: Target) -> bool:
    """Whether a step is of one sample, of few weights, and of nothing but what is most common."""
    loss, nodes = graph.loss, graph.nodes
    return (
        batch_size == 1
        and strategy.layout == codes.SAMPLE_MAJOR
        and graph.n_weights <= target.max_online_weights
        and not loss.setting
        and (loss.name in ("cross_entropy", "squared_error") or (loss.name == "log_loss" and nodes[-1].n_out == 1))
        and all(node.is_dense and node.layer.is_trainable and not node.layer.saves_z for node in nodes)
        and not graph.has_penalty
    )


def _most_units(nodes: Sequence[Node]) -> int:
    """Units of the widest dense layer, or of the widest that one reads from."""
    dense = [(l, node) for l, node in enumerate(nodes) if node.is_dense]
    return max((max(node.n_out, node.n_in if l > 0 else 0) for l, node in dense), default=0)


class _Blocks(NamedTuple):
    """How a mini-batch is cut into blocks of samples."""

    rows: int  # samples of a block
    number: int  # of blocks
    samples: int  # that there is memory for: of whole blocks
    stride: int  # of a row with a number for each sample


def _layer_table(
    nodes: Sequence[Node], strategy: Strategy, blocks: _Blocks, workspace: Allocator, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """The plan's tables `layers` and `settings`, with memory for what each layer makes and measures."""
    table = np.zeros((len(nodes), codes.LAYER_COLUMNS), np.int64)
    settings = np.zeros((len(nodes), codes.SETTINGS_COLUMNS))
    table[:, codes.STATES_COLUMN] = np.cumsum([0, *(node.layer.state_size for node in nodes[:-1])])
    for l, (node, slots) in enumerate(zip(nodes, slots_by_node(nodes, dtype), strict=True)):
        row, layer, n = table[l], node.layer, node.n_out
        row[codes.WGRAD], row[codes.PACKS_W] = strategy.wgrad[l], strategy.packs_w[l]
        row[codes.USES_AMX] = strategy.uses_amx[l]
        node.describe(row, settings[l])
        set_offsets(row, slots)
        row[codes.A_OFFSET], row[codes.DZ_OFFSET] = (workspace.take(blocks.samples * n) for _ in range(2))
        if layer.kind == codes.SKIP:
            row[codes.A_OFFSET] = table[node.below, codes.A_OFFSET]
        row[codes.SAVED_OFFSET] = workspace.take(blocks.samples * n) if layer.saves_z else row[codes.A_OFFSET]
        row[codes.WINOGRAD_TILES] = strategy.winograd_tiles[l]
        row[codes.WINOGRAD_OFFSET] = workspace.take(16 * node.n_weights // 9 if strategy.winograd_tiles[l] else 0)
        measured = layer.statistics_size(node.input_shape, blocks.samples, blocks.number)
        row[codes.STATISTICS_OFFSET] = workspace.take(measured)
        row[codes.KEPT_SIZE] = layer.kept_size(node.input_shape)
        row[codes.KEPT_OFFSET] = workspace.take(blocks.samples * int(row[codes.KEPT_SIZE]))
        if strategy.layout == codes.FEATURE_MAJOR and strategy.wgrad[l] in (codes.WGRAD_GEMM, codes.WGRAD_ROWS):
            row[codes.DZ_ROWS_OFFSET] = workspace.take(blocks.stride * n)
        if layer.is_trainable:
            row[codes.INPUT_TAIL] = strategy.input_tails[l]
            row[codes.INPUT_TAIL_OFFSET] = workspace.take(blocks.stride * strategy.input_tails[l])
    return table, settings


class _Chunks(NamedTuple):
    """How much is worked on at a time, and the scratch memory of a thread that this takes."""

    features: int  # of the inputs, forward
    samples: int  # of the weight phase, whole blocks of them
    columns: int  # of the weight phase's panels
    blocks_together: int  # that go through a layer one after the other
    amx_offset: int  # of the part that is for AMX
    gradient_offset: int  # of the part that is for dW of some rows
    scratch: int


def _chunks(
    graph: Graph, strategy: Strategy, blocks: _Blocks, target: Target, panel: int, dtype: np.dtype, step: int
) -> _Chunks:
    """By what stays in the caches of the target; scratch memory is whole `step`s."""
    n_inputs, uses_amx = graph.nodes[0].n_in, any(strategy.uses_amx)
    features = target.features_at_once
    if strategy.wgrad[0] == codes.WGRAD_FUSED:
        features = n_inputs
    elif strategy.inputs == codes.UNPACKED:
        features = target.input_chunk_bytes // dtype.itemsize
    features = min(n_inputs, features)
    samples = max(1, min(target.samples_at_once, blocks.samples) // blocks.rows) * blocks.rows
    columns = target.panels_at_once * panel
    is_small = graph.n_weights * dtype.itemsize <= target.small_network_bytes
    together = 1 if is_small and not uses_amx else min(target.blocks_together, blocks.number)
    packs_inputs = strategy.inputs == codes.PACKED and not strategy.uses_amx[0]
    # Forward the blocks' features go through it, backward some panels, and pieces of a large W.
    size = max(
        features * blocks.rows * together if packs_inputs else 0,
        features * blocks.rows if strategy.inputs == codes.UNPACKED else 0,
        columns * samples,
        target.packed_numbers if any(strategy.packs_w) else 0,
        (panel // 2) ** 2 if codes.WGRAD_LOOKUP in strategy.wgrad else 0,
        panel // 2 // target.tail_share * max(node.n_in for node in graph.nodes),
        *(
            _scratch_of_winograd(node, together, target, panel // 2, dtype)
            for node, together in zip(graph.nodes, strategy.winograd_tiles, strict=True)
            if together
        ),
        *(_scratch_of_window(node, blocks.rows, target, panel, dtype) for node in graph.nodes if _has_window(node)),
        *(
            _scratch_of_steps(node, blocks.rows, target, panel, dtype)
            for node in graph.nodes
            if node.layer.wgrad == codes.WGRAD_STEPS
        ),
    )
    amx_offset = -(-size // step) * step
    gradient_offset = -(-(amx_offset + target.amx_scratch * uses_amx) // step) * step
    sums_panels = any(how in (codes.WGRAD_GEMM, codes.WGRAD_ROWS) for how in strategy.wgrad)
    scratch = -(-(gradient_offset + target.gradient_numbers * sums_panels) // step) * step
    return _Chunks(features, samples, columns, together, amx_offset, gradient_offset, scratch)


def make_plan(
    graph: Graph, batch_size: int, dtype: np.dtype, strategy: Strategy, target: Target, *, panel: int, workers: int
) -> tuple[codes.Plan, int]:
    """The plan for mini-batches of up to `batch_size`, and the number of elements its workspace has.

    `panel` is how many numbers the kernels compute side by side, `workers` how many threads may share a step.
    """
    nodes, loss, rows = graph.nodes, graph.loss, strategy.block_rows
    workspace, count = Allocator(dtype.itemsize), -(-batch_size // rows)
    m = count * rows
    blocks = _Blocks(rows, count, m, padded_ld(m, dtype))
    table, settings = _layer_table(nodes, strategy, blocks, workspace, dtype)
    tasks = [
        task
        for l, node in enumerate(nodes)
        if node.layer.is_trainable
        for task in _tasks_of(l, node, strategy, target, panel)
    ]
    tasks.sort(key=lambda task: (task[1] - task[2]) * (task[4] - task[3]))  # largest first, so that shares are alike
    starts = [0, *np.flatnonzero(table[:, codes.BATCH_STATISTICS]).tolist(), len(nodes)]
    chunks = _chunks(graph, strategy, blocks, target, panel, dtype, workspace.step)

    n_inputs, n_first, numbers_of_y = nodes[0].n_in, nodes[0].n_out, n_targets(loss, nodes[-1].n_out, graph.steps)
    is_cached = strategy.inputs == codes.PACKED_CACHED
    keeps_inputs = is_cached or strategy.layout == codes.SAMPLE_MAJOR
    keeps_panels = is_cached and strategy.wgrad[0] == codes.WGRAD_GEMM
    partials = 0
    if strategy.wgrad[0] == codes.WGRAD_FUSED:
        threads = target.balanced_threads
        partials = threads * -(-count // (threads * target.blocks_per_partial)) * n_first * n_inputs
    plan = codes.Plan(
        layers=table,
        settings=settings,
        segments=np.array(list(itertools.pairwise(starts)), np.int64),
        tasks=np.array(tasks, np.int64).reshape(-1, codes.TASK_COLUMNS),
        iota=np.arange(max(panel, rows, panel + _most_units(nodes))),
        loss=LOSS_CODES[loss.name],
        loss_setting=loss.setting,
        first_trained=min((task[0] for task in tasks), default=len(nodes)),
        has_penalty=int(graph.has_penalty),
        is_online=int(_is_online(graph, batch_size, strategy, target)),
        splits_tail=int(graph.n_weights >= target.min_tail_network),
        is_dense=int(all(node.is_dense for node in nodes)),
        n_targets=numbers_of_y,
        steps=graph.steps,
        batch_size=batch_size,
        block_rows=rows,
        samples_stride=blocks.stride,
        layout=strategy.layout,
        inputs=strategy.inputs,
        blocks_together=chunks.blocks_together,
        features_at_once=chunks.features,
        blocks_at_once=chunks.samples // rows,
        columns_at_once=chunks.columns,
        workers=workers,
        X=workspace.take(m * n_inputs if keeps_inputs else 0),
        X_panels=workspace.take(m * -(-n_inputs // panel) * panel if keeps_panels else 0),
        Y=workspace.take(m * numbers_of_y),
        L=workspace.take(m),
        scores=workspace.take(m),
        L_step=workspace.take(m if graph.steps > 1 else 0),
        scores_step=workspace.take(m if graph.steps > 1 else 0),
        partials=workspace.take(partials),
        of_tasks=workspace.take(2 * len(tasks) + 1),
        mask=workspace.take(0 if graph.masking is None else m * nodes[0].input_shape[0]),
        masked_steps=0 if graph.masking is None else nodes[0].input_shape[0],
        zeros=workspace.take(max(rows, chunks.columns)),
        scratch=workspace.take(chunks.scratch * workers),
        scratch_size=chunks.scratch,
        amx_scratch=chunks.amx_offset,
        gradient_scratch=chunks.gradient_offset,
        scale=graph.rescale.scale,
        shift=graph.rescale.shift,
        masked=0.0 if graph.masking is None else graph.masking.value,
    )
    return plan, workspace.size
