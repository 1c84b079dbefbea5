"""The training loop: epochs, mini-batches, progress, and what to do when training diverges."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from fastnet_kernels import codes
from tqdm.auto import tqdm

from .checks import all_finite
from .devices import Batches
from .history import History
from .optimizers import SGD

if TYPE_CHECKING:
    from .network import Network

# One compiled call runs as many steps as take about this long, so that progress and Ctrl-C work.
_SECONDS_A_CALL = 0.05
_ROWS_A_CALL = 1_000_000  # most rows of shuffled order kept for one call


class DivergenceError(ArithmeticError):
    """The cost became NaN or infinite. The network keeps the parameters of the last finite epoch."""


@dataclass
class Trainer:
    """One call of `fit`: everything is checked and encoded, and the network is built."""

    network: "Network"
    training: Batches
    validation: Batches | None
    epochs: int
    optimizer: SGD
    shuffle: bool
    verbose: bool

    def __post_init__(self) -> None:
        metric = self.network.task.metric
        names = ["cost", metric]
        if self.validation is not None:
            names += ["validation_cost", f"validation_{metric}"]
        self.history = History([*names, "seconds"])
        self.seconds_a_step = _SECONDS_A_CALL  # until measured
        self.before = np.empty_like(self.network.buffer)  # of the epochs that are being trained

    def run(self) -> History:
        self.network.device.prepare()
        steps = self.training.steps
        with tqdm(total=self.epochs * steps, unit="step", disable=not self.verbose, desc="training") as bar:
            done = 0
            while done < self.epochs:
                epochs = self._epochs_a_call(self.epochs - done)
                self._train(done, epochs, bar)
                done += epochs
                bar.set_description(f"epoch {done}/{self.epochs}", refresh=False)
                shown = {name: f"{self.history[name][-1]:.4g}" for name in self.history if name != "seconds"}
                bar.set_postfix(shown, refresh=False)
        return self.history

    def _epochs_a_call(self, left: int) -> int:
        """How many whole epochs one compiled call runs: many tiny ones, or one that takes several calls."""
        if self.validation is not None:
            return 1
        by_time = int(_SECONDS_A_CALL / (self.seconds_a_step * self.training.steps))
        return max(1, min(left, by_time, _ROWS_A_CALL // self.training.m))

    def _train(self, done: int, epochs: int, bar: Any) -> None:
        """Train `epochs` epochs and add them to the history."""
        network, training = self.network, self.training
        np.copyto(self.before, network.buffer)
        training.order = self._order(epochs)
        costs, hits = np.zeros((2, epochs, training.steps))
        start = time.perf_counter()
        stopped_at = self._run_steps(epochs * training.steps, costs, hits, bar)
        seconds = time.perf_counter() - start
        if stopped_at < epochs * training.steps or not all_finite(network.buffer):
            self._restore(done, min(stopped_at, epochs * training.steps - 1))
        self._record(costs, hits, seconds / epochs)

    def _order(self, epochs: int) -> np.ndarray:
        """The rows in order of use; empty where they are used as they lie."""
        m = self.training.m
        if not self.shuffle or self.training.steps == 1:
            return np.zeros(0, np.int64)
        return np.concatenate([self.network.rng.permutation(m) for _ in range(epochs)])

    def _run_steps(self, last: int, costs: np.ndarray, hits: np.ndarray, bar: Any = None) -> int:
        """Run steps 0 to `last` in calls of about 50 ms; returns the step after the last one that was finished."""
        step = 0
        while step < last:
            stop = min(last, step + max(1, int(_SECONDS_A_CALL / self.seconds_a_step)))
            start = time.perf_counter()
            reached = self.network.run(
                codes.TRAIN,
                self.training,
                step,
                stop,
                costs=costs.reshape(-1),
                hits=hits.reshape(-1),
                learning_rate=self.optimizer.learning_rate,
            )
            self.seconds_a_step = max(1e-7, (time.perf_counter() - start) / (stop - step))
            if bar is not None:
                bar.update(reached - step)
            step = reached
            if reached < stop:
                break
        return step

    def _restore(self, done: int, step: int) -> None:
        """Go back to the end of the last finite epoch and say what happened."""
        epoch, batch = divmod(step, self.training.steps)
        buffer = self.network.buffer
        for last_finite in range(epoch, -1, -1):  # the cost was finite until here, the updates perhaps not
            buffer[:] = self.before
            costs, hits = np.zeros((2, max(1, last_finite), self.training.steps))
            self._run_steps(last_finite * self.training.steps, costs, hits)  # the same bits as the first time
            if all_finite(buffer):
                break
        self._record(costs[:last_finite], hits[:last_finite], 0.0)
        rate, kept = self.optimizer.learning_rate, done + last_finite
        raise DivergenceError(
            f"the cost is no longer finite in epoch {done + epoch + 1}, step {batch + 1}: try a smaller learning rate "
            f"than {rate:g} (say {rate / 10:g}), or scale the inputs. The network keeps the parameters of "
            + (f"epoch {kept}" if kept else "before the training")
        )

    def _record(self, costs: np.ndarray, hits: np.ndarray, seconds: float) -> None:
        """Add epochs (n_epochs, n_steps) to the history; the last, shorter mini-batch weighs less."""
        task, training, history = self.network.task, self.training, self.history
        sizes = np.full(training.steps, training.batch_size)
        sizes[-1] = training.m - training.batch_size * (training.steps - 1)
        cost = costs @ sizes / training.m
        history["cost"].extend(cost.tolist())
        history[task.metric].extend(task.score(cost, hits.sum(axis=1), training.targets).tolist())
        history["seconds"].extend([seconds] * len(cost))
        if self.validation is not None and len(cost):
            for name, value in self.network.measure(self.validation).items():
                history[f"validation_{name}"].append(value)
