"""The examples that learn from sequences: what they ship with, and what they learn of it."""

import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CHARACTERS = runpy.run_path(str(EXAMPLES / "characters.py"))
SUNSPOTS = runpy.run_path(str(EXAMPLES / "sunspots.py"))


@pytest.mark.parametrize(
    ("name", "vocabulary", "shape"), [("persuasion", 75, (3166, 100)), ("quatrains", 1982, (902, 99))]
)
def test_texts(name, vocabulary, shape):
    characters, X, y = CHARACTERS["sequences"](name)
    assert (len(characters), X.shape, y.shape) == (vocabulary, shape, shape)
    assert np.array_equal(X.ravel()[1:], y.ravel()[:-1])  # each one's next, over the ends of sequences too
    lines = "".join(characters[X[:4]].ravel()).split("\n")
    if name == "quatrains":
        assert {len(line) for line in lines[:12]} == {32}
    else:
        assert lines[0] == "Chapter 1"


def test_windows_of_sunspots_do_not_reach_into_held_out_years():
    years, numbers = SUNSPOTS["sunspots"]()
    assert (years[0], years[-1], len(numbers)) == (1749.125, 2008.875, 1040)
    assert numbers[0] == pytest.approx((58.0 + 62.6 + 70.0) / 3)
    X, y = SUNSPOTS["windows"](np.arange(60.0))
    assert X.shape == (60 - 44 - 12 + 1, 44, 1)
    assert np.array_equal(X[0, :, 0], np.arange(44))
    assert np.array_equal(y[0], np.arange(44, 56))
    assert y[-1, -1] == 59


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cell", "loss"), [("persuasion", "GRU", 2.3), ("quatrains", "LSTM", 6.3)])
def test_what_is_written_is_learnt(name, cell, loss, capsys):
    runs = CHARACTERS["main"](name, cell, 48, 2)
    written = capsys.readouterr().out
    assert list(runs) == ["fastnet"]
    assert runs["fastnet"].losses[1] < min(runs["fastnet"].losses[0], loss)
    assert written.count("--- epoch") == 2
    assert "the smallest validation loss" in written


@pytest.mark.slow
def test_pytorch_learns_as_much(torch, capsys):
    runs = CHARACTERS["main"]("persuasion", "GRU", 32, 2, compare_pytorch=True)
    assert runs["PyTorch"].losses == pytest.approx(runs["fastnet"].losses, abs=0.1)
    assert "fastnet " in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.slow
def test_sunspots_are_forecast_better_than_by_what_needs_no_learning(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    errors = SUNSPOTS["main"](tmp_path / "sunspots.png")
    assert errors["LSTM"] < 0.8 * min(errors["naive"], errors["seasonal naive"])
    assert (tmp_path / "sunspots.png").read_bytes().startswith(b"\x89PNG")
    assert "three years ahead" in capsys.readouterr().out
