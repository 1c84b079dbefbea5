"""What is measured and called after each epoch of an estimator, and the history that keeps it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..callbacks import Callback, check_all, checked, in_order, stops_training
from ..data.targets import Task
from ..metrics import check_metrics, direction, measured_numbers, named
from ..schedules import Schedule
from ..training.history import History
from .compiled import CompiledPerceptron, Epoch


def is_observed(estimator: Any, schedule: Schedule | None) -> bool:
    """Whether anybody looks at the network, or at the history, between two epochs."""
    return bool(estimator.callbacks or estimator.metrics or (schedule is not None and schedule.follows_history))


class Observers:
    """Metrics and callbacks of one training, and its history, which goes on from that of the training before.

    Where samples are held out for early stopping, metrics are measured there, and the cost and the usual metric, too.

    Raises
    ------
    ValueError, TypeError
        For metrics that do not fit, and for callbacks that wait for what nobody measures.
    """

    def __init__(
        self, estimator: Any, compiled: CompiledPerceptron, task: Task, is_needed: bool,
        samples: tuple[Any, np.ndarray], held_out: tuple[Any, np.ndarray, Any] | None, before: History | None,
    ) -> None:  # fmt: skip
        self.compiled, self.task, self.is_needed, self.samples, self.held_out = (
            compiled,
            task,
            is_needed,
            samples,
            held_out if is_needed else None,
        )
        self.metrics = named(estimator.metrics or [], task)
        self.callbacks = in_order(checked(estimator.callbacks or []))
        check_metrics(self.metrics, task, task.truth(samples[1]), compiled.dtype)
        prefix = "" if self.held_out is None else "validation_"
        names = [] if self.held_out is None else ["cost", task.metric]
        self.names = [prefix + name for name in (*names, *self.metrics)]
        measured = ["cost", task.metric, *self.names, "seconds"]
        if before is not None and before.measured == measured:  # which grows, and is long after many `partial_fit`
            self.history = before
        else:
            self.history = History(measured if before is None else before)
            self.history.declare(measured)
            self.history.measured = measured
        self.history.directions = {name: way for name in self.metrics if (way := direction(name, self.metrics))}
        check_all(self.callbacks, self.history)
        self._waiting: list[Epoch] = []

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """Around a training: the callbacks' `start` and `finish`."""
        network = self.compiled.network
        with contextlib.ExitStack() as stack:
            stack.callback(self._record)
            for callback in self.callbacks:
                if hasattr(callback, "start"):
                    callback.start(network, self.history)
                if hasattr(callback, "finish"):
                    stack.callback(callback.finish, network, self.history)
            yield

    def end(self) -> None:
        """Training has come to its end by itself."""
        for callback in self.callbacks:
            if hasattr(callback, "end"):
                callback.end(self.compiled.network, self.history)

    def epoch_ends(self, epoch: Epoch) -> Callback | None:
        """Measure, and call; returns the callback that stops training, if one does."""
        self._waiting.append(epoch)
        if not self.is_needed:
            return None
        self._record()
        history, network = self.history, self.compiled.network
        for name, value in zip(self.names, self._measured(), strict=True):
            history.add(name, value)
        history.complete(history.measured)
        stopped_by = None
        for callback in self.callbacks:
            if stops_training(callback, callback(history.epochs, history, network)) and stopped_by is None:
                stopped_by = callback
        history.complete()
        return stopped_by

    def _record(self) -> None:
        """Add the epochs that are over to the history: all at once, if nobody looks at it before."""
        if not self._waiting:
            return
        costs, scores, seconds = map(np.array, zip(*self._waiting, strict=True))
        self._waiting = []
        self.history.extend("cost", costs.tolist())
        self.history.extend(self.task.metric, self.task.score(scores, self.samples[1]).tolist())
        self.history.extend("seconds", seconds.tolist())
        if not self.is_needed:
            self.history.complete()

    def _measured(self) -> list[float]:
        found: list[float] = []
        X, Y = self.samples
        if self.held_out is not None:
            X, Y, weights = self.held_out
            cost, score = self.compiled.evaluated(X, Y, weights)
            found += [cost, float(self.task.score(np.asarray(score), Y))]
        if self.metrics:
            outputs = self.task.measurable(self.compiled.outputs(X))
            found += measured_numbers(self.metrics, self.task.truth(Y), outputs).values()
        return found
