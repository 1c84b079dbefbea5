"""Residual blocks: what goes around a block is added to what comes out of it (He et al., 2016), a number a thread.

In the plan a block is three things around its own layers. SKIP, before them, has the same A as the layer below, but a
dZ of its own, since more than one layer gives a share of that layer's dA. What changes the shape of what goes around, a
layer like any other, follows SKIP. ADD, behind the block's layers, adds the two. The block's first own layer is before
SKIP on the way back and writes dZ of the layer below, to which SKIP adds.
"""

from ...codes import A_OFFSET, DZ_OFFSET, N_OUT, OTHER
from ..codegen.compiling import cuda, inner
from ..program.workspace import below
from ..target import PIECE, THREADS
from .activation import activate_number, derivative_of_number, derive_number


@inner
def add_task(job, l, task):
    """A task: a piece of A, the sum of two layers' A."""
    a, b = job.layers[below(job, l), A_OFFSET], job.layers[job.layers[l, OTHER], A_OFFSET]
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_OUT]), THREADS):
        activate_number(job, l, e, job.workspace[a + e] + job.workspace[b + e])


@inner
def add_backward_task(job, l, task):
    """A task: a piece of dZ of both layers."""
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_OUT]), THREADS):
        da = job.workspace[job.layers[l, DZ_OFFSET] + e]
        derive_number(job, below(job, l), e, da)
        derive_number(job, job.layers[l, OTHER], e, da)


@inner
def skip_backward_task(job, l, task):
    """A task: a piece of dZ of the layer below gets its share."""
    to = job.layers[below(job, l), DZ_OFFSET]
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_OUT]), THREADS):
        da = job.workspace[job.layers[l, DZ_OFFSET] + e]
        job.workspace[to + e] += derivative_of_number(job, below(job, l), e, da)
