"""Back through the layers: dZ of each from the dZ of the next."""

from ....codes import DZ_OFFSET, LARGE_W, LDW, N_IN, N_OUT, PACKS_W, SAMPLE_MAJOR, SAMPLE_ROWS, USES_AMX, W_OFFSET
from ...codegen.compiling import inner, routine
from ...codegen.processor import TARGET
from ...gemm.dot_and_gemv import gemv_t
from ...gemm.gemm_bf16x3 import gemm_amx
from ...gemm.macro_kernel import gemm, mc_for
from ...gemm.micro_kernels import NO_PREFETCH
from ...gemm.packing import gemm_packed, pack_columns, packed_mr
from ...program.workspace import columns_of, count_of_blocks, numbers_of, offset_of, strides_of
from .tail import dense_backward_tail

_NUMBERS = TARGET.backward_numbers
_PACKED_DEPTH = TARGET.packed_depth


@routine(component=SAMPLE_ROWS)
def _dense_backward_rows(job, l):
    """dA_prev += dZ W for samples one by one."""
    plan, workspace = job.plan, job.workspace
    n, n_in, w, stride = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.layers[l, W_OFFSET], plan.layers[l, LDW]
    dz, dz_prev = plan.layers[l, DZ_OFFSET], plan.layers[l - 1, DZ_OFFSET]
    by_sample, by_unit = strides_of(plan, l)
    some = max(4, _NUMBERS // n_in)
    for j in range(0, n, some):  # rows of W, which stay in cache for all samples
        for i in range(job.m):
            gemv_t(
                workspace, dz_prev + i * n_in, n_in, workspace.dtype.type(1), workspace,
                dz + i * by_sample + j * by_unit, by_unit, min(some, n - j), job.parameters, w + j * stride, stride,
                plan.iota, 0,
            )  # fmt: skip


@routine(component=LARGE_W)
def _dense_backward_packed(job, scratch, l, first_block, last_block):
    """dA_prev += W^T dZ for samples side by side, with pieces of a large W copied: its columns lie pages apart."""
    plan, workspace = job.plan, job.workspace
    n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
    w, stride, height = plan.layers[l, W_OFFSET], plan.layers[l, LDW], packed_mr(size, workspace)
    for j in range(0, n, _PACKED_DEPTH):
        depth = min(_PACKED_DEPTH, n - j)
        columns = mc_for(depth, workspace)
        for c in range(0, n_in, columns):
            count = min(columns, n_in - c)
            pack_columns(height, scratch, job.parameters, w + j * stride + c, stride, count, depth)
            for block in range(first_block, last_block):
                gemm_packed(
                    height, count, columns_of(job, l, block), workspace, offset_of(plan, l - 1, DZ_OFFSET, block) + c *
                    size, size, scratch, workspace, offset_of(plan, l, DZ_OFFSET, block) + j * size, size, depth,
                )  # fmt: skip


@routine
def _dense_backward(job, scratch, l, first_block, last_block):
    """dA_prev of a dense layer's dZ."""
    plan, workspace = job.plan, job.workspace
    for block in range(first_block, last_block):
        dA_prev = numbers_of(job, l - 1, DZ_OFFSET, block)
        for j in range(dA_prev.size):
            dA_prev[j] = 0
    if plan.layout == SAMPLE_MAJOR:
        _dense_backward_rows(job, l)
    elif plan.layers[l, USES_AMX]:
        n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
        gemm_amx(
            n_in, count_of_blocks(job, first_block, last_block), workspace.dtype.type(1), workspace, offset_of(plan, l -
            1, DZ_OFFSET, first_block), size, n_in * size, job.parameters, plan.layers[l, W_OFFSET], 1, plan.layers[l,
            LDW], workspace, offset_of(plan, l, DZ_OFFSET, first_block), n * size, n, scratch, plan.amx_scratch,
        )  # fmt: skip
    elif plan.layers[l, PACKS_W]:
        _dense_backward_packed(job, scratch, l, first_block, last_block)
    else:
        n, n_in, size = plan.layers[l, N_OUT], plan.layers[l, N_IN], plan.block_rows
        for block in range(first_block, last_block):
            dz, dz_prev = offset_of(plan, l, DZ_OFFSET, block), offset_of(plan, l - 1, DZ_OFFSET, block)
            gemm(
                n_in, columns_of(job, l, block), workspace.dtype.type(1), workspace, dz_prev, size, job.parameters,
                plan.layers[l, W_OFFSET], 1, plan.layers[l, LDW], workspace, dz, size, n, NO_PREFETCH,
            )  # fmt: skip


@inner
def backward(job, scratch, l, first_block, last_block):
    """dA of the layer below, of some blocks of samples, from dZ of dense layer l."""
    _dense_backward(job, scratch, l, first_block, last_block)
    if job.tail:
        dense_backward_tail(job, scratch, l, first_block, last_block)
