"""Where training takes its mini-batches from: arrays, which the compiled program walks through by itself, or a stream.

A stream is an iterable of (X, y) or (X, y, sample_weight), one mini-batch each; or arrays whose mini-batches are made
one by one, because somebody wants to change them (augmentation) or because they are too large to be converted.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import positive_integer
from .devices import Batches
from .samples import as_rows
from .targets import as_targets, sample_weights

if TYPE_CHECKING:
    from .network import Network

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass
class Stream:
    """Mini-batches one by one; `steps` an epoch where that is known."""

    steps: int | None
    epoch: Callable[[], Iterator[Batches]]


def is_stream(X: Any, y: Any) -> bool:
    """Whether X is an iterable of mini-batches and no array."""
    return y is None and not hasattr(X, "__array__") and isinstance(X, Iterable)


def stream_of_arrays(
    network: "Network", X: np.ndarray, Y: np.ndarray, weights: np.ndarray, batch_size: int, shuffle: bool,
    augment: Augment | None,
) -> Stream:  # fmt: skip
    """Mini-batches of arrays, converted, and changed by `augment(X, rng)`, one at a time."""
    m = len(X)

    def epoch() -> Iterator[Batches]:
        order = network.rng.permutation(m) if shuffle else np.arange(m)
        for start in range(0, m, batch_size):
            chosen = order[start : start + batch_size]
            given = X[chosen]
            if augment is not None:
                given = np.asarray(augment(given, network.rng))
                if len(given) != len(chosen):
                    raise ValueError(
                        f"augment made {len(given)} samples of {len(chosen)}: return as many as were given"
                    )
            rows = as_rows(given, network.dtype, network.n_inputs)
            batch = network.as_batches(rows, Y[chosen], None, weights[chosen] if weights.size else weights)
            yield replace(batch, batch_size=batch_size)  # of the last one too: so it is computed as arrays' are

    return Stream(-(-m // batch_size), epoch)


def stream_of_batches(network: "Network", given: Iterable[Any], class_weight: Any, steps: int | None) -> Stream:
    """Mini-batches of an iterable: all of it each epoch, or the next `steps` of one that goes on and on."""
    if steps is not None:
        steps = positive_integer("steps_per_epoch", steps)
    endless = iter(given) if steps is not None else None

    def epoch() -> Iterator[Batches]:
        count = 0
        for batch in endless if endless is not None else given:
            yield _encoded(network, batch, class_weight)
            count += 1
            if count == steps:
                return
        if count == 0 or steps is not None:
            wanted = "another epoch" if steps is None else f"{steps} mini-batches"
            raise ValueError(
                f"the iterable ended after {count} mini-batches, when {wanted} was wanted: give one that can be "
                "started anew, such as a list or a DataLoader, or a generator without end together with steps_per_epoch"
            )

    length = len(given) if isinstance(given, Sized) else None
    if length == 0:
        raise ValueError("the iterable is empty: give at least one mini-batch (X, y)")
    return Stream(length if steps is None else steps, epoch)


def _encoded(network: "Network", batch: Any, class_weight: Any) -> Batches:
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        raise TypeError("a mini-batch of the iterable is no pair: give (X, y), or (X, y, sample_weight)")
    X, y, *rest = batch
    rows = as_rows(X, network.dtype, network.n_inputs)
    targets = as_targets(y, len(rows))
    if network.n_inputs is None:
        network.build(rows.shape[1])
    network.task = network.task.learn(targets)
    Y = network.task.encode(targets, network.dtype)
    weights = sample_weights(network.task, Y, rest[0] if rest else None, class_weight, network.dtype)
    return network.as_batches(rows, Y, None, weights)


def with_first_batch(stream: Stream) -> Stream:
    """The same stream, whose first mini-batch has been read, so that the network is built."""
    batches = stream.epoch()
    first = next(batches, None)
    if first is None:
        raise ValueError("the iterable is empty: give at least one mini-batch (X, y)")
    begun = [itertools.chain([first], batches)]
    return Stream(stream.steps, lambda: begun.pop() if begun else stream.epoch())
