"""The public kernels of recurrent layers: true derivatives, PyTorch's numbers, sequences in pieces, a layer's W."""

import fastnet_kernels.cpu as cpu
import numpy as np
import pytest

import fastnet as fn

CELLS = {"tanh": (1, 1), "relu": (1, 1), "lstm": (4, 4), "gru": (3, 4)}  # of a unit: rows of W, numbers of b
SIZES = [(1, 15, 17, 33), (15, 2, 1, 17), (33, 3, 33, 15), (17, 4, 15, 1)]


def drawn(cell, m, t, p, n, seed=0):
    """X, W, U, b and the states before the first step, float64."""
    rng, (rows, biases) = np.random.default_rng(seed), CELLS[cell]
    X, b = rng.standard_normal((m, t, p)), rng.standard_normal(biases * n)
    W, U = rng.standard_normal((rows * n, p)) / np.sqrt(p), rng.standard_normal((rows * n, n)) / np.sqrt(n)
    return X, W, U, b, *(rng.standard_normal((m, n)) for _ in range(2 if cell == "lstm" else 1))


def forward(cell, X, W, U, b, *first):
    """What is kept: h, and of an LSTM c, and of those with gates these."""
    (m, t, _), n = X.shape, U.shape[1]
    kept = [np.full((m, t, n), np.nan) for _ in first]
    if cell in ("tanh", "relu"):
        cpu.recurrent_forward(X, W, U, b, *first, cell == "relu", *kept)
        return kept
    kept.append(np.full((m, t, 4 * n), np.nan))
    getattr(cpu, f"{cell}_forward")(X, W, U, b, *first, *kept)
    return kept


def backward(cell, above, X, W, U, b, *rest):
    """dX, dW, dU, db and those of the states before; `rest` are these states, and what `forward` has kept."""
    count = 2 if cell == "lstm" else 1
    made = [np.full_like(array, np.nan) for array in (W, U, b, X, *rest[:count])]
    if cell in ("tanh", "relu"):
        cpu.recurrent_backward(*above, X, W, U, *rest, cell == "relu", *made)
    else:
        getattr(cpu, f"{cell}_backward")(*above, X, W, U, *rest, *made)
    return made[3], *made[:3], *made[4:]


def weights_of(cell, m, t, n, seed=1):
    """What a sum of all states weighs them with, and of an LSTM the last step's c."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((m, t, n)), *([rng.standard_normal((m, n))] if cell == "lstm" else [])]


@pytest.mark.parametrize("cell", CELLS)
def test_derivatives_are_those_of_differences(cell):
    m, t, p, n = 3, 4, 2, 5
    given, above = drawn(cell, m, t, p, n), weights_of(cell, m, t, n)

    def total():
        h, *rest = forward(cell, *given)
        return (h * above[0]).sum() + ((rest[0][:, -1] * above[1]).sum() if cell == "lstm" else 0)

    found, step = backward(cell, above, *given, *forward(cell, *given)), 1e-6
    for array, derivative in zip(given, found, strict=True):
        differences = np.empty_like(array)
        for place in np.ndindex(array.shape):
            before = array[place]
            array[place] = before + step
            higher = total()
            array[place] = before - step
            differences[place] = (higher - total()) / (2 * step)
            array[place] = before
        np.testing.assert_allclose(derivative, differences, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", CELLS)
def test_numbers_are_those_of_pytorch(cell, size, torch):
    m, t, _, n = size
    given, above = drawn(cell, *size), weights_of(cell, m, t, n)
    X, W, U, b, *first = (torch.from_numpy(array.copy()).requires_grad_() for array in given)
    of_state = torch.zeros_like(U[:, 0])
    if cell == "gru":
        of_state = torch.cat((of_state[: 2 * n], b[3 * n :]))
    kind = getattr(torch, cell if cell in ("lstm", "gru") else f"rnn_{cell}")
    states = tuple(state[None] for state in first)
    parameters = [W, U, b[: len(W)], of_state]
    h, *last = kind(X, states if cell == "lstm" else states[0], parameters, True, 1, 0.0, False, False, True)
    kept = forward(cell, *given)
    np.testing.assert_allclose(kept[0], h.detach().numpy(), rtol=1e-10, atol=1e-10)
    total = (h * torch.from_numpy(above[0])).sum()
    if cell == "lstm":
        np.testing.assert_allclose(kept[1][:, -1], last[1][0].detach().numpy(), rtol=1e-10, atol=1e-10)
        total = total + (last[1][0] * torch.from_numpy(above[1])).sum()
    expected = torch.autograd.grad(total, [X, W, U, b, *first])
    for ours, theirs in zip(backward(cell, above, *given, *kept), expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_in_pieces(cell):
    """States go over from piece to piece, and derivatives back: what comes out is that of the whole sequence."""
    m, t, p, n = 40, 6, 9, 20
    X, W, U, b, *first = drawn(cell, m, t, p, n)
    above = weights_of(cell, m, t, n)
    whole = forward(cell, X, W, U, b, *first)
    expected = backward(cell, above, X, W, U, b, *first, *whole)
    cuts, kept, before = [slice(0, 2), slice(2, 6)], [], [first]
    for steps in cuts:
        kept.append(forward(cell, X[:, steps], W, U, b, *before[-1]))
        before.append([np.ascontiguousarray(states[:, -1]) for states in kept[-1][: len(first)]])
    for place, states in enumerate(whole):
        together = np.concatenate([piece[place] for piece in kept], axis=1)
        np.testing.assert_allclose(together, states, rtol=1e-12, atol=1e-12)
    sums, back = [0, 0, 0], None
    for steps, states, piece in zip(cuts[::-1], before[-2::-1], kept[::-1], strict=True):
        dh, dc = above[0][:, steps].copy(), above[1:]
        if back:
            dh[:, -1] += back[0]
            dc = back[1:]
        dX, dW, dU, db, *back = backward(cell, [dh, *dc], X[:, steps], W, U, b, *states, *piece)
        np.testing.assert_allclose(dX, expected[0][:, steps], rtol=1e-12, atol=1e-12)
        sums = [total + part for total, part in zip(sums, (dW, dU, db), strict=True)]
    for found, exact in zip([*sums, *back], expected[1:], strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-11, atol=1e-11)


@pytest.mark.slow  # in float32, for which other quick tests compile none of these kernels
@pytest.mark.parametrize(
    ("cell", "layer"),
    [("tanh", fn.Recurrent(7, return_sequences=True)), ("lstm", fn.LSTM(7, return_sequences=True)),
     ("gru", fn.GRU(7, return_sequences=True))],
)  # fmt: skip
def test_a_layers_own_parameters(cell, layer):
    """W of a layer has the columns of U first: both are views of it."""
    net = fn.Network([layer, fn.Dense(1)], seed=3).build((5, 4))
    X = np.random.default_rng(0).standard_normal((37, 5, 4)).astype(np.float32)
    W, b = net.parameters["W1"], net.parameters["b1"]
    h, first = np.empty((37, 5, 7), np.float32), np.zeros((37, 7), np.float32)
    given = [X, W[:, 7:], W[:, :7], b, *[first] * (2 if cell == "lstm" else 1)]
    if cell == "tanh":
        cpu.recurrent_forward(*given, False, h)
    else:
        rest = [np.empty_like(h), np.empty((37, 5, 28), np.float32)][-1 if cell == "gru" else 0 :]
        getattr(cpu, f"{cell}_forward")(*given, h, *rest)
    expected = h @ net.parameters["W2"].T + net.parameters["b2"]
    np.testing.assert_allclose(net.predict(X), expected[..., 0], rtol=2e-5, atol=2e-5)
