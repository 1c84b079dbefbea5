"""Backward propagation against central differences, for every activation, loss, depth and batch size."""

import numpy as np
import pytest
from truth import Truth

import fastnet as fn

ELEMENTWISE = ["linear", "sigmoid", "tanh", "relu", "leaky_relu"]
OUTPUTS = [("sigmoid", "log_loss"), ("softmax", "cross_entropy")] + [(name, "squared_error") for name in ELEMENTWISE]


def problem(hidden, output, loss, depth, m, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    units = 1 if loss == "log_loss" else 3
    widths = [5, 17, 4, 6][: depth - 1]
    layers = [fn.Dense(n, hidden, slope=0.1) for n in widths] + [fn.Dense(units, output, slope=0.2)]
    net = fn.Network(layers, loss=loss, dtype=dtype, seed=seed).build(7)
    for name, parameter in net.parameters.items():
        if name.startswith("b"):
            parameter[:] = rng.standard_normal(parameter.shape) * 0.3
        elif hidden == "sigmoid":
            parameter *= 4  # its slope is at most 1/4: else gradients vanish below what differences can resolve
    X = rng.standard_normal((m, 7))
    y = rng.random((m, units)) if loss == "squared_error" else rng.integers(0, max(2, units), m)
    return net, X, y


@pytest.mark.parametrize("m", [1, 2, 15, 33])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
@pytest.mark.parametrize("hidden", ELEMENTWISE)
def test_gradients_match_differences(hidden, output, loss, depth, m):
    if depth == 1 and hidden != "linear":
        return  # there is no hidden layer to try
    net, X, y = problem(hidden, output, loss, depth, m, seed=depth * 100 + m)
    assert fn.check_gradients(net, X, y) < 1e-7


def test_gradients_in_float32():
    net, X, y = problem("tanh", "softmax", "cross_entropy", 3, 33, dtype="float32")
    assert 1e-9 < fn.check_gradients(net, X, y) < 1e-5


def test_gradients_through_rescale_and_bytes():
    net = fn.Network([fn.Rescale(1 / 255, -0.5), fn.Dense(6, "tanh"), fn.Dense(1)], dtype="float64").build(20)
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 5), dtype=np.uint8)
    assert fn.check_gradients(net, images, np.arange(9.0)) < 1e-7


def test_a_wrong_gradient_is_found(monkeypatch):
    net, X, y = problem("tanh", "sigmoid", "log_loss", 3, 9)
    right = net.gradients(X, y)
    wrong = {name: array * (1.001 if name == "W2" else 1) for name, array in right.items()}
    monkeypatch.setattr(net, "gradients", lambda X, y: wrong)
    assert fn.check_gradients(net, X, y) > 1e-4


def test_checking_leaves_the_network_alone():
    net, X, y = problem("relu", "softmax", "cross_entropy", 3, 9)
    before = net.buffer.copy()
    fn.check_gradients(net, X, y, at_most=3)
    np.testing.assert_array_equal(net.buffer, before)


def test_the_course_formulas_for_one_layer():
    """dW = (A - Y)^T X / m and db = mean(A - Y), as logistic regression is taught."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 6)), rng.integers(0, 2, 20)
    net = fn.Network([fn.Dense(1, "sigmoid")], dtype="float64").build(6)
    A = 1 / (1 + np.exp(-(X @ net.parameters["W1"].T + net.parameters["b1"])))[:, 0]
    gradients = net.gradients(X, y)
    np.testing.assert_allclose(gradients["W1"][0], (A - y) @ X / 20)
    np.testing.assert_allclose(gradients["b1"][0], (A - y).mean())
    cost = -(y * np.log(A) + (1 - y) * np.log(1 - A)).mean()
    np.testing.assert_allclose(net.evaluate(X, y)["cost"], cost)


@pytest.mark.parametrize("m", [1, 2, 40])
def test_smoothed_labels(m):
    """A single sample goes along its classes, several go side by side: by the same formula."""
    net, X, y = problem("tanh", "softmax", "cross_entropy", 2, m)
    smoothed = fn.Network(net.layers, loss=fn.losses.cross_entropy(0.2), dtype="float64").build(X.shape[1])
    smoothed.take_parameters(net)
    net = smoothed
    assert fn.check_gradients(net, X, y) < 1e-7
    assert net.evaluate(X, y)["cost"] == pytest.approx(Truth(net).cost(X, y), rel=1e-12)
