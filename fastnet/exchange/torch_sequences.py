"""Embeddings and recurrent layers of PyTorch, both ways."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..layers import GRU, LSTM, Dropout, Embedding, Layer, Node, Recurrent, Steps
from ..layers.gates import Gates, joined_gates, split_gates
from .torch_reader import Reader, arrays_of


def _embedding(reader: Reader, module: Any) -> None:
    reader.require_first()
    if module.padding_idx is not None or module.max_norm is not None or module.scale_grad_by_freq:
        raise ValueError("padding_idx, max_norm and scale_grad_by_freq are not supported")
    if reader.shape is None or len(reader.shape) != 1:
        raise ValueError("fastnet has to know how many steps samples have: give input_shape=(t,)")
    settings = {"vocabulary": module.num_embeddings, "units": module.embedding_dim}
    if not module.weight.requires_grad:
        settings["trainable"] = False
    reader.assembly.add(Embedding, settings, arrays_of(W=module.weight))
    reader.shape = Steps((reader.shape[0], module.embedding_dim))


def _recurrent(reader: Reader, module: Any) -> None:
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
    found = list(arrays_of(**{name: getattr(module, name + place) for name in names}).values())
    none = np.zeros(len(found[0]), found[0].dtype)
    return Gates(*(found + [none] * 2)[:4])


def _states(reader: Reader, module: Any) -> None:
    last = reader.assembly.parts[-1] if reader.assembly.parts else None
    if last is None or last.kind not in (Recurrent, LSTM, GRU) or reader.shape is None:
        raise ValueError("it stands behind RNN, LSTM or GRU")
    last.settings["return_sequences"] = module.all_steps
    if not module.all_steps:
        reader.shape = reader.shape[1:]


SEQUENCES: dict[str, Callable[[Reader, Any], None]] = {
    "Embedding": _embedding,
    "RNN": _recurrent,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "States": _states,
}


def sequence_module(nn: Any, node: Node) -> Any:
    """The module of a node that is an Embedding or recurrent."""
    layer: Any = node.layer
    if isinstance(layer, Embedding):
        return nn.Embedding(layer.vocabulary, layer.units)
    kind = {Recurrent: nn.RNN, LSTM: nn.LSTM, GRU: nn.GRU}[type(layer)]
    settings = {"nonlinearity": layer.nonlinearity} if isinstance(layer, Recurrent) else {}
    return kind(node.input_shape[1], layer.units, batch_first=True, bidirectional=layer.bidirectional, **settings)


def gates_of(layer: Layer, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """W and b of a recurrent layer as parameters of its module, by their names there."""
    directions = split_gates(layer, arrays["W"], arrays["b"])
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return {
        f"{name}_l0{direction}": part
        for direction, parts in zip(("", "_reverse"), directions, strict=False)
        for name, part in zip(names, parts, strict=True)
    }
