"""What runs plans, a CPU or a GPU, and what both are given."""

import contextlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from fastnet_kernels import codes

from .graph import Graph

NO_ORDER = np.zeros(0, np.int64)


class Updates(NamedTuple):
    """What the compiled program needs to know of an optimizer, for a number of steps."""

    settings: np.ndarray  # of `codes`
    learning_rates: np.ndarray  # an entry a step
    states: tuple[np.ndarray, np.ndarray]  # what it remembers of each parameter; empty where it needs none
    steps_before: int = 0


def no_updates(nothing: np.ndarray) -> Updates:
    """For what does not train; `nothing` is a vector of no numbers."""
    settings = np.zeros(codes.OPTIMIZER_SETTINGS)
    settings[codes.PENALTY_FACTOR] = 1
    return Updates(settings, np.zeros(0), (nothing, nothing))


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

    def prepare(self, wanted: Iterable[int] = ()) -> None:
        """Load the compiled program and `wanted` components of it; compile what never was."""

    def strategy(self, graph: Graph, batch_size: int, *, repeats: bool = False) -> Hashable:
        """How mini-batches go through the network. Those of one strategy can share a plan: that of the largest.

        `repeats` tells that all of many steps have the same samples.
        """

    def make_plan(self, graph: Graph, batch_size: int, strategy: Any) -> tuple[Any, int]:
        """The network, laid out for mini-batches of up to `batch_size`, and the number of elements of its workspace."""

    def allocate(self, plan: Any, size: int) -> ExecutionContext:
        """The plan, with a workspace of `size` elements."""

    def holding(self, *arrays: np.ndarray) -> contextlib.AbstractContextManager[None]:
        """While the context lasts, the device's copies of arrays that runs change are the true ones."""

    def prepare_last(self, context: Any, batches: Batches) -> None:
        """Load what a last, shorter mini-batch needs besides."""

    def execute(
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
        states: np.ndarray | None = None,
        updates: Updates | None = None,
        dropout_seed: int = 0,
        costs: np.ndarray | None = None,
        scores: np.ndarray | None = None,
    ) -> int:
        """Run steps `first_step:last_step` of `batches`; returns the step that comes next.

        PREDICT goes on from the `states` of recurrent layers, (m, n), where they are given, and leaves new ones there.
        TRAIN ends at a step whose cost is NaN or infinite, and PREDICT at samples, or outputs, that are.
        """
