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
    """The network of a fitted MLPClassifier or MLPRegressor: layers, weights, labels, and the penalty alpha as `l2`.

    It predicts what the model does, in the dtype of its weights. Of fastnet's own estimators it is their `network_`.

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
    layers = [Dense(coef.shape[1], name, l2=float(model.alpha)) for coef, name in zip(model.coefs_, names, strict=True)]
    net = Network(layers, dtype=model.coefs_[0].dtype).build(model.coefs_[0].shape[0])
    for number, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_, strict=True), start=1):
        net.parameters[f"W{number}"][...], net.parameters[f"b{number}"][...] = coef.T, intercept
    if isinstance(net.task, Classification):
        net.task = net.task.with_classes(np.asarray(model.classes_))
    return net
