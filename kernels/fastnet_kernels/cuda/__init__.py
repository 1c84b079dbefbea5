"""The kernels for a CUDA GPU: the names and formulas of `reference`, compiled by numba-cuda (the extra `cuda`).

Arrays are on the GPU (`cuda.to_device`, `cuda.device_array`), C-contiguous, and of one dtype, float32 or float64; those
of NumPy are copied there and back for each call. A call returns before the GPU is done. Shapes are not checked here: a
wrong one reads outside its array.
"""

from .layers.activation import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    hard_sigmoid,
    hard_sigmoid_backward,
    hard_silu,
    hard_silu_backward,
    leaky_relu,
    leaky_relu_backward,
    linear,
    linear_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softmax,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from .layers.average_pool import average_pool2d, average_pool2d_backward
from .layers.batch_norm import batch_norm, batch_norm_backward
from .layers.conv import conv2d_backward_data, conv2d_backward_weights, conv2d_forward
from .layers.dense import dense_backward, dense_forward
from .layers.dropout import dropout
from .layers.embedding import embedding, embedding_backward
from .layers.layer_norm import layer_norm, layer_norm_backward
from .layers.max_pool import max_pool1d, max_pool1d_backward, max_pool2d, max_pool2d_backward
from .layers.recurrent.kernels import (
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    recurrent_backward,
    recurrent_forward,
)
from .loss import absolute_error, cross_entropy, hinge, huber, log_loss, quantile, squared_error
from .optimizers import adam, adamw, rmsprop, sgd, sgd_momentum

__all__ = [
    "absolute_error",
    "adam",
    "adamw",
    "average_pool2d",
    "average_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "conv2d_backward_data",
    "conv2d_backward_weights",
    "conv2d_forward",
    "cross_entropy",
    "dense_backward",
    "dense_forward",
    "dropout",
    "elu",
    "elu_backward",
    "embedding",
    "embedding_backward",
    "gelu",
    "gelu_backward",
    "gru_backward",
    "gru_forward",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "hard_silu",
    "hard_silu_backward",
    "hinge",
    "huber",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_loss",
    "lstm_backward",
    "lstm_forward",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "quantile",
    "recurrent_backward",
    "recurrent_forward",
    "relu",
    "relu_backward",
    "rmsprop",
    "sgd",
    "sgd_momentum",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softplus",
    "softplus_backward",
    "squared_error",
    "tanh",
    "tanh_backward",
]
