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
from .products import count_parts, factors_of, products_of_task, shape_of_part
from .steps import number_backward, number_forward


@inner
def _tiles_of_part(job, operation, role, part, tile, extents):
    m, n = shape_of_part(job, operation, role, part, extents)
    return n_blocks(m, height_of(tile, job.workspace)) * n_blocks(n, width_of(tile, job.workspace))


@inner
def count_products(job, operation, role, l, tile, slices):
    """How many tasks an instruction has: tiles, or slices of these."""
    extents, tiles = extents_of(job, l), 0
    for part in range(count_parts(operation, role, extents)):
        tiles += _tiles_of_part(job, operation, role, part, tile, extents)
    return slices * tiles


@inner
def _tile_of(job, operation, role, l, tile, task):
    """The part of the products that a task has a tile of, and the tile's first row and column."""
    extents, part = extents_of(job, l), 0
    tiles = _tiles_of_part(job, operation, role, part, tile, extents)
    while task >= tiles:
        task, part = task - tiles, part + 1
        tiles = _tiles_of_part(job, operation, role, part, tile, extents)
    width = width_of(tile, job.workspace)
    across = n_blocks(shape_of_part(job, operation, role, part, extents)[1], width)
    return part, task // across * height_of(tile, job.workspace), task % across * width


@inner
def multiply_sequences(job, operation, role, l, k, tile, slices, partial, task, shared):
    """A task: a tile of a product over all steps, or of one slice of it; or those of a step, and cells or dZ there.

    All of them are made in one place, since it is the products that take long to compile. What is known of the layer is
    found anew before and behind each, as a product wants all registers.
    """
    slice_ = task % slices
    part, i0, j0 = _tile_of(job, operation, role, l, tile, task // slices)
    for number in range(products_of_task(job, operation, l, k)):
        extents = extents_of(job, l)
        m, n = shape_of_part(job, operation, role, part, extents)
        factors = factors_of(job, operation, role, l, part, number, k, extents, memory_of(job, l, extents))
        P, Q, c = job.workspace, job.parameters, factors.c
        if operation == SEQUENCE_PRODUCT and role == WEIGHTS:
            Q = job.workspace
            c += partial + slice_ * extents.directions * extents.gates * extents.n * (extents.n + extents.n_in)
        matrices = Matrices(P, factors.p, factors.p_row, factors.p_depth, Q, factors.q, factors.q_row, factors.q_depth)
        a_slice = n_blocks(n_blocks(factors.depth, SLICE), slices) * SLICE
        start, stop = slice_ * a_slice, min(factors.depth, (slice_ + 1) * a_slice)
        product_of_tile(tile, job.workspace, c, factors.c_row, matrices, i0, m, j0, n, start, stop, shared)
    if operation != SEQUENCE_PRODUCT or role == BACKWARD:
        _finish_tile(job, operation, role, l, k, tile, part, i0, j0)


@inner
def _finish_tile(job, operation, role, l, k, tile, part, i0, j0):
    """Cells of a tile of a step, or their dZ, or dZ of the layer below."""
    extents = extents_of(job, l)
    memory, (m, n) = memory_of(job, l, extents), shape_of_part(job, operation, role, part, extents)
    width = width_of(tile, job.workspace)
    for e in range(cuda.threadIdx.x, height_of(tile, job.workspace) * width, THREADS):
        i, j = i0 + e // width, j0 + e % width
        if i < m and j < n:
            if operation == SEQUENCE_PRODUCT:
                offset = i * n + j
                derive_number(job, below(job, l), offset, job.workspace[job.layers[below(job, l), DZ_OFFSET] + offset])
            elif operation == STEP_FORWARD:
                number_forward(job, l, extents, memory, part, k, i, j)
            else:
                number_backward(job, l, extents, memory, part, k, i, j)
