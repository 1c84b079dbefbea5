"""What each kernel is given: the shapes of its arrays, the kinds of its numbers, and which arrays it writes.

It is the same in every backend; the CPU's kernels check it before anything runs, and benchmarks make arguments from it.
A shape is written as its extents, "m n": a letter stands for the same number in all arrays of a call, and what is no
letter is computed from letters and from the numbers of the call.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

# Kinds of numbers.
FLOAT, COUNT, KEY, YES_OR_NO = "a number", "a whole number from 1 on", "a whole number of 64 bits", "True or False"
RATE, WHOLE = "a number from 0 on, below 1", "a whole number from 0 on"
NUMBERS = (FLOAT, RATE, COUNT, WHOLE, KEY, YES_OR_NO)


def extents(shape: str, known: Mapping[str, Any]) -> tuple[int, ...]:
    """A shape in numbers; `known` has those of its letters, and the numbers of the call."""
    return tuple(eval(extent, {"__builtins__": {}}, dict(known)) for extent in shape.split())


class Arguments(NamedTuple):
    """The arguments of a kernel: `given` has a shape or a kind of number for each, in their order.

    `written` names the arrays that the kernel writes, and `in_place` those that a written one may be, number for
    number; other arrays that overlap what is written are copied first. Of a call that writes nothing else, the written
    arrays are changed. Where all arrays are to be without gaps, row after row, others are copied first. `multiples`
    says of which number of the call a letter is to be a multiple. `indices` names arrays of whole numbers, whose dtype
    may be any.
    """

    given: Mapping[str, str]
    written: tuple[str, ...]
    in_place: tuple[str, ...] = ()
    without_gaps: bool = False
    multiples: Mapping[str, str] = {}
    indices: tuple[str, ...] = ()


def _element_wise(*names: str, **numbers: str) -> Arguments:
    arrays = [name for name in names if name not in numbers]
    given = {name: numbers.get(name, "m n") for name in names}
    return Arguments(given, (names[-1],), tuple(arrays[:-1]))


def _loss(A: str, *, of_classes: bool = False, in_place: bool = True, **numbers: str) -> Arguments:
    return Arguments(
        {A: "m n", "Y": "m 1" if of_classes else "m n", **numbers, "L": "m", f"d{A}": "m n"},
        ("L", f"d{A}"),
        (A, "Y") if in_place else (),
        indices=("Y",) if of_classes else (),
    )


def _update(*states: str, **numbers: str) -> Arguments:
    arrays = dict.fromkeys(("parameters", "gradients", *states), "n")
    return Arguments({**arrays, **numbers}, ("parameters", *states), without_gaps=True)


def _normalisation(per: str, *means: str) -> tuple[Arguments, Arguments]:
    """There and back; mean and inv_std have an entry for each unit, "n", or for each sample, "m"."""
    there = {"A_prev": "m n", "gamma": "n", "beta": "n", "epsilon": FLOAT, "mean": per, "inv_std": per, "A": "m n"}
    back = {"dA": "m n", "A_prev": "m n", "gamma": "n", "mean": per, "inv_std": per}
    sums = {**dict.fromkeys(means, "2 m"), "dgamma": "n", "dbeta": "n", "dA_prev": "m n"}
    return (
        Arguments(there, ("mean", "inv_std", "A"), ("A_prev",)),
        Arguments({**back, **sums}, tuple(sums), ("dA", "A_prev")),
    )


def _pooling(dimensions: str, pooled: str, *numbers: str) -> tuple[Arguments, Arguments]:
    given = dict.fromkeys(numbers, COUNT)
    return (
        Arguments({"A_prev": dimensions, **given, "A": pooled}, ("A",), without_gaps=True),
        Arguments(
            {"dA": pooled, "A_prev": dimensions, "A": pooled, **given, "dA_prev": dimensions},
            ("dA_prev",),
            without_gaps=True,
        ),
    )


def _convolution(*names: str, written: tuple[str, ...]) -> Arguments:
    """Arrays by their names, and before those that are written how windows lie; h and w are extents of the input."""
    shapes = {
        **dict.fromkeys(("A_prev", "dA_prev"), "m h w k*groups"),
        **dict.fromkeys(("W", "dW"), "n u v k"),
        **dict.fromkeys(("b", "db"), "n"),
        **dict.fromkeys(
            ("Z", "dZ"),
            "m (h+2*pad_y-dilation_y*(u-1)-1)//stride_y+1 (w+2*pad_x-dilation_x*(v-1)-1)//stride_x+1 n",
        ),
    }
    strides, pads = dict.fromkeys(("stride_y", "stride_x"), COUNT), dict.fromkeys(("pad_y", "pad_x"), WHOLE)
    numbers = {**strides, **pads, **dict.fromkeys(("dilation_y", "dilation_x", "groups"), COUNT)}
    given = {name: shapes[name] for name in names if name not in written}
    return Arguments(
        {**given, **numbers, **{name: shapes[name] for name in written}},
        written,
        without_gaps=True,
        multiples={"n": "groups"},
    )


def _recurrent(gates: int, weight_gates: int, *states: str, **numbers: str) -> tuple[Arguments, Arguments]:
    """There and back, of a cell with `states` besides h; of a unit so many gates are kept, and in W as many rows."""
    rows, biases = ("n" if count <= 1 else f"{count}*n" for count in (weight_gates, gates))
    names = ("h", *states)
    given = {"X": "m t p", "W": f"{rows} p", "U": f"{rows} n"}
    first = {f"{name}0": "m n" for name in names}
    kept = dict.fromkeys(names, "m t n") | ({"gates": f"m t {gates}*n"} if gates else {})
    made = {f"d{name}": shape for name, shape in {**given, "b": biases, **first}.items()}
    made = {name: made[name] for name in ("dW", "dU", "db", "dX", *(f"d{name}0" for name in names))}
    above = {"dh": "m t n", **{f"d{name}": "m n" for name in states}}
    return (
        Arguments({**given, "b": biases, **first, **numbers, **kept}, tuple(kept), without_gaps=True),
        Arguments({**above, **given, **first, **kept, **numbers, **made}, tuple(made), without_gaps=True),
    )


_ADAM = dict.fromkeys(("learning_rate", "beta1", "beta2", "epsilon", "weight_decay"), FLOAT)
_BATCH_NORM, _BATCH_NORM_BACKWARD = _normalisation("n")
_LAYER_NORM, _LAYER_NORM_BACKWARD = _normalisation("m", "means")
_POOL_1D, _POOL_1D_BACKWARD = _pooling("m t c", "m (t-pool_size)//stride+1 c", "pool_size", "stride")
_POOL_2D, _POOL_2D_BACKWARD = _pooling(
    "m h w c",
    "m (h-pool_height)//stride_y+1 (w-pool_width)//stride_x+1 c",
    *("pool_height", "pool_width", "stride_y", "stride_x"),
)
_AVERAGE_POOL_2D_BACKWARD = Arguments(
    {name: shape for name, shape in _POOL_2D_BACKWARD.given.items() if name not in ("A_prev", "A")},
    ("dA_prev",),
    without_gaps=True,
)
_RECURRENT, _RECURRENT_BACKWARD = _recurrent(0, 1, relu=YES_OR_NO)
_LSTM, _LSTM_BACKWARD = _recurrent(4, 4, "c")
_GRU, _GRU_BACKWARD = _recurrent(4, 3)
_OF_A = ("linear", "sigmoid", "tanh", "relu", "hard_sigmoid")  # activations whose derivatives take A
_OF_Z = ("softplus", "silu", "gelu", "hard_silu")  # activations whose derivatives take Z

ARGUMENTS: dict[str, Arguments] = {
    "dense_forward": Arguments({"A_prev": "m p", "W": "n p", "b": "n", "Z": "m n"}, ("Z",)),
    "dense_backward": Arguments(
        {"dZ": "m n", "A_prev": "m p", "W": "n p", "dW": "n p", "db": "n", "dA_prev": "m p"}, ("dW", "db", "dA_prev")
    ),
    **{name: _element_wise("Z", "A") for name in (*_OF_A, *_OF_Z, "softmax")},
    **{f"{name}_backward": _element_wise("dA", "A", "dZ") for name in _OF_A},
    **{f"{name}_backward": _element_wise("dA", "Z", "dZ") for name in _OF_Z},
    "leaky_relu": _element_wise("Z", "slope", "A", slope=FLOAT),
    "leaky_relu_backward": _element_wise("dA", "A", "slope", "dZ", slope=FLOAT),
    "elu": _element_wise("Z", "alpha", "A", alpha=FLOAT),
    "elu_backward": _element_wise("dA", "Z", "alpha", "dZ", alpha=FLOAT),
    "squared_error": _loss("A"),
    "absolute_error": _loss("A"),
    "huber": _loss("A", delta=FLOAT),
    "quantile": _loss("A", q=FLOAT),
    "hinge": _loss("Z"),
    "log_loss": _loss("Z", in_place=False),
    "cross_entropy": _loss("Z", of_classes=True, in_place=False, smoothing=FLOAT),
    "batch_norm": _BATCH_NORM,
    "batch_norm_backward": _BATCH_NORM_BACKWARD,
    "layer_norm": _LAYER_NORM,
    "layer_norm_backward": _LAYER_NORM_BACKWARD,
    "dropout": Arguments({"A_prev": "m n", "rate": RATE, "key": KEY, "A": "m n"}, ("A",), ("A_prev",)),
    "average_pool2d": _POOL_2D,
    "average_pool2d_backward": _AVERAGE_POOL_2D_BACKWARD,
    "conv2d_forward": _convolution("A_prev", "W", "b", written=("Z",)),
    "conv2d_backward_data": _convolution("dZ", "W", written=("dA_prev",)),
    "conv2d_backward_weights": _convolution("dZ", "A_prev", written=("dW", "db")),
    "max_pool1d": _POOL_1D,
    "max_pool1d_backward": _POOL_1D_BACKWARD,
    "max_pool2d": _POOL_2D,
    "max_pool2d_backward": _POOL_2D_BACKWARD,
    "embedding": Arguments(
        {"indices": "m t", "W": "v n", "A": "m t n"}, ("A",), without_gaps=True, indices=("indices",)
    ),
    "embedding_backward": Arguments(
        {"dA": "m t n", "indices": "m t", "dW": "v n"}, ("dW",), without_gaps=True, indices=("indices",)
    ),
    "recurrent_forward": _RECURRENT,
    "recurrent_backward": _RECURRENT_BACKWARD,
    "lstm_forward": _LSTM,
    "lstm_backward": _LSTM_BACKWARD,
    "gru_forward": _GRU,
    "gru_backward": _GRU_BACKWARD,
    "sgd": _update(learning_rate=FLOAT),
    "sgd_momentum": _update("velocity", learning_rate=FLOAT, momentum=FLOAT, weight_decay=FLOAT, nesterov=YES_OR_NO),
    "rmsprop": _update(
        "velocity",
        "mean_square",
        **dict.fromkeys(("learning_rate", "decay", "momentum", "epsilon", "weight_decay"), FLOAT),
    ),
    "adam": _update("mean", "mean_square", step=COUNT, **_ADAM),
    "adamw": _update("mean", "mean_square", step=COUNT, **_ADAM),
}
