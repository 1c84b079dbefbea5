"""Networks of PyTorch's modules, and modules of networks, with their weights.

PyTorch has channels before rows and columns. Units of an image are put in order where a dense layer takes them.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..checks import positive_integer
from ..layers import (
    GRU,
    LSTM,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    LayerNorm,
    MaxPool1D,
    MaxPool2D,
    Node,
    Recurrent,
    Rescale,
    Shape,
    Steps,
)
from ..layers.gates import Gates, joined_gates, split_gates
from ..layers.stack import masking_of, nodes_of, rescale_of
from ..network import Network
from .assembly import Assembly

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


def _arrays(**tensors: Any) -> dict[str, np.ndarray]:
    """Tensors as arrays, by the names of parameters here; without those that are None."""
    found = {}
    for name, tensor in tensors.items():
        if tensor is not None:
            if str(tensor.dtype) not in ("torch.float32", "torch.float64") or str(tensor.device) == "meta":
                raise ValueError(
                    f"it has parameters of {tensor.dtype} on {tensor.device}: call .float(), or .double(), first"
                )
            found[name] = tensor.detach().cpu().numpy()
    return found


class _Reader:
    """The layers so far; `shape` is that of a sample behind them, and None until a module tells."""

    def __init__(self, shape: Shape | None) -> None:
        self.assembly, self.shape, self.input_shape = Assembly(), shape, shape
        self.has_channels = True  # whether samples (h, w) here have an axis of channels there
        self.is_flat = False  # whether they have been flattened there

    def takes(self, n: int) -> None:
        """What comes next takes features (m, n)."""
        if self.shape is None:
            self.shape = self.input_shape = (n,)

    def require_first(self) -> None:
        if self.assembly.parts:
            raise ValueError("this is supported before all layers only")


def _settings(module: Any, **others: Any) -> dict[str, Any]:
    """Settings of a layer with parameters, which is frozen if all of them are."""
    given = [each for each in (module.weight, module.bias) if each is not None]
    is_frozen = bool(given) and not any(each.requires_grad for each in given)
    return others | ({"trainable": False} if is_frozen else {})


def _linear(reader: _Reader, module: Any) -> None:
    reader.takes(module.in_features)
    arrays, shape = _arrays(W=module.weight, b=module.bias), reader.shape
    assert shape is not None
    if isinstance(shape, Steps) and not reader.is_flat:
        reader.assembly.add(Dense, _settings(module, units=module.out_features), arrays)
        reader.shape = Steps((shape[0], module.out_features))
        return
    if len(shape) > 1 and not reader.is_flat:
        raise ValueError(f"it gets samples of shape {shape}: put Flatten before it")
    if (
        len(shape) > 1
        and reader.has_channels
        and not isinstance(shape, Steps)
        and module.in_features == math.prod(shape)
    ):
        arrays["W"] = _channels_last(arrays["W"], shape)
    reader.assembly.add(Dense, _settings(module, units=module.out_features), arrays)
    reader.shape = (module.out_features,)


def _batch_norm(reader: _Reader, module: Any) -> None:
    if module.running_mean is None or not module.momentum:
        raise ValueError("it remembers no statistics, or all of them alike: give it a momentum")
    reader.takes(module.num_features)
    arrays = _arrays(gamma=module.weight, beta=module.bias, mean=module.running_mean, variance=module.running_var)
    reader.assembly.add(BatchNorm, _settings(module, epsilon=module.eps, momentum=module.momentum), arrays)


def _layer_norm(reader: _Reader, module: Any) -> None:
    if len(module.normalized_shape) != 1:
        raise ValueError("it normalises images: features (m, n) are supported")
    reader.takes(module.normalized_shape[0])
    arrays = _arrays(gamma=module.weight, beta=module.bias)
    reader.assembly.add(LayerNorm, _settings(module, epsilon=module.eps), arrays)


def _dropout(reader: _Reader, module: Any) -> None:
    reader.assembly.add(Dropout, {"rate": module.p})


def _max_pool(reader: _Reader, module: Any) -> None:
    """Windows along one axis or two: each setting is a number, or one an axis."""
    kind: Any = MaxPool2D if type(module).__name__ == "MaxPool2d" else MaxPool1D
    settings: dict[str, Any] = {}
    for name, given in (("pool_size", module.kernel_size), ("stride", module.stride)):
        extents = tuple(given) if isinstance(given, Sequence) else (given,) * kind.axes
        settings[name] = extents[0] if len(set(extents)) == 1 else extents
    if settings["stride"] == settings["pool_size"]:
        del settings["stride"]
    gaps = [module.padding, module.dilation, module.ceil_mode, module.return_indices]
    if np.any(gaps[0]) or np.any(np.asarray(gaps[1]) != 1) or any(gaps[2:]):
        raise ValueError("padding, dilation, ceil_mode and return_indices are not supported")
    if reader.shape is None or reader.is_flat or len(reader.shape) != kind.axes + reader.has_channels:
        shape = "(h, w, c)" if kind.axes == 2 else "(t, c)"
        raise ValueError(f"fastnet has to know what shape samples have: give input_shape={shape}")
    reader.shape = kind(**settings).output_shape(reader.shape)
    reader.assembly.add(kind, settings)


def _embedding(reader: _Reader, module: Any) -> None:
    reader.require_first()
    if module.padding_idx is not None or module.max_norm is not None or module.scale_grad_by_freq:
        raise ValueError("padding_idx, max_norm and scale_grad_by_freq are not supported")
    if reader.shape is None or len(reader.shape) != 1:
        raise ValueError("fastnet has to know how many steps samples have: give input_shape=(t,)")
    settings = {"vocabulary": module.num_embeddings, "units": module.embedding_dim}
    if not module.weight.requires_grad:
        settings["trainable"] = False
    reader.assembly.add(Embedding, settings, _arrays(W=module.weight))
    reader.shape = Steps((reader.shape[0], module.embedding_dim))


def _recurrent(reader: _Reader, module: Any) -> None:
    """As many layers as it has, each of which gives the states of all steps; `_states` follows."""
    kind: Any = {"RNN": Recurrent, "LSTM": LSTM, "GRU": GRU}[type(module).__name__]
    if not module.batch_first or getattr(module, "proj_size", 0) > 0:
        raise ValueError("batch_first=True is supported, without proj_size")
    if reader.shape is None or len(reader.shape) != 2 or reader.is_flat:
        raise ValueError("fastnet has to know how many steps samples have: give input_shape=(t, n)")
    settings = {"units": module.hidden_size, "return_sequences": True, "bidirectional": module.bidirectional}
    if kind is Recurrent:
        settings["nonlinearity"] = module.nonlinearity
    given = list(module.parameters())
    if not any(each.requires_grad for each in given):
        settings["trainable"] = False
    for l in range(module.num_layers):
        if l and module.dropout:
            reader.assembly.add(Dropout, {"rate": module.dropout})
        directions = [_gates(module, f"_l{l}{direction}") for direction in ("", "_reverse")[: 1 + module.bidirectional]]
        reader.assembly.add(kind, dict(settings), joined_gates(kind, directions))
    reader.shape = Steps((reader.shape[0], (1 + module.bidirectional) * module.hidden_size))


def _gates(module: Any, place: str) -> Gates:
    """Parameters of one layer and direction, by the end of their names."""
    names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if module.bias else ()))
    found = list(_arrays(**{name: getattr(module, name + place) for name in names}).values())
    none = np.zeros(len(found[0]), found[0].dtype)
    return Gates(*(found + [none] * 2)[:4])


def _states(reader: _Reader, module: Any) -> None:
    last = reader.assembly.parts[-1] if reader.assembly.parts else None
    if last is None or last.kind not in (Recurrent, LSTM, GRU) or reader.shape is None:
        raise ValueError("it stands behind RNN, LSTM or GRU")
    last.settings["return_sequences"] = module.all_steps
    if not module.all_steps:
        reader.shape = reader.shape[1:]


def _flatten(reader: _Reader, module: Any) -> None:
    if module.start_dim != 1 or module.end_dim != -1:
        raise ValueError("Flatten(1, -1) is supported, which keeps samples apart")
    if isinstance(reader.shape, Steps):
        reader.assembly.add(Flatten, {})
        reader.shape = (math.prod(reader.shape),)
        return
    reader.is_flat = True


def _unflatten(reader: _Reader, module: Any) -> None:
    """Images (m, h, w) get their one channel."""
    reader.require_first()
    size = tuple(module.unflattened_size)
    if module.dim != 1 or reader.shape is None or len(reader.shape) != 2 or size != (1, reader.shape[0]):
        raise ValueError("Unflatten(1, (1, h)) is supported, with input_shape=(h, w)")
    reader.has_channels = False


def _rescale(reader: _Reader, module: Any) -> None:
    reader.require_first()
    reader.assembly.add(Rescale, {"scale": module.scale, "shift": module.shift})


_MODULES: dict[str, Callable[[_Reader, Any], None]] = {
    "Linear": _linear,
    "BatchNorm1d": _batch_norm,
    "LayerNorm": _layer_norm,
    "Dropout": _dropout,
    "MaxPool1d": _max_pool,
    "MaxPool2d": _max_pool,
    "Embedding": _embedding,
    "RNN": _recurrent,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "States": _states,
    "Flatten": _flatten,
    "Unflatten": _unflatten,
    "Rescale": _rescale,
}


def _channels_last(W: np.ndarray, shape: Shape) -> np.ndarray:
    """Columns for units (c, h, w) as columns for units of `shape`, (h, w, c)."""
    return np.moveaxis(W.reshape(len(W), shape[-1], *shape[:-1]), 1, -1).reshape(W.shape)


def _channels_first(W: np.ndarray, shape: Shape) -> np.ndarray:
    """Columns for units of `shape`, (h, w, c), as columns for units (c, h, w)."""
    return np.moveaxis(W.reshape(len(W), *shape), -1, 1).reshape(W.shape)


def _take(reader: _Reader, module: Any, output: str | None) -> str | None:
    """Read one module; returns the output that is still to be given to the last layer."""
    name = type(module).__name__
    known = type(module).__module__.startswith(("torch.nn.modules.", "fastnet.exchange."))
    if not known or module._forward_hooks or module._forward_pre_hooks:
        raise ValueError("it is none of torch.nn, or has hooks, which cannot be taken over")
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

    Linear, BatchNorm1d, LayerNorm, Dropout, MaxPool1d and MaxPool2d, and Flatten, also in Sequentials of their own, and
    the activations that fastnet has; Embedding, and RNN, LSTM and GRU with `batch_first`, before what `to_torch` puts
    behind them. Layers whose parameters need no gradient are frozen.

    Parameters
    ----------
    module : torch.nn.Sequential
    output : str, optional
        An activation of the last layer, "softmax" say, for a module that gives logits, or, with "softmax", LogSoftmax.
    input_shape : shape, optional
        Of the network's samples, (h, w, c) for a module that pools images (m, c, h, w), (t, c) for one of signals
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
    reader = _Reader(None if input_shape is None else _checked("input_shape", input_shape))
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


# ---------------------------------------------------------------- and back

_LAYERS: dict[type[Layer], Callable[[Any, Node], Any]] = {
    Dense: lambda nn, node: nn.Linear(_n_features(node), _of(node).units),
    BatchNorm: lambda nn, node: nn.BatchNorm1d(node.n_in, eps=_of(node).epsilon, momentum=_of(node).momentum),
    LayerNorm: lambda nn, node: nn.LayerNorm(node.n_in, eps=_of(node).epsilon),
    Dropout: lambda nn, node: nn.Dropout(_of(node).rate),
    Conv1D: lambda nn, node: _convolution("Conv1d")(nn, node),
    Conv2D: lambda nn, node: _convolution("Conv2d")(nn, node),
    Embedding: lambda nn, node: nn.Embedding(_of(node).vocabulary, _of(node).units),
    Recurrent: lambda nn, node: _module_of_sequences(nn.RNN, node, nonlinearity=_of(node).nonlinearity),
    LSTM: lambda nn, node: _module_of_sequences(nn.LSTM, node),
    GRU: lambda nn, node: _module_of_sequences(nn.GRU, node),
    MaxPool1D: lambda nn, node: nn.MaxPool1d(_of(node).window, _of(node).steps),
    MaxPool2D: lambda nn, node: nn.MaxPool2d(_of(node).window, _of(node).steps),
}
_TORCH_NAMES = {
    "W": "weight",
    "b": "bias",
    "gamma": "weight",
    "beta": "bias",
    "mean": "running_mean",
    "variance": "running_var",
}
_TORCH_ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sigmoid": lambda nn, layer: nn.Sigmoid(),
    "tanh": lambda nn, layer: nn.Tanh(),
    "relu": lambda nn, layer: nn.ReLU(),
    "leaky_relu": lambda nn, layer: nn.LeakyReLU(layer.slope),
    "elu": lambda nn, layer: nn.ELU(layer.alpha),
    "softplus": lambda nn, layer: nn.Softplus(),
    "silu": lambda nn, layer: nn.SiLU(),
    "gelu": lambda nn, layer: nn.GELU(),
    "hard_sigmoid": lambda nn, layer: nn.Hardsigmoid(),
    "hard_silu": lambda nn, layer: nn.Hardswish(),
    "softmax": lambda nn, layer: nn.Softmax(dim=-1),
}


def _of(node: Node) -> Any:
    return node.layer


def _n_features(node: Node) -> int:
    """Of a sample, or of a step of a sequence."""
    return node.input_shape[1] if isinstance(node.input_shape, Steps) else node.n_in


def _module_of_sequences(kind: Any, node: Node, **settings: Any) -> Any:
    settings |= {"batch_first": True, "bidirectional": _of(node).bidirectional}
    return kind(node.input_shape[1], _of(node).units, **settings)


def _convolution(kind: str) -> Callable[[Any, Node], Any]:
    def make(nn: Any, node: Node) -> Any:
        layer = _of(node)
        channels = node.input_shape[layer.axes] if len(node.input_shape) > layer.axes else 1
        return getattr(nn, kind)(
            channels, layer.filters, layer.window, stride=layer.steps, dilation=layer.gaps, groups=layer.groups
        )

    return make


def _zeros_around(nn: Any, node: Node) -> Any:
    """The padding before a convolution, which may be other ones before and behind."""
    around = [pad for pair in reversed(_of(node).around(node.input_shape)) for pad in pair]
    if not any(around):
        return nn.Identity()
    return nn.ConstantPad1d(around, 0.0) if _of(node).axes == 1 else nn.ZeroPad2d(around)


def _modules(torch: Any, states: Any, nodes: Sequence[Node], parameters: dict[str, np.ndarray]) -> Iterator[Any]:
    """Those of each layer, and what brings samples into shape between them; `states` makes what follows an LSTM."""
    shape = nodes[0].input_shape
    are_signals = any(getattr(node.layer, "axes", 0) == 1 for node in nodes)
    are_sequences = any(isinstance(node.layer, Recurrent | LSTM | GRU) for node in nodes)
    if are_sequences and any(hasattr(node.layer, "axes") for node in nodes):
        raise ValueError(
            "PyTorch has signals (m, c, t) for convolutions and pooling, and sequences (m, t, c) for recurrent layers: "
            "networks of both cannot be taken there"
        )
    if len(shape) == 2 and not are_signals and not are_sequences:
        yield torch.nn.Unflatten(1, (1, shape[0]))
    made = shape
    for node in nodes:
        # What a Flatten stands before, which is no node, is an image still.
        shape, made = made, node.output_shape
        module = _LAYERS[type(node.layer)](torch.nn, node)
        arrays = {
            each.name: parameters[f"{each.name}{node.number}"] for each in node.layer.parameters(node.input_shape)
        }
        is_flattened = len(node.input_shape) == 1 or type(node.layer) is Dense
        if len(shape) > 1 and is_flattened and not isinstance(node.input_shape, Steps):
            yield torch.nn.Flatten()
            has_channels = len(shape) == 3 or are_signals
            if has_channels and type(node.layer) is not Dense:
                raise ValueError(
                    f"{node.layer!r} takes the numbers of images in an order that PyTorch does not have: put it before "
                    "Flatten, or behind Dense"
                )
            if has_channels:
                arrays["W"] = _channels_first(arrays["W"], shape)
        if isinstance(node.layer, Conv1D | Conv2D):
            arrays["W"] = np.moveaxis(arrays["W"], -1, 1)
            yield _zeros_around(torch.nn, node)
        if isinstance(node.layer, Recurrent | LSTM | GRU):
            directions = split_gates(node.layer, arrays["W"], arrays["b"])
            arrays = {
                f"{name}_l0{direction}": part
                for direction, parts in zip(("", "_reverse"), directions, strict=False)
                for name, part in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), parts, strict=True)
            }
        for name, array in arrays.items():
            tensor = getattr(module, _TORCH_NAMES.get(name, name))
            tensor.data = torch.from_numpy(np.ascontiguousarray(array))
            if name not in ("mean", "variance"):
                tensor.requires_grad_(node.layer.is_trainable)
        yield module
        if isinstance(node.layer, Recurrent | LSTM | GRU):
            yield states(node.layer.return_sequences, node.layer.directions)
        if node.layer.activation_name != "linear":
            yield _TORCH_ACTIVATIONS[node.layer.activation_name](torch.nn, node.layer)


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
        Before it is built, and for a Flatten behind which no Dense follows.
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
    from .torch_modules import States

    network.require_parameters()
    with network.reading():
        parameters = {name: np.array(array) for name, array in network.parameters.items()}
        layers, shape = list(network.layers), network.input_shape
    assert shape is not None
    if masking_of(layers) is not None:
        raise ValueError("PyTorch has no module like Masking: the network cannot be taken there")
    rescale = rescale_of(layers)
    first = [RescaleModule(rescale.scale, rescale.shift)] if rescale in layers else []
    return torch.nn.Sequential(*first, *_modules(torch, States, nodes_of(layers, shape), parameters)).eval()
