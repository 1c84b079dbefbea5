"""The kinds of layer that `network` runs, as a table: a new kind is two functions and a line in KINDS.

    forward(layer, A_prev, training) -> Z (m, n), and what backward needs besides A_prev
    backward(layer, dZ, A_prev, saved) -> dA_prev (m, n_prev), and the gradients in the shapes of the layer's parameters

`layer` is a dictionary of settings and parameters, and A_prev (m, n_prev) has a sample a row.
"""

import math

import numpy as np

from .batch_norm import batch_norm, batch_norm_backward
from .conv import Windows, conv2d_backward_data, conv2d_backward_weights, conv2d_forward
from .dense import dense_backward, dense_forward
from .dropout import dropout
from .embedding import embedding, embedding_backward
from .layer_norm import layer_norm, layer_norm_backward
from .max_pool import max_pool2d, max_pool2d_backward
from .recurrent import (
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    recurrent_backward,
    recurrent_forward,
)


def outputs_of(formula, *inputs, like):
    """What a formula writes: new arrays of the shapes and dtypes of those in `like`."""
    outputs = [np.empty_like(array) for array in like]
    formula(*inputs, *outputs)
    return outputs


def forward_dense(layer, A_prev, training):
    """Z (m, n) = A_prev W^T + b, for W (n, n_prev) and b (n,); or Z (m, t n), of sequences A_prev (m, t n_prev)."""
    inputs = A_prev.reshape(-1, layer["W"].shape[1])
    Z = np.empty((len(inputs), len(layer["b"])), A_prev.dtype)
    dense_forward(inputs, layer["W"], layer["b"], Z)
    return Z.reshape(len(A_prev), -1), None


def backward_dense(layer, dZ, A_prev, saved):
    """dA_prev (m, n_prev), and dW (n, n_prev) with the derivative of the penalty, db (n,)."""
    W = layer["W"]
    dZ, inputs = dZ.reshape(-1, len(W)), A_prev.reshape(-1, W.shape[1])
    dW, db, dA_prev = outputs_of(dense_backward, dZ, inputs, W, like=(W, layer["b"], inputs))
    dW += layer.get("l1", 0) * np.sign(W) + layer.get("l2", 0) * W
    return dA_prev.reshape(A_prev.shape), {"W": dW, "b": db}


def penalty(layer):
    """What a layer adds to the cost: l1 sum |W| + l2 / 2 sum W^2, if it has weights and is trained."""
    if "W" not in layer or not layer.get("trainable", True):
        return 0
    return layer.get("l1", 0) * np.abs(layer["W"]).sum() + layer.get("l2", 0) / 2 * (layer["W"] ** 2).sum()


def forward_batch_norm(layer, A_prev, training):
    """Z (m, n) = gamma X + beta; mean and inv_std (n,) are saved, and whether they are the mini-batch's.

    Training uses the mini-batch's mean and variance, and moves the running ones towards them. Evaluation uses the
    running ones, and so does training with a single sample or where the layer is not trained.
    """
    gamma, beta, epsilon = layer["gamma"], layer["beta"], layer["epsilon"]
    if training and len(A_prev) > 1 and layer.get("trainable", True):
        inputs = A_prev, gamma, beta, epsilon
        mean, inv_std, Z = outputs_of(batch_norm, *inputs, like=(gamma, gamma, A_prev))
        layer["mean"] += layer["momentum"] * (mean - layer["mean"])
        layer["variance"] += layer["momentum"] * (A_prev.var(axis=0, ddof=1) - layer["variance"])
        return Z, (mean, inv_std, True)
    mean, inv_std = layer["mean"].copy(), 1 / np.sqrt(layer["variance"] + epsilon)
    return gamma * (A_prev - mean) * inv_std + beta, (mean, inv_std, False)


def backward_batch_norm(layer, dZ, A_prev, saved):
    """dA_prev (m, n), and dgamma, dbeta (n,)."""
    mean, inv_std, depend_on_batch = saved
    inputs, like = (dZ, A_prev, layer["gamma"], mean, inv_std), (mean, mean, A_prev)
    dgamma, dbeta, dA_prev = outputs_of(batch_norm_backward, *inputs, like=like)
    if not depend_on_batch:  # they are constants
        dA_prev = layer["gamma"] * inv_std * dZ
    return dA_prev, {"gamma": dgamma, "beta": dbeta}


def forward_layer_norm(layer, A_prev, training):
    """Z (m, n) = gamma X + beta; mean and inv_std (m,) are saved."""
    inputs, a_sample = (A_prev, layer["gamma"], layer["beta"], layer["epsilon"]), A_prev[:, 0]
    mean, inv_std, Z = outputs_of(layer_norm, *inputs, like=(a_sample, a_sample, A_prev))
    return Z, (mean, inv_std)


def backward_layer_norm(layer, dZ, A_prev, saved):
    """dA_prev (m, n), and dgamma, dbeta (n,)."""
    gamma, (mean, inv_std) = layer["gamma"], saved
    inputs, like = (dZ, A_prev, gamma, mean, inv_std), (np.stack([mean, mean]), gamma, gamma, A_prev)
    _, dgamma, dbeta, dA_prev = outputs_of(layer_norm_backward, *inputs, like=like)
    return dA_prev, {"gamma": dgamma, "beta": dbeta}


def forward_dropout(layer, A_prev, training):
    """Z (m, n): A_prev, in training without what the layer's `key` leaves out, a whole number of 64 bits."""
    Z = outputs_of(dropout, A_prev, layer["rate"], layer["key"], like=[A_prev])[0] if training else A_prev
    return Z, training


def backward_dropout(layer, dZ, A_prev, saved):
    """dA_prev (m, n): what was left out has no gradient, and what was kept has grown."""
    dA_prev, _ = forward_dropout(layer, dZ, saved)
    return dA_prev, {}


def _images(layer, A, of):
    """A (m, n) as images (m, h, w, c); a signal (t, c) is an image of one row, and (h, w) has one channel."""
    shape = layer[of]
    return A.reshape(len(A), *((1, *shape) if layer["kind"].endswith("1D") else (*shape, 1)[:3]))


def _windows(layer):
    """Height and width of a window, and how far the next one is in both directions."""
    size, stride = layer["pool_size"], layer["stride"] or layer["pool_size"]
    if layer["kind"] == "MaxPool1D":
        return 1, size, 1, stride
    return *np.broadcast_to(size, 2), *np.broadcast_to(stride, 2)


def forward_max_pool(layer, A_prev, training):
    """Z (m, n): the largest number of each window of A_prev, which is an image; it is saved."""
    A = np.empty((len(A_prev), math.prod(layer["output_shape"])), A_prev.dtype)
    max_pool2d(_images(layer, A_prev, "input_shape"), *_windows(layer), _images(layer, A, "output_shape"))
    return A, A


def backward_max_pool(layer, dA, A_prev, A):
    """dA_prev (m, n_prev), from dA (m, n) and the saved A (m, n)."""
    dA, A, given = (
        _images(layer, *each) for each in ((dA, "output_shape"), (A, "output_shape"), (A_prev, "input_shape"))
    )
    (dA_prev,) = outputs_of(max_pool2d_backward, dA, given, A, *_windows(layer), like=[given])
    return dA_prev.reshape(A_prev.shape), {}


def _convolution(layer):
    """How a convolution's windows lie, W of four extents, and the images before and behind it for arrays (m, n)."""
    is_signal, W = layer["kind"] == "Conv1D", layer["W"]
    one, none = ((1,), (0,)) if is_signal else ((), ())
    axes = 2 - len(one)
    stride, dilation = (tuple(np.broadcast_to(layer[name], axes)) for name in ("stride", "dilation"))
    window, shape, padding = W.shape[1:-1], layer["input_shape"][:axes], layer["padding"]
    if padding == "same":
        reach = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
        beyond = [(-(-n // step) - 1) * step + size - n for n, step, size in zip(shape, stride, reach, strict=True)]
        pad = tuple(max(0, n) // 2 for n in beyond)
    else:
        pad = (0,) * axes if padding == "valid" else tuple(np.broadcast_to(padding, axes))
    windows = Windows(*one, *stride, *none, *pad, *one, *dilation, layer["groups"])
    return windows, W[:, np.newaxis] if is_signal else W


def forward_conv(layer, A_prev, training):
    """Z (m, n): every window of A_prev, which is an image, times every filter."""
    windows, W = _convolution(layer)
    Z = np.empty((len(A_prev), math.prod(layer["output_shape"])), A_prev.dtype)
    given, made = _images(layer, A_prev, "input_shape"), _images(layer, Z, "output_shape")
    conv2d_forward(given, W, layer["b"], *windows, made)
    return Z, None


def backward_conv(layer, dZ, A_prev, saved):
    """dA_prev (m, n_prev), and dW with the derivative of the penalty, db (n,)."""
    windows, W = _convolution(layer)
    dZ, given = _images(layer, dZ, "output_shape"), _images(layer, A_prev, "input_shape")
    (dA_prev,) = outputs_of(conv2d_backward_data, dZ, W, *windows, like=[given])
    dW, db = outputs_of(conv2d_backward_weights, dZ, given, *windows, like=(W, layer["b"]))
    dW += layer.get("l1", 0) * np.sign(W) + layer.get("l2", 0) * W
    return dA_prev.reshape(A_prev.shape), {"W": dW.reshape(layer["W"].shape), "b": db}


def forward_embedding(layer, A_prev, training):
    """Z (m, t n): for each of the t whole numbers of a sample its row of W (vocabulary, n)."""
    W = layer["W"]
    A = np.empty((*A_prev.shape, W.shape[1]), W.dtype)
    embedding(A_prev, W, A)
    return A.reshape(len(A_prev), -1), None


def backward_embedding(layer, dZ, A_prev, saved):
    """dW with the derivative of the penalty: each row adds up what comes to it. Numbers have no derivative."""
    W = layer["W"]
    (dW,) = outputs_of(embedding_backward, dZ.reshape(*A_prev.shape, -1), A_prev, like=(W,))
    dW += layer.get("l1", 0) * np.sign(W) + layer.get("l2", 0) * W
    return np.zeros_like(A_prev), {"W": dW}


def _directions(layer, A):
    """Of each direction its W, U and b, and A (m, t, ...) in the order in which it takes steps.

    A layer's W has the columns of U first.
    """
    count, n = 2 if layer["bidirectional"] else 1, layer["units"]
    parts = zip(np.split(layer["W"], count), np.split(layer["b"], count), (A, A[:, ::-1]), strict=False)
    return [(rows[:, n:], rows[:, :n], b, X) for rows, b, X in parts]


def forward_recurrent(layer, A_prev, training):
    """Z (m, t n) or, of the last step alone, (m, n), of sequences A_prev (m, t n_prev); states and gates are saved.

    Of two directions the states stand side by side, those of the second in the order of the first.
    """
    (t, _), n, made, saved = layer["input_shape"], layer["units"], [], []
    for W, U, b, X in _directions(layer, A_prev.reshape(len(A_prev), *layer["input_shape"])):
        first = np.zeros((len(X), n), X.dtype)
        h, c, gates = (np.empty((len(X), t, size), X.dtype) for size in (n, n, 4 * n))
        if layer["kind"] == "LSTM":
            lstm_forward(X, W, U, b, first, first, h, c, gates)
        elif layer["kind"] == "GRU":
            gru_forward(X, W, U, b, first, h, gates)
        else:
            recurrent_forward(X, W, U, b, first, layer["nonlinearity"] == "relu", h)
        states = h[:, ::-1] if made else h
        made.append(states if layer["return_sequences"] else h[:, -1])
        saved.append((h, c, gates))
    return np.concatenate(made, axis=-1).reshape(len(A_prev), -1), saved


def backward_recurrent(layer, dZ, A_prev, saved):
    """dA_prev (m, t n_prev), and dW with the derivative of the penalty, db."""
    gradients, dA_prev = [], np.zeros((len(A_prev), *layer["input_shape"]), A_prev.dtype)
    dZ = dZ.reshape(len(A_prev), *layer["output_shape"])
    for direction, (W, U, b, X) in enumerate(_directions(layer, A_prev.reshape(dA_prev.shape))):
        h, c, gates = saved[direction]
        of_direction, dh, first = np.split(dZ, len(saved), axis=-1)[direction], np.zeros_like(h), np.zeros_like(h[:, 0])
        like = W, U, b, X, first
        if layer["return_sequences"]:
            dh[...] = of_direction[:, ::-1] if direction else of_direction
        else:
            dh[:, -1] = of_direction
        if layer["kind"] == "LSTM":
            given = dh, first, X, W, U, first, first, h, c, gates
            dW, dU, db, dX, *_ = outputs_of(lstm_backward, *given, like=(*like, first))
        elif layer["kind"] == "GRU":
            dW, dU, db, dX, _ = outputs_of(gru_backward, dh, X, W, U, first, h, gates, like=like)
        else:
            relu = layer["nonlinearity"] == "relu"
            dW, dU, db, dX, _ = outputs_of(recurrent_backward, dh, X, W, U, first, h, relu, like=like)
        gradients.append((np.hstack([dU, dW]), db))
        dA_prev += dX[:, ::-1] if direction else dX
    dW, db = (np.concatenate(parts) for parts in zip(*gradients, strict=True))
    dW += layer.get("l1", 0) * np.sign(layer["W"]) + layer.get("l2", 0) * layer["W"]
    return dA_prev.reshape(A_prev.shape), {"W": dW, "b": db}


def forward_rescale(layer, A_prev, training):
    """Z (m, n) = scale A_prev + shift."""
    return layer["scale"] * A_prev + layer["shift"], None


def backward_rescale(layer, dZ, A_prev, saved):
    """dA_prev (m, n) = scale dZ."""
    return layer["scale"] * dZ, {}


KINDS = {
    "Dense": (forward_dense, backward_dense),
    "Conv1D": (forward_conv, backward_conv),
    "Conv2D": (forward_conv, backward_conv),
    "BatchNorm": (forward_batch_norm, backward_batch_norm),
    "LayerNorm": (forward_layer_norm, backward_layer_norm),
    "Dropout": (forward_dropout, backward_dropout),
    "MaxPool1D": (forward_max_pool, backward_max_pool),
    "MaxPool2D": (forward_max_pool, backward_max_pool),
    "Embedding": (forward_embedding, backward_embedding),
    "Recurrent": (forward_recurrent, backward_recurrent),
    "LSTM": (forward_recurrent, backward_recurrent),
    "GRU": (forward_recurrent, backward_recurrent),
    "Rescale": (forward_rescale, backward_rescale),
}
