"""Epochs of mini-batches that come one by one."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..checks import all_finite
from ..execution.device import Batches
from .batches import Stream
from .state import Unfinished
from .steps import DivergenceError, Steps, clock
from .validation import Validation


class _Epoch:
    """What the mini-batches of a stream have given in one epoch."""

    def __init__(self, unfinished: Unfinished | None, *, metrics: bool) -> None:
        # Whether outputs are kept for them; those of mini-batches that were trained without cannot be known any more.
        self.metrics = metrics and (unfinished is None or "outputs" in unfinished.seen)
        self.costs: list[float] = []
        self.scores: list[float] = []
        self.sizes: list[int] = []
        self.targets: list[np.ndarray] = []
        self.outputs: list[np.ndarray] = []
        self.seconds = 0.0
        if unfinished is not None:
            self.costs, self.scores = unfinished.costs.tolist(), unfinished.scores.tolist()
            self.sizes, self.targets = unfinished.seen["sizes"].tolist(), [unfinished.seen["targets"]]
            self.outputs = [unfinished.seen["outputs"]] if self.metrics else []
            self.seconds = unfinished.seconds

    def add(self, batch: Batches, cost: float, score: float) -> None:
        self.costs.append(float(cost))
        self.scores.append(float(score))
        self.sizes.append(batch.m)
        self.targets.append(batch.targets)

    @property
    def cost(self) -> float:
        return float(np.array(self.costs) @ np.array(self.sizes) / sum(self.sizes))

    def unfinished(self, rng_before: Mapping[str, Any], rng: Mapping[str, Any], source: Stream) -> Unfinished:
        """To go on from."""
        seen = {"sizes": np.array(self.sizes), "targets": np.concatenate(self.targets)}
        if self.metrics:
            seen["outputs"] = np.concatenate(self.outputs)
        costs, scores = np.array(self.costs), np.array(self.scores)
        return Unfinished(
            rng_before, rng, len(costs), source.steps, costs, scores, self.seconds, source.m, source.batch_size, seen
        )


class StreamedEpochs:
    """Trains on a stream, an epoch at a time and a compiled call a mini-batch."""

    def __init__(self, steps: Steps, source: Stream, validation: Validation | None, *, is_one_step: bool) -> None:
        """One step alone ends as an epoch, also after Ctrl-C."""
        self.steps, self.source, self.validation, self.is_one_step = steps, source, validation, is_one_step
        self.network, self.state = steps.network, steps.state

    def train_epochs(self, unfinished: Unfinished | None) -> Unfinished | DivergenceError | None:
        """Train an epoch and add it to the history, or finish an unfinished one; returns what `ArrayEpochs` does."""
        network, state = self.network, self.state
        rng_before = network.rng.bit_generator.state
        epoch = _Epoch(unfinished, metrics=self.validation is not None and self.validation.is_streamed)
        begun = clock()
        with network.device.holding(*self.steps.changing):
            is_whole, is_finite = self._run(self.source.epoch(unfinished), epoch)
        epoch.seconds += clock() - begun
        if not is_finite or not all_finite(network.buffer):
            self.steps.go_back()
            network.rng.bit_generator.state, state.unfinished = rng_before, unfinished
            return self.steps.diverged(state.history.epochs + 1, len(epoch.costs) - 1)
        if not is_whole:
            return epoch.unfinished(rng_before, network.rng.bit_generator.state, self.source)
        state.steps += len(epoch.costs)
        targets = np.concatenate(epoch.targets)
        state.history.extend("cost", [epoch.cost])
        state.history.extend(network.task.metric, network.task.score(np.array([sum(epoch.scores)]), targets).tolist())
        state.history.extend("seconds", [epoch.seconds])
        if self.validation is not None:
            self.validation.seen = (np.concatenate(epoch.outputs), targets) if epoch.metrics else None
        return None

    def _run(self, batches: Iterator[Batches], epoch: _Epoch) -> tuple[bool, bool]:
        """A step for each mini-batch; returns whether the epoch is whole, and whether all costs were finite."""
        for batch in batches:
            updates = self.steps.updates(1, before=len(epoch.costs))
            costs, scores = np.zeros((2, 1))
            if epoch.metrics:
                epoch.outputs.append(self.network.outputs_of(batch))
            reached, _ = self.steps.run_steps(batch, updates, 0, 1, costs, scores)
            epoch.add(batch, costs[0], scores[0])
            if reached < 1:
                return False, False
            if self.steps.interrupts.came and not self.is_one_step:
                return False, True
        return True, True
