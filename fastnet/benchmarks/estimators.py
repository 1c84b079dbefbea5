"""Whole fits of scikit-learn's perceptrons and of `fastnet.sklearn`'s: the same numbers, and how soon they come.

Both have scikit-learn's defaults, the same `random_state`, and train for the same number of epochs, without an early
end. They are in one process and take turns; scikit-learn's threads are those of its BLAS.
"""

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastnet_kernels.first_use import imported

from ..checks import float_dtype, known, positive_integer
from .comparison import Progress, on_threads
from .limits import peak_flops, usable_threads
from .timing import samples, spread

OURS, THEIRS = "fastnet", "scikit-learn"
_AGREEMENT = {"float64": 1e-6, "float32": 1e-2}  # of the losses of all epochs: sums of float32 drift apart
_HIDDEN = 100  # units: scikit-learn's default


@dataclass(frozen=True)
class DataSet:
    """Samples, and for how many epochs they are fitted."""

    load: Callable[[], tuple[np.ndarray, np.ndarray]]  # X (m, n), and y (m,): classes or numbers
    epochs: int
    is_regression: bool = False

    def arrays(self, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """X (m, n), and y (m,); numbers to be predicted have mean 0 and deviation 1."""
        X, y = self.load()
        if self.is_regression:
            y = ((y - y.mean()) / y.std()).astype(dtype)
        return X.astype(dtype), y

    def flops(self, X: np.ndarray, y: np.ndarray) -> float:
        """Of a fit's matrix products: forward, dW, and dA of the hidden layer."""
        classes = 1 if self.is_regression else len(np.unique(y))
        last = _HIDDEN * (1 if classes == 2 else classes)
        return float(2 * self.epochs * len(X) * (2 * X.shape[1] * _HIDDEN + 3 * last))


def _standardised(name: str) -> tuple[np.ndarray, np.ndarray]:
    """One of the tables that come with scikit-learn."""
    datasets = _scikit_learn("datasets")
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    deviation = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(deviation > 0, deviation, 1), y


def _table() -> tuple[np.ndarray, np.ndarray]:
    found: tuple[np.ndarray, np.ndarray] = _scikit_learn("datasets").make_classification(20_000, 20, random_state=0)
    return found


def _images() -> tuple[np.ndarray, np.ndarray]:
    """10,000 samples of 784 numbers in [0, 1]: ten patterns, and noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=10_000)
    return np.clip(rng.random((10, 784))[y] + rng.normal(0, 1, (len(y), 784)), 0, 1), y


DATA_SETS = {
    "digits": DataSet(lambda: _standardised("digits"), 100),
    "breast-cancer": DataSet(lambda: _standardised("breast_cancer"), 100),
    "diabetes": DataSet(lambda: _standardised("diabetes"), 100, is_regression=True),
    "table": DataSet(_table, 10),
    "images": DataSet(_images, 3),
}


def _scikit_learn(module: str) -> Any:
    return importlib.import_module(f"sklearn.{module}")


def compare_estimators(
    data_sets: Sequence[str] | None = None,
    *,
    dtype: Any = "float64",
    threads: Sequence[int] = (1,),
    rounds: int = 5,
    progress: Progress = lambda line: None,
) -> list[dict[str, Any]]:
    """Time whole fits, and predictions of one row, of scikit-learn's perceptrons and of fastnet's in their place.

    Parameters
    ----------
    data_sets : sequence of str, optional
        Names of DATA_SETS; all unless given.
    dtype : str
        Of X: "float64" or "float32".
    threads : sequence of int
        Each number of threads is measured on its own; those that are more than there are, are left out.
    rounds : int
        Fits of each that are timed; they take turns.
    progress : callable
        Called with lines of text.

    Returns
    -------
    list of dict
        One record a data set, estimator and number of threads: data, samples, features, epochs, estimator, threads,
        dtype; seconds a fit, the median with the quartiles low and high, and their ratio to fastnet's; row_seconds of a
        `predict` of one row, and row_ratio; score on the samples themselves; difference, the largest of the losses of
        all epochs to scikit-learn's, relative to those; fraction of the machine's limit, its multiply-adds alone; and
        agrees, whether the difference is at most 1e-6, in float32 1e-2. Ratios of what does not agree are None.

    Raises
    ------
    ValueError, TypeError
        For unknown names, threads and rounds below 1, or no number of threads that there is.
    ImportError
        Where scikit-learn is missing.
    """
    names = list(dict.fromkeys(DATA_SETS if data_sets is None else data_sets))
    for name in names:
        known("data set", name, DATA_SETS)
    if not names:
        raise ValueError(f"data_sets={data_sets!r} are none: give at least one of {', '.join(DATA_SETS)}")
    dtype = str(float_dtype("dtype", dtype))
    rounds = positive_integer("rounds", rounds)
    counts = usable_threads(threads, imported("numba").config.NUMBA_NUM_THREADS, progress)

    from .. import sklearn as ours  # which says what to install

    classes = {THEIRS: _scikit_learn("neural_network"), OURS: ours}
    records = []
    for count in counts:
        with on_threads(count):
            for name in names:
                progress(f"{name}, {count} thread{'s' * (count > 1)}")
                records += _measured(name, classes, dtype, count, rounds)
    return records


def _measured(name: str, classes: Mapping[str, Any], dtype: str, threads: int, rounds: int) -> list[dict[str, Any]]:
    """The records of one data set."""
    data = DATA_SETS[name]
    X, y = data.arrays(dtype)
    row = X[:1]
    kind = "MLPRegressor" if data.is_regression else "MLPClassifier"
    models = {
        contestant: getattr(module, kind)(
            max_iter=data.epochs, n_iter_no_change=data.epochs, tol=0.0, random_state=0
        )  # without an early end
        for contestant, module in classes.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", _scikit_learn("exceptions").ConvergenceWarning)
        fits = samples({contestant: _bound(model.fit, X, y) for contestant, model in models.items()}, rounds=rounds)
    rows = samples({contestant: _bound(model.predict, row) for contestant, model in models.items()}, rounds=rounds)
    seconds = {contestant: spread(values) for contestant, values in fits.items()}
    row_seconds = {contestant: spread(values)[1] for contestant, values in rows.items()}
    losses = {contestant: np.array(model.loss_curve_) for contestant, model in models.items()}
    limit = data.flops(X, y) / peak_flops(dtype, threads)
    records = []
    for contestant, model in models.items():
        low, middle, high = seconds[contestant]
        difference = _difference(losses[contestant], losses[THEIRS])
        agrees = difference <= _AGREEMENT[dtype]
        records.append(
            {
                "data": name,
                "samples": X.shape[0],
                "features": X.shape[1],
                "epochs": data.epochs,
                "estimator": contestant,
                "threads": threads,
                "dtype": dtype,
                "seconds": middle,
                "low": low,
                "high": high,
                "ratio": middle / seconds[OURS][1] if agrees else None,
                "row_seconds": row_seconds[contestant],
                "row_ratio": row_seconds[contestant] / row_seconds[OURS] if agrees else None,
                "score": float(model.score(X, y)),
                "difference": difference,
                "fraction": limit / middle,
                "agrees": agrees,
            }
        )
    if not all(record["agrees"] for record in records):
        for record in records:
            record["ratio"] = record["row_ratio"] = None
    return records


def _bound(method: Callable[..., object], *arguments: Any) -> Callable[[], object]:
    return lambda: method(*arguments)


def _difference(losses: np.ndarray, others: np.ndarray) -> float:
    """The largest difference, relative to the other's loss; infinite for another number of epochs, or NaN."""
    if losses.shape != others.shape:
        return float("inf")
    found = float(np.max(np.abs(losses - others) / np.abs(others)))
    return found if np.isfinite(found) else float("inf")
