"""Pictures of where a network decides for which label."""

import numpy as np
import pytest

import fastnet as fn

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from fastnet.plots import plot_boundary  # noqa: E402

X = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.1, 1.0], [1.1, 1.0], [2.1, 1.0]])


@pytest.fixture(autouse=True)
def close():
    yield
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("labels", [(0, 1, 2), ("maple", "oak", "pine"), (-5, 7, 40), (False, True)])
def test_labels_of_every_kind(labels):
    k = len(labels)
    y = np.array(labels)[np.arange(6) % k]
    net = fn.Network([fn.Dense(k, "softmax")])
    net.fit(X, y, epochs=5, verbose=False)
    axes = plot_boundary(net.predict, X, y)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [str(label) for label in labels]
    for points, label in zip(axes.collections[-k:], labels, strict=True):
        np.testing.assert_array_equal(points.get_offsets(), X[y == label])


def test_regions_have_the_colour_of_their_samples():
    """What is drawn behind a sample of a network that is right is its own colour, if paler."""
    y = np.array(["left", "middle", "right"] * 2)

    def predict(places):
        return np.array(["left", "middle", "right"])[np.clip(np.round(places[:, 0]), 0, 2).astype(int)]

    axes = plot_boundary(predict, X, y)
    regions, *samples = axes.collections
    for index, points in enumerate(samples):
        np.testing.assert_allclose(points.get_facecolor()[0, :3], regions.get_facecolor()[index, :3])
        path = regions.get_paths()[index]
        assert path.contains_points(points.get_offsets()).all()


def test_columns_and_data_frames():
    y = np.array([[0], [1]] * 3)
    plot_boundary(lambda places: (places[:, 0] > 1).astype(int), X.tolist(), y)
    pandas = pytest.importorskip("pandas")
    plot_boundary(lambda places: (places[:, 0] > 1).astype(int), pandas.DataFrame(X), pandas.Series(y[:, 0]))


@pytest.mark.parametrize(
    ("predict", "X", "y", "message"),
    [
        (lambda places: places[:, 0], X, [0, 1] * 3, "no label of y .0, 1.: give a function that returns labels"),
        (lambda places: np.full(len(places), "c"), X, ["a", "b"] * 3, "predict returns 'c'"),
        (lambda places: places[:, 0], X[:, :1], [0, 1] * 3, r"X has shape \(6, 1\)"),
        (lambda places: places[:, 0], X, [0, 1], r"y has shape \(2,\): give one label a sample, \(6,\)"),
    ],
)
def test_what_cannot_be_drawn(predict, X, y, message):
    with pytest.raises(ValueError, match=message):
        plot_boundary(predict, X, y)
    assert not matplotlib.pyplot.get_fignums()
