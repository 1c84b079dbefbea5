"""The estimators' further keywords: which values they take, what they mean, and which do not go together."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from fastnet_kernels.first_use import imported
from sklearn.utils._param_validation import Interval, StrOptions

from ..callbacks import checked
from ..checks import real_number
from ..exchange.scikit_learn import SKLEARN_ACTIVATIONS
from ..layers import BatchNorm, Dense, Dropout, Layer
from ..layers.stack import checked_layers
from ..schedules import Schedule, as_schedule

# What scikit-learn validates them by, when `fit` begins.
CONSTRAINTS: dict[str, list[Any]] = {
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), Schedule, callable],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "batch_norm": ["boolean"],
    "layers": [list, tuple, None],
    "callbacks": [list, tuple, None],
    "metrics": [list, tuple, None],
    "dtype": [StrOptions({"float32", "float64"}), None],
    "device": [StrOptions({"cpu", "cuda"})],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
}
CONSTRAINTS_OF_CLASSIFIERS = CONSTRAINTS | {"class_weight": [StrOptions({"balanced"}), dict, None]}


# ---------------------------------------------------------------- layers


def given_layers(estimator: Any) -> tuple[Layer, ...] | None:
    """The hidden layers, where `layers` says them."""
    return None if estimator.layers is None else tuple(estimator.layers)


def hidden_sizes(estimator: Any) -> list[int]:
    """Units of the hidden Dense layers."""
    if estimator.layers is not None:
        return [int(layer.units) for layer in estimator.layers if layer.is_dense]
    return [int(units) for units in np.atleast_1d(estimator.hidden_layer_sizes)]


def dropout_rates(estimator: Any) -> list[float]:
    """One for each hidden layer; of `layers`, which have their own Dropout, none."""
    count = 0 if estimator.layers is not None else len(hidden_sizes(estimator))
    if isinstance(estimator.dropout, Real):
        return [float(estimator.dropout)] * count
    rates = list(estimator.dropout)
    if len(rates) != count:
        raise ValueError(
            f"dropout={estimator.dropout!r} has {len(rates)} rates for {count} hidden layers: give one rate, or one "
            "for each of them"
        )
    return [Dropout(rate).rate for rate in rates]


def hidden_layers(
    units: Sequence[int], activation: str, *, batch_norm: bool, rates: Sequence[float] = ()
) -> tuple[Layer, ...]:
    """The hidden layers of so many units, with an activation by scikit-learn's name; a rate of Dropout behind each."""
    name, found = SKLEARN_ACTIVATIONS[activation], list[Layer]()
    for index, size in enumerate(units):
        found += [Dense(size), BatchNorm(name)] if batch_norm else [Dense(size, name)]
        if rates and rates[index]:
            found.append(Dropout(rates[index]))
    return tuple(found)


# ---------------------------------------------------------------- checks, which change nothing


def check_keywords(estimator: Any, *, incremental: bool) -> None:
    """ValueError or TypeError for what does not go together, as far as that can be seen without samples."""
    if estimator.layers is not None:
        _check_layers(estimator)
    rates = dropout_rates(estimator)
    checked(estimator.callbacks or [])
    layers = estimator.layers or ()
    is_random = any(rates) or any(layer.is_random for layer in layers)
    is_normalised = estimator.batch_norm or any(layer.is_normalisation for layer in layers)
    in_epochs = {
        "learning_rate": not isinstance(estimator.learning_rate, str),
        "callbacks": bool(estimator.callbacks),
        "metrics": bool(estimator.metrics),
    }
    if estimator.solver == "lbfgs":
        _refuse("solver='lbfgs' has no epochs", in_epochs)
        _refuse(
            "solver='lbfgs' wants the same loss of the same weights, and all weights to be those of Dense layers",
            {"Dropout": is_random, "a normalisation": is_normalised},
        )
        _refuse("solver='lbfgs' is SciPy's, in float64", {"dtype='float32'": estimator.dtype == "float32"})
    if estimator.loss == "poisson":
        own = {"layers": estimator.layers is not None, "dropout": is_random, "batch_norm": is_normalised}
        on_gpu = {"device='cuda'": estimator.device != "cpu"}
        _refuse("loss='poisson' is trained by scikit-learn's own code", own | in_epochs | on_gpu)
    if incremental and isinstance(getattr(estimator, "class_weight", None), str):
        raise ValueError(
            f"class_weight={estimator.class_weight!r} needs all samples, and partial_fit sees some: give "
            "{label: weight}"
        )


def _refuse(why: str, given: Mapping[str, bool]) -> None:
    """ValueError for the first of the keywords that is given."""
    for name, is_given in given.items():
        if is_given:
            raise ValueError(f"{why}: leave {name} out, or use solver='adam' or 'sgd', and for numbers squared errors")


def _check_layers(estimator: Any) -> None:
    for name, usual in (("hidden_layer_sizes", [100]), ("activation", "relu"), ("dropout", 0), ("batch_norm", False)):
        value = getattr(estimator, name)
        if (np.atleast_1d(value).tolist() if name == "hidden_layer_sizes" else value) != usual:
            raise ValueError(
                f"{name}={value!r} and layers both say what is hidden: leave {name} out, and put all into layers"
            )
    try:
        checked_layers([*estimator.layers, Dense(1)])
    except (ValueError, TypeError) as error:
        raise type(error)(f"layers: {error}. The output layer is made from y, and is not among them") from None
    for place, layer in enumerate(estimator.layers, start=1):
        if estimator.alpha and layer.is_dense and (layer.l1 or layer.l2):
            raise ValueError(
                f"layers: layer {place} has a penalty of its own, and alpha={estimator.alpha} is one of all Dense "
                "layers: give one of them, with alpha=0 the layers' own"
            )


# ---------------------------------------------------------------- the others


def schedule_of(estimator: Any) -> Schedule | None:
    """The schedule of learning rates, if it is none of scikit-learn's."""
    return None if isinstance(estimator.learning_rate, str) else as_schedule(estimator.learning_rate)


def class_weights(y: np.ndarray, classes: np.ndarray, given: Any) -> np.ndarray:
    """(m,): the weight of each sample's class, of y as scikit-learn encodes it, (m, k) one-hot or (m, 1) of two.

    `given` is {label: weight}, others 1, or "balanced": m / (k times how often the class occurs), for k that occur.

    Raises ValueError or TypeError for labels that are no class, and weights below 0.
    """
    index = y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(np.intp)
    if isinstance(given, str):
        counts = np.bincount(index, minlength=len(classes))
        weights = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    else:
        labels, weights = classes.tolist(), np.ones(len(classes))
        for label, weight in given.items():
            if label not in labels:
                raise ValueError(f"class_weight has the label {label!r}, and y has {labels}: give weights of these")
            weights[labels.index(label)] = real_number(f"class_weight[{label!r}]", weight, at_least=0)
    found: np.ndarray = weights[index]
    return found


_ANY = contextlib.nullcontext()


def threads(count: int | None) -> contextlib.AbstractContextManager[None]:
    """While it lasts, the calling thread's work is done by at most `count` threads; None: by as many as before."""
    return _ANY if count is None else _at_most(count)


@contextlib.contextmanager
def _at_most(count: int) -> Iterator[None]:
    numba = imported("numba")
    before = numba.get_num_threads()
    try:
        # Rather fewer than an error, where a model has come to a smaller machine, or to a worker that has its share.
        numba.set_num_threads(min(int(count), numba.config.NUMBA_NUM_THREADS))
        yield
    finally:
        numba.set_num_threads(before)
