"""What runs plans: a CPU, or a GPU. What both are given, and how they are called by name.

Only `cpu`, `gpu` and `benchmarks` import the kernels, and they do so late: importing fastnet loads no compiler.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from fastnet_kernels import codes

from .checks import known

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from .layers import Layer
    from .losses import Loss

NO_ORDER = np.zeros(0, np.int64)


class Updates(NamedTuple):
    """What the compiled program needs to know of an optimizer, for a number of steps."""

    settings: np.ndarray  # of `codes`
    learning_rates: np.ndarray  # an entry a step
    states: tuple[np.ndarray, np.ndarray]  # what it remembers of each parameter; empty where it needs none
    steps_before: int = 0


def no_updates(nothing: np.ndarray) -> Updates:
    """For what does not train; `nothing` is a vector of no numbers."""
    return Updates(np.zeros(codes.OPTIMIZER_SETTINGS), np.zeros(0), (nothing, nothing))


@dataclass
class Batches:
    """Samples and targets as the compiled program reads them, in mini-batches of `batch_size`."""

    samples: np.ndarray  # bytes, 1-D uint8
    are_bytes: bool  # the samples are uint8 numbers and not of the network's dtype
    m: int
    batch_size: int
    targets: np.ndarray  # (m, n_targets)
    weights: np.ndarray  # (m,) of the network's dtype; empty: all 1
    order: np.ndarray = field(default_factory=lambda: NO_ORDER)
    on_device: Any = None  # where a device keeps its copy of them

    @property
    def steps(self) -> int:
        return -(-self.m // self.batch_size)

    @property
    def sizes(self) -> np.ndarray:
        """Samples of each mini-batch: the last one has what is left."""
        found = np.full(self.steps, self.batch_size)
        found[-1] = self.m - self.batch_size * (self.steps - 1)
        return found


class ExecutionContext(Protocol):
    """A plan, with the memory that its runs use; and where it goes when nobody uses it."""

    plan: Any
    idle: list[Any]


class Device(Protocol):
    """Where a network of one dtype is run."""

    name: str
    nothing: np.ndarray  # of no numbers

    def prepare(self, parts: Iterable[int] = ()) -> None:
        """Load the compiled program and, of `codes`, some `parts`; compile them first where that was never done."""

    def form(self, layers: "Sequence[Layer]", n_inputs: int, batch_size: int, *, repeats: bool = False) -> "Hashable":
        """What mini-batches of different sizes can share a plan by: one that was made for the largest."""

    def make_plan(
        self, layers: "Sequence[Layer]", n_inputs: int, loss: "Loss", batch_size: int, *, repeats: bool = False
    ) -> tuple[Any, int]:
        """The network, laid out for mini-batches of up to `batch_size`, and the number of elements of its workspace."""

    def allocate(self, plan: Any, size: int) -> ExecutionContext:
        """The plan, with a workspace of `size` elements."""

    def holding(self, *arrays: np.ndarray) -> contextlib.AbstractContextManager[None]:
        """While the context lasts, the device's copies of arrays that runs change are the true ones."""

    def prepare_last(self, context: Any, batches: Batches) -> None:
        """Load what a last, shorter mini-batch needs besides."""

    def run(
        self,
        context: Any,
        mode: int,
        parameters: np.ndarray,
        gradients: np.ndarray,
        batches: Batches,
        first_step: int,
        last_step: int,
        *,
        outputs: np.ndarray | None = None,
        updates: Updates | None = None,
        dropout_seed: int = 0,
        costs: np.ndarray | None = None,
        scores: np.ndarray | None = None,
    ) -> int:
        """Run steps `first_step:last_step` of `batches`; returns the step that comes next.

        TRAIN ends at a step whose cost is NaN or infinite, and PREDICT at samples, or outputs, that are.
        """


def device_for(name: str, dtype: np.dtype) -> Device:
    """The device of that name.

    Raises ValueError for an unknown one, and RuntimeError, with what is missing, for one that cannot be used here.
    """
    known("device", name, ("cpu", "cuda"))
    if name == "cpu":
        from .cpu import CPU

        return CPU(dtype)
    from .gpu import GPU

    return GPU(dtype)
