"""Recurrent layers: a state h (m, n) from x (m, p) and the state before, at each of t steps of a sequence X (m, t, p).

W (g n, p) multiplies inputs and U (g n, n) the state before, a gate in n rows each, as PyTorch orders gates; h0 and c0
(m, n) stand before the first step. h and all else that a `..._forward` writes goes into its `..._backward`, with dh
(m, t, n), what comes to each state from above: there dW, dU, db, dX and dh0 are as W, U, b, X and h0. sigma is the
sigmoid.
"""

import numpy as np


def _sigmoid(z):
    return 0.5 * (np.tanh(0.5 * z) + 1)


def _before(first, h, t):
    """The state before step t."""
    return h[:, t - 1] if t else first


def recurrent_forward(X, W, U, b, h0, relu, h):
    """h[t] = g(W x[t] + U h[t-1] + b), for X (m, t, p), W (n, p), U (n, n), b (n,), h0 (m, n) and h (m, t, n).

    g is max(0, z) if `relu`, else tanh. Elman (1990).
    """
    for t in range(X.shape[1]):
        z = X[:, t] @ W.T + _before(h0, h, t) @ U.T + b
        h[:, t] = np.maximum(z, 0) if relu else np.tanh(z)


def recurrent_backward(dh, X, W, U, h0, h, relu, dW, dU, db, dX, dh0):
    """dW, dU, db, dX and dh0, as W, U, b, X and h0, from dh (m, t, n) and h as `recurrent_forward` leaves it."""
    dW[...], dU[...], db[...], dh0[...] = 0, 0, 0, 0
    for t in reversed(range(X.shape[1])):
        dz = (dh[:, t] + dh0) * (h[:, t] > 0 if relu else 1 - h[:, t] ** 2)
        dW += dz.T @ X[:, t]
        dU += dz.T @ _before(h0, h, t)
        db += dz.sum(axis=0)
        dX[:, t], dh0[...] = dz @ W, dz @ U


def lstm_forward(X, W, U, b, h0, c0, h, c, gates):
    """i, f, g, o = sigma, sigma, tanh, sigma of W x[t] + U h[t-1] + b; c[t] = f c[t-1] + i g; h[t] = o tanh(c[t]).

    X (m, t, p), W (4 n, p), U (4 n, n), b (4 n,), h0 and c0 (m, n); h and c (m, t, n) and gates (m, t, 4 n) are
    written. Hochreiter and Schmidhuber (1997); Gers, Schmidhuber and Cummins (2000).
    """
    for t in range(X.shape[1]):
        i, f, g, o = np.split(X[:, t] @ W.T + _before(h0, h, t) @ U.T + b, 4, axis=1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        gates[:, t] = np.concatenate([i, f, g, o], axis=1)
        c[:, t] = f * _before(c0, c, t) + i * g
        h[:, t] = o * np.tanh(c[:, t])


def lstm_backward(dh, dc, X, W, U, h0, c0, h, c, gates, dW, dU, db, dX, dh0, dc0):
    """dW, dU, db, dX, dh0 and dc0, as W, U, b, X, h0 and c0, from dh (m, t, n), and dc (m, n) of the last step's c.

    h, c (m, t, n) and gates (m, t, 4 n) are as `lstm_forward` leaves them.
    """
    dW[...], dU[...], db[...], dh0[...], dc0[...] = 0, 0, 0, 0, dc
    for t in reversed(range(X.shape[1])):
        i, f, g, o = np.split(gates[:, t], 4, axis=1)
        d, tanh_c, c_before = dh[:, t] + dh0, np.tanh(c[:, t]), _before(c0, c, t)
        d_c = dc0 + d * o * (1 - tanh_c**2)
        of_i, of_f, of_g = d_c * g * i * (1 - i), d_c * c_before * f * (1 - f), d_c * i * (1 - g**2)
        dz = np.concatenate([of_i, of_f, of_g, d * tanh_c * o * (1 - o)], axis=1)
        dW += dz.T @ X[:, t]
        dU += dz.T @ _before(h0, h, t)
        db += dz.sum(axis=0)
        dX[:, t], dh0[...], dc0[...] = dz @ W, dz @ U, d_c * f


def gru_forward(X, W, U, b, h0, h, gates):
    """r, z = sigma of W x[t] + U h[t-1] + b; q = U_n h[t-1] + b_q; n = tanh(W_n x[t] + b_n + r q); h[t] follows.

    h[t] = (1 - z) n + z h[t-1]. X (m, t, p), W (3 n, p) and U (3 n, n) for r, z and the candidate n, b (4 n,) for r, z,
    n and q, h0 (m, n); h (m, t, n) and gates (m, t, 4 n), which are r, z, n and q, are written. After Cho et al.
    (2014), with r behind the product, as cuDNN has it.
    """
    n = h.shape[2]
    for t in range(X.shape[1]):
        of_input, of_state = X[:, t] @ W.T + b[: 3 * n], _before(h0, h, t) @ U.T
        r, z = np.split(_sigmoid(of_input[:, : 2 * n] + of_state[:, : 2 * n]), 2, axis=1)
        q = of_state[:, 2 * n :] + b[3 * n :]
        candidate = np.tanh(of_input[:, 2 * n :] + r * q)
        gates[:, t] = np.concatenate([r, z, candidate, q], axis=1)
        h[:, t] = (1 - z) * candidate + z * _before(h0, h, t)


def gru_backward(dh, X, W, U, h0, h, gates, dW, dU, db, dX, dh0):
    """dW, dU, db, dX and dh0, as W, U, b, X and h0, from dh (m, t, n).

    h (m, t, n) and gates (m, t, 4 n) are as `gru_forward` leaves them.
    """
    dW[...], dU[...], db[...], dh0[...] = 0, 0, 0, 0
    for t in reversed(range(X.shape[1])):
        r, z, candidate, q = np.split(gates[:, t], 4, axis=1)
        d, before = dh[:, t] + dh0, _before(h0, h, t)
        dn, dz = d * (1 - z) * (1 - candidate**2), d * (before - candidate) * z * (1 - z)
        dr = dn * q * r * (1 - r)
        of_input, of_state = np.concatenate([dr, dz, dn], axis=1), np.concatenate([dr, dz, dn * r], axis=1)
        dW += of_input.T @ X[:, t]
        dU += of_state.T @ before
        db += np.concatenate([of_input, dn * r], axis=1).sum(axis=0)
        dX[:, t], dh0[...] = of_input @ W, d * z + of_state @ U
