"""Losses by name: which output activations each of them fits, and which one an output layer means."""

from .checks import known

# The losses of classification are computed from logits, together with their output activation.
OUTPUTS = {
    "log_loss": ("sigmoid",),
    "cross_entropy": ("softmax",),
    "squared_error": ("linear", "sigmoid", "tanh", "relu", "leaky_relu"),
}


def loss_for(activation: str, name: str | None = None) -> str:
    """The loss `name`, or the one that an output layer of this activation means.

    Raises
    ------
    ValueError
        For an unknown loss, or one that does not fit the activation.
    """
    if name is None:
        return {"sigmoid": "log_loss", "softmax": "cross_entropy"}.get(activation, "squared_error")
    known("loss", name, OUTPUTS)
    if activation not in OUTPUTS[name]:
        raise ValueError(
            f"loss={name!r} does not fit an output layer of {activation!r}: "
            f"use {' or '.join(map(repr, OUTPUTS[name]))} there, or leave the loss out to have it chosen"
        )
    return name
