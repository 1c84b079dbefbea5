"""Each formula as the textbook writes it: plain NumPy, any floating dtype, any strides."""

from .activations import (
    leaky_relu,
    leaky_relu_backward,
    linear,
    linear_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    tanh,
    tanh_backward,
)
from .dense import dense_backward, dense_forward
from .losses import cross_entropy, log_loss, squared_error
from .updates import sgd

__all__ = [
    "cross_entropy",
    "dense_backward",
    "dense_forward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_loss",
    "relu",
    "relu_backward",
    "sgd",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "squared_error",
    "tanh",
    "tanh_backward",
]
