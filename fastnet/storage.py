"""A network in one safetensors file: parameters as tensors, everything else as JSON in the file's metadata."""

import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .layers import Dense, Layer, Rescale
from .network import Network
from .targets import Classification

FORMAT_VERSION = 1
_LAYERS = {"Dense": Dense, "Rescale": Rescale}


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """Write `network` to `path`, whole or not at all."""
    from safetensors.numpy import save as to_bytes

    labels = network.task.classes if isinstance(network.task, Classification) else None
    description = {
        "layers": [{"layer": type(layer).__name__, **dataclasses.asdict(layer)} for layer in network.layers],
        "loss": network.loss,
        "dtype": str(network.dtype),
        "seed": network.seed,
        "n_inputs": network.n_inputs,
        "labels": None if labels is None else {"dtype": labels.dtype.str, "values": labels.tolist()},
    }
    metadata = {"format": "fastnet", "version": str(FORMAT_VERSION), "network": json.dumps(description)}
    data = to_bytes({name: np.ascontiguousarray(array) for name, array in network.parameters.items()}, metadata)
    with replacing(path) as file:
        file.write(data)


def load(path: str | os.PathLike[str]) -> Network:
    """The network that `Network.save` wrote to `path`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a fastnet model, is cut short, or was written by a newer version of fastnet.

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
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file: give the path of a model written by Network.save")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        raise ValueError(f"{path} is not a fastnet model, or is cut short ({error}): save it again") from error
    if metadata.get("format") != "fastnet":
        raise ValueError(f"{path} is a safetensors file but not a fastnet model: give one written by Network.save")
    try:
        version = int(metadata["version"])
        if version <= FORMAT_VERSION:
            return _network(json.loads(metadata["network"]), tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is a damaged fastnet model ({error!r}): save it again") from error
    raise ValueError(
        f"{path} has format version {version}, and this fastnet reads up to {FORMAT_VERSION}: upgrade fastnet"
    )


def _network(description: dict[str, Any], tensors: dict[str, np.ndarray]) -> Network:
    network = Network(
        [_layer(dict(settings)) for settings in description["layers"]],
        loss=description["loss"],
        seed=description["seed"],
        dtype=description["dtype"],
    )
    network.build(description["n_inputs"])
    for name, parameter in network.parameters.items():
        if tensors[name].shape != parameter.shape:
            raise TypeError(f"{name} has shape {tensors[name].shape} and not {parameter.shape}")
        parameter[...] = tensors[name]
    labels = description["labels"]
    if labels is not None:
        network.task = Classification(network.dense_layers[-1].units, np.array(labels["values"], labels["dtype"]))
    return network


def _layer(settings: dict[str, Any]) -> Layer:
    layer: Layer = _LAYERS[settings.pop("layer")](**settings)
    return layer


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Any]:
    """A binary file that takes the place of `path` once it is whole: a crash leaves the old one."""
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
