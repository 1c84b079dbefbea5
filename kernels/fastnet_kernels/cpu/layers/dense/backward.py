"""Backward through a dense layer, dA_prev = dZ W, for some blocks of samples at a time."""

from ....codes import DZ_OFFSET, LARGE_W, N_IN, N_OUT, PACKS_W, SAMPLE_MAJOR, SAMPLE_ROWS, USES_AMX
from ...codegen.arrays import vector
from ...codegen.compiling import inner, routine
from ...codegen.matrix import Matrix, Rows, moved
from ...codegen.processor import TARGET
from ...gemm.dot_and_gemv import gemv_t
from ...gemm.gemm_bf16x3 import gemm_amx
from ...gemm.macro_kernel import gemm
from ...gemm.micro_kernels import NO_PREFETCH
from ...gemm.packing import gemm_packed, pack_columns, packed_columns, packed_mr
from ...step.workspace import below, count_of_blocks, numbers_of, panels_of, samples_of, units_of
from .tail import dense_backward_tail
from .views import bf16x3_scratch, columns_of, transposed_weights_of, weights_of

_NUMBERS = TARGET.backward_numbers
_PACKED_DEPTH = TARGET.packed_depth


@routine(component=SAMPLE_ROWS)
def _dense_backward_rows(job, l):
    """dA_prev += dZ W, where a sample is a row."""
    plan, W, dZ = job.plan, weights_of(job, l), samples_of(job, l, DZ_OFFSET)
    n, n_in, one = plan.layers[l, N_OUT], plan.layers[l, N_IN], job.workspace.dtype.type(1)
    some = max(4, _NUMBERS // n_in)
    for j in range(0, n, some):  # rows of W, which stay in cache for all samples
        rows = Rows(W.data, W.offset + j * W.row_stride, W.row_stride, plan.iota)
        for i in range(job.m):
            dA_prev = vector(job.workspace, plan.layers[below(job, l), DZ_OFFSET] + i * n_in, n_in)
            factors = Matrix(dZ.data, dZ.offset + i * dZ.row_stride + j * dZ.column_stride, dZ.column_stride, 1)
            gemv_t(dA_prev, one, factors, min(some, n - j), rows, 0)


@routine(component=LARGE_W)
def _dense_backward_packed(job, scratch, l, first_block, last_block):
    """dA_prev += W^T dZ for samples side by side, with pieces of a large W packed: its columns lie pages apart."""
    plan, workspace, W = job.plan, job.workspace, weights_of(job, l)
    n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
    height = packed_mr(size, workspace)
    for j in range(0, n, _PACKED_DEPTH):
        depth = min(_PACKED_DEPTH, n - j)
        columns = packed_columns(height, depth, workspace)
        for c in range(0, n_in, columns):
            count = min(columns, n_in - c)
            pack_columns(height, scratch, moved(W, j * W.row_stride + c), count, depth)
            for block in range(first_block, last_block):
                dA_prev = moved(units_of(job, below(job, l), DZ_OFFSET, block), c * size)
                dZ = moved(units_of(job, l, DZ_OFFSET, block), j * size)
                gemm_packed(height, count, columns_of(job, l, block), depth, dA_prev, scratch, dZ)


@routine
def _dense_backward(job, scratch, l, first_block, last_block):
    """dA_prev = W^T dZ of a dense layer, for some blocks."""
    plan, workspace = job.plan, job.workspace
    is_added = plan.layout == SAMPLE_MAJOR or plan.layers[l, USES_AMX] or plan.layers[l, PACKS_W]
    for block in range(first_block, last_block):
        # Columns that gemm leaves out are 0, too: products of whole blocks read them.
        if is_added or columns_of(job, l, block) < plan.block_rows:
            dA_prev = numbers_of(job, below(job, l), DZ_OFFSET, block)
            for j in range(dA_prev.size):
                dA_prev[j] = 0
    n, n_in, one = plan.layers[l, N_OUT], plan.layers[l, N_IN], workspace.dtype.type(1)
    if plan.layout == SAMPLE_MAJOR:
        _dense_backward_rows(job, l)
    elif plan.layers[l, USES_AMX]:
        dA_panels, dZ_panels = (
            panels_of(job, below(job, l), DZ_OFFSET, first_block),
            panels_of(job, l, DZ_OFFSET, first_block),
        )
        samples, packed = count_of_blocks(job, first_block, last_block), bf16x3_scratch(job, scratch)
        gemm_amx(n_in, samples, n, one, dA_panels, transposed_weights_of(job, l), dZ_panels, packed)
    elif plan.layers[l, PACKS_W]:
        _dense_backward_packed(job, scratch, l, first_block, last_block)
    else:
        zeros = Matrix(workspace, plan.zeros, 0, 1)  # the same row for all of them
        for block in range(first_block, last_block):
            dA, dZ = units_of(job, below(job, l), DZ_OFFSET, block), units_of(job, l, DZ_OFFSET, block)
            gemm(n_in, columns_of(job, l, block), n, one, dA, zeros, transposed_weights_of(job, l), dZ, NO_PREFETCH)


@inner
def backward(job, scratch, l, first_block, last_block):
    """dA of the layer below, of some blocks of samples, from dZ of dense layer l."""
    _dense_backward(job, scratch, l, first_block, last_block)
    if job.tail:
        dense_backward_tail(job, scratch, l, first_block, last_block)
