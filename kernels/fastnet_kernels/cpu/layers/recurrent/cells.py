"""One step of each cell, number by number: gates from their Z, the state h, and the derivatives of both.

The formulas are those of `reference.recurrent`. A gate's number takes the place of its Z, and on the way back dZ takes
the place of the gate.
"""

from ....codes import GRU_CELL, LSTM_CELL, RELU_CELL, TANH_CELL
from ...codegen.arrays import vector
from ...codegen.compiling import inner, routine
from ...codegen.loops import map_numbers, map_to_many
from ...codegen.vector_math import tanh as tanh_of
from ..activation import sigmoid_of


@inner
def _relu(z):
    return type(z)(0) if z <= 0 else z


@inner
def _tanh_backward(h, dh):
    return dh * (type(h)(1) - h * h)


@inner
def _relu_backward(h, dh):
    return dh if h > 0 else type(h)(0)


@inner
def _lstm(i, f, g, o, c_prev):
    """Gates i, f, g and o from their Z, the cell c, tanh c and the state h."""
    i, f, g, o = sigmoid_of(i), sigmoid_of(f), tanh_of(g), sigmoid_of(o)
    c = f * c_prev + i * g
    tanh_c = tanh_of(c)
    return i, f, g, o, c, tanh_c, o * tanh_c


@inner
def _lstm_backward(i, f, g, o, c_prev, tanh_c, dh, dc):
    """dZ of the four gates, and dc of the step before."""
    one = type(i)(1)
    dc += dh * o * (one - tanh_c * tanh_c)
    di, df = dc * g * i * (one - i), dc * c_prev * f * (one - f)
    return di, df, dc * i * (one - g * g), dh * tanh_c * o * (one - o), dc * f


@inner
def _gru(r, z, n, n_h, h_prev):
    """Gates r and z and the candidate n from their Z, of which the part n_h comes from h_prev, and the state h."""
    r, z = sigmoid_of(r), sigmoid_of(z)
    n = tanh_of(n + r * n_h)
    return r, z, n, (type(z)(1) - z) * n + z * h_prev


@inner
def _gru_backward(r, z, n, n_h, h_prev, dh):
    """dZ of r, z and n and of n_h, and what goes to h_prev directly."""
    one = type(r)(1)
    dn = dh * (one - z) * (one - n * n)
    return dn * n_h * r * (one - r), dh * (h_prev - n) * z * (one - z), dn, dn * r, dh * z


@inner
def n_gates(cell):
    """How many rows of gates a unit has in memory."""
    return 4 if cell >= LSTM_CELL else 1


@inner
def n_weight_gates(cell):
    """How many rows of W a unit has."""
    return 4 if cell == LSTM_CELL else 3 if cell == GRU_CELL else 1


@inner
def _gates(data, offset, size):
    """The rows of the four gates of a step, `size` numbers each."""
    return (
        vector(data, offset, size),
        vector(data, offset + size, size),
        vector(data, offset + 2 * size, size),
        vector(data, offset + 3 * size, size),
    )


@routine
def step_forward(cell, data, gates, h_prev, c_prev, h, c, tanh_c, size):
    """A step of `size` numbers a gate: all are offsets in the buffer `data`."""
    state = vector(data, h, size)
    if cell == TANH_CELL:
        map_numbers(tanh_of, state, (vector(data, gates, size),), ())
    elif cell == RELU_CELL:
        map_numbers(_relu, state, (vector(data, gates, size),), ())
    elif cell == LSTM_CELL:
        i, f, g, o = _gates(data, gates, size)
        made = (i, f, g, o, vector(data, c, size), vector(data, tanh_c, size), state)
        map_to_many(_lstm, made, (i, f, g, o, vector(data, c_prev, size)), ())
    elif cell == GRU_CELL:
        r, z, n, n_h = _gates(data, gates, size)
        map_to_many(_gru, (r, z, n, state), (r, z, n, n_h, vector(data, h_prev, size)), ())


@routine
def step_backward(cell, data, gates, h_prev, c_prev, h, tanh_c, dh, dc, size):
    """Back through a step: dZ of its gates, dc of the step before, and what of a GRU's dh goes there directly."""
    d = vector(data, dh, size)
    if cell == TANH_CELL:
        map_numbers(_tanh_backward, vector(data, gates, size), (vector(data, h, size), d), ())
    elif cell == RELU_CELL:
        map_numbers(_relu_backward, vector(data, gates, size), (vector(data, h, size), d), ())
    elif cell == LSTM_CELL:
        i, f, g, o = _gates(data, gates, size)
        of_cell = vector(data, dc, size)
        given = (i, f, g, o, vector(data, c_prev, size), vector(data, tanh_c, size), d, of_cell)
        map_to_many(_lstm_backward, (i, f, g, o, of_cell), given, ())
    elif cell == GRU_CELL:
        r, z, n, n_h = _gates(data, gates, size)
        map_to_many(_gru_backward, (r, z, n, n_h, d), (r, z, n, n_h, vector(data, h_prev, size), d), ())
