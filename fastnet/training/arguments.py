"""The arguments of `fit`, checked, and made into what training reads; the network stays as it is until all is right."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.arrays import as_numbers, names_of
from ..data.samples import as_rows, as_samples, is_converted_one_by_one
from ..data.targets import Task, as_targets, sample_weights
from ..execution.device import Batches
from ..execution.graph import Graph
from ..layers import Layer, Node, Shape
from ..layers.stack import nodes_of
from ..metrics import Metric
from .batches import Augment, Stream, stream_of_arrays
from .trainable import Trainable
from .validation import Validation


@dataclass
class Arrays:
    """Samples and targets of `fit`, checked."""

    given: Any
    rows: np.ndarray  # of `samples`; only the first one where they are taken `one_by_one`
    Y: np.ndarray
    weights: np.ndarray
    task: Task
    one_by_one: bool
    shape: Shape  # of the samples that the network is, or would be, built for
    names: tuple[str, ...] | None  # of the columns, where X is a data frame

    @property
    def samples(self) -> Any:
        """X, as `Executor.outputs` takes it."""
        return self.given if self.one_by_one else self.rows.reshape(len(self.rows), *self.shape)


def checked_arrays(
    network: Trainable, task: Task, X: Any, y: Any, sample_weight: Any, class_weight: Any, *, is_changed: bool = False
) -> Arrays:
    """X and y, checked and encoded for the network and a task of its kind; the network stays as it is."""
    one_by_one = is_changed or is_converted_one_by_one(X, network.dtype)
    given = as_numbers("X", X) if one_by_one else X
    if one_by_one and given.ndim < 2:
        as_rows(given, network.dtype)  # which says what is wrong
    known = network.feature_names
    rows, shape = as_samples(given[:1] if one_by_one else X, network.dtype, network.input_shape, names=known)
    y = as_targets(y, len(given))
    task = task.at_steps(network.steps_to_be(shape)).learn(y)
    Y = task.encode(y, network.dtype)
    weights = sample_weights(task, Y, sample_weight, class_weight, network.dtype)
    return Arrays(given, rows, Y, weights, task, one_by_one, network.shape_to_be(shape), names_of(X) or known)


def source_of(
    network: Trainable, found: Arrays, batch_size: int | None, shuffle: bool, augment: Augment | None
) -> Batches | Stream:
    """Where training takes its mini-batches from."""
    if found.one_by_one:
        size = len(found.given) if batch_size is None else batch_size
        return stream_of_arrays(network, found.given, found.Y, found.weights, size, shuffle, augment)
    return network.as_batches(found.rows, found.Y, batch_size, found.weights)


def validation_of(
    network: Trainable, data: Any, metrics: dict[str, Metric], samples: tuple[Any, np.ndarray] | None, task: Task,
    shape: Shape, names: tuple[str, ...] | None,
) -> Validation | None:  # fmt: skip
    """What is to be measured after each epoch: on validation data, or metrics on the training's own `samples`.

    Where there are neither, as of a stream, metrics are measured while training, on each mini-batch before its step.
    """
    if data is None:
        return Validation(None, samples, metrics) if metrics else None
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(f"validation_data is a {type(data).__name__} and no pair: give (X, y)")
    rows = as_rows(data[0], network.dtype, shape, names=names)
    Y = task.encode(as_targets(data[1], len(rows)), network.dtype)
    at_once = Graph.of(network.layers, shape, network.loss_and_setting).rows_at_once
    return Validation(network.as_batches(rows, Y, at_once), (rows.reshape(len(rows), *shape), Y), metrics)


def _needs_two_samples(node: Node) -> bool:
    """Whether it normalises by the mini-batch, and of that has one number a sample."""
    return node.layer.learns_statistics and math.prod(node.input_shape[:-1]) == 1


def check_batch_sizes(layers: Sequence[Layer], shape: Shape, m: int, batch_size: int | None) -> None:
    """Refuse mini-batches of one sample, of `shape`, where BatchNorm would learn from them; warn of a last one."""
    if not any(_needs_two_samples(node) for node in nodes_of(layers, shape)):
        return
    size = m if batch_size is None else min(batch_size, m)
    if size == 1:
        raise ValueError(
            ("batch_size=1" if m > 1 else "a single sample")
            + " gives BatchNorm no variance to learn from: train on mini-batches of 2 samples or more, use LayerNorm, "
            "or BatchNorm(trainable=False)"
        )
    if m % size == 1:
        warnings.warn(
            f"the last mini-batch of an epoch is a single sample ({m} in mini-batches of {size}), which has no "
            "variance: there BatchNorm uses the statistics that it remembers; another batch_size avoids that",
            stacklevel=6,  # the line that has called Network.fit
        )
