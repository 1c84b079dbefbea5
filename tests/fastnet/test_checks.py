"""Checks that are quick where all is well, and exact where it is not."""

import numpy as np
import pytest

from fastnet.checks import finite


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_finite(dtype):
    X = np.ones((2000, 700), dtype)
    finite("X", X, X)
    finite("X", X * np.finfo(dtype).max, X)  # the sum overflows, and yet every number is finite
    for value in (np.nan, np.inf, -np.inf):
        X[1999, 3] = value
        with pytest.raises(ValueError, match="in row 1999"):
            finite("X", X, X)
    X[0, 0], X[1999, 3] = np.inf, -np.inf
    with pytest.raises(ValueError, match="X holds inf in row 0"):
        finite("X", X, X)
