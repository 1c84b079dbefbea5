"""Where A, dZ and the rest of a step lie in the workspace: offsets, views and matrices."""

from typing import NamedTuple

from ...codes import BELOW, CHANNELS, FIRST_COLUMN, FIRST_ROW, LAST_COLUMN, LAST_ROW, N_OUT, SAMPLE_MAJOR, TASK_LAYER
from ..codegen.arrays import matrix, vector
from ..codegen.compiling import inner
from ..codegen.matrix import Matrix, Panels
from ..codegen.processor import VECTOR_BYTES
from ..partition import n_blocks


@inner
def below(job, l):
    """The layer whose A is A_prev of layer l."""
    return job.plan.layers[l, BELOW]


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
def places_of(job, l):
    """At how many places of a sample layer l, a normalisation, does the same: the pixels of an image, or 1."""
    return job.plan.layers[l, N_OUT] // job.plan.layers[l, CHANNELS]


@inner
def matrix_at(job, l, layer, column, block, place):
    """Of A or dZ (n, block_rows) of one layer and block what lies at one place of layer l: (channels, block_rows)."""
    plan, size = job.plan, job.plan.layers[l, CHANNELS] * job.plan.block_rows
    offset = offset_of(plan, layer, column, block) + place * size
    return matrix(job.workspace, offset, plan.layers[l, CHANNELS], plan.block_rows)


@inner
def count_of(job, block):
    """How many samples of a block there are."""
    return min(job.plan.block_rows, job.m - block * job.plan.block_rows)


@inner
def vectors_of(job, block):
    """How many vectors of a block hold samples."""
    return n_blocks(count_of(job, block), VECTOR_BYTES // job.workspace.itemsize)


@inner
def clear_beyond(job, layer, column, block):
    """A or dZ of what `vectors_of` leaves out becomes 0: sums over whole blocks read it, and it may be old."""
    plan = job.plan
    first = vectors_of(job, block) * (VECTOR_BYTES // job.workspace.itemsize)
    if first < plan.block_rows:
        A = matrix_of(job, layer, column, block)
        for j in range(A.shape[0]):
            for i in range(first, plan.block_rows):
                A[j, i] = 0


@inner
def count_of_blocks(job, first_block, last_block):
    """How many samples there are in some blocks."""
    size = job.plan.block_rows
    return min((last_block - first_block) * size, job.m - first_block * size)


@inner
def units_of(job, l, column, block):
    """A or dZ of one layer and block as a `Matrix` of a unit a row, samples side by side."""
    return Matrix(job.workspace, offset_of(job.plan, l, column, block), job.plan.block_rows, 1)


@inner
def panels_of(job, l, column, block):
    """A or dZ of one layer, from a block on, as `Panels`, a block each: a unit a row."""
    size = job.plan.block_rows
    return Panels(job.workspace, offset_of(job.plan, l, column, block), size, job.plan.layers[l, N_OUT] * size)


@inner
def samples_of(job, l, column):
    """A or dZ of one layer as a `Matrix` of a sample a row, where a step is a single block of SAMPLE_MAJOR layout."""
    by_sample, by_unit = strides_of(job.plan, l)
    return Matrix(job.workspace, job.plan.layers[l, column], by_sample, by_unit)


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
