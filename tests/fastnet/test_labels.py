"""Targets of every kind: used as they are meant, or refused before anything changes."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import fastnet as fn
from fastnet.data.targets import Classification, MultiLabel, Regression, as_targets, sample_weights

INDEX = np.arange(6) % 2
NAMES = np.array(["no", "yes"])[INDEX]
X = np.random.default_rng(0).random((6, 3), np.float32)
FLOAT = np.dtype(np.float64)


def encoded(task, y):
    y = as_targets(y, 6)
    learned = task.learn(y)
    return learned, learned.encode(y, FLOAT)


USED = {
    "int8": (INDEX.astype(np.int8) + 5, np.int64, [5, 6]),
    "uint64": (INDEX.astype(np.uint64), np.int64, [0, 1]),
    "negative": (INDEX - 5, np.int64, [-5, -4]),
    "large": (INDEX + 2**62, np.int64, [2**62, 2**62 + 1]),
    "whole floats": (INDEX * 2.0**53, np.int64, [0, 2**53]),
    "float16": (INDEX.astype(np.float16), np.int64, [0, 1]),
    "long double": (INDEX.astype(np.longdouble), np.int64, [0, 1]),
    "booleans": (INDEX == 1, bool, [False, True]),
    "no is one of two": (INDEX > 1, bool, [False, True]),
    "zero is one of two": (INDEX * 0, np.int64, [0, 1]),
    "strings": (NAMES, "<U3", ["no", "yes"]),
    "objects": (NAMES.astype(object), "<U3", ["no", "yes"]),
    "integer objects": (INDEX.astype(object), np.int64, [0, 1]),
    "boolean objects": ((INDEX == 1).astype(object), bool, [False, True]),
    "list": (NAMES.tolist(), "<U3", ["no", "yes"]),
    "column": (NAMES[:, None], "<U3", ["no", "yes"]),
    "masked nowhere": (np.ma.array(INDEX), np.int64, [0, 1]),
    "one-hot": (np.eye(2, dtype=np.uint8)[INDEX], np.int64, [0, 1]),
    "Decimal": ([Decimal(1), Decimal(2)] * 3, np.int64, [1, 2]),
}


@pytest.mark.parametrize("case", USED)
def test_labels_are_used(case):
    y, dtype, classes = USED[case]
    task, Y = encoded(Classification(2), y)
    assert task.labels.dtype == dtype
    assert task.labels.tolist() == classes
    np.testing.assert_array_equal(Y[:, 0], INDEX * 0 if "one of two" in case else INDEX)


ANY_TASK = (Classification(2), Regression(1), MultiLabel(2))
REFUSED = {
    "masked": (np.ma.array(INDEX, mask=[0, 0, 1, 0, 0, 0]), ANY_TASK, "y is masked in row 2"),
    "None": (["no", None] * 3, ANY_TASK, "y holds None in row 1"),
    "NaN among strings": (["no", float("nan")] * 3, ANY_TASK, "y holds nan in row 1"),
    "NaN object": (np.array([1, np.nan] * 3, object), ANY_TASK, "y holds nan in row 1"),
    "strings and numbers": (["no", 1] * 3, ANY_TASK, "y holds 'no' in row 0 and 1 in row 1"),
    "strings and booleans": (np.array(["no", True] * 3, object), ANY_TASK, "'no' in row 0 and True in row 1"),
    "bytes": (NAMES.astype("S"), ANY_TASK, r"decode them, y.astype\(str\)"),
    "bytes in a list": ([b"no", b"yes"] * 3, ANY_TASK, "b'no' in row 0: decode them"),
    "objects": ([object()] * 6, ANY_TASK, "in row 0: give numbers, booleans or strings"),
    "complex": (INDEX * 1j, (Classification(2), Regression(1)), "complex"),
    "complex objects": ((INDEX * 1j).astype(object), ANY_TASK, "give real numbers"),
    "dates": (np.array(["2020", "2021"] * 3, "M8[D]"), (Classification(2), Regression(1)), "datetime64"),
    "date objects": (np.array(["2020", "2021"] * 3, "M8[D]").astype(object), ANY_TASK, "in row 0"),
    "time objects": (np.array([np.timedelta64(1, "s"), None], object)[INDEX * 0], ANY_TASK, "timedelta.* in row 0"),
    "generator": ((label for label in NAMES), ANY_TASK, r"y is a generator: give list\(y\)"),
    "set": ({"no", "yes"}, ANY_TASK, r"y is a set: give list\(y\)"),
    "dict": ({"no": 1}, ANY_TASK, "y is a dict: give an array"),
    "nothing": (None, ANY_TASK, "y is None"),
    "text": ("no", ANY_TASK, "0 samples"),
    "ragged": ([[1], [2, 3]] * 3, ANY_TASK, "y is no array"),
    "ragged objects": (np.array([[1], [2, 3]] * 3, object), ANY_TASK, "np.stack"),
    "1e300": (INDEX * 1e300, (Classification(2),), r"1e\+300 in row 1, which is no label"),
    "beyond 2**53": (INDEX * (2.0**53 + 2), (Classification(2),), "in row 1, which is no label: give integers"),
    "beyond int64": (INDEX.astype(np.uint64) + np.uint64(2**63), (Classification(2),), "within int64"),
    "beyond uint64": ([2**64, 1] * 3, (Classification(2),), "no label"),
    "fractions": (INDEX + 0.5, (Classification(2),), "0.5 in row 0, which is no label"),
    "NaN": (np.where(INDEX, np.nan, 1), (Classification(2), Regression(1)), "nan in row 1"),
    "strings for numbers": (["1", "2"] * 3, (Regression(1),), r"\.astype\(float\)"),
    "too large": ([10**400] * 6, (Regression(1),), "beyond float64"),
    "a two": (np.eye(6, 2) * 2, (MultiLabel(2),), "y holds 2.0 in row 0, column 0: give 0 for no"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_targets_are_refused(case):
    y, tasks, message = REFUSED[case]
    for task in tasks:
        with pytest.raises((ValueError, TypeError), match=message):
            encoded(task, y)


@pytest.mark.parametrize("layers", [[fn.Dense(2, "softmax")], [fn.Dense(1, "sigmoid")]])
def test_a_refused_call_leaves_nothing(layers):
    net = fn.Network(layers)
    state = net.rng.bit_generator.state
    for options in ({"classes": ["no", "yes"]}, {}):
        for use in (X[:, :0], ["no"] * 6), (X, ["no", None] * 3), (X, ["no", "perhaps"] * 3):
            if not options and use[1][1] == "perhaps":
                continue
            with pytest.raises((ValueError, TypeError)):
                net.partial_fit(*use, **options)
    with pytest.raises(ValueError, match="sample_weight"):
        net.partial_fit(X, NAMES, classes=["no", "yes"], sample_weight=[1.0])
    assert net.task.classes is None
    assert net.n_inputs is None
    assert net.rng.bit_generator.state == state
    assert net.partial_fit(X, INDEX).labels.tolist() == [0, 1]


def test_numbers():
    for y in (INDEX == 1, INDEX.astype(object), [Fraction(n) for n in INDEX.tolist()], np.ma.array(INDEX * 1.0)):
        np.testing.assert_array_equal(encoded(Regression(1), y)[1][:, 0], INDEX)
    np.testing.assert_array_equal(encoded(Regression(1), range(6))[1][:, 0], range(6))
    for y in (np.eye(2)[INDEX], np.eye(2)[INDEX] == 1, (np.eye(2)[INDEX] == 1).tolist()):
        np.testing.assert_array_equal(encoded(MultiLabel(2), y)[1], np.eye(2)[INDEX])


def test_data_frames_of_pandas():
    pd = pytest.importorskip("pandas")
    texts = pd.Series(NAMES)
    for y in (texts, texts.astype(object), texts.astype("string"), texts.astype("category"), pd.Index(NAMES),
              pd.Categorical(NAMES), texts.to_frame()):  # fmt: skip
        task, Y = encoded(Classification(2), y)
        assert task.labels.tolist() == ["no", "yes"]
        assert task.labels.dtype == "<U3"
        np.testing.assert_array_equal(Y[:, 0], INDEX)
    for kind in ("Int64", "UInt8", "boolean", "Float64"):
        np.testing.assert_array_equal(encoded(Classification(2), pd.Series(INDEX).astype(kind))[1][:, 0], INDEX)
        np.testing.assert_array_equal(encoded(Regression(1), pd.Series(INDEX).astype(kind))[1][:, 0], INDEX)
    for y in (pd.get_dummies(texts), pd.get_dummies(texts).astype("boolean")):
        np.testing.assert_array_equal(encoded(Classification(2), y)[1][:, 0], INDEX)
        np.testing.assert_array_equal(encoded(MultiLabel(2), y)[1], np.eye(2)[INDEX])
    for kind in (object, "string", "category"):
        with pytest.raises(ValueError, match="in row 1: fill in what is missing"):
            encoded(Classification(2), texts.mask(INDEX == 1).astype(kind))
    for kind in ("Int64", "boolean", "Float64"):
        for task in (Classification(2), Regression(1)):
            with pytest.raises(ValueError, match="in row 2"):
                encoded(task, pd.Series([1, 0, None, 0, 0, 0]).astype(kind))
    with pytest.raises(TypeError, match="columns of strings and of numbers"):
        encoded(Classification(2), pd.DataFrame({"a": NAMES, "b": INDEX}))
    with pytest.raises(TypeError, match="Period"):
        encoded(Classification(2), pd.Series(pd.period_range("2020", periods=6, freq="D")))


def test_data_frames_of_polars():
    pl = pytest.importorskip("polars")
    for y in (pl.Series(NAMES), pl.Series(NAMES, dtype=pl.Categorical), pl.DataFrame({"y": NAMES})):
        task, Y = encoded(Classification(2), y)
        assert task.labels.tolist() == ["no", "yes"]
        np.testing.assert_array_equal(Y[:, 0], INDEX)
    np.testing.assert_array_equal(encoded(Regression(1), pl.Series(INDEX))[1][:, 0], INDEX)
    for values in (["no", None] * 3, [1, None] * 3, [True, None] * 3):
        with pytest.raises(ValueError, match="in row 1"):
            encoded(Classification(2), pl.Series(values))


def test_tensors():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(encoded(Classification(2), torch.tensor(INDEX))[1][:, 0], INDEX)
    with pytest.raises(TypeError, match=r"y.detach\(\)"):
        encoded(Regression(1), torch.ones(6, requires_grad=True))


def test_sparse_matrices():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"y.toarray\(\)"):
        encoded(MultiLabel(2), sparse.csr_array(np.eye(6, 2)))


def test_classes():
    pd = pytest.importorskip("pandas")
    two = Classification(2)
    for classes in (
        ["yes", "no"],
        np.array(["no", "yes"], object),
        pd.Index(["yes", "no"]),
        pd.Categorical(["no", "yes"]),
    ):
        assert two.with_classes(classes).labels.tolist() == ["no", "yes"]
    assert two.with_classes([1.0, 0.0]).labels.tolist() == [0, 1]
    assert two.with_classes([True, False]).labels.tolist() == [False, True]
    for classes, message in (
        (["no", "no"], "'no' more than once"),
        (["no", "yes", "yes"], "'yes' more than once"),
        (["no"], "classes has 1 classes"),
        (["no", None], "classes holds None in row 1"),
        (["no", 1], "classes holds 'no' in row 0 and 1"),
        ([b"no", b"yes"], "decode"),
        ([0.5, 1], "classes holds 0.5"),
        (np.eye(2), "shape"),
        ({"no", "yes"}, "classes is a set"),
        ([], "shape"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            two.with_classes(classes)
    known = two.with_classes(["no", "yes"])
    assert known.with_classes(["yes", "no"]) is known
    with pytest.raises(ValueError, match="this network knows 'no', 'yes'"):
        known.with_classes(["no", "perhaps"])
    for task in (Regression(1), MultiLabel(2)):
        with pytest.raises(ValueError, match="leave it out"):
            task.with_classes([0, 1])


def test_partial_fit_with_classes():
    names = np.array(["no", "yes"], object)
    net = fn.Network([fn.Dense(1, "sigmoid")])
    assert net.partial_fit(X, ["no"] * 6, classes=names).labels.tolist() == ["no", "yes"]
    for classes in (["no", "perhaps"], [0, 1]):
        before = net.buffer.copy()
        with pytest.raises(ValueError, match="this network knows 'no', 'yes'"):
            net.partial_fit(X, ["no"] * 6, classes=classes)
        np.testing.assert_array_equal(net.buffer, before)
    assert net.partial_fit(X, NAMES, classes=names[::-1]).predict(X).dtype == "<U3"


@pytest.mark.parametrize(
    "y", [NAMES.astype(object), INDEX == 1, INDEX.astype(np.uint8) + 7], ids=["str", "bool", "int"]
)
def test_labels_survive_a_file(y, tmp_path):
    net = fn.Network([fn.Dense(2, "softmax")])
    net.fit(X, y, epochs=1, verbose=False)
    net.save(tmp_path / "net")
    again = fn.load(tmp_path / "net")
    assert again.labels.dtype == net.labels.dtype
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
    assert set(net.predict(X).tolist()) <= set(y.tolist())


def test_weights():
    task, Y = encoded(Classification(2), NAMES)
    expected = np.arange(6.0)
    for weights in (
        expected,
        expected.tolist(),
        np.ma.array(expected),
        expected.astype(object),
        [Fraction(n) for n in range(6)],
    ):
        np.testing.assert_array_equal(sample_weights(task, Y, weights, None, FLOAT), expected)
    pd = pytest.importorskip("pandas")
    for kind in (float, "Float64", "Int64"):
        np.testing.assert_array_equal(sample_weights(task, Y, pd.Series(expected).astype(kind), None, FLOAT), expected)
    for weights, message in (
        (np.ma.array(expected, mask=expected == 3), "masked in row 3"),
        ([1, None] * 3, "None in row 1"),
        (["1"] * 6, "real numbers"),
        (expected[:, None], "one number a sample"),
        (-expected, "0 or more"),
        (pd.Series([1, None] * 3, dtype="Float64"), "NaN"),
        (expected * 1e300, "too large for float32"),
        (expected * 1e-300, "all samples have weight 0"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            sample_weights(task, Y, weights, None, np.dtype(np.float32))
    np.testing.assert_array_equal(sample_weights(task, Y, None, {"yes": 3}, FLOAT), 1 + 2 * INDEX)
    for given, message in (
        ({"perhaps": 1}, "knows 'no', 'yes'"),
        ({"no": None}, r"class_weight\['no'\]=None"),
        ({"no": -1}, "too small"),
        ([1, 2], "give {label: weight}"),
        ("even", "give {label: weight}"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            sample_weights(task, Y, None, given, FLOAT)


SIGMOID, SOFTMAX = [fn.Dense(1, "sigmoid")], [fn.Dense(2, "softmax")]


def test_threshold():
    net = fn.Network(SIGMOID).build(3)
    probabilities = net.predict_proba(X)
    middle = float(np.median(probabilities))
    np.testing.assert_array_equal(net.predict(X, threshold=middle), probabilities > np.float32(middle))
    np.testing.assert_array_equal(net.predict(X), net.predict(X, threshold=0.5))
    answers = fn.Network([fn.Dense(2, "sigmoid")]).build(3)
    np.testing.assert_array_equal(answers.predict(X, threshold=0.0), np.ones((6, 2)))
    for layers, loss in ((SOFTMAX, None), ([fn.Dense(1)], None), ([fn.Dense(1)], "hinge")):
        with pytest.raises(ValueError, match=r"threshold=0.5 has no effect"):
            fn.Network(layers, loss=loss).build(3).predict(X, threshold=0.5)


@pytest.mark.parametrize("layers", [SIGMOID, SOFTMAX, [fn.Dense(2, "sigmoid")]], ids=["sigmoid", "softmax", "answers"])
def test_no_class_is_predicted_from_nan(layers):
    net = fn.Network([fn.Dense(2, "relu"), *layers]).build(3)
    before = net.buffer.copy()
    net.parameters["W1"][0, 1] = np.nan
    for use in (net.predict, net.predict_proba):
        with pytest.raises(ValueError, match="W1 holds NaN"):
            use(X)
    # Finite parameters, but inf - inf in the sums of one sample.
    net.buffer[:] = before
    net.parameters["W1"][...] = 1e10
    net.parameters["W2"][...] = [1, -1]
    X_large = X.copy()
    X_large[4] = 1e30
    for use in (net.predict, net.predict_proba):
        with pytest.raises(ValueError, match=r"row 4 is NaN.*scale the inputs"):
            use(X_large)
