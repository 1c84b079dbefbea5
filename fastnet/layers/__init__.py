"""The layers a network is described with. A file a kind; `base` says what each of them must answer."""

from .activations import ACTIVATIONS
from .base import Layer, Node, Parameter, Shape, Steps
from .batch_norm import BatchNorm
from .conv import Conv1D, Conv2D
from .dense import Dense
from .dropout import Dropout
from .embedding import Embedding
from .flatten import Flatten
from .layer_norm import LayerNorm
from .masking import Masking
from .pooling import (
    AveragePool1D,
    AveragePool2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from .recurrent import GRU, LSTM, Recurrent
from .rescale import Rescale
from .reshape import Reshape
from .residual import Residual
from .weighted import INITIALISATIONS

KINDS: tuple[type[Layer], ...] = (
    Dense,
    Conv1D,
    Conv2D,
    BatchNorm,
    LayerNorm,
    Dropout,
    MaxPool1D,
    MaxPool2D,
    AveragePool1D,
    AveragePool2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    Masking,
    Embedding,
    Recurrent,
    LSTM,
    GRU,
    Flatten,
    Reshape,
    Residual,
    Rescale,
)

__all__ = [
    "ACTIVATIONS",
    "GRU",
    "INITIALISATIONS",
    "KINDS",
    "LSTM",
    "AveragePool1D",
    "AveragePool2D",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePool1D",
    "GlobalAveragePool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "Layer",
    "LayerNorm",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "Node",
    "Parameter",
    "Recurrent",
    "Rescale",
    "Reshape",
    "Residual",
    "Shape",
    "Steps",
]
