"""What other libraries call things that fastnet has under another name."""

_BATCHES = "BatchNorm(...), of features, signals and images alike"
_SETTING = "a setting of layers, as in Dense(64, 'relu') and BatchNorm('relu')"
_SHAPE = "not needed, as fit(X, y) finds the shape of samples, and build(shape) is told it"
_NAMES = {
    "Linear": "Dense(units)",
    "Sequential": "Network([...])",
    "Model": "Network([...])",
    "RNN": "Recurrent(units)",
    "SimpleRNN": "Recurrent(units)",
    "Bidirectional": "LSTM(units, bidirectional=True)",
    "TimeDistributed": "Dense(units), which works at each step of a sequence",
    "Input": _SHAPE,
    "InputLayer": _SHAPE,
    "Rescaling": "Rescale(scale)",
    "Unflatten": "Reshape(shape)",
    "BatchNormalization": _BATCHES,
    **{f"BatchNorm{axes}d": _BATCHES for axes in (1, 2)},
    "LayerNormalization": "LayerNorm(...)",
    **{f"{pool}ing{axes}D": f"{pool}{axes}D(...)" for pool in ("MaxPool", "AveragePool") for axes in (1, 2)},
    **{f"AvgPool{axes}d": f"AveragePool{axes}D(...)" for axes in (1, 2)},
    **{f"Global{pool}ing{axes}D": f"Global{pool}{axes}D()" for pool in ("MaxPool", "AveragePool") for axes in (1, 2)},
    **{f"AdaptiveAvgPool{axes}d": f"GlobalAveragePool{axes}D(), for windows as large as samples" for axes in (1, 2)},
    **{f"AdaptiveMaxPool{axes}d": f"GlobalMaxPool{axes}D(), for windows as large as samples" for axes in (1, 2)},
    **dict.fromkeys(("Activation", "ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softmax"), _SETTING),
}


def hint_for(name: str) -> str:
    """What to write instead of a name that fastnet does not have, as the end of a message; "" where nobody knows.

    Examples
    --------
    >>> hint_for("Linear")
    ': here it is Dense(units)'
    >>> hint_for("Conv2d")
    ': here it is Conv2D'
    >>> hint_for("something")
    ''
    """
    from . import __all__ as known

    alike = {each.lower(): each for each in known}.get(name.lower())
    found = _NAMES.get(name, alike)
    return f": here it is {found}" if found else ""
