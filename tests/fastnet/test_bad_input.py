"""Bad input is refused before any work, with what was given, what is expected and what to do."""

import numpy as np
import pytest

import fastnet as fn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 4))
Y = np.arange(12) % 3


def classifier(**options):
    return fn.Network([fn.Dense(5, "relu"), fn.Dense(3, "softmax")], **options)


def with_value(array, place, value):
    array = np.array(array, dtype=np.float64)
    array[place] = value
    return array


BAD_FITS = {
    "lengths": ((X, Y[:-1]), {}, "11 samples and X has 12"),
    "no target": ((X, 3), {}, "0 samples and X has 12"),
    "rank 1": ((X[0], Y[:1]), {}, r"X.reshape\(1, -1\)"),
    "rank 0": ((3.0, Y[:1]), {}, r"shape \(\)"),
    "empty": ((X[:0], Y[:0]), {}, "empty"),
    "no features": ((X[:, :0], Y), {}, "empty"),
    "NaN": ((with_value(X, (3, 1), np.nan), Y), {}, "X holds nan in row 3"),
    "infinity": ((with_value(X, (11, 0), -np.inf), Y), {}, "X holds -inf in row 11"),
    "too large": ((with_value(X, (2, 0), 1e300), Y), {}, "too large for float32"),
    "ragged": (([[1.0, 2.0], [3.0]], Y[:2]), {}, "same number of features"),
    "strings": ((X.astype(str), Y), {}, "real numbers"),
    "complex": ((X.astype(complex), Y), {}, "real numbers"),
    "NaN label": ((X, with_value(Y, 2, np.nan)), {}, "y holds nan in row 2"),
    "fractions": ((X, Y + 0.5), {}, "no label"),
    "complex labels": ((X, Y.astype(complex)), {}, "labels"),
    "too many classes": ((X, np.arange(12)), {}, "12 classes"),
    "too few strings": ((X, np.array(["a", "b"] * 6)), {}, "2 classes"),
    "wrong one-hot width": ((X, np.eye(12)), {}, r"shape \(12, 12\)"),
    "two ones": ((X, np.ones((12, 3))), {}, "one-hot rows"),
    "rank 3 labels": ((X, np.zeros((12, 1, 1), int)), {}, "shape"),
    "epochs 0": ((X, Y), {"epochs": 0}, "epochs=0 is below 1"),
    "epochs 1.5": ((X, Y), {"epochs": 1.5}, "whole number"),
    "batch 0": ((X, Y), {"batch_size": 0}, "batch_size=0"),
    "batch -1": ((X, Y), {"batch_size": -1}, "batch_size=-1"),
    "batch True": ((X, Y), {"batch_size": True}, "bool"),
    "optimizer": ((X, Y), {"optimizer": "sgd"}, "SGD"),
    "validation triple": ((X, Y), {"validation_data": (X, Y, Y)}, "pair"),
    "validation features": ((X, Y), {"validation_data": (X[:, :3], Y)}, "3 features"),
    "validation labels": ((X, Y), {"validation_data": (X, Y + 1)}, "not there in training"),
    "validation lengths": ((X, Y), {"validation_data": (X, Y[:3])}, "3 samples"),
}


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("case", BAD_FITS)
def test_fit_refuses(case, built):
    arguments, options, message = BAD_FITS[case]
    net = classifier()
    if built:
        net.build(4)
        before, state = net.buffer.copy(), net.rng.bit_generator.state
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(*arguments, **options, verbose=False)
    if built:
        np.testing.assert_array_equal(net.buffer, before)
        assert net.rng.bit_generator.state == state
        assert net.task.classes is None
    else:
        assert net.n_inputs is None, "a refused fit must not build the network"


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array(["a"] * 12), "use a softmax"),
        (with_value(Y, 1, np.inf), "y holds inf in row 1"),
        (np.ones((12, 2)), r"expected \(12, 1\)"),
        (np.ones(12) * 1e200, "too large for float32"),
    ],
)
def test_regression_refuses(y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fn.Network([fn.Dense(1)]).fit(X, y, verbose=False)


def test_other_features_than_built_for():
    net = classifier().build(7)
    for use in (net.predict, net.predict_proba):
        with pytest.raises(ValueError, match=r"4 features.*built for 7"):
            use(X)
    with pytest.raises(ValueError, match="built for 7"):
        net.fit(X, Y)
    with pytest.raises(ValueError, match="built for 7"):
        net.evaluate(X, Y)


def test_use_before_fit():
    net = classifier()
    for use in (
        lambda: net.predict(X),
        lambda: net.predict_proba(X),
        lambda: net.evaluate(X, Y),
        lambda: net.gradients(X, Y),
        lambda: net.parameters,
        net.summary,
        lambda: net.save("never.safetensors"),
        lambda: fn.check_gradients(net, X, Y),
    ):
        with pytest.raises(ValueError, match="no parameters yet"):
            use()


def test_a_cost_that_is_not_finite_has_no_gradient():
    """And not that of the samples before."""
    net = classifier().build(X.shape[1])
    net.gradients(X, Y)
    for use in (net.gradients, lambda *samples: fn.check_gradients(net, *samples)):
        with pytest.raises(ValueError, match="which has no gradient: scale the inputs"):
            use(np.full(X.shape, 3e38), Y)
    net.parameters["W1"][0, 0] = np.nan
    with pytest.raises(ValueError, match="W1 holds NaN or infinity"):
        net.gradients(X, Y)


def test_labels_not_seen_in_training():
    net = classifier()
    net.fit(X, np.array(["a", "b", "c"])[Y], epochs=1, verbose=False)
    for y in (np.array(["a", "b", "d"])[Y], Y):
        with pytest.raises(ValueError, match=r"trained with 'a', 'b', 'c'|not there in training"):
            net.evaluate(X, y)
        with pytest.raises(ValueError, match=r"trained with|not there"):
            net.fit(X, y, verbose=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fn.Dense(3, "rleu"), "'relu'"),
        (lambda: fn.Dense(3, "relu", init="hee"), "'he', 'xavier', 'small', 'zeros'"),
        (lambda: fn.Dense(0), "units=0 is below 1"),
        (lambda: fn.Dense(2.5), "whole number"),
        (lambda: fn.Dense("3"), "whole number"),
        (lambda: fn.Dense(3, "leaky_relu", slope=-0.1), "slope=-0.1"),
        (lambda: fn.Dense(3, "leaky_relu", slope=float("nan")), "not finite"),
        (lambda: fn.Rescale("255"), "give a number"),
        (lambda: fn.Rescale(float("inf")), "not finite"),
        (lambda: fn.SGD(0), "above 0"),
        (lambda: fn.SGD(-1.0), "above 0"),
        (lambda: fn.SGD(float("nan")), "not finite"),
        (lambda: fn.Network([]), "no output layer"),
        (lambda: fn.Network(fn.Dense(1)), "no list"),
        (lambda: fn.Network([fn.Dense(1)], seed=-1), "seed=-1 is below 0"),
        (lambda: fn.Network([fn.Dense(1)], seed="a"), "whole number of 0 or more"),
        (lambda: fn.Network([fn.Rescale(2)]), "no output layer"),
        (lambda: fn.Network([fn.Dense(1), fn.Rescale(2), fn.Dense(1)]), "only be the first"),
        (lambda: fn.Network(["relu"]), "layer 1 is 'relu'"),
        (lambda: fn.Network([fn.Dense(3, "softmax"), fn.Dense(1)]), "hidden and softmax"),
        (lambda: fn.Network([fn.Dense(1)], loss="mse"), "'squared_error'"),
        (lambda: fn.Network([fn.Dense(1)], loss="log_loss"), "does not fit"),
        (lambda: fn.Network([fn.Dense(3, "softmax")], loss="squared_error"), "does not fit"),
        (
            lambda: fn.Network([fn.Dense(1)], loss=fn.losses.huber),
            r"losses.huber\(0\.5\)",
        ),
        (lambda: fn.Network([fn.Dense(1)], dtype="float16"), "'float32', 'float64'"),
        (lambda: fn.Network([fn.Dense(1)], dtype=np.int64), "'float32', 'float64'"),
        (lambda: fn.Network([fn.Dense(1)], dtype=None), "'float32', 'float64'"),
        (lambda: fn.Network([fn.Dense(1)], dtype=">f4"), "'float32', 'float64'"),
        (lambda: fn.Network([fn.Dense(1)]).build(0), "n_inputs=0"),
        (lambda: classifier().build(4).summary(batch_size=0), "batch_size=0"),
        (lambda: classifier().build(4).predict(X, threshold=0.5), "has no effect"),
        (lambda: fn.Network([fn.Dense(1, "sigmoid")]).build(4).predict(X, threshold=2), "above 1"),
        (lambda: fn.Network([fn.Dense(1)]).build(4).predict_proba(X), "use predict"),
        (lambda: fn.datasets.planar(1), "m=1 is below 2"),
        (lambda: fn.datasets.planar(10.5), "m=10.5 is a float"),
        (lambda: fn.datasets.planar(seed=-1), "seed=-1 is below 0"),
    ],
)
def test_refuses(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize("m", [1, 3, 5000])
@pytest.mark.parametrize(
    "layers", [[fn.Dense(8, "relu"), fn.Dense(3, "softmax")], [fn.Dense(1, "sigmoid")], [fn.Dense(1, init="zeros")]]
)
def test_predictions_of_what_is_not_finite(layers, m):
    X = np.random.default_rng(0).random((m, 30), np.float32)
    net = fn.Network(layers).build(30)
    expected = net.predict(X)
    for value in (np.nan, np.inf, -np.inf):
        bad = X.copy()
        bad[m // 2, 7] = value
        with pytest.raises(ValueError, match=f"in row {m // 2}"):
            net.predict(bad)
    huge = X.copy()
    huge[m // 2] = 3e38  # finite, though its sums are not: refused where they become NaN, which is no class
    outputs = net.outputs(huge)
    if np.isnan(outputs).any():
        with pytest.raises(ValueError, match=rf"row {m // 2} is NaN.*scale the inputs"):
            net.predict(huge)
    else:
        np.testing.assert_array_equal(np.delete(net.predict(huge), m // 2), np.delete(expected, m // 2))
    others = np.delete(np.arange(m), m // 2)
    np.testing.assert_array_equal(np.isnan(outputs[others]).any(), False)
    np.testing.assert_array_equal(net.task.predict(outputs[others], 0.5), expected[others])
