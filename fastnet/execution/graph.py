"""What plans are made of: a network's layers with their shapes, how inputs are read, and the loss."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..layers import Layer, Node, Rescale, Shape
from ..layers.input import Input
from ..layers.stack import nodes_of, rescale_of
from ..lazy import lazy
from ..losses import Loss


@dataclass(frozen=True)
class Graph:
    """A network as devices see it. The first of `nodes` reads samples by itself."""

    nodes: tuple[Node, ...]
    rescale: Rescale
    loss: Loss

    @classmethod
    def of(cls, layers: Sequence[Layer], shape: Shape, loss: Loss) -> "Graph":
        """Of layers that fit together, for samples of `shape`."""
        nodes = nodes_of(layers, shape)
        if not nodes[0].layer.reads_samples:
            # -1, the samples, becomes 0, the Input, as all others move on by one.
            read = [replace(node, below=node.below + 1, other=node.other + 1) for node in nodes]
            nodes = [Node(Input(), 0, shape, shape, below=-1), *read]
        return cls(tuple(nodes), rescale_of(layers), loss)

    @lazy
    def n_outputs(self) -> int:
        """Units of the last layer."""
        return self.nodes[-1].n_out

    @lazy
    def n_weights(self) -> int:
        """Numbers of all W."""
        return sum(node.n_weights for node in self.nodes)

    @lazy
    def has_penalty(self) -> bool:
        """Whether weights that are trained add to the cost."""
        return any(node.layer.has_penalty for node in self.nodes)
