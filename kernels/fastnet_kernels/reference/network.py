"""A whole network in NumPy on one screen: forward, cost, backward and update, by the formulas of the files beside it.

A network is a list of layers l = 1, 2, ..., L, and a layer is a dictionary of its kind, settings and parameters:

    layers = [
        {"kind": "Dense", "activation": "relu", "W": W1, "b": b1},     # W (n_l, n_{l-1}), b (n_l,)
        {"kind": "Dense", "activation": "softmax", "W": W2, "b": b2},
    ]
    A, Z, saved = forward(layers, X, training=True)                    # X (m, n_0), a sample a row
    J, dZ = cost(layers, ("cross_entropy", 0.0), A, Z, Y)              # the loss and its setting, if it has one
    gradients = backward(layers, A, Z, saved, dZ)                      # gradients[0]["W"] is the dW of layer 1
    update(layers, gradients, learning_rate=0.1)

Everything is computed in the dtype of X and of the parameters. A new kind of layer is an entry in `kinds.KINDS`.
"""

from . import activation as activations
from . import loss as losses
from . import optimizers
from .kinds import KINDS, outputs_of, penalty


def forward(layers, X, *, training=False):
    """A[0] = X; Z[l] from A[l-1] by layer l, and A[l] = g(Z[l]), each (m, n_l); and what layers save for backward."""
    A, Z, saved = [X], [None], [None]
    for layer in layers:
        layer_forward, _ = KINDS[layer["kind"]]
        Z_l, saved_l = layer_forward(layer, A[-1], training)
        A.append(_activate(layer, Z_l))
        Z.append(Z_l)
        saved.append(saved_l)
    return A, Z, saved


def cost(layers, loss, A, Z, Y):
    """J = mean(L) + penalties, and dZ[L] (m, n_L), for a loss (name, *setting), and Y as the file `loss` takes it.

    Where a sample has an output at each step of a sequence, and so more outputs than the last layer units, L has them
    one by one, and Y too.
    """
    name, *setting = loss
    of_logits = name in ("log_loss", "cross_entropy", "hinge")  # which give dZ; the other losses give dA
    outputs = Z[-1] if of_logits else A[-1]
    one_by_one = outputs.reshape(-1, len(layers[-1]["b"]))
    L, d = outputs_of(getattr(losses, name), one_by_one, Y, *setting, like=(one_by_one[:, 0], one_by_one))
    d = d.reshape(outputs.shape)
    dZ = d if of_logits else _derive(layers[-1], d, Z[-1], A[-1])
    return L.mean() + sum(penalty(layer) for layer in layers), dZ


def backward(layers, A, Z, saved, dZ):
    """The gradients of J, a dictionary a layer, named as its parameters: from dZ[L] down to dZ[1]."""
    gradients = [{} for _ in layers]
    for l in range(len(layers), 0, -1):
        _, layer_backward = KINDS[layers[l - 1]["kind"]]
        dA_prev, gradients[l - 1] = layer_backward(layers[l - 1], dZ, A[l - 1], saved[l])
        if l > 1:
            dZ = _derive(layers[l - 2], dA_prev, Z[l - 1], A[l - 1])
    return gradients


def update(layers, gradients, learning_rate):
    """W := W - learning_rate dW, in place, and so every parameter that is trained. `optimizers` has others."""
    for layer, of_layer in zip(layers, gradients, strict=True):
        if layer.get("trainable", True):
            for name, gradient in of_layer.items():
                optimizers.sgd(layer[name], gradient, learning_rate)


# ---------------------------------------------------------------- activations: A = g(Z) and dZ = dA * g'(Z)

_DERIVED_FROM_Z = ("elu", "softplus", "silu", "gelu", "hard_silu")  # the others' derivatives are written through A


def _activation(layer):
    name = layer.get("activation", "linear")
    return name, {"leaky_relu": [layer.get("slope", 0.01)], "elu": [layer.get("alpha", 1.0)]}.get(name, [])


def _activate(layer, Z):
    name, setting = _activation(layer)
    one_by_one = Z.reshape(-1, len(layer["b"])) if name == "softmax" else Z  # of each step of a sequence
    return outputs_of(getattr(activations, name), one_by_one, *setting, like=[one_by_one])[0].reshape(Z.shape)


def _derive(layer, dA, Z, A):
    name, setting = _activation(layer)
    derivative, known = getattr(activations, f"{name}_backward"), Z if name in _DERIVED_FROM_Z else A
    return outputs_of(derivative, dA, known, *setting, like=[Z])[0]
