"""The data phase of a step: a block of samples goes forward through the whole network, and its dZ come back.

Where a batch normalisation must see all samples, there are several such phases, each for some layers: see `run`.
"""

from ...codes import GRADIENT, OTHER, PREDICT
from ..codegen.compiling import routine
from ..layers import dispatch
from ..layers.activation import activate_layer, derive_layer
from ..partition import n_blocks, n_partials, share
from ..step.inputs import find_rows
from ..step.workspace import below, scratch_of
from .output import cost_of_block, mark_what_is_not_finite, store_outputs


@routine
def _forward(job, scratch, first_block, last_block, first_layer, last_layer):
    """A of some layers, for some blocks of samples; the network's last layer is left at its logits Z."""
    for l in range(first_layer, last_layer):
        dispatch.forward(job, scratch, l, first_block, last_block)
        if l == 0 and job.mode == PREDICT and not job.are_bytes:
            for block in range(first_block, last_block):
                mark_what_is_not_finite(job, block, dispatch.units_to_check(job.plan))
        if l < job.plan.layers.shape[0] - 1:
            for block in range(first_block, last_block):
                activate_layer(job, l, block)


@routine
def _backward(job, scratch, first_block, last_block, first_layer, last_layer):
    """dZ of layers `first_layer` to `last_layer` - 1, for some blocks of samples, from dZ of layer `last_layer`."""
    for l in range(last_layer, first_layer, -1):
        dispatch.keep_inputs(job, l, first_block, last_block)
        if l <= job.plan.first_trained:
            return
        # Of a block without layers of its own that compute, what goes around it may be trained, and nothing below it.
        if max(below(job, l), job.plan.layers[l, OTHER]) >= job.plan.first_trained:
            dispatch.backward(job, scratch, l, first_block, last_block)
        for block in range(first_block, last_block):
            derive_layer(job, l - 1, block)
        dispatch.keep_derivatives(job, l - 1, first_block, last_block)


@routine
def data_phase(job, worker, workers, first_layer, last_layer, goes_forward, comes_back):
    """One worker's data phase of some layers: its share of the blocks of samples, or of the groups that sum dW."""
    plan, scratch = job.plan, scratch_of(job, worker)
    blocks, layers = n_blocks(job.m, plan.block_rows), plan.layers.shape[0]
    if job.mode >= GRADIENT and dispatch.is_fused(plan):
        for index in range(worker, n_partials(blocks), workers):
            first, last = share(index, n_partials(blocks), blocks)
            for block in range(first, last):
                find_rows(job, block * plan.block_rows)
            dispatch.clear_partial(job, index)
            for block in range(first, last):
                _forward(job, scratch, block, block + 1, 0, layers)
                cost_of_block(job, block)
                dispatch.add_to_partial(job, index, block)
        return
    (begin, end), ends = share(worker, workers, blocks), last_layer == layers
    if first_layer == 0 and goes_forward:
        for block in range(begin, end):
            find_rows(job, block * plan.block_rows)
    for first in range(begin, end, plan.blocks_together):
        last = min(first + plan.blocks_together, end)
        if goes_forward:
            _forward(job, scratch, first, last, first_layer, last_layer)
            if not ends:
                dispatch.block_statistics(job, last_layer, first, last)
                continue
            for block in range(first, last):
                if job.mode == PREDICT:
                    store_outputs(job, block)
                else:
                    cost_of_block(job, block)
            if job.mode >= GRADIENT:
                dispatch.keep_derivatives(job, layers - 1, first, last)
        if comes_back:
            _backward(job, scratch, first, last, first_layer, min(last_layer, layers - 1))
            if first_layer > 0:
                dispatch.block_gradient_sums(job, first_layer, first, last)
