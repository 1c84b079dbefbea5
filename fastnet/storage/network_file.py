"""A network in one safetensors file: parameters as tensors, everything else as JSON in the file's metadata.

Numbers in that JSON may be NaN and Infinity, as Python writes them. A file is checked whole, by what its header says of
its tensors, before a network of its sizes is made; and what is saved goes through the same checks first, so that all
that was written can be loaded.
"""

import dataclasses
import json
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import known, whole_number
from ..data.targets import Classification
from ..execution.devices import device_for
from ..execution.layout import slots_of
from ..layers import KINDS, Layer, Residual, Shape
from ..layers.stack import checked_shape, nodes_of, output_steps
from ..losses import with_setting
from ..training.trainable import Trainable
from .json_checks import fields, mapping, parsed, sequence
from .labels import labels_from_json, labels_to_json
from .model_file import ModelFileError, Tensor, Tensors, reading, shortened, take, write
from .training_state import describe, restore
from .writing import AnyPath

FORMAT_VERSION = 5  # of files with names of columns; others are of the version before, which older fastnets read
Make = Callable[..., Trainable]  # `fastnet.Network`, which imports this module
_LAYERS: dict[str, Any] = {kind.__name__: kind for kind in KINDS}


def save(
    network: Trainable, path: AnyPath, make: Make, *, training: bool = False, table: str | None = None
) -> None:  # fmt: skip
    """Write `network` to `path`, whole or not at all, with what `training` needs to go on if that is asked for.

    `table` is what is known of the columns that the inputs come from, as JSON.
    """
    labels = network.task.classes if isinstance(network.task, Classification) else None
    description = {
        "layers": [_described(layer) for layer in network.layers],
        "loss": network.loss,
        "loss_setting": network.loss_and_setting.setting,
        "dtype": str(network.dtype),
        "seed": network.seed,
        "input_shape": list(network.input_shape or ()),
        "labels": None if labels is None else labels_to_json(labels),
    }
    if network.feature_names is not None:
        description["feature_names"] = list(network.feature_names)
    arrays = dict(network.parameters)
    of_training = None
    if training and network.training is not None:
        of_training, more = describe(network.training, network)
        arrays |= more
    try:
        is_new = table is not None or network.feature_names is not None
        version = FORMAT_VERSION if is_new else FORMAT_VERSION - 1
        metadata = {"format": "fastnet", "version": str(version), "network": json.dumps(description)}
        if table is not None:
            metadata["table"] = table
        if of_training is not None:
            metadata["training"] = json.dumps(of_training)
        _Model(metadata, {name: Tensor.of(array) for name, array in arrays.items()}, make)
    except (TypeError, ValueError) as error:
        raise ValueError(f"this network could not be loaded again, and was not saved: {error}") from error
    write(path, metadata, arrays)


def read(path: AnyPath, device: str, make: Make) -> tuple[Trainable, str | None]:
    """The network in a file, made by `make`, to be run on `device`, and what the file says of a table.

    For what is raised see `fastnet.load`.
    """
    device_for(device, np.dtype(np.float32))  # before anything is read
    given = os.fsdecode(path)
    with reading(given) as (metadata, tensors):
        if metadata.get("format") != "fastnet":
            raise ModelFileError(
                f"{given} is a safetensors file but not a fastnet model: give one written by Network.save"
            )
        version = metadata.get("version", "")
        if re.fullmatch("[1-9][0-9]{0,8}", version) and int(version) > FORMAT_VERSION:
            raise ModelFileError(
                f"{given} has format version {version}, and this fastnet reads up to {FORMAT_VERSION}: upgrade fastnet"
            )
        try:
            network = _Model(metadata, tensors, make).made()
        except (TypeError, ValueError) as error:
            raise ModelFileError(f"{given} is a damaged fastnet model ({shortened(error)}): save it again") from error
    network.device = device_for(device, network.dtype)
    return network, metadata.get("table")


class _Model:
    """What a file says, checked; ValueError or TypeError for what does not fit."""

    def __init__(self, metadata: dict[str, str], tensors: Tensors, make: Make):
        tensors = dict(tensors)
        version = metadata.get("version", "")
        known("version", version, [str(number + 1) for number in range(FORMAT_VERSION)])
        if "network" not in metadata:
            raise ValueError("the description of the network is missing")
        description = parsed("network", metadata["network"])
        self.network, self.shape = _network(description, int(version), make)
        self.names = _feature_names(description, self.shape)
        slots = slots_of(nodes_of(self.network.layers, self.shape), self.network.dtype)
        self.parameters = {slot.name: take(tensors, slot.name, self.network.dtype, slot.shape) for slot in slots}
        self.training = None
        if "training" in metadata:
            of_training = parsed("training", metadata["training"])
            self.training = restore(of_training, int(version), tensors, self.network, slots[-1].end)
        if tensors:
            raise ValueError(f"the tensor {min(tensors)} belongs to nothing")

    def made(self) -> Trainable:
        """The network, with its parameters."""
        self.network.allocate_untrained(self.shape)
        self.network.feature_names = self.names
        for name, parameter in self.network.parameters.items():
            parameter[...] = self.parameters[name].read()
        self.network.training = self.training
        if self.training is not None and self.training.last is not None:
            self.network.put_back_parameters = self.network.buffer.copy()  # so that changes of them are noticed
        return self.network


def _network(description: Any, version: int, make: Make) -> tuple[Trainable, Shape]:
    """A network without parameters, and the shape of its samples."""
    inputs = "n_inputs" if version < 4 else "input_shape"
    names = ("layers", "loss", "loss_setting", "dtype", "seed", inputs, "labels")
    given = fields(
        "network",
        description,
        (*names, "feature_names"),
        ("feature_names", *(["loss_setting"] if version == 1 else [])),
    )
    layers = [_layer(f"layers[{i}]", layer, version) for i, layer in enumerate(sequence("layers", given["layers"]))]
    network = make(
        layers,
        loss=with_setting(given["loss"], given.get("loss_setting", 0.0)),
        seed=whole_number("seed", given["seed"]),
        dtype=given["dtype"],
    )
    if given["labels"] is not None:
        if not isinstance(network.task, Classification):
            raise ValueError("labels are given, and this network does not choose one of several classes")
        labels = labels_from_json("labels", given["labels"], network.task.n_classes)
        network.task = dataclasses.replace(network.task, classes=labels)
    shape = checked_shape(network.layers, given[inputs] if version < 4 else sequence(inputs, given[inputs]), inputs)
    network.task = network.task.at_steps(output_steps(network.layers, shape))
    return network, shape


def _feature_names(description: dict[str, Any], shape: Shape) -> tuple[str, ...] | None:
    """The names of the columns that the network was trained with, if there are any."""
    if "feature_names" not in description:
        return None
    names = sequence("network.feature_names", description["feature_names"])
    if not all(isinstance(name, str) for name in names) or (len(names),) != shape:
        raise ValueError(f"network.feature_names are no {shape} texts")
    return tuple(names)


def _described(layer: Layer) -> dict[str, Any]:
    """A layer's kind and settings; a block's layers the same way."""
    settings = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer)}
    if isinstance(layer, Residual):
        settings["layers"] = [_described(each) for each in layer.layers]
    return {"layer": type(layer).__name__, **settings}


def _layer(where: str, given: Any, version: int) -> Layer:
    name = mapping(where, given).get("layer", "")
    known(f"{where}.layer", name, _LAYERS)
    names = [field.name for field in dataclasses.fields(_LAYERS[name])]
    optional = names[1:] if version == 1 else ()  # there were fewer then
    settings = fields(where, given, ("layer", *names), optional)
    if _LAYERS[name] is Residual:
        inner = sequence(f"{where}.layers", settings["layers"])
        settings["layers"] = [_layer(f"{where}.layers[{i}]", each, version) for i, each in enumerate(inner)]
    try:
        layer: Layer = _LAYERS[name](**{key: value for key, value in settings.items() if key != "layer"})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}.{error}") from error
    return layer
