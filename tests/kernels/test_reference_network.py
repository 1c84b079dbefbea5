"""The NumPy network that other tests take for the truth: its gradients against differences, fastnet against it."""

import numpy as np
import pytest
from fastnet_kernels.reference import kinds, network
from truth import Truth

import fastnet as fn
from fastnet.layers import ACTIVATIONS

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 5, (37, 3))
X, CLASSES, NUMBERS = RNG.standard_normal((37, 3, 3)), RNG.integers(0, 4, 37), RNG.standard_normal((37, 2))
SOFTMAX = fn.Dense(4, "softmax", l2=0.01)

# Layers, loss, y.
NETWORKS = {
    "dense": ([fn.Dense(7, "tanh"), fn.Dense(5, "sigmoid"), SOFTMAX], None, CLASSES),
    "penalties": ([fn.Dense(7, "tanh", l1=0.05, l2=0.1), fn.Dense(3, "tanh", l2=1, trainable=False), SOFTMAX],
                  None, CLASSES),
    "rescale": ([fn.Rescale(0.5, -1), fn.Dense(3, "tanh"), fn.Dense(1, "sigmoid")], None, CLASSES > 1),
    "batch norm": ([fn.Dense(7), fn.BatchNorm("gelu"), fn.Dense(5, "tanh"), fn.BatchNorm(momentum=0.3), SOFTMAX],
                   None, CLASSES),
    "frozen batch norm": ([fn.Dense(7), fn.BatchNorm("tanh", trainable=False), SOFTMAX], None, CLASSES),
    "layer norm": ([fn.Dense(7), fn.LayerNorm("elu"), fn.Dense(5, "tanh"), fn.LayerNorm("leaky_relu"), SOFTMAX],
                   None, CLASSES),
    "dropout": ([fn.Dense(17, "tanh"), fn.Dropout(0.4), fn.Dense(9, "tanh"), fn.Dropout(0.2), SOFTMAX], None, CLASSES),
    "max pooling": ([fn.MaxPool2D((2, 1), 1), fn.MaxPool1D(2), fn.Dense(5, "tanh"), SOFTMAX], None, CLASSES),
    "convolutions": ([fn.Conv2D(4, 2, padding=1, activation="tanh", l1=0.1), fn.MaxPool2D(2, 1),
                      fn.Conv2D(6, (3, 2), stride=2, padding="same", dilation=2, groups=2), fn.Flatten(), SOFTMAX],
                     None, CLASSES),
    "convolutions of a signal": ([fn.Conv1D(4, 2, padding=1, activation="gelu"), fn.Conv1D(3, 3, stride=2), SOFTMAX],
                                 None, CLASSES),
    "recurrent": ([fn.Recurrent(4, "relu", return_sequences=True, l1=0.1), fn.Recurrent(3), SOFTMAX], None, CLASSES),
    "LSTM": ([fn.LSTM(4, return_sequences=True), fn.Dropout(0.0), fn.LSTM(3), SOFTMAX], None, CLASSES),
    "GRU": ([fn.GRU(4, l2=0.1), SOFTMAX], None, CLASSES),
    "both directions": ([fn.GRU(3, return_sequences=True, bidirectional=True),
                         fn.LSTM(4, return_sequences=True, bidirectional=True),
                         fn.Recurrent(3, bidirectional=True), SOFTMAX], None, CLASSES),
    "embedding": ([fn.Embedding(5, 4, l2=0.1), fn.Recurrent(3), SOFTMAX], None, CLASSES),
    "answers at each step": ([fn.GRU(4, return_sequences=True), fn.Dense(5, "tanh"), fn.LSTM(3, return_sequences=True),
                              SOFTMAX], None, RNG.integers(0, 4, (37, 3))),
    "numbers at each step": ([fn.LSTM(4, return_sequences=True), fn.Dense(2)], fn.losses.huber(0.3),
                             RNG.standard_normal((37, 3, 2))),
    "smoothed labels": ([fn.Dense(3, "tanh"), SOFTMAX], fn.losses.cross_entropy(0.2), CLASSES),
    "smoothed answers": ([fn.Dense(1, "sigmoid")], fn.losses.log_loss(0.2), CLASSES > 1),
    "hinge": ([fn.Dense(1)], "hinge", CLASSES > 1),
    "huber": ([fn.Dense(2, "elu", alpha=0.5)], fn.losses.huber(0.3), NUMBERS),
    "quantile": ([fn.Dense(2, "softplus")], fn.losses.quantile(0.8), NUMBERS),
    "absolute error": ([fn.Dense(2)], "absolute_error", NUMBERS),
    **{
        name: ([fn.Dense(5, name, slope=0.2, alpha=0.7), fn.Dense(2, name)], "squared_error", NUMBERS)
        for name in ACTIVATIONS if name != "softmax"
    },
}  # fmt: skip


def make(name):
    """The network, with parameters that are not those it starts with, its samples and their targets."""
    layers, loss, y = NETWORKS[name]
    samples = TOKENS if name == "embedding" else X
    net, rng = fn.Network(layers, loss=loss, dtype="float64", seed=3).build(samples.shape[1:]), np.random.default_rng(5)
    for parameter, array in net.parameters.items():
        if not parameter.startswith("W"):
            array[:] = rng.random(array.shape) + 0.5
    net.task = net.task.learn(y)
    return net, samples, y


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_differences(name):
    net, X, y = make(name)
    truth, step = Truth(net), 1e-6
    _, gradients = truth.gradients(X, y)
    assert gradients.keys() == {full for full in truth.parameters if not full.startswith(("mean", "variance"))}
    for full, gradient in gradients.items():
        array, frozen = truth.parameters[full], net.layers[1:2] == [fn.Dense(3, "tanh", l2=1, trainable=False)]
        for place in np.ndindex(array.shape) if not (frozen and full == "W2") else ():
            before, costs = array[place], []
            for changed in (before + step, before - step):
                array[place] = changed
                costs.append(truth.gradients(X, y)[0])
            array[place] = before
            assert (costs[0] - costs[1]) / (2 * step) == pytest.approx(gradient[place], rel=1e-5, abs=1e-8), full


@pytest.mark.parametrize("m", [1, 2, 37])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_program_is_like_it(name, m):
    net, X, y = make(name)
    truth = Truth(net)
    np.testing.assert_allclose(net.outputs(X[:m]), truth.outputs(X[:m]), rtol=1e-11, atol=1e-13)
    assert net.evaluate(X[:m], y[:m])["cost"] == pytest.approx(truth.cost(X[:m], y[:m]), rel=1e-11)
    assert net.training_cost(net.batches(X[:m], y[:m])) == pytest.approx(truth.gradients(X[:m], y[:m])[0], rel=1e-11)
    expected = Truth(net).gradients(X[:m], y[:m])[1]
    tolerance = 1e-6 if m == 2 else 1e-9  # two samples are steep
    for full, gradient in net.gradients(X[:m], y[:m]).items():
        np.testing.assert_allclose(gradient, expected[full], rtol=tolerance, atol=tolerance, err_msg=full)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "dropout"])  # each step leaves out others
def test_three_steps_are_like_its(name):
    """What normalisations remember, too."""
    net, X, y = make(name)
    truth = Truth(net)
    net.fit(X, y, epochs=3, batch_size=None, optimizer=fn.SGD(0.1), verbose=False)
    for _ in range(3):
        truth.step(X, y, 0.1)
    for full, array in net.parameters.items():
        np.testing.assert_allclose(array, truth.parameters[full], rtol=1e-10, atol=1e-12, err_msg=full)


def test_every_kind_is_tried():
    tried = {type(layer).__name__ for layers, *_ in NETWORKS.values() for layer in layers}
    assert tried - {"Flatten"} == set(network.KINDS)  # which computes nothing
    assert set(kinds.KINDS) <= tried
