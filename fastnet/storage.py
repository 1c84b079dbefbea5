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

from .history import History
from .layers import BatchNorm, Dense, Dropout, Layer, LayerNorm, Rescale
from .losses import Loss
from .network import Network
from .state import TrainingState, Unfinished
from .targets import Classification

FORMAT_VERSION = 2
_LAYERS: dict[str, Any] = {layer.__name__: layer for layer in (Dense, BatchNorm, LayerNorm, Dropout, Rescale)}
_TRAINING = "training."  # begins the names of tensors that are no parameters


def save(network: Network, path: str | os.PathLike[str], *, training: bool = False) -> None:
    """Write `network` to `path`, whole or not at all, with what `training` needs to go on if that is asked for."""
    from safetensors.numpy import save as to_bytes

    labels = network.task.classes if isinstance(network.task, Classification) else None
    description = {
        "layers": [{"layer": type(layer).__name__, **dataclasses.asdict(layer)} for layer in network.layers],
        "loss": network.loss,
        "loss_setting": network.loss_and_setting.setting,
        "dtype": str(network.dtype),
        "seed": network.seed,
        "n_inputs": network.n_inputs,
        "labels": None if labels is None else {"dtype": labels.dtype.str, "values": labels.tolist()},
    }
    tensors = {name: np.ascontiguousarray(array) for name, array in network.parameters.items()}
    metadata = {"format": "fastnet", "version": str(FORMAT_VERSION), "network": json.dumps(description)}
    if training and network.training is not None:
        metadata["training"] = json.dumps(_describe(network.training, network))
        tensors |= {_TRAINING + name: array for name, array in _tensors(network.training).items()}
    data = to_bytes(tensors, metadata)
    with replacing(path) as file:
        file.write(data)


def load(path: str | os.PathLike[str], *, device: str = "cpu") -> Network:
    """The network that `Network.save` wrote to `path`, to be run on "cpu" or "cuda", wherever it was trained.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a fastnet model, is cut short, or was written by a newer version of fastnet; or for an unknown
        device.
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
            network = _network(json.loads(metadata["network"]), tensors)
            if "training" in metadata:
                _restore(network, json.loads(metadata["training"]), tensors)
            return network.to(device)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is a damaged fastnet model ({error!r}): save it again") from error
    raise ValueError(
        f"{path} has format version {version}, and this fastnet reads up to {FORMAT_VERSION}: upgrade fastnet"
    )


def _network(description: dict[str, Any], tensors: dict[str, np.ndarray]) -> Network:
    network = Network(
        [_layer(dict(settings)) for settings in description["layers"]],
        loss=Loss(description["loss"], description.get("loss_setting", 0.0)),
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
        assert isinstance(network.task, Classification)
        network.task = dataclasses.replace(network.task, classes=np.array(labels["values"], labels["dtype"]))
    return network


def _describe(training: TrainingState, network: Network) -> dict[str, Any]:
    unfinished = training.unfinished
    return {
        "optimizer": training.optimizer,
        "noise": training.noise,
        "steps": training.steps,
        "history": dict(training.history),
        "rng": network.rng.bit_generator.state,
        "unfinished": unfinished and {"rng": unfinished.rng_before, "step": unfinished.step},
    }


def _tensors(training: TrainingState) -> dict[str, np.ndarray]:
    """The arrays of a training. All are 1-D, and those that are empty are left out."""
    found = {f"state{i}": state for i, state in enumerate(training.states) if state.size}
    if training.unfinished is not None:
        found |= {"costs": training.unfinished.costs, "scores": training.unfinished.scores}
    return found


def _restore(network: Network, description: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    arrays = {name.removeprefix(_TRAINING): array for name, array in tensors.items() if name.startswith(_TRAINING)}
    empty = np.zeros(0, network.dtype)
    for name in {"state0", "state1", "best"} & set(arrays):
        if arrays[name].shape != network.buffer.shape:
            raise TypeError(f"{name} has shape {arrays[name].shape} and not {network.buffer.shape}")
    history = History()
    for name, values in description["history"].items():
        history.extend(name, values)
    unfinished = description["unfinished"]
    network.rng.bit_generator.state = description["rng"]
    network.training = TrainingState(
        description["optimizer"],
        (arrays.get("state0", empty), arrays.get("state1", empty)),
        description["noise"],
        description["steps"],
        history,
        unfinished and Unfinished(unfinished["rng"], unfinished["rng"], unfinished["step"], 10, arrays["costs"], arrays["scores"]),
    )


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
