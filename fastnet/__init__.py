"""fastnet trains and runs neural networks at the speed of the machine.

>>> import fastnet as fn
>>> X, y = fn.datasets.digits()
>>> net = fn.Network([fn.Dense(64, "relu"), fn.Dense(10, "softmax")])
>>> history = net.fit(X, y, epochs=5, verbose=False)
>>> int(net.predict(X[:1])[0])
0
"""

import typing as _typing
from pathlib import Path as _Path

from fastnet_kernels.distribution import warn_of_mixture as _warn_of_mixture

from . import callbacks, datasets, losses, metrics, plots, schedules, tables
from .callbacks import CSVLogger, EarlyStopping, LearningRateLogger, ModelCheckpoint, TensorBoard
from .exchange import from_onnx, from_sklearn, from_torch, to_torch
from .execution.cpu.device import set_num_threads
from .gradient_check import check_gradients
from .layers import BatchNorm, Dense, Dropout, LayerNorm, MaxPool1D, MaxPool2D, Rescale
from .logistic import LogisticRegression
from .network import Network, load
from .optimizers import SGD, Adam, AdamW, RMSProp
from .storage.model_file import ModelFileError
from .tables import TableModel
from .training.history import History
from .training.steps import DivergenceError

__version__ = "0.1.0"

_warn_of_mixture(_Path(__file__).parent)

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "BatchNorm",
    "CSVLogger",
    "Dense",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "History",
    "LayerNorm",
    "LearningRateLogger",
    "LogisticRegression",
    "MaxPool1D",
    "MaxPool2D",
    "ModelCheckpoint",
    "ModelFileError",
    "Network",
    "RMSProp",
    "Rescale",
    "TableModel",
    "TensorBoard",
    "callbacks",
    "check_gradients",
    "compare",
    "datasets",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "load",
    "losses",
    "metrics",
    "plots",
    "schedules",
    "set_num_threads",
    "tables",
    "to_torch",
]

if _typing.TYPE_CHECKING:
    from .benchmarks.comparison import compare
else:

    def __getattr__(name):
        """`compare`, once it is asked for: few programs do, and it brings every kernel as a subject of measurement."""
        if name != "compare":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .benchmarks.comparison import compare

        globals()[name] = compare
        return compare


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
