"""Running plans on a CUDA GPU: data goes there once, parameters stay while they train, many steps are one launch."""

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from fastnet_kernels import codes
from fastnet_kernels.first_use import apart, imported

from ...checks import all_finite
from ...lazy import lazy
from ..announcing import announced
from ..device import NO_ORDER, Batches, Updates, no_updates
from ..graph import Graph
from .calls import Calls
from .plan import GPUPlan, Parts, make_gpu_plan, rounded_size
from .products import Sizes

_MOST_OF_FREE_MEMORY = 0.8
_PART_BYTES = 1 << 28  # of data that goes to the GPU in parts, at the most


def _kernels() -> ModuleType:
    """The module that compiles CUDA kernels; RuntimeError with what is missing where they cannot run."""
    try:
        compiling = imported("fastnet_kernels.cuda.codegen.compiling")
    except ImportError as error:
        raise RuntimeError(f"device='cuda' cannot be used: {error}") from None
    reason = compiling.why_not()
    if reason is not None:
        raise RuntimeError(f"device='cuda' cannot be used: {reason}, or use device='cpu'")
    return compiling


# A run has the whole GPU: threads that want to run take turns. Not while arrays are held: predictions come in between
# the steps of a training, whose parameters they then find there.
_one_at_a_time = threading.RLock()


@dataclass
class _Data:
    """Samples and all that belongs to them, in the GPU's memory."""

    pixels: Any
    samples: Any
    targets: Any
    weights: Any
    m: int


@dataclass
class _Part:
    """Steps that one launch runs: as many as there is data for in the GPU's memory."""

    data: _Data
    order: Any
    first: int  # of the data's steps
    last: int
    begins: int  # the first one's number in the call
    stream: Any  # 0 is the default one
    copied_from: Sequence[np.ndarray] = ()  # memory that must stay until the copy has been made


@dataclass
class _Launch:
    """A launch that is on its way, and what it will have found."""

    part: _Part
    costs: Any
    scores: Any
    flags: Any
    outputs: Any
    states: Any  # of recurrent layers, and where they go


@dataclass
class ExecutionContext:
    """A plan, with the memory that its runs use."""

    plan: GPUPlan
    workspace: Any
    tables: dict[str, Any]  # the plan's, on the GPU
    idle: list[Any] = field(default_factory=list)  # where it goes when nobody uses it


class GPU:
    """Runs plans of one dtype with the CUDA kernels, on the current GPU.

    A call of `execute` copies what has changed there, starts one kernel for all its steps, and brings back costs; the
    steps themselves wait for nothing. Data that does not fit the GPU's memory goes there in parts, the next one while
    the GPU works on the one before.
    """

    name = "cuda"

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self.compiling = _kernels()
        self.cuda = self.compiling.cuda
        self.nothing = np.zeros(0, dtype)
        self._held: dict[int, Any] = {}  # copies of arrays that are being changed here, by the arrays' id
        self._gradients: Any = None  # of the last network
        self._grids: dict[Parts, int] = {}  # blocks that can wait for each other, of the programs that are loaded

    # ---------------------------------------------------------------- plans

    def prepare(self, wanted: Iterable[int] = ()) -> None:
        """Load the compiled program that dense layers need; compile it first where that was never done.

        It has no lazy components, but there are programs with more in them: which one a network needs, its plan says,
        and `allocate` loads it.
        """
        if not set(wanted):
            self._load(Parts())

    def _load(self, parts: Parts) -> None:
        if parts in self._grids:
            return
        target = imported("fastnet_kernels.cuda.target")
        if self.compiling.IS_SIMULATED:
            self._grids[parts] = target.MOST_BLOCKS
            return
        device = self.cuda.get_current_device().id  # of this thread: others may have another one
        self._grids[parts] = apart(lambda: self._load_program(device, target.THREADS, parts))

    def _load_program(self, device: int, threads: int, parts: Parts) -> int:
        """Returns how many blocks of so many threads can wait for each other on a GPU."""
        numba, program = imported("numba"), imported("fastnet_kernels.cuda.program.run")
        number, whole, real = numba.from_dtype(self.dtype)[::1], numba.int64, numba.float64
        signature = (
            whole[:, ::1], whole, whole, whole, whole[:, ::1], real[:, ::1], whole[::1], real[::1], *(number,) * 5,
            numba.uint8[::1], *(number,) * 5, whole[::1], real[::1], real[:, ::1], whole[:, :, ::1], real[::1],
            real[::1], whole[::1], *(whole,) * 6,
        )  # fmt: skip
        names = [name for name, is_there in parts._asdict().items() if is_there]
        compiling, with_ = self.compiling, f" with {' and '.join(names)}" if names else ""
        what = f"the CUDA kernels{with_} ({self.dtype}; once)"
        with self.cuda.gpus[device], announced(what, compiling.event, compiling.COMPILES):
            compiled = program.program_of(*parts).compile(signature)
            return int(compiled.max_cooperative_grid_blocks(threads))

    def strategy(self, graph: Graph, batch_size: int, *, repeats: bool = False) -> int:
        return rounded_size(batch_size)

    def make_plan(self, graph: Graph, batch_size: int, strategy: int) -> tuple[GPUPlan, int]:
        from fastnet_kernels.cuda import target

        small, large, _ = target.tiles_for(self.dtype.itemsize)
        sizes = Sizes(
            heights=(small.height, large.height),
            widths=(small.width, large.width),
            depths=(small.depth, large.depth),
            piece=target.PIECE,
            multiprocessors=self._multiprocessors,
            itemsize=self.dtype.itemsize,
            rows_of_sum=target.ROWS_OF_SUM,
            cublas_rate=0 if self._cublas is None else self._cublas.rate,
        )
        return make_gpu_plan(graph, batch_size, strategy, self.dtype, sizes)

    @lazy
    def _cublas(self) -> Any:
        """What makes the largest products, if it is installed."""
        from fastnet_kernels.cuda.gemm.cublas import find

        return find(self.dtype)

    @property
    def _multiprocessors(self) -> int:
        if self.compiling.IS_SIMULATED:
            return 4
        return int(self.cuda.get_current_device().MULTIPROCESSOR_COUNT)

    def allocate(self, plan: GPUPlan, size: int) -> ExecutionContext:
        self._load(plan.parts)
        tables = {name: self._copied(getattr(plan, name)) for name in ("layers", "settings", "whole", "real")}
        return ExecutionContext(plan, self._copied(np.zeros(size, self.dtype)), tables)

    def prepare_last(self, context: ExecutionContext, batches: Batches) -> None:
        """All mini-batches go the same way."""

    # ---------------------------------------------------------------- memory

    def _copied(self, array: np.ndarray, stream: Any = 0) -> Any:
        """The array in the GPU's memory."""
        return self.cuda.to_device(np.ascontiguousarray(array), stream=stream)

    @contextlib.contextmanager
    def holding(self, *arrays: np.ndarray) -> Iterator[None]:
        changing = [array for array in arrays if array.size and id(array) not in self._held]
        try:
            with _one_at_a_time:
                for array in changing:
                    self._held[id(array)] = self._copied(array)
            yield
        finally:
            with _one_at_a_time:
                # First of all they are held no more, whatever becomes of the copies.
                copies = [self._held.pop(id(array), None) for array in changing]
                for copy, array in zip(copies, changing, strict=True):
                    if copy is not None:
                        copy.copy_to_host(array)

    def _copy_of(self, array: np.ndarray) -> Any:
        """The copy of an array that is held; of an empty one another."""
        return self._held[id(array)] if array.size else self._copied(array)

    def _capacity(self) -> int:
        """Bytes of data that there is room for."""
        if self.compiling.IS_SIMULATED:
            return 1 << 62
        return int(_MOST_OF_FREE_MEMORY * self.cuda.current_context().get_memory_info().free)

    def _arrays(self, batches: Batches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Samples, targets and weights, a row each sample."""
        kind = np.dtype(np.uint8) if batches.are_bytes else self.dtype
        return batches.samples.view(kind).reshape(batches.m, -1), batches.targets, batches.weights

    def _data(self, batches: Batches, arrays: Sequence[np.ndarray], stream: Any = 0) -> _Data:
        """Some of the data, or all of it, in the GPU's memory."""
        samples, targets, weights = arrays
        m, empty = len(samples), np.zeros(0, np.uint8)
        return _Data(
            self._copied(samples.reshape(-1) if batches.are_bytes else empty, stream),
            self._copied(self.nothing if batches.are_bytes else samples.reshape(-1), stream),
            self._copied(targets.reshape(-1), stream),
            self._copied(weights, stream),
            m,
        )

    def _parts(self, batches: Batches, first_step: int, last_step: int) -> Iterator[_Part]:
        """The steps, with their data. What fits stays there for the calls that follow."""
        size = batches.samples.nbytes + batches.targets.nbytes + batches.weights.nbytes
        if batches.on_device is None and size <= self._capacity():
            batches.on_device = self._data(batches, self._arrays(batches))
        if batches.on_device is not None:
            order = self._copied(batches.order)
            yield _Part(batches.on_device, order, first_step, last_step, first_step, 0)
            return
        no_order, streams, given = self._copied(NO_ORDER), [self.cuda.stream() for _ in range(2)], self._arrays(batches)
        a_step = max(1, size * batches.batch_size // batches.m)
        # There is room for two parts, and one more as a reserve.
        steps_at_once = max(1, min(self._capacity() // 3, _PART_BYTES) // a_step)
        most = min(steps_at_once * batches.batch_size, batches.m)
        # Only from pinned memory a copy goes on while others do something else. By the time that a stream's room is
        # used again, its part has ended.
        rooms = [
            [self.cuda.pinned_array((most, *a.shape[1:]), a.dtype) if a.size else a for a in given] for _ in streams
        ]
        step, turn = first_step, 0
        while step < last_step:
            epoch, batch = divmod(step, batches.steps)
            count = min(steps_at_once, batches.steps - batch, last_step - step)
            rows = np.arange(batch * batches.batch_size, min((batch + count) * batches.batch_size, batches.m))
            if batches.order.size:
                rows = batches.order[epoch * batches.m + rows]
            part = [room[: len(rows)] for room in rooms[turn]]
            for array, room in zip(given, part, strict=True):
                if array.size:
                    np.take(array, rows, axis=0, out=room, mode="clip")  # which is not checked twice
            yield _Part(self._data(batches, part, streams[turn]), no_order, 0, count, step, streams[turn], part)
            turn = 1 - turn
            step += count

    # ---------------------------------------------------------------- running

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
        if mode == codes.PREDICT and not batches.are_bytes and not all_finite(batches.samples.view(self.dtype)):
            return first_step
        updates = updates or no_updates(self.nothing)
        reached, reached_states = first_step, None if states is None else states.copy()
        with _one_at_a_time, self.holding(parameters, *updates.states):
            launched: _Launch | None = None
            # A part starts when its data is there and the part before has ended well.
            for part in self._parts(batches, first_step, last_step):
                if launched is not None:
                    reached = self._end(launched, batches, outputs, reached_states, costs, scores)
                    if mode == codes.TRAIN and reached < part.begins:
                        return reached
                launched = self._start(
                    context, mode, parameters, gradients, batches, part, states, updates, dropout_seed
                )
            if launched is not None:
                reached = self._end(launched, batches, outputs, reached_states, costs, scores)
        if mode == codes.GRADIENT:
            self._gradients.copy_to_host(gradients)
        if outputs is not None and mode == codes.PREDICT:
            size = batches.batch_size
            some = outputs[first_step * size : reached * size]
            if not all_finite(some.reshape(-1)):
                reached = first_step + int(np.argmin(np.isfinite(some).all(axis=1))) // size
            if states is not None and reached_states is not None:
                # Not those behind the step that has ended the run: they come later.
                states[: (reached + 1) * size] = reached_states[: (reached + 1) * size]
        return reached

    def _start(
        self,
        context: ExecutionContext,
        mode: int,
        parameters: np.ndarray,
        gradients: np.ndarray,
        batches: Batches,
        part: _Part,
        states: np.ndarray | None,
        updates: Updates,
        dropout_seed: int,
    ) -> _Launch:
        from fastnet_kernels.cuda.layers.dropout import keys_of
        from fastnet_kernels.cuda.program.run import program_of, start

        plan, workspace, tables = context.plan, context.workspace, context.tables
        if self._gradients is None or self._gradients.size != gradients.size:
            self._gradients = self._copied(np.zeros(gradients.size, self.dtype))
        count, data, stream = part.last - part.first, part.data, part.stream
        n_last = int(plan.layers[-1, codes.N_OUT])
        row = (part.begins - part.first) * batches.batch_size  # where the data begins
        launch = _Launch(
            part,
            costs=self._copied(np.zeros(count), stream),
            scores=self._copied(np.zeros(count), stream),
            flags=self._copied(np.full(1, -1), stream),
            outputs=self.cuda.device_array(data.m * n_last if mode == codes.PREDICT else 0, self.dtype),
            states=self._copied(self.nothing if states is None else states[row : row + data.m].reshape(-1), stream),
        )
        steps = np.arange(part.begins, part.begins + count)
        clips_norm = mode == codes.TRAIN and bool(np.isfinite(updates.settings[codes.CLIP_NORM]))
        instructions, blocks = plan.instructions(mode, clips_norm=clips_norm)
        rates = _rates(updates, steps) if mode == codes.TRAIN else np.ones((1, 3))
        has_dropout = mode >= codes.GRADIENT and np.isin(plan.layers[:, codes.KIND], (codes.DROPOUT, codes.INPUT)).any()
        keys = np.zeros((1, 1, 2), np.int64)
        if has_dropout:
            keys = keys_of(dropout_seed, updates.steps_before + 1 + steps, len(plan.layers))
        parameters = self._copy_of(parameters)
        repeats = batches.batch_size >= data.m and part.order.size == 0
        start(
            program_of(*plan.parts),
            min(blocks, self._grids[plan.parts]),
            stream,
            instructions,
            mode,
            tables["layers"],
            tables["settings"],
            tables["whole"],
            tables["real"],
            parameters,
            self._gradients,
            *(self._copy_of(state) for state in updates.states),
            workspace,
            data.pixels,
            data.samples,
            data.targets,
            data.weights,
            launch.outputs,
            launch.states,
            part.order,
            self._copied(updates.settings, stream),
            self._copied(rates, stream),
            self._copied(keys, stream),
            launch.costs,
            launch.scores,
            launch.flags,
            data.m,
            batches.batch_size,
            first_step=part.first,
            last_step=part.last,
            call=Calls(
                self._cublas, stream, plan, parameters, self._gradients, workspace, data.m, batches.batch_size, repeats
            ),
        )
        return launch

    @staticmethod
    def _end(
        launch: _Launch,
        batches: Batches,
        outputs: np.ndarray | None,
        states: np.ndarray | None,
        costs: np.ndarray | None,
        scores: np.ndarray | None,
    ) -> int:
        """Wait for a launch and bring back what it has found; returns the step that comes next."""
        part = launch.part
        count = part.last - part.first
        if part.stream != 0:  # on the default stream the copies that follow wait
            part.stream.synchronize()
        flag = int(launch.flags.copy_to_host()[0])
        for found, target in ((launch.costs, costs), (launch.scores, scores)):
            if target is not None:
                target[part.begins : part.begins + count] = found.copy_to_host()
        first, row = part.first * batches.batch_size, part.begins * batches.batch_size
        n = min(count * batches.batch_size, batches.m - row)
        for rows, target in ((launch.outputs, outputs), (launch.states, states)):
            if target is not None:
                target[row : row + n] = rows.copy_to_host().reshape(-1, target.shape[1])[first : first + n]
        return part.begins + (count if flag < 0 else flag - part.first)


def _rates(updates: Updates, steps: np.ndarray) -> np.ndarray:
    """(n_steps, 3): learning rates, and Adam's bias corrections."""
    from fastnet_kernels.cuda.optimizers import corrections

    rates, settings = np.ones((len(steps), 3)), updates.settings
    rates[:, codes.LEARNING_RATE] = updates.learning_rates[steps]
    if settings[codes.OPTIMIZER] in (codes.ADAM, codes.ADAMW):
        decays = settings[codes.FIRST_DECAY], settings[codes.SECOND_DECAY]
        factors = corrections(updates.steps_before + 1 + steps, *decays)
        rates[:, codes.MEAN_CORRECTION], rates[:, codes.MEAN_SQUARE_CORRECTION] = factors
    return rates
