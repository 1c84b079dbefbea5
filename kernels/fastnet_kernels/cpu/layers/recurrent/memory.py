"""Where the gates and states of a recurrent layer lie in the workspace, block by block.

Of a block there are, each a row a unit, with the block's samples side by side: the gates of all steps; the state before
the first step; of an LSTM the cells from before the first step on, and tanh of all of them but that; the states of all
steps, where A has only the last one; and, on the way back, what a step hands to the one before: dh and dc.
"""

from typing import NamedTuple

from ....codes import A_OFFSET, CELL, LSTM_CELL, N_IN, N_OUT, RETURNS_SEQUENCES, STATES_OFFSET, STATES_SIZE, STEPS
from ...codegen.compiling import inner
from ...step.workspace import offset_of
from .cells import n_gates, n_weight_gates


class Extents(NamedTuple):
    """Of a recurrent layer: steps, units before and in it, and rows of gates in memory and in W."""

    cell: int
    steps: int
    n_in: int
    n: int
    gates: int
    weight_rows: int


class Places(NamedTuple):
    """Offsets in the workspace of what one block has of a recurrent layer, and how far it is from step to step."""

    gates: int
    gates_step: int
    first_state: int  # before the first step
    states: int
    cells: int  # the first is before the first step
    tanh_cells: int
    dh: int
    dc: int
    step: int  # of states and cells


@inner
def extents_of(row):
    """From a layer's row of `Plan.layers`."""
    steps, cell = row[STEPS], row[CELL]
    n = row[N_OUT] // steps if row[RETURNS_SEQUENCES] else row[N_OUT]
    return Extents(cell, steps, row[N_IN] // steps, n, n_gates(cell) * n, n_weight_gates(cell) * n)


@inner
def places_of(job, l, block):
    """Of layer l and one block."""
    plan = job.plan
    row, size = plan.layers[l], plan.block_rows
    extents = extents_of(row)
    step, gates_step = extents.n * size, extents.gates * size
    gates = row[STATES_OFFSET] + block * row[STATES_SIZE] * size
    first_state = gates + extents.steps * gates_step
    dh = first_state + step
    dc = dh + step
    cells = dc + step if row[CELL] == LSTM_CELL else dc
    tanh_cells = cells + (extents.steps + 1) * step
    if row[RETURNS_SEQUENCES]:
        states = offset_of(plan, l, A_OFFSET, block)
    elif row[CELL] == LSTM_CELL:
        states = tanh_cells + extents.steps * step
    else:
        states = cells
    return Places(gates, gates_step, first_state, states, cells, tanh_cells, dh, dc, step)


@inner
def state_before(places, t):
    """Where the state before step t is."""
    return places.first_state if t == 0 else places.states + (t - 1) * places.step
