"""Networks from other libraries: those of scikit-learn and PyTorch, with their weights."""

from typing import Any

import numpy as np

from .data.targets import Classification
from .layers import BatchNorm, Dense, Dropout, Layer, LayerNorm
from .network import Network

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


# By the names of `torch.nn`, since nobody should have to import it: the activation, and settings of the layer.
_ACTIVATIONS: dict[str, Any] = {
    "Identity": lambda module: {},
    "ReLU": lambda module: {"activation": "relu"},
    "Sigmoid": lambda module: {"activation": "sigmoid"},
    "Tanh": lambda module: {"activation": "tanh"},
    "LeakyReLU": lambda module: {"activation": "leaky_relu", "slope": module.negative_slope},
    "ELU": lambda module: {"activation": "elu", "alpha": module.alpha},
    "SiLU": lambda module: {"activation": "silu"},
    "GELU": lambda module: {"activation": "gelu"} if module.approximate == "none" else None,
    "Softplus": lambda module: {"activation": "softplus"} if module.beta == 1 and module.threshold >= 20 else None,
    "Hardsigmoid": lambda module: {"activation": "hard_sigmoid"},
    "Hardswish": lambda module: {"activation": "hard_silu"},
    "Softmax": lambda module: {"activation": "softmax"} if module.dim in (1, -1) else None,
}


def _array(tensor: Any, size: int, value: float) -> np.ndarray:
    """A tensor as an array; without one `size` numbers of this value."""
    if tensor is None:
        return np.full(size, value)
    if str(tensor.dtype) not in ("torch.float32", "torch.float64") or str(tensor.device) == "meta":
        raise ValueError(f"it has parameters of {tensor.dtype} on {tensor.device}: call .float(), or .double(), first")
    found: np.ndarray = tensor.detach().cpu().numpy()
    return found


def _layer_of(module: Any) -> tuple[type[Layer], dict[str, Any], dict[str, np.ndarray]] | None:
    """A layer's class and settings, and its parameters; None if there is none like it."""
    name = type(module).__name__
    if name == "Linear":
        n = module.out_features
        return Dense, {"units": n}, {"W": _array(module.weight, n, 0), "b": _array(module.bias, n, 0)}
    if name == "BatchNorm1d" and module.running_mean is not None and module.momentum:
        n = module.num_features
        arrays = {"gamma": _array(module.weight, n, 1), "beta": _array(module.bias, n, 0)}
        arrays |= {"mean": _array(module.running_mean, n, 0), "variance": _array(module.running_var, n, 1)}
        return BatchNorm, {"epsilon": module.eps, "momentum": module.momentum}, arrays
    if name == "LayerNorm" and len(module.normalized_shape) == 1:
        (n,) = module.normalized_shape
        arrays = {"gamma": _array(module.weight, n, 1), "beta": _array(module.bias, n, 0)}
        return LayerNorm, {"epsilon": module.eps}, arrays
    return (Dropout, {"rate": module.p}, {}) if name == "Dropout" else None


def _activate(given: tuple[type[Layer], dict[str, Any], Any], settings: dict[str, Any], where: str) -> None:
    """Give a layer an activation, which a normalisation can have in its usual form only."""
    kind, others, _ = given
    if kind is not Dense:
        usual = {"activation": settings["activation"], "slope": 0.01, "alpha": 1.0}
        if any(value != usual[name] for name, value in settings.items()):
            raise ValueError(f"{where}: behind a normalisation LeakyReLU has slope 0.01 here, and ELU alpha 1")
        settings = {"activation": settings["activation"]}
    others.update(settings)


def from_torch(module: Any, *, output: str | None = None) -> Network:
    """The network of a `torch.nn.Sequential`, with its weights, in their dtype.

    Linear, BatchNorm1d, LayerNorm, Dropout and Flatten, also in Sequentials of their own, and the activations that
    fastnet has. `output` is an activation of the last layer, "softmax" say, for a module that gives logits.

    Raises
    ------
    TypeError
        For what is no Sequential.
    ValueError
        For a module that fastnet has no layer for, or in a place where it cannot stand; it names the module.

    Examples
    --------
    >>> import fastnet as fn
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> fn.from_torch(model, output="softmax")
    Network([Dense(8, activation='relu'), Dense(3, activation='softmax')], loss='cross_entropy', dtype='float32')
    """
    if type(module).__name__ != "Sequential":
        raise TypeError(f"{type(module).__name__} is no torch.nn.Sequential: give one, or its parts in one")
    made: list[tuple[type[Layer], dict[str, Any], dict[str, np.ndarray]]] = []
    takes_activation = False
    for place, each in _parts(module):
        name = type(each).__name__
        if name == "Flatten" and not made and each.start_dim == 1:
            continue
        if not type(each).__module__.startswith("torch.nn.modules.") or each._forward_hooks or each._forward_pre_hooks:
            raise ValueError(
                f"module {place}, {each}: it is none of torch.nn, or has hooks, which cannot be taken over"
            )
        try:
            found = _layer_of(each)
        except ValueError as error:
            raise ValueError(f"module {place}, {each}: {error}") from None
        if found is not None:
            made.append(found)
            takes_activation = found[0] is not Dropout
            continue
        settings = _ACTIVATIONS[name](each) if name in _ACTIVATIONS else None
        if settings is None:
            raise ValueError(f"module {place}, {each}: fastnet has no layer like it")
        if settings and not takes_activation:
            raise ValueError(f"module {place}, {each}: here an activation follows Linear or a normalisation directly")
        if settings:
            _activate(made[-1], settings, f"module {place}, {each}")
            takes_activation = False
    if not made or made[0][0] is not Dense:
        raise ValueError("the module does not begin with Linear: give one that does")
    if made[-1][0] is not Dense:
        raise ValueError("the module ends behind its last Linear with a layer: fastnet's networks end with Dense")
    if output is not None:
        if "activation" in made[-1][1]:
            raise ValueError(f"output={output!r}: the module has an activation at its end already, so leave it out")
        made[-1][1]["activation"] = output
    dtypes = {str(array.dtype) for _, _, arrays in made for name, array in arrays.items() if name == "W"}
    if len(dtypes) > 1:
        raise ValueError(f"the module has parameters of {' and '.join(sorted(dtypes))}: call .float(), or .double()")
    first = made[0][2]["W"]
    net = Network([kind(**settings) for kind, settings, _ in made], dtype=first.dtype).build(first.shape[1])
    number = 0
    for kind, _, arrays in made:
        number += kind.begins_number
        for name, array in arrays.items():
            net.parameters[f"{name}{number}"][...] = array
    return net


def _parts(module: Any, before: str = "") -> list[tuple[str, Any]]:
    """The modules of a Sequential, and of those in it, by where they stand: "0", "1.2"."""
    found = []
    for name, each in module._modules.items():  # `named_children` leaves out what it has seen before
        is_nested = type(each).__name__ == "Sequential"
        found += _parts(each, f"{before}{name}.") if is_nested else [(f"{before}{name}", each)]
    return found
