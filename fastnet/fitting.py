"""The arguments of `fit`, checked, and made into what training reads; the network stays as it is until all is right."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import as_numbers
from .batches import Augment, Stream, stream_of_arrays
from .devices import Batches
from .metrics import Metric
from .samples import as_rows
from .targets import Task, as_targets, sample_weights
from .training import Validation

if TYPE_CHECKING:
    from .network import Network

ROWS_AT_ONCE = 1024  # of a prediction: enough to use all cores, few enough for a small workspace


@dataclass
class Arrays:
    """Samples and targets of `fit`, checked."""

    given: Any
    rows: np.ndarray  # of `samples`; only the first one where they are taken `one_by_one`
    Y: np.ndarray
    weights: np.ndarray
    task: Task
    one_by_one: bool


def checked_arrays(
    network: "Network", X: Any, y: Any, sample_weight: Any, class_weight: Any, *, is_changed: bool = False,
    task: Task | None = None,
) -> Arrays:  # fmt: skip
    """X and y, checked and encoded; the network stays as it is."""
    is_large = isinstance(X, np.memmap) and X.dtype not in (np.dtype(np.uint8), network.dtype)
    one_by_one = is_changed or is_large
    given = as_numbers("X", X) if one_by_one else X
    rows = as_rows(given[:1] if one_by_one else X, network.dtype, network.n_inputs)
    y = as_targets(y, len(given))
    task = (task or network.task).learn(y)
    Y = task.encode(y, network.dtype)
    weights = sample_weights(task, Y, sample_weight, class_weight, network.dtype)
    return Arrays(given, rows, Y, weights, task, one_by_one)


def source_of(
    network: "Network", found: Arrays, batch_size: int | None, shuffle: bool, augment: Augment | None
) -> Batches | Stream:
    """Where training takes its mini-batches from; the network is built for them."""
    if network.n_inputs is None:
        network.build(found.rows.shape[1])
    network.task = found.task
    if found.one_by_one:
        size = len(found.given) if batch_size is None else batch_size
        return stream_of_arrays(network, found.given, found.Y, found.weights, size, shuffle, augment)
    return network.as_batches(found.rows, found.Y, batch_size, found.weights)


def validation_of(
    network: "Network",
    data: Any,
    metrics: dict[str, Metric],
    samples: tuple[np.ndarray, np.ndarray] | None,
    task: Task,
    n_inputs: int | None = None,
) -> Validation | None:
    """What is to be measured after each epoch: on validation data, or metrics on the training's own samples."""
    if data is None:
        return Validation(None, samples, metrics) if metrics and samples is not None else None
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError("validation_data is not a pair: give (X, y)")
    rows = as_rows(data[0], network.dtype, network.n_inputs or n_inputs)
    Y = task.encode(as_targets(data[1], len(rows)), network.dtype)
    return Validation(network.as_batches(rows, Y, ROWS_AT_ONCE), (rows, Y), metrics)
