"""The compiled program: it runs any network, laid out as a `codes.Plan`, over many mini-batches in one call.

A mini-batch is partitioned into blocks of samples, and takes two phases, each one parallel loop:

1. the data phase: a block goes forward through the whole network and its derivatives dZ come back, while the block's
   activations are in cache (`data_phase`);
2. the weight phase: each task, some rows and columns of one dW, sums over all samples and changes its weights at once
   (`weight_phase`).

Where a batch normalisation must see all samples first, the data phase becomes several: forward to there, forward from
there and back to it, back from there. Where gradients are clipped to a norm, the weight phase sums and a third one
changes the weights. A single sample of a small network takes neither (`single_sample`).

Inside a block a sample is a column: A is (n_l, block_rows), so that a vector holds the same unit of many samples, and a
block is as wide as the panels that gemm reads, or some of them; or one vector, so that threads have like shares of a
small mini-batch. What is left over of the last block means nothing, with dZ = 0; a tail of the batch, for which a
vector would be too much, goes through a layer sample by sample. In the smallest mini-batches a sample is a row, and W
is read once for all of them.

No sum is split among threads, so the same seed gives the same bits on any number of them.
"""

import numpy as np
from numba import prange

from ...codes import CLIP_NORM, EVALUATE, FEATURE_MAJOR, GRADIENT, PREDICT, TRAIN
from ..codegen.arrays import vector
from ..codegen.by_reference import by_reference, set_fields
from ..codegen.compiling import inner, parallel, routine
from ..codegen.processor import TARGET, VECTOR_BYTES
from ..codegen.vector_math import is_finite
from ..layers import dispatch
from ..partition import n_blocks
from .arguments import Job, Step
from .data_phase import data_phase
from .single_sample import online_step, predict_online
from .weight_phase import change_weights, clip_norm, sum_of_penalties, weight_phase

_TAIL_SHARE = TARGET.tail_share


@routine
def _run_phase(phase, n_segments, job, worker, workers):
    """What one worker does of a phase: one parallel loop serves all phases."""
    middle, weights = n_segments - 1, 2 * n_segments - 1
    if phase < weights:
        segments, first, last = job.plan.segments, 0, job.plan.layers.shape[0]
        if job.mode >= GRADIENT:
            segment = phase if phase <= middle else 2 * middle - phase
            first, last = segments[segment, 0], segments[segment, 1]
        data_phase(job, worker, workers, first, last, phase <= middle, phase >= middle and job.mode >= GRADIENT)
    elif phase == weights:
        weight_phase(job, worker, workers)
    else:
        change_weights(job, worker, workers)


@inner
def _sum(numbers):
    total = 0.0
    for number in numbers:
        total += number
    return total


@inner
def _are_finite(plan, workspace, blocks):
    """Whether no block's first entry in `scores` is NaN."""
    total = 0.0
    for block in range(blocks):
        total += workspace[plan.scores + block * plan.block_rows]
    return is_finite(total)


@inner
def _tail_of_batch(plan, workspace, m):
    """Samples left over by whole vectors, if they would leave most of one more empty; else 0."""
    lanes = VECTOR_BYTES // workspace.itemsize
    tail = m % lanes
    return tail if plan.splits_tail and tail <= lanes // _TAIL_SHARE and plan.layout == FEATURE_MAJOR else 0


@parallel
def run(arguments):
    """Run steps `first_step` to `last_step`, a mini-batch each, and return the step that comes next.

    Steps go on from epoch to epoch: an epoch has as many as cover the m samples, the last one the rest of them.
    A step with a cost that is NaN or infinite changes no weights and ends the run: the returned step is then its
    own, and its cost is in `costs`. If only its penalty is not finite, its weights may have changed. PREDICT ends at
    samples, or outputs, that are NaN or infinite. See `Arguments` for the rest.
    """
    mode, plan, optimizer, workers = arguments.mode, arguments.plan, arguments.optimizer, arguments.workers
    workspace, order, batch_size = arguments.workspace, arguments.order, arguments.batch_size
    costs, scores = arguments.costs, arguments.scores
    m_all = arguments.outputs.shape[0] if mode == PREDICT else arguments.targets.shape[0]
    steps_an_epoch = n_blocks(m_all, batch_size)
    n_segments = plan.segments.shape[0] if mode >= GRADIENT else 1
    middle, by_weight = n_segments - 1, 2 * n_segments - 1
    clips_norm = mode == TRAIN and np.isfinite(optimizer[CLIP_NORM])
    is_online = plan.is_online and (mode <= EVALUATE or (mode == TRAIN and arguments.weights.size == 0))
    no_step = Step(np.int64(0), np.int64(0), np.int64(0), arguments.has_inputs, 0.0, np.int64(0))
    job = by_reference(Job, arguments, no_step)
    for step in range(arguments.first_step, arguments.last_step):
        epoch, batch = divmod(step, steps_an_epoch)
        start = batch * batch_size  # the mini-batch's first row, or its index in `order`
        m = min(batch_size, m_all - start)
        if order.size:
            start += epoch * m_all
        again = steps_an_epoch == 1 and order.size == 0 and (step > arguments.first_step or arguments.has_inputs)
        learning_rate = arguments.learning_rates[step] if mode == TRAIN else 0.0
        set_fields(
            job,
            Step(start, m, _tail_of_batch(plan, workspace, m), again, learning_rate, arguments.steps_before + step + 1),
        )
        if is_online and mode == PREDICT:
            predict_online(job)
            if not _are_finite(plan, workspace, 1):
                return step
            continue
        if is_online:
            online_step(job)
            costs[step], scores[step] = workspace[plan.L], workspace[plan.scores]
            if not is_finite(costs[step]):
                return step
            continue
        if not plan.is_dense:
            for l in range(plan.layers.shape[0]):
                dispatch.prepare(job, l)
        for phase in range(by_weight + 2):
            if workers > 1:
                for worker in prange(workers):
                    _run_phase(phase, n_segments, job, np.int64(worker), workers)
            else:
                _run_phase(phase, n_segments, job, 0, 1)
            if mode == PREDICT:
                if not _are_finite(plan, workspace, n_blocks(m, plan.block_rows)):
                    return step
                break
            if phase == middle:
                costs[step] = _sum(vector(workspace, plan.L, m)) / m
                scores[step] = _sum(vector(workspace, plan.scores, m))
                if not is_finite(costs[step]):
                    return step
                if mode == EVALUATE:
                    break
            if phase < middle:
                dispatch.combine_statistics(job, plan.segments[phase + 1, 0])
            elif phase < 2 * middle:
                dispatch.combine_gradient_sums(job, plan.segments[2 * middle - phase, 0])
            elif phase == by_weight:
                if plan.has_penalty:
                    costs[step] += sum_of_penalties(plan, workspace)
                    if not is_finite(costs[step]):
                        return step
                if not clips_norm:
                    break
                clip_norm(job)
    return arguments.last_step
