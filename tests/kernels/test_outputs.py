"""What PREDICT stores says the same as what EVALUATE counts, however close numbers are."""

import numpy as np
import pytest

import fastnet as fn


def reading_logits(layer, dtype):
    """A network whose logits are its inputs."""
    net = fn.Network([layer], dtype=dtype).build(layer.units)
    net.parameters["W1"][:] = np.eye(layer.units)
    return net


def close_numbers(m, n, dtype, rng):
    """Tiny ones, equal ones, and neighbours at any height."""
    X = rng.integers(-2, 3, (m, n)) * 10.0 ** rng.uniform(-40 if dtype == "float32" else -300, 0, (m, 1))
    X[::3] += rng.choice([-90, -1, 1, 3, 70], (len(X[::3]), 1))
    X = X.astype(dtype)
    X[::5, -1] = np.nextafter(X[::5, 0], np.array(np.inf, dtype))
    X[1::5, 0] = np.nextafter(np.zeros(len(X[1::5]), dtype), X[1::5, -1])
    return X


def agree(net, X, y):
    """Accuracy is the share of right predictions, to the last sample."""
    found = net.predict(X)
    assert net.evaluate(X, y)["accuracy"] == np.mean(found == y)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 2, 3, 33, 4000])
def test_predictions_are_what_logits_say(m, dtype):
    rng = np.random.default_rng(m)
    softmax, sigmoid, several = (
        reading_logits(fn.Dense(*arguments), dtype) for arguments in ((3, "softmax"), (1, "sigmoid"), (4, "sigmoid"))
    )
    for _ in range(600 // m if m < 33 else 1):
        X = close_numbers(m, 3, dtype, rng)
        np.testing.assert_array_equal(softmax.predict(X), X.argmax(axis=1))
        X = close_numbers(m, 4, dtype, rng)
        np.testing.assert_array_equal(several.predict(X), X > 0)
        np.testing.assert_array_equal(sigmoid.predict(X[:, :1]), X[:, 0] > 0)
        if m == 1:
            assert softmax.evaluate(X[:, :3], X[:, :3].argmax(axis=1))["accuracy"] == 1
            assert sigmoid.evaluate(X[:, :1], X[:, 0] > 0)["accuracy"] == 1
    agree(softmax, X[:, :3], rng.integers(0, 3, m))
    agree(sigmoid, X[:, :1], rng.integers(0, 2, m))
    agree(several, X, rng.integers(0, 2, X.shape))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_move_by_two_units_of_the_last_place(dtype):
    wider = np.float64 if dtype == "float32" else np.longdouble
    rng = np.random.default_rng(0)
    X = close_numbers(4000, 4, dtype, rng)
    a = reading_logits(fn.Dense(4, "sigmoid"), dtype).predict_proba(X)
    exact = 1 / (1 + np.exp(-X.astype(wider)))
    units = np.abs(a - exact) / np.spacing(exact.astype(dtype)).astype(wider)
    assert units[(X > 0) & (X < 1e-3)].max() <= 2
    assert units[exact > np.finfo(dtype).tiny].max() <= 2.5
    a = reading_logits(fn.Dense(4, "softmax"), dtype).predict_proba(X)
    exact = np.exp(X.astype(wider) - X.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    units = np.abs(a - exact) / np.spacing(exact.astype(dtype)).astype(wider)
    assert units[exact > np.finfo(dtype).tiny].max() <= 6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", [[fn.Dense(8, "tanh"), fn.Dense(5, "softmax")], [fn.Dense(1, "sigmoid")]], ids=repr)
def test_accuracy_is_the_share_of_right_predictions(layers, dtype, threads):
    """Of logits that are sums, about half of them too close to tell their probabilities apart."""
    rng = np.random.default_rng(1)
    net = fn.Network(layers, dtype=dtype).build(30)
    net.parameters[f"W{len(layers)}"][:] *= np.finfo(dtype).eps
    X, y = rng.standard_normal((9001, 30)), rng.integers(0, max(2, layers[-1].units), 9001)
    agree(net, X, y)
    for i in range(300):
        agree(net, X[i : i + 1], y[i : i + 1])
        assert net.evaluate(X[i : i + 1], y[i : i + 1], sample_weight=[2.0])["accuracy"] == (
            net.predict(X[i : i + 1]) == y[i : i + 1]
        )


def test_one_sample_costs_what_it_does_among_others():
    rng = np.random.default_rng(2)
    for layers in ([fn.Dense(8, "tanh"), fn.Dense(5, "softmax")], [fn.Dense(1, "sigmoid")], [fn.Dense(2, "tanh")]):
        net = fn.Network(layers, dtype="float64").build(6)
        X, y = rng.standard_normal((7, 6)), rng.integers(0, 2, 7)
        y = rng.random((7, 2)) if layers[-1].activation == "tanh" else y
        weights = rng.random(7)
        costs = [net.evaluate(X[i : i + 1], y[i : i + 1])["cost"] for i in range(7)]
        weighted = [net.evaluate(X[i : i + 1], y[i : i + 1], sample_weight=weights[i : i + 1]) for i in range(7)]
        assert net.evaluate(X, y)["cost"] == pytest.approx(np.mean(costs), rel=1e-12)
        np.testing.assert_allclose([found["cost"] for found in weighted], costs * weights, rtol=1e-12)
