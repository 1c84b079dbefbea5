"""What a user does with a network: fit, predict, evaluate, read and write its parameters."""

import numpy as np
import pytest

import fastnet as fn
from fastnet.layers import INITIALISATIONS


def digits_split():
    X, y = fn.datasets.digits()
    rows = np.random.default_rng(0).permutation(len(X))
    return X[rows[:1400]], y[rows[:1400]], X[rows[1400:]], y[rows[1400:]]


def small_net(**options):
    return fn.Network([fn.Dense(5, "relu"), fn.Dense(3, "softmax")], **options)


def test_digits_with_one_hidden_layer(threads):
    X, y, X_test, y_test = digits_split()
    net = fn.Network([fn.Dense(128, "relu"), fn.Dense(10, "softmax")], seed=1)
    history = net.fit(X, y, epochs=60, batch_size=32, validation_data=(X_test, y_test), verbose=False)
    assert set(history) == {"cost", "accuracy", "validation_cost", "validation_accuracy", "seconds"}
    assert all(len(values) == 60 for values in history.values())
    held_out = net.evaluate(X_test, y_test)
    assert held_out["accuracy"] >= 0.97
    assert held_out["cost"] == pytest.approx(history["validation_cost"][-1])
    assert held_out["accuracy"] == (net.predict(X_test) == y_test).mean()


def test_cars_regression():
    X, y = fn.datasets.cars()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    rows = np.random.default_rng(0).permutation(len(X))
    train, test = rows[:300], rows[300:]
    net = fn.Network([fn.Dense(32, "tanh"), fn.Dense(1)])
    history = net.fit(
        X[train], y[train], epochs=200, optimizer=fn.SGD(0.01), validation_data=(X[test], y[test]), verbose=False
    )
    assert history["validation_r2"][-1] > 0.8
    residual = net.predict(X[test]) - y[test]
    result = net.evaluate(X[test], y[test])
    assert result["r2"] == pytest.approx(1 - (residual**2).sum() / ((y[test] - y[test].mean()) ** 2).sum(), abs=1e-5)
    assert result["cost"] == pytest.approx((residual**2).mean() / 2, rel=1e-5)


def test_planar_needs_a_hidden_layer():
    X, y = fn.datasets.planar()
    net = fn.Network([fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid")], seed=2)
    net.fit(X, y, epochs=10_000, batch_size=None, optimizer=fn.SGD(1.2), verbose=False)
    assert net.evaluate(X, y)["accuracy"] > 0.88
    line = fn.LogisticRegression()
    line.fit(X, y, epochs=2000, batch_size=None, optimizer=fn.SGD(1.2), verbose=False)
    assert 0.4 < line.evaluate(X, y)["accuracy"] < 0.6


def test_epoch_cost_is_the_mean_over_mini_batches_taken_before_their_updates():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((10, 3)), rng.standard_normal(10)
    net = fn.Network([fn.Dense(1)], dtype="float64").build(3)
    W, b = net.parameters["W1"][0].copy(), net.parameters["b1"][0]
    costs, sizes = [], []
    for first in range(0, 10, 4):  # mini-batches of 4, 4 and 2
        A, Y = X[first : first + 4], y[first : first + 4]
        error = A @ W + b - Y
        costs.append((error**2).mean() / 2)
        sizes.append(len(A))
        W, b = W - 0.1 * error @ A / len(A), b - 0.1 * error.mean()
    history = net.fit(X, y, epochs=1, batch_size=4, optimizer=fn.SGD(0.1), shuffle=False, verbose=False)
    assert history["cost"][0] == pytest.approx(np.average(costs, weights=sizes), rel=1e-12)
    np.testing.assert_allclose(net.parameters["W1"][0], W)
    np.testing.assert_allclose(net.parameters["b1"][0], b)


def test_shuffled_epochs_use_every_sample_once():
    """With a gradient of 1 for each sample, the bias counts them."""
    X, y = np.zeros((7, 1)), np.arange(7.0)
    net = fn.Network([fn.Dense(1)], dtype="float64", seed=3).build(1)
    for epochs in (1, 4):
        net.parameters["b1"][:] = 1e6
        net.fit(X, y, epochs=epochs, batch_size=2, optimizer=fn.SGD(1e-9), verbose=False)
        # three batches of 2 and one of 1, each with the mean of its samples: the exact sum depends on which is alone
        moved = (1e6 - net.parameters["b1"][0]) / 1e-9
        assert moved == pytest.approx(4 * epochs * 1e6, rel=1e-5)
    whole = fn.Network([fn.Dense(1)], dtype="float64", seed=3).build(1)
    orders = [whole.rng.permutation(7) for _ in range(3)]
    assert not np.array_equal(orders[0], orders[1])


def test_online_learning_is_a_batch_of_one():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 5)), rng.integers(0, 2, 20)
    net = fn.Network([fn.Dense(3, "tanh"), fn.Dense(1, "sigmoid")], dtype="float64").build(5)
    slow = net.copy()
    for i in range(20):
        for name, gradient in slow.gradients(X[i : i + 1], y[i : i + 1]).items():
            slow.parameters[name][...] -= 0.1 * gradient
    net.fit(X, y, epochs=1, batch_size=1, optimizer=fn.SGD(0.1), shuffle=False, verbose=False)
    np.testing.assert_allclose(net.buffer, slow.buffer, rtol=1e-12)


def test_batch_size_larger_than_the_set_is_the_whole_set():
    X, y, *_ = digits_split()
    a, b = fn.Network([fn.Dense(10, "softmax")]), fn.Network([fn.Dense(10, "softmax")])
    a.fit(X[:50], y[:50], epochs=3, batch_size=None, verbose=False)
    b.fit(X[:50], y[:50], epochs=3, batch_size=10_000, verbose=False)
    np.testing.assert_array_equal(a.buffer, b.buffer)


def test_fit_goes_on_where_it_ended():
    X, y, *_ = digits_split()
    once, twice = small_digits(), small_digits()
    history = once.fit(X, y, epochs=6, verbose=False)
    costs = []
    for epochs in (1, 2, 3):
        costs += twice.fit(X, y, epochs=epochs, verbose=False)["cost"]
    np.testing.assert_array_equal(once.buffer, twice.buffer)
    assert history["cost"] == costs


def small_digits():
    return fn.Network([fn.Dense(12, "relu"), fn.Dense(10, "softmax")], seed=4)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.float64),
        lambda X: np.asfortranarray(X),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.reshape(-1, 8, 8),
        lambda X: X.reshape(-1, 8, 8, 1).astype(">f4"),
        lambda X: memoryview(np.ascontiguousarray(X)),
        lambda X: X.tolist(),
        lambda X: X.astype(np.float16),
    ],
)
def test_inputs_of_any_form_train_to_the_same_bits(convert):
    X, y, *_ = digits_split()
    X = (X * 16).astype(np.float32)[:200]  # whole numbers, which float16 holds as well
    plain, other = small_digits(), small_digits()
    plain.fit(X, y[:200], epochs=2, optimizer=fn.SGD(1e-3), verbose=False)
    other.fit(convert(X), y[:200], epochs=2, optimizer=fn.SGD(1e-3), verbose=False)
    np.testing.assert_array_equal(plain.buffer, other.buffer)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_])
def test_whole_numbers_are_scaled_as_they_are_read(dtype, shuffle):
    X, y, *_ = digits_split()
    X = (X * 16).astype(np.uint8)[:200].astype(dtype)
    layers = [fn.Dense(12, "relu"), fn.Dense(10, "softmax")]
    scaled = fn.Network(layers, dtype="float64", seed=4)
    given = fn.Network([fn.Rescale(1 / 16, -0.25), *layers], dtype="float64", seed=4)
    scaled.fit(X.astype(np.float64) / 16 - 0.25, y[:200], epochs=3, shuffle=shuffle, verbose=False)
    given.fit(X, y[:200], epochs=3, shuffle=shuffle, verbose=False)
    np.testing.assert_allclose(given.buffer, scaled.buffer, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(given.predict(X), scaled.predict(X.astype(np.float64) / 16 - 0.25))


def test_a_set_of_bytes_is_not_copied():
    import tracemalloc

    X = np.random.default_rng(0).integers(0, 256, (20_000, 300), dtype=np.uint8)
    y = np.arange(20_000) % 2
    net = fn.LogisticRegression(scale=1 / 255)
    net.fit(X[:10], y[:10], epochs=1, verbose=False)
    tracemalloc.start()
    net.fit(X, y, epochs=1, batch_size=64, verbose=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 2, "a float copy would take four times its size"


@pytest.mark.parametrize(
    ("labels", "units"),
    [
        (np.array(["cat", "dog"]), 1),
        (np.array(["ant", "bee", "cow"]), 3),
        (np.array([-5, 7, 1000]), 3),
        (np.array([False, True]), 1),
        (np.array([3, 4]), 2),
        (np.array([0.0, 1.0]), 1),
    ],
)
def test_labels_come_back(labels, units):
    rng = np.random.default_rng(0)
    index = np.arange(60) % len(labels)
    X = rng.standard_normal((60, 4)) * 0.1 + np.eye(4)[index]
    net = fn.Network([fn.Dense(units, "sigmoid" if units == 1 else "softmax")])
    net.fit(X, labels[index], epochs=200, verbose=False)
    np.testing.assert_array_equal(net.predict(X), labels[index])
    np.testing.assert_array_equal(net.labels, labels)
    assert net.evaluate(X, labels[index].tolist())["accuracy"] == 1
    assert net.evaluate(X, np.array(labels[index].tolist(), dtype=object))["accuracy"] == 1


def test_one_hot_rows_and_columns_are_understood():
    X, y, *_ = digits_split()
    nets = [small_digits() for _ in range(3)]
    for net, given in zip(nets, [y, y.reshape(-1, 1), np.eye(10)[y]], strict=True):
        net.fit(X, given, epochs=2, verbose=False)
    np.testing.assert_array_equal(nets[0].buffer, nets[1].buffer)
    np.testing.assert_array_equal(nets[0].buffer, nets[2].buffer)
    assert nets[0].evaluate(X, y) == nets[0].evaluate(X, np.eye(10)[y])


def test_integer_labels_may_leave_classes_out():
    X, y, *_ = digits_split()
    net = small_digits()
    net.fit(X[y < 7], y[y < 7], epochs=1, verbose=False)
    assert net.evaluate(X, y)["accuracy"] < 1


def test_threshold():
    X, y = fn.datasets.planar()
    net = fn.LogisticRegression()
    net.fit(X, y, epochs=100, verbose=False)
    p = net.predict_proba(X)
    assert p.shape == (400,)
    for threshold in (0.0, 0.4, 0.5, 1.0):
        np.testing.assert_array_equal(net.predict(X, threshold=threshold), (p > threshold).astype(int))


def test_probabilities_of_softmax():
    X, y, *_ = digits_split()
    net = small_digits()
    net.fit(X, y, epochs=3, verbose=False)
    p = net.predict_proba(X)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(net.predict(X), p.argmax(axis=1))


@pytest.mark.parametrize("m", [1, 31, 1023, 1024, 1025, 2500])
def test_predictions_do_not_depend_on_their_company(m):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, 30)).astype(np.float32)
    net = fn.Network([fn.Dense(33, "tanh"), fn.Dense(4, "softmax")]).build(30)
    together = net.predict_proba(X)
    # A handful of samples is computed one by one, and summed in another order.
    np.testing.assert_allclose(net.predict_proba(X[-1:]), together[-1:], rtol=2e-6)
    np.testing.assert_array_equal(net.predict_proba(X[: m // 2 + 1]), together[: m // 2 + 1])


def test_several_regression_targets():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4))
    Y = X @ rng.standard_normal((4, 3)) + 1
    net = fn.Network([fn.Dense(3)], dtype="float64")
    net.fit(X, Y, epochs=200, optimizer=fn.SGD(0.1), verbose=False)
    assert net.predict(X).shape == (200, 3)
    assert net.evaluate(X, Y)["r2"] > 0.999999
    with pytest.raises(ValueError, match="no labels"):
        _ = net.labels


def test_parameters_are_writable_views():
    net = fn.Network([fn.Dense(2, "relu"), fn.Dense(1)], dtype="float64").build(3)
    net.parameters["W1"][...] = [[1, 0, 0], [0, -1, 0]]
    net.parameters["b1"][...] = [0.5, 0]
    net.parameters["W2"][...] = [[2, 3]]
    net.parameters["b2"][...] = 10
    assert net.predict([[1.0, 5.0, 9.0]]).tolist() == [2 * 1.5 + 0 + 10]
    with pytest.raises(TypeError):
        net.parameters["W1"] = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("init", "deviation"), [("he", np.sqrt(2 / 400)), ("xavier", np.sqrt(1 / 400)), ("small", 0.01), ("zeros", 0)]
)
def test_initialisation(init, deviation):
    net = fn.Network([fn.Dense(300, "linear", init=init)]).build(400)
    W = net.parameters["W1"]
    assert W.shape == (300, 400)
    assert W.std() == pytest.approx(deviation, rel=0.02)
    assert abs(W.mean()) < 0.01
    assert not net.parameters["b1"].any()


def test_initialisation_is_chosen_by_activation():
    names = ("relu", "leaky_relu", "gelu", "tanh", "sigmoid", "hard_sigmoid", "linear", "softmax")
    chosen = {name: fn.Dense(1, name).initialisation for name in names}
    assert {name for name, init in chosen.items() if init == "he"} == {"relu", "leaky_relu", "gelu"}
    assert set(chosen.values()) == {"he", "xavier"}


def test_hidden_units_that_start_at_zero_stay_alike():
    X, y = fn.datasets.planar()
    with pytest.warns(UserWarning, match="stay alike"):
        net = fn.Network([fn.Dense(4, "sigmoid", init="zeros"), fn.Dense(1, "sigmoid")])
    net.fit(X, y, epochs=50, batch_size=32, verbose=False)
    net.parameters["W2"][...] = net.parameters["W2"].mean()
    W = net.parameters["W1"]
    assert W.any()
    spread = np.ptp(W, axis=0)
    assert spread.max() > 0  # W2 is random, so the units did move apart

    with pytest.warns(UserWarning, match="stay alike"):
        net = fn.Network([fn.Dense(4, "sigmoid", init="zeros"), fn.Dense(1, "sigmoid", init="zeros")])
    net.fit(X, y, epochs=50, batch_size=32, verbose=False)
    assert net.parameters["W1"].any()
    assert np.ptp(net.parameters["W1"], axis=0).max() == 0
    assert np.ptp(net.parameters["W2"]) == 0


def test_summary_tells_shapes_and_memory():
    net = fn.Network([fn.Rescale(1 / 255), fn.Dense(128, "relu"), fn.Dense(10, "softmax")]).build(784)
    text = net.summary()
    for part in ("784", "100,480", "1,290", "101,770", "407.1 kB", "relu", "softmax", "cross_entropy"):
        assert part in text
    assert net.summary(batch_size=1024) != text


def test_print_shows_the_layers():
    net = fn.Network([fn.Rescale(2), fn.Dense(30), fn.BatchNorm("relu"), fn.Dense(10, "softmax")])
    before = str(net)
    for part in ("(m, ?)", "(m, 30)", "?  linear", "multiply-adds", "fit(X, y) makes them, or build(n_inputs)"):
        assert part in before
    after = str(net.build(784))
    assert "?" not in after
    for part in (
        "(m, 784)",
        "23,550         23,520  linear",
        "120              0  relu",
        "310            300  softmax",
        "23,980 parameters of float32",
    ):
        assert part in after
    assert after.endswith("23,980 parameters of float32, 23,820 multiply-adds a sample")
    assert net.summary().startswith(after), "the summary is the table and what is needed of memory"
    assert "\n" not in repr(net)


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64"), "f8", float, "d"])
def test_dtype_in_any_form(dtype):
    net = fn.Network([fn.Dense(1)], dtype=dtype).build(2)
    assert net.dtype == net.parameters["W1"].dtype == np.dtype("float64")
    assert fn.Network([fn.Dense(1)], dtype=np.float32).dtype == np.dtype("float32")


def test_copy_is_independent():
    net = small_net().build(4)
    twin = net.copy(dtype="float64")
    twin.parameters["W1"][...] = 0
    assert net.parameters["W1"].any()
    assert twin.dtype == np.float64


def test_history_repr_and_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    X, y = fn.datasets.planar()
    history = fn.LogisticRegression().fit(X, y, epochs=5, validation_data=(X, y), verbose=False)
    assert "5 epochs" in repr(history)
    axes = history.plot()
    assert len(axes.lines) == 2
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), history["cost"])


def test_progress_bar_goes_to_standard_error(capsys):
    X, y = fn.datasets.planar()
    fn.LogisticRegression().fit(X, y, epochs=3)
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 3/3" in err
    assert "cost=" in err
    fn.LogisticRegression().fit(X, y, epochs=3, verbose=False)
    assert capsys.readouterr() == ("", "")


def test_a_build_that_fails_leaves_the_network_as_it_was(monkeypatch):
    net = fn.Network([fn.Dense(5, "relu"), fn.Dense(2, "softmax")])
    X, y = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20) % 2

    def interrupted(n):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setitem(INITIALISATIONS, "he", interrupted)
        for call in (lambda: net.build(3), lambda: net.fit(X, y, verbose=False)):
            with pytest.raises(KeyboardInterrupt):
                call()
            assert net.n_inputs is None
    net.fit(X, y, epochs=2, verbose=False)
    before = net.buffer.copy()
    with pytest.raises((MemoryError, ValueError)):
        net.build(1 << 50)
    assert (net.n_inputs, net.history.epochs) == (3, 2)
    np.testing.assert_array_equal(net.buffer, before)


def test_parameters_that_cannot_be_taken_change_nothing():
    other, net = fn.Network([fn.Dense(5)]).build(3), fn.Network([fn.Dense(5)])
    state = net.rng.bit_generator.state
    large = fn.Network([fn.Dense(5)], dtype="float64").build(3)
    large.parameters["W1"][:] = 1e300
    for given, names in ((other, ["nope"]), (other, []), (large, None)):
        with pytest.raises(ValueError, match=r"missing here|nothing can be taken|too large for float32"):
            net.take_parameters(given, names)
        assert net.n_inputs is None
        assert net.rng.bit_generator.state == state


def test_r2_of_targets_that_are_all_the_same():
    y = np.full(3, 0.1)
    net = fn.Network([fn.Dense(1)], dtype="float64").build(9)
    assert net.evaluate(np.random.default_rng(0).standard_normal((3, 9)), y)["r2"] == 0
    assert fn.metrics.r2(y, y + 1) == 0
    assert fn.metrics.r2(y, y) == 1
