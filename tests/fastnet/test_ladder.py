"""The ladder in `examples/`, at small sizes that leave something over at every edge of a block."""

import runpy
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # most of its steps are compiled for it alone

LADDER = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "ladder.py"))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (33, 17, 70), (65, 130, 67)])
def test_every_step_gives_the_same(shape, threads):
    m, n_prev, n = shape
    rng = np.random.default_rng(0)
    A_prev, W, b = (rng.standard_normal(size).astype(np.float32) for size in ((m, n_prev), (n, n_prev), n))
    Z, expected = np.empty((m, n), np.float32), A_prev.astype(float) @ W.T.astype(float) + b
    for name, call in LADDER["steps"](A_prev, W, b, Z).items():
        Z[:] = np.nan
        call()
        np.testing.assert_allclose(Z, expected, atol=1e-4, err_msg=name)


def test_the_table(capsys):
    records = LADDER["main"](40, 50, 30, small=(3, 5, 2), rounds=1)
    lines = capsys.readouterr().out.splitlines()
    assert [record["step"] for record in records] == list(LADDER["steps"](*np.ones((2, 1, 1)), *np.ones((2, 1, 1))))
    assert len(lines) == len(records) + 4
    assert all(record["error"] < 1e-5 and record["seconds"] > 0 for record in records)
