"""Shorter sequences among longer ones, against PyTorch's packed sequences; and derivatives that do not go far back."""

import dataclasses

import numpy as np
import pytest

import fastnet as fn

RNG = np.random.default_rng(0)
LAYERS = [fn.Recurrent(5, "relu"), fn.Recurrent(5), fn.LSTM(5), fn.GRU(5)]
BOTH = {"return_sequences": True, "bidirectional": True}


def padded(m, t, n=3):
    """Sequences of 1 to t steps, with zeros behind them."""
    X, lengths = RNG.standard_normal((m, t, n)), RNG.integers(1, t + 1, m)
    for x, length in zip(X, lengths, strict=True):
        x[length:] = 0
    return X, lengths


def with_biases(net):
    for name, array in net.parameters.items():
        if name[0] == "b":
            array[...] = RNG.standard_normal(array.shape) / 3
    return net


@pytest.mark.parametrize("m", [1, 40])
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_outputs_and_gradients_are_those_of_packed_sequences(torch, layer, m, threads):
    (X, lengths), y = padded(m, 9), RNG.integers(0, 3, m)
    layers = [
        dataclasses.replace(layer, **BOTH),
        dataclasses.replace(layer, bidirectional=True),
        fn.Dense(3, "softmax"),
    ]
    net = with_biases(fn.Network([fn.Masking(), *layers], dtype="float64").build((9, 3)))
    twin = fn.Network(layers, dtype="float64").build((9, 3))
    twin.take_parameters(net)
    first, _, second, _, dense, _ = fn.to_torch(twin)
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(X), lengths, batch_first=True, enforce_sorted=False)
    _, last = second(first(packed)[0])
    last = last[0] if isinstance(last, tuple) else last
    logits = dense(torch.cat([last[0], last[1]], dim=1))
    torch.nn.functional.cross_entropy(logits, torch.tensor(y)).backward()
    np.testing.assert_allclose(net.outputs(X), torch.softmax(logits, 1).detach().numpy(), atol=1e-12)
    gradients = net.gradients(X, y)
    np.testing.assert_allclose(gradients["W3"], dense.weight.grad.numpy(), atol=1e-13)
    for number, module in ((1, first), (2, second)):
        of_state = np.vstack([module.weight_hh_l0.grad.numpy(), module.weight_hh_l0_reverse.grad.numpy()])
        of_input = np.vstack([module.weight_ih_l0.grad.numpy(), module.weight_ih_l0_reverse.grad.numpy()])
        np.testing.assert_allclose(gradients[f"W{number}"], np.hstack([of_state, of_input]), atol=1e-12)
    assert fn.check_gradients(net, X, y, at_most=20) < 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_padding_does_not_change_a_bit(layer, dtype):
    layers = [fn.Masking(), dataclasses.replace(layer, **BOTH), layer, fn.Dense(3, "softmax")]
    net = with_biases(fn.Network(layers, dtype=dtype).build((6, 2)))
    (X, lengths), before = padded(50, 6, 2), np.zeros((50, 3, 2))
    for other in (np.concatenate([X, before], axis=1), np.concatenate([before, X], axis=1)):
        np.testing.assert_array_equal(net.outputs(X), net.outputs(other))
    bare = fn.Network(layers[1:], dtype=dtype).build((6, 2))
    bare.take_parameters(net)
    for x, length, output in zip(X, lengths, net.outputs(X), strict=True):
        np.testing.assert_array_equal(bare.outputs(x[np.newaxis, :length])[0], output)


def test_steps_between_others_and_words_are_left_out(tmp_path):
    X, y = RNG.integers(0, 6, (60, 7)), RNG.integers(0, 3, 60)
    net = fn.Network([fn.Masking(0), fn.Embedding(6, 5), fn.LSTM(4, bidirectional=True), fn.Dense(3, "softmax")])
    before = net.build((7,)).parameters["W1"].copy()
    net.fit(X, y, epochs=2, verbose=False)
    np.testing.assert_array_equal(net.parameters["W1"][0], before[0])
    for x, output in zip(X, net.outputs(X), strict=True):
        if x.any():
            np.testing.assert_allclose(net.outputs(x[x > 0][np.newaxis])[0], output, rtol=1e-6)
    net.save(tmp_path / "net.safetensors")
    again = fn.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again.outputs(X), net.outputs(X))
    assert again.layers == net.layers


def test_the_number_left_out_is_that_behind_rescale():
    X = RNG.integers(1, 256, (20, 7, 2), np.uint8)
    X[:, 4:] = 51
    net = fn.Network([fn.Rescale(1 / 51), fn.Masking(1), fn.GRU(4), fn.Dense(3)]).build((7, 2))
    np.testing.assert_array_equal(net.outputs(X), net.outputs(X[:, :4]))


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_truncated_derivatives_are_those_of_detached_states(torch, layer):
    X, y = RNG.standard_normal((20, 7, 3)), RNG.integers(0, 3, (20, 7))
    layer = dataclasses.replace(layer, return_sequences=True)
    whole = with_biases(fn.Network([layer, fn.Dense(3, "softmax")], dtype="float64").build((7, 3)))
    net = fn.Network([dataclasses.replace(layer, truncate=3), fn.Dense(3, "softmax")], dtype="float64").build((7, 3))
    net.take_parameters(whole)
    np.testing.assert_array_equal(net.outputs(X), whole.outputs(X))
    module, _, dense, _ = fn.to_torch(net)
    state, logits = None, []
    for first in (0, 3, 6):
        states, state = module(torch.tensor(X[:, first : first + 3]), state)
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        logits.append(dense(states))
    torch.nn.functional.cross_entropy(torch.cat(logits, 1).reshape(-1, 3), torch.tensor(y).ravel()).backward()
    expected = np.hstack([module.weight_hh_l0.grad.numpy(), module.weight_ih_l0.grad.numpy()])
    np.testing.assert_allclose(net.gradients(X, y)["W1"], expected, atol=1e-13)
    assert np.abs(whole.gradients(X, y)["W1"] - expected).max() > 1e-5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fn.Masking("x"), "value='x' is a str"),
        (lambda: fn.Network([fn.LSTM(3), fn.Masking(), fn.Dense(1)]), "layer 2 is Masking: it can only be the first"),
        (
            lambda: fn.Network([fn.Masking(), fn.LSTM(3, return_sequences=True), fn.Dense(1)]).build((5, 2)),
            "Masking leaves",
        ),
        (
            lambda: fn.Network([fn.Masking(), fn.Conv1D(3, 2), fn.LSTM(3), fn.Dense(1)]).build((5, 2)),
            "sees several steps",
        ),
        (lambda: fn.Network([fn.Masking(), fn.Dense(1)]).build((5, 2)), "which recurrent layers understand"),
        (lambda: fn.Network([fn.Masking(), fn.LSTM(3), fn.Dense(1)]).build((5, 2, 2)), "it takes sequences"),
        (
            lambda: fn.to_torch(fn.Network([fn.Masking(), fn.LSTM(3), fn.Dense(1)]).build((5, 2))),
            "no module like Masking",
        ),
        (lambda: fn.Network([fn.Masking(), fn.LSTM(3), fn.Dense(1)]).build((5, 2)).to_onnx("x"), "no operator like"),
        (lambda: fn.LSTM(3, truncate=0), "truncate=0 is below 1"),
    ],
)
def test_what_cannot_be(make, message, torch):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
