"""The plan that a CPU's compiled program reads: how samples go through a network, and where what is computed lies."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from fastnet_kernels import codes

from .layers import BatchNorm, Dense, Layer, LayerNorm, Rescale
from .layout import LOSS_CODES, Allocator, apart, computing, describe, is_derived_from_z, n_targets, places, rescale_of
from .losses import Loss

_COMMON_ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "softmax")

_FEATURES_AT_ONCE = 1024  # of the inputs, turned: a block's share of them stays in the second-level cache
_BYTES_AT_ONCE = 16384  # of an input's row, as it lies: of W's rows so much stays in the second-level cache
_BLOCKS_TOGETHER = 16  # that go through a layer one after the other, where W does not stay in the first-level caches
_SMALL_BYTES = 1 << 19  # of all W of a network whose blocks go through it each for itself
_LARGE_BYTES = 1 << 20  # of a W whose columns, read across its rows, need more pages than a processor knows by heart
_PACKED_NUMBERS = 1 << 18  # of a piece of it
_KEPT_BYTES = 1 << 26  # of samples that stay in the workspace: two copies
_SAMPLES_AT_ONCE = 1024  # of the backward pass: a panel of them stays in the second-level cache
_PANELS_AT_ONCE = 4  # of a weight matrix's columns, so that samples are read some cache lines at a time
_ROWS_A_TASK = 1024  # of a weight matrix, at the most
_KEPT_PANELS_A_TASK = 16  # at the most, of inputs that are kept: while one is read, the next one is asked for
_LEAST_TASKS_OF_KEPT = 16
_COLUMNS_A_TASK = 1024  # of partial sums, and of samples as they lie: a page of memory of each
_NUMBERS_A_TASK = 8192  # of a weight matrix, in whole rows
_BLOCK_BYTES = 16384  # of all A and dZ of a block with several panels: it stays in the first-level cache
_MOST_PANELS = 32  # of a block
_ONE_BY_ONE = 3  # times as many samples fit a vector that are not worth one
_WEIGHTS_ONLINE = 1 << 17  # of a network that takes one sample at a time on one thread
_UNITS_OF_FEW = 8  # of a first layer that reads them where they lie: for more of them an aligned copy is faster
_BYTES_IN_ONE_PASS = 3 << 18  # of a block's inputs, which stay in the second-level cache
_UNEVEN = 1.1  # how much larger than the half one of two threads' shares of a mini-batch may be
_UNITS_IN_ONE_PASS = 2  # of a single layer, at the most: dW is read and written once a block
_UNITS_AS_THEY_LIE = 28  # of a first layer whose dW is summed from the samples' own rows: one tile's height
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


def _even_pieces(extent: int, count: int, unit: int = 1) -> list[tuple[int, int]]:
    """0:extent in so many nearly equal pieces, cut at multiples of `unit`; in fewer if there are no so many."""
    units = -(-extent // unit)
    count = min(units, count)
    return list(itertools.pairwise([*(units * i // count * unit for i in range(count)), extent]))


def _shared_pieces(extent: int, most: int, unit: int) -> list[tuple[int, int]]:
    """0:extent in pieces of `most`, a multiple of `unit`, at the most, of which two threads have like shares."""
    pieces = [(first, min(first + most, extent)) for first in range(0, extent, most)]
    larger_share = sum(last - first for first, last in pieces[::2])
    if larger_share <= _UNEVEN * extent / 2:
        return pieces
    return _even_pieces(extent, 2 * -(-len(pieces) // 2), unit)


class Form(NamedTuple):
    """How mini-batches of one size go through a network: see the codes of the same names."""

    samples_lie: int
    inputs: int
    block_rows: int
    sums_of_dW: tuple[int, ...]  # noqa: N815 - as the field writes it
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
        sums_of_samples = (codes.OF_SAMPLES,) * len(units)
        inputs = codes.AS_THEY_LIE if units[0] <= _UNITS_OF_FEW else codes.KEPT
        return Form(codes.ONE_BY_ONE, inputs, batch_size, sums_of_samples, never, never, no_edges)
    if len(units) == 1 and units[0] <= _UNITS_IN_ONE_PASS and n_inputs >= panel:
        block_rows = _rows_in_one_pass(batch_size, n_inputs * dtype.itemsize)
        return Form(codes.SIDE_BY_SIDE, codes.AS_THEY_LIE, block_rows, (codes.IN_ONE_PASS,), never, never, no_edges)
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
        operations = 6 * batch_size * sum(n_in * n_out for _, n_in, n_out in found)
        is_shared = worth_threads(operations, 2, trains=True) and not stays and not any(on_unit)
        block_rows = lanes * _vectors_of_block(vectors, is_shared)

    def of_columns_is_cheaper(n_in: int, n_out: int) -> bool:
        steps = -(-batch_size // block_rows) * block_rows // lanes
        blocks = -(-batch_size // block_rows)
        of_columns = n_out * n_in * (steps + blocks * _CYCLES_OF_SUM)
        of_panels = n_out * -(-n_in // lanes) * lanes * steps + -(-n_in // lanes) * steps * _CYCLES_OF_SQUARE
        return of_columns < of_panels

    sums = [
        codes.OF_NOTHING
        if not isinstance(layer, Dense)
        else codes.OF_COLUMNS
        if not by_unit and of_columns_is_cheaper(n_in, n_out)
        else codes.OF_PANELS
        for (layer, n_in, n_out), by_unit in zip(found, on_unit, strict=True)
    ]
    # Cycles of the first layer's forward pass: products, and the sums of lanes or the turning that each way needs.
    chunks = -(-n_inputs * dtype.itemsize // _BYTES_AT_ONCE)
    of_rows = batch_size * units[0] * (_CYCLES_OF_DOT * n_inputs / lanes / 2 + chunks * _CYCLES_OF_SUM)
    of_turned = vectors * (units[0] * n_inputs / 2 + n_inputs / lanes * _CYCLES_OF_SQUARE)
    if on_unit[0]:
        inputs = codes.TURNED
    elif most_panels >= 1 and sums[0] == codes.OF_COLUMNS:
        inputs = codes.KEPT
    elif stays and n_inputs >= panel:
        inputs, sums[0] = codes.KEPT, codes.OF_PANELS
    elif n_inputs >= panel and of_rows < of_turned:
        inputs = codes.AS_THEY_LIE
    else:
        inputs = codes.TURNED
    if inputs != codes.KEPT:
        as_they_lie = units[0] <= _UNITS_AS_THEY_LIE and n_inputs >= panel
        sums[0] = codes.OF_SAMPLES if as_they_lie else codes.OF_PANELS
    packed = [
        isinstance(layer, Dense) and not by_unit and n_in * n_out * dtype.itemsize >= _LARGE_BYTES
        for (layer, n_in, n_out), by_unit in zip(found, on_unit, strict=True)
    ]
    edges = [
        _edge(n_in, batch_size, lanes) if l > 0 and sums[l] == codes.OF_PANELS and not on_unit[l] else 0
        for l, (_, n_in, _) in enumerate(found)
    ]
    return Form(codes.SIDE_BY_SIDE, inputs, block_rows, tuple(sums), tuple(packed), tuple(on_unit), tuple(edges))


def worth_threads(operations: int, blocks: int, *, trains: bool) -> bool:
    """Whether a step of so many floating-point operations is sooner done by several threads.

    A single block of samples goes through the network on one thread; only its dW are shared.
    """
    if blocks == 1:
        return trains and operations >= _OPERATIONS_OF_ONE_BLOCK
    return operations >= _OPERATIONS


def _vectors_of_block(vectors: int, is_shared: bool) -> int:
    """Two, a panel, if there are as many; but one where that makes the shares of two threads more alike."""
    larger_share = 2 * (vectors // 4) + min(vectors % 4, 2)  # of whole panels and perhaps a vector at the end
    is_uneven = larger_share > _UNEVEN * -(-vectors // 2)
    return 1 if vectors == 1 or (is_shared and is_uneven) else 2


def _rows_in_one_pass(batch_size: int, bytes_of_sample: int) -> int:
    """Samples of a block: the more the better, in fours, as long as they stay in cache and two threads share them."""
    most = min(codes.ROWS_BEYOND, max(4, _BYTES_IN_ONE_PASS // bytes_of_sample // 4 * 4))

    def are_shared(rows: int) -> bool:
        blocks = -(-batch_size // rows)
        return -(-blocks // 2) * rows <= _UNEVEN * batch_size / 2

    return next((rows for rows in range(most, 0, -4) if are_shared(rows)), most)


def _edge(n_in: int, batch_size: int, lanes: int) -> int:
    """How many of a layer's last inputs fill so little of a vector that dot products make their dW sooner."""
    edge = n_in % lanes
    of_dots = edge * (_CYCLES_OF_DOT * batch_size / lanes / 2 + _CYCLES_OF_SUM)
    return edge if of_dots < batch_size / 2 else 0


def _tasks_of(l: int, n_out: int, n_in: int, form: Form, panel: int) -> list[tuple[int, int, int, int, int]]:
    """One layer's W in pieces: (layer, first and last column, first and last row)."""
    how = form.sums_of_dW[l]
    if how == codes.OF_NOTHING:  # gamma; beta goes with it
        return [(l, 0, n_out, 0, 1)]
    columns = _PANELS_AT_ONCE * panel
    if how == codes.OF_COLUMNS:
        return [(l, 0, n_in, 0, n_out)]
    if form.samples_lie == codes.ONE_BY_ONE:
        return [(l, 0, n_in, *some) for some in _even_pieces(n_out, -(-n_out // max(1, _NUMBERS_A_TASK // n_in)))]
    if how in (codes.IN_ONE_PASS, codes.OF_SAMPLES):
        columns = _COLUMNS_A_TASK
    elif l == 0 and form.inputs == codes.KEPT:
        pieces_of_kept = max(_LEAST_TASKS_OF_KEPT, -(-n_in // (_KEPT_PANELS_A_TASK * panel)))
        columns = max(columns, -(-n_in // (pieces_of_kept * panel)) * panel)
    elif form.on_unit[l]:
        columns = codes.UNIT_PANELS * panel  # what is made of dZ serves all columns of a task: so they are wide
    pieces = _shared_pieces(n_in, columns, panel)
    return [(l, *piece, *some) for some in _even_pieces(n_out, -(-n_out // _ROWS_A_TASK)) for piece in pieces]


def _is_online(found: Sequence[tuple[Layer, int, int]], loss: Loss, batch_size: int, form: Form) -> bool:
    """Whether a step is of one sample, of few weights, and of nothing but what is most common."""
    return (
        batch_size == 1
        and form.samples_lie == codes.ONE_BY_ONE
        and sum(n_in * n_out for _, n_in, n_out in found) <= _WEIGHTS_ONLINE
        and not loss.setting
        and (loss.name in ("cross_entropy", "squared_error") or (loss.name == "log_loss" and found[-1][2] == 1))
        and all(
            isinstance(layer, Dense) and layer.trainable and not (layer.l1 or layer.l2 or is_derived_from_z(layer))
            for layer, _, _ in found
        )
    )


def make_plan(
    layers: Sequence[Layer],
    n_inputs: int,
    loss: Loss,
    batch_size: int,
    dtype: np.dtype,
    *,
    panel: int,
    workers: int,
    repeats: bool = False,
    has_unit: bool = False,
) -> tuple[codes.Plan, int]:
    """The plan for mini-batches of up to `batch_size`, and the number of elements its workspace has.

    `panel` is how many numbers the kernels compute side by side, `workers` how many threads may share a step; for
    `repeats` see `form_for`.
    """
    found = computing(layers, n_inputs)
    rescale = rescale_of(layers)
    form = form_for(layers, n_inputs, batch_size, dtype, panel, repeats=repeats, has_unit=has_unit)
    room = Allocator(dtype.itemsize)
    block_rows = form.block_rows
    blocks = -(-batch_size // block_rows)
    places_for_samples = blocks * block_rows
    samples_stride = apart(places_for_samples, dtype)
    n_first, n_last = found[0][2], found[-1][2]

    parameters = iter(places(layers, n_inputs, dtype))
    table = np.zeros((len(found), codes.LAYER_COLUMNS), np.int64)
    settings = np.zeros((len(found), codes.SETTINGS_COLUMNS))
    tasks: list[tuple[int, int, int, int, int]] = []
    for l, (layer, n_in, n_out) in enumerate(found):
        row = table[l]
        row[codes.A], row[codes.DZ] = (room.take(places_for_samples * n_out) for _ in range(2))
        row[codes.FROM], row[codes.SUM_OF_DW], row[codes.PACKED] = row[codes.A], form.sums_of_dW[l], form.packed[l]
        row[codes.ON_UNIT] = form.on_unit[l]
        describe(layer, n_in, n_out, row, settings[l])
        if not isinstance(layer, Dense | BatchNorm | LayerNorm):
            continue
        if is_derived_from_z(layer):
            row[codes.FROM] = room.take(places_for_samples * n_out)
        W, b = next(parameters), next(parameters)
        row[codes.W], row[codes.W_STRIDE], row[codes.B] = W.offset, W.stride, b.offset
        if isinstance(layer, BatchNorm):
            row[codes.RUNNING], _ = next(parameters).offset, next(parameters)
            row[codes.STATISTICS] = room.take((4 + 2 * blocks) * n_out)
        elif isinstance(layer, LayerNorm):
            row[codes.STATISTICS] = room.take(4 * places_for_samples)
        if form.samples_lie == codes.SIDE_BY_SIDE and form.sums_of_dW[l] in (codes.OF_PANELS, codes.OF_SAMPLES):
            row[codes.DZ_ROWS] = room.take(samples_stride * n_out)
        if layer.trainable:
            row[codes.EDGE] = form.edges[l]
            row[codes.EDGE_ROWS] = room.take(samples_stride * form.edges[l])
            tasks += _tasks_of(l, n_out, n_in, form, panel)
    tasks.sort(key=lambda task: (task[1] - task[2]) * (task[4] - task[3]))  # the largest first: so shares are like
    starts = [0, *np.flatnonzero(table[:, codes.MEASURES]).tolist(), len(found)]

    in_one_pass = form.sums_of_dW[0] == codes.IN_ONE_PASS
    keeps_inputs = form.inputs == codes.KEPT or form.samples_lie == codes.ONE_BY_ONE
    keeps_panels = form.inputs == codes.KEPT and form.sums_of_dW[0] == codes.OF_PANELS
    partials = 2 * -(-blocks // (2 * codes.BLOCKS_A_PARTIAL)) * n_first * n_inputs if in_one_pass else 0
    numbers_of_y = n_targets(loss, n_last)
    at_once = _BYTES_AT_ONCE // dtype.itemsize if form.inputs == codes.AS_THEY_LIE else _FEATURES_AT_ONCE
    features_at_once = n_inputs if in_one_pass else min(n_inputs, at_once)
    samples_at_once = max(1, min(_SAMPLES_AT_ONCE, places_for_samples) // block_rows) * block_rows
    columns_at_once = _PANELS_AT_ONCE * panel
    is_small = (
        sum(n_in * n_out for layer, n_in, n_out in found if isinstance(layer, Dense)) * dtype.itemsize <= _SMALL_BYTES
    )
    uses_unit = any(form.on_unit)
    blocks_together = 1 if is_small and not uses_unit else min(_BLOCKS_TOGETHER, blocks)
    # Forward the blocks' features go through it, backward some panels, and pieces of a large W.
    scratch_size = max(
        features_at_once * block_rows * blocks_together if form.inputs == codes.TURNED and not form.on_unit[0] else 0,
        features_at_once * block_rows if form.inputs == codes.AS_THEY_LIE else 0,
        columns_at_once * samples_at_once,
        _PACKED_NUMBERS if table[:, codes.PACKED].any() else 0,
        panel // 2 // codes.MOST_OF_VECTOR * max(n_in for _, n_in, _ in found),
    )
    terms = -(-scratch_size // room.step) * room.step
    scratch_size = -(-(terms + codes.UNIT_NUMBERS * uses_unit) // room.step) * room.step
    plan = codes.Plan(
        layers=table,
        settings=settings,
        segments=np.array(list(itertools.pairwise(starts)), np.int64),
        tasks=np.array(tasks, np.int64).reshape(-1, codes.TASK_COLUMNS),
        numbers=np.arange(max(panel, block_rows, *(n + panel for _, _, n in found))),
        loss=LOSS_CODES[loss.name],
        loss_setting=loss.setting,
        first_trained=min((task[0] for task in tasks), default=len(found)),
        has_penalty=int((settings[:, [codes.L1, codes.L2]] > 0).any()),
        is_online=int(_is_online(found, loss, batch_size, form)),
        is_dense=int((table[:, codes.KIND] == codes.DENSE).all()),
        n_targets=numbers_of_y,
        batch_size=batch_size,
        block_rows=block_rows,
        samples_stride=samples_stride,
        samples_lie=form.samples_lie,
        inputs=form.inputs,
        blocks_together=blocks_together,
        features_at_once=features_at_once,
        blocks_at_once=samples_at_once // block_rows,
        columns_at_once=columns_at_once,
        workers=workers,
        X=room.take(places_for_samples * n_inputs if keeps_inputs else 0),
        X_panels=room.take(places_for_samples * -(-n_inputs // panel) * panel if keeps_panels else 0),
        Y=room.take(places_for_samples * numbers_of_y),
        L=room.take(places_for_samples),
        scores=room.take(places_for_samples),
        partials=room.take(partials),
        of_tasks=room.take(2 * len(tasks) + 1),
        scratch=room.take(scratch_size * workers),
        scratch_size=scratch_size,
        terms=terms,
        scale=rescale.scale,
        shift=rescale.shift,
    )
    return plan, room.size


def parts_for(layers: Sequence[Layer], loss: Loss) -> set[int]:
    """Which parts of the compiled program a network needs, besides what all of them do."""
    parts = set()
    if any(not isinstance(layer, Dense | Rescale) for layer in layers):
        parts.add(codes.PASSING)
    if any(getattr(layer, "activation", "linear") not in _COMMON_ACTIVATIONS for layer in layers):
        parts.add(codes.RARE_ACTIVATIONS)
    if loss.setting or LOSS_CODES[loss.name] > codes.CROSS_ENTROPY:
        parts.add(codes.RARE_LOSSES)
    return parts


def goes_by_few(plan: codes.Plan, m: int, lanes: int) -> bool:
    """Whether of a mini-batch of m samples a few go one by one, where a vector has so many lanes."""
    few = m % lanes
    weights = plan.layers[:, codes.N_IN] * plan.layers[:, codes.N_OUT]
    return 0 < few <= lanes // codes.MOST_OF_VECTOR and bool((weights >= few * codes.WEIGHTS_OF_ONE).any())


def parts_of(plan: codes.Plan, lanes: int) -> set[int]:
    """Which parts a plan needs besides, where a vector has so many lanes."""
    first_sum = plan.layers[0, codes.SUM_OF_DW]
    parts = set()
    uses_rows = plan.inputs == codes.AS_THEY_LIE or first_sum in (codes.OF_SAMPLES, codes.IN_ONE_PASS)
    if uses_rows or goes_by_few(plan, plan.batch_size, lanes):
        parts.add(codes.SAMPLE_ROWS)
    if plan.is_online:
        parts.add(codes.ONLINE)
    if plan.layers[:, codes.PACKED].any():
        parts.add(codes.LARGE_W)
    if plan.layers[:, codes.ON_UNIT].any():
        parts.add(codes.MATRIX_UNIT)
    return parts
