"""Epochs of samples that lie in arrays, which the compiled program walks through by itself."""

import numpy as np

from ..checks import all_finite
from ..execution.device import NO_ORDER, Batches, Updates
from . import steps as timing
from .state import Unfinished
from .steps import DivergenceError, Steps, clock

_ROWS_A_CALL = 1_000_000  # most rows of shuffled order kept for one call


class ArrayEpochs:
    """Trains on all of some arrays, one or more epochs at a time: many tiny ones, or one that takes several calls."""

    def __init__(self, steps: Steps, source: Batches, epochs: int, *, shuffle: bool, one_by_one: bool) -> None:
        """`epochs` are to be trained in all; `one_by_one` if somebody wants to look in between."""
        self.steps, self.source, self.epochs, self.shuffle, self.one_by_one = steps, source, epochs, shuffle, one_by_one
        self.network, self.state = steps.network, steps.state

    def train_epochs(self, unfinished: Unfinished | None) -> Unfinished | DivergenceError | None:
        """Train some epochs and add them to the history, or go on with an unfinished one.

        Returns what is unfinished after Ctrl-C, or the error of a cost that is not finite, when the network is back
        where the last finite epoch has left it.
        """
        network, state, source = self.network, self.state, self.source
        epochs = 1 if unfinished is not None else self._epochs_a_call()
        last, first, seconds = epochs * source.steps, 0, 0.0
        costs, scores = np.zeros((2, epochs, source.steps))
        if unfinished is not None:
            first, seconds = unfinished.step, unfinished.seconds
            costs[0, :first], scores[0, :first] = unfinished.costs, unfinished.scores
        rng_before = network.rng.bit_generator.state
        source.order = self._order(epochs)
        updates = self.steps.updates(last, first)
        begun = clock()
        with network.device.holding(*self.steps.changing):
            reached, is_finite = self.steps.run_steps(
                source, updates, first, last, costs.reshape(-1), scores.reshape(-1), repeats=source.steps == 1,
                may_end=epochs == 1,
            )  # fmt: skip
        seconds += clock() - begun
        if not is_finite or not all_finite(network.buffer):
            network.rng.bit_generator.state = rng_before
            return self._back_to_finite(updates, unfinished, min(reached, last - 1))
        if reached < last:
            rng, done = network.rng.bit_generator.state, slice(reached)
            return Unfinished(
                rng_before, rng, reached, source.steps, costs[0, done], scores[0, done], seconds, source.m,
                source.batch_size,
            )  # fmt: skip
        state.steps += last
        self._record(costs, scores, seconds / epochs)
        return None

    def _epochs_a_call(self) -> int:
        """How many whole epochs one compiled call runs.

        How many depends on the clock, so nothing may be decided in between: neither by a callback nor by a schedule.
        """
        if self.one_by_one or self.steps.schedule.follows_history:
            return 1
        by_time = int(timing.SECONDS_A_CALL / (self.steps.seconds_a_step * self.source.steps))
        return max(1, min(self.epochs - self.state.history.epochs, by_time, _ROWS_A_CALL // self.source.m))

    def _order(self, epochs: int) -> np.ndarray:
        """The rows in order of use; empty where they are used as they lie."""
        if not self.shuffle or self.source.steps == 1:
            return NO_ORDER
        return np.concatenate([self.network.rng.permutation(self.source.m) for _ in range(epochs)])

    def _back_to_finite(self, updates: Updates, unfinished: Unfinished | None, step: int) -> DivergenceError:
        """Go back to the end of the last finite epoch; what happened is returned."""
        network, state, source = self.network, self.state, self.source
        epoch, batch = divmod(step, source.steps)
        for last_finite in range(epoch, -1, -1):  # the cost was finite until here, the updates perhaps not
            self.steps.go_back()
            costs, scores = np.zeros((2, max(1, last_finite), source.steps))
            last = last_finite * source.steps
            with network.device.holding(*self.steps.changing):  # the same bits once more
                self.steps.run_steps(
                    source, updates, 0, last, costs.reshape(-1), scores.reshape(-1), repeats=source.steps == 1,
                    is_shown=False,
                )  # fmt: skip
            if all_finite(network.buffer):
                break
        if last_finite:
            self._order(last_finite)  # the random numbers too are those of the epochs that are kept
        else:
            state.unfinished = unfinished
        state.steps += last
        self._record(costs[:last_finite], scores[:last_finite], 0.0)
        return self.steps.diverged(state.history.epochs + epoch - last_finite + 1, batch)

    def _record(self, costs: np.ndarray, scores: np.ndarray, seconds: float) -> None:
        """Add epochs (n_epochs, n_steps) to the history; the last, shorter mini-batch weighs less."""
        task, history, source = self.network.task, self.state.history, self.source
        # Not by a matrix product, whose rounding depends on how many epochs one call has run, and so on the clock.
        history.extend("cost", ((costs * source.sizes).sum(axis=1) / source.m).tolist())
        history.extend(task.metric, task.score(scores.sum(axis=1), source.targets).tolist())
        history.extend("seconds", [seconds] * len(costs))
