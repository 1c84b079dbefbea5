"""How many threads a step is worth: by a model of what it computes, and what goes from core to core.

A step has a parallel region a phase, which costs a few microseconds. What one core has changed another fetches from its
cache, line by line: weights, and the activations that dW is summed from. That costs from 3 to 30 times as much where
cores do not share a cache, which shapes cannot tell, and a virtual machine's cores may do so today and not tomorrow. So
where it decides, a line is passed to and fro once in a process, and the time is what a line is reckoned with.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from fastnet_kernels import codes
from fastnet_kernels.cpu.target import Target
from fastnet_kernels.first_use import imported

_NEAR, _FAR = 20.0, 400.0  # nanoseconds that a line takes at the least and at the most, from one core to another
_ROUNDS, _TRIES, _PATIENCE = 40, 6, 20_000


class Work(NamedTuple):
    """What a step does: floating-point operations of the data phase and of dW, and numbers that it goes through."""

    data_flops: float
    weight_flops: float
    activations: int  # of all samples and layers
    parameters: int
    blocks: int  # of samples, which go through the network each on one thread
    trains: bool
    regions: int  # parallel ones, a phase each


def work_of(plan: codes.Plan, n_parameters: int, m: int, *, trains: bool) -> Work:
    """The work of a step of m samples, by the plan's table of layers."""
    products = plan.layers[:, codes.PRODUCTS]
    forward, backward = 2.0 * m * int(products.sum()), 2.0 * m * int(products[1:].sum())
    activations = m * int(plan.layers[:, codes.N_OUT].sum())
    blocks = max(1, -(-m // plan.block_rows))
    if trains:
        regions = 2 * len(plan.segments)
        return Work(forward + backward, forward, activations, n_parameters, blocks, trains, regions)
    return Work(forward, 0.0, activations, n_parameters, blocks, trains, 1)


def nanoseconds(work: Work, threads: int, target: Target, itemsize: int, line: float, *, plain: bool) -> float:
    """How long a step takes on so many threads, by the model.

    `line` is the time in nanoseconds in which a line goes from core to core, `plain` says that the optimizer remembers
    nothing of the parameters.
    """
    size = itemsize / 4
    of_parameter = (target.nanoseconds_of_sgd if plain else target.nanoseconds_of_adam) * size
    data = work.data_flops / target.flops_per_nanosecond + work.activations * target.nanoseconds_of_activation
    weights = work.weight_flops * size / target.flops_per_nanosecond + work.trains * work.parameters * of_parameter
    together = data * size * -(-work.blocks // threads) / work.blocks + weights / threads
    if threads == 1:
        return float(together)
    regions = work.regions * math.log2(threads)  # a region waits for all threads, one after the other in a tree
    lines = work.trains * (2 * work.activations + work.parameters * (1 if plain else 2)) * itemsize / target.line_bytes
    of_line = target.nanoseconds_of_line + line / target.lines_in_flight
    return float(together + regions * target.nanoseconds_of_region + lines * (threads - 1) / threads * of_line)


class Share:
    """How many threads a step of some work is worth: more than one only for a clear gain."""

    def __init__(self, work: Work, most: int, target: Target, itemsize: int, *, plain: bool) -> None:
        self.work, self.most, self.target, self.itemsize, self.plain = work, most, target, itemsize, plain
        self.chosen: dict[int, int] = {}  # by the number of threads that there may be
        self.may_pay = self._best(most, _NEAR) > 1

    def threads(self, count: Callable[[], int]) -> int:
        """The number of threads, of as many as `count` returns: it is asked only if more than one may pay."""
        if not self.may_pay:
            return 1
        most = min(count(), self.most)
        if most not in self.chosen:
            near, far = (self._best(most, line) for line in (_NEAR, _FAR))
            self.chosen[most] = near if near == far else self._best(most, line_nanoseconds())
        return self.chosen[most]

    def _best(self, most: int, line: float) -> int:
        times = {
            count: nanoseconds(self.work, count, self.target, self.itemsize, line, plain=self.plain)
            for count in {1, *(1 << power for power in range(most.bit_length()) if 1 << power <= most), most}
        }
        shortest = min(times.values())
        best = min(count for count, seconds in times.items() if seconds <= 1.05 * shortest)
        return best if times[best] < self.target.max_share_of_time * times[1] else 1


# One parallel run at a time: it uses all threads, and Numba's fallback "workqueue" layer allows no second one.
threads_in_use = threading.Lock()
_measured: list[float] = []


def line_nanoseconds() -> float:
    """What `measure_line` has found in this process, the first time that it was asked."""
    if not _measured:
        _measured.append(measure_line())
    return _measured[0]


def measure_line() -> float:
    """Nanoseconds in which a line of memory goes from one thread's core to another's.

    The shortest of a few tries; where the threads never ran at the same time, the cores are taken for far.
    """
    handover = imported("fastnet_kernels.cpu.handover").pass_to_and_fro
    line, passed = np.zeros(16, np.int64), np.zeros(2, np.int64)

    def seconds(rounds: int) -> float:
        line[:] = 0
        start = time.perf_counter()
        handover(line, rounds, _PATIENCE, passed)
        return time.perf_counter() - start if (passed == rounds).all() else math.inf

    with threads_in_use:
        seconds(1)
        short, long = (min(seconds(rounds) for _ in range(_TRIES)) for rounds in (_ROUNDS, 5 * _ROUNDS))
    found = 1e9 * (long - short) / (2 * 4 * _ROUNDS)  # without what it takes to begin
    return max(_NEAR, found) if math.isfinite(found) else _FAR
