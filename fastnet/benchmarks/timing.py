"""Timing on a machine that is shared and noisy: several calls a sample, samples of all contestants in turn, medians."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Queued:
    """A call that returns before a GPU has done what it asks for, and how to wait for all of these."""

    call: Callable[[], object]
    wait: Callable[[], object]

    def __call__(self) -> None:
        self.call()


def seconds_a_call(function: Callable[[], object], calls: int = 1) -> float:
    """The mean of `calls` calls, in seconds, until the last one is done."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    if isinstance(function, Queued):
        function.wait()
    return (time.perf_counter() - start) / calls


def samples(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int = 15, at_least: float = 2e-3
) -> dict[str, np.ndarray]:
    """`rounds` samples of the seconds a call takes, for every contestant; one sample of each in turn.

    A sample is the mean over as many calls as take `at_least` seconds. The first call of each is not counted. Where
    there are several contestants, each waits until the threads of the one before have gone to sleep.
    """
    calls = {}
    for name, function in contestants.items():
        wait_for_quiet()
        function()
        n, seconds = 1, seconds_a_call(function)
        while n * seconds < at_least:
            n = max(2 * n, int(at_least / max(seconds, 1e-9)))
            seconds = seconds_a_call(function, n)
        calls[name] = n
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, function in contestants.items():
            if len(contestants) > 1:
                wait_for_quiet()
                wake(function)
            found[name].append(seconds_a_call(function, calls[name]))
    return {name: np.array(values) for name, values in found.items()}


def wait_for_quiet(pause: float = 1e-3, at_most: float = 0.1) -> None:
    """Sleep until this process uses no processor meanwhile: threads of BLAS or OpenMP spin for a while after a call."""
    end = time.perf_counter() + at_most
    while time.perf_counter() < end:
        start, used = time.perf_counter(), time.process_time()
        time.sleep(pause)
        if time.process_time() - used < 0.2 * (time.perf_counter() - start):
            return


def wake(function: Callable[[], object], at_least: float = 5e-3) -> None:
    """Call it for a while: threads and processors that have slept take milliseconds to be as fast as before."""
    end = time.perf_counter() + at_least
    seconds_a_call(function)
    while time.perf_counter() < end:
        seconds_a_call(function)


def spread(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(low), float(middle), float(high)
