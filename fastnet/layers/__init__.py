"""The layers a network is described with. A file a kind; `base` says what each of them must answer."""

from .activations import ACTIVATIONS
from .base import Layer, Node, Parameter, Shape
from .batch_norm import BatchNorm
from .dense import INITIALISATIONS, Dense
from .dropout import Dropout
from .layer_norm import LayerNorm
from .max_pool import MaxPool1D, MaxPool2D
from .rescale import Rescale

KINDS: tuple[type[Layer], ...] = (Dense, BatchNorm, LayerNorm, Dropout, MaxPool1D, MaxPool2D, Rescale)

__all__ = [
    "ACTIVATIONS",
    "INITIALISATIONS",
    "KINDS",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Layer",
    "LayerNorm",
    "MaxPool1D",
    "MaxPool2D",
    "Node",
    "Parameter",
    "Rescale",
    "Shape",
]
