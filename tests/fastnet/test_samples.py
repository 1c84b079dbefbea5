"""Samples of every kind: used as they are, or refused with what to do."""

from fractions import Fraction

import numpy as np
import pytest

import fastnet as fn
from fastnet.data.samples import as_rows

NUMBERS = np.arange(12.0).reshape(6, 2)
FLOAT = np.dtype(np.float32)


def rows(X):
    return as_rows(X, FLOAT)


def test_plain_arrays_are_not_copied():
    X = NUMBERS.astype(np.float32)
    assert rows(X) is X
    assert rows(np.ma.array(X)).base is X or np.shares_memory(rows(np.ma.array(X)), X)


@pytest.mark.parametrize(
    "X",
    [
        NUMBERS.astype(object), NUMBERS.tolist(), NUMBERS.astype(np.float16), NUMBERS.astype(np.longdouble),
        NUMBERS.astype(int), np.ma.array(NUMBERS), [[Fraction(int(n)) for n in row] for row in NUMBERS],
        np.array([[float(a), int(b)] for a, b in NUMBERS], object), tuple(map(tuple, NUMBERS)),
    ],
)  # fmt: skip
def test_numbers_are_used(X):
    found = rows(X)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, NUMBERS)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ma.array(NUMBERS, mask=NUMBERS == 5), "X is masked in row 2, column 1"),
        (np.where(NUMBERS == 5, np.nan, NUMBERS), "X holds nan in row 2, column 1"),
        (np.array([[1, None]], object), "X holds None in row 0, column 1"),
        (np.array([[1, np.nan]], object), "X holds nan in row 0, column 1"),
        (np.array([[1, "red"]], object), "X holds 'red' in row 0, column 1 .*give real numbers"),
        ([["1", "2"]], r"X holds strings \('1', ...\).*\.astype\(float\).*get_dummies"),
        (NUMBERS.astype("S"), "decode"),
        (NUMBERS * 1j, "complex128: give real numbers"),
        (np.zeros(6, "i4,i4"), "a column for each field"),
        (np.array([["2020"]], "M8[D]"), "seconds"),
        (np.array([np.ones(2), np.ones(3)], object), "np.stack"),
        ([[1.0], [2.0, 3.0]], "the same number of features"),
        ((row for row in NUMBERS), r"X is a generator: give list\(X\)"),
        ([[10**400, 1]], "beyond float64"),
        ([[1e39, 1]], "too large for float32"),
    ],
)
def test_others_are_refused(X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        rows(X)


def test_data_frames_of_pandas():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(NUMBERS, columns=["a", "b"])
    for X in (
        frame,
        frame.astype("Float64"),
        frame.astype("Int64"),
        frame.astype({"a": "Int64"}),
        frame.astype(np.int8),
    ):
        np.testing.assert_array_equal(rows(X), NUMBERS)
    np.testing.assert_array_equal(rows(frame > 3), NUMBERS > 3)
    assert rows(frame > 3).dtype == np.uint8
    np.testing.assert_array_equal(rows((frame > 3).astype("boolean")), NUMBERS > 3)
    dummies = pd.get_dummies(pd.DataFrame({"x": NUMBERS[:, 0], "color": ["red", "blue"] * 3}))
    np.testing.assert_array_equal(rows(dummies), np.column_stack([NUMBERS[:, 0], [0, 1] * 3, [1, 0] * 3]))
    np.testing.assert_array_equal(rows(dummies.set_axis(["x"] * 3, axis=1)), rows(dummies))
    for column, message in (
        (["red", "blue"] * 3, r"X\['c'\] holds strings \('red', ...\)"),
        (pd.Categorical(["red", "blue"] * 3), r"X\['c'\] holds categories: make one column each"),
        (pd.Categorical([1, 2] * 3), r"X\['c'\] holds categories"),
        (pd.array([True, None] * 3, dtype="boolean"), r"X\['c'\] holds <NA> in row 1"),
        (pd.date_range("2020", periods=6), r"X\['c'\] holds datetime64"),
        ([object()] * 6, r"X\['c'\] holds .* in row 0"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            rows(frame.assign(c=column))
    for kind in ("Float64", "Int64"):
        with pytest.raises(ValueError, match=r"in row 5, column 'b'|X\['b'\] holds .* in row 5"):
            rows(frame.astype(kind).mask(NUMBERS > 10))
    with pytest.raises(ValueError, match="empty"):
        rows(pd.DataFrame())


def test_data_frames_of_polars():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1] > 5})
    np.testing.assert_array_equal(rows(frame), np.column_stack([NUMBERS[:, 0], NUMBERS[:, 1] > 5]))
    for column, message in (
        (["red", "blue"] * 3, r"X\['c'\] holds strings"),
        ([True, None] * 3, r"X\['c'\] holds None in row 1|nan in row 1, column 'c'"),
        ([1, None] * 3, "nan in row 1, column 'c'"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            rows(frame.with_columns(c=pl.Series(column)))
    with pytest.raises(TypeError, match="LazyFrame"):
        rows(frame.lazy())


def test_sparse_matrices():
    sparse = pytest.importorskip("scipy.sparse")
    for make in (sparse.csr_matrix, sparse.coo_array):
        with pytest.raises(TypeError, match=r"X.toarray\(\)"):
            rows(make(NUMBERS))


def test_tensors():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(rows(torch.tensor(NUMBERS)), NUMBERS)
    with pytest.raises(TypeError, match=r"X.detach\(\)"):
        rows(torch.tensor(NUMBERS, requires_grad=True))
    for tensor in (torch.tensor(NUMBERS).bfloat16(), torch.tensor(NUMBERS).to_sparse()):
        with pytest.raises(TypeError, match="X is no array"):
            rows(tensor)


def test_a_network_takes_a_data_frame():
    pd = pytest.importorskip("pandas")
    frame = pd.get_dummies(pd.DataFrame({"x": NUMBERS[:, 0] / 12, "color": ["red", "blue"] * 3}))
    found = []
    for X in (frame, frame.to_numpy(float)):
        for options in ({}, {"augment": lambda given, rng: given}):
            net = fn.Network([fn.Dense(1, "sigmoid")])
            net.fit(X, frame["color_red"], epochs=2, verbose=False, **options)
            found.append(net.predict_proba(X))
    assert (np.array(found[0]) == np.array(found)).all()
