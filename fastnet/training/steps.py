"""Steps of training, run in calls of about 50 ms, so that progress and Ctrl-C work; and going back to before them."""

import itertools
import time
from collections.abc import Iterator

import numpy as np
from fastnet_kernels import codes

from ..execution.announcing import seconds_compiling
from ..execution.device import Batches, Updates
from ..optimizers import Optimizer
from ..schedules import checked_rates
from .interrupts import Interrupts
from .progress import Bar, NoBar
from .state import TrainingState
from .trainable import Trainable

SECONDS_A_CALL = 0.05
_SECONDS_OF_A_STEP, _SECONDS_OF_A_WEIGHT = 1e-5, 6e-9  # the latter for each sample


class DivergenceError(ArithmeticError):
    """The cost became NaN or infinite. The network keeps the parameters of the last finite epoch."""


class Steps:
    """Runs a network's steps of training with an optimizer, and knows about how long one takes."""

    def __init__(
        self, network: Trainable, state: TrainingState, optimizer: Optimizer, total: int | None, batch_size: int,
        interrupts: Interrupts,
    ) -> None:  # fmt: skip
        """`total` steps are what the schedule counts on, if that is known."""
        self.network, self.state, self.total, self.interrupts = network, state, total, interrupts
        self.settings, self.schedule = optimizer.settings(), optimizer.schedule
        self.bar: Bar = NoBar()
        # Until measured, more than it takes on any machine: small networks then need a single call.
        self.seconds_a_step = _SECONDS_OF_A_STEP + _SECONDS_OF_A_WEIGHT * network.buffer.size * batch_size
        # What a step changes: parameters, and what the optimizer remembers.
        self.changing = [network.buffer, *state.states]
        self._before = [np.empty_like(array) for array in self.changing]

    def remember(self) -> None:
        """Keep a copy of all that steps change."""
        for array, before in zip(self.changing, self._before, strict=True):
            np.copyto(before, array)

    def go_back(self) -> None:
        """To what was remembered."""

        def copy_back() -> None:
            for array, before in zip(self.changing, self._before, strict=True):
                np.copyto(array, before)

        self.network.alone(copy_back)

    def diverged(self, epoch: int, step: int) -> DivergenceError:
        """The error that says so, when the network is back at the last finite epoch."""
        rate, kept = self.network.learning_rate, self.state.history.epochs
        where = f"epoch {kept}" if kept else "before the training"
        if self.state.unfinished is not None:
            where = f"the middle of epoch {kept + 1}, where it was resumed"
        return DivergenceError(
            f"the cost is no longer finite in epoch {epoch}, step {step + 1}: try a smaller learning rate "
            f"than {rate:g} (say {rate / 10:g}), or scale the inputs. The network keeps the parameters of " + where
        )

    def updates(self, last: int, first: int = 0, before: int = 0) -> Updates:
        """Of steps `first` to `last` of a run, which begins `before` steps after the last whole epoch."""
        rates, start = np.empty(last), self.state.steps + before
        if last > first:
            rates[first:] = checked_rates(self.schedule, start + first, start + last, self.total, self.state.history)
            self.network.learning_rate = float(rates[-1])
        return Updates(self.settings, rates, self.state.states, start)

    def run_steps(
        self, batches: Batches, updates: Updates, first: int, last: int, costs: np.ndarray, scores: np.ndarray,
        *, repeats: bool = False, may_end: bool = False, is_shown: bool = True,
    ) -> tuple[int, bool]:  # fmt: skip
        """Run steps `first` to `last`; returns the one that comes next, and whether all costs were finite.

        Where all samples of a step have weight 0 there is nothing to learn, and the parameters stay as they are.
        Between calls Ctrl-C ends it, if it `may_end`. `costs` and `scores` have an entry a step. `repeats` tells that
        all steps have the same samples.
        """
        network = self.network
        for start, stop, is_idle in _runs(batches, first, last):
            step = start
            while step < stop:
                if self.interrupts.came and may_end:
                    return step, True
                end = min(stop, step + max(1, int(SECONDS_A_CALL / self.seconds_a_step)))
                begun = clock()
                if is_idle:
                    reached = network.run(codes.EVALUATE, batches, step, end, costs=costs, scores=scores)
                    costs[step:reached] += network.penalty()
                else:
                    reached = network.run(
                        codes.TRAIN, batches, step, end, repeats=repeats, costs=costs, scores=scores,
                        updates=updates, dropout_seed=self.state.dropout_seed,
                    )  # fmt: skip
                self.seconds_a_step = max(1e-7, (clock() - begun) / (end - step))
                if is_shown:
                    self.bar.update(reached - step)
                step = reached
                if reached < end:
                    return step, False
        return last, True


def clock() -> float:
    """Seconds, while which no kernels are compiled or loaded."""
    return time.perf_counter() - seconds_compiling()


def _idle_steps(batches: Batches, last: int) -> np.ndarray:
    """(last,): whether all samples of a step have weight 0."""
    epochs = -(-last // batches.steps)
    order = batches.order[: epochs * batches.m]  # there may be more, where epochs are repeated
    weights = batches.weights[order] if order.size else np.tile(batches.weights, epochs)
    starts = np.arange(0, batches.m, batches.batch_size)
    has_weight = np.logical_or.reduceat(weights.reshape(epochs, batches.m) > 0, starts, axis=1)
    return ~has_weight.reshape(-1)[:last]


def _runs(batches: Batches, first: int, last: int) -> Iterator[tuple[int, int, bool]]:
    """Steps `first:last` in pieces which are idle or not: where each begins, where it ends, and whether it is idle."""
    if batches.weights.all():  # also where there are none
        bounds, is_idle = [first, last], False
    else:
        flags = _idle_steps(batches, last)[first:]
        bounds = [first, *(first + 1 + np.flatnonzero(np.diff(flags))).tolist(), last]
        is_idle = bool(flags[:1].any())
    for start, stop in itertools.pairwise(bounds):
        if start < stop:
            yield start, stop, is_idle
        is_idle = not is_idle
