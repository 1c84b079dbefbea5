"""Where the gates and states of a recurrent layer lie in the workspace, a sample a row as everywhere here.

`fastnet.execution.cuda.recurrent.kept_numbers` has how many numbers all of this takes.
"""

from typing import NamedTuple

from ....codes import (
    CELL,
    DIRECTIONS,
    GRU_CELL,
    KEPT_OFFSET,
    LSTM_CELL,
    MASK_OFFSET,
    MASKED_STEPS,
    N_IN,
    N_OUT,
    RETURNS_SEQUENCES,
    STEPS,
)
from ...codegen.compiling import formula, inner


class Extents(NamedTuple):
    """Of a recurrent layer: steps, directions, numbers before it, and its units and gates in one direction."""

    cell: int
    steps: int
    directions: int
    n_in: int
    n: int
    gates: int  # rows of W a unit

    # For all m samples:
    states: int  # numbers of h at one step
    Z: int  # and of the gates


class Memory(NamedTuple):
    """Offsets of what is kept. Directions are side by side: the last extent is (directions, n), of Z gates n."""

    Z: int  # (m, steps, gates): what inputs give to Z, then gates, then dZ; of plain units h in the place of a gate
    candidates: int  # (m, steps): of a GRU's candidate n_h, and its dZ
    states: int  # (m, steps): h before each step,
    cells: int  # and of an LSTM c before it,
    tanh_cells: int  # and tanh of c behind it
    dh: int  # (m,): what a step gives directly to dh of the one before,
    dc: int  # and of an LSTM to dc
    products: int  # (m, gates): what W makes of the state before; or of dZ of the step behind
    end: int


@formula
def gates_of(cell):
    """Rows of W a unit."""
    return 4 if cell == LSTM_CELL else 3 if cell == GRU_CELL else 1


@formula
def biases_of(cell):
    """Numbers of b a unit: a GRU's candidate has two."""
    return 4 if cell >= LSTM_CELL else 1


@inner
def extents_of(job, l):
    """Of layer l, for the samples of this step."""
    row = job.layers[l]
    cell, steps, directions = row[CELL], row[STEPS], row[DIRECTIONS]
    n = row[N_OUT] // directions
    if row[RETURNS_SEQUENCES] != 0:
        n //= steps
    states, gates = job.m * directions * n, gates_of(cell)
    return Extents(cell, steps, directions, row[N_IN] // steps, n, gates, states, gates * states)


@inner
def memory_of(job, l, extents):
    """Of layer l."""
    steps, states, is_lstm, is_gru = extents.steps, extents.states, extents.cell == LSTM_CELL, extents.cell == GRU_CELL
    Z = job.layers[l, KEPT_OFFSET]
    candidates = Z + steps * extents.Z
    before = candidates + (steps * states if is_gru else 0)
    cells = before + steps * states
    tanh_cells = cells + (steps * states if is_lstm else 0)
    dh = tanh_cells + (steps * states if is_lstm else 0)
    dc = dh + states
    products = dc + (states if is_lstm else 0)
    return Memory(Z, candidates, before, cells, tanh_cells, dh, dc, products, products + extents.Z)


@formula
def step_number(extents, direction, k):
    """The step that comes as number k: the second direction reads sequences from their ends."""
    return extents.steps - 1 - k if direction == 1 else k


@inner
def is_left_out(job, i, step):
    """Whether a step of a sample is masked."""
    steps = job.whole[MASKED_STEPS]
    return steps > 0 and job.workspace[job.whole[MASK_OFFSET] + i * steps + step] != 0
