"""The plan that a CPU's compiled program reads: where what is computed lies, and how it is cut into tasks."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastnet_kernels import codes
from fastnet_kernels.first_use import imported

from .cpu_form import BYTES_AT_ONCE, UNEVEN, Form, form_for
from .layers import BatchNorm, Dense, Layer, LayerNorm, Rescale
from .layout import (
    LOSS_CODES,
    Allocator,
    apart,
    computing,
    count_weights,
    describe,
    is_derived_from_z,
    kind_of,
    n_targets,
    places,
    rescale_of,
)
from .losses import Loss

_COMMON_ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "softmax")

_FEATURES_AT_ONCE = 1024  # of the inputs, turned: a block's share of them stays in the second-level cache
_BLOCKS_TOGETHER = 16  # that go through a layer one after the other, where W does not stay in the first-level caches
_SMALL_BYTES = 1 << 19  # of all W of a network whose blocks go through it each for itself
_PACKED_NUMBERS = 1 << 18  # of a piece of it
_SAMPLES_AT_ONCE = 1024  # of the backward pass: a panel of them stays in the second-level cache
_PANELS_AT_ONCE = 4  # of a weight matrix's columns, so that samples are read some cache lines at a time
_ROWS_A_TASK = 1024  # of a weight matrix, at the most
_KEPT_PANELS_A_TASK = 16  # at the most, of inputs that are kept: while one is read, the next one is asked for
_LEAST_TASKS_OF_KEPT = 16
_COLUMNS_A_TASK = 1024  # of partial sums, and of samples as they lie: a page of memory of each
_NUMBERS_A_TASK = 8192  # of a weight matrix, in whole rows
_WEIGHTS_ONLINE = 1 << 17  # of a network that takes one sample at a time on one thread
_WEIGHTS_FOR_FEW = 10_000  # of a network that gains enough by taking a few last samples one by one to compile for it


def _target() -> Any:
    """What the kernels know of the machine."""
    return imported("fastnet_kernels.cpu.codegen.processor").TARGET


def _even_pieces(extent: int, count: int, unit: int = 1) -> list[tuple[int, int]]:
    """0:extent in so many nearly equal pieces, cut at multiples of `unit`; in fewer if there are no so many."""
    units = -(-extent // unit)
    count = min(units, count)
    return list(itertools.pairwise([*(units * i // count * unit for i in range(count)), extent]))


def _shared_pieces(extent: int, most: int, unit: int) -> list[tuple[int, int]]:
    """0:extent in pieces of `most`, a multiple of `unit`, at the most, of which two threads have like shares."""
    pieces = [(first, min(first + most, extent)) for first in range(0, extent, most)]
    larger_share = sum(last - first for first, last in pieces[::2])
    if larger_share <= UNEVEN * extent / 2:
        return pieces
    return _even_pieces(extent, 2 * -(-len(pieces) // 2), unit)


def _tasks_of(l: int, n_out: int, n_in: int, form: Form, panel: int) -> list[tuple[int, int, int, int, int]]:
    """One layer's W in pieces: (layer, first and last column, first and last row)."""
    how = form.wgrad[l]
    if how == codes.WGRAD_NONE:  # gamma; beta goes with it
        return [(l, 0, n_out, 0, 1)]
    if how == codes.WGRAD_DOT:
        return [(l, 0, n_in, 0, n_out)]
    if form.layout == codes.SAMPLE_MAJOR:
        return [(l, 0, n_in, *some) for some in _shared_pieces(n_out, max(1, _NUMBERS_A_TASK // n_in), 1)]
    columns = _PANELS_AT_ONCE * panel
    if how in (codes.WGRAD_FUSED, codes.WGRAD_ROWS):
        columns = _COLUMNS_A_TASK
    elif l == 0 and form.inputs == codes.PACKED_CACHED:
        pieces_of_kept = max(_LEAST_TASKS_OF_KEPT, -(-n_in // (_KEPT_PANELS_A_TASK * panel)))
        columns = max(columns, -(-n_in // (pieces_of_kept * panel)) * panel)
    elif form.on_unit[l]:
        columns = _target().amx_panels * panel  # what is made of dZ serves all columns of a task: so they are wide
    pieces = _shared_pieces(n_in, columns, panel)
    return [(l, *piece, *some) for some in _even_pieces(n_out, -(-n_out // _ROWS_A_TASK)) for piece in pieces]


def _is_online(found: Sequence[tuple[Layer, int, int]], loss: Loss, batch_size: int, form: Form) -> bool:
    """Whether a step is of one sample, of few weights, and of nothing but what is most common."""
    return (
        batch_size == 1
        and form.layout == codes.SAMPLE_MAJOR
        and count_weights(found) <= _WEIGHTS_ONLINE
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
        row[codes.A_OFFSET], row[codes.DZ_OFFSET] = (room.take(places_for_samples * n_out) for _ in range(2))
        row[codes.SAVED_OFFSET], row[codes.WGRAD], row[codes.PACKS_W] = (
            row[codes.A_OFFSET],
            form.wgrad[l],
            form.packed[l],
        )
        row[codes.USES_AMX] = form.on_unit[l]
        describe(layer, n_in, n_out, row, settings[l])
        if not isinstance(layer, Dense | BatchNorm | LayerNorm):
            continue
        if is_derived_from_z(layer):
            row[codes.SAVED_OFFSET] = room.take(places_for_samples * n_out)
        W, b = next(parameters), next(parameters)
        row[codes.W_OFFSET], row[codes.LDW], row[codes.B_OFFSET] = W.offset, W.stride, b.offset
        if isinstance(layer, BatchNorm):
            row[codes.RUNNING_OFFSET], _ = next(parameters).offset, next(parameters)
            row[codes.STATISTICS_OFFSET] = room.take((4 + 2 * blocks) * n_out)
        elif isinstance(layer, LayerNorm):
            row[codes.STATISTICS_OFFSET] = room.take(4 * places_for_samples)
        if form.layout == codes.FEATURE_MAJOR and form.wgrad[l] in (codes.WGRAD_GEMM, codes.WGRAD_ROWS):
            row[codes.DZ_ROWS_OFFSET] = room.take(samples_stride * n_out)
        if layer.trainable:
            row[codes.INPUT_TAIL] = form.edges[l]
            row[codes.INPUT_TAIL_OFFSET] = room.take(samples_stride * form.edges[l])
            tasks += _tasks_of(l, n_out, n_in, form, panel)
    tasks.sort(key=lambda task: (task[1] - task[2]) * (task[4] - task[3]))  # the largest first: so shares are like
    starts = [0, *np.flatnonzero(table[:, codes.BATCH_STATISTICS]).tolist(), len(found)]

    in_one_pass = form.wgrad[0] == codes.WGRAD_FUSED
    keeps_inputs = form.inputs == codes.PACKED_CACHED or form.layout == codes.SAMPLE_MAJOR
    keeps_panels = form.inputs == codes.PACKED_CACHED and form.wgrad[0] == codes.WGRAD_GEMM
    partials = 2 * -(-blocks // (2 * _target().blocks_per_partial)) * n_first * n_inputs if in_one_pass else 0
    numbers_of_y = n_targets(loss, n_last)
    at_once = BYTES_AT_ONCE // dtype.itemsize if form.inputs == codes.UNPACKED else _FEATURES_AT_ONCE
    features_at_once = n_inputs if in_one_pass else min(n_inputs, at_once)
    samples_at_once = max(1, min(_SAMPLES_AT_ONCE, places_for_samples) // block_rows) * block_rows
    columns_at_once = _PANELS_AT_ONCE * panel
    is_small = count_weights(found) * dtype.itemsize <= _SMALL_BYTES
    uses_unit = any(form.on_unit)
    blocks_together = 1 if is_small and not uses_unit else min(_BLOCKS_TOGETHER, blocks)
    # Forward the blocks' features go through it, backward some panels, and pieces of a large W.
    scratch_size = max(
        features_at_once * block_rows * blocks_together if form.inputs == codes.PACKED and not form.on_unit[0] else 0,
        features_at_once * block_rows if form.inputs == codes.UNPACKED else 0,
        columns_at_once * samples_at_once,
        _PACKED_NUMBERS if table[:, codes.PACKS_W].any() else 0,
        panel // 2 // _target().tail_share * max(n_in for _, n_in, _ in found),
    )
    terms = -(-scratch_size // room.step) * room.step
    scratch_size = -(-(terms + _target().amx_scratch * uses_unit) // room.step) * room.step
    plan = codes.Plan(
        layers=table,
        settings=settings,
        segments=np.array(list(itertools.pairwise(starts)), np.int64),
        tasks=np.array(tasks, np.int64).reshape(-1, codes.TASK_COLUMNS),
        iota=np.arange(max(panel, block_rows, *(n + panel for _, _, n in found))),
        loss=LOSS_CODES[loss.name],
        loss_setting=loss.setting,
        first_trained=min((task[0] for task in tasks), default=len(found)),
        has_penalty=int((settings[:, [codes.L1, codes.L2]] > 0).any()),
        is_online=int(_is_online(found, loss, batch_size, form)),
        splits_tail=int(count_weights(found) >= _WEIGHTS_FOR_FEW),
        is_dense=int((table[:, codes.KIND] == codes.DENSE).all()),
        n_targets=numbers_of_y,
        batch_size=batch_size,
        block_rows=block_rows,
        samples_stride=samples_stride,
        layout=form.layout,
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
        amx_scratch=terms,
        scale=rescale.scale,
        shift=rescale.shift,
    )
    return plan, room.size


def parts_for(layers: Sequence[Layer], loss: Loss) -> set[int]:
    """Which parts of the compiled program a network needs, besides what all of them do."""
    parts = {kind_of(layer) for layer in layers if not isinstance(layer, Dense | Rescale)}
    if any(getattr(layer, "activation", "linear") not in _COMMON_ACTIVATIONS for layer in layers):
        parts.add(codes.RARE_ACTIVATIONS)
    if loss.setting or LOSS_CODES[loss.name] > codes.CROSS_ENTROPY:
        parts.add(codes.RARE_LOSSES)
    return parts


def has_split_tail(plan: codes.Plan, m: int, lanes: int) -> bool:
    """Whether of a mini-batch of m samples a few go one by one, where a vector has so many lanes."""
    few = m % lanes
    weights = plan.layers[:, codes.N_IN] * plan.layers[:, codes.N_OUT]
    fits = 0 < few <= lanes // _target().tail_share
    return bool(plan.splits_tail) and fits and bool((weights >= few * _target().tail_weights).any())


def parts_of(plan: codes.Plan, lanes: int) -> set[int]:
    """Which parts a plan needs besides, where a vector has so many lanes."""
    first_sum = plan.layers[0, codes.WGRAD]
    parts = set()
    uses_rows = plan.inputs == codes.UNPACKED or first_sum in (codes.WGRAD_ROWS, codes.WGRAD_FUSED)
    if uses_rows or has_split_tail(plan, plan.batch_size, lanes):
        parts.add(codes.SAMPLE_ROWS)
    if plan.is_online:
        parts.add(codes.ONLINE)
    if plan.layers[:, codes.PACKS_W].any():
        parts.add(codes.LARGE_W)
    if plan.layers[:, codes.USES_AMX].any():
        parts.add(codes.AMX)
    return parts
