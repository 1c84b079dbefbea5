"""Fits and predictions of scikit-learn's perceptrons in their own form, everything included."""

import warnings

import numba
import numpy as np

from fastnet.benchmarks.estimators import DATA_SETS
from fastnet.benchmarks.timing import samples

from .common import ROUNDS, THREADS


class Estimators:
    """Milliseconds a `fit`, and microseconds a `predict` of one row."""

    params = (list(DATA_SETS), ["float64", "float32"], THREADS)
    param_names = ("data", "dtype", "threads")
    number = 1
    timeout = 300

    def setup(self, data, dtype, threads):
        try:
            from fastnet.sklearn import MLPClassifier, MLPRegressor
        except ImportError as error:
            raise NotImplementedError("scikit-learn is missing") from error
        numba.set_num_threads(threads)
        chosen = DATA_SETS[data]
        self.X, self.y = chosen.arrays(dtype)
        kind = MLPRegressor if chosen.is_regression else MLPClassifier
        epochs = chosen.epochs
        self.model = kind(max_iter=epochs, n_iter_no_change=epochs, tol=0.0, random_state=0)
        warnings.simplefilter("ignore")
        self.model.fit(self.X, self.y)

    def track_fit(self, data, dtype, threads):
        return np.median(samples({"fit": lambda: self.model.fit(self.X, self.y)}, rounds=ROUNDS)["fit"]) * 1e3

    track_fit.unit = "ms"

    def track_row(self, data, dtype, threads):
        row = self.X[:1]
        return np.median(samples({"row": lambda: self.model.predict(row)}, rounds=ROUNDS)["row"]) * 1e6

    track_row.unit = "us"
