"""Names of columns: a network that was trained on a data frame keeps them, and holds others against them."""

import copy
import pickle

import numpy as np
import pytest

import fastnet as fn

RNG = np.random.default_rng(0)
NAMES = ("height", "weight", "age")


def frames():
    pandas, polars, pyarrow = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    return [pandas.DataFrame, polars.DataFrame, pyarrow.table]


@pytest.fixture(params=[0, 1, 2], ids=["pandas", "polars", "arrow"])
def frame(request):
    """`frame(X)`: X with NAMES, or other names."""
    make = frames()[request.param]
    return lambda X, names=NAMES: make({name: X[:, j] for j, name in enumerate(names)})


def trained(X, frame):
    net = fn.Network([fn.Dense(4, "tanh"), fn.Dense(1)])
    net.fit(X if frame is None else frame(X), X.sum(axis=1), epochs=1, verbose=False)
    return net


def test_columns_in_another_order_or_of_other_names_are_refused(frame):
    X = RNG.standard_normal((20, 3))
    net = trained(X, frame)
    assert net.feature_names == NAMES
    np.testing.assert_array_equal(net.predict(frame(X)), net.predict(X))
    for names, message in (
        (("weight", "height", "age"), "columns that are in another order than in training: give X"),
        (("height", "weight", "years"), "other ones than in training; it lacks 'age'; it has also 'years'"),
    ):
        given = frame(X, names)
        for use in (
            net.predict,
            lambda X: net.evaluate(X, np.zeros(20)),
            lambda X: net.gradients(X, np.zeros(20)),
            lambda X: net.fit(X, np.zeros(20), epochs=1, verbose=False),
            lambda X: net.partial_fit(X, np.zeros(20)),
            lambda X: net.fit(frame(np.zeros((20, 3))), np.zeros(20), validation_data=(X, np.zeros(20)), verbose=False),
            lambda X: net.fit([(X, np.zeros(20))], epochs=1, verbose=False),
        ):
            with pytest.raises(ValueError, match=message):
                use(given)
    assert net.history.epochs == 1


def test_names_are_kept_wherever_the_network_is(frame, tmp_path):
    X = RNG.standard_normal((20, 3))
    net = trained(X, frame)
    net.save(tmp_path / "net.safetensors")
    for twin in (
        net.copy(), net.copy(dtype="float64"), copy.deepcopy(net), pickle.loads(pickle.dumps(net)),
        fn.load(tmp_path / "net.safetensors"),
    ):  # fmt: skip
        assert twin.feature_names == NAMES
    assert "height, weight, age" in net.summary()
    assert trained(X, None).feature_names is None
    net.fit(X, X.sum(axis=1), epochs=1, verbose=False)  # an array has no names to compare
    assert net.feature_names == NAMES
    assert net.build(3).feature_names is None


def test_what_is_not_finite_is_said_with_the_name_of_its_column(frame):
    X = RNG.standard_normal((20, 3))
    net = trained(X, frame)
    X[7, 1] = np.inf
    for use in (
        net.predict,
        lambda X: net.evaluate(X, np.zeros(20)),
        lambda X: net.fit(X, np.zeros(20), verbose=False),
    ):
        with pytest.raises(ValueError, match="X holds inf in row 7, column 'weight'"):
            use(frame(X))
        with pytest.raises(ValueError, match="X holds inf in row 7, column 1"):
            use(X)


def test_columns_without_names_that_are_strings_have_none():
    pandas = pytest.importorskip("pandas")
    X = RNG.standard_normal((20, 3))
    net = fn.Network([fn.Dense(1)])
    net.fit(pandas.DataFrame(X), X.sum(axis=1), epochs=1, verbose=False)
    assert net.feature_names is None


def test_a_fit_that_is_refused_leaves_no_names(frame):
    net = fn.Network([fn.Dense(1)])
    with pytest.raises(ValueError, match="y has 3 samples"):
        net.fit(frame(np.zeros((20, 3))), np.zeros(3), verbose=False)
    assert net.feature_names is None


def test_damaged_names_in_a_file_are_refused(tmp_path):
    import json

    from fastnet.storage.model_file import reading, write

    X = RNG.standard_normal((20, 3))
    net = trained(X, lambda X: pytest.importorskip("pandas").DataFrame(X, columns=NAMES))
    path = tmp_path / "net.safetensors"
    net.save(path)
    with reading(path) as (metadata, tensors):
        arrays = {name: tensor.read() for name, tensor in tensors.items()}
    whole = json.loads(metadata["network"])
    for names in (["a", "b"], ["a", "b", 3], "abc", None):
        write(path, metadata | {"network": json.dumps(whole | {"feature_names": names})}, arrays)
        with pytest.raises(fn.ModelFileError, match="feature_names"):
            fn.load(path)


def test_a_stream_of_frames_has_the_names_of_its_first_one(frame):
    X = RNG.standard_normal((20, 3))
    net = fn.Network([fn.Dense(1)])
    with pytest.raises(ValueError, match="in another order"):
        net.fit([(frame(X), X[:, 0]), (frame(X, NAMES[::-1]), X[:, 0])], epochs=1, verbose=False)
    assert net.feature_names == NAMES
