"""The kinds of layer that `network` runs, as a table: a new kind is two functions and a line in KINDS.

    forward(layer, A_prev, training) -> Z (m, n), and what backward needs besides A_prev
    backward(layer, dZ, A_prev, saved) -> dA_prev (m, n_prev), and the gradients in the shapes of the layer's parameters

`layer` is a dictionary of settings and parameters, and A_prev (m, n_prev) has a sample a row.
"""

import math

import numpy as np

from . import dense, max_pool, normalisation
from .dropout import dropout


def outputs_of(formula, *inputs, like):
    """What a formula writes: new arrays of the shapes and dtypes of those in `like`."""
    outputs = [np.empty_like(array) for array in like]
    formula(*inputs, *outputs)
    return outputs


def dense_forward(layer, A_prev, training):
    Z = np.empty((len(A_prev), len(layer["b"])), A_prev.dtype)
    dense.dense_forward(A_prev, layer["W"], layer["b"], Z)
    return Z, None


def dense_backward(layer, dZ, A_prev, saved):
    W = layer["W"]
    dW, db, dA_prev = outputs_of(dense.dense_backward, dZ, A_prev, W, like=(W, layer["b"], A_prev))
    dW += layer.get("l1", 0) * np.sign(W) + layer.get("l2", 0) * W
    return dA_prev, {"W": dW, "b": db}


def penalty(layer):
    """What a layer adds to the cost: l1 sum |W| + l2 / 2 sum W^2, if it has weights and is trained."""
    if "W" not in layer or not layer.get("trainable", True):
        return 0
    return layer.get("l1", 0) * np.abs(layer["W"]).sum() + layer.get("l2", 0) / 2 * (layer["W"] ** 2).sum()


def batch_norm_forward(layer, A_prev, training):
    """Training uses the mini-batch's mean and variance, and moves the remembered ones towards them.

    Evaluation uses the remembered ones, and so does training with a single sample or where the layer is not trained.
    """
    gamma, beta, epsilon = layer["gamma"], layer["beta"], layer["epsilon"]
    if training and len(A_prev) > 1 and layer.get("trainable", True):
        inputs = A_prev, gamma, beta, epsilon
        mean, inv_std, Z = outputs_of(normalisation.batch_norm, *inputs, like=(gamma, gamma, A_prev))
        layer["mean"] += layer["momentum"] * (mean - layer["mean"])
        layer["variance"] += layer["momentum"] * (A_prev.var(axis=0, ddof=1) - layer["variance"])
        return Z, (mean, inv_std, True)
    mean, inv_std = layer["mean"].copy(), 1 / np.sqrt(layer["variance"] + epsilon)
    return gamma * (A_prev - mean) * inv_std + beta, (mean, inv_std, False)


def batch_norm_backward(layer, dZ, A_prev, saved):
    mean, inv_std, depend_on_batch = saved
    inputs, like = (dZ, A_prev, layer["gamma"], mean, inv_std), (mean, mean, A_prev)
    dgamma, dbeta, dA_prev = outputs_of(normalisation.batch_norm_backward, *inputs, like=like)
    if not depend_on_batch:  # they are constants
        dA_prev = layer["gamma"] * inv_std * dZ
    return dA_prev, {"gamma": dgamma, "beta": dbeta}


def layer_norm_forward(layer, A_prev, training):
    inputs, a_sample = (A_prev, layer["gamma"], layer["beta"], layer["epsilon"]), A_prev[:, 0]
    mean, inv_std, Z = outputs_of(normalisation.layer_norm, *inputs, like=(a_sample, a_sample, A_prev))
    return Z, (mean, inv_std)


def layer_norm_backward(layer, dZ, A_prev, saved):
    gamma, (mean, inv_std) = layer["gamma"], saved
    inputs, like = (dZ, A_prev, gamma, mean, inv_std), (np.stack([mean, mean]), gamma, gamma, A_prev)
    _, dgamma, dbeta, dA_prev = outputs_of(normalisation.layer_norm_backward, *inputs, like=like)
    return dA_prev, {"gamma": dgamma, "beta": dbeta}


def dropout_forward(layer, A_prev, training):
    """Training leaves out what the layer's `key` says, a whole number of 64 bits; evaluation leaves out nothing."""
    Z = outputs_of(dropout, A_prev, layer["rate"], layer["key"], like=[A_prev])[0] if training else A_prev
    return Z, training


def dropout_backward(layer, dZ, A_prev, saved):
    dA_prev, _ = dropout_forward(layer, dZ, saved)  # what was left out has no gradient, and what was kept has grown
    return dA_prev, {}


def _images(layer, A, of):
    """A (m, n) as images (m, h, w, c); a signal (t, c) is an image of one row, and (h, w) has one channel."""
    shape = layer[of]
    return A.reshape(len(A), *((1, *shape) if layer["kind"] == "MaxPool1D" else (*shape, 1)[:3]))


def _windows(layer):
    """Height and width of a window, and how far the next one is in both directions."""
    size, stride = layer["pool_size"], layer["stride"] or layer["pool_size"]
    if layer["kind"] == "MaxPool1D":
        return 1, size, 1, stride
    return *np.broadcast_to(size, 2), *np.broadcast_to(stride, 2)


def max_pool_forward(layer, A_prev, training):
    A = np.empty((len(A_prev), math.prod(layer["output_shape"])), A_prev.dtype)
    max_pool.max_pool2d(_images(layer, A_prev, "input_shape"), *_windows(layer), _images(layer, A, "output_shape"))
    return A, A


def max_pool_backward(layer, dA, A_prev, A):
    dA, A, given = (
        _images(layer, *each) for each in ((dA, "output_shape"), (A, "output_shape"), (A_prev, "input_shape"))
    )
    (dA_prev,) = outputs_of(max_pool.max_pool2d_backward, dA, given, A, *_windows(layer), like=[given])
    return dA_prev.reshape(A_prev.shape), {}


def rescale_forward(layer, A_prev, training):
    return layer["scale"] * A_prev + layer["shift"], None


def rescale_backward(layer, dZ, A_prev, saved):
    return layer["scale"] * dZ, {}


KINDS = {
    "Dense": (dense_forward, dense_backward),
    "BatchNorm": (batch_norm_forward, batch_norm_backward),
    "LayerNorm": (layer_norm_forward, layer_norm_backward),
    "Dropout": (dropout_forward, dropout_backward),
    "MaxPool1D": (max_pool_forward, max_pool_backward),
    "MaxPool2D": (max_pool_forward, max_pool_backward),
    "Rescale": (rescale_forward, rescale_backward),
}
