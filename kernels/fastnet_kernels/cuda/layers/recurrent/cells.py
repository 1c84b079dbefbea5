"""One step of each cell, for one number: gates from their Z, the state h, and the derivatives of both.

The formulas are those of `reference.recurrent`.
"""

import math

from ....codes import TANH_CELL
from ...codegen.compiling import formula
from ..activation import logistic


@formula
def unit(cell, z):
    """h of a plain unit, with tanh or ReLU; NaN stays NaN."""
    kind = type(z)
    if cell == TANH_CELL:
        return kind(math.tanh(z))
    return kind(0) if z <= 0 else z


@formula
def unit_backward(cell, h, dh):
    """dZ of a plain unit."""
    kind = type(h)
    if cell == TANH_CELL:
        return dh * (kind(1) - h * h)
    return dh if h > 0 else kind(0)


@formula
def lstm(i, f, g, o, c_prev):
    """Gates i, f, g and o from their Z, the cell c, tanh c and the state h."""
    kind = type(i)
    i, f, g, o = logistic(i), logistic(f), kind(math.tanh(g)), logistic(o)
    c = f * c_prev + i * g
    tanh_c = kind(math.tanh(c))
    return i, f, g, o, c, tanh_c, o * tanh_c


@formula
def lstm_backward(i, f, g, o, c_prev, tanh_c, dh, dc):
    """dZ of the four gates, and dc of the step before."""
    one = type(i)(1)
    dc += dh * o * (one - tanh_c * tanh_c)
    di, df = dc * g * i * (one - i), dc * c_prev * f * (one - f)
    return di, df, dc * i * (one - g * g), dh * tanh_c * o * (one - o), dc * f


@formula
def gru(r, z, n, n_h, h_prev):
    """Gates r and z and the candidate n from their Z, of which the part n_h comes from h_prev, and the state h."""
    kind = type(r)
    r, z = logistic(r), logistic(z)
    n = kind(math.tanh(n + r * n_h))
    return r, z, n, (kind(1) - z) * n + z * h_prev


@formula
def gru_backward(r, z, n, n_h, h_prev, dh):
    """dZ of r, z and n and of n_h, and what goes to h_prev directly."""
    one = type(r)(1)
    dn = dh * (one - z) * (one - n * n)
    return dn * n_h * r * (one - r), dh * (h_prev - n) * z * (one - z), dn, dn * r, dh * z
