"""The kernels for all cores of a CPU: the names and formulas of `reference`, compiled by Numba.

Arrays may have any strides; rows that lie together in memory are fastest. All arrays of one call have one dtype,
float32 or float64. What does not fit is refused before anything runs, with a reason: see `shapes`.

Kernels are imported when they are first named, so `target`, which the host plans by, needs no Numba. To read on:
`layers` has the formulas, `gemm` the products beneath them, `step` the memory that they work on, `program` what runs
whole networks, and `codegen` how all of it is compiled.
"""

from ..first_use import imported

_MODULES = {
    "kernels.activation": (
        "elu",
        "elu_backward",
        "gelu",
        "gelu_backward",
        "hard_sigmoid",
        "hard_sigmoid_backward",
        "hard_silu",
        "hard_silu_backward",
        "leaky_relu",
        "leaky_relu_backward",
        "linear",
        "linear_backward",
        "relu",
        "relu_backward",
        "sigmoid",
        "sigmoid_backward",
        "silu",
        "silu_backward",
        "softmax",
        "softplus",
        "softplus_backward",
        "tanh",
        "tanh_backward",
    ),
    "kernels.average_pool": (
        "average_pool2d",
        "average_pool2d_backward",
    ),
    "kernels.batch_norm": (
        "batch_norm",
        "batch_norm_backward",
    ),
    "kernels.conv": (
        "conv2d_backward_data",
        "conv2d_backward_weights",
        "conv2d_forward",
    ),
    "kernels.dense": (
        "dense_backward",
        "dense_forward",
    ),
    "kernels.dropout": ("dropout",),
    "kernels.embedding": (
        "embedding",
        "embedding_backward",
    ),
    "kernels.layer_norm": (
        "layer_norm",
        "layer_norm_backward",
    ),
    "kernels.max_pool": (
        "max_pool1d",
        "max_pool1d_backward",
        "max_pool2d",
        "max_pool2d_backward",
    ),
    "kernels.loss": (
        "absolute_error",
        "cross_entropy",
        "hinge",
        "huber",
        "log_loss",
        "quantile",
        "squared_error",
    ),
    "kernels.optimizers": (
        "adam",
        "adamw",
        "rmsprop",
        "sgd",
        "sgd_momentum",
    ),
    "kernels.recurrent": (
        "gru_backward",
        "gru_forward",
        "lstm_backward",
        "lstm_forward",
        "recurrent_backward",
        "recurrent_forward",
    ),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_WHERE)


def __getattr__(name):
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(imported(f"{__name__}.{_WHERE[name]}"), name)
    return found


def __dir__():
    return [*globals(), *__all__]
