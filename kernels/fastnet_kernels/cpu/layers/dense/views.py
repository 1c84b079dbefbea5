"""What only a dense layer sees in the workspace and the parameters: W, the tail of the batch, AMX's own scratch."""

from ....codes import (
    FEATURE_MAJOR,
    LDW,
    N_IN,
    N_OUT,
    UNPACKED,
    USES_AMX,
    W_OFFSET,
    WGRAD,
    WGRAD_GEMM,
    WGRAD_ROWS,
)
from ...codegen.arrays import vector
from ...codegen.compiling import inner
from ...codegen.matrix import Matrix
from ...codegen.processor import TARGET, VECTOR_BYTES
from ...partition import n_blocks
from ...step.inputs import lie_ready
from ...step.workspace import count_of

_TAIL_WEIGHTS = TARGET.tail_weights
_AMX_SCRATCH = TARGET.amx_scratch


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
def is_wgrad_gemm(job, l):
    """Whether dW is summed by gemm: with WGRAD_ROWS it is where samples are scaled, and their rows cannot be used."""
    how = job.plan.layers[l, WGRAD]
    return how == WGRAD_GEMM or (how == WGRAD_ROWS and job.plan.layout == FEATURE_MAJOR and not lie_ready(job))


@inner
def weights_of(job, l):
    """W (n_l, n_(l-1)) of a dense layer, a unit a row."""
    return Matrix(job.parameters, job.plan.layers[l, W_OFFSET], job.plan.layers[l, LDW], 1)


@inner
def transposed_weights_of(job, l):
    """W^T (n_(l-1), n_l) of a dense layer."""
    return Matrix(job.parameters, job.plan.layers[l, W_OFFSET], 1, job.plan.layers[l, LDW])


@inner
def bf16x3_scratch(job, scratch):
    """A worker's buffer for what is packed as bf16x3."""
    return vector(scratch, job.plan.amx_scratch, _AMX_SCRATCH)
