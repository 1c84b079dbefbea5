"""Recurrent layers: sequences (m, t, p), states (m, t, n) and gates (m, t, g n), as in `reference`.

The part of all steps' inputs is one product, and so are dW, dU and dX. A step is two launches: a product with U by the
tiles of dense layers, and the cells, a number of the state a thread.
"""

import math

from ....codes import GRU_CELL, LSTM_CELL, RELU_CELL, TANH_CELL
from ...codegen.arrays import flat, scratch
from ...codegen.compiling import cuda, kernel
from ...codegen.launching import launch
from ...gemm.slabs import Matrices
from ...target import COLUMNS_AT_ONCE, THREADS
from ..dense import launch_product, sum_columns
from .cells import gru, lstm, unit, unit_backward
from .cells import gru_backward as _gru_dz
from .cells import lstm_backward as _lstm_dz


@kernel
def _step_forward(cell, k, t, n, Z, V, b, h0, c0, h, c, gates):
    """Step k of all samples: from the inputs' part Z (m, t, g n) and the state's V (m, g n), of g gates."""
    for e in range(cuda.grid(1), h0.size, cuda.gridsize(1)):
        i, j = e // n, e % n
        at = (i * t + k) * n + j
        if cell == LSTM_CELL:
            z, v, c_prev = (i * t + k) * 4 * n + j, i * 4 * n + j, c[at - n] if k > 0 else c0[e]
            gates[z], gates[z + n], gates[z + 2 * n], gates[z + 3 * n], c[at], _, h[at] = lstm(
                Z[z] + V[v], Z[z + n] + V[v + n], Z[z + 2 * n] + V[v + 2 * n], Z[z + 3 * n] + V[v + 3 * n], c_prev
            )
        elif cell == GRU_CELL:
            z, v, h_prev = (i * t + k) * 3 * n + j, i * 3 * n + j, h[at - n] if k > 0 else h0[e]
            q, g = V[v + 2 * n] + b[3 * n + j], (i * t + k) * 4 * n + j
            gates[g], gates[g + n], gates[g + 2 * n], h[at] = gru(
                Z[z] + V[v], Z[z + n] + V[v + n], Z[z + 2 * n], q, h_prev
            )
            gates[g + 3 * n] = q
        else:
            h[at] = unit(cell, Z[at] + V[e])


@kernel
def _step_backward(cell, k, t, n, dh, dc, h0, c0, h, c, gates, back, apart, before, dZ, dh0, dc0):
    """Back through step k of all samples: dZ (m, t, g n) of its gates, and the state before in `before` (m, t, n).

    From the step behind come dh0, of a GRU what goes there directly, `back` and `apart` (m, n), and dc0.
    """
    for e in range(cuda.grid(1), h0.size, cuda.gridsize(1)):
        i, j = e // n, e % n
        at = (i * t + k) * n + j
        g, d, h_prev = (i * t + k) * 4 * n + j, dh[at], h[at - n] if k > 0 else h0[e]
        before[at] = h_prev
        if k < t - 1:
            d += dh0[e]
            if cell == GRU_CELL:
                d += back[e] + apart[e]
        if cell == LSTM_CELL:
            c_prev, d_c = c[at - n] if k > 0 else c0[e], dc0[e] if k < t - 1 else dc[e]
            tanh_c = type(d)(math.tanh(c[at]))
            dZ[g], dZ[g + n], dZ[g + 2 * n], dZ[g + 3 * n], dc0[e] = _lstm_dz(
                gates[g], gates[g + n], gates[g + 2 * n], gates[g + 3 * n], c_prev, tanh_c, d, d_c
            )
        elif cell == GRU_CELL:
            dZ[g], dZ[g + n], dZ[g + 2 * n], dZ[g + 3 * n], dh0[e] = _gru_dz(
                gates[g], gates[g + n], gates[g + 2 * n], gates[g + 3 * n], h_prev, d
            )
        else:
            dZ[at] = unit_backward(cell, h[at], d)


@kernel
def _first_states(cell, t, dc, back, apart, dh0, dc0):
    """What comes to the states before the first step, when all steps have been gone back through."""
    for e in range(cuda.grid(1), dh0.size, cuda.gridsize(1)):
        if t == 0:
            dh0[e] = 0
            if cell == LSTM_CELL:
                dc0[e] = dc[e]
        elif cell == GRU_CELL:
            dh0[e] += back[e] + apart[e]


def _sizes_of(cell):
    """Of a unit: how many gates are kept, and how many rows W has."""
    return (4, 4) if cell == LSTM_CELL else (4, 3) if cell == GRU_CELL else (1, 1)


def _forward(cell, shapes, X, W, U, b, h0, c0, h, c, gates):
    (m, t, p), n = shapes
    rows = _sizes_of(cell)[1] * n
    # Of a GRU's candidate the parts stay apart, which leaves no place for Z in the gates.
    Z = scratch(m * t * rows, h) if cell == GRU_CELL else gates
    V, blocks = scratch(m * rows, h), -(-m * n // THREADS)
    launch_product(Z, 0, rows, Matrices(X, 0, p, 1, W, 0, p, 1), m * t, rows, p, b)
    for k in range(t):
        before = (h, (k - 1) * n, t * n, 1) if k > 0 else (h0, 0, n, 1)
        launch_product(V, 0, rows, Matrices(*before, U, 0, n, 1), m, rows, n)
        launch(_step_forward, blocks, cell, k, t, n, Z, V, b, h0, c0, h, c, gates)


def _backward(cell, shapes, dh, dc, X, W, U, h0, c0, h, c, gates, dW, dU, db, dX, dh0, dc0):
    (m, t, p), n = shapes
    kept, rows = (size * n for size in _sizes_of(cell))
    dZ, before, blocks = scratch(m * t * kept, h), scratch(m * t * n, h), -(-m * n // THREADS)
    back, apart = (scratch(m * n, h), scratch(m * n, h)) if cell == GRU_CELL else (dh0, dh0)
    # Rows of dZ and of U that go to the state before: of a GRU's candidate the part that comes from it is apart.
    parts = [(0, 0, 2 * n, back), (3 * n, 2 * n, n, apart)] if cell == GRU_CELL else [(0, 0, rows, dh0)]
    for k in reversed(range(t)):
        launch(_step_backward, blocks, cell, k, t, n, dh, dc, h0, c0, h, c, gates, back, apart, before, dZ, dh0, dc0)
        for column, row, depth, target in parts:
            factors = Matrices(dZ, k * kept + column, t * kept, 1, U, row * n, 1, n)
            launch_product(target, 0, n, factors, m, n, depth)
    launch(_first_states, blocks, cell, t, dc, back, apart, dh0, dc0)
    launch_product(dW, 0, p, Matrices(dZ, 0, 1, kept, X, 0, 1, p), rows, p, m * t)
    launch_product(dX, 0, p, Matrices(dZ, 0, kept, 1, W, 0, 1, p), m * t, p, rows)
    for column, row, count, _ in parts:
        launch_product(dU, row * n, n, Matrices(dZ, column, 1, kept, before, 0, 1, n), count, n, m * t)
    launch(sum_columns, -(-kept // COLUMNS_AT_ONCE), dZ, m * t, kept, db)


def recurrent_forward(X, W, U, b, h0, relu, h):
    """h[t] = g(W x[t] + U h[t-1] + b), for X (m, t, p), W (n, p), U (n, n), b (n,), h0 (m, n) and h (m, t, n).

    g is max(0, z) if `relu`, else tanh.
    """
    shapes = X.shape, h.shape[2]
    X, W, U, b, h0, h = flat(X, W, U, b, h0, h)
    _forward(RELU_CELL if relu else TANH_CELL, shapes, X, W, U, b, h0, h0, h, h, h)


def recurrent_backward(dh, X, W, U, h0, h, relu, dW, dU, db, dX, dh0):
    """dW, dU, db, dX and dh0, as W, U, b, X and h0, from dh (m, t, n) and h as `recurrent_forward` leaves it."""
    shapes = X.shape, h.shape[2]
    dh, X, W, U, h0, h, *made = flat(dh, X, W, U, h0, h, dW, dU, db, dX, dh0)
    _backward(RELU_CELL if relu else TANH_CELL, shapes, dh, dh, X, W, U, h0, h0, h, h, h, *made, made[-1])


def lstm_forward(X, W, U, b, h0, c0, h, c, gates):
    """i, f, g, o = sigma, sigma, tanh, sigma of W x[t] + U h[t-1] + b; c[t] = f c[t-1] + i g; h[t] = o tanh(c[t]).

    X (m, t, p), W (4 n, p), U (4 n, n), b (4 n,), h0 and c0 (m, n); h and c (m, t, n) and gates (m, t, 4 n) are
    written.
    """
    _forward(LSTM_CELL, (X.shape, h.shape[2]), *flat(X, W, U, b, h0, c0, h, c, gates))


def lstm_backward(dh, dc, X, W, U, h0, c0, h, c, gates, dW, dU, db, dX, dh0, dc0):
    """dW, dU, db, dX, dh0 and dc0, as W, U, b, X, h0 and c0, from dh (m, t, n), and dc (m, n) of the last step's c.

    h, c (m, t, n) and gates (m, t, 4 n) are as `lstm_forward` leaves them.
    """
    shapes = X.shape, h.shape[2]
    _backward(LSTM_CELL, shapes, *flat(dh, dc, X, W, U, h0, c0, h, c, gates, dW, dU, db, dX, dh0, dc0))


def gru_forward(X, W, U, b, h0, h, gates):
    """r, z = sigma of W x[t] + U h[t-1] + b; q = U_n h[t-1] + b_q; n = tanh(W_n x[t] + b_n + r q); h[t] follows.

    h[t] = (1 - z) n + z h[t-1]. X (m, t, p), W (3 n, p) and U (3 n, n) for r, z and the candidate n, b (4 n,) for r, z,
    n and q, h0 (m, n); h (m, t, n) and gates (m, t, 4 n), which are r, z, n and q, are written.
    """
    shapes = X.shape, h.shape[2]
    X, W, U, b, h0, h, gates = flat(X, W, U, b, h0, h, gates)
    _forward(GRU_CELL, shapes, X, W, U, b, h0, h0, h, h, gates)


def gru_backward(dh, X, W, U, h0, h, gates, dW, dU, db, dX, dh0):
    """dW, dU, db, dX and dh0, as W, U, b, X and h0, from dh (m, t, n).

    h (m, t, n) and gates (m, t, 4 n) are as `gru_forward` leaves them.
    """
    shapes = X.shape, h.shape[2]
    dh, X, W, U, h0, h, gates, *made = flat(dh, X, W, U, h0, h, gates, dW, dU, db, dX, dh0)
    _backward(GRU_CELL, shapes, dh, dh, X, W, U, h0, h0, h, h, gates, *made, made[-1])
