"""Fits against scikit-learn's: the same numbers in every record, and what is not the same has no ratio."""

import csv
import io
import json
import warnings

import numpy as np
import pytest

from fastnet.benchmarks import tables
from fastnet.cli import main

pytest.importorskip("sklearn", minversion="1.9")

from fastnet.benchmarks import estimators
from fastnet.benchmarks.estimators import DATA_SETS, DataSet, compare_estimators


def few(name, epochs=2):
    """A data set's first samples, for few epochs."""
    data = DATA_SETS[name]
    return DataSet(lambda: tuple(array[:60] for array in data.load()), epochs, data.is_regression)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name in ("digits", "diabetes"):
        monkeypatch.setitem(DATA_SETS, name, few(name))
    monkeypatch.setattr(estimators, "peak_flops", lambda dtype, threads: 1e9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_records(dtype, threads):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        records = compare_estimators(["digits", "diabetes"], dtype=dtype, threads=[threads], rounds=1)
    assert [(r["data"], r["estimator"]) for r in records] == [
        (name, who) for name in ("digits", "diabetes") for who in ("scikit-learn", "fastnet")
    ]
    for record in records:
        assert (record["samples"], record["epochs"], record["threads"], record["dtype"]) == (60, 2, threads, dtype)
        assert 0 < record["low"] <= record["seconds"] <= record["high"]
        assert record["agrees"]
        if record["estimator"] == "fastnet":
            assert record["ratio"] == record["row_ratio"] == 1
        flops = 2 * 2 * 60 * (2 * record["features"] * 100 + 3 * (1000 if record["data"] == "digits" else 100))
        np.testing.assert_allclose(record["fraction"] * record["seconds"], flops / 1e9)
    for theirs, ours in zip(records[::2], records[1::2], strict=True):
        np.testing.assert_allclose(theirs["ratio"], theirs["seconds"] / ours["seconds"])
        np.testing.assert_allclose(theirs["row_ratio"], theirs["row_seconds"] / ours["row_seconds"])
        np.testing.assert_allclose(theirs["score"], ours["score"], rtol=1e-5)
        assert theirs["difference"] == 0
        assert ours["difference"] < (1e-12 if dtype == "float64" else 1e-4)


def test_another_training_has_no_ratio(monkeypatch):
    from fastnet.sklearn import MLPRegressor

    fit = MLPRegressor.fit

    def fit_more(self, X, y):
        return fit(self.set_params(max_iter=3), X, y)

    monkeypatch.setattr(MLPRegressor, "fit", fit_more)
    records = compare_estimators(["diabetes"], rounds=1)
    assert {(record["ratio"], record["row_ratio"]) for record in records} == {(None, None)}
    assert [record["agrees"] for record in records] == [True, False]
    assert "void" in tables.estimators_text(records)
    assert "geometric mean" not in tables.estimators_text(records)


def test_losses_are_compared_one_by_one():
    found = estimators._difference(np.array([1.0, 2.2]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(found, 0.1)
    assert estimators._difference(np.ones(2), np.ones(3)) == np.inf
    assert estimators._difference(np.array([1.0, np.nan]), np.ones(2)) == np.inf


def test_what_is_fitted():
    shapes = {"digits": (1797, 64), "breast-cancer": (569, 30), "diabetes": (442, 10), "table": (20_000, 20)}
    assert set(DATA_SETS) == {*shapes, "images"}
    for name, shape in shapes.items():
        data = DataSet(DATA_SETS[name].load, 1) if name != "diabetes" else DATA_SETS[name]
        X, y = data.arrays("float32")
        assert (X.dtype, len(y)) == (np.float32, len(X))
        assert np.isfinite(X).all()
        if name not in ("digits", "diabetes"):  # which are shorter here
            assert X.shape == shape
    X, y = DATA_SETS["images"].arrays("float64")
    assert X.shape == (10_000, 784)
    assert 0 <= X.min() < X.max() <= 1
    assert len(np.unique(y)) == 10
    np.testing.assert_array_equal(X, DATA_SETS["images"].arrays("float64")[0])


COMMAND = ["compare", "--estimators", "diabetes,digits", "--rounds", "1"]


def test_command_prints_a_table(capsys, tmp_path):
    assert main([*COMMAND, "--threads", "1,10000", "--plot", str(tmp_path / "fits.png")]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split()[:2] == ["data", "threads"]
    assert [line.split(",")[0] for line in lines[2:4]] == ["diabetes 60x10", "digits 60x64"]
    assert "geometric mean of scikit-learn's time over fastnet's, 1 thread: a fit " in lines[4]
    assert {path.name for path in tmp_path.iterdir()} == {"fits-estimators.png", "fits-rows.png"}
    assert "diabetes, 1 thread" in shown.err
    assert "threads=10000: left out" in shown.err


def test_command_prints_json_and_csv(capsys):
    assert main([*COMMAND, "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert {record["dtype"] for record in records} == {"float64"}
    assert main([*COMMAND, "--csv", "--dtype", "float32"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["dtype"] for row in rows} == {"float32"}
    assert list(rows[0]) == list(records[0])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--estimators", "iris"],
        ["--estimators", "--peers"],
        ["--estimators", "--kernels", "relu"],
        ["--estimators", "--shapes", "3x4"],
        ["--estimators", "--workloads", "mnist"],
        ["--estimators", "--rounds", "0"],
        ["--estimators", "--dtype", "float16"],
        ["--estimators", "--threads", "0"],
    ],
)
def test_command_refuses(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(["compare", *arguments])
    assert end.value.code == 2
    assert "usage: fastnet" in capsys.readouterr().err


def test_no_data_set_is_an_error():
    with pytest.raises(ValueError, match="at least one of digits"):
        compare_estimators([])
