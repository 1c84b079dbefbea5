"""Where A, dZ and the rest of a step lie in the workspace: offsets, views and matrices."""

from typing import NamedTuple

from ...codes import (
    FEATURE_MAJOR,
    FIRST_COLUMN,
    FIRST_ROW,
    LAST_COLUMN,
    LAST_ROW,
    LDW,
    N_IN,
    N_OUT,
    SAMPLE_MAJOR,
    TASK_LAYER,
    UNPACKED,
    USES_AMX,
    W_OFFSET,
    WGRAD,
    WGRAD_GEMM,
    WGRAD_ROWS,
)
from ..codegen.arrays import matrix, vector
from ..codegen.compiling import inner
from ..codegen.matrix import Matrix
from ..codegen.processor import TARGET, VECTOR_BYTES
from ..partition import n_blocks
from .inputs import lie_ready

_TAIL_WEIGHTS = TARGET.tail_weights
_AMX_SCRATCH = TARGET.amx_scratch


@inner
def offset_of(plan, layer, column, block):
    """Where A (or, by its column, dZ) of one layer and block begins in the workspace."""
    return plan.layers[layer, column] + block * plan.layers[layer, N_OUT] * plan.block_rows


@inner
def strides_of(plan, layer):
    """Of A and dZ of a layer in the workspace: from sample to sample, and from unit to unit."""
    if plan.layout == SAMPLE_MAJOR and layer < plan.layers.shape[0] - 1:
        return plan.layers[layer, N_OUT], 1
    return 1, plan.block_rows


@inner
def scratch_of(job, worker):
    """A worker's own scratch of the workspace."""
    return vector(job.workspace, job.plan.scratch + worker * job.plan.scratch_size, job.plan.scratch_size)


@inner
def numbers_of(job, layer, column, block):
    """All numbers of A or dZ of one layer and block, as one vector."""
    plan = job.plan
    return vector(job.workspace, offset_of(plan, layer, column, block), plan.layers[layer, N_OUT] * plan.block_rows)


@inner
def matrix_of(job, layer, column, block):
    """A or dZ of one layer and block, (n_l, block_rows), as a view: a unit a row."""
    plan = job.plan
    return matrix(job.workspace, offset_of(plan, layer, column, block), plan.layers[layer, N_OUT], plan.block_rows)


@inner
def count_of(job, block):
    """How many samples of a block there are."""
    return min(job.plan.block_rows, job.m - block * job.plan.block_rows)


@inner
def tail_of(job, l, block):
    """How many of a block's last samples are the batch's tail, which goes through dense layer l sample by sample."""
    plan = job.plan
    is_last, weights = (block + 1) * plan.block_rows >= job.m, plan.layers[l, N_IN] * plan.layers[l, N_OUT]
    pays = job.tail * _TAIL_WEIGHTS <= weights and not plan.layers[l, USES_AMX]
    return job.tail if is_last and pays and (l > 0 or plan.inputs != UNPACKED) else 0


@inner
def columns_of(job, l, block):
    """How many columns of a block gemm computes for dense layer l: all samples but the tail, in whole vectors."""
    lanes = VECTOR_BYTES // job.workspace.itemsize
    return n_blocks(count_of(job, block) - tail_of(job, l, block), lanes) * lanes


@inner
def count_of_blocks(job, first_block, last_block):
    """How many samples there are in some blocks."""
    size = job.plan.block_rows
    return min((last_block - first_block) * size, job.m - first_block * size)


@inner
def is_wgrad_gemm(job, l):
    """Whether dW is summed by gemm: with WGRAD_ROWS it is where samples are scaled, and their rows cannot be used."""
    how = job.plan.layers[l, WGRAD]
    return how == WGRAD_GEMM or (how == WGRAD_ROWS and job.plan.layout == FEATURE_MAJOR and not lie_ready(job))


@inner
def units_of(job, l, column, block):
    """A or dZ of one layer and block as a `Matrix` of a unit a row, samples side by side."""
    return Matrix(job.workspace, offset_of(job.plan, l, column, block), job.plan.block_rows, 1)


@inner
def panels_of(job, l, column, block):
    """A or dZ of one layer, from a block on, as a `Matrix` of a unit a row, whose `column` is from block to block."""
    size = job.plan.block_rows
    return Matrix(job.workspace, offset_of(job.plan, l, column, block), size, job.plan.layers[l, N_OUT] * size)


@inner
def samples_of(job, l, column):
    """A or dZ of one layer as a `Matrix` of a sample a row, where a step is a single block of SAMPLE_MAJOR layout."""
    by_sample, by_unit = strides_of(job.plan, l)
    return Matrix(job.workspace, job.plan.layers[l, column], by_sample, by_unit)


@inner
def weights_of(job, l):
    """W (n_l, n_(l-1)) of a dense layer, a unit a row."""
    return Matrix(job.parameters, job.plan.layers[l, W_OFFSET], job.plan.layers[l, LDW], 1)


@inner
def transposed_weights_of(job, l):
    """W^T (n_(l-1), n_l) of a dense layer."""
    return Matrix(job.parameters, job.plan.layers[l, W_OFFSET], 1, job.plan.layers[l, LDW])


@inner
def terms_of(job, scratch):
    """The buffer of a worker's bf16x3 terms."""
    return vector(scratch, job.plan.amx_scratch, _AMX_SCRATCH)


class Piece(NamedTuple):
    """Part of one layer's W: rows `first_row:last_row` and columns `first_column:last_column`."""

    layer: int
    first_row: int
    last_row: int
    first_column: int
    last_column: int


@inner
def piece_of(task):
    """The part of W that is one task of the weight phase, a row of `Plan.tasks`."""
    return Piece(task[TASK_LAYER], task[FIRST_ROW], task[LAST_ROW], task[FIRST_COLUMN], task[LAST_COLUMN])
