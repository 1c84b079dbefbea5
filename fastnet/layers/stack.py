"""Layers in a row: whether they fit together, and which shapes they pass on."""

from collections.abc import Sequence

from ..checks import positive_integer
from . import KINDS
from .base import Layer, Node, Shape, shown_shape
from .rescale import Rescale


def checked_layers(layers: Sequence[Layer]) -> list[Layer]:
    """The layers as a list; ValueError or TypeError, with what to change, if no network can be made of them."""
    if not isinstance(layers, Sequence):
        raise TypeError(f"layers={layers!r} is no list: give the layers in order, as in [Dense(64, 'relu'), Dense(1)]")
    layers = list(layers)
    for place, layer in enumerate(layers, start=1):
        if type(layer) not in KINDS:
            raise TypeError(
                f"layer {place} is {layer!r}: give fastnet.Dense(...), another layer, or, first, Rescale(...)"
            )
        layer.check_place(place, is_last=place == len(layers))
    if not any(layer.is_product for layer in layers) or not layers[-1].can_be_last:
        raise ValueError("the network has no output layer: end the layers with fastnet.Dense(...)")
    numbered: set[int] = set()  # numbers l whose layer is normalised already
    for node in _nodes(layers, None):
        if node.layer.is_normalisation and node.number in numbered:
            raise ValueError(
                f"{node.layer!r} follows another normalisation: put one behind each Dense layer at the most"
            )
        if node.layer.is_normalisation:
            numbered.add(node.number)
    return layers


def output_units(layers: Sequence[Layer]) -> int:
    """Units of the last layer, which follow from the last W."""
    last = next(layer for layer in reversed(layers) if layer.is_product)
    return last.output_shape(())[-1]


def uses_shape(layers: Sequence[Layer]) -> bool:
    """Whether the network depends on the shape of its samples, and not on how many numbers they have alone."""
    for layer in layers:
        if layer.uses_shape:
            return True
        if layer.is_product:
            return False
    return False


def checked_shape(layers: Sequence[Layer], shape: int | Sequence[int]) -> Shape:
    """The shape of the samples that a network is built for, flat unless its layers use more than that.

    Raises ValueError or TypeError for what is no shape, or for one that a layer cannot take.
    """
    if isinstance(shape, Sequence):
        if not shape:
            raise ValueError("n_inputs=() is no shape of samples: give a number of features, or (h, w, c) of images")
        given: Shape = tuple(positive_integer(f"n_inputs[{i}]", n) for i, n in enumerate(shape))
    else:
        given = (positive_integer("n_inputs", shape),)
    given = flat_unless_used(layers, given)
    nodes_of(layers, given)
    return given


def flat_unless_used(layers: Sequence[Layer], shape: Shape) -> Shape:
    """The shape itself for layers that use it; else that of as many features."""
    if uses_shape(layers):
        return shape
    size = 1
    for extent in shape:
        size *= extent
    return (size,)


def nodes_of(layers: Sequence[Layer], shape: Shape) -> list[Node]:
    """The layers that compute, all but Rescale, each with its number and shapes.

    Raises ValueError, which names the layer and the shape it would get, where a sample of `shape` does not fit.
    """
    return _nodes(layers, shape)


def _nodes(layers: Sequence[Layer], shape: Shape | None) -> list[Node]:
    found, number = [], 0
    for place, layer in enumerate(layers, start=1):
        if layer.kind < 0:
            continue
        number += layer.is_product
        if shape is None:
            found.append(Node(layer, number, (), ()))
            continue
        try:
            output = layer.output_shape(shape)
        except ValueError as error:
            raise ValueError(f"layer {place}, {layer!r}, does not fit: {error}") from None
        found.append(Node(layer, number, shape, output))
        shape = output
    return found


def rescale_of(layers: Sequence[Layer]) -> Rescale:
    """How the inputs are read."""
    return next((layer for layer in layers if isinstance(layer, Rescale)), Rescale(1.0))


__all__ = [
    "checked_layers",
    "checked_shape",
    "flat_unless_used",
    "nodes_of",
    "output_units",
    "rescale_of",
    "shown_shape",
    "uses_shape",
]
