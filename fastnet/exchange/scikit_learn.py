"""Networks of scikit-learn's perceptrons, with their weights."""

from typing import Any

import numpy as np

from ..data.targets import Classification
from ..layers import Dense
from ..network import Network

SKLEARN_ACTIVATIONS = {
    "identity": "linear",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "softmax": "softmax",
}


def from_sklearn(model: Any) -> Network:
    """The network of a fitted MLPClassifier or MLPRegressor: layers, weights, labels, and the penalty.

    It predicts what the model does, in the dtype of its weights. scikit-learn divides the penalty by the samples of a
    mini-batch, so `l2` is alpha over these; after L-BFGS, which does not say how many there were, it is 0. Of fastnet's
    own estimators it is their `network_`.

    Raises
    ------
    TypeError
        For what is no such model.
    ValueError
        For one that is not fitted, and for one with a Poisson loss, whose exponential output fastnet does not have.

    Examples
    --------
    >>> import fastnet as fn
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(max_iter=1000, random_state=0).fit(X, y)
    >>> net = fn.from_sklearn(model)
    >>> bool((net.predict(X) == model.predict(X)).all())
    True
    """
    if not all(hasattr(model, name) for name in ("hidden_layer_sizes", "activation", "alpha")):
        raise TypeError(f"{type(model).__name__} is no MLPClassifier or MLPRegressor: give one of these")
    if not hasattr(model, "coefs_"):
        raise ValueError(f"this {type(model).__name__} is not fitted yet: call fit first")
    if model.out_activation_ not in SKLEARN_ACTIVATIONS:
        raise ValueError(f"the model's output is {model.out_activation_}, as of loss='poisson': fastnet has none of it")
    if hasattr(model, "network_"):  # which may have other layers than Dense
        found: Network = model.network_
        return found
    names = [SKLEARN_ACTIVATIONS[model.activation]] * (len(model.coefs_) - 1) + [
        SKLEARN_ACTIVATIONS[model.out_activation_]
    ]
    l2 = _penalty_of(model)
    layers = [Dense(coef.shape[1], name, l2=l2) for coef, name in zip(model.coefs_, names, strict=True)]
    net = Network(layers, dtype=model.coefs_[0].dtype).build(model.coefs_[0].shape[0])
    for number, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_, strict=True), start=1):
        net.parameters[f"W{number}"][...], net.parameters[f"b{number}"][...] = coef.T, intercept
    if isinstance(net.task, Classification):
        net.task = net.task.with_classes(np.asarray(model.classes_))
    return net


def _penalty_of(model: Any) -> float:
    """`l2` for which a mini-batch costs what it did in the model's training."""
    if model.solver == "lbfgs" or not model.n_iter_:
        return 0.0
    alpha: float = model.alpha
    samples = max(1, round(model.t_ / model.n_iter_))
    batch = min(200, samples) if model.batch_size == "auto" else min(int(model.batch_size), samples)
    return float(alpha / batch)
