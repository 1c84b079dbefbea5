"""Which steps of sequences are left out: those whose numbers all are one value, such as padding."""

from ...codes import A_OFFSET, MASK_OFFSET, MASKED, MASKED_STEPS, N_OUT
from ..codegen.compiling import cuda, inner
from ..target import PIECE, THREADS


@inner
def mask_task(job, task):
    """A task: of some steps, (m, t), 1 where all numbers of layer 0, the samples, are that value, and else 0."""
    kind, steps = job.workspace.dtype.type, job.whole[MASKED_STEPS]
    n, masked = job.layers[0, N_OUT] // steps, kind(job.real[MASKED])
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * steps), THREADS):
        is_left_out = kind(1)
        for j in range(n):
            if job.workspace[job.layers[0, A_OFFSET] + e * n + j] != masked:
                is_left_out = kind(0)
        job.workspace[job.whole[MASK_OFFSET] + e] = is_left_out
