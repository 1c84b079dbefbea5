"""Layers in a row: whether they fit together, and which shapes they pass on."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ..checks import positive_integer
from . import KINDS
from .base import Layer, Node, Shape, Steps, shown_shape
from .embedding import Embedding
from .masking import Masking
from .rescale import Rescale
from .residual import Add, Residual, Skip
from .windows import WindowedLayer

_MOST_EXTENTS, _MOST_FEATURES = 8, 1 << 48  # of a sample


def checked_layers(layers: Sequence[Layer]) -> list[Layer]:
    """The layers as a list; ValueError or TypeError, with what to change, if no network can be made of them."""
    if not isinstance(layers, Sequence):
        raise TypeError(f"layers={layers!r} is no list: give the layers in order, as in [Dense(64, 'relu'), Dense(1)]")
    layers = list(layers)
    for place, layer in enumerate(layers, start=1):
        _check_first(place, layer, layers[: place - 1])
        _check_place(layer, str(place), is_last=place == len(layers))
    if not layers or not layers[-1].can_be_last:
        raise ValueError("the network has no output layer: end the layers with fastnet.Dense(...)")
    is_normalised = False  # since the last W
    for layer in with_those_of_blocks(layers):
        if layer.is_normalisation and is_normalised:
            raise ValueError(
                f"{layer!r} follows another normalisation: put one behind each Dense layer or convolution at the most"
            )
        is_normalised = not layer.begins_number and (is_normalised or layer.is_normalisation)
    return layers


def _check_place(layer: Layer, place: str, *, is_last: bool) -> None:
    if type(layer) not in KINDS:
        raise TypeError(f"layer {place} is {layer!r}: give fastnet.Dense(...), another layer, or, first, Rescale(...)")
    layer.check_place(place, is_last=is_last)
    if isinstance(layer, Residual):
        for inner, each in enumerate(layer.layers, start=1):
            _check_first(f"{place}.{inner}", each, [layer])
            _check_place(each, f"{place}.{inner}", is_last=False)


def with_those_of_blocks(layers: Sequence[Layer]) -> Iterator[Layer]:
    """The layers, those of residual blocks in the place of these."""
    for layer in layers:
        yield from with_those_of_blocks(layer.layers) if isinstance(layer, Residual) else [layer]


def _check_first(place: object, layer: Layer, before: Sequence[Layer]) -> None:
    """ValueError for a layer that sees samples themselves, and has others before it."""
    if isinstance(layer, Embedding) and not all(isinstance(each, Masking) for each in before):
        raise ValueError(f"layer {place} is Embedding: it can only be the first layer, or behind Masking")
    if isinstance(layer, Masking) and not all(isinstance(each, Rescale) for each in before):
        raise ValueError(f"layer {place} is Masking: it can only be the first layer, or behind Rescale")


def _check_masking(layers: Sequence[Layer], nodes: Sequence[Node], shape: Shape) -> None:
    """ValueError where steps are left out, and others than recurrent layers would see them."""
    if not any(isinstance(layer, Masking) for layer in layers):
        return
    for node in nodes:
        given = nodes[node.below].output_shape if node.below >= 0 else shape
        if (isinstance(given, Steps) or node.below < 0) and not _leaves_steps_apart(node, given):
            raise ValueError(
                f"{node.layer!r} sees several steps of a sequence, and Masking leaves out some, which recurrent layers "
                "understand: put it behind one that returns its last state"
            )
    if not any(node.layer.state_size for node in nodes) or isinstance(nodes[-1].output_shape, Steps):
        raise ValueError(
            "Masking leaves out steps of sequences, which recurrent layers understand: let the last of them return its "
            "last state"
        )


def _leaves_steps_apart(node: Node, given: Shape) -> bool:
    """Whether a layer that is given sequences takes their steps one by one, or knows what is left out."""
    if node.input_shape != given:  # Flatten or Reshape stand between
        return False
    if node.layer.state_size or isinstance(node.layer, Embedding):
        return True
    is_by_step = not isinstance(node.layer, WindowedLayer) and not node.layer.learns_statistics
    return is_by_step and (not node.is_dense or isinstance(given, Steps))


def masking_of(layers: Sequence[Layer]) -> Masking | None:
    """Which steps of sequences are left out, if some are."""
    return next((layer for layer in layers if isinstance(layer, Masking)), None)


def output_units(layers: Sequence[Layer]) -> int:
    """Units of the last layer, which are known before the network is built."""
    units = layers[-1].fixed_units
    assert units is not None  # of a layer that can be the last one
    return units


def uses_shape(layers: Sequence[Layer]) -> bool:
    """Whether the network depends on the shape of its samples, and not on how many numbers they have alone."""
    for layer in layers:
        if layer.uses_shape:
            return True
        if layer.flattens:
            return False
    return False


def checked_shape(layers: Sequence[Layer], shape: int | Sequence[int], name: str = "n_inputs") -> Shape:
    """The shape of the samples that a network is built for, flat unless its layers use more than that.

    Raises ValueError or TypeError, by `name`, for what is no shape, or for one that a layer cannot take.
    """
    if isinstance(shape, np.ndarray):
        shape = shape.tolist()
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        if not 0 < len(shape) <= _MOST_EXTENTS:
            raise ValueError(
                f"{name} has {len(shape)} extents: give a number of features, or a shape such as (h, w, c) of images"
            )
        given: Shape = tuple(positive_integer(f"{name}[{i}]", n) for i, n in enumerate(shape))
    else:
        given = (positive_integer(name, shape),)
    if math.prod(given) > _MOST_FEATURES:
        raise ValueError(f"{name}={shape} is more than any memory holds: give the shape of one sample")
    given = flat_unless_used(layers, given)
    nodes_of(layers, given)
    return given


def flat_unless_used(layers: Sequence[Layer], shape: Shape) -> Shape:
    """The shape itself for layers that use it; else that of as many features."""
    return shape if uses_shape(layers) else (math.prod(shape),)


def nodes_of(layers: Sequence[Layer], shape: Shape) -> list[Node]:
    """What computes, in the order of the course: layers, and what a residual block has around its own.

    Raises ValueError, which names the layer and the shape it would get, where a sample of `shape` does not fit.
    """
    row = _Row()
    row.add_all(layers, shape)
    _check_masking(layers, row.nodes, shape)
    return row.nodes


class _Row:
    """Nodes one behind the other, the last number given, and the place of the node that the next one reads."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.number, self.top = 0, -1

    def add_all(self, layers: Sequence[Layer], shape: Shape, within: str = "") -> Shape:
        """Add layers, and return the shape behind them; `within` is the place of their block, and a dot."""
        for place, layer in enumerate(layers, start=1):
            try:
                output = layer.output_shape(shape)
                if isinstance(layer, Residual):
                    layer.projection(shape)
                if math.prod(output) > _MOST_FEATURES:
                    raise ValueError(f"it would make {shown_shape(output)}, which is more than any memory holds")
            except ValueError as error:
                raise ValueError(f"layer {within}{place}, {layer!r}, does not fit: {error}") from None
            if isinstance(layer, Residual):
                self._add_block(layer, shape, f"{within}{place}.")
            elif layer.kind >= 0:
                self._add(layer, shape)
            shape = output
        return shape

    def _add(self, layer: Layer, shape: Shape, other: int = -1) -> None:
        self.number += layer.begins_number
        self.nodes.append(Node(layer, self.number, shape, layer.output_shape(shape), self.top, other))
        self.top = len(self.nodes) - 1

    def _add_block(self, block: Residual, shape: Shape, within: str) -> None:
        """What goes around it, the block's own layers, and the sum of both."""
        below = self.top
        self._add(Skip(), shape)
        projection = block.projection(shape)
        if projection is not None:
            self._add(projection, shape)
        around, self.top = self.top, below
        output = self.add_all(block.layers, shape, within)
        self._add(Add(block.activation), output, around)


def output_steps(layers: Sequence[Layer], shape: Shape) -> int | None:
    """At how many steps of a sequence the network answers; None where a sample has one answer.

    Raises ValueError as `nodes_of`.
    """
    output = nodes_of(layers, shape)[-1].output_shape
    return output[0] if isinstance(output, Steps) else None


def rescale_of(layers: Sequence[Layer]) -> Rescale:
    """How the inputs are read."""
    return next((layer for layer in layers if isinstance(layer, Rescale)), Rescale(1.0))


__all__ = [
    "checked_layers",
    "checked_shape",
    "flat_unless_used",
    "masking_of",
    "nodes_of",
    "output_steps",
    "output_units",
    "rescale_of",
    "shown_shape",
    "uses_shape",
    "with_those_of_blocks",
]
