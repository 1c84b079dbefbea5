"""The kernels for all cores of a CPU: the names and formulas of `reference`, compiled by Numba.

Arrays may have any strides; rows that lie together in memory are fastest. All arrays of one call have one dtype,
float32 or float64. Shapes are not checked here: a wrong one reads outside its array.
"""

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
