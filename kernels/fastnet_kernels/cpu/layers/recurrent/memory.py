"""Where the gates and states of a recurrent layer lie in the workspace, block by block.

Of a block and a direction there are, each a row a unit, with the block's samples side by side: the gates of all steps;
the state before the first step; dh and dc, which a step hands to the one before on the way back, and copies of both; of
an LSTM the cells from before the first step on, and tanh of all of them but that; and the states of all steps, where A
has only the last.
"""

from typing import NamedTuple

from ....codes import (
    A_OFFSET,
    B_OFFSET,
    CELL,
    DIRECTIONS,
    GRU_CELL,
    KEPT_OFFSET,
    KEPT_SIZE,
    LDW,
    LSTM_CELL,
    N_IN,
    N_OUT,
    RETURNS_SEQUENCES,
    STEPS,
    W_OFFSET,
)
from ...codegen.compiling import inner
from ...step.workspace import offset_of
from .cells import n_gates, n_weight_gates


class Extents(NamedTuple):
    """Of a recurrent layer: steps, units before and in it, and of each direction rows of gates and W, numbers of b."""

    cell: int
    steps: int
    directions: int
    n_in: int
    n: int
    gates: int
    rows: int
    biases: int


class Places(NamedTuple):
    """What one block has of one direction: offsets in the workspace, and of W and b, and how far the next step is."""

    gates: int
    gates_step: int
    first_state: int  # before the first step
    states: int
    states_step: int
    cells: int  # the first is before the first step
    tanh_cells: int
    dh: int
    kept_dh: int
    dc: int
    kept_dc: int
    step: int  # numbers of a state: all units, and all samples of the block
    is_backward: int  # whether it reads sequences from their ends
    W: int
    b: int


@inner
def extents_of(row):
    """From a layer's row of `Plan.layers`."""
    steps, cell, directions = row[STEPS], row[CELL], row[DIRECTIONS]
    n = row[N_OUT] // (directions * (steps if row[RETURNS_SEQUENCES] else 1))
    gates, rows = n_gates(cell) * n, n_weight_gates(cell) * n
    return Extents(cell, steps, directions, row[N_IN] // steps, n, gates, rows, gates if cell == GRU_CELL else rows)


@inner
def memory_of(job, l, block, direction):
    """Of layer l."""
    plan = job.plan
    row, size = plan.layers[l], plan.block_rows
    extents = extents_of(row)
    step, gates_step = extents.n * size, extents.gates * size
    gates = row[KEPT_OFFSET] + (block * extents.directions + direction) * (row[KEPT_SIZE] // extents.directions) * size
    first_state = gates + extents.steps * gates_step
    dh = first_state + step
    kept_dh = dh + step
    dc = kept_dh + step
    cells = dc + 2 * step if extents.cell == LSTM_CELL else dc
    tanh_cells = cells + (extents.steps + 1) * step
    states, states_step = (tanh_cells + extents.steps * step if extents.cell == LSTM_CELL else cells), step
    if row[RETURNS_SEQUENCES]:  # they are in A, those of both directions side by side
        states, states_step = offset_of(plan, l, A_OFFSET, block) + direction * step, extents.directions * step
    return Places(
        gates, gates_step, first_state, states, states_step, cells, tanh_cells, dh, kept_dh, dc, dc + step, step,
        direction, row[W_OFFSET] + direction * extents.rows * row[LDW],
        row[B_OFFSET] + direction * extents.biases,
    )  # fmt: skip


@inner
def step_number(places, extents, k):
    """The step that comes as number k."""
    return extents.steps - 1 - k if places.is_backward else k


@inner
def state_before(places, extents, k):
    """Where the state before the step that comes as number k is."""
    if k == 0:
        return places.first_state
    return places.states + step_number(places, extents, k - 1) * places.states_step
