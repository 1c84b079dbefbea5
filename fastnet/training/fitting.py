"""What `Network.fit` and `Network.partial_fit` do: check all that they are given, and only then begin to train."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..callbacks import Callback, check_all, checked
from ..checks import flag, positive_integer
from ..data.targets import Task
from ..execution.device import Batches
from ..layers import Shape
from ..metrics import Metric, check_metrics, direction, named
from ..optimizers import Optimizer, as_optimizer
from ..schedules import checked_rates
from .arguments import check_batch_sizes, checked_arrays, source_of, validation_of
from .batches import Augment, Stream, is_stream, stream_of_batches
from .history import History
from .state import TrainingState
from .trainable import Trainable
from .trainer import Trainer
from .validation import Validation


def fit(
    network: Trainable,
    X: Any,
    y: Any,
    epochs: int,
    batch_size: int | None,
    optimizer: Optimizer,
    validation_data: Any,
    shuffle: bool,
    sample_weight: Any,
    class_weight: Any,
    augment: Augment | None,
    steps_per_epoch: int | None,
    metrics: Sequence[str | Metric],
    callbacks: Sequence[Callback],
    resume: bool,
    verbose: bool,
) -> History:
    """Train; see `Network.fit`."""
    epochs = positive_integer("epochs", epochs)
    if batch_size is not None:
        batch_size = positive_integer("batch_size", batch_size)
    for name, value in (("shuffle", shuffle), ("resume", resume), ("verbose", verbose)):
        flag(name, value)
    optimizer, callbacks = as_optimizer(optimizer), checked(callbacks)
    measured = named(metrics, network.task)

    def train() -> History:
        if resume:
            _check_training(network, optimizer)
        source: Batches | Stream
        if is_stream(X, y):
            if sample_weight is not None or augment is not None:
                raise ValueError(
                    "sample_weight and augment are for arrays: an iterable gives weights as (X, y, sample_weight), and "
                    "changes its own samples"
                )
            training = network.training if resume else None
            source, first = stream_of_batches(network, X, class_weight, steps_per_epoch, training)
            task, shape, samples, Y, names = first.task, first.shape, None, first.Y, first.names
            if training is None:  # in the middle one sample may come
                check_batch_sizes(network.layers, shape, len(Y), None)
        else:
            if steps_per_epoch is not None:
                raise ValueError(
                    f"steps_per_epoch={steps_per_epoch} is for an iterable of mini-batches: an epoch of arrays is all "
                    "of them"
                )
            found = checked_arrays(
                network, network.task, X, y, sample_weight, class_weight, is_changed=augment is not None
            )
            check_batch_sizes(network.layers, found.shape, len(found.Y), batch_size)
            task, shape, Y, names = found.task, found.shape, found.Y, found.names
            samples = found.samples, Y
            source = source_of(network, found, batch_size, shuffle, augment)
        validation = validation_of(network, validation_data, measured, samples, task, shape, names)
        _check_metrics(network, measured, task, validation, Y)
        if resume:
            _check_unfinished(network, source)
        history = _history_to_be(network, resume, task, validation, measured)
        _check_schedule(optimizer, source, epochs, history)
        check_all(callbacks, history)
        _begin(network, task, shape, names, source, validation, optimizer)
        if resume and network.training is not None:
            _take_up(network, network.training)
            network.training.history = history
        else:
            network.training = _new_training(network, optimizer, history)
        trainer = Trainer(
            network, network.training, source, validation, epochs, optimizer, shuffle=shuffle, callbacks=callbacks,
            verbose=verbose,
        )  # fmt: skip
        return trainer.train()

    return network.claim.during("fit", train)


def partial_fit(network: Trainable, X: Any, y: Any, optimizer: Optimizer, classes: Any, sample_weight: Any) -> None:
    """One step of training; see `Network.partial_fit`."""
    optimizer = as_optimizer(optimizer)

    def train() -> None:
        task = network.task if classes is None else network.task.with_classes(classes)
        found = checked_arrays(network, task, X, y, sample_weight, None)
        check_batch_sizes(network.layers, found.shape, len(found.Y), None)
        batches = source_of(network, found, None, False, None)
        stream = Stream(None, lambda _: _only(batches))
        training = network.training
        history = History(["cost", task.metric, "seconds"]) if training is None else training.history
        _check_schedule(optimizer, stream, 1, history)
        _begin(network, found.task, found.shape, found.names, batches, None, optimizer)
        if training is None or not training.fits(optimizer, network.buffer):
            training = network.training = _new_training(network, optimizer, History(["cost", task.metric, "seconds"]))
        if training.unfinished is not None:  # its steps have been made, and count
            training.steps, training.unfinished = training.steps + training.unfinished.step, None
        training.last = network.put_back_parameters = None
        epochs = training.history.epochs + 1
        Trainer(network, training, stream, None, epochs, optimizer, verbose=False, is_one_step=True).train()

    network.claim.during("partial_fit", train)


def _only(batches: Batches | Stream) -> Iterator[Batches]:
    assert isinstance(batches, Batches)
    yield batches


# ---------------------------------------------------------------- checks, which change nothing


def _check_training(network: Trainable, optimizer: Optimizer) -> None:
    """Whether there is a training that can go on with this optimizer."""
    training = network.training
    if training is None:
        raise ValueError("there is no training to resume: call fit without resume first, or load a checkpoint")
    if not training.fits(optimizer, network.buffer):
        raise ValueError(f"the training to resume was with {training.optimizer}: give the same optimizer again")


def _check_unfinished(network: Trainable, source: Batches | Stream) -> None:
    """Whether an epoch that was interrupted can go on with these samples."""
    unfinished = None if network.training is None else network.training.unfinished
    if unfinished is None:
        return
    sizes = (unfinished.m, unfinished.batch_size)  # None where an older file did not say
    if (
        source.steps != unfinished.steps
        or isinstance(source, Stream) != bool(unfinished.seen)
        or sizes not in ((None, None), (source.m, source.batch_size))
    ):
        epoch = "an epoch" if unfinished.steps is None else f"an epoch of {unfinished.steps} steps"
        raise ValueError(f"training was interrupted in {epoch}: resume it with the same samples and batch_size")


def _check_metrics(
    network: Trainable, metrics: dict[str, Metric], task: Task, validation: Validation | None, Y: np.ndarray
) -> None:
    """Whether the metrics give numbers: of the targets that they will be measured on, or, of a stream, of its first."""
    if validation is not None and validation.samples is not None:
        check_metrics(metrics, task, task.truth(validation.samples[1]), network.dtype)
    elif validation is not None:
        with contextlib.suppress(ValueError):  # one mini-batch may be too little for a metric
            check_metrics(metrics, task, task.truth(Y), network.dtype)


def _check_schedule(
    optimizer: Optimizer, source: Batches | Stream, epochs: int, history: Mapping[str, Sequence[float]]
) -> None:
    """Whether the learning rate can be known, and is one, as far as that can be seen before the first step."""
    schedule, steps = optimizer.schedule, source.steps
    if steps is None and schedule.needs_total:
        raise ValueError(
            f"learning_rate={schedule!r} needs to know how many steps there will be, and this source of mini-batches "
            "does not say: give the schedule steps=, or fit steps_per_epoch="
        )
    checked_rates(schedule, 0, 1, None if steps is None else epochs * steps, history)


def _history_to_be(
    network: Trainable, resume: bool, task: Task, validation: Validation | None, metrics: Mapping[str, Metric]
) -> History:
    """The history that training begins with: the one there is, or a new one, with the lists that it will fill."""
    names = [] if validation is None else validation.names(task)
    history = History(network.history if resume else ["cost", task.metric, *names, "seconds"])
    history.declare(names)
    history.measured = ["cost", task.metric, *names, "seconds"]
    history.directions = {name: way for name in metrics if (way := direction(name, metrics)) is not None}
    return history


# ---------------------------------------------------------------- the beginning


def _begin(
    network: Trainable, task: Task, shape: Shape, names: tuple[str, ...] | None, source: Batches | Stream,
    validation: Validation | None, optimizer: Optimizer,
) -> None:  # fmt: skip
    """The first change: a network without parameters gets them. It is undone if kernels cannot be loaded."""
    if not any(layer.is_trainable for layer in network.layers):
        raise ValueError("no layer is trainable: call unfreeze()")
    if network.input_shape is not None:
        network.require_finite_parameters()
    is_new, rng_state = network.input_shape is None, network.rng.bit_generator.state
    before = network.task, network.feature_names
    try:
        network.task = task
        if is_new:
            network.alone(lambda: network.draw_parameters(shape))
        network.feature_names = names
        network.prepare(optimizer.settings())
        if isinstance(source, Batches):
            network.prepare_for(source, repeats=source.steps == 1)
        if validation is not None and validation.batches is not None:
            network.prepare_for(validation.batches)
    except BaseException:
        network.task, network.feature_names = before
        if is_new:
            network.input_shape, network.rng.bit_generator.state = None, rng_state
        raise


def _take_up(network: Trainable, training: TrainingState) -> None:
    """Go back to the parameters after the last epoch, if a callback has put others in their place at the end."""
    last, put_back = training.last, network.put_back_parameters
    if last is not None and (put_back is None or np.array_equal(network.buffer, put_back)):
        network.alone(lambda: np.copyto(network.buffer, last))
    training.last = network.put_back_parameters = None


def _new_training(network: Trainable, optimizer: Optimizer, history: History) -> TrainingState:
    has_dropout = any(layer.is_random for layer in network.layers)
    dropout_seed = int(network.rng.integers(1 << 62)) if has_dropout else 0
    return TrainingState.new(optimizer, network.buffer, dropout_seed, history)
