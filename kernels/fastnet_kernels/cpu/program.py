"""The compiled program: it runs any network, laid out as a `codes.Plan`, over many mini-batches in one call.

A mini-batch is cut into blocks of samples, and takes two phases, each one parallel loop:

1. by samples: a block goes forward through the whole network and its derivatives dZ come back, while the block's
   activations are in cache;
2. by weights: each panel of each dW (some columns, all rows) sums over all samples and changes its weights at once.

Inside a block a sample is a column: A is (n_l, block_rows), so that a vector holds the same unit of many samples, and a
block is as wide as the panels that the products want to read, or some of them. What is left over of the last block
repeats its last sample with dZ = 0. In the smallest mini-batches a sample is a row, and W is read once for all of them.

No sum is split among threads, so the same seed gives the same bits on any number of them.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from ..codes import EVALUATE, PREDICT, Plan
from .blocks import n_blocks
from .by_samples import by_samples
from .by_weights import by_weights
from .compiling import inner, kernel
from .held import held
from .views import vector

BY_SAMPLES, BY_WEIGHTS = range(2)


class Job(NamedTuple):
    """One step, as its parts see it: the arguments of `run`, and the mini-batch."""

    mode: int
    plan: Plan
    parameters: np.ndarray
    gradients: np.ndarray
    workspace: np.ndarray
    samples: np.ndarray
    are_bytes: bool
    targets: np.ndarray
    outputs: np.ndarray
    order: np.ndarray
    rows: np.ndarray
    start: int  # the mini-batch's first row, or its place in `order`
    m: int  # samples of the mini-batch
    again: bool  # these are the samples of the step before, in the same order
    learning_rate: float


@inner
def _do(phase, job, worker, workers):
    """One worker's part of a phase: one parallel loop serves both phases."""
    if phase == BY_SAMPLES:
        by_samples(job, worker, workers)
    else:
        by_weights(job, worker, workers)


@inner
def _sum(numbers):
    total = 0.0
    for number in numbers:
        total += number
    return total


@inner
def _are_finite(plan, workspace, blocks):
    """Whether no block's first entry in `hits` is NaN."""
    total = 0.0
    for block in range(blocks):
        total += workspace[plan.hits + block * plan.block_rows]
    return np.isfinite(total)


@kernel
def run(
    mode,
    plan,
    parameters,
    gradients,
    workspace,
    samples,
    are_bytes,
    targets,
    outputs,
    order,
    rows,
    batch_size,
    first_step,
    last_step,
    learning_rate,
    costs,
    hits,
    workers,
):
    """Run steps `first_step` to `last_step` (exclusive), a mini-batch each, and return the step that comes next.

    mode            PREDICT, EVALUATE, GRADIENT or TRAIN of `codes`
    plan            the network, laid out for mini-batches of at least `batch_size`
    parameters      (n,) of the dtype of everything: all W and b
    gradients       (n,): all dW and db, written in mode GRADIENT
    workspace       the plan's activations and derivatives
    samples         the bytes, 1-D uint8, of X (m, n_0): uint8 pixels if `are_bytes`, else of the dtype
    targets         Y (m, plan.n_targets), one class index a row for cross-entropy; empty for PREDICT
    outputs         (m, n_L), written by PREDICT; else empty
    order           int64, the rows in the order of use, for as many epochs as the steps span; empty: as they lie
    rows            int64, room for the rows of one mini-batch, whole blocks of them, and codes.ROWS_AHEAD more
    costs, hits     float64, an entry a step: the cost before the step's update, and the number of right classes
    workers         how many threads share a step, at most as many as the plan has room for

    Steps go on from epoch to epoch: an epoch has as many as cover the m samples, the last one the rest of them.
    A step with a cost that is NaN or infinite changes no parameter and ends the run: the returned step is then its
    own, and its cost is in `costs`. So does PREDICT at samples that are NaN or infinite.
    """
    m_all = outputs.shape[0] if mode == PREDICT else targets.shape[0]
    steps_an_epoch = n_blocks(m_all, batch_size)
    for step in range(first_step, last_step):
        epoch, batch = divmod(step, steps_an_epoch)
        start = batch * batch_size  # the mini-batch's first row, or its place in `order`
        m = min(batch_size, m_all - start)
        if order.size:
            start += epoch * m_all
        again = steps_an_epoch == 1 and order.size == 0 and step > first_step
        job = held(
            Job(
                mode, plan, parameters, gradients, workspace, samples, are_bytes, targets, outputs, order, rows, start,
                m, again, learning_rate,
            )
        )  # fmt: skip
        for phase in (BY_SAMPLES, BY_WEIGHTS):
            if workers > 1:
                for worker in prange(workers):
                    _do(phase, job, np.int64(worker), workers)
            else:
                _do(phase, job, 0, 1)
            if mode == PREDICT:
                if not are_bytes and not _are_finite(plan, workspace, n_blocks(m, plan.block_rows)):
                    return step
                break
            if phase == BY_SAMPLES:
                costs[step] = _sum(vector(workspace, plan.L, m)) / m
                hits[step] = _sum(vector(workspace, plan.hits, m))
                if not np.isfinite(costs[step]):
                    return step
            if mode == EVALUATE:
                break
    return last_step
