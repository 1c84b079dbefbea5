"""Phase 1 of a training step: a block of samples goes forward through the whole network, and its dZ come back."""

from ...codes import DZ_OFFSET, DZ_ROWS_OFFSET, GRADIENT, N_IN, N_OUT, PREDICT, SAMPLE_ROWS, WGRAD, WGRAD_FUSED
from ..codegen.arrays import reinterpret, vector
from ..codegen.compiling import routine
from ..codegen.processor import TARGET
from ..gemm.dot_and_gemv import gemv_t, gemv_t_bytes
from ..layers.dense.backward import backward, keep_rows
from ..layers.dense.forward import first_dense_layer, forward
from ..layers.passing import batch_statistics, gradient_sums
from ..partition import n_blocks, n_partials, share
from .inputs import find_rows
from .output import cost_of_block, store_outputs
from .workspace import count_of, is_wgrad_gemm, offset_of, scratch_of


@routine(component=SAMPLE_ROWS)
def _add_to_partial(job, partial, block):
    """The block's share of dW, of the single layer there is, from samples that are still in cache.

    Meanwhile half of the next block's samples are asked for, where that helps.
    """
    plan, workspace = job.plan, job.workspace
    n, n_in, size = plan.layers[0, N_OUT], plan.layers[0, N_IN], plan.block_rows
    first = block * size
    dz = offset_of(plan, 0, DZ_OFFSET, block)
    count, rows = count_of(job, block), vector(job.rows, first, 2 * size)
    scale, shift = workspace.dtype.type(plan.scale), workspace.dtype.type(plan.shift)
    for j in range(n):
        offset, f, ahead = partial + j * n_in, dz + j * size, size if j == 0 and TARGET.prefetches else 0
        if job.are_bytes:
            gemv_t_bytes(workspace, offset, n_in, scale, workspace, f, 1, count, job.samples, 0, n_in, rows, ahead)
        else:
            numbers = reinterpret(job.samples, workspace)
            gemv_t(workspace, offset, n_in, scale, workspace, f, 1, count, numbers, 0, n_in, rows, ahead)
        if shift != 0:
            total = shift * 0
            for i in range(count):
                total += shift * workspace[f + i]
            sums = vector(workspace, offset, n_in)
            for k in range(n_in):
                sums[k] += total


@routine
def data_phase(job, worker, workers, first_layer, last_layer, goes_forward, comes_back):
    """Phase 1 for one worker and some layers: its share of the blocks of samples, or groups with one sum of dW."""
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
                _add_to_partial(job, partial, block)
        return
    (begin, end), ends = share(worker, workers, blocks), last_layer == layers
    if first_layer == 0 and goes_forward:
        for block in range(begin, end):
            find_rows(job, block * plan.block_rows)
    for first in range(begin, end, plan.blocks_together):
        last = min(first + plan.blocks_together, end)
        if goes_forward:
            forward(job, scratch, first, last, first_layer, last_layer)
            if not ends:
                batch_statistics(job, last_layer, first, last)
                continue
            for block in range(first, last):
                if job.mode == PREDICT:
                    store_outputs(job, block)
                else:
                    cost_of_block(job, block)
            if job.mode >= GRADIENT and is_wgrad_gemm(job, layers - 1):
                keep_rows(job, layers - 1, DZ_OFFSET, 0, plan.layers[layers - 1, DZ_ROWS_OFFSET], first, last)
        if comes_back:
            backward(job, scratch, first, last, first_layer, min(last_layer, layers - 1))
            if first_layer > 0:
                gradient_sums(job, first_layer, first, last)
