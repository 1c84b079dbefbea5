"""Metrics: which of them a network takes, by what name, and what they may return."""

import functools
import math

import numpy as np
import pytest

import fastnet as fn
from fastnet.data.targets import Classification, MultiLabel, Regression
from fastnet.metrics import METRICS, as_number, check_metrics, direction, measured, measured_numbers, named, top_k

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 4)).astype(np.float32)
INDEX = np.arange(30) % 3
TASKS = {
    "softmax": (Classification(3), INDEX),
    "sigmoid": (Classification(1), INDEX % 2),
    "hinge": (Classification(1, signed=True), INDEX % 2),
    "answers": (MultiLabel(3), np.eye(3)[INDEX]),
    "numbers": (Regression(1), RNG.random(30)),
    "many numbers": (Regression(2), RNG.random((30, 2))),
}


def share(truth, outputs):
    return float(np.mean(outputs > 0.5))


def learned(name):
    task, y = TASKS[name]
    task = task.learn(y)
    return task, task.truth(task.encode(y, np.dtype(np.float32)))


def test_the_most_probable_of_equal_classes_is_the_first():
    truth = RNG.integers(0, 4, 500)
    outputs = RNG.integers(0, 3, (500, 4)) / 8  # many are equal
    assert top_k(1)(truth, outputs) == fn.metrics.accuracy(truth, outputs)
    order = np.argsort(-outputs, axis=1, kind="stable")
    for k in (1, 2, 3, 4):
        expected = np.mean((order[:, :k] == truth[:, None]).any(axis=1))
        assert top_k(k)(truth, outputs) == pytest.approx(expected)
    net = fn.Network([fn.Dense(4, "softmax", init="zeros")]).build(4)
    for label in (0, 1):
        found = net.evaluate(X, np.full(30, label), metrics=[top_k(1)])
        assert found["top_1"] == found["accuracy"] == (label == 0)


@pytest.mark.parametrize("k", [0, -1, 1.5, "2", True])
def test_k_is_a_positive_integer(k):
    with pytest.raises((ValueError, TypeError), match="k="):
        top_k(k)


def test_r2_of_a_constant():
    for y, expected in ((np.ones(4), 1.0), (np.zeros(4), 0.0)):
        assert fn.metrics.r2(np.ones(4), y) == expected


def test_what_is_measured_anyway_is_not_measured_twice():
    for given in ("accuracy", fn.metrics.accuracy):
        net = fn.Network([fn.Dense(3, "softmax")])
        history = net.fit(X, INDEX, epochs=2, validation_data=(X, INDEX), metrics=[given, "f1"], verbose=False)
        assert sorted(history) == sorted(
            ["cost", "accuracy", "seconds", "validation_cost", "validation_accuracy", "validation_f1"]
        )
        assert {len(values) for values in history.values()} == {2}
        assert list(net.evaluate(X, INDEX, metrics=[given])) == ["cost", "accuracy"]


def like(name):
    def metric(truth, outputs):
        return 1.0

    metric.__name__ = name
    return metric


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["f1", "f1"], "'f1' is there twice"),
        ([lambda truth, outputs: 1.0, lambda truth, outputs: 2.0], "another __name__"),
        ([functools.partial(share), functools.partial(share)], "'partial' is there twice"),
        ([like("cost")], "'cost' has a name that the history needs"),
        ([like("seconds")], "another __name__"),
        ([like("accuracy")], "another __name__"),
        ([like("learning_rate")], "another __name__"),
        ([like("epoch")], "another __name__"),
        ([like("validation_f1")], "another __name__"),
        (["f2"], "'f2' is not known: choose one of 'accuracy', 'precision', 'recall', 'f1', 'auc', or a function"),
        (["r2"], "'r2' does not fit this network: choose of 'accuracy'"),
        ([fn.metrics.mean_absolute_error], "does not fit"),
        ("f1", r"is no list: give \['f1'\]"),
        (3, "is no list"),
        ([3], "neither a name nor a function"),
        ([dict], "neither a name nor a function"),
    ],
)
def test_metrics_are_refused(metrics, message):
    net = fn.Network([fn.Dense(3, "softmax")])
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(X, INDEX, metrics=metrics, verbose=False)
    assert net.n_inputs is None
    with pytest.raises((ValueError, TypeError), match=message):
        net.build(4).evaluate(X, INDEX, metrics=metrics)


def test_metrics_fit_the_task():
    of_classes = ["accuracy", "precision", "recall", "f1", "auc", top_k(1), fn.metrics.confusion_matrix]
    for name, (task, _) in TASKS.items():
        for metric in (*of_classes, "r2", "mean_absolute_error"):
            is_fit = (metric in of_classes) != isinstance(task, Regression)
            if isinstance(task, MultiLabel):
                is_fit = metric in of_classes[:5]
            if is_fit:
                named([metric], task)
            else:
                with pytest.raises(ValueError, match=f"does not fit this network: choose of {task.metric!r}"):
                    named([metric], task)
        assert list(named([share], task)) == ["share"], name


@pytest.mark.parametrize("name", TASKS)
def test_metrics_are_tried_with_what_they_will_get(name):
    task, truth = learned(name)
    seen = []

    def keep(truth, outputs):
        seen.append((truth, outputs))
        return np.float32(0)

    fitting = [metric for metric in METRICS.values() if isinstance(task, metric.tasks)]
    check_metrics({metric.__name__: metric for metric in fitting} | {"keep": keep}, task, truth)
    check_metrics({"keep": keep}, task, truth)
    net = {
        "softmax": lambda: fn.Network([fn.Dense(3, "softmax")]),
        "sigmoid": lambda: fn.Network([fn.Dense(1, "sigmoid")]),
        "hinge": lambda: fn.Network([fn.Dense(1)], loss="hinge"),
        "answers": lambda: fn.Network([fn.Dense(3, "sigmoid")]),
        "numbers": lambda: fn.Network([fn.Dense(1)]),
        "many numbers": lambda: fn.Network([fn.Dense(2)]),
    }[name]()
    net.build(4).evaluate(X, TASKS[name][1], metrics=[keep])
    (truth, outputs), again, real = seen
    np.testing.assert_array_equal(outputs, again[1])
    np.testing.assert_array_equal(truth, real[0])
    for made_up, true in zip((truth, outputs), real, strict=True):
        assert made_up.shape == true.shape
        assert made_up.dtype == true.dtype
    if name == "softmax":
        np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros((3, 3)), r"returns an array of shape \(3, 3\)"),
        (None, "returns None"),
        (1j, "returns 1j"),
        ("0.5", "returns '0.5'"),
        ([0.5], "returns an array"),
    ],
)
def test_metrics_return_real_numbers(returned, message):
    task, truth = learned("softmax")
    for use in (check_metrics, lambda metrics, task, truth: measured_numbers(metrics, truth, np.zeros((30, 3)))):
        with pytest.raises(TypeError, match=f"metric 'odd' {message}"):
            use({"odd": lambda truth, outputs: returned}, task, truth)
    assert measured({"odd": lambda truth, outputs: returned}, truth, np.zeros((30, 3)))["odd"] is returned
    for value in (1, 1.0, np.float32(1), np.int64(1), np.array(1.0), True):
        assert as_number("odd", value) == 1.0


def test_what_a_metric_raises_has_its_name():
    task, truth = learned("sigmoid")
    with pytest.raises(ValueError, match=r"metric 'top_2' fails .*softmax outputs"):
        check_metrics({"top_2": top_k(2)}, task, truth)
    with pytest.raises(TypeError, match="metric 'odd' fails"):
        check_metrics({"odd": lambda outputs: 1.0}, task, truth)


def test_nothing_is_measured_from_nan():
    outputs = np.full((30, 3), np.nan)
    for metric in ("accuracy", "f1", "auc"):
        assert math.isnan(measured({metric: METRICS[metric]}, INDEX, outputs)[metric])


def test_direction():
    for prefix in ("", "validation_"):
        for name in ("cost", "seconds", "squared_error", "mean_absolute_error"):
            assert direction(prefix + name) == "min"
        for name in ("accuracy", "r2", "f1", "auc", "precision", "recall", "top_3"):
            assert direction(prefix + name) == "max"
        for name in ("balanced_accuracy", "top_speed", "learning_rate", "confusion_matrix"):
            assert direction(prefix + name) is None
        metric = like("gain")
        assert direction(prefix + "gain", {"gain": metric}) is None
        for greater, expected in ((True, "max"), (False, "min")):
            metric.greater_is_better = greater
            assert direction(prefix + "gain", {"gain": metric}) == expected
        assert direction(prefix + "f1", {"gain": metric}) == "max"


def test_hinge_is_measured_as_it_predicts():
    net = fn.Network([fn.Dense(1)], loss="hinge").build(1)
    net.parameters["W1"][...] = 1
    outputs = np.array([[1e-30], [1e-9], [0], [-1e-30], [2], [-2]], np.float32)
    predicted = net.predict(outputs)
    assert predicted.tolist() == [1, 1, 0, 0, 1, 0]
    found = net.evaluate(outputs, predicted, metrics=["f1", "auc", fn.metrics.confusion_matrix])
    assert found["accuracy"] == found["f1"] == found["auc"] == 1
    assert found["confusion_matrix"].tolist() == [[3, 0], [0, 3]]


def test_a_metric_cannot_change_the_targets():
    y = np.arange(6.0)

    def centred(truth, outputs):
        truth -= truth.mean()
        return 0.0

    net = fn.Network([fn.Dense(1)], dtype="float64")
    with pytest.raises(ValueError, match="'centred' fails"):
        net.fit(np.eye(6), y, metrics=[centred], verbose=False)
    np.testing.assert_array_equal(y, np.arange(6.0))
