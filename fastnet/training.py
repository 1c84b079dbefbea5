"""The training loop: epochs, mini-batches, progress, and what to do when training diverges or is interrupted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from fastnet_kernels import codes

from .batches import Stream
from .callbacks import Callback
from .checks import all_finite
from .devices import NO_ORDER, Batches, Updates
from .history import History
from .interrupts import Interrupts
from .optimizers import Optimizer
from .progress import progress_bar
from .state import TrainingState, Unfinished
from .targets import Task

if TYPE_CHECKING:
    from .network import Network

# One compiled call runs as many steps as take about this long, so that progress and Ctrl-C work.
_SECONDS_A_CALL = 0.05
_SECONDS_OF_A_STEP, _SECONDS_OF_A_WEIGHT = 1e-5, 6e-9  # the latter for each sample
_ROWS_A_CALL = 1_000_000  # most rows of shuffled order kept for one call


class DivergenceError(ArithmeticError):
    """The cost became NaN or infinite. The network keeps the parameters of the last finite epoch."""


@dataclass
class Trainer:
    """One call of `fit`: everything is checked and encoded, the network is built and has its training state."""

    network: "Network"
    state: TrainingState
    source: Batches | Stream
    validation: "Validation | None"
    epochs: int
    optimizer: Optimizer
    shuffle: bool = True
    callbacks: Sequence[Callback] = ()
    verbose: bool = True
    interrupts: Interrupts = field(default_factory=Interrupts)

    def __post_init__(self) -> None:
        self.settings, self.schedule = self.optimizer.settings(), self.optimizer.schedule
        # Until measured, more than it takes on any machine: small networks then need a single call.
        batch_size = 0 if isinstance(self.source, Stream) else self.source.batch_size
        self.seconds_a_step = _SECONDS_OF_A_STEP + _SECONDS_OF_A_WEIGHT * self.network.buffer.size * batch_size
        # Of the epochs that are being trained: parameters, and what the optimizer remembers.
        self.changing = [self.network.buffer, *self.state.states]
        self.before = [np.empty_like(array) for array in self.changing]

    @property
    def history(self) -> History:
        return self.state.history

    def run(self) -> History:
        self.network.prepare()
        if self.settings[codes.OPTIMIZER] != codes.PLAIN or self.network.has_penalty:
            self.network.device.prepare({codes.OPTIMIZERS})
        steps, done = self.source.steps, self.history.epochs
        total = None if steps is None else self.epochs * steps
        with self.interrupts.noted(), progress_bar(total, is_shown=self.verbose) as self.bar:
            self.bar.update(done * (steps or 0))
            self._tell("start")
            try:
                stops = False
                while self.history.epochs < self.epochs and not stops:
                    self._train()
                    stops = self._end_epochs()
            finally:
                self._tell("finish")
        return self.history

    def _tell(self, what: str) -> None:
        for callback in self.callbacks:
            function = getattr(callback, what, None)
            if function is not None:
                function(self.network, self.history)

    def _train(self) -> None:
        """Train one or more epochs and add them to the history."""
        for array, copy in zip(self.changing, self.before, strict=True):
            np.copyto(copy, array)
        if isinstance(self.source, Stream):
            self._train_stream(self.source)
        else:
            self._train_arrays(self.source)

    def _end_epochs(self) -> bool:
        """What comes after epochs; returns whether training is to stop."""
        number, history = self.history.epochs, self.history
        if self.validation is not None:
            for name, value in self.validation.measure(self.network).items():
                history.add(name, value)
        history.complete()
        stops = [bool(callback(number, history, self.network)) for callback in self.callbacks]
        self.bar.show(number, self.epochs, history)
        if self.interrupts.came:
            self._interrupt()
        return any(stops)

    def _interrupt(self) -> None:
        raise KeyboardInterrupt(
            f"training stopped in epoch {min(self.history.epochs + 1, self.epochs)}: the network keeps its parameters "
            "and history, and fit(..., resume=True) goes on from here"
        )

    def _updates(self, last: int, total: int | None, first: int = 0) -> Updates:
        """Of steps `first` to `last`, counted from the last whole epoch."""
        rates = np.empty(last)
        before = self.state.steps
        if last > first:
            rates[first:] = self.schedule.rates(before + first, before + last, total or 0, self.history)
            self.network.learning_rate = float(rates[-1])
        return Updates(self.settings, rates, self.state.states, before)

    # ---------------------------------------------------------------- arrays

    def _epochs_a_call(self, training: Batches) -> int:
        """How many whole epochs one compiled call runs: many tiny ones, or one that takes several calls."""
        if self.validation is not None or self.callbacks or self.state.unfinished is not None:
            return 1
        by_time = int(_SECONDS_A_CALL / (self.seconds_a_step * training.steps))
        return max(1, min(self.epochs - self.history.epochs, by_time, _ROWS_A_CALL // training.m))

    def _train_arrays(self, training: Batches) -> None:
        network, state = self.network, self.state
        epochs = self._epochs_a_call(training)
        last, first = epochs * training.steps, 0
        costs, scores = np.zeros((2, epochs, training.steps))
        if state.unfinished is not None:
            network.rng.bit_generator.state = state.unfinished.rng_state
            first, costs[0], scores[0] = state.unfinished.step, state.unfinished.costs, state.unfinished.scores
            state.unfinished = None
        rng_state = dict(network.rng.bit_generator.state)
        training.order = self._order(training, epochs)
        updates = self._updates(last, self.epochs * training.steps, first)
        start = time.perf_counter()
        reached, is_finite = self._run_steps(training, updates, first, last, costs, scores)
        seconds = time.perf_counter() - start
        if not is_finite or not all_finite(network.buffer):
            self._restore(training, updates, first, min(reached, last - 1))
        if reached < last:
            state.unfinished = Unfinished(rng_state, reached, costs[0], scores[0])
            self._interrupt()
        state.steps += last
        self._record(training, costs, scores, seconds / epochs)

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
            return self._run_calls(training, updates, step, last, costs, scores, is_repeated)

    def _run_calls(
        self, training: Batches, updates: Updates, step: int, last: int, costs: np.ndarray, scores: np.ndarray,
        is_repeated: bool,
    ) -> tuple[int, bool]:  # fmt: skip
        while step < last:
            if self.interrupts.came and not is_repeated and len(costs) == 1:
                break
            stop = min(last, step + max(1, int(_SECONDS_A_CALL / self.seconds_a_step)))
            start = time.perf_counter()
            reached = self.network.run(
                codes.TRAIN,
                training,
                step,
                stop,
                updates=updates,
                noise=self.state.noise,
                costs=costs.reshape(-1),
                scores=scores.reshape(-1),
                repeats=training.steps == 1,
            )
            self.seconds_a_step = max(1e-7, (time.perf_counter() - start) / (stop - step))
            if not is_repeated:
                self.bar.update(reached - step)
            step = reached
            if reached < stop:
                return step, False
        return step, True

    def _restore(self, training: Batches, updates: Updates, first: int, step: int) -> None:
        """Go back to the end of the last finite epoch and say what happened."""
        epoch, batch = divmod(step, training.steps)
        for last_finite in range(epoch, -1, -1):  # the cost was finite until here, the updates perhaps not
            self._go_back()
            costs, scores = np.zeros((2, max(1, last_finite), training.steps))
            last = last_finite * training.steps
            self._run_steps(training, updates, first, last, costs, scores, is_repeated=True)  # the same bits once more
            if all_finite(self.network.buffer):
                break
        self.state.steps += last
        self._record(training, costs[:last_finite], scores[:last_finite], 0.0)
        self._diverge(self.history.epochs + epoch - last_finite + 1, batch)

    def _go_back(self) -> None:
        for array, copy in zip(self.changing, self.before, strict=True):
            np.copyto(array, copy)

    def _diverge(self, epoch: int, step: int) -> None:
        rate, kept = self.network.learning_rate, self.history.epochs
        raise DivergenceError(
            f"the cost is no longer finite in epoch {epoch}, step {step + 1}: try a smaller learning rate "
            f"than {rate:g} (say {rate / 10:g}), or scale the inputs. The network keeps the parameters of "
            + (f"epoch {kept}" if kept else "before the training")
        )

    def _record(self, training: Batches, costs: np.ndarray, scores: np.ndarray, seconds: float) -> None:
        """Add epochs (n_epochs, n_steps) to the history; the last, shorter mini-batch weighs less."""
        task, history = self.network.task, self.history
        # Not by a matrix product, whose rounding depends on how many epochs one call has run, and so on the clock.
        history.extend("cost", ((costs * training.sizes).sum(axis=1) / training.m).tolist())
        history.extend(task.metric, task.score(scores.sum(axis=1), training.targets).tolist())
        history.extend("seconds", [seconds] * len(costs))

    # ---------------------------------------------------------------- streams

    def _train_stream(self, source: Stream) -> None:
        network, state, start = self.network, self.state, time.perf_counter()
        with network.device.holding(*self.changing):
            found, is_finite = self._run_batches(source)
        if not is_finite or not all_finite(network.buffer):
            self._go_back()
            self._diverge(self.history.epochs + 1, len(found) - 1)
        state.steps += len(found)
        sizes = np.array([len(targets) for _, _, targets in found])
        cost = float(np.array([cost for cost, _, _ in found]) @ sizes / sizes.sum())
        targets = np.concatenate([targets for _, _, targets in found])
        score = network.task.score(np.array([sum(score for _, score, _ in found)]), targets)
        self.history.extend("cost", [cost])
        self.history.extend(network.task.metric, [float(score[0])])
        self.history.extend("seconds", [time.perf_counter() - start])

    def _run_batches(self, source: Stream) -> tuple[list[tuple[float, float, np.ndarray]], bool]:
        """A step for each mini-batch: cost, score and targets of each, and whether all costs were finite."""
        network, state = self.network, self.state
        found: list[tuple[float, float, np.ndarray]] = []
        total = None if source.steps is None else self.epochs * source.steps
        for step, batch in enumerate(source.epoch()):
            if self.interrupts.came:
                state.steps += step
                self._interrupt()
            rates = self.schedule.rates(state.steps + step, state.steps + step + 1, total or 0, self.history)
            network.learning_rate = float(rates[0])
            updates = Updates(self.settings, rates, state.states, state.steps + step)
            costs, scores = np.zeros((2, 1))
            reached = network.run(
                codes.TRAIN, batch, 0, 1, updates=updates, noise=state.noise, costs=costs, scores=scores
            )
            found.append((costs[0], scores[0], batch.targets))
            if reached < 1:
                return found, False
            self.bar.update(1)
        return found, True


@dataclass
class Validation:
    """What is measured after every epoch, and on which samples."""

    batches: Batches | None  # validation data
    samples: tuple[np.ndarray, np.ndarray] | None  # rows and Y for the metrics
    metrics: dict[str, Any]

    def names(self, task: Task) -> list[str]:
        """What the history calls what is measured."""
        if self.batches is None:
            return list(self.metrics)
        return [f"validation_{name}" for name in ("cost", task.metric, *self.metrics)]

    def measure(self, network: "Network") -> dict[str, float]:
        """By the same names."""
        found = [] if self.batches is None else list(network.measure(self.batches).values())
        if self.metrics and self.samples is not None:
            found += network.metrics_of(*self.samples, self.metrics).values()
        return dict(zip(self.names(network.task), found, strict=True))
