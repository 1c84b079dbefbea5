"""What plans are made of: a network's layers with their shapes, how inputs are read, and the loss."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..data.samples import ROWS_AT_ONCE
from ..layers import Layer, Masking, Node, Rescale, Shape, Steps
from ..layers.input import Input
from ..layers.stack import masking_of, nodes_of, rescale_of
from ..lazy import lazy
from ..losses import Loss

_LEAST_ROWS, _NUMBERS_AT_ONCE = 64, 1 << 26  # of a prediction: what layers make of so many samples fits a workspace


@dataclass(frozen=True)
class Graph:
    """A network as devices see it. The first of `nodes` reads samples by itself."""

    nodes: tuple[Node, ...]
    rescale: Rescale
    loss: Loss
    masking: Masking | None

    @classmethod
    def of(cls, layers: Sequence[Layer], shape: Shape, loss: Loss) -> "Graph":
        """Of layers that fit together, for samples of `shape`."""
        nodes = [replace(node, layer=node.layer.planned(node.input_shape)) for node in nodes_of(layers, shape)]
        if not nodes[0].layer.reads_samples:
            # -1, the samples, becomes 0, the Input, as all others move on by one.
            read = [replace(node, below=node.below + 1, other=node.other + 1) for node in nodes]
            nodes = [Node(Input(), 0, shape, shape, below=-1), *read]
        return cls(tuple(nodes), rescale_of(layers), loss, masking_of(layers))

    @lazy
    def n_outputs(self) -> int:
        """Units of the last layer."""
        return self.nodes[-1].n_out

    @lazy
    def steps(self) -> int:
        """Steps of a sequence at each of which there is an output; 1 where a sample has one."""
        shape = self.nodes[-1].output_shape
        return shape[0] if isinstance(shape, Steps) else 1

    @lazy
    def state_size(self) -> int:
        """Numbers of a sample that recurrent layers take from one prediction to the next."""
        return sum(node.layer.state_size for node in self.nodes)

    @lazy
    def goes_on_from_states(self) -> bool:
        """Whether a sequence can come piece by piece: all that a step depends on is behind it, and in the states."""
        return self.state_size > 0 and not any(node.layer.sees_other_steps for node in self.nodes)

    @lazy
    def rows_at_once(self) -> int:
        """Samples that are predicted at a time: enough to use all cores, few enough for a small workspace."""
        numbers = sum(2 * node.n_out + node.layer.kept_size(node.input_shape) for node in self.nodes)
        return min(ROWS_AT_ONCE, max(_LEAST_ROWS, _NUMBERS_AT_ONCE // numbers // _LEAST_ROWS * _LEAST_ROWS))

    @lazy
    def n_weights(self) -> int:
        """Numbers of all W."""
        return sum(node.n_weights for node in self.nodes)

    @lazy
    def has_penalty(self) -> bool:
        """Whether weights that are trained add to the cost."""
        return any(node.layer.has_penalty for node in self.nodes)
