"""The data phase of a step: a block of samples goes forward through the whole network, and its dZ come back.

Where a batch normalisation must see all samples, there are several such phases, each for some layers: see `run`.
"""

from ...codes import (
    A_OFFSET,
    DZ_OFFSET,
    DZ_ROWS_OFFSET,
    GRADIENT,
    INPUT_TAIL,
    INPUT_TAIL_OFFSET,
    N_IN,
    N_OUT,
    PREDICT,
    WGRAD,
    WGRAD_FUSED,
)
from ..codegen.arrays import vector
from ..codegen.compiling import routine
from ..layers import dispatch
from ..layers.activation import activate_layer, derive_layer
from ..layers.dense.forward import first_dense_layer
from ..layers.dense.weight_gradient import add_to_partial, keep_rows
from ..partition import n_blocks, n_partials, share
from .inputs import find_rows
from .output import cost_of_block, mark_what_is_not_finite, store_outputs
from .workspace import is_wgrad_gemm, scratch_of


@routine
def _forward(job, scratch, first_block, last_block, first_layer, last_layer):
    """A of some layers, for some blocks of samples; the network's last layer is left at its logits Z."""
    for l in range(first_layer, last_layer):
        dispatch.forward(job, scratch, l, first_block, last_block)
        if l == 0 and job.mode == PREDICT and not job.are_bytes:
            for block in range(first_block, last_block):
                mark_what_is_not_finite(job, block, dispatch.units_that_tell(job.plan))
        if l < job.plan.layers.shape[0] - 1:
            for block in range(first_block, last_block):
                activate_layer(job, l, block)


@routine
def _backward(job, scratch, first_block, last_block, first_layer, last_layer):
    """dZ of layers `first_layer` to `last_layer` - 1, for some blocks of samples, from dZ of layer `last_layer`."""
    plan = job.plan
    for l in range(last_layer, first_layer, -1):
        if plan.layers[l, INPUT_TAIL]:
            first_unit = plan.layers[l, N_IN] - plan.layers[l, INPUT_TAIL]
            keep_rows(job, l - 1, A_OFFSET, first_unit, plan.layers[l, INPUT_TAIL_OFFSET], first_block, last_block)
        if l <= plan.first_trained:
            return
        dispatch.backward(job, scratch, l, first_block, last_block)
        for block in range(first_block, last_block):
            derive_layer(job, l - 1, block)
        if is_wgrad_gemm(job, l - 1):
            keep_rows(job, l - 1, DZ_OFFSET, 0, plan.layers[l - 1, DZ_ROWS_OFFSET], first_block, last_block)


@routine
def data_phase(job, worker, workers, first_layer, last_layer, goes_forward, comes_back):
    """One worker's data phase of some layers: its share of the blocks of samples, or of the groups that sum dW."""
    plan, scratch = job.plan, scratch_of(job, worker)
    blocks, layers = n_blocks(job.m, plan.block_rows), plan.layers.shape[0]
    if job.mode >= GRADIENT and plan.layers[0, WGRAD] == WGRAD_FUSED:
        size = plan.layers[0, N_OUT] * plan.layers[0, N_IN]
        for index in range(worker, n_partials(blocks), workers):
            partial, (first, last) = plan.partials + index * size, share(index, n_partials(blocks), blocks)
            for block in range(first, last):
                find_rows(job, block * plan.block_rows)
            sums = vector(job.workspace, partial, size)
            for k in range(size):
                sums[k] = 0
            for block in range(first, last):
                first_dense_layer(job, scratch, block, block + 1)
                cost_of_block(job, block)
                add_to_partial(job, partial, block)
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
            if job.mode >= GRADIENT and is_wgrad_gemm(job, layers - 1):
                keep_rows(job, layers - 1, DZ_OFFSET, 0, plan.layers[layers - 1, DZ_ROWS_OFFSET], first, last)
        if comes_back:
            _backward(job, scratch, first, last, first_layer, min(last_layer, layers - 1))
            if first_layer > 0:
                dispatch.block_gradient_sums(job, first_layer, first, last)
