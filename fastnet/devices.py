"""Which kernels run a plan. The only module of the network API that imports the kernels, and it does so late."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastnet_kernels import codes

# Below this many floating-point operations a step, waking the other threads costs more than they save.
_WORTH_THREADS = 1_000_000

# GNU OpenMP does not survive a fork: where its threads were started before, a forked child runs on one thread, with the
# same results.
_state = {"lost_threads": False}


def _after_fork() -> None:
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    _state["lost_threads"] = _state["lost_threads"] or getattr(parallel, "_is_initialized", parallel is not None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

# One parallel run at a time: it uses all threads, and Numba's fallback "workqueue" layer allows no second one.
_threads_in_use = threading.Lock()


@dataclass
class Batches:
    """Samples and targets as the compiled program reads them, in mini-batches of `batch_size`."""

    samples: np.ndarray  # bytes, 1-D uint8
    are_bytes: bool  # the samples are uint8 numbers and not of the network's dtype
    m: int
    batch_size: int
    targets: np.ndarray  # (m, n_targets)
    order: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def steps(self) -> int:
        return -(-self.m // self.batch_size)


class CPU:
    """Runs plans of one dtype with the Numba kernels, on the threads of `numba.set_num_threads`."""

    name = "cpu"

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self._run: Any = None

    @property
    def panel(self) -> int:
        """How many numbers the kernels compute side by side."""
        from fastnet_kernels.cpu.machine import PANEL_BYTES

        return int(PANEL_BYTES) // self.dtype.itemsize

    @property
    def most_workers(self) -> int:
        """How many threads there can be."""
        import numba

        return int(numba.config.NUMBA_NUM_THREADS)

    def prepare(self) -> None:
        """Load the compiled program; compile it first where that was never done, and say so."""
        if self._run is not None:
            return
        with _announced_compilation():
            from fastnet_kernels.cpu.program import run

            nothing = np.zeros(0, self.dtype)
            matrix = np.zeros((0, 0), self.dtype)
            rows = np.zeros(0, np.int64)
            values: dict[str, Any] = dict.fromkeys(codes.Plan._fields, 1)
            values |= {"layers": np.zeros((0, 0), np.int64), "slopes": np.zeros(0), "tasks": np.zeros((0, 0), np.int64)}
            values |= {"numbers": rows, "scale": 1.0, "shift": 0.0}
            plan = codes.Plan(**values)
            run(
                codes.PREDICT, plan, nothing, nothing, nothing, np.zeros(0, np.uint8), False, matrix, matrix, rows,
                rows, 1, 0, 0, 0.0, np.zeros(0), np.zeros(0), 1,
            )  # fmt: skip
        self._run = run

    def run(
        self,
        mode: int,
        plan: codes.Plan,
        parameters: np.ndarray,
        gradients: np.ndarray,
        workspace: np.ndarray,
        rows: np.ndarray,
        batches: Batches,
        first_step: int,
        last_step: int,
        *,
        outputs: np.ndarray | None = None,
        learning_rate: float = 0.0,
        costs: np.ndarray | None = None,
        hits: np.ndarray | None = None,
    ) -> int:
        """Run steps `first_step:last_step` of `batches`; returns the step that comes next (see `cpu.program.run`)."""
        self.prepare()
        empty = np.zeros(0)
        workers = self._workers(mode, plan, parameters.size, min(batches.batch_size, batches.m))
        with _threads_in_use if workers > 1 else contextlib.nullcontext():
            return int(
                self._run(
                    mode,
                    plan,
                    parameters,
                    gradients,
                    workspace,
                    batches.samples,
                    batches.are_bytes,
                    batches.targets,
                    np.zeros((0, 0), self.dtype) if outputs is None else outputs,
                    batches.order,
                    rows,
                    batches.batch_size,
                    first_step,
                    last_step,
                    learning_rate,
                    empty if costs is None else costs,
                    empty if hits is None else hits,
                    workers,
                )
            )

    @staticmethod
    def _workers(mode: int, plan: codes.Plan, n_parameters: int, m: int) -> int:
        """How many threads a step is worth."""
        import numba

        passes = 3 if mode >= codes.GRADIENT else 1
        if 2 * passes * n_parameters * m < _WORTH_THREADS or _state["lost_threads"]:
            return 1
        return min(int(numba.get_num_threads()), plan.workers)


@contextlib.contextmanager
def _announced_compilation() -> Iterator[None]:
    """Say on standard error that kernels are compiled, if they are, with a dot a second as a sign of life."""
    from numba.core import event

    done = threading.Event()
    started: list[float] = []

    def tick() -> None:
        while not done.wait(1.0):
            print(".", end="", file=sys.stderr, flush=True)

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, _: event.Event) -> None:
            if not started:
                started.append(time.perf_counter())
                print("fastnet: compiling kernels, first run only ", end="", file=sys.stderr, flush=True)
                threading.Thread(target=tick, daemon=True).start()

        def on_end(self, _: event.Event) -> None:
            pass

    with event.install_listener("numba:compile", Listener()):
        try:
            yield
        finally:
            done.set()
    if started:
        print(f" done in {time.perf_counter() - started[0]:.1f} s", file=sys.stderr, flush=True)
