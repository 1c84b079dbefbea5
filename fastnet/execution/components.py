"""What of the compiled program is compiled, or loaded, when it is first needed: the lazy components of `codes`.

Whoever is about to run something asks here first, so that nothing is compiled in the middle of a run.
"""

import numpy as np
from fastnet_kernels import codes
from fastnet_kernels.cpu.target import Target

from .graph import Graph


def of_graph(graph: Graph) -> set[int]:
    """What a network's layers and loss need."""
    of_loss = {codes.RARE_LOSSES} if graph.loss.is_rare else set()
    return of_loss.union(*(node.layer.components for node in graph.nodes))


def of_samples(*, are_bytes: bool, weights: np.ndarray) -> set[int]:
    """What samples need: uint8 ones, and weights (m,), of which there may be none."""
    return ({codes.BYTES} if are_bytes else set()) | ({codes.RARE_LOSSES} if weights.size else set())


def of_training(graph: Graph, settings: np.ndarray) -> set[int]:
    """What training with an optimizer of these settings needs."""
    return {codes.OPTIMIZERS} if settings[codes.OPTIMIZER] != codes.PLAIN or graph.has_penalty else set()


def of_plan(plan: codes.Plan, target: Target, lanes: int) -> set[int]:
    """What a plan needs, where a vector has so many lanes: how it reads samples, and by what it multiplies."""
    wgrad = plan.layers[0, codes.WGRAD]
    components = set()
    uses_rows = plan.inputs == codes.UNPACKED or wgrad in (codes.WGRAD_ROWS, codes.WGRAD_FUSED)
    if uses_rows or has_split_tail(plan, plan.batch_size, target, lanes):
        components.add(codes.SAMPLE_ROWS)
    if plan.is_online:
        components.add(codes.ONLINE)
    if plan.layers[:, codes.PACKS_W].any():
        components.add(codes.LARGE_W)
    if plan.layers[:, codes.USES_AMX].any():
        components.add(codes.AMX)
    if any(is_depthwise(row) for row in plan.layers):
        components.add(codes.DEPTHWISE)
    if plan.layers[:, codes.WINOGRAD_TILES].any():
        components.add(codes.WINOGRAD)
    return components


def is_depthwise(row: np.ndarray) -> bool:
    """Whether a row of `Plan.layers` is a convolution in which each channel has a filter of its own."""
    channels = row[codes.N_IN] // max(1, row[codes.HEIGHT] * row[codes.WIDTH])
    filters = row[codes.N_OUT] // max(1, row[codes.OUT_HEIGHT] * row[codes.OUT_WIDTH])
    return bool(row[codes.KIND] == codes.CONV and row[codes.GROUPS] == channels == filters > 1)


def of_tail(plan: codes.Plan, m: int, target: Target, lanes: int) -> set[int]:
    """What a last, shorter mini-batch of m samples needs."""
    return {codes.SAMPLE_ROWS} if has_split_tail(plan, m, target, lanes) else set()


def has_split_tail(plan: codes.Plan, m: int, target: Target, lanes: int) -> bool:
    """Whether of a mini-batch of m samples a tail goes sample by sample, where a vector has so many lanes."""
    tail = m % lanes
    is_dense = plan.layers[:, codes.KIND] == codes.DENSE
    weights = is_dense * plan.layers[:, codes.N_IN] * plan.layers[:, codes.N_OUT]
    fits = 0 < tail <= lanes // target.tail_share
    return bool(plan.splits_tail) and fits and bool((weights >= tail * target.tail_weights).any())
