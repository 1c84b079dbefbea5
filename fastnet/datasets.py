"""Small data sets that ship with the package or are made on the spot. Sources and licences: data/README.md."""

from importlib import resources

import numpy as np

from .checks import whole_number


def _load(name: str) -> dict[str, np.ndarray]:
    with resources.files(__package__).joinpath("data", name).open("rb") as file, np.load(file) as arrays:
        return {key: arrays[key] for key in arrays.files}


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits: X (1797, 64) float32 in [0, 1], images of 8 x 8; y (1797,) int64, 0 to 9.

    Alpaydin and Kaynak, Optical Recognition of Handwritten Digits (1998), the test part; CC BY 4.0.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.digits()
    >>> X.shape, X.dtype.name, y.shape
    ((1797, 64), 'float32', (1797,))
    """
    data = _load("digits.npz")
    return data["X"].astype(np.float32) / 16, data["y"].astype(np.int64)


def cars() -> tuple[np.ndarray, np.ndarray]:
    """Cars of 1970 to 1982: X (392, 8) float32, y (392,) float32, miles per gallon.

    The columns of X are cylinders, displacement (cubic inches), horsepower, weight (pounds), acceleration (seconds to
    60 mph), model year, and 1 or 0 for made in Europe and for made in Japan. They differ in size: standardise them.

    Quinlan, Auto MPG (1993), the complete rows; CC BY 4.0.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.cars()
    >>> X = (X - X.mean(axis=0)) / X.std(axis=0)
    >>> net = fn.Network([fn.Dense(16, "relu"), fn.Dense(1)])
    >>> history = net.fit(X, y, epochs=100, optimizer=fn.SGD(0.01), verbose=False)
    >>> net.evaluate(X, y)["r2"] > 0.85
    True
    """
    data = _load("cars.npz")
    return data["X"], data["y"]


def planar(m: int = 400, *, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The course's flower: X (m, 2) float64, points of a rose r = 4 sin(4 theta); y (m,) int64, 0 or 1 by petal.

    The first half of the samples is class 0 (theta from 0 to pi), the second class 1 (theta from pi to 2 pi), with
    normal noise of 0.2 on r and on theta.

    Raises
    ------
    ValueError, TypeError
        If m is no whole number of 2 or more, or the seed none of 0 or more.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.planar(10)
    >>> X.shape, y.tolist()
    ((10, 2), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    """
    m = whole_number("m", m, at_least=2)  # a sample a class
    rng = np.random.default_rng(whole_number("seed", seed))
    X, y = np.empty((m, 2)), np.zeros(m, np.int64)
    y[m // 2 :] = 1
    for label in (0, 1):
        rows = np.flatnonzero(y == label)
        theta = np.linspace(label * 3.12, (label + 1) * 3.12, len(rows)) + rng.standard_normal(len(rows)) * 0.2
        r = 4 * np.sin(4 * theta) + rng.standard_normal(len(rows)) * 0.2
        X[rows] = np.column_stack([r * np.sin(theta), r * np.cos(theta)])
    return X, y
