"""The data that ships with the package is what its documentation says."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import fastnet as fn

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_digits():
    X, y = fn.datasets.digits()
    assert (X.shape, X.dtype, y.shape) == ((1797, 64), np.float32, (1797,))
    assert (X.min(), X.max()) == (0, 1)
    assert np.unique(y).tolist() == list(range(10))
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return
    theirs = load_digits()
    np.testing.assert_array_equal(X * 16, theirs.data)
    np.testing.assert_array_equal(y, theirs.target)


def test_cars():
    X, y = fn.datasets.cars()
    assert (X.shape, y.shape) == ((392, 8), (392,))
    assert np.isfinite(X).all()
    assert 9 <= y.min() < y.max() <= 47
    assert set(np.unique(X[:, 6:])) == {0, 1}
    assert (X[:, 6] * X[:, 7] == 0).all(), "no car was made in Europe and in Japan"


def test_planar():
    X, y = fn.datasets.planar()
    assert X.shape == (400, 2)
    assert np.bincount(y).tolist() == [200, 200]
    assert np.linalg.norm(X, axis=1).max() < 5
    np.testing.assert_array_equal(fn.datasets.planar()[0], X)
    assert (fn.datasets.planar(seed=2)[0] != X).any()
    assert np.bincount(fn.datasets.planar(7)[1]).tolist() == [3, 4]


def test_the_flower_needs_a_hidden_layer(tmp_path):
    pytest.importorskip("matplotlib")
    accuracy = runpy.run_path(str(EXAMPLES / "planar.py"))["main"](tmp_path / "planar.png")
    assert accuracy["logistic regression"] < 0.6
    assert accuracy["2-4-1, tanh"] > 0.88
    assert (tmp_path / "planar.png").read_bytes().startswith(b"\x89PNG")


def test_regression_on_real_cars():
    assert runpy.run_path(str(EXAMPLES / "cars.py"))["main"]()["r2"] > 0.85


def test_speakers_are_told_apart():
    assert runpy.run_path(str(EXAMPLES / "speakers.py"))["main"]()["accuracy"] > 0.95
