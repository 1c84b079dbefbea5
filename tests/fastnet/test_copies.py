"""A copy of a network, however it is made, is a network of its own, and whole."""

import copy
import pickle

import numpy as np
import pytest

import fastnet as fn

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 4)).astype(np.float32), RNG.integers(0, 3, 60)
QUIET = {"verbose": False}


def by_joblib(net, tmp_path):
    joblib = pytest.importorskip("joblib")
    joblib.dump(net, tmp_path / "net.joblib")
    return joblib.load(tmp_path / "net.joblib")


WAYS = {
    "deepcopy": lambda net, _: copy.deepcopy(net),
    "copy": lambda net, _: copy.copy(net),
    "pickle": lambda net, _: pickle.loads(pickle.dumps(net)),
    "joblib": by_joblib,
}


def network(**options):
    layers = [fn.Dense(20, "relu"), fn.Dense(8), fn.BatchNorm("tanh"), fn.Dropout(0.2), fn.Dense(3, "softmax")]
    return fn.Network(layers, **options)


@pytest.mark.parametrize("state", ["new", "built", "used", "trained"])
@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_whole_and_its_own(way, state, tmp_path):
    net = network(seed=3)
    if state != "new":
        net.build(4)
    if state == "used":
        net.predict(X)
    if state == "trained":
        net.fit(X, np.array(["a", "b", "c"])[Y], epochs=2, optimizer=fn.Adam(), **QUIET)
    twin = WAYS[way](net, tmp_path)
    options = {"epochs": 4, "optimizer": fn.Adam(), "resume": state == "trained", **QUIET}
    before = None if state == "new" else net.buffer.copy()
    twin.fit(X, np.array(["a", "b", "c"])[Y], **options)
    assert np.shares_memory(twin.parameters["W1"], twin.buffer)
    if before is not None:
        np.testing.assert_array_equal(net.buffer, before)  # the copy's training has left it as it was
    net.fit(X, np.array(["a", "b", "c"])[Y], **options)
    np.testing.assert_array_equal(net.buffer, twin.buffer)
    np.testing.assert_array_equal(net.predict(X), twin.predict(X))
    for name in net.history:
        if name != "seconds":
            assert net.history[name] == twin.history[name]
    twin.save(tmp_path / "twin.safetensors")
    np.testing.assert_array_equal(fn.load(tmp_path / "twin.safetensors").buffer, net.buffer)


def test_kinds_and_attributes_of_ones_own_come_along():
    class Mine(fn.LogisticRegression):
        pass

    globals()["Mine"] = Mine
    Mine.__qualname__ = "Mine"
    net = Mine().build(4)
    net.comment = "of mine"
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert type(twin) is Mine
        assert twin.comment == "of mine"
    assert type(net.copy()) is Mine


# Rows whose length is a multiple of 2048 bytes are laid apart, which depends on the dtype.
PADDED = [[256, 256, 1], [256, 255, 3], [128, 256, 128], [256, 10], [255, 257], [512, 512]]


@pytest.mark.parametrize("n_inputs", [64, 256, 512, 1024])
@pytest.mark.parametrize("units", PADDED, ids=repr)
def test_a_copy_in_another_dtype_has_the_same_parameters(units, n_inputs):
    net = fn.Network([*(fn.Dense(n, "relu") for n in units[:-1]), fn.Dense(units[-1])]).build(n_inputs)
    twin = net.copy(dtype="float64")
    for name, parameter in net.parameters.items():
        np.testing.assert_array_equal(twin.parameters[name], parameter)
    back = twin.copy(dtype="float32")
    np.testing.assert_array_equal(back.buffer, net.buffer)
    samples = np.random.default_rng(0).standard_normal((5, n_inputs))
    np.testing.assert_allclose(twin.predict(samples), net.predict(samples), rtol=1e-4, atol=1e-4)


def test_gradients_of_padded_rows_can_be_checked():
    net = fn.Network([fn.Dense(256, "tanh"), fn.Dense(2, "softmax")], dtype="float64").build(512)
    samples = np.random.default_rng(0).standard_normal((5, 512)) / 20
    assert fn.check_gradients(net, samples, np.arange(5) % 2, at_most=20) < 1e-6


def test_parameters_that_do_not_fit_the_dtype_are_refused():
    net = fn.Network([fn.Dense(1)], dtype="float64").build(2)
    net.parameters["W1"][:] = 1e300
    with pytest.raises(ValueError, match="too large for float32"):
        net.copy(dtype="float32")
