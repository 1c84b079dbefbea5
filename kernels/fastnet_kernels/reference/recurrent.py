"""Recurrent layers: a state h (m, n) from x (m, n_prev) and the state before, at each of t steps.

W (g n, n + n_prev) multiplies v[t] = [h[t-1], x[t]], a gate in n rows each. Before the first step h and c are 0. Each
`..._forward` saves what goes back with it; each `..._backward` gets it, and dh (m, t, n), what comes to each state from
above. sigma is the sigmoid.
"""

import numpy as np


def _sigmoid(z):
    return 0.5 * (np.tanh(0.5 * z) + 1)


def _joined(h, t, X):
    """v[t] (m, n + n_prev), of states h (m, t + 1, n), of which the first is that before the first step."""
    return np.concatenate([h[:, t], X[:, t]], axis=1)


def recurrent_forward(X, W, b, nonlinearity, h):
    """h[t] = g(W v[t] + b), for X (m, t, n_prev) and h (m, t + 1, n), of which h[:, 0] is given; g is tanh or relu.

    Elman (1990).
    """
    for t in range(X.shape[1]):
        z = _joined(h, t, X) @ W.T + b
        h[:, t + 1] = np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0)


def recurrent_backward(dh, X, W, nonlinearity, h, dW, db, dX):
    """dW, db and dX from dh (m, t, n), all as W, b and X; h is as `recurrent_forward` leaves it."""
    dW[...], db[...], n, back = 0, 0, h.shape[2], np.zeros_like(h[:, 0])
    for t in reversed(range(X.shape[1])):
        state = h[:, t + 1]
        dz = (dh[:, t] + back) * (1 - state**2 if nonlinearity == "tanh" else state > 0)
        dW += dz.T @ _joined(h, t, X)
        db += dz.sum(axis=0)
        back, dX[:, t] = dz @ W[:, :n], dz @ W[:, n:]


def lstm_forward(X, W, b, h, c, gates):
    """i, f, g, o = sigma, sigma, tanh, sigma of W v[t] + b; c[t] = f c[t-1] + i g; h[t] = o tanh(c[t]).

    X (m, t, n_prev), h and c (m, t + 1, n), of which h[:, 0] and c[:, 0] are given, and gates (m, t, 4 n). Hochreiter
    and Schmidhuber (1997); Gers, Schmidhuber and Cummins (2000).
    """
    for t in range(X.shape[1]):
        i, f, g, o = np.split(_joined(h, t, X) @ W.T + b, 4, axis=1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        gates[:, t] = np.concatenate([i, f, g, o], axis=1)
        c[:, t + 1] = f * c[:, t] + i * g
        h[:, t + 1] = o * np.tanh(c[:, t + 1])


def lstm_backward(dh, X, W, h, c, gates, dW, db, dX):
    """dW, db and dX from dh (m, t, n); h, c and gates are as `lstm_forward` leaves them."""
    dW[...], db[...], n = 0, 0, h.shape[2]
    back, dc = np.zeros_like(h[:, 0]), np.zeros_like(h[:, 0])
    for t in reversed(range(X.shape[1])):
        i, f, g, o = np.split(gates[:, t], 4, axis=1)
        d, tanh_c = dh[:, t] + back, np.tanh(c[:, t + 1])
        dc = dc + d * o * (1 - tanh_c**2)
        di, df, dg, do = dc * g * i * (1 - i), dc * c[:, t] * f * (1 - f), dc * i * (1 - g**2), d * tanh_c * o * (1 - o)
        dz = np.concatenate([di, df, dg, do], axis=1)
        dW += dz.T @ _joined(h, t, X)
        db += dz.sum(axis=0)
        back, dX[:, t], dc = dz @ W[:, :n], dz @ W[:, n:], dc * f


def gru_forward(X, W, b, h, gates):
    """r, z = sigma of their rows of W v[t] + b; n = tanh(W_nx x[t] + b_n + r n_h); h[t] = (1 - z) n + z h[t-1].

    n_h = W_nh h[t-1] + b_nh. X (m, t, n_prev), W (3 n, n + n_prev) for r, z and n, b (4 n,) for r, z, n and nh, and
    h (m, t + 1, n), of which h[:, 0] is given; gates (m, t, 4 n) are r, z, n and n_h. After Cho et al. (2014), with r
    behind the product, as cuDNN has it.
    """
    n = h.shape[2]
    for t in range(X.shape[1]):
        r, z = np.split(_sigmoid(_joined(h, t, X) @ W[: 2 * n].T + b[: 2 * n]), 2, axis=1)
        n_h = h[:, t] @ W[2 * n :, :n].T + b[3 * n :]
        candidate = np.tanh(X[:, t] @ W[2 * n :, n:].T + b[2 * n : 3 * n] + r * n_h)
        gates[:, t] = np.concatenate([r, z, candidate, n_h], axis=1)
        h[:, t + 1] = (1 - z) * candidate + z * h[:, t]


def gru_backward(dh, X, W, h, gates, dW, db, dX):
    """dW, db and dX from dh (m, t, n); h and gates are as `gru_forward` leaves them."""
    dW[...], db[...], n, back = 0, 0, h.shape[2], np.zeros_like(h[:, 0])
    for t in reversed(range(X.shape[1])):
        r, z, candidate, n_h = np.split(gates[:, t], 4, axis=1)
        d = dh[:, t] + back
        dn = d * (1 - z) * (1 - candidate**2)
        of_gates = np.concatenate([dn * n_h * r * (1 - r), d * (h[:, t] - candidate) * z * (1 - z)], axis=1)
        dW[: 2 * n] += of_gates.T @ _joined(h, t, X)
        dW[2 * n :, :n] += (dn * r).T @ h[:, t]
        dW[2 * n :, n:] += dn.T @ X[:, t]
        db += np.concatenate([of_gates, dn, dn * r], axis=1).sum(axis=0)
        back = d * z + of_gates @ W[: 2 * n, :n] + (dn * r) @ W[2 * n :, :n]
        dX[:, t] = of_gates @ W[: 2 * n, n:] + dn @ W[2 * n :, n:]
