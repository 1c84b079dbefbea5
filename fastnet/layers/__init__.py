"""The layers a network is described with. A file a kind; `base` says what each of them must answer."""

from .activations import ACTIVATIONS
from .base import Layer, Node, Parameter, Shape
from .batch_norm import BatchNorm
from .dense import INITIALISATIONS, Dense
from .dropout import Dropout
from .layer_norm import LayerNorm
from .rescale import Rescale

KINDS: tuple[type[Layer], ...] = (Dense, BatchNorm, LayerNorm, Dropout, Rescale)

__all__ = [
    "ACTIVATIONS",
    "INITIALISATIONS",
    "KINDS",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Layer",
    "LayerNorm",
    "Node",
    "Parameter",
    "Rescale",
    "Shape",
]
