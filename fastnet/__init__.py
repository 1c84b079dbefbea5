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

from . import callbacks, datasets, losses, metrics, plots, schedules
from .callbacks import CSVLogger, EarlyStopping, LearningRateLogger, ModelCheckpoint, TensorBoard
from .execution.cpu.device import set_num_threads
from .gradient_check import check_gradients
from .layers import (
    GRU,
    LSTM,
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    LayerNorm,
    Masking,
    MaxPool1D,
    MaxPool2D,
    Recurrent,
    Rescale,
    Reshape,
    Residual,
)
from .logistic import LogisticRegression
from .network import Network, load
from .optimizers import SGD, Adam, AdamW, RMSProp
from .storage.model_file import ModelFileError
from .training.history import History
from .training.steps import DivergenceError

__version__ = "0.1.0"

_warn_of_mixture(_Path(__file__).parent)

__all__ = [
    "GRU",
    "LSTM",
    "SGD",
    "Adam",
    "AdamW",
    "AveragePool1D",
    "AveragePool2D",
    "BatchNorm",
    "CSVLogger",
    "Conv1D",
    "Conv2D",
    "Dense",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "Flatten",
    "GlobalAveragePool1D",
    "GlobalAveragePool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "History",
    "LayerNorm",
    "LearningRateLogger",
    "LogisticRegression",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "ModelCheckpoint",
    "ModelFileError",
    "Network",
    "RMSProp",
    "Recurrent",
    "Rescale",
    "Reshape",
    "Residual",
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
    from . import tables
    from .benchmarks.comparison import compare
    from .exchange.onnx import from_onnx
    from .exchange.pytorch import from_torch, to_torch
    from .exchange.scikit_learn import from_sklearn
    from .tables import TableModel
else:
    _LATER = {
        "TableModel": "tables",
        "compare": "benchmarks.comparison",
        "from_onnx": "exchange.onnx",
        "from_sklearn": "exchange.scikit_learn",
        "from_torch": "exchange.pytorch",
        "tables": "tables",
        "to_torch": "exchange.pytorch",
    }

    def __getattr__(name):
        """What few programs ask for, once they do: `compare` brings every kernel as a subject of measurement."""
        if name not in _LATER:
            from .other_names import hint_for

            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint_for(name)}")
        import importlib

        module = importlib.import_module(f".{_LATER[name]}", __name__)
        globals()[name] = module if name == _LATER[name] else getattr(module, name)
        return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
