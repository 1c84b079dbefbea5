"""Whole trainings and inferences against peers: each contestant in a process of its own, all of them in turn."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..checks import float_dtype, known, positive_integer
from .kernels import backends
from .limits import usable_threads
from .peers import PEERS
from .timing import spread
from .workloads import FITS, GROUPS, INFERENCES, Workload, find_workload, group_of

OURS = "fastnet"
_REST = 0.25  # seconds before each run: the idle threads of the one before may still be spinning
_FOREVER = threading.TIMEOUT_MAX
# How much final costs may differ, relative to the usual one: in plain gradient descent, by the rounding of float32;
# with Adam, as not all add its epsilon in the same place; and where first weights and order are everybody's own.
_AGREEMENT, _ADAM_AGREEMENT, _OWN_AGREEMENT = 1e-3, 2e-2, 0.3
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

Progress = Callable[[str], object]


class Worker:
    """The process of one contestant (see `worker`), which is ended if an answer takes more than `patience` seconds."""

    def __init__(self, name: str, threads: int, dtype: str, patience: float = _FOREVER):
        self.name, self.patience, self.is_late = name, patience, False
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastnet.benchmarks.worker", name, str(threads), dtype],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment,
        )
        self.about = self._answer()

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Run one command there; RuntimeError with the end of what it printed if the process ends."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
            self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        timer = threading.Timer(self.patience, self._give_up)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            self.process.wait()
            if self.is_late:
                raise RuntimeError(f"it did not answer within {self.patience:g} s")
            self.log.seek(0)
            lines = self.log.read().decode(errors="replace").strip().splitlines() or ["no word"]
            raise RuntimeError(lines[-1])
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _give_up(self) -> None:
        self.is_late = True
        self.process.kill()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()


def compare_peers(
    workloads: Sequence[str] | None = None,
    peers: Sequence[str] | None = None,
    *,
    dtype: Any = "float32",
    threads: Sequence[int] = (1,),
    rounds: int = 7,
    progress: Progress = lambda line: None,
) -> list[dict[str, Any]]:
    """Train the workloads of `benchmarks.workloads` with fastnet and its peers and time them.

    In a training everyone starts from the same weights and takes the same samples in the same order, in plain gradient
    descent; in those of the group "optimizers" by what their names say. A fit is 20 epochs of Adam as users write them,
    from the call to its return, with first weights and an
    order of each library's own. Each contestant is a process that is held to so many cores; in every round each of
    them runs once.

    Parameters
    ----------
    workloads : sequence of str, optional
        Names of WORKLOADS, CONVOLUTIONS, SEQUENCES, OPTIMIZED, FITS and INFERENCES, or "trainings", "convolutions",
        "sequences", "optimizers",
        "fits" and "inferences" for all of a group; everything unless given. "random-0", "random-1", ... are other
        trainings.
    peers : sequence of str, optional
        Names of PEERS; unless given all, those with CUDA where fastnet finds a GPU. One whose library is missing, or
        that cannot run a workload, is left out, and `progress` is told.
    dtype : str
        "float32" or "float64".
    threads : sequence of int
        Each number of threads is measured on its own; those that are more than the cores there are left out.
    rounds : int
        Runs of everyone.
    progress : callable
        Called with lines of text.

    Returns
    -------
    list of dict
        One record a workload, peer and number of threads: group, by its name; seconds
        a step, a fit or a call, the median with the quartiles low and high; ratio to fastnet's seconds; cost after the
        run; agrees, whether that is everybody's cost to 1e-3, to 2 % where the optimizer is another one, to 30 % with
        dropout. For fits it is that to 30 %, and the cost of the same
        epochs from the same weights in the same order to 2 %. A record that does not agree is void: its ratio is None.

    Raises
    ------
    ValueError, TypeError
        For unknown names, threads and rounds below 1, or no number of threads that there is.
    """
    events = [name for group in GROUPS.values() for name in group]
    asked = events if workloads is None else list(workloads)
    chosen = list(dict.fromkeys(name for each in asked for name in GROUPS.get(each, [each])))
    for name in chosen:
        if name not in INFERENCES and find_workload(name) is None:
            known("workload", name, [*events, *GROUPS, "random-0"])
    names = _peers_here() if peers is None else [OURS, *(name for name in peers if name != OURS)]
    for name in names:
        known("peer", name, PEERS)
    dtype = str(float_dtype("dtype", dtype))
    rounds = positive_integer("rounds", rounds)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    records = []
    for count in usable_threads(threads, cores, progress):
        with _workers(names, count, dtype, progress) as workers:
            for name in chosen:
                progress(f"{name}, {count} thread{'s' * (count > 1)}")
                records += _race(name, workers, count, dtype, rounds, progress)
    return records


def _peers_here() -> list[str]:
    """All peers that can be expected to run on this machine."""
    has_gpu = "cuda" in backends()[0]
    return [name for name in PEERS if has_gpu or "CUDA" not in name]


@contextlib.contextmanager
def _workers(
    names: Sequence[str], threads: int, dtype: str, progress: Progress, patience: float = _FOREVER
) -> Iterator[list[Worker]]:
    workers: list[Worker] = []
    try:
        for name in names:
            try:
                workers.append(Worker(name, threads, dtype, patience))
            except RuntimeError as error:
                progress(f"{name} is left out: {error} (it needs {PEERS[name][2]})")
        yield workers
    finally:
        for worker in workers:
            worker.end()


def _race(
    name: str, workers: list[Worker], threads: int, dtype: str, rounds: int, progress: Progress
) -> list[dict[str, Any]]:
    """The records of one workload."""
    group, inference = group_of(name), INFERENCES.get(name)
    workload = find_workload(name) if inference is None else inference.workload
    assert workload is not None
    prepare, command = _commands(name)
    runners = [
        worker
        for worker in workers
        if workload.network in worker.about["networks"]
        and (
            inference is not None
            or (
                workload.optimizer in worker.about["optimizers"]
                and workload.regularisation in ("", *worker.about["regularisations"])
            )
        )
    ]

    def everyone(command: str, **arguments: Any) -> dict[str, dict[str, Any]]:
        """The answers of all who are still in the race, in turn."""
        answers = {}
        for worker in list(runners):
            time.sleep(_REST)
            try:
                answers[worker.name] = worker.do(command, **arguments)
            except RuntimeError as error:
                progress(f"{worker.name} is left out of {name} and what follows: {error}")
                worker.end()
                runners.remove(worker)
                workers.remove(worker)
        return answers

    prepared = everyone(prepare, name=name)
    found = [everyone(command) for _ in range(rounds)]
    if not runners:
        return []
    runs = {worker.name: [answers[worker.name] for answers in found] for worker in runners}
    costs = {contestant: float(np.median([run["cost"] for run in theirs])) for contestant, theirs in runs.items()}
    agree = _agreeing(costs, _tolerance(workload, group))
    if group == "fits":
        agree &= _agreeing({contestant: prepared[contestant]["cost"] for contestant in runs}, _ADAM_AGREEMENT)
    times = {contestant: spread([run["seconds"] for run in theirs]) for contestant, theirs in runs.items()}
    records = []
    for worker in runners:
        low, seconds, high = times[worker.name]
        agrees = worker.name in agree
        ours = times.get(OURS)
        records.append(
            {
                "workload": name,
                "group": group,
                "peer": worker.name,
                "version": worker.about["version"],
                "threads": threads,
                "dtype": dtype,
                "seconds": seconds,
                "low": low,
                "high": high,
                "ratio": seconds / ours[1] if agrees and ours else None,
                "cost": costs[worker.name],
                "agrees": agrees,
            }
        )
    return records


def _commands(name: str) -> tuple[str, str]:
    """What a worker is told before the clock starts, and in each round."""
    what = "inference" if name in INFERENCES else "fit" if name in FITS else "training"
    return f"prepare_{what}", f"run_{what}"


def _tolerance(workload: Workload, group: str) -> float:
    """How much final costs may differ."""
    if group == "fits" or workload.regularisation == "dropout":  # everybody drops other units
        return _OWN_AGREEMENT
    return _AGREEMENT if workload.optimizer == "sgd" else _ADAM_AGREEMENT


def _agreeing(costs: Mapping[str, float], tolerance: float) -> set[str]:
    """Whose cost is the usual one, within the tolerance."""
    usual = float(np.median(list(costs.values())))
    return {contestant for contestant, cost in costs.items() if abs(cost - usual) <= tolerance * abs(usual)}


def best_ratios(records: Sequence[Mapping[str, Any]], threads: int) -> dict[str, float]:
    """The best peer's time over fastnet's, by workload, on so many threads: above 1 where fastnet is faster."""
    found: dict[str, float] = {}
    for record in records:
        if record["threads"] == threads and record["peer"] != OURS and record["ratio"] is not None:
            found[record["workload"]] = min(record["ratio"], found.get(record["workload"], np.inf))
    return found


def geometric_mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))
