"""Which matrices a recurrent layer multiplies. Of W (gates n, n + n_prev) the first n columns are for the state."""

from typing import NamedTuple

from ....codes import (
    BACKWARD,
    CELL,
    DZ_OFFSET,
    FORWARD,
    GRU_CELL,
    LDW,
    SEQUENCE_PRODUCT,
    STEP_BACKWARD,
    STEP_FORWARD,
    STEPS,
    TRUNCATE,
    W_OFFSET,
    WEIGHTS,
)
from ...codegen.compiling import formula, inner
from ...program.workspace import below, offset_of_activations
from .memory import gates_of, step_number


class Factors(NamedTuple):
    """C = P Q^T over `depth`: where each begins, and from row to row and depth to depth of the factors.

    P and C are in the workspace, Q in the parameters, or of dW in the workspace too.
    """

    depth: int
    p: int
    p_row: int
    p_depth: int
    q: int
    q_row: int
    q_depth: int
    c: int
    c_row: int


@inner
def count_parts(operation, role, extents):
    """Products of an instruction that have tiles of their own.

    Of a step they are the directions'. Of dW the inputs' part comes first, and then the state's of each direction, of a
    GRU in two pieces.
    """
    if operation != SEQUENCE_PRODUCT:
        return extents.directions
    if role != WEIGHTS:
        return 1
    return 1 + extents.directions * (2 if extents.cell == GRU_CELL else 1)


@inner
def shape_of_part(job, operation, role, part, extents):
    """Rows and columns of one of them."""
    n, gates = extents.n, extents.gates * extents.n
    if operation != SEQUENCE_PRODUCT:
        return job.m, n
    if role != WEIGHTS:
        return job.m * extents.steps, extents.directions * gates if role == FORWARD else extents.n_in
    if part == 0:
        return extents.directions * gates, extents.n_in
    if extents.cell == GRU_CELL:
        return n if _is_candidate(part) else 2 * n, n
    return gates, n


@formula
def _is_candidate(part):
    """Whether a state's part of a GRU's dW is that of the candidate, which has a dZ of its own."""
    return part % 2 == 0


@inner
def products_of_task(job, operation, l, k):
    """How many products a task makes of its tile: of a step one a gate, or one, of a GRU two, by dZ of the step behind.

    There is none of a state that is 0, and none of derivatives that are.
    """
    cell = job.layers[l, CELL]
    if operation == STEP_FORWARD:
        return gates_of(cell) if has_state(job, k) else 0
    if operation == STEP_BACKWARD:
        return 0 if is_cut(job, l, k) else 2 if cell == GRU_CELL else 1
    return 1


@inner
def factors_of(job, operation, role, l, part, number, k, extents, memory):
    """One product of one part of an instruction, whose step comes as number k."""
    if operation == STEP_FORWARD:
        return _state_forward(job, l, part, number, k, extents, memory)
    if operation == STEP_BACKWARD:
        return _state_backward(job, l, part, number, k, extents, memory)
    if role == WEIGHTS and part > 0:
        return _weights_of_state(job, part, extents, memory)
    return _over_all_steps(job, role, l, extents, memory)


@inner
def has_state(job, k):
    """Whether what stands before step number k may be other than 0."""
    return k > 0 or job.states.size > 0


@inner
def is_cut(job, l, k):
    """Whether no derivative comes to step number k from the ones behind it."""
    truncate = job.layers[l, TRUNCATE]
    return k + 1 == job.layers[l, STEPS] or (truncate > 0 and (k + 1) % truncate == 0)


@inner
def _over_all_steps(job, role, l, extents, memory):
    """Z (m t, gates) = X W^T, dX = dZ W, or the inputs' part of dW = dZ^T X, of all directions at once."""
    n, n_in, gates = extents.n, extents.n_in, extents.directions * extents.gates * extents.n
    rows, X, Z = job.m * extents.steps, offset_of_activations(job, below(job, l)), memory.Z
    W, stride = job.layers[l, W_OFFSET] + n, job.layers[l, LDW]
    if role == FORWARD:
        return Factors(n_in, X, n_in, 1, W, stride, 1, Z, gates)
    if role == BACKWARD:
        return Factors(gates, Z, gates, 1, W, 1, stride, job.layers[below(job, l), DZ_OFFSET], n_in)
    return Factors(rows, Z, 1, gates, X, 1, n_in, n, n + n_in)


@inner
def _weights_of_state(job, part, extents, memory):
    """A state's part of dW, (gates, n + n_prev) from offset 0 on: dZ^T times the states before."""
    n, is_gru, columns = extents.n, extents.cell == GRU_CELL, extents.n + extents.n_in
    direction = (part - 1) // 2 if is_gru else part - 1
    across, rows = extents.directions * n, job.m * extents.steps
    gates, first = extents.gates * across, direction * extents.gates * n
    h = memory.states + direction * n
    if is_gru and _is_candidate(part):
        dZ, c = memory.candidates + direction * n, (first + 2 * n) * columns
        return Factors(rows, dZ, 1, across, h, 1, across, c, columns)
    return Factors(rows, memory.Z + first, 1, gates, h, 1, across, first * columns, columns)


@inner
def _state_forward(job, l, direction, gate, k, extents, memory):
    """What W makes of the state before a step, (m, n) for one gate."""
    n, steps, stride = extents.n, extents.steps, job.layers[l, LDW]
    across, row = extents.directions * n, (direction * extents.gates + gate) * n
    h = memory.states + step_number(extents, direction, k) * across + direction * n
    W = job.layers[l, W_OFFSET] + row * stride
    return Factors(n, h, steps * across, 1, W, stride, 1, memory.products + row, extents.gates * across)


@inner
def _state_backward(job, l, direction, number, k, extents, memory):
    """dZ W (m, n) of the step behind. A GRU's candidate has a dZ of its own, and so a second product."""
    n, steps, stride = extents.n, extents.steps, job.layers[l, LDW]
    across, behind = extents.directions * n, step_number(extents, direction, k + 1)
    gates, first = extents.gates * across, direction * extents.gates * n
    W, C = job.layers[l, W_OFFSET] + first * stride, memory.products + number * across + direction * n
    if number == 1:
        dZ = memory.candidates + behind * across + direction * n
        return Factors(n, dZ, steps * across, 1, W + 2 * n * stride, 1, stride, C, gates)
    depth, dZ = 2 * n if extents.cell == GRU_CELL else extents.gates * n, memory.Z + behind * gates + first
    return Factors(depth, dZ, steps * gates, 1, W, 1, stride, C, gates)
