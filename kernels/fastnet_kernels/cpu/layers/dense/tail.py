"""The tail of the batch, and first layers of few units: dot products of samples' own rows.

Where a mini-batch has so few samples more than vectors hold that one more vector would be mostly empty, these go
through the larger layers sample by sample.
"""

from ....codes import A_OFFSET, DZ_OFFSET, N_IN, N_OUT, SAMPLE_ROWS
from ...codegen.arrays import reinterpret, vector
from ...codegen.compiling import routine
from ...codegen.matrix import Matrix, Rows, moved
from ...codegen.processor import TARGET
from ...gemm.dot_and_gemv import DOTS_AT_ONCE, gemm_dot, gemm_dot_bytes, gemv_t
from ...step.inputs import lie_ready, read_rows, rescale_of
from ...step.workspace import below, count_of, offset_of, strides_of, units_of
from .views import columns_of, tail_of, weights_of

_SAMPLES = TARGET.dot_samples


@routine(component=SAMPLE_ROWS)
def first_layer_unpacked(job, scratch, block, first_sample, k, n_features):
    """Z += some features' share, of a block's samples from one on: dot products of their rows and rows of W."""
    plan, workspace = job.plan, job.workspace
    one = workspace.dtype.type(1)
    n, n_in, first = plan.layers[0, N_OUT], plan.layers[0, N_IN], block * plan.block_rows
    by_sample, by_unit = strides_of(plan, 0)
    W, z = moved(weights_of(job, 0), k), offset_of(plan, 0, A_OFFSET, block)
    count = count_of(job, block)
    for i in range(first_sample, count, _SAMPLES):
        some = min(_SAMPLES, count - i)
        Z, index = Matrix(workspace, z + i * by_sample, by_sample, by_unit), vector(job.rows, first + i, some)
        if job.are_bytes and n <= DOTS_AT_ONCE:
            gemm_dot_bytes(some, n, n_features, Z, Rows(job.samples, k, n_in, index), W, rescale_of(plan, workspace))
        elif lie_ready(job):
            gemm_dot(some, n, n_features, one, Z, Rows(reinterpret(job.samples, workspace), k, n_in, index), W)
        else:
            read_rows(job, scratch, first + i, some, k, n_features)
            gemm_dot(some, n, n_features, one, Z, Rows(scratch, 0, n_features, plan.iota), W)


@routine(component=SAMPLE_ROWS)
def dense_forward_tail(job, scratch, l, first_block, last_block):
    """Z of the tail of the batch, if it is in one of these blocks."""
    plan, workspace = job.plan, job.workspace
    n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
    for block in range(first_block, last_block):
        tail, i = tail_of(job, l, block), columns_of(job, l, block)
        if tail and l == 0:
            first_layer_unpacked(job, scratch, block, i, 0, n_in)
        elif tail:
            a = offset_of(plan, below(job, l), A_OFFSET, block) + i
            for s in range(tail):
                row = vector(scratch, s * n_in, n_in)
                for k in range(n_in):
                    row[k] = workspace[a + k * size + s]
            Z = Matrix(workspace, offset_of(plan, l, A_OFFSET, block) + i, 1, size)
            A_prev = Rows(scratch, 0, n_in, plan.iota)
            gemm_dot(tail, n, n_in, workspace.dtype.type(1), Z, A_prev, weights_of(job, l))


@routine(component=SAMPLE_ROWS)
def dense_backward_tail(job, scratch, l, first_block, last_block):
    """dA_prev of the tail of the batch, if it is in one of these blocks: for each sample a sum of rows of W."""
    plan, workspace, W = job.plan, job.workspace, weights_of(job, l)
    n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
    row, rows = vector(scratch, 0, n_in), Rows(W.data, W.offset, W.row_stride, plan.iota)
    for block in range(first_block, last_block):
        first = columns_of(job, l, block)
        dZ, dz_prev = units_of(job, l, DZ_OFFSET, block), offset_of(plan, below(job, l), DZ_OFFSET, block)
        for i in range(first, first + tail_of(job, l, block)):
            for k in range(n_in):
                row[k] = 0
            gemv_t(row, workspace.dtype.type(1), moved(dZ, i), n, rows, 0)
            for k in range(n_in):
                workspace[dz_prev + k * size + i] = row[k]
