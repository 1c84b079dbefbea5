"""The history: lists of one entry an epoch, whatever was measured in which of them."""

import copy
import json
import math
import pickle

import numpy as np
import pytest

import fastnet as fn

X, Y = fn.datasets.planar()


def two_epochs():
    return fn.History({"cost": [3.0, 2.0], "accuracy": [0.5, 0.75], "seconds": [0.1, 0.1]})


def test_a_list_that_is_new_begins_with_nan():
    history = two_epochs()
    history.add("learning_rate", 0.1)
    history.add("learning_rate", 0.2)  # once more in the same epoch
    np.testing.assert_array_equal(history["learning_rate"], [math.nan, 0.2])
    history.declare(["f1", "cost"])
    np.testing.assert_array_equal(history["f1"], [math.nan, math.nan])
    assert history["cost"] == [3, 2]


def test_a_list_that_nothing_was_added_to_goes_on_with_nan():
    history = two_epochs()
    history.add("f1", 0.5)
    history.extend("cost", [1.0, 0.5])  # two more epochs, without the metric
    history.extend("accuracy", [0.8, 0.9])
    history.extend("recall", [0.25])
    history.complete()
    assert {len(values) for values in history.values()} == {4} == {history.epochs}
    np.testing.assert_array_equal(history["f1"], [math.nan, 0.5, math.nan, math.nan])
    np.testing.assert_array_equal(history["recall"], [math.nan, math.nan, math.nan, 0.25])
    assert history["accuracy"] == [0.5, 0.75, 0.8, 0.9]


def test_an_epoch_left_out():
    history = two_epochs()
    history.extend("cost", [1.0])
    history.extend("cost", [0.5])
    history.extend("accuracy", [0.8])
    history.extend("accuracy", [0.9])  # once more for the same epoch
    np.testing.assert_array_equal(history["accuracy"], [0.5, 0.75, math.nan, 0.9])


def test_before_the_first_epoch():
    history = fn.History(["cost", "accuracy"])
    assert history == {"cost": [], "accuracy": []}
    assert repr(history) == "History(no epochs)"
    with pytest.raises(ValueError, match=r"no epoch has ended yet, which f1=0\.5"):
        history.add("f1", 0.5)
    assert history == {"cost": [], "accuracy": []}


def test_copies():
    history = two_epochs()
    for twin in (copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert type(twin) is fn.History
        assert twin == history
        twin.add("cost", 0.0)
        assert history["cost"] == [3, 2]
    assert fn.History(json.loads(json.dumps(history))) == history


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    history = two_epochs()
    history.add("f1", 0.5)
    frame = pandas.DataFrame(history)
    assert list(frame) == list(history)
    assert frame.shape == (2, 4)
    assert math.isnan(frame["f1"][0])


def test_a_metric_added_and_dropped_between_fits():
    net = fn.LogisticRegression()
    net.fit(X, Y, epochs=2, verbose=False)
    net.fit(X, Y, epochs=4, validation_data=(X, Y), resume=True, verbose=False)
    history = net.fit(X, Y, epochs=5, resume=True, callbacks=[fn.LearningRateLogger()], verbose=False)
    assert {len(values) for values in history.values()} == {5}
    assert [math.isnan(value) for value in history["validation_cost"]] == [True, True, False, False, True]
    assert [math.isnan(value) for value in history["learning_rate"]] == [True] * 4 + [False]


def test_a_plateau_begins_with_what_was_measured():
    schedule = fn.schedules.reduce_on_plateau(1.0, patience=1)
    rate_after = lambda values: schedule.rates(0, 1, 9, {"validation_cost": values})[0]  # noqa: E731
    assert rate_after([math.nan, math.nan, math.nan, 3, 2]) == 1
    assert rate_after([math.nan, 2, 3, 3]) == 0.1


def test_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    history = two_epochs()
    assert [line.get_label() for line in history.plot().lines] == ["cost"]
    history.add("validation_accuracy", 0.7)
    axes = history.plot("accuracy")
    assert [line.get_label() for line in axes.lines] == ["accuracy", "validation_accuracy"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [math.nan, 0.7])
    assert axes.lines[1].get_marker() == ".", "an epoch between two that were not measured can be seen"
    both = history.plot(["accuracy", "validation_accuracy"])
    assert len(both.lines) == 2
    again = history.plot("cost", ax=axes)
    assert again is axes
    with pytest.raises(ValueError, match="name='acc' is not known: choose one of 'cost', 'accuracy'"):
        history.plot("acc")
    with pytest.raises(ValueError, match="no epochs yet"):
        fn.History(["cost"]).plot()
    matplotlib.pyplot.close("all")
