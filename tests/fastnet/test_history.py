"""The history: lists of one entry an epoch, whatever was measured in which of them."""

import copy
import json
import math
import pickle
import re

import numpy as np
import pytest

import fastnet as fn
from fastnet import html

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
    pytest.importorskip("matplotlib")
    history = two_epochs()
    assert [line.get_label() for line in history.plot().lines] == ["cost"]
    history.add("validation_accuracy", 0.7)
    axes = history.plot("accuracy")
    assert [line.get_label() for line in axes.lines] == ["accuracy", "validation_accuracy"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [math.nan, 0.7])
    assert axes.lines[1].get_marker() == ".", "an epoch between two that were not measured can be seen"
    assert axes.lines[1].get_linestyle() == "--"
    assert axes.lines[1].get_color() == axes.lines[0].get_color(), "who sees no colours sees dashes"
    both = history.plot(["accuracy", "validation_accuracy"])
    assert len(both.lines) == 2
    alone = history.plot("validation_accuracy")
    assert [line.get_label() for line in alone.lines] == ["validation_accuracy"]
    again = history.plot("cost", ax=axes)
    assert again is axes
    assert axes.get_ylabel() == "accuracy, cost"
    first, second = history.plot(["cost", "accuracy"])
    assert (first.get_ylabel(), second.get_ylabel()) == ("cost", "accuracy")
    with pytest.raises(ValueError, match="ax has 1 axes: give 2"):
        history.plot(["cost", "accuracy"], ax=axes)
    with pytest.raises(ValueError, match="name='acc' is not known: choose one of 'cost', 'accuracy'"):
        history.plot("acc")
    with pytest.raises(ValueError, match="no epochs yet"):
        fn.History(["cost"]).plot()
    with pytest.raises(ValueError, match=r"names=\[\] is empty: give some of 'cost'"):
        history.plot([])


@pytest.mark.parametrize(
    ("name", "values", "scale"),
    [
        ("cost", [1.0, 0.5, 0.05], "log"),
        ("cost", [1.0, 0.5, 0.2], "linear"),
        ("cost", [1.0, 0.5, 0.0], "linear"),
        ("cost", [1.0, 0.5, -0.05], "linear"),
        ("cost", [math.nan] * 3, "linear"),
        ("accuracy", [0.01, 0.5, 0.9], "linear"),
        ("mean_absolute_error", [1.0, math.nan, 0.01], "log"),
    ],
)
def test_an_axis_is_logarithmic_where_that_shows_more(name, values, scale):
    pytest.importorskip("matplotlib")
    history = fn.History({"cost": [3.0, 2.0, 1.0]} | {name: values})
    assert history.plot(name).get_yscale() == scale


def test_in_a_notebook():
    history = two_epochs()
    history.declare(["f1", "<b>"])
    history.add("f1", 0.25)
    page = history._repr_html_()
    rows = re.findall("<tr>(.*?)</tr>", page)
    cells = [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    assert [row[:4] for row in cells] == [
        ["", "first", "best", "last"],
        ["cost", "3", "2 (epoch 2)", "2"],
        ["accuracy", "0.5", "0.75 (epoch 2)", "0.75"],
        ["f1", "nan", "0.25 (epoch 2)", "0.25"],
        ["&lt;b&gt;", "nan", "", "nan"],
    ]
    assert "2 epochs, 0.2 s" in page
    assert page.count("<svg") == 4
    assert "black" not in page and "#" not in page, "colours are those of the theme"  # noqa: PT018
    assert fn.History()._repr_html_() == "History(no epochs)"


def test_small_lines():
    path = lambda values: re.search(' d="(.*?)"', html.sparkline(values, width=102, height=12))[1]  # noqa: E731
    assert path([0.0, 1.0, 0.5]) == "M1.0 11.0L51.0 1.0L101.0 6.0"
    assert path([2.0, math.nan, 2.0]) == "M1.0 6.0L1.0 6.0M101.0 6.0L101.0 6.0", "each alone is a point"
    assert path([math.inf, 0.0, 1.0]) == "M51.0 11.0L101.0 1.0"
    assert path([math.nan]) == path([]) == ""
