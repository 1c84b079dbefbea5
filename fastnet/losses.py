"""Losses: what each of them is called, what it can be set to, and which output activations it fits."""

from dataclasses import dataclass

from .checks import known, real_number
from .layers import ACTIVATIONS

# The losses of classification are computed from logits, together with their output activation.
_OF_NUMBERS = tuple(name for name in ACTIVATIONS if name != "softmax")
OUTPUTS = {
    "log_loss": ("sigmoid",),
    "cross_entropy": ("softmax",),
    "hinge": ("linear",),
    "squared_error": _OF_NUMBERS,
    "absolute_error": _OF_NUMBERS,
    "huber": _OF_NUMBERS,
    "quantile": _OF_NUMBERS,
}
_DEFAULTS = {"huber": 1.0, "quantile": 0.5}


@dataclass(frozen=True)
class Loss:
    """A loss by name, with its one setting: huber's delta, quantile's q, or the label smoothing of classification."""

    name: str
    setting: float = 0.0

    @property
    def is_rare(self) -> bool:
        """Whether the compiled program has it in a component of its own."""
        return bool(self.setting) or self.name not in ("log_loss", "cross_entropy", "squared_error")


def huber(delta: float = 1.0) -> Loss:
    """Half the squared error up to an error of `delta` (above 0), and beyond it as steep as there.

    >>> import fastnet as fn
    >>> net = fn.Network([fn.Dense(1)], loss=fn.losses.huber(0.5))
    """
    return Loss("huber", real_number("delta", delta, above=0))


def quantile(q: float = 0.5) -> Loss:
    """The outputs become the `q` quantile of the targets, q between 0 and 1.

    >>> import fastnet as fn
    >>> net = fn.Network([fn.Dense(1)], loss=fn.losses.quantile(0.9))
    """
    q = real_number("q", q, above=0)
    if q >= 1:
        raise ValueError(f"q={q} is no quantile: give a share between 0 and 1")
    return Loss("quantile", q)


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Cross entropy with targets of 1 - s + s / k for a sample's class, of k, and s / k for the others.

    >>> import fastnet as fn
    >>> net = fn.Network([fn.Dense(10, "softmax")], loss=fn.losses.cross_entropy(label_smoothing=0.1))
    """
    return Loss("cross_entropy", _smoothing(label_smoothing))


def log_loss(label_smoothing: float = 0.0) -> Loss:
    """Log loss with targets of 1 - s / 2 and s / 2 in place of 1 and 0.

    >>> import fastnet as fn
    >>> net = fn.Network([fn.Dense(1, "sigmoid")], loss=fn.losses.log_loss(label_smoothing=0.1))
    """
    return Loss("log_loss", _smoothing(label_smoothing))


def _smoothing(value: float) -> float:
    value = real_number("label_smoothing", value, at_least=0)
    if value >= 1:
        raise ValueError(f"label_smoothing={value} leaves nothing of the labels: give a share below 1, such as 0.1")
    return value


def with_setting(name: str, setting: float) -> Loss:
    """The loss of that name with its one setting; ValueError or TypeError unless it can have it."""
    known("loss", name, OUTPUTS)
    makers = {"huber": huber, "quantile": quantile, "cross_entropy": cross_entropy, "log_loss": log_loss}
    if name in makers:
        return makers[name](setting)
    if real_number("loss_setting", setting) != 0:
        raise ValueError(f"loss_setting={setting} is for other losses: {name} has none, give 0")
    return Loss(name)


def loss_for(activation: str, given: str | Loss | None = None) -> Loss:
    """The loss that was given, by name or whole, or the one that an output layer of this activation means.

    Raises
    ------
    ValueError
        For an unknown loss, or one that does not fit the activation.
    TypeError
        For what is neither a name nor a `Loss`.
    """
    if given is None:
        return Loss({"sigmoid": "log_loss", "softmax": "cross_entropy"}.get(activation, "squared_error"))
    if not isinstance(given, str | Loss):
        raise TypeError(
            f"loss={given!r} is a {type(given).__name__}: give a name, such as 'huber', or a loss with its setting, "
            "such as fastnet.losses.huber(0.5)"
        )
    name = given.name if isinstance(given, Loss) else given
    known("loss", name, OUTPUTS)
    if activation not in OUTPUTS[name]:
        raise ValueError(
            f"loss={name!r} does not fit an output layer of {activation!r}: "
            f"use {' or '.join(map(repr, OUTPUTS[name]))} there, or leave the loss out to have it chosen"
        )
    return given if isinstance(given, Loss) else Loss(name, _DEFAULTS.get(name, 0.0))
