"""The process that one contestant runs in: it reads commands, a line of JSON each, and answers the same way.

python -m fastnet.benchmarks.worker NAME THREADS DTYPE
"""

import json
import math
import os
import sys
from typing import TYPE_CHECKING

import numpy as np

from .timing import seconds_a_call

if TYPE_CHECKING:
    from .peers import Peer

_INFERENCE_SECONDS = 0.1  # of one sample
_TRAINING_SECONDS = 0.1  # at the least: a processor that has rested takes some milliseconds to wake up


def serve(name: str, threads: int, dtype: str) -> None:
    """Answer commands until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    if hasattr(os, "sched_setaffinity"):  # no contestant can use more cores than were given to it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])

    from .peers import peer_class

    peer = peer_class(name)
    if name.startswith("PyTorch"):
        import torch

        torch.set_num_threads(threads)
    contestant = Contestant(peer, dtype)
    about = {
        "version": peer.version(),
        "optimizers": peer.optimizers,
        "networks": peer.networks,
        "regularisations": peer.regularisations,
    }
    print(json.dumps(about), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(contestant, command.pop("do"))(**command)
        print(json.dumps(answer), file=answers, flush=True)


class Contestant:
    """One peer, made ready for one workload after the other."""

    def __init__(self, peer: type["Peer"], dtype: str):
        self.make, self.dtype = peer, dtype

    def prepare_training(self, name: str) -> dict[str, float]:
        """Load the data and train until everything is compiled and it is known how many epochs to time."""
        self._load_workload(name)
        self.peer.train(self.workload.epochs)
        repeats = math.ceil(_TRAINING_SECONDS / self._seconds_of(self.workload.epochs))
        self.timed_epochs = repeats * self.workload.epochs
        if repeats > 1:  # some compile anew for another number of epochs
            self.peer.train(self.timed_epochs)
        return {"first_cost": self.workload.cost(self.first, self.X, self.y)}

    def run_training(self) -> dict[str, float]:
        """Seconds a step, and the cost that the workload's epochs reach from the first weights."""
        self.peer.reset(self.first)
        seconds = self._seconds_of(self.timed_epochs)
        if self.timed_epochs > self.workload.epochs:
            self.peer.reset(self.first)
            self.peer.train(self.workload.epochs)
        # Behind the clock, since NumPy's threads stay awake after a product.
        cost = self.workload.cost(self.peer.weights(), self.X, self.y)
        return {"seconds": seconds / (self.timed_epochs * self.workload.batches), "cost": cost}

    def _seconds_of(self, epochs: int) -> float:
        """The time of one training."""
        return seconds_a_call(lambda: self.peer.train(epochs))

    def prepare_fit(self, name: str) -> dict[str, float]:
        """Load the data, and fit until everything is compiled and it is known how many fits to time.

        The cost, by which contestants are judged, is that of as many epochs from everybody's first weights, unshuffled.
        """
        self._load_workload(name)
        self.peer.train(self.workload.epochs)
        cost = self.workload.cost(self.peer.weights(), self.X, self.y)
        self.peer.fit()
        self.calls = math.ceil(_TRAINING_SECONDS / seconds_a_call(self.peer.fit))
        return {"cost": cost}

    def run_fit(self) -> dict[str, float]:
        """Seconds a fit, and the cost that the last one has reached."""
        seconds = seconds_a_call(self.peer.fit, self.calls)
        return {"seconds": seconds, "cost": self.workload.cost(self.peer.weights(), self.X, self.y)}

    def prepare_inference(self, name: str) -> dict[str, float]:
        """Load samples and predict until a call's time is known."""
        from .workloads import INFERENCES

        self.workload, m, self.stepwise = INFERENCES[name]
        X = np.random.default_rng(0).random((m, *self.workload.input_shape)).astype(self.dtype)
        self._load(X, np.resize(np.arange(self.workload.sizes[-1]), m))
        self.call = self.peer.advance if self.stepwise else self.peer.predict
        for _ in range(10):
            self.call()
        self.calls = max(1, int(_INFERENCE_SECONDS / seconds_a_call(self.call, 5)))
        return {}

    def run_inference(self) -> dict[str, float]:
        """Seconds a call, the mean of many, and the mean of the first class's probability as the result to agree on."""
        seconds = seconds_a_call(self.call, self.calls)
        if self.stepwise:  # the third step counts
            self.peer.reset(self.first)
            self.call(), self.call()
        found = np.asarray(self.call())
        return {"seconds": seconds, "cost": float(found.reshape(len(found), -1)[:, 0].mean())}

    def _load_workload(self, name: str) -> None:
        from .workloads import find_workload

        found = find_workload(name)
        assert found is not None
        self.workload = found
        self.X, self.y = found.data(self.dtype)
        self._load(self.X, self.y)

    def _load(self, X: np.ndarray, y: np.ndarray) -> None:
        self.first = self.workload.weights(self.dtype)
        self.peer = self.make(self.workload, self.dtype)
        self.peer.load(X, y)
        self.peer.reset(self.first)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
