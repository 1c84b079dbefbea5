"""What is measured after every epoch."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.targets import Task
from ..execution.device import Batches
from ..metrics import measured_numbers
from .trainable import Trainable


@dataclass
class Validation:
    """What is measured after every epoch, and on which samples."""

    batches: Batches | None  # validation data
    samples: tuple[Any, np.ndarray] | None  # X and Y for the metrics
    metrics: dict[str, Any]
    seen: tuple[np.ndarray, np.ndarray] | None = None  # outputs and Y of a stream's epoch

    @property
    def is_streamed(self) -> bool:
        """Whether metrics are of outputs that a stream's mini-batches had before their steps."""
        return self.batches is None and self.samples is None

    def names(self, task: Task) -> list[str]:
        """What the history calls what is measured."""
        if self.batches is None:
            return list(self.metrics)
        return [f"validation_{name}" for name in ("cost", task.metric, *self.metrics)]

    def measure(self, network: Trainable) -> dict[str, float]:
        """By the same names."""
        found = [] if self.batches is None else list(network.measure(self.batches).values())
        if self.is_streamed and self.seen is None:
            return {}
        if self.metrics:
            outputs, Y = self.seen or (network.outputs(self.samples[0]), self.samples[1])  # type: ignore[index]
            found += measured_numbers(self.metrics, network.task.truth(Y), network.task.measurable(outputs)).values()
        return dict(zip(self.names(network.task), found, strict=True))
