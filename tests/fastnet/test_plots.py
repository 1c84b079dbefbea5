"""Pictures: what is drawn, on which axes, and that it can be read."""

import itertools
import sys

import numpy as np
import pytest

import fastnet as fn

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from fastnet.plots import palette  # noqa: E402
from fastnet.summary import rows_of  # noqa: E402

X = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.1, 1.0], [1.1, 1.0], [2.1, 1.0]])

LONG = "a long label, number {} of them"


@pytest.fixture(autouse=True)
def no_figure_is_left():
    plt.close("all")
    yield
    assert not plt.get_fignums()


def images_net():
    return fn.Network([fn.MaxPool2D(2), fn.Dense(6, "relu"), fn.Dense(3, "softmax")], seed=1).build((8, 8, 2))


def flat_net(dtype="float32"):
    return fn.Network([fn.Dense(5, "relu"), fn.Dropout(0.1), fn.Dense(3, "softmax")], dtype=dtype).build(4)


def conv_net():
    layers = [fn.Conv2D(5, 3), fn.Conv2D(4, (2, 3), activation="relu"), fn.Dense(3, "softmax")]
    return fn.Network(layers, seed=1).build((8, 8, 2))


HISTORY = fn.History({"cost": [2.0, 1.0], "validation_cost": [2.1, 1.1], "accuracy": [0.5, 0.6]})
PICTURES = {
    "history": lambda ax: fn.plots.history(HISTORY, ax=ax),
    "confusion_matrix": lambda ax: fn.plots.confusion_matrix([0, 1, 1], [0, 1, 0], ax=ax),
    "decision_boundary": lambda ax: fn.plots.decision_boundary(lambda places: places[:, 0] > 1, X, X[:, 0] > 1, ax=ax),
    "numbers in the plane": lambda ax: fn.plots.decision_boundary(lambda places: places[:, 0], X, X[:, 1] / 3, ax=ax),
    "weights": lambda ax: fn.plots.weights(flat_net(), ax=ax),
    "weights of images": lambda ax: fn.plots.weights(images_net(), ax=ax),
    "filters": lambda ax: fn.plots.filters(conv_net(), ax=ax),
    "network": lambda ax: fn.plots.network(flat_net(), ax=ax),
    "images": lambda ax: fn.plots.images(np.eye(4)[None], [0], [1], ax=None if ax is None else [ax])[0],
}
pictures = pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)


def texts_overlap(texts):
    """The first two that lie on each other in the finished picture."""
    texts = [text for text in texts if text.get_text() and text.get_visible()]
    texts[0].get_figure().canvas.draw()
    # Less a little: the extents of text have some space around the letters.
    boxes = [text.get_window_extent().shrunk(0.98, 0.9) for text in texts]
    for (one, a), (other, b) in itertools.combinations(zip(texts, boxes, strict=True), 2):
        if a.overlaps(b):
            return one.get_text(), other.get_text()
    return None


def contrast(one, other):
    """Of two colours, from 1 to 21 (WCAG 2.2)."""
    low, high = sorted(palette._luminance(matplotlib.colors.to_rgb(color)) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


# ---------------------------------------------------------------- all of them


@pictures
@pytest.mark.parametrize("style", ["default", "dark_background", "ggplot"])
def test_on_axes_that_are_given_and_on_its_own(draw, style, tmp_path):
    with plt.style.context(style):
        own = draw(None)
        own.figure.savefig(tmp_path / "own.png", dpi=40)
        assert own.figure.get_facecolor() == matplotlib.colors.to_rgba(plt.rcParams["figure.facecolor"])
        figure = Figure()
        given = figure.subplots(1, 2)[1]
        assert draw(given) is given
        figure.savefig(tmp_path / "given.png", dpi=40)
    for name in ("own.png", "given.png"):
        assert plt.imread(tmp_path / name)[..., :3].std() > 0.02, "there is something to be seen"


@pictures
def test_nothing_is_left_to_pyplot_where_it_shows_nothing(draw):
    draw(None)
    assert plt.get_fignums() == []


@pictures
def test_where_pyplot_shows_figures_it_shows_these(draw, monkeypatch):
    monkeypatch.setattr(plt, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
    ax = draw(None)
    assert [plt.figure(number) for number in plt.get_fignums()] == [ax.figure]
    plt.close("all")


def test_a_notebook_imports_pyplot_and_a_script_does_not(monkeypatch):
    from fastnet.plots import figures

    monkeypatch.setattr(plt, "get_backend", lambda: "QtAgg")
    assert figures._pyplot_shows()
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot")
    assert not figures._pyplot_shows()
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr(matplotlib, "pyplot", plt)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", plt)
    assert figures._pyplot_shows()


@pictures
def test_without_matplotlib(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(ImportError, match=r"drawing needs matplotlib: pip install 'fastnet-numba\[plot\]'"):
        draw(None)


@pictures
def test_axes_must_be_axes(draw):
    with pytest.raises(TypeError, match=r"ax(\[0\])? is a str: give axes of matplotlib"):
        draw("here")


def test_grids_of_styles_are_not_drawn_over_images():
    with plt.style.context("ggplot"):
        for name, draw in PICTURES.items():
            ax = draw(None)
            if ax.images:
                assert not any(line.get_visible() for line in ax.xaxis.get_gridlines()), name


def test_a_history_among_other_axes_has_all_labels():
    upper = Figure().subplots(2, 1)[0]
    assert fn.plots.history(HISTORY, ax=upper).get_xlabel() == "epoch"


def test_logarithmic_axes_have_plain_numbers():
    ax = fn.plots.history({"cost": [2.0, 0.7, 0.16]})
    ax.figure.canvas.draw()
    labels = [text.get_text() for text in (*ax.get_yticklabels(), *ax.get_yticklabels(minor=True))]
    assert ax.get_yscale() == "log"
    assert {"1", "0.2", "0.4"} <= set(labels)
    assert not [label for label in labels if "$" in label]


def test_black_or_white_can_be_read_on_every_colour():
    for color in itertools.product(np.linspace(0, 1, 9), repeat=3):
        assert contrast(palette.readable_on(color), color) >= 4.5


# ---------------------------------------------------------------- confusion matrix


def test_counts():
    y_true, y_pred = ["cat", "cat", "dog", "cow"], ["cat", "dog", "dog", "dog"]
    ax = fn.plots.confusion_matrix(y_true, y_pred)
    assert [text.get_text() for text in ax.texts] == ["1", "0", "1", "0", "0", "1", "0", "0", "1"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["cat", "cow", "dog"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    turned = fn.plots.confusion_matrix(y_true, y_pred, labels=["dog", "cat", "cow", "elk"])
    np.testing.assert_array_equal(
        turned.images[0].get_array(), [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    )


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [
        ("true", [["0.50", "0.50", "0.00"], ["0.00", "1.00", "0.00"], ["–"] * 3]),  # noqa: RUF001
        ("pred", [["1.00", "0.50", "–"], ["0.00", "0.50", "–"], ["0.00", "0.00", "–"]]),  # noqa: RUF001
        ("all", [["0.33", "0.33", "0.00"], ["0.00", "0.33", "0.00"], ["0.00"] * 3]),
    ],
)
def test_shares(normalize, expected):
    ax = fn.plots.confusion_matrix([0, 0, 1], [0, 1, 1], labels=[0, 1, 2], normalize=normalize)
    assert [text.get_text() for text in ax.texts] == list(itertools.chain(*expected))


@pytest.mark.parametrize(
    ("y_true", "y_pred", "labels"),
    [
        ([1.0, 0.0], [1, 0], ["0", "1"]),
        ([[1], [0]], [1, 0], ["0", "1"]),
        ([True, False], [True, True], ["False", "True"]),
        (np.array(["b", "a"], object), ["b", "a"], ["a", "b"]),
    ],
)
def test_labels_of_every_kind_are_counted(y_true, y_pred, labels):
    ax = fn.plots.confusion_matrix(y_true, y_pred)
    assert [text.get_text() for text in ax.get_xticklabels()] == labels
    assert ax.images[0].get_array().sum() == 2


@pytest.mark.parametrize(
    ("k", "label", "style"),
    [
        (1, "{}", "default"),
        (2, LONG, "dark_background"),
        (3, "{}", "ggplot"),
        (10, LONG, "default"),
        (18, LONG, "dark_background"),
    ],
)
def test_labels_and_numbers_can_be_read(k, label, style):
    rng = np.random.default_rng(0)
    names = np.array([label.format(i) for i in range(k)])
    y, noise = rng.integers(0, k, (2, 3000))
    predicted = np.where(rng.random(3000) < 0.7, y, noise)
    with plt.style.context(style):
        ax = fn.plots.confusion_matrix(names[y], names[predicted])
        assert texts_overlap(ax.get_xticklabels()) is None
        assert texts_overlap(ax.get_yticklabels()) is None
        assert texts_overlap(ax.texts) is None
    image = ax.images[0]
    for text in ax.texts:
        x, y = text.get_position()
        assert contrast(text.get_color(), image.cmap(image.norm(image.get_array()[y, x]))[:3]) >= 4.5
    assert min(text.get_fontsize() for text in ax.texts) >= 5


@pytest.mark.slow
def test_cells_too_small_for_numbers_have_a_colour_bar():
    y = np.arange(250)
    ax = fn.plots.confusion_matrix(y, y)
    assert not ax.texts
    assert len(ax.figure.axes) == 2
    assert texts_overlap(ax.get_xticklabels()) is None


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0, 1], [0]), {}, r"y_pred has shape \(1,\): give one label a sample, \(2,\)"),
        (([], []), {}, "y_true has shape"),
        ((np.eye(3), [0, 1, 2]), {}, r"y_true has shape \(3, 3\).* y_true.argmax\(axis=1\) are the classes"),
        (([0, 1], [0, None]), {}, "y_pred holds None in row 1"),
        (([0, np.nan], [0, 1]), {}, "y_true holds nan in row 1"),
        (([0, 1], [0, 0.5]), {}, "y_pred holds 0.5 in row 1, which is no label"),
        ((["a", "b"], [0, 1]), {}, "y_true holds strings and y_pred numbers"),
        (([0, 1], [0, 2]), {"labels": [0, 1]}, "y_pred holds 2, which is not among labels"),
        (([0, 1], [0, 1]), {"labels": ["0", "1"]}, "labels holds strings and y_true numbers"),
        (([0, 1], [0, 1]), {"labels": [0, 1, 0]}, r"labels=\[0, 1, 0\] has some more than once"),
        (([0, 1], [0, 1]), {"normalize": "rows"}, "normalize='rows' is not known: choose one of 'true', 'pred', 'all'"),
    ],
)
def test_what_cannot_be_counted(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        fn.plots.confusion_matrix(*arguments, **options)


# ---------------------------------------------------------------- decision boundary


@pytest.mark.parametrize("labels", [(0, 1, 2), ("maple", "oak", "pine"), (-5, 7, 40), (False, True)])
def test_labels_of_every_kind(labels):
    k = len(labels)
    y = np.array(labels)[np.arange(6) % k]
    net = fn.Network([fn.Dense(k, "softmax")])
    net.fit(X, y, epochs=5, verbose=False)
    axes = fn.plots.decision_boundary(net, X, y)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [str(label) for label in labels]
    for points, label in zip(axes.collections[-k:], labels, strict=True):
        np.testing.assert_array_equal(points.get_offsets(), X[y == label])


def test_regions_have_the_colour_of_their_samples():
    """What is behind a sample of a network that is right is its own colour; and no third label between two."""

    def predict(places):
        return np.where(places[:, 0] < 0.5, "left", np.where(places[:, 1] > 0.5, "right", "middle"))

    axes = fn.plots.decision_boundary(predict, X, predict(X))
    image, (*_, left, middle, right) = axes.images[0], axes.collections
    whose = image.get_array()
    assert image.get_extent()[0] < X[:, 0].min()
    x = np.linspace(*image.get_extent()[:2], whose.shape[1])
    top = whose[-1]  # where "left" meets "right"
    np.testing.assert_array_equal(top, np.where(x < 0.5, 0, 2))
    for index, points in enumerate((left, middle, right)):
        np.testing.assert_allclose(points.get_facecolor()[0, :3], image.cmap(image.norm(index))[:3])


def test_no_two_labels_look_alike():
    colors, markers = palette.class_styles(40)
    assert len({(tuple(color), marker) for color, marker in zip(colors.tolist(), markers, strict=True)}) == 40


def test_numbers():
    net = fn.Network([fn.Dense(1)]).build(2)
    ax = fn.plots.decision_boundary(net, X, X[:, 0] + 0.5)
    assert len(ax.figure.axes) == 2, "a colour bar"
    np.testing.assert_allclose(ax.collections[0].get_array(), X[:, 0] + 0.5)
    probabilities = fn.LogisticRegression().build(2).predict_proba
    assert fn.plots.decision_boundary(probabilities, X, [0, 1] * 3).images[0].get_array().min() == 0.5


def test_columns_and_data_frames():
    y = np.array([[0], [1]] * 3)
    fn.plots.decision_boundary(lambda places: (places[:, 0] > 1).astype(int), X.tolist(), y)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["height", "width"])
    ax = fn.plots.decision_boundary(lambda places: (places[:, 0] > 1).astype(int), frame, pandas.Series(y[:, 0]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("height", "width")


def test_samples_of_any_range_are_in_the_picture():
    far = X * [1e6, 1e-6] + [5e8, 0]
    ax = fn.plots.decision_boundary(lambda places: np.zeros(len(places), int), far, [0, 1] * 3)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left < far[:, 0].min() < far[:, 0].max() < right
    assert bottom < far[:, 1].min() < far[:, 1].max() < top < 2e-6
    fn.plots.decision_boundary(lambda places: np.zeros(len(places), int), np.zeros((2, 2)), [0, 1])


@pytest.mark.parametrize(
    ("predict", "X", "y", "message"),
    [
        (
            lambda places: np.full(len(places), 3),
            X,
            [0, 1] * 3,
            "predict returns 3, which is no label of y .0, 1.: give",
        ),
        (lambda places: np.full(len(places), "c"), X, ["a", "b"] * 3, "predict returns 'c'"),
        (lambda places: places[:, 0], X, ["a", "b"] * 3, "y holds strings and predict returns numbers"),
        (lambda places: places[:, 0] * np.nan, X, [0, 1] * 3, "predict returns NaN or infinity"),
        (lambda places: places, X, [0, 1] * 3, r"predict returns \(90000, 2\) for 90000 samples"),
        (lambda places: places[:, 0], X[:, :1], [0, 1] * 3, r"X has 1 features a sample: give two, \(m, 2\)"),
        (lambda places: places[:, 0], X * np.nan, [0, 1] * 3, "X holds nan in row 0"),
        (lambda places: places[:, 0], X, [0, 1], r"y has shape \(2,\): give one label or number a sample, \(6,\)"),
        (lambda places: places[:, 0], X, [0.5, np.nan] * 3, "y holds NaN"),
    ],
)
def test_what_cannot_be_drawn(predict, X, y, message):
    with pytest.raises(ValueError, match=message):
        fn.plots.decision_boundary(predict, X, y)


def test_a_model_predicts():
    with pytest.raises(TypeError, match="model is a list: give a network"):
        fn.plots.decision_boundary([], X, [0, 1] * 3)


# ---------------------------------------------------------------- weights


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_a_unit(dtype):
    net = flat_net(dtype)
    ax = fn.plots.weights(net, 2)
    image = ax.images[0]
    np.testing.assert_array_equal(image.get_array(), net.parameters["W2"])
    low, high = image.get_clim()
    assert -low == high == pytest.approx(np.abs(net.parameters["W2"]).max())
    np.testing.assert_allclose(image.cmap(0.5)[:3], 1, atol=0.01, err_msg="0 is the background's colour")


def test_an_image_a_unit():
    net = fn.Network([fn.Dense(5)]).build(12)
    drawn = fn.plots.weights(net, shape=(3, 4)).images[0].get_array()
    W = net.parameters["W1"].reshape(5, 3, 4)
    np.testing.assert_array_equal(drawn[:3, :4], W[0])
    np.testing.assert_array_equal(drawn[:3, 5:9], W[1])
    assert drawn.mask[:, 4].all()
    assert drawn.count() == 60


def test_shapes_are_known_where_the_network_knows_them():
    net = images_net()
    assert fn.plots.weights(net).get_title() == "W1 (6, 32)"
    drawn = fn.plots.weights(net).images[0].get_array()
    W = net.parameters["W1"].reshape(6, 4, 4, 2)
    np.testing.assert_array_equal(drawn[:4, :4], W[0, ..., 0])
    np.testing.assert_array_equal(drawn[:4, 4:8], W[0, ..., 1])


def test_each_filter_is_an_image_with_channels_side_by_side():
    net = conv_net()
    ax = fn.plots.filters(net)
    assert (ax.get_title(), ax.get_ylabel()) == ("W1 (5, 3, 3, 2)", "filters")
    drawn = ax.images[0].get_array()
    W = net.parameters["W1"]
    np.testing.assert_allclose(drawn[:3, :3], W[0, :, :, 0])
    np.testing.assert_allclose(drawn[:3, 3:6], W[0, :, :, 1])
    np.testing.assert_allclose(drawn[:3, 7:10], W[1, :, :, 0])
    assert drawn.mask[:3, 6].all()
    assert fn.plots.filters(net, 2).get_title() == "W2 (4, 2, 3, 5)"


def test_filters_of_signals_have_a_row_a_channel():
    net = fn.Network([fn.Conv1D(4, 5), fn.Dense(1)]).build((9, 2))
    drawn = fn.plots.filters(net).images[0].get_array()
    np.testing.assert_allclose(drawn[:2, :5], net.parameters["W1"][0].T)


def test_filters_and_weights_are_of_their_own_layers():
    with pytest.raises(ValueError, match=r"layer=1 is a convolution: fn.plots.filters\(net, 1\)"):
        fn.plots.weights(conv_net())
    with pytest.raises(ValueError, match=r"layer=3 is no convolution: fn.plots.weights\(net, 3\)"):
        fn.plots.filters(conv_net(), 3)


def test_weights_of_layers_for_sequences_have_a_row_a_unit():
    layers = [fn.Embedding(9, 8), fn.LSTM(56, return_sequences=True), fn.Dense(3)]
    for net, layer, shape in (
        (fn.Network(layers).build(8), 2, (224, 64)),  # as many inputs as 8 steps of 8 numbers
        (fn.Network(layers).build(7), 3, (3, 56)),
        (fn.Network([fn.GRU(4), fn.Dense(3)]).build((8, 8)), 1, (12, 12)),
    ):
        assert fn.plots.weights(net, layer).images[0].get_array().shape == shape


def test_weights_that_are_all_zero():
    assert fn.plots.weights(fn.LogisticRegression().build(3)).images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("net", "options", "error", "message"),
    [
        (fn.Network([fn.Dense(1)]), {}, ValueError, "no parameters yet"),
        (fn.Network([fn.Dense(1)]).build(6), {"layer": 2}, ValueError, "layer=2 is not there: choose one of 1"),
        (fn.Network([fn.Dense(1)]).build(6), {"layer": "1"}, TypeError, "layer='1'"),
        (fn.Network([fn.Dense(1)]).build(6), {"shape": (2, 4)}, ValueError, r"shape=\(2, 4\) is not that of 6 inputs"),
        ("net", {}, TypeError, "net is a str: give a fastnet.Network"),
    ],
)
def test_weights_that_are_not_there(net, options, error, message):
    with pytest.raises(error, match=message):
        fn.plots.weights(net, **options)


def test_weights_that_are_no_numbers():
    net = flat_net()
    net.parameters["W1"][0, 0] = np.nan
    with pytest.raises(ValueError, match="W1 holds NaN or infinity"):
        fn.plots.weights(net)


# ---------------------------------------------------------------- network


DEEP = [layer for i in range(9) for layer in (fn.Dense(200 - 20 * i, "leaky_relu", l2=1e-4), fn.BatchNorm("relu"))]
NETWORKS = {
    "small": fn.Network([fn.Dense(3, "tanh"), fn.Dense(1, "sigmoid")]).build(2),
    "one unit": fn.Network([fn.Dense(1)]).build(1),
    "digits": fn.Network([fn.Rescale(1 / 255), fn.Dense(64, "relu"), fn.Dropout(0.5), fn.Dense(10)]).build(784),
    "images": images_net(),
    "signals": fn.Network([fn.MaxPool1D(2), fn.Dense(1)]).build((16, 2)),
    "deep": fn.Network([*DEEP, fn.Dense(5, "softmax")]).build(1000),
}


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_a_network_is_named_layer_by_layer(net):
    ax = fn.plots.network(net)
    texts = [text.get_text() for text in ax.texts]
    assert [text for text in texts if text.startswith("(m, ")] == [row.output for row in rows_of(net)]
    assert sum(text.split()[-1] in {type(layer).__name__ for layer in net.layers} for text in texts) == len(net.layers)
    assert f"{sum(array.size for array in net.parameters.values()):,} parameters" in texts[-1]
    assert texts_overlap(ax.texts) is None
    figure = ax.figure.bbox
    for text in ax.texts:
        box = text.get_window_extent()
        assert figure.x0 <= box.x0 and box.x1 <= figure.x1 and figure.y0 <= box.y0 and box.y1 <= figure.y1  # noqa: PT018


@pytest.mark.parametrize("name", ["digits", "deep"])
def test_text_shrinks_with_axes_that_are_given(name):
    ax = fn.plots.network(NETWORKS[name], ax=Figure(figsize=(4, 3)).subplots())
    assert texts_overlap(ax.texts) is None


def test_units_are_drawn_one_by_one_if_they_are_few():
    from matplotlib.patches import Ellipse

    def units(net):
        return sum(isinstance(patch, Ellipse) for patch in fn.plots.network(net).patches)

    assert units(NETWORKS["small"]) == 2 + 3 + 1
    assert units(NETWORKS["digits"]) == 10


def test_a_network_that_is_not_built():
    with pytest.raises(ValueError, match="no parameters yet"):
        fn.plots.network(fn.Network([fn.Dense(1)]))
    with pytest.raises(TypeError, match="net is a list"):
        fn.plots.network([])


# ---------------------------------------------------------------- images


def test_what_images_were_taken_for():
    images = np.arange(14 * 4.0).reshape(14, 2, 2)
    predicted, true = np.arange(14), np.arange(14).astype(float)
    true[3] = 7
    axes = fn.plots.images(images, predicted, true)
    assert axes.shape == (14,)
    assert [ax.get_title() for ax in axes] == [f"{i}" if i != 3 else "3 (is 7)" for i in range(14)]
    assert [i for i, ax in enumerate(axes) if ax.title.get_fontweight() == "bold"] == [3]
    assert {ax.images[0].get_clim() for ax in axes} == {(0, 55)}


def test_titles_of_images_do_not_overlap():
    names = np.array([f"a rather long name of class {i}" for i in range(12)])
    axes = fn.plots.images(np.zeros((12, 4, 4)), names, names[::-1])
    assert texts_overlap([ax.title for ax in axes]) is None


@pytest.mark.parametrize("images", [np.zeros((2, 4, 3, 1)), np.zeros((2, 4, 3, 3)), np.zeros((2, 4, 3, 3), np.uint8)])
def test_images_of_colours_and_of_none(images):
    assert [ax.images[0].get_array().shape[:2] for ax in fn.plots.images(images)] == [(4, 3)] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((4, 4)),), r"images has shape \(4, 4\): give \(n, h, w\)"),
        ((np.zeros((2, 4, 4, 2)),), r"images has shape \(2, 4, 4, 2\)"),
        ((np.full((2, 4, 4), np.nan),), "images holds NaN"),
        ((np.full((2, 4, 4, 3), 255.0),), r"colours of 255.0 to 255.0: give float64 of 0 to 1"),
        ((np.zeros((2, 4, 4)), [1, 2, 3]), r"predicted has shape \(3,\): give one label a sample, \(2,\)"),
        ((np.zeros((2, 4, 4)), None, [1, 2]), "true is given without predicted"),
        ((np.zeros((2, 4, 4)), ["a", "b"], [1, 2]), "predicted holds strings and true numbers"),
    ],
)
def test_what_are_no_images(arguments, message):
    with pytest.raises(ValueError, match=message):
        fn.plots.images(*arguments)
