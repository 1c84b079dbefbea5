"""Networks from the layers of other libraries, put together one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..execution.layout import slots_of
from ..layers import Dense, GlobalMaxPool1D, GlobalMaxPool2D, Layer, MaxPool1D, MaxPool2D, Shape
from ..layers.normalisation import Normalisation
from ..layers.stack import checked_shape, nodes_of
from ..layers.weighted import WeightedLayer
from ..losses import Loss
from ..network import Network

# Of these the largest number of a window is that of the largest z, so they may as well stand before a max pooling.
_INCREASING = ("relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "hard_sigmoid")
_MAX_POOLS = (MaxPool1D, MaxPool2D, GlobalMaxPool1D, GlobalMaxPool2D)
_WITH_ACTIVATION = (WeightedLayer, Normalisation)
_USUAL = {"slope": 0.01, "alpha": 1.0}  # of the activations of a normalisation, which has no settings for them


@dataclass
class Part:
    """A layer to be: its class, its settings, and its parameters by their names, but those that stay as they start."""

    kind: type[Layer]
    settings: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def is_activated(self) -> bool:
        return "activation" in self.settings


class Assembly:
    """Layers in a row with their parameters, to become a network; ValueError where they cannot."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def add(self, kind: type[Layer], settings: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> Part:
        """One more layer."""
        self.parts.append(Part(kind, settings, arrays or {}))
        return self.parts[-1]

    @property
    def open_part(self) -> Part | None:
        """The last layer, if it has a gain and a bias, and no activation yet."""
        return _open(self.parts[-1:])

    def activate(self, settings: dict[str, Any]) -> None:
        """Give the last layer its activation, and the settings of that."""
        last = _open(self._activated(settings["activation"]))
        if last is None:
            raise ValueError("here an activation follows a layer with parameters, or a normalisation, directly")
        if not issubclass(last.kind, WeightedLayer):
            if any(settings.get(name, usual) != usual for name, usual in _USUAL.items()):
                raise ValueError("behind a normalisation LeakyReLU has slope 0.01 here, and ELU alpha 1")
            settings = {"activation": settings["activation"]}
        last.settings.update(settings)

    def _activated(self, activation: str) -> list[Part]:
        """The layers up to the one that an activation behind all of them belongs to."""
        count = len(self.parts)
        while activation in _INCREASING and count and self.parts[count - 1].kind in _MAX_POOLS:
            count -= 1
        return self.parts[:count]

    def network(self, shape: Shape, output: str | None, loss: Loss | None = None) -> Network:
        """The network for samples of `shape`; `output` is an activation of the last layer, which has none."""
        if not self.parts or self.parts[-1].kind is not Dense:
            raise ValueError("it does not end with a dense layer and its activation: fastnet's networks end with Dense")
        if output is not None:
            if self.parts[-1].is_activated:
                raise ValueError(f"output={output!r}: there is an activation at the end already, so leave it out")
            self.parts[-1].settings["activation"] = output
        dtypes = sorted({str(array.dtype) for part in self.parts for array in part.arrays.values()})
        if len(dtypes) > 1:
            raise ValueError(f"it has parameters of {' and '.join(dtypes)}: make them float32 or float64, all of them")
        net = Network([part.kind(**part.settings) for part in self.parts], loss=loss, dtype=dtypes[0])
        given: dict[str, np.ndarray] = {}
        number = 0
        for part in self.parts:
            number += part.kind.begins_number
            given |= {f"{name}{number}": array for name, array in part.arrays.items()}
        shape = checked_shape(net.layers, shape)
        slots = slots_of(nodes_of(net.layers, shape), net.dtype)
        for slot in slots:  # before there is memory for them
            if slot.name in given and given[slot.name].shape != slot.shape:
                raise ValueError(
                    f"{slot.name} is {given[slot.name].shape}, and {slot.shape} would fit the layer before it"
                )
        net.allocate_untrained(shape)
        for slot in slots:
            net.parameters[slot.name][...] = given.get(slot.name, slot.parameter.value)
        return net


def _open(parts: Sequence[Part]) -> Part | None:
    """The last of them, if it has a gain and a bias, and no activation yet."""
    last = parts[-1] if parts else None
    is_open = last is not None and issubclass(last.kind, _WITH_ACTIVATION) and not last.is_activated
    return last if is_open else None
