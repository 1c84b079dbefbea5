"""Where training takes its mini-batches from: arrays, which the compiled program walks through by itself, or a stream.

A stream is an iterable of (X, y) or (X, y, sample_weight), one mini-batch each; or arrays whose mini-batches are made
one by one, because somebody wants to change them (augmentation) or because they are too large to be converted.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..checks import positive_integer
from ..data.arrays import names_of
from ..data.samples import as_rows, as_samples
from ..data.targets import Task, as_targets, sample_weights
from ..execution.device import Batches
from ..layers import Shape
from .state import TrainingState, Unfinished
from .trainable import Trainable

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass
class Stream:
    """Mini-batches one by one; `steps` an epoch where that is known.

    `epoch` begins one, or goes on in the middle of an unfinished one.
    """

    steps: int | None
    epoch: Callable[[Unfinished | None], Iterator[Batches]]
    m: int | None = None  # samples of all mini-batches, and of one, where they are of arrays
    batch_size: int | None = None


@dataclass
class Encoded:
    """A mini-batch of an iterable, checked and encoded, and the task with what its targets tell."""

    rows: np.ndarray
    Y: np.ndarray
    weights: np.ndarray
    task: Task
    shape: Shape  # of the samples that the network is, or would be, built for
    names: tuple[str, ...] | None  # of the columns, where they are known


def is_stream(X: Any, y: Any) -> bool:
    """Whether X is an iterable of mini-batches and no array."""
    return y is None and not hasattr(X, "__array__") and isinstance(X, Iterable)


def stream_of_arrays(
    network: Trainable, X: np.ndarray, Y: np.ndarray, weights: np.ndarray, batch_size: int, shuffle: bool,
    augment: Augment | None,
) -> Stream:  # fmt: skip
    """Mini-batches of arrays, converted, and changed by `augment(X, rng)`, one at a time."""
    m = len(X)

    def epoch(unfinished: Unfinished | None) -> Iterator[Batches]:
        order = network.rng.permutation(m) if shuffle else np.arange(m)
        first = 0
        if unfinished is not None:
            first = unfinished.step * batch_size
            network.rng.bit_generator.state = unfinished.rng
        for start in range(first, m, batch_size):
            chosen = order[start : start + batch_size]
            given = X[chosen]
            if augment is not None:
                changed = augment(given, network.rng)
                given = np.asarray(changed)
                if given.ndim == 0:
                    raise TypeError(
                        f"augment returned {changed!r}: return the samples, also where it changes them in place"
                    )
                if len(given) != len(chosen):
                    raise ValueError(
                        f"augment made {len(given)} samples of {len(chosen)}: return as many as were given"
                    )
            rows = as_rows(given, network.dtype, network.input_shape, names=network.feature_names)
            batch = network.as_batches(rows, Y[chosen], None, weights[chosen] if weights.size else weights)
            yield replace(batch, batch_size=batch_size)  # of the last one too: so it is computed as arrays' are

    return Stream(-(-m // batch_size), epoch, m, batch_size)


def stream_of_batches(
    network: Trainable,
    given: Iterable[Any],
    class_weight: Any,
    steps: int | None,
    training: TrainingState | None = None,
) -> tuple[Stream, Encoded]:
    """Mini-batches of an iterable: all of it each epoch, or the next `steps` of one that goes on and on.

    The first mini-batch comes along, so that it can be checked, and the network built for it. Nothing else changes.
    Where a `training` is resumed, the mini-batches that are done are left out, unless an iterator has left them behind
    by itself.
    """
    if steps is not None:
        steps = positive_integer("steps_per_epoch", steps)
    items = iter(given)
    first = next(items, _NOTHING)
    unfinished = None if training is None else training.unfinished
    if first is not _NOTHING:
        found = encoded(network, first, class_weight)
    elif (
        unfinished is not None and unfinished.seen and network.input_shape is not None
    ):  # an epoch of which nothing is left
        found = Encoded(
            np.zeros((0, network.require_parameters()), network.dtype),
            unfinished.seen["targets"],
            network.device.nothing,
            network.task,
            network.input_shape,
            network.feature_names,
        )
    else:
        raise ValueError("the iterable is empty: give at least one mini-batch (X, y)")
    begin = [] if first is _NOTHING else [first]
    is_iterator = items is given
    endless = itertools.chain(begin, items) if steps is not None else None
    to_leave_out = 0 if training is None else training.history.epochs * (steps or 0)  # of one that goes on and on
    begun = [itertools.chain(begin, items)]  # the first epoch, which has been looked into

    def epoch(unfinished: Unfinished | None) -> Iterator[Batches]:
        nonlocal to_leave_out
        count = done = 0 if unfinished is None else unfinished.step
        if endless is not None:
            rest: Iterator[Any] = endless
            done, to_leave_out = to_leave_out + done, 0
        else:
            rest = begun.pop() if begun else iter(given)
        # An iterator is where the interruption left it; anything else begins anew.
        if not is_iterator:
            rest = itertools.islice(rest, done, None)
        while count != steps:
            batch = next(rest, _NOTHING)
            if batch is _NOTHING:
                break
            found = encoded(network, batch, class_weight)
            yield network.as_batches(found.rows, found.Y, None, found.weights)
            count += 1
        if count == 0 or (steps is not None and count < steps):
            wanted = "another epoch" if steps is None else f"{steps} mini-batches"
            raise ValueError(
                f"the iterable ended after {count} mini-batches, when {wanted} was wanted: give one that can be "
                "started anew, such as a list or a DataLoader, or a generator without end together with steps_per_epoch"
            )

    length = len(given) if isinstance(given, Sized) else None
    return Stream(length if steps is None else steps, epoch), found


_NOTHING = object()


def encoded(network: Trainable, batch: Any, class_weight: Any) -> Encoded:
    """A mini-batch (X, y) or (X, y, sample_weight) of an iterable."""
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        raise TypeError("a mini-batch of the iterable is no pair: give (X, y), or (X, y, sample_weight)")
    X, y, *rest = batch
    rows, shape = as_samples(X, network.dtype, network.input_shape, names=network.feature_names)
    targets = as_targets(y, len(rows))
    task = network.task.at_steps(network.steps_to_be(shape)).learn(targets)
    Y = task.encode(targets, network.dtype)
    weights = sample_weights(task, Y, rest[0] if rest else None, class_weight, network.dtype, may_be_idle=True)
    return Encoded(rows, Y, weights, task, network.shape_to_be(shape), names_of(X) or network.feature_names)
