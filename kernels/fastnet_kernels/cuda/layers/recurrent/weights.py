"""W and b of a recurrent layer, changed by the derivatives that all steps and samples add up to."""

from ....codes import B_OFFSET, CHANNELS, LDW, W_OFFSET
from ...codegen.compiling import cuda, inner
from ...program.reducing import column_of, sum_over_column
from ...program.weight_update import change
from ...target import PIECE, ROWS_AT_ONCE, THREADS
from .memory import biases_of, extents_of, memory_of


@inner
def finish_weights(job, l, slices, partial, task):
    """A task: a piece of W, whose gradient (gates, n + n_prev) is there in slices."""
    extents = extents_of(job, l)
    columns = extents.n + extents.n_in
    size = extents.directions * extents.gates * extents.n * columns
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, size), THREADS):
        gradient = job.workspace.dtype.type(0)
        for s in range(slices):
            gradient += job.workspace[partial + s * size + e]
        change(job, l, job.layers[l, W_OFFSET] + e // columns * job.layers[l, LDW] + e % columns, gradient, True)


@inner
def change_biases(job, l, task, shared):
    """A task: some numbers of b. Of a GRU's candidate the second one has the dZ that stays apart."""
    extents, count = extents_of(job, l), job.layers[l, CHANNELS]
    memory, (number, first) = memory_of(job, l, extents), column_of(task)
    of_direction = biases_of(extents.cell) * extents.n
    direction, j = min(number, count - 1) // of_direction, min(number, count - 1) % of_direction
    offset, stride = (
        memory.Z + direction * extents.gates * extents.n + j,
        extents.directions * extents.gates * extents.n,
    )
    if j >= extents.gates * extents.n:
        stride = extents.directions * extents.n
        offset = memory.candidates + direction * extents.n + j - extents.gates * extents.n
    total = job.workspace.dtype.type(0)
    for i in range(first, job.m * extents.steps, ROWS_AT_ONCE):
        total += job.workspace[offset + i * stride]
    total = sum_over_column(total, shared)
    if number < count and first == 0:
        change(job, l, job.layers[l, B_OFFSET] + number, total, False)
