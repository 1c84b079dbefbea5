"""A network in one safetensors file: parameters as tensors, everything else as JSON in the file's metadata.

Numbers in that JSON may be NaN and Infinity, as Python writes them. A file is checked whole, by what its header says of
its tensors, before a network of its sizes is made; and what is saved goes through the same checks first, so that all
that was written can be loaded.
"""

import dataclasses
import json
import os
import re
from typing import Any

import numpy as np

from .checks import known, positive_integer, whole_number
from .devices import device_for
from .json_checks import fields, mapping, parsed, sequence
from .layers import BatchNorm, Dense, Dropout, Layer, LayerNorm, Rescale
from .layout import places
from .losses import with_setting
from .model_file import ModelFileError, Tensor, Tensors, reading, shortened, take, write
from .network import Network
from .saved_labels import labels_from_json, labels_to_json
from .saved_training import describe, restore
from .targets import Classification
from .writing import AnyPath

FORMAT_VERSION = 3
_LAYERS: dict[str, Any] = {layer.__name__: layer for layer in (Dense, BatchNorm, LayerNorm, Dropout, Rescale)}


def save(network: Network, path: AnyPath, *, training: bool = False) -> None:
    """Write `network` to `path`, whole or not at all, with what `training` needs to go on if that is asked for."""
    labels = network.task.classes if isinstance(network.task, Classification) else None
    description = {
        "layers": [{"layer": type(layer).__name__, **dataclasses.asdict(layer)} for layer in network.layers],
        "loss": network.loss,
        "loss_setting": network.loss_and_setting.setting,
        "dtype": str(network.dtype),
        "seed": network.seed,
        "n_inputs": network.n_inputs,
        "labels": None if labels is None else labels_to_json(labels),
    }
    arrays = dict(network.parameters)
    of_training = None
    if training and network.training is not None:
        of_training, more = describe(network.training, network)
        arrays |= more
    try:
        metadata = {"format": "fastnet", "version": str(FORMAT_VERSION), "network": json.dumps(description)}
        if of_training is not None:
            metadata["training"] = json.dumps(of_training)
        _Model(metadata, {name: Tensor.of(array) for name, array in arrays.items()})
    except (TypeError, ValueError) as error:
        raise ValueError(f"this network could not be loaded again, and was not saved: {error}") from error
    write(path, metadata, arrays)


def load(path: AnyPath, *, device: str = "cpu") -> Network:
    """The network that `Network.save` wrote to `path`, to be run on "cpu" or "cuda", wherever it was trained.

    Raises
    ------
    FileNotFoundError, OSError
        If there is no such file, or it cannot be read.
    ModelFileError
        A ValueError, if it is not a fastnet model, is damaged or cut short, or was written by a newer version of
        fastnet. Nothing is made of the sizes that a file claims before they were found to be those of its tensors.
    ValueError
        For an unknown device.
    RuntimeError
        For a device that cannot be used here.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastnet as fn
    >>> net = fn.Network([fn.Dense(1)]).build(3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "line.safetensors")
    ...     net.save(path)
    ...     again = fn.load(path)
    >>> (again.parameters["W1"] == net.parameters["W1"]).all()
    np.True_
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
            network = _Model(metadata, tensors).made()
        except (TypeError, ValueError) as error:
            raise ModelFileError(f"{given} is a damaged fastnet model ({shortened(error)}): save it again") from error
    return network.to(device)


class _Model:
    """What a file says, checked; ValueError or TypeError for what does not fit."""

    def __init__(self, metadata: dict[str, str], tensors: Tensors):
        tensors = dict(tensors)
        version = metadata.get("version", "")
        known("version", version, [str(number + 1) for number in range(FORMAT_VERSION)])
        if "network" not in metadata:
            raise ValueError("the description of the network is missing")
        description = parsed("network", metadata["network"])
        self.network, self.n_inputs = _network(description, int(version))
        slots = places(self.network.layers, self.n_inputs, self.network.dtype)
        self.parameters = {slot.name: take(tensors, slot.name, self.network.dtype, slot.shape) for slot in slots}
        self.training = None
        if "training" in metadata:
            of_training = parsed("training", metadata["training"])
            self.training = restore(of_training, int(version), tensors, self.network, slots[-1].end)
        if tensors:
            raise ValueError(f"the tensor {min(tensors)} belongs to nothing")

    def made(self) -> Network:
        """The network, with its parameters."""
        self.network._allocate(self.n_inputs)
        for name, parameter in self.network.parameters.items():
            parameter[...] = self.parameters[name].read()
        self.network.training = self.training
        if self.training is not None and self.training.last is not None:
            self.network.put_back_parameters = self.network.buffer.copy()  # so that changes of them are noticed
        return self.network


def _network(description: Any, version: int) -> tuple[Network, int]:
    """A network without parameters, and the number of its inputs."""
    names = ("layers", "loss", "loss_setting", "dtype", "seed", "n_inputs", "labels")
    given = fields("network", description, names, optional=("loss_setting",) if version == 1 else ())
    layers = [_layer(f"layers[{i}]", layer, version) for i, layer in enumerate(sequence("layers", given["layers"]))]
    network = Network(
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
    return network, positive_integer("n_inputs", given["n_inputs"])


def _layer(where: str, given: Any, version: int) -> Layer:
    name = mapping(where, given).get("layer", "")
    known(f"{where}.layer", name, _LAYERS)
    names = [field.name for field in dataclasses.fields(_LAYERS[name])]
    optional = names[1:] if version == 1 else ()  # there were fewer then
    settings = fields(where, given, ("layer", *names), optional)
    try:
        layer: Layer = _LAYERS[name](**{key: value for key, value in settings.items() if key != "layer"})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}.{error}") from error
    return layer
