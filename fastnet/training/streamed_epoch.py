"""An epoch of mini-batches that come one by one: what they have given so far."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..execution.device import Batches
from .batches import Stream
from .state import Unfinished


class StreamedEpoch:
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
