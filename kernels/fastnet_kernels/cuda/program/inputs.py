"""Reading a mini-batch's samples into the workspace: gathered, converted and scaled."""

from ...codes import N_IN, SCALE, SHIFT
from ..codegen.compiling import cuda, inner
from ..target import PIECE, THREADS
from .workspace import offset_of_inputs, row_of_sample, size_of_step


@inner
def gather(job, step, task):
    """One piece of a step's samples."""
    n, kind = job.layers[0, N_IN], job.workspace.dtype.type
    scale, shift, offset = kind(job.real[SCALE]), kind(job.real[SHIFT]), offset_of_inputs(job, step)
    last = min((task + 1) * PIECE, size_of_step(job.m_all, job.batch_size, step) * n)
    for e in range(task * PIECE + cuda.threadIdx.x, last, THREADS):
        source = row_of_sample(job, step, e // n) * n + e % n
        x = kind(job.pixels[source]) if job.pixels.size > 0 else job.samples[source]
        job.workspace[offset + e] = scale * x + shift
