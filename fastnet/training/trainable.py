"""A network as training sees it: what runs, what its outputs mean, and how far its training has come."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data.samples import as_rows
from ..data.targets import Task, as_targets
from ..execution.device import Batches, Device
from ..execution.executor import Executor
from ..layers import Layer, Shape
from ..layers.stack import checked_shape, flat_unless_used, output_steps
from ..losses import Loss
from ..metrics import Metric, measured
from .claims import TrainingClaim
from .history import History
from .state import TrainingState


class Trainable(Executor):
    """An executor with a task, a random generator and the state of its training."""

    task: Task
    seed: int
    rng: np.random.Generator
    training: TrainingState | None  # of the last training
    learning_rate: float  # of its last step
    put_back_parameters: np.ndarray | None  # by a callback, in place of `training.last`
    claim: TrainingClaim

    def __init__(
        self, layers: Sequence[Layer], loss: Loss, dtype: np.dtype, device: Device, task: Task, seed: int
    ) -> None:
        super().__init__(layers, loss, dtype, device)
        self.task, self.seed, self.rng = task, seed, np.random.default_rng(seed)
        self.training = self.put_back_parameters = None
        self.learning_rate = 0.0
        self.claim = TrainingClaim()

    @property
    def loss(self) -> str:
        """The loss by name."""
        return self.loss_and_setting.name

    @property
    def history(self) -> History:
        """Of the last training, epoch by epoch, also of one that was interrupted; without epochs before the first."""
        return History() if self.training is None else self.training.history

    def draw_parameters(self, shape: int | Sequence[int]) -> None:
        """Make the parameters for samples of `shape`, those that are random drawn anew; nothing is left of a training.

        Raises ValueError or TypeError for a shape that the layers cannot take.
        """
        self.allocate_untrained(checked_shape(self.layers, shape), self.rng)
        self.feature_names = None

    def allocate_untrained(self, shape: Shape, rng: np.random.Generator | None = None) -> None:
        """Make the parameters as `Executor.allocate` does; nothing is left of a training."""
        task = self.task.at_steps(output_steps(self.layers, shape))
        self.allocate(shape, rng, training=None, put_back_parameters=None, task=task)

    def shape_to_be(self, shape: Shape) -> Shape:
        """The shape of samples that the network is built for, or would be, for samples of `shape`."""
        return self.input_shape or flat_unless_used(self.layers, shape)

    def steps_to_be(self, shape: Shape) -> int | None:
        """At how many steps it answers, or would, for samples of `shape`; None for one answer a sample."""
        return output_steps(self.layers, self.shape_to_be(shape))

    def put_back(self, parameters: np.ndarray) -> None:
        """Replace the parameters by those of an earlier epoch, as `buffer` was then.

        Those of now are kept as `training.last`, and `fit(resume=True)` goes on from them.
        """
        if np.array_equal(self.buffer, parameters):
            return
        if parameters.shape != self.buffer.shape or parameters.dtype != self.dtype:
            raise ValueError(
                f"parameters are {parameters.shape} of {parameters.dtype}: give {self.buffer.shape} of {self.dtype}"
            )
        if self.training is not None:
            if self.training.last is None:
                self.training.last = self.buffer.copy()
            self.put_back_parameters = parameters
        self.alone(lambda: np.copyto(self.buffer, parameters))

    # ---------------------------------------------------------------- samples and targets

    def batches(self, X: Any, y: Any, batch_size: int | None = None) -> Batches:
        """X and y, checked and encoded for the program, in mini-batches (by default all in one)."""
        return self.as_batches(*self.encoded(X, y), batch_size)

    def encoded(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """X as rows and y as Y, checked."""
        self.require_parameters()
        rows = as_rows(X, self.dtype, self.input_shape, names=self.feature_names)
        return rows, self.task.encode(as_targets(y, len(rows)), self.dtype)

    def measure(self, batches: Batches) -> dict[str, float]:
        """Cost and metric on all of `batches`."""
        cost, score = self.evaluated(batches)
        return {"cost": cost, self.task.metric: float(self.task.score(np.asarray(score), batches.targets))}

    def metrics_of(self, outputs: np.ndarray, Y: np.ndarray, metrics: Mapping[str, Metric]) -> dict[str, Any]:
        """Metrics of outputs (m, n_L) and the targets Y."""
        return measured(metrics, self.task.truth(Y), self.task.measurable(outputs))

    # ---------------------------------------------------------------- gradients

    def gradients(self, X: Any, y: Any) -> dict[str, np.ndarray]:
        """The gradient of the cost on X and y, as in a step of training, by every parameter that is trained: copies.

        {"W1": (n_1, n_0), "b1": (n_1,), ...}. Raises ValueError before the network is built and where the cost is NaN
        or infinite, and ValueError or TypeError for bad input.
        """
        batches = self.batches(X, y)

        def copies() -> dict[str, np.ndarray]:
            cost = self.gradient_of(batches, self._dropout_seed)
            if not math.isfinite(cost):
                self.require_finite_parameters()
                raise ValueError(
                    f"the cost of these samples is {cost}, which has no gradient: scale the inputs, or make the "
                    "network with dtype='float64'"
                )
            return self.gradients_found()

        return self.alone(copies)

    def training_cost(self, batches: Batches) -> float:
        """The cost of one mini-batch as training sees it: with penalties, Dropout and the mini-batch's statistics."""
        return self.alone(lambda: self.gradient_of(batches, self._dropout_seed))

    @property
    def _dropout_seed(self) -> int:
        """Of a step outside of training."""
        return self.seed % (1 << 62)  # a seed may be of any size
