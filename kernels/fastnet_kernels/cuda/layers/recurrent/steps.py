"""What is done with each number of a step: its gates, its cell and its state, and their derivatives."""

from typing import NamedTuple

from ....codes import (
    A_OFFSET,
    B_OFFSET,
    DZ_OFFSET,
    GRU_CELL,
    LSTM_CELL,
    RETURNS_SEQUENCES,
    STATE_SIZE,
    STATES_COLUMN,
)
from ...codegen.compiling import cuda, inner
from ...program.workspace import row_of_sample
from ...target import PIECE, THREADS
from .cells import gru, gru_backward, lstm, lstm_backward, unit, unit_backward
from .memory import biases_of, extents_of, is_left_out, memory_of, step_number
from .products import has_state, is_cut


@inner
def begin(job, l, task):
    """A task: a piece of what stands before the first step, which is 0, or the states that samples are given."""
    extents = extents_of(job, l)
    memory, across, n = memory_of(job, l, extents), extents.directions * extents.n, extents.n
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, extents.states), THREADS):
        i, j = e // across, e % across
        h = c = job.workspace.dtype.type(0)
        if job.states.size > 0:  # of one direction
            state = _place_in_states(job, l, i) + j
            h = job.states[state]
            if extents.cell == LSTM_CELL:
                c = job.states[state + n]
        place = (i * extents.steps + step_number(extents, j // n, 0)) * across + j
        job.workspace[memory.states + place] = h
        if extents.cell == LSTM_CELL:
            job.workspace[memory.cells + place] = c


@inner
def _place_in_states(job, l, i):
    """Where the state of a sample begins in `job.states`."""
    return row_of_sample(job, job.step, i) * job.whole[STATE_SIZE] + job.layers[l, STATES_COLUMN]


class _Place(NamedTuple):
    """Where the numbers of unit j lie, of a sample's step."""

    Z: int  # of the first gate; the others are n numbers apart each
    state: int  # in arrays (m, steps, directions, n), such as that of the states before each step
    last: int  # in arrays (m, directions, n)
    product: int  # of the first gate, of what W makes of the state
    b: int  # of the first gate
    n: int


@inner
def _place_of(job, l, extents, memory, direction, i, step, j):
    """Of one direction."""
    n, gates = extents.n, extents.gates
    last = i * extents.directions + direction
    state = (i * extents.steps + step) * extents.directions + direction
    b = job.layers[l, B_OFFSET] + direction * biases_of(extents.cell) * n
    return _Place(
        memory.Z + state * gates * n + j, state * n + j, last * n + j, memory.products + last * gates * n + j, b + j, n
    )  # fmt: skip


@inner
def _z(job, place, gate, is_added):
    """Z of a gate: what inputs and the state give to it, and b."""
    z = job.workspace[place.Z + gate * place.n] + job.parameters[place.b + gate * place.n]
    return z + job.workspace[place.product + gate * place.n] if is_added else z


@inner
def _gate(job, place, gate):
    return job.workspace[place.Z + gate * place.n]


@inner
def _put(job, place, gate, number):
    job.workspace[place.Z + gate * place.n] = number


@inner
def number_forward(job, l, extents, memory, direction, k, sample, j):
    """Gates, cell and state of unit j of a sample, at the step that comes as number k."""
    workspace, step, cell = job.workspace, step_number(extents, direction, k), extents.cell
    at, is_added = _place_of(job, l, extents, memory, direction, sample, step, j), has_state(job, k)
    h_prev = workspace[memory.states + at.state]
    c = c_prev = workspace[memory.cells + at.state] if cell == LSTM_CELL else h_prev
    if cell == LSTM_CELL:
        i, f = _z(job, at, 0, is_added), _z(job, at, 1, is_added)
        g, o = _z(job, at, 2, is_added), _z(job, at, 3, is_added)
        i, f, g, o, c, tanh_c, h = lstm(i, f, g, o, c_prev)
        _put(job, at, 0, i)
        _put(job, at, 1, f)
        _put(job, at, 2, g)
        _put(job, at, 3, o)
        workspace[memory.tanh_cells + at.state] = tanh_c
    elif cell == GRU_CELL:
        # Of the candidate the state's part stays apart, with a b of its own.
        n_h = job.parameters[at.b + 3 * at.n]
        if is_added:
            n_h += workspace[at.product + 2 * at.n]
        r, z, n, h = gru(_z(job, at, 0, is_added), _z(job, at, 1, is_added), _z(job, at, 2, False), n_h, h_prev)
        _put(job, at, 0, r)
        _put(job, at, 1, z)
        _put(job, at, 2, n)
        workspace[memory.candidates + at.state] = n_h
    else:
        h = unit(cell, _z(job, at, 0, is_added))
        _put(job, at, 0, h)
    if is_left_out(job, sample, step):
        h, c = h_prev, c_prev
    is_last = k + 1 == extents.steps
    if not is_last:
        across = extents.directions * extents.n
        behind = at.state + (across if direction == 0 else -across)
        workspace[memory.states + behind] = h
        if cell == LSTM_CELL:
            workspace[memory.cells + behind] = c
    elif job.states.size > 0:
        state = _place_in_states(job, l, sample) + j
        job.states[state] = h
        if cell == LSTM_CELL:
            job.states[state + extents.n] = c
    if job.layers[l, RETURNS_SEQUENCES] != 0:
        workspace[job.layers[l, A_OFFSET] + at.state] = h
    elif is_last:
        workspace[job.layers[l, A_OFFSET] + at.last] = h


@inner
def number_backward(job, l, extents, memory, direction, k, sample, j):
    """dZ of the gates of unit j of a sample, and what goes to the step before that came as number k."""
    workspace, step, cell = job.workspace, step_number(extents, direction, k), extents.cell
    at, zero = _place_of(job, l, extents, memory, direction, sample, step, j), workspace.dtype.type(0)
    dh = dc = to_dh = zero
    if not is_cut(job, l, k):
        dh = workspace[memory.dh + at.last] + workspace[_product_of_dz(extents, memory, 0, direction, sample, j)]
        if cell == GRU_CELL:
            dh += workspace[_product_of_dz(extents, memory, 1, direction, sample, j)]
        if cell == LSTM_CELL:
            dc = workspace[memory.dc + at.last]
    if job.layers[l, RETURNS_SEQUENCES] != 0:
        dh += workspace[job.layers[l, DZ_OFFSET] + at.state]
    elif k + 1 == extents.steps:
        dh += workspace[job.layers[l, DZ_OFFSET] + at.last]
    if is_left_out(job, sample, step):
        for gate in range(extents.gates):
            _put(job, at, gate, zero)
        if cell == GRU_CELL:
            workspace[memory.candidates + at.state] = zero
        to_dh = dh
    elif cell == LSTM_CELL:
        c_prev, tanh_c = workspace[memory.cells + at.state], workspace[memory.tanh_cells + at.state]
        i, f, g, o = _gate(job, at, 0), _gate(job, at, 1), _gate(job, at, 2), _gate(job, at, 3)
        i, f, g, o, dc = lstm_backward(i, f, g, o, c_prev, tanh_c, dh, dc)
        _put(job, at, 0, i)
        _put(job, at, 1, f)
        _put(job, at, 2, g)
        _put(job, at, 3, o)
    elif cell == GRU_CELL:
        n_h, h_prev = workspace[memory.candidates + at.state], workspace[memory.states + at.state]
        r, z, n = _gate(job, at, 0), _gate(job, at, 1), _gate(job, at, 2)
        r, z, n, n_h, to_dh = gru_backward(r, z, n, n_h, h_prev, dh)
        _put(job, at, 0, r)
        _put(job, at, 1, z)
        _put(job, at, 2, n)
        workspace[memory.candidates + at.state] = n_h
    else:
        _put(job, at, 0, unit_backward(cell, _gate(job, at, 0), dh))
    workspace[memory.dh + at.last] = to_dh
    if cell == LSTM_CELL:
        workspace[memory.dc + at.last] = dc


@inner
def _product_of_dz(extents, memory, number, direction, sample, j):
    """Where a number of dZ W is: as `products._state_backward` has it."""
    n = extents.n
    return memory.products + ((sample * extents.gates + number) * extents.directions + direction) * n + j
