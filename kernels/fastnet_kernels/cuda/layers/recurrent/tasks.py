"""The products of recurrent layers as tasks of the program, and what is done with each of their numbers at once."""

from ....codes import BACKWARD, DZ_OFFSET, SEQUENCE_PRODUCT, STEP_FORWARD, WEIGHTS
from ...codegen.compiling import cuda, inner
from ...gemm.slabs import Matrices
from ...gemm.tiles import height_of, product_of_tile, width_of
from ...program.partition import n_blocks
from ...program.workspace import below
from ...target import SLICE, THREADS
from ..activation import derive_number
from .memory import extents_of, memory_of
from .products import count_parts, factors_of, products_of_task
from .steps import number_backward, number_forward


@inner
def _tiles(job, tile, factors):
    return n_blocks(factors.m, height_of(tile, job.workspace)) * n_blocks(factors.n, width_of(tile, job.workspace))


@inner
def count_products(job, operation, role, l, tile, slices):
    """How many tasks an instruction has: tiles, or slices of these."""
    extents = extents_of(job, l)
    memory, tiles = memory_of(job, l, extents), 0
    for part in range(count_parts(operation, role, extents)):
        tiles += _tiles(job, tile, factors_of(job, operation, role, l, part, 0, 0, extents, memory))
    return slices * tiles


@inner
def multiply_sequences(job, operation, role, l, k, tile, slices, partial, task, shared):
    """A task: a tile of a product over all steps, or of one slice of it; or those of a step, and cells or dZ there.

    All of them are made in one place, since it is the products that take long to compile.
    """
    extents = extents_of(job, l)
    memory, part, slice_, task = memory_of(job, l, extents), 0, task % slices, task // slices
    factors = factors_of(job, operation, role, l, part, 0, k, extents, memory)
    tiles = _tiles(job, tile, factors)
    while task >= tiles:
        task, part = task - tiles, part + 1
        factors = factors_of(job, operation, role, l, part, 0, k, extents, memory)
        tiles = _tiles(job, tile, factors)
    height, width = height_of(tile, job.workspace), width_of(tile, job.workspace)
    m, n, across = factors.m, factors.n, n_blocks(factors.n, width)
    i0, j0 = task // across * height, task % across * width
    for number in range(products_of_task(job, operation, l, k, extents)):
        factors = factors_of(job, operation, role, l, part, number, k, extents, memory)
        P, Q, c = job.workspace, job.parameters, factors.c
        if operation == SEQUENCE_PRODUCT and role == WEIGHTS:
            Q = job.workspace
            c += partial + slice_ * extents.directions * extents.gates * extents.n * (extents.n + extents.n_in)
        matrices = Matrices(P, factors.p, factors.p_row, factors.p_depth, Q, factors.q, factors.q_row, factors.q_depth)
        a_slice = n_blocks(n_blocks(factors.depth, SLICE), slices) * SLICE
        start, stop = slice_ * a_slice, min(factors.depth, (slice_ + 1) * a_slice)
        product_of_tile(tile, job.workspace, c, factors.c_row, matrices, i0, m, j0, n, start, stop, shared)
    if operation == SEQUENCE_PRODUCT and role != BACKWARD:
        return
    for e in range(cuda.threadIdx.x, height * width, THREADS):
        i, j = i0 + e // width, j0 + e % width
        if i < m and j < n:
            if operation == SEQUENCE_PRODUCT:
                offset = i * n + j
                derive_number(job, below(job, l), offset, job.workspace[job.layers[below(job, l), DZ_OFFSET] + offset])
            elif operation == STEP_FORWARD:
                number_forward(job, l, extents, memory, part, k, i, j)
            else:
                number_backward(job, l, extents, memory, part, k, i, j)
