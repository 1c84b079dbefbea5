"""Networks of PyTorch's modules, and modules of networks, with their weights.

PyTorch has channels before rows and columns. Units of an image are put in order where a dense layer takes them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..checks import positive_integer
from ..layers import BatchNorm, Dense, Dropout, Flatten, LayerNorm, Rescale, Reshape, Shape, Steps
from ..layers.stack import masking_of, nodes_of, rescale_of
from ..network import Network
from .torch_reader import Reader, arrays_of, settings_of
from .torch_sequences import SEQUENCES
from .torch_windows import WINDOWS, WITH_PADDING
from .torch_writer import Writer

# By the names of `torch.nn`, since nobody should have to import it: the activation, and settings of the layer.
_ACTIVATIONS: dict[str, Any] = {
    "Identity": lambda module: {},
    "ReLU": lambda module: {"activation": "relu"},
    "Sigmoid": lambda module: {"activation": "sigmoid"},
    "Tanh": lambda module: {"activation": "tanh"},
    "LeakyReLU": lambda module: {"activation": "leaky_relu", "slope": module.negative_slope},
    "ELU": lambda module: {"activation": "elu", "alpha": module.alpha},
    "SiLU": lambda module: {"activation": "silu"},
    "GELU": lambda module: {"activation": "gelu"} if module.approximate == "none" else None,
    "Softplus": lambda module: {"activation": "softplus"} if module.beta == 1 and module.threshold >= 20 else None,
    "Hardsigmoid": lambda module: {"activation": "hard_sigmoid"},
    "Hardswish": lambda module: {"activation": "hard_silu"},
    "Softmax": lambda module: {"activation": "softmax"} if module.dim in (1, -1) else None,
}


def _linear(reader: Reader, module: Any) -> None:
    reader.takes(module.in_features)
    arrays, shape = arrays_of(W=module.weight, b=module.bias), reader.shape
    assert shape is not None
    if isinstance(shape, Steps) and not reader.is_flat:
        reader.assembly.add(Dense, settings_of(module, units=module.out_features), arrays)
        reader.shape = Steps((shape[0], module.out_features))
        return
    if reader.is_image:
        raise ValueError(f"it gets samples of shape {shape}: put Flatten before it")
    arrays["W"] = reader.features(arrays["W"])
    reader.assembly.add(Dense, settings_of(module, units=module.out_features), arrays)
    reader.shape, reader.image = (module.out_features,), ()


def _batch_norm(reader: Reader, module: Any) -> None:
    if module.running_mean is None or not module.momentum:
        raise ValueError("it remembers no statistics, or all of them alike: give it a momentum")
    reader.takes(module.num_features)
    arrays = arrays_of(gamma=module.weight, beta=module.bias, mean=module.running_mean, variance=module.running_var)
    if reader.is_image and not reader.has_channels:
        raise ValueError("it takes images with an axis of channels: give input_shape=(h, w, 1), and no Unflatten")
    arrays = arrays if reader.is_image else reader.for_features(arrays)
    reader.assembly.add(BatchNorm, settings_of(module, epsilon=module.eps, momentum=module.momentum), arrays)


def _layer_norm(reader: Reader, module: Any) -> None:
    if len(module.normalized_shape) != 1:
        raise ValueError("it normalises images: features (m, n) are supported")
    reader.takes(module.normalized_shape[0])
    is_of_channels = type(module).__name__ == "ChannelNorm"
    if reader.is_image and not is_of_channels:
        raise ValueError("it normalises rows of images, or each channel of a signal: put Flatten before it")
    arrays = arrays_of(gamma=module.weight, beta=module.bias)
    arrays = arrays if is_of_channels else reader.for_features(arrays)
    reader.assembly.add(LayerNorm, settings_of(module, epsilon=module.eps), arrays)


def _dropout(reader: Reader, module: Any) -> None:
    reader.assembly.add(Dropout, {"rate": module.p})


def _flatten(reader: Reader, module: Any) -> None:
    if module.start_dim != 1 or module.end_dim != -1:
        raise ValueError("Flatten(1, -1) is supported, which keeps samples apart")
    if isinstance(reader.shape, Steps):
        reader.assembly.add(Flatten, {})
        reader.shape = (math.prod(reader.shape),)
        return
    reader.is_flat = True


def _unflatten(reader: Reader, module: Any) -> None:
    """Images (m, h, w) get their one channel."""
    reader.require_first(behind=Rescale)
    size = tuple(module.unflattened_size)
    if module.dim != 1 or reader.shape is None or len(reader.shape) != 2 or size != (1, reader.shape[0]):
        raise ValueError("Unflatten(1, (1, h)) is supported, with input_shape=(h, w)")
    reader.has_channels = False


def _reshaped(reader: Reader, module: Any) -> None:
    """fastnet's own module, which has numbers in the same order as here."""
    if reader.is_flat and (reader.image or len(reader.shape or ()) > 1):
        raise ValueError("it takes numbers of images in PyTorch's order: Flatten cannot stand before it")
    if len(module.shape) == 1:
        reader.assembly.add(Flatten, {})
    else:
        reader.assembly.add(Reshape, {"shape": module.shape})
    reader.shape, reader.has_channels, reader.is_flat = module.shape, True, False


def _rescale(reader: Reader, module: Any) -> None:
    reader.require_first()
    reader.assembly.add(Rescale, {"scale": module.scale, "shift": module.shift})


_MODULES: dict[str, Callable[[Reader, Any], None]] = {
    "Linear": _linear,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "LayerNorm": _layer_norm,
    "ChannelNorm": _layer_norm,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Unflatten": _unflatten,
    "Reshaped": _reshaped,
    "Rescale": _rescale,
    **WINDOWS,
    **SEQUENCES,
}


def _take(reader: Reader, module: Any, output: str | None) -> str | None:
    """Read one module; returns the output that is still to be given to the last layer."""
    name = type(module).__name__
    known = type(module).__module__.startswith(("torch.nn.modules.", "fastnet.exchange."))
    if not known or module._forward_hooks or module._forward_pre_hooks:
        raise ValueError("it is none of torch.nn, or has hooks, which cannot be taken over")
    if reader.zeros and name not in WITH_PADDING:
        raise ValueError("zeros are put around samples before it: a convolution right behind them is supported")
    if name in _MODULES:
        _MODULES[name](reader, module)
        return output
    if name == "LogSoftmax" and module.dim in (1, -1):
        if output != "softmax":
            raise ValueError(
                "the logarithms of probabilities are no output here: give output='softmax' for probabilities"
            )
        reader.assembly.activate({"activation": "softmax"})
        return None
    settings = _ACTIVATIONS[name](module) if name in _ACTIVATIONS else None
    if settings is None:
        raise ValueError("fastnet has no layer like it")
    if settings:
        reader.assembly.activate(settings)
    return output


def from_torch(module: Any, *, output: str | None = None, input_shape: int | Sequence[int] | None = None) -> Network:
    """The network of a `torch.nn.Sequential`, with its weights, in their dtype.

    Linear, Conv1d and Conv2d, BatchNorm1d and BatchNorm2d, LayerNorm, Dropout, pooling and Flatten, Embedding, and RNN,
    LSTM and GRU with `batch_first`, also in Sequentials of their own, the activations that fastnet has, and what
    `to_torch` makes of all but `Residual`. Layers whose parameters need no gradient are frozen.

    Parameters
    ----------
    module : torch.nn.Sequential
    output : str, optional
        An activation of the last layer, "softmax" say, for a module that gives logits, or, with "softmax", LogSoftmax.
    input_shape : shape, optional
        Of the network's samples, (h, w, c) for a module that takes images (m, c, h, w), (t, c) for one of signals
        (m, c, t): units are put in order by it. Else it follows from the first layer.

    Raises
    ------
    TypeError
        For what is no Sequential.
    ValueError
        For a module that fastnet has no layer for, or in a place where it cannot stand; it names the module.

    Examples
    --------
    >>> import fastnet as fn
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> fn.from_torch(model, output="softmax")
    Network([Dense(8, activation='relu'), Dense(3, activation='softmax')], loss='cross_entropy', dtype='float32')
    """
    if type(module).__name__ != "Sequential":
        raise TypeError(f"{type(module).__name__} is no torch.nn.Sequential: give one, or its parts in one")
    reader = Reader(None if input_shape is None else _checked("input_shape", input_shape))
    for place, each in _parts(module):
        try:
            output = _take(reader, each, output)
        except ValueError as error:
            raise ValueError(f"module {place}, {each}: {error}") from None
    if reader.input_shape is None:
        raise ValueError("the module has no layers with parameters: give one that has")
    return reader.assembly.network(reader.input_shape, output)


def _checked(name: str, shape: int | Sequence[int]) -> Shape:
    if isinstance(shape, Sequence):
        return tuple(positive_integer(f"{name}[{i}]", extent) for i, extent in enumerate(shape))
    return (positive_integer(name, shape),)


def _parts(module: Any, before: str = "") -> list[tuple[str, Any]]:
    """The modules of a Sequential, and of those in it, by where they stand: "0", "1.2"."""
    found = []
    for name, each in module._modules.items():  # `named_children` leaves out what it has seen before
        is_nested = type(each).__name__ == "Sequential"
        found += _parts(each, f"{before}{name}.") if is_nested else [(f"{before}{name}", each)]
    return found


def to_torch(network: Network) -> Any:
    """The network as a `torch.nn.Sequential` on the CPU that predicts the same, in its dtype; `from_torch` reads it.

    Its `state_dict()` has copies of the parameters, and of what batch normalisations remember. It is in evaluation
    mode: call `train()` to go on training. It gives what `network.outputs` does, probabilities of softmax for one;
    PyTorch's CrossEntropyLoss wants logits, as of `module[:-1]`. Frozen layers need no gradients; penalties,
    initialisations, loss and labels stay behind. Where the network pools images (m, h, w, c) or signals (m, t, c), the
    module takes (m, c, h, w) and (m, c, t), as is usual there; images (m, h, w) are the same in both, and so are
    sequences (m, t, n) of recurrent layers.

    Raises
    ------
    TypeError
        For what is no network.
    ValueError
        Before it is built, and for images (m, h, w) that are normalised column by column.
    ModuleNotFoundError
        Without PyTorch.

    Examples
    --------
    >>> import torch
    >>> import fastnet as fn
    >>> net = fn.Network([fn.Dense(8, "relu"), fn.Dense(3, "softmax")]).build(4)
    >>> module = fn.to_torch(net)
    >>> list(module.state_dict())
    ['0.weight', '0.bias', '2.weight', '2.bias']
    >>> module(torch.zeros(1, 4)).shape
    torch.Size([1, 3])
    """
    if not isinstance(network, Network):
        raise TypeError(f"{type(network).__name__} is no fastnet.Network: give one")
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("to_torch needs PyTorch: pip install 'fastnet-numba[torch]'", name="torch") from error
    from .torch_modules import Rescale as RescaleModule

    network.require_parameters()
    with network.reading():
        parameters = {name: np.array(array) for name, array in network.parameters.items()}
        layers, shape = list(network.layers), network.input_shape
    assert shape is not None
    if masking_of(layers) is not None:
        raise ValueError("PyTorch has no module like Masking: the network cannot be taken there")
    rescale = rescale_of(layers)
    first = [RescaleModule(rescale.scale, rescale.shift)] if rescale in layers else []
    return torch.nn.Sequential(*first, *Writer(torch, nodes_of(layers, shape), parameters).modules(shape)).eval()
