"""What a network asks of each of its layers: the shape it gives, its parameters, and its row of the plan's tables."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from fastnet_kernels import codes

from ..lazy import lazy
from ..shown import as_call

Shape = tuple[int, ...]


class Steps(tuple[int, ...]):
    """The shape (t, n) of a sequence, which tells it from a signal: `Dense` works at each of its steps."""

    __slots__ = ()


@dataclass(frozen=True)
class Parameter:
    """One array of a layer's parameters, as it starts: all `value`, or what `draw` makes of a random generator."""

    name: str  # without the layer's number: "W"
    shape: Shape
    column: int | None  # of the plan's table `layers`, where its offset stands; None: it lies behind the one before
    value: float = 0.0
    is_trained: bool = True  # by gradients; else it is frozen, or what a normalisation remembers
    draw: Callable[[np.random.Generator], np.ndarray] | None = None


@dataclass(frozen=True, repr=False)
class Layer:
    """What all layers share. A kind of layer is a subclass, listed in `fastnet.layers.KINDS`.

    Shapes are those of one sample: (n,) features, (h, w, c) images, (t, n) sequences.
    """

    kind: ClassVar[int] = -1  # its code in `fastnet_kernels.codes`; below 0: it computes nothing by itself
    begins_number: ClassVar[bool] = False  # whether it is a layer l of the course, with parameters W[l] and b[l]
    is_dense: ClassVar[bool] = False  # whether it is Z = A_prev W^T + b over all features, whose products plans choose
    wgrad: ClassVar[int] = codes.WGRAD_NONE  # how dW is summed, where that is no choice of plans
    reads_samples: ClassVar[bool] = False  # whether it can be the first of a plan, which reads samples by itself
    flattens: ClassVar[bool] = False  # whether it takes samples of any shape for as many numbers
    is_normalisation: ClassVar[bool] = False
    uses_shape: ClassVar[bool] = False  # whether it depends on more than the number of features
    is_random: ClassVar[bool] = False  # whether training draws random numbers in it
    can_be_last: ClassVar[bool] = False

    def __repr__(self) -> str:
        return as_call(self, type(self).__name__)

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for a sample of `shape`; ValueError, with what would fit, for one it cannot take."""
        return shape

    def parameters(self, shape: Shape) -> list[Parameter]:
        """Its parameters for samples of `shape`, in the order of the buffer."""
        return []

    def can_be_winograd(self, shape: Shape) -> bool:
        """Whether it is a convolution of windows of 3 x 3 pixels, each beside the next."""
        return False

    def statistics_size(self, shape: Shape, samples: int, blocks: int) -> int:
        """Numbers of the workspace for what it measures of a mini-batch of so many samples, in so many blocks."""
        return 0

    def check_samples(self, rows: np.ndarray) -> None:
        """ValueError for samples (m, n), of which it is the first layer, that it cannot take."""

    def kept_size(self, shape: Shape) -> int:
        """Numbers of the workspace for what it keeps of each step of a sample of `shape`."""
        return 0

    @property
    def state_size(self) -> int:
        """Numbers of a sample that it takes from one prediction to the next."""
        return 0

    @property
    def sees_other_steps(self) -> bool:
        """Whether a step of its output depends on others of a sequence than those that a state tells of."""
        return False

    def planned(self, shape: Shape) -> "Layer":
        """The layer that plans have for it, for samples of `shape`: of the same parameters and outputs."""
        return self

    def uses_of_weights(self, shape: Shape) -> int:
        """How often each number of its matrices is multiplied for a sample of `shape`."""
        return 1

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        """Fill in its own columns of the plan's tables `layers` and `settings`."""

    def check_place(self, place: str, *, is_last: bool) -> None:
        """ValueError if it cannot stand there: layer `place`, "1" the first, "3.1" the first of a block's."""

    def shown_settings(self) -> str:
        """Its settings in the table of `print(network)`."""
        return ""

    @property
    def fixed_units(self) -> int | None:
        """Units of its output whatever comes before; None where they follow from that."""
        return None

    @property
    def activation_name(self) -> str:
        """The activation it ends with, by name."""
        return str(getattr(self, "activation", "linear"))

    @property
    def is_trainable(self) -> bool:
        """Whether training changes parameters of it."""
        return getattr(self, "trainable", False)

    def with_trainable(self, flag: bool) -> "Layer":
        """The same layer, to be trained or left as it is; one without parameters has no choice."""
        return dataclasses.replace(self, trainable=flag) if hasattr(self, "trainable") else self  # type: ignore[call-arg]

    @property
    def has_penalty(self) -> bool:
        """Whether its weights, which training changes, add to the cost."""
        return False

    def penalty(self, parameter: Callable[[str], np.ndarray]) -> float:
        """What its weights add to the cost; `parameter` gives its parameters by name: parameter("W")."""
        return 0.0

    @property
    def learns_statistics(self) -> bool:
        """Whether training normalises by the mini-batch."""
        return False

    @property
    def saves_z(self) -> bool:
        """Whether the derivative of its activation needs Z, which is then saved beside A."""
        return False

    @property
    def components(self) -> set[int]:
        """Lazy components of the compiled program, of `codes`, that this layer needs: its kind is one."""
        return {self.kind} & set(codes.COMPONENTS)

    def _set_checked(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Node:
    """A layer at its place in a network: its number l, and the shapes of one sample before and behind it.

    Nodes are in a row, each behind those that it reads: `below` is the place in that row of the one whose A is its
    A_prev, or -1 for the samples, and `other` that of another one, whose A is added.
    """

    layer: Layer
    number: int
    input_shape: Shape
    output_shape: Shape
    below: int
    other: int = -1

    @lazy
    def n_in(self) -> int:
        """Numbers of a sample before the layer."""
        return math.prod(self.input_shape)

    @lazy
    def n_out(self) -> int:
        """Numbers of a sample behind it."""
        return math.prod(self.output_shape)

    @property
    def is_dense(self) -> bool:
        """Whether it is a layer whose products plans choose."""
        return self.layer.is_dense

    @lazy
    def n_weights(self) -> int:
        """Numbers of its matrices."""
        return sum(math.prod(p.shape) for p in self.layer.parameters(self.input_shape) if len(p.shape) > 1)

    @lazy
    def n_products(self) -> int:
        """Multiply-adds of a sample on its way forward."""
        return self.n_weights * self.layer.uses_of_weights(self.input_shape)

    def describe(self, row: np.ndarray, settings: np.ndarray) -> None:
        """What the tables of every plan say of it."""
        row[codes.KIND], row[codes.N_IN], row[codes.N_OUT] = self.layer.kind, self.n_in, self.n_out
        row[codes.BELOW], row[codes.OTHER], row[codes.PRODUCTS] = self.below, self.other, self.n_products
        self.layer.describe(row, settings, self.input_shape)


def shown_shape(shape: Shape) -> str:
    """(m, 28, 28, 1), for people."""
    return f"(m, {', '.join(map(str, shape))})"
