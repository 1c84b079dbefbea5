"""Running plans on a CPU, with the Numba kernels."""

import contextlib
import os
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastnet_kernels import codes
from fastnet_kernels.cpu.program.arguments import Arguments
from fastnet_kernels.cpu.target import Target
from fastnet_kernels.first_use import apart, has_started_threads, imported

from ...checks import positive_integer
from ...lazy import lazy
from .. import components
from ..announcing import announced
from ..device import Batches, Updates, no_updates
from ..graph import Graph
from ..layout import aligned_zeros
from .plan import make_plan
from .strategy import Strategy, choose_strategy
from .threads import Share, threads_in_use, work_of


def set_num_threads(count: int) -> None:
    """From now on, use at most `count` threads, in the calling thread's work; results do not depend on it.

    The same as `numba.set_num_threads`. By default all cores are used, where a step is worth waking them for.

    Raises ValueError or TypeError for less than 1, or for more than there are cores (or NUMBA_NUM_THREADS says).

    Examples
    --------
    >>> import numba
    >>> import fastnet as fn
    >>> fn.set_num_threads(numba.get_num_threads())
    """
    numba = imported("numba")
    count, most = positive_integer("count", count), int(numba.config.NUMBA_NUM_THREADS)
    if count > most:
        raise ValueError(f"count={count} is above {most}: there are no more cores, or set NUMBA_NUM_THREADS before")
    numba.set_num_threads(count)


# GNU OpenMP does not survive a fork: where its threads were started before, a forked child runs on one thread, with the
# same results.
_state = {"lost_threads": False}


def _after_fork() -> None:
    _state["lost_threads"] = _state["lost_threads"] or has_started_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_NOTHING = np.zeros(0)

# Of this process: programs by dtype, and the lazy components that all of them can call.
_programs: dict[np.dtype, Any] = {}
_loaded_components: set[int] = set()


def _no_batches() -> None:
    """What a reference to no batches finds."""


@dataclass
class ExecutionContext:
    """A plan, with the memory that its runs use."""

    plan: codes.Plan
    workspace: np.ndarray
    rows: np.ndarray  # of a mini-batch
    idle: list[Any] = field(default_factory=list)  # where it goes when nobody uses it
    shares: dict[tuple[int, int, bool], Share] = field(default_factory=dict)  # by mode, samples and `plain`
    lasts: set[int] = field(default_factory=lambda: {0})  # samples of last mini-batches that all is loaded for
    # The single mini-batch that the run before has trained on: a plan that keeps inputs has left them in the workspace.
    inputs_of: Callable[[], Batches | None] = _no_batches


class CPU:
    """Runs plans of one dtype with the Numba kernels, on the threads of `numba.set_num_threads`."""

    name = "cpu"

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self._run: Any = None
        self._no_outputs, self.nothing = np.zeros((0, 0), dtype), np.zeros(0, dtype)
        self._no_updates = no_updates(self.nothing)

    @lazy
    def target(self) -> Target:
        """What is known of this processor."""
        found: Target = imported("fastnet_kernels.cpu.codegen.processor").TARGET
        return found

    @lazy
    def panel(self) -> int:
        """How many numbers the kernels compute side by side."""
        return int(self.target.panel_bytes) // self.dtype.itemsize

    @lazy
    def has_amx(self) -> bool:
        """Whether a matrix unit can make the products."""
        return self.dtype == np.float32 and bool(imported("fastnet_kernels.cpu.gemm.amx").may_be_used())

    def strategy(self, graph: Graph, batch_size: int, *, repeats: bool = False) -> Strategy:
        return choose_strategy(
            graph.nodes, batch_size, self.dtype, self.target, self.panel, repeats=repeats, has_amx=self.has_amx
        )

    def make_plan(self, graph: Graph, batch_size: int, strategy: Strategy) -> tuple[codes.Plan, int]:
        return make_plan(
            graph, batch_size, self.dtype, strategy, self.target, panel=self.panel, workers=self.most_workers
        )

    def allocate(self, plan: codes.Plan, size: int) -> ExecutionContext:
        self.prepare(components.of_plan(plan, self.target, self.panel // 2))
        blocks = -(-plan.batch_size // plan.block_rows)
        rows = np.zeros(blocks * plan.block_rows + self.target.samples_beyond, np.int64)
        return ExecutionContext(plan, aligned_zeros(size, self.dtype), rows)

    def holding(self, *arrays: np.ndarray) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    @property
    def most_workers(self) -> int:
        """How many threads there can be."""
        return int(imported("numba").config.NUMBA_NUM_THREADS)

    def prepare(self, wanted: Iterable[int] = ()) -> None:
        wanted, program = set(wanted), _programs.get(self.dtype)
        if program is None or not wanted <= _loaded_components:
            program = apart(lambda: self._loaded(wanted))
        self._run = program

    def _loaded(self, wanted: set[int]) -> Any:
        """The program of this dtype; it and the components are compiled, or loaded, if that was not done before."""
        compiling, event = imported("fastnet_kernels.cpu.codegen.compiling"), imported("numba.core.event")
        if self.dtype not in _programs:
            where = "" if compiling.folder is None else f"; once, kept in {compiling.folder}"
            with announced(f"the kernels ({self.dtype}{where})", event, "numba:compile"):
                _programs[self.dtype] = self._load_program()
        for component in sorted(wanted - _loaded_components):
            name = codes.COMPONENT_NAMES[component]
            with announced(f"the part for {name}, which this network is the first to use", event, "numba:compile"):
                compiling.load_component(component)
            _loaded_components.add(component)
        return _programs[self.dtype]

    def _load_program(self) -> Any:
        run = imported("fastnet_kernels.cpu.program.run").run
        signature = (imported("fastnet_kernels.cpu.codegen.signatures").numba_type(Arguments, self.dtype),)
        run.compile(signature)
        # The machine code itself: finding it by the types of the arguments would take longer than one sample does.
        return run.overloads[signature].entry_point

    def prepare_last(self, context: ExecutionContext, batches: Batches) -> None:
        left = batches.m % batches.batch_size
        if left not in context.lasts:
            self.prepare(components.of_tail(context.plan, left, self.target, self.panel // 2))
            context.lasts.add(left)

    def execute(
        self,
        context: ExecutionContext,
        mode: int,
        parameters: np.ndarray,
        gradients: np.ndarray,
        batches: Batches,
        first_step: int,
        last_step: int,
        *,
        outputs: np.ndarray | None = None,
        states: np.ndarray | None = None,
        updates: Updates | None = None,
        dropout_seed: int = 0,
        costs: np.ndarray | None = None,
        scores: np.ndarray | None = None,
    ) -> int:
        if self._run is None:
            self.prepare()
        self.prepare_last(context, batches)
        updates = updates or self._no_updates
        plain = updates.states[0].size == 0
        workers = self._workers(context, mode, parameters.size, min(batches.batch_size, batches.m), plain=plain)
        if workers > 1 and threads_in_use.locked():
            workers = 1  # rather one thread now than all of them later: the bits are the same
        # In the order of `Arguments`, which Numba takes it for: a named tuple would take as long as a small layer.
        arguments = (
            mode,
            context.plan,
            parameters,
            gradients,
            *updates.states,
            context.workspace,
            batches.samples,
            batches.are_bytes,
            batches.targets,
            batches.weights,
            self._no_outputs if outputs is None else outputs,
            self._no_outputs if states is None else states,
            batches.order,
            context.rows,
            context.inputs_of() is batches,
            batches.batch_size,
            first_step,
            last_step,
            updates.settings,
            updates.learning_rates,
            updates.steps_before,
            dropout_seed,
            _NOTHING if costs is None else costs,
            _NOTHING if scores is None else scores,
            workers,
        )
        if workers == 1:
            reached: int = self._run(arguments)
        else:
            with threads_in_use:
                reached = self._run(arguments)
        has_kept = mode == codes.TRAIN and reached > first_step and batches.steps == 1 and batches.order.size == 0
        context.inputs_of = weakref.ref(batches) if has_kept else _no_batches
        return reached

    def _workers(self, context: ExecutionContext, mode: int, n_parameters: int, m: int, *, plain: bool) -> int:
        """How many threads a step of m samples is worth; `plain` says that nothing is remembered of the parameters."""
        plan, key = context.plan, (mode, m, plain)
        if plan.is_online or plan.workers == 1 or _state["lost_threads"]:
            return 1
        share = context.shares.get(key)
        if share is None:
            work = work_of(plan, n_parameters, m, trains=mode >= codes.GRADIENT)
            share = context.shares[key] = Share(work, plan.workers, self.target, self.dtype.itemsize, plain=plain)
        return share.threads(lambda: int(imported("numba").get_num_threads()))
