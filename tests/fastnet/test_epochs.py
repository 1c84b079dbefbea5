"""What is decided by epoch is decided at each epoch, and mini-batches that teach nothing change nothing."""

import warnings

import numpy as np
import pytest

import fastnet as fn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
QUIET = {"verbose": False}


def network(*between, **options):
    return fn.Network([fn.Dense(8, "relu"), *between, fn.Dense(1, "sigmoid")], **options)


# ---------------------------------------------------------------- nothing depends on the clock


class AtOddEpochs(fn.schedules.Schedule):
    def rates(self, first, last, total, history):
        return np.full(last - first, 0.1 if len(history["cost"]) % 2 else 0.01)


@pytest.mark.parametrize(
    "schedule",
    [fn.schedules.reduce_on_plateau(0.5, patience=0, monitor="cost"), AtOddEpochs()],
    ids=["plateau", "own"],
)
@pytest.mark.parametrize("seconds", [1e-9, 10.0])
def test_schedules_that_follow_the_history_are_asked_each_epoch(schedule, seconds, monkeypatch):
    """Whether a callback looks on or not, and however many epochs would fit into one compiled call."""
    monkeypatch.setattr("fastnet.training.steps.SECONDS_A_CALL", seconds)
    nets = [network(), network()]
    for net, callbacks in zip(nets, ([], [lambda *_: None]), strict=True):
        net.fit(X, Y, epochs=30, batch_size=20, optimizer=fn.SGD(schedule), callbacks=callbacks, **QUIET)
    np.testing.assert_array_equal(nets[0].buffer, nets[1].buffer)
    assert dict(nets[0].history, seconds=0) == dict(nets[1].history, seconds=0)


def endless():
    while True:
        yield X, Y


@pytest.mark.parametrize(
    "train",
    [
        lambda net, optimizer: net.fit((batch for batch in [(X, Y)]), epochs=1, optimizer=optimizer, **QUIET),
        lambda net, optimizer: net.partial_fit(X, Y, optimizer=optimizer),
    ],
    ids=["generator", "partial_fit"],
)
def test_schedules_ask_for_the_number_of_steps_where_it_is_not_known(train):
    net = network()
    with pytest.raises(ValueError, match="give the schedule steps="):
        train(net, fn.SGD(fn.schedules.cosine(0.1)))
    assert net.n_inputs is None, "nothing has changed"
    train(net, fn.SGD(fn.schedules.cosine(0.1, steps=3)))
    assert net.learning_rate == pytest.approx(0.1)
    net.fit(endless(), steps_per_epoch=2, epochs=2, optimizer=fn.SGD(fn.schedules.cosine(0.1)), **QUIET)
    assert net.learning_rate == pytest.approx(0.1 * (1 + np.cos(np.pi * 3 / 4)) / 2)


# ---------------------------------------------------------------- weights


SOURCES = {
    "arrays": lambda weights: {"X": X, "y": Y, "sample_weight": weights, "batch_size": 20, "shuffle": False},
    "augment": lambda weights: {
        "X": X, "y": Y, "sample_weight": weights, "batch_size": 20, "shuffle": False, "augment": lambda X, rng: X,
    },
    "stream": lambda weights: {"X": [(X[i : i + 20], Y[i : i + 20], weights[i : i + 20]) for i in (0, 20, 40)]},
}  # fmt: skip


@pytest.mark.parametrize("optimizer", [fn.SGD(0.1), fn.SGD(0.1, momentum=0.9, weight_decay=0.1), fn.AdamW(0.01)])
@pytest.mark.parametrize("source", SOURCES)
def test_a_mini_batch_whose_weights_are_all_zero_makes_no_step(source, optimizer):
    weights = np.r_[np.ones(20), np.zeros(20), np.ones(20)]
    net, twin, seen = network(fn.BatchNorm(), seed=4), network(fn.BatchNorm(), seed=4), []
    history = net.fit(**SOURCES[source](weights), epochs=1, optimizer=optimizer, **QUIET)
    # The same with nothing in between, but the number of the step.
    rates = optimizer.learning_rate
    twin.fit(X[:20], Y[:20], batch_size=20, epochs=1, optimizer=optimizer, **QUIET)
    seen.append(twin.buffer.copy())
    twin.training.steps += 1
    twin.fit(X[40:], Y[40:], batch_size=20, epochs=2, optimizer=optimizer, resume=True, **QUIET)
    np.testing.assert_array_equal(net.buffer, twin.buffer)
    assert rates == optimizer.learning_rate
    assert history["cost"][0] == pytest.approx(sum(twin.history["cost"]) / 3)
    assert net.training.steps == 3


def test_sources_with_the_same_weights_train_alike():
    weights = np.where(np.arange(60) % 25 < 20, 0.0, RNG.random(60))
    nets = [network(seed=2) for _ in SOURCES]
    for net, source in zip(nets, SOURCES.values(), strict=True):
        net.fit(**source(weights), epochs=4, optimizer=fn.Adam(), **QUIET)
    for net in nets[1:]:
        np.testing.assert_array_equal(net.buffer, nets[0].buffer)
        np.testing.assert_allclose(net.history["cost"], nets[0].history["cost"], rtol=1e-6)


# ---------------------------------------------------------------- batch normalisation of one sample


@pytest.mark.parametrize(
    "train",
    [
        lambda net: net.fit(X, Y, batch_size=1, **QUIET),
        lambda net: net.fit(X[:1], Y[:1], batch_size=None, **QUIET),
        lambda net: net.partial_fit(X[:1], Y[:1]),
        lambda net: net.fit([(X[i : i + 1], Y[i : i + 1]) for i in range(60)], **QUIET),
    ],
)
def test_batch_normalisation_refuses_mini_batches_of_one_sample(train):
    net = network(fn.BatchNorm("relu"))
    with pytest.raises(ValueError, match="gives BatchNorm no variance to learn from"):
        train(net)
    assert net.n_inputs is None
    train(network(fn.BatchNorm("relu", trainable=False)))
    train(network(fn.LayerNorm("relu")))


def test_a_last_mini_batch_of_one_sample_leaves_what_is_remembered():
    net = fn.Network([fn.Dense(5), fn.BatchNorm(), fn.Dense(1)]).build(4)
    with pytest.warns(UserWarning, match=r"a single sample \(60 in mini-batches of 59\)") as warned:
        net.fit(X, X[:, 0], epochs=100, batch_size=59, optimizer=fn.SGD(1e-9), **QUIET)
    assert warned[0].filename == __file__
    Z = X @ net.parameters["W1"].T
    np.testing.assert_allclose(net.parameters["variance1"], Z.var(axis=0, ddof=1), rtol=0.1)
    np.testing.assert_allclose(net.parameters["mean1"], Z.mean(axis=0), atol=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(X, X[:, 0], epochs=1, batch_size=58, **QUIET)


# ---------------------------------------------------------------- metrics


def test_every_metric_once_an_epoch_whatever_the_samples_come_from(tmp_path):
    np.save(tmp_path / "X.npy", X.astype(np.float64))
    sources = {
        "arrays": {"X": X, "y": Y},
        "augment": {"X": X, "y": Y, "augment": lambda X, rng: X},
        "memmap": {"X": np.load(tmp_path / "X.npy", mmap_mode="r"), "y": Y},
        "stream": {"X": [(X[:30], Y[:30]), (X[30:], Y[30:])]},
        "endless": {"X": endless(), "steps_per_epoch": 2},
    }
    for name, source in sources.items():
        net = network(seed=1)
        history = net.fit(**source, epochs=3, metrics=["f1", "accuracy", "auc"], **QUIET)
        assert {key: len(values) for key, values in history.items()} == dict.fromkeys(
            ("cost", "accuracy", "f1", "auc", "seconds"), 3
        ), name
        if name in ("arrays", "augment", "memmap"):
            assert history["f1"][-1] == pytest.approx(net.evaluate(X, Y, metrics=["f1"])["f1"])


def test_metrics_of_a_stream_are_of_each_mini_batch_before_its_step():
    net, twin = network(seed=1).build(4), network(seed=1).build(4)
    history = net.fit([(X[:30], Y[:30]), (X[30:], Y[30:])], epochs=1, metrics=["auc"], **QUIET)
    first = twin.predict_proba(X[:30])
    twin.fit(X[:30], Y[:30], batch_size=30, epochs=1, **QUIET)
    outputs = np.concatenate([first, twin.predict_proba(X[30:])])
    assert history["auc"] == [fn.metrics.auc(Y, outputs)]


def test_refused_metrics_leave_no_trace():
    for metric in (fn.metrics.confusion_matrix, lambda truth, outputs: None, "r2", fn.metrics.top_k(2)):
        net = network()
        with pytest.raises((ValueError, TypeError)):
            net.fit(X, Y, metrics=[metric], **QUIET)
        assert net.n_inputs is None
        assert net.training is None
    with pytest.raises(ValueError, match="does not fit this network"):
        fn.Network([fn.Dense(1)]).build(4).evaluate(X, X[:, 0], metrics=["f1"])


def test_what_is_refused_leaves_no_trace():
    for refused in (
        lambda net: net.fit(X, Y, validation_data=(X[:, :3], Y), **QUIET),
        lambda net: net.fit(X, Y, validation_data=(X, Y + 5), **QUIET),
        lambda net: net.fit([(X, Y)], validation_data=(X[:, :3], Y), **QUIET),
        lambda net: net.fit([(X, Y * 0.5)], **QUIET),
        lambda net: net.partial_fit(X[:, :0], ["a"] * 60, classes=["a", "b"]),
        lambda net: net.partial_fit(X, ["c"] * 60, classes=["a", "b"]),
        lambda net: net.fit(X, Y, class_weight={5: 1.0}, **QUIET),
        lambda net: net.fit(X, Y, callbacks=[fn.EarlyStopping()], **QUIET),
        lambda net: net.fit(X, Y, optimizer=fn.SGD(fn.schedules.reduce_on_plateau(0.1)), **QUIET),
        lambda net: net.fit(X, Y, optimizer=fn.SGD(lambda step: -1.0), **QUIET),
        lambda net: net.partial_fit(X, Y, optimizer=fn.SGD(lambda step: -1.0)),
    ):
        net = network()
        with pytest.raises(ValueError):  # noqa: PT011 - each another one
            refused(net)
        assert net.n_inputs is None
        assert net.training is None
        net.partial_fit(X, np.array(["yes", "no"])[Y], classes=["no", "yes"])


def test_seeds_of_any_size():
    seed = 2**100 + 12345
    net = fn.Network([fn.Dense(8, "relu"), fn.Dropout(0.5), fn.Dense(1, "sigmoid")], seed=seed)
    net.fit(X, Y, epochs=2, **QUIET)
    assert np.isfinite(net.gradients(X, Y)["W1"]).all()
