"""Everyone who trains in the comparison, fastnet among them: one file each, one class, the same few methods.

Each takes the data into arrays of its own before the clock starts, runs as its documentation advises for speed, and
need not compute the cost. A reader from a peer's side who knows a faster documented way should change its file.
"""

import importlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ..workloads import Weights, Workload

# Name in the tables: (module, class, what to install).
PEERS = {
    "fastnet": ("fastnet_network", "FastnetPeer", "fastnet"),
    "NumPy": ("numpy_arrays", "NumpyPeer", "numpy"),
    "PyTorch": ("pytorch", "PytorchPeer", "torch"),
    "PyTorch channels last": ("pytorch", "ChannelsLastPytorchPeer", "torch"),
    "PyTorch compiled": ("pytorch", "CompiledPytorchPeer", "torch"),
    "JAX": ("jax_scan", "JaxPeer", "jax"),
    "JAX steps": ("jax_steps", "JaxStepsPeer", "jax"),
    "scikit-learn": ("scikit_learn", "ScikitLearnPeer", "scikit-learn"),
    "ONNX Runtime": ("onnx_runtime", "OnnxRuntimePeer", "onnxruntime and onnx"),
    "fastnet CUDA": ("fastnet_network", "CudaFastnetPeer", "numba-cuda and a GPU"),
    "PyTorch CUDA": ("pytorch", "CudaPytorchPeer", "torch with CUDA and a GPU"),
    "PyTorch CUDA graph": ("pytorch", "CudaGraphPytorchPeer", "torch with CUDA and a GPU"),
    "JAX CUDA": ("jax_scan", "CudaJaxPeer", "jax[cuda13] and a GPU"),
}


class Peer(ABC):
    """One library with one workload, in "float32" or "float64"; `load`, then `reset`, come first.

    `optimizers` are those it trains with. Who has "adam" there takes part in the fits, too. `networks` are the sorts of
    networks that it has, "dense", "convolutional" and "recurrent", and `regularisations` what may stand behind its
    hidden layers.
    """

    optimizers: tuple[str, ...] = ("sgd",)
    networks: tuple[str, ...] = ("dense",)
    regularisations: tuple[str, ...] = ()

    def __init__(self, workload: Workload, dtype: str):
        self.workload = workload
        self.dtype = dtype

    @staticmethod
    @abstractmethod
    def version() -> str:
        """Name and number of what runs."""

    @abstractmethod
    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        """Take the samples X (m, *input_shape) and classes y (m,), or (m, t) of steps, into arrays of its own, and make
        the network; never timed."""

    @abstractmethod
    def reset(self, weights: Weights) -> None:
        """Go (back) to these weights, and to states of 0, as if there had been no step yet; never timed."""

    @abstractmethod
    def train(self, epochs: int) -> None:
        """So many passes over the samples in their order; returns when they are done."""

    def fit(self) -> None:
        """All of the workload as a user of the library writes it; returns when it is done.

        That is: make a network with first weights of its own, and train it on the samples, shuffled in each epoch.
        """
        raise NotImplementedError(f"{type(self).__name__} fits nothing")

    @abstractmethod
    def weights(self) -> Weights:
        """The weights as they are now."""

    @abstractmethod
    def predict(self) -> Any:
        """Probabilities of all loaded samples; returns when they are there."""

    def advance(self) -> Any:
        """The same of a recurrent network and sequences of one step, with states that go on from call to call."""
        raise NotImplementedError(f"{type(self).__name__} keeps no states")


def peer_class(name: str) -> type[Peer]:
    """The class of a contestant; ImportError where its library is missing."""
    module, attribute, _ = PEERS[name]
    found: type[Peer] = getattr(importlib.import_module(f".{module}", __package__), attribute)
    return found
