"""The training loop: epochs, mini-batches, progress, and what to do when training diverges or is interrupted."""

import contextlib
import copy
import itertools
import reprlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from fastnet_kernels import codes

from ..callbacks import Callback, in_order, names_of, stops_training
from ..checks import all_finite
from ..execution.announcing import seconds_compiling
from ..execution.device import NO_ORDER, Batches, Updates
from ..optimizers import Optimizer
from ..schedules import checked_rates
from .batches import Stream
from .history import History
from .interrupts import Interrupts
from .progress import progress_bar
from .state import TrainingState, Unfinished
from .streamed_epoch import StreamedEpoch
from .trainable import Trainable
from .validation import Validation

# One compiled call runs as many steps as take about this long, so that progress and Ctrl-C work.
_SECONDS_A_CALL = 0.05
_SECONDS_OF_A_STEP, _SECONDS_OF_A_WEIGHT = 1e-5, 6e-9  # the latter for each sample
_ROWS_A_CALL = 1_000_000  # most rows of shuffled order kept for one call


class DivergenceError(ArithmeticError):
    """The cost became NaN or infinite. The network keeps the parameters of the last finite epoch."""


@dataclass
class Trainer:
    """One call of `fit`: everything is checked and encoded, the network is built and has its training state.

    An epoch is trained whole, or not at all: whatever goes wrong in the middle of one, network and state are then as
    they were before it. Only Ctrl-C, which waits for the steps that are running, leaves an `unfinished` one behind.
    """

    network: Trainable
    state: TrainingState
    source: Batches | Stream
    validation: Validation | None
    epochs: int
    optimizer: Optimizer
    shuffle: bool = True
    callbacks: Sequence[Callback] = ()
    verbose: bool = True
    is_one_step: bool = False  # which ends as an epoch, also after Ctrl-C
    interrupts: Interrupts = field(default_factory=Interrupts)

    def __post_init__(self) -> None:
        self.settings, self.schedule = self.optimizer.settings(), self.optimizer.schedule
        self.total_steps = None if self.source.steps is None else self.epochs * self.source.steps
        # Until measured, more than it takes on any machine: small networks then need a single call.
        batch_size = 0 if isinstance(self.source, Stream) else self.source.batch_size
        self.seconds_a_step = _SECONDS_OF_A_STEP + _SECONDS_OF_A_WEIGHT * self.network.buffer.size * batch_size
        # Of the epochs that are being trained: parameters, and what the optimizer remembers.
        self.changing = [self.network.buffer, *self.state.states]
        self.before = [np.empty_like(array) for array in self.changing]
        self.callbacks = in_order(self.callbacks)
        self.names = names_of(self.callbacks)
        self.started: list[Callback] = []

    @property
    def history(self) -> History:
        return self.state.history

    # ---------------------------------------------------------------- epochs

    def run(self) -> History:
        with self.interrupts.noted(), progress_bar(self.total_steps, is_shown=self.verbose) as self.bar:
            unfinished = self.state.unfinished
            self.bar.update(self.history.epochs * (self.source.steps or 0) + (unfinished.step if unfinished else 0))
            try:
                self._begin()
                stopped_by = self._stopped_before()
                has_trained = False
                while self.history.epochs < self.epochs and stopped_by is None:
                    has_trained = True
                    self._train()
                    stopped_by = self._end_epochs()
                self._tell("end")
                if stopped_by is not None:
                    self.bar.end(self._why(stopped_by))
                elif not has_trained:
                    self.bar.end(f"nothing to do: {self.epochs} epochs are trained, and epochs= counts them all")
            finally:
                self.history.complete()
                self._finish()
        if self.interrupts.came:
            raise KeyboardInterrupt(
                "training had come to its end, and the network has what it would have without Ctrl-C"
            )
        return self.history

    def _why(self, stopped_by: Callback) -> str:
        reason = getattr(stopped_by, "reason", "") or f"as {reprlib.repr(stopped_by)} asked for"
        return f"stopped after epoch {self.history.epochs} of {self.epochs}: {reason}"

    def _begin(self) -> None:
        for name, callback in zip(self.names, self.callbacks, strict=True):
            if hasattr(callback, "load_state_dict") and name in self.state.callbacks:
                callback.load_state_dict(copy.deepcopy(self.state.callbacks[name]))
        self._tell("start")

    def _stopped_before(self) -> Callback | None:
        """The callback that has stopped this training before it was resumed."""
        if not self.history.epochs or self.state.unfinished is not None:
            return None
        for callback in self.callbacks:
            stops = getattr(callback, "stops", None)
            if stops is not None and stops(self.history):
                return callback
        return None

    def _tell(self, what: str) -> None:
        for callback in self.callbacks:
            function = getattr(callback, what, None)
            if function is not None:
                function(self.network, self.history)
            if what == "start":
                self.started.append(callback)

    def _finish(self) -> None:
        """`finish` of every callback that has started, whatever the others raise."""
        with contextlib.ExitStack() as stack:
            for callback in reversed(self.started):
                function = getattr(callback, "finish", None)
                if function is not None:
                    stack.callback(function, self.network, self.history)

    def _end_epochs(self) -> Callback | None:
        """What comes after epochs; returns the callback that stops training, if one does."""
        number, history = self.history.epochs, self.history
        if self.validation is not None:
            for name, value in self.validation.measure(self.network).items():
                history.add(name, value)
        history.complete(history.measured)
        stopped_by = None
        for name, callback in zip(self.names, self.callbacks, strict=True):
            if stops_training(callback, callback(number, history, self.network)) and stopped_by is None:
                stopped_by = callback
            if hasattr(callback, "state_dict"):
                self.state.callbacks[name] = callback.state_dict()
        history.complete()
        self.bar.show(number, self.epochs, history)
        if self.interrupts.came and stopped_by is None and number < self.epochs:
            self._interrupt()
        return stopped_by

    def _train(self) -> None:
        """Train one or more epochs and add them to the history."""
        state, unfinished = self.state, self.state.unfinished
        epochs, steps = self.history.epochs, state.steps
        for array, before in zip(self.changing, self.before, strict=True):
            np.copyto(before, array)
        rng = self.network.rng.bit_generator
        found: Unfinished | DivergenceError | None
        rng_state = rng.state
        try:
            state.unfinished = None
            if unfinished is not None:
                rng.state = unfinished.rng_before
            if isinstance(self.source, Stream):
                found = self._train_stream(self.source, unfinished)
            else:
                found = self._train_arrays(self.source, unfinished)
        except BaseException:
            self._go_back()
            rng.state, state.steps, state.unfinished = rng_state, steps, unfinished
            self.history.keep(epochs)
            raise
        if isinstance(found, Unfinished):
            state.unfinished = found
            self._interrupt()
        if found is not None:
            raise found

    def _go_back(self) -> None:
        def copy_back() -> None:
            for array, before in zip(self.changing, self.before, strict=True):
                np.copyto(array, before)

        self.network.alone(copy_back)

    def _interrupt(self) -> NoReturn:
        raise KeyboardInterrupt(
            f"training stopped in epoch {min(self.history.epochs + 1, self.epochs)}: the network keeps its parameters, "
            "and net.history what was measured; fit(..., resume=True) goes on from here"
        )

    def _diverged(self, epoch: int, step: int) -> DivergenceError:
        rate, kept = self.network.learning_rate, self.history.epochs
        where = f"epoch {kept}" if kept else "before the training"
        if self.state.unfinished is not None:
            where = f"the middle of epoch {kept + 1}, where it was resumed"
        return DivergenceError(
            f"the cost is no longer finite in epoch {epoch}, step {step + 1}: try a smaller learning rate "
            f"than {rate:g} (say {rate / 10:g}), or scale the inputs. The network keeps the parameters of " + where
        )

    def _updates(self, last: int, first: int = 0) -> Updates:
        """Of steps `first` to `last`, counted from the last whole epoch."""
        rates, before = np.empty(last), self.state.steps
        if last > first:
            rates[first:] = checked_rates(self.schedule, before + first, before + last, self.total_steps, self.history)
            self.network.learning_rate = float(rates[-1])
        return Updates(self.settings, rates, self.state.states, before)

    # ---------------------------------------------------------------- arrays

    def _epochs_a_call(self, training: Batches, unfinished: Unfinished | None) -> int:
        """How many whole epochs one compiled call runs: many tiny ones, or one that takes several calls.

        How many depends on the clock, so nothing may be decided in between: neither by a callback nor by a schedule.
        """
        if self.validation or self.callbacks or unfinished is not None or self.schedule.follows_history:
            return 1
        by_time = int(_SECONDS_A_CALL / (self.seconds_a_step * training.steps))
        return max(1, min(self.epochs - self.history.epochs, by_time, _ROWS_A_CALL // training.m))

    def _train_arrays(self, training: Batches, unfinished: Unfinished | None) -> Unfinished | DivergenceError | None:
        network, state = self.network, self.state
        epochs = self._epochs_a_call(training, unfinished)
        last, first, seconds = epochs * training.steps, 0, 0.0
        costs, scores = np.zeros((2, epochs, training.steps))
        if unfinished is not None:
            first, seconds = unfinished.step, unfinished.seconds
            costs[0, :first], scores[0, :first] = unfinished.costs, unfinished.scores
        rng_before = network.rng.bit_generator.state
        training.order = self._order(training, epochs)
        updates = self._updates(last, first)
        clock = _clock()
        reached, is_finite = self._run_steps(training, updates, first, last, costs, scores)
        seconds += _clock() - clock
        if not is_finite or not all_finite(network.buffer):
            network.rng.bit_generator.state = rng_before
            return self._back_to_finite(training, updates, unfinished, min(reached, last - 1))
        if reached < last:
            rng, done = network.rng.bit_generator.state, slice(reached)
            return Unfinished(
                rng_before, rng, reached, training.steps, costs[0, done], scores[0, done], seconds, training.m,
                training.batch_size,
            )  # fmt: skip
        state.steps += last
        self._record(training, costs, scores, seconds / epochs)
        return None

    def _order(self, training: Batches, epochs: int) -> np.ndarray:
        """The rows in order of use; empty where they are used as they lie."""
        if not self.shuffle or training.steps == 1:
            return NO_ORDER
        return np.concatenate([self.network.rng.permutation(training.m) for _ in range(epochs)])

    def _run_steps(
        self, training: Batches, updates: Updates, step: int, last: int, costs: np.ndarray, scores: np.ndarray,
        *, is_repeated: bool = False,
    ) -> tuple[int, bool]:  # fmt: skip
        """Run steps in calls of about 50 ms; returns the one that comes next, and whether all costs were finite.

        Between calls a single epoch can be interrupted, unless it `is_repeated`.
        """
        with self.network.device.holding(*self.changing):
            for first, stop, is_idle in _runs(_idle_steps(training, len(costs)), step, last):
                step = first
                while step < stop:
                    if self.interrupts.came and not is_repeated and len(costs) == 1:
                        return step, True
                    end = min(stop, step + max(1, int(_SECONDS_A_CALL / self.seconds_a_step)))
                    clock = _clock()
                    reached = self._run(
                        training, updates, step, end, costs.reshape(-1), scores.reshape(-1), is_idle,
                        repeats=training.steps == 1,
                    )  # fmt: skip
                    self.seconds_a_step = max(1e-7, (_clock() - clock) / (end - step))
                    if not is_repeated:
                        self.bar.update(reached - step)
                    step = reached
                    if reached < end:
                        return step, False
        return step, True

    def _run(
        self, batches: Batches, updates: Updates, first: int, last: int, costs: np.ndarray, scores: np.ndarray,
        is_idle: bool, *, repeats: bool = False,
    ) -> int:  # fmt: skip
        """Steps of training; where all weights are 0 there is nothing to learn, and the parameters stay as they are."""
        network, found = self.network, dict[str, Any](costs=costs, scores=scores)
        if not is_idle:
            return network.run(
                codes.TRAIN,
                batches,
                first,
                last,
                updates=updates,
                dropout_seed=self.state.dropout_seed,
                repeats=repeats,
                **found,
            )
        reached = network.run(codes.EVALUATE, batches, first, last, **found)
        costs[first:reached] += network.penalty()
        return reached

    def _back_to_finite(
        self, training: Batches, updates: Updates, unfinished: Unfinished | None, step: int
    ) -> DivergenceError:
        """Go back to the end of the last finite epoch; what happened is returned."""
        epoch, batch = divmod(step, training.steps)
        for last_finite in range(epoch, -1, -1):  # the cost was finite until here, the updates perhaps not
            self._go_back()
            costs, scores = np.zeros((2, max(1, last_finite), training.steps))
            last = last_finite * training.steps
            self._run_steps(training, updates, 0, last, costs, scores, is_repeated=True)  # the same bits once more
            if all_finite(self.network.buffer):
                break
        if last_finite:
            self._order(training, last_finite)  # the random numbers too are those of the epochs that are kept
        else:
            self.state.unfinished = unfinished
        self.state.steps += last
        self._record(training, costs[:last_finite], scores[:last_finite], 0.0)
        return self._diverged(self.history.epochs + epoch - last_finite + 1, batch)

    def _record(self, training: Batches, costs: np.ndarray, scores: np.ndarray, seconds: float) -> None:
        """Add epochs (n_epochs, n_steps) to the history; the last, shorter mini-batch weighs less."""
        task, history = self.network.task, self.history
        # Not by a matrix product, whose rounding depends on how many epochs one call has run, and so on the clock.
        history.extend("cost", ((costs * training.sizes).sum(axis=1) / training.m).tolist())
        history.extend(task.metric, task.score(scores.sum(axis=1), training.targets).tolist())
        history.extend("seconds", [seconds] * len(costs))

    # ---------------------------------------------------------------- streams

    def _train_stream(self, source: Stream, unfinished: Unfinished | None) -> Unfinished | DivergenceError | None:
        network, state = self.network, self.state
        rng_before = network.rng.bit_generator.state
        epoch = StreamedEpoch(unfinished, metrics=self.validation is not None and self.validation.is_streamed)
        clock = _clock()
        with network.device.holding(*self.changing):
            is_whole, is_finite = self._run_batches(source.epoch(unfinished), epoch)
        epoch.seconds += _clock() - clock
        if not is_finite or not all_finite(network.buffer):
            self._go_back()
            network.rng.bit_generator.state, state.unfinished = rng_before, unfinished
            return self._diverged(self.history.epochs + 1, len(epoch.costs) - 1)
        if not is_whole:
            return epoch.unfinished(rng_before, network.rng.bit_generator.state, source)
        state.steps += len(epoch.costs)
        targets = np.concatenate(epoch.targets)
        self.history.extend("cost", [epoch.cost])
        self.history.extend(network.task.metric, network.task.score(np.array([sum(epoch.scores)]), targets).tolist())
        self.history.extend("seconds", [epoch.seconds])
        if self.validation is not None:
            self.validation.seen = (np.concatenate(epoch.outputs), targets) if epoch.metrics else None
        return None

    def _run_batches(self, batches: Iterator[Batches], epoch: StreamedEpoch) -> tuple[bool, bool]:
        """A step for each mini-batch; returns whether the epoch is whole, and whether all costs were finite."""
        network, state = self.network, self.state
        for batch in batches:
            step = state.steps + len(epoch.costs)
            rates = checked_rates(self.schedule, step, step + 1, self.total_steps, self.history)
            network.learning_rate = float(rates[0])
            costs, scores = np.zeros((2, 1))
            if epoch.metrics:
                epoch.outputs.append(network.outputs_of(batch))
            is_idle = batch.weights.size > 0 and not batch.weights.any()
            reached = self._run(batch, Updates(self.settings, rates, state.states, step), 0, 1, costs, scores, is_idle)
            epoch.add(batch, costs[0], scores[0])
            if reached < 1:
                return False, False
            self.bar.update(1)
            if self.interrupts.came and not self.is_one_step:
                return False, True
        return True, True


def _clock() -> float:
    """Seconds, while which no kernels are compiled or loaded."""
    return time.perf_counter() - seconds_compiling()


def _idle_steps(training: Batches, epochs: int) -> np.ndarray:
    """(epochs * steps,): whether all samples of a step have weight 0."""
    if training.weights.all():  # also where there are none
        return np.zeros(epochs * training.steps, bool)
    order = training.order[: epochs * training.m]  # there may be more, where epochs are repeated
    weights = training.weights[order] if order.size else np.tile(training.weights, epochs)
    starts = np.arange(0, training.m, training.batch_size)
    has_weight = np.logical_or.reduceat(weights.reshape(epochs, training.m) > 0, starts, axis=1)
    return ~has_weight.reshape(-1)


def _runs(flags: np.ndarray, first: int, last: int) -> Iterator[tuple[int, int, bool]]:
    """`first:last` in pieces of equal flags: where each begins, where it ends, and its flag."""
    bounds = [first, *(first + 1 + np.flatnonzero(np.diff(flags[first:last]))).tolist(), last]
    for start, stop in itertools.pairwise(bounds):
        if start < stop:
            yield start, stop, bool(flags[start])
