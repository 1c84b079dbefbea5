"""What can be done after each epoch: `callback(epoch, history, network)`, which stops training by returning True.

Any callable will do. The classes here may also have `start(network, history)` and `finish(network, history)`, which are
called around the whole training.
"""

import csv
import io
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checks import positive_integer, real_number, whole_number
from .history import History

if TYPE_CHECKING:
    from .network import Network

Callback = Callable[[int, History, "Network"], Any]

_SHOULD_GROW = ("accuracy", "r2", "f1", "auc", "precision", "recall", "top_")


def _watched(history: History, monitor: str) -> list[float]:
    """The list `monitor` of the history, turned so that smaller is better, and NaN is worst."""
    if monitor not in history:
        raise ValueError(f"monitor={monitor!r} is not in the history: choose one of {', '.join(history)}")
    name = monitor.removeprefix("validation_")
    sign = -1 if name.startswith(_SHOULD_GROW) else 1
    return [math.inf if math.isnan(value) else sign * value for value in history[monitor]]


def _is_best(history: History, monitor: str) -> bool:
    """Whether the last epoch is better than all before it."""
    *before, last = _watched(history, monitor)
    return last < min(before, default=math.inf)


@dataclass
class EarlyStopping:
    """Stop when `monitor` has not become better, by more than `min_delta`, for `patience` epochs.

    Parameters
    ----------
    monitor : str
        A list of the history. Costs and errors should fall, accuracy, r2, f1, auc, precision and recall grow.
    patience : int
        At least 1.
    min_delta : float
        At least 0.
    restore_best : bool
        Whether the network goes back to the parameters of the best epoch when training ends, however it ends.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.digits()
    >>> net = fn.Network([fn.Dense(32, "relu"), fn.Dense(10, "softmax")])
    >>> stop = fn.EarlyStopping(patience=2)
    >>> history = net.fit(
    ...     X[:1000], y[:1000], epochs=500, validation_data=(X[1000:], y[1000:]), callbacks=[stop], verbose=False
    ... )
    >>> history.epochs < 500
    True
    """

    monitor: str = "validation_cost"
    patience: int = 5
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        self.patience = positive_integer("patience", self.patience)
        self.min_delta = real_number("min_delta", self.min_delta, at_least=0)

    def start(self, network: "Network", history: History) -> None:
        _watched(history, self.monitor)

    def __call__(self, epoch: int, history: History, network: "Network") -> bool:
        best, since = math.inf, 0
        for value in _watched(history, self.monitor):
            since = 0 if value < best - self.min_delta else since + 1
            best = value if since == 0 else best
        if self.restore_best and (since == 0 or history.epochs == 1):
            assert network.training is not None
            network.training.best = network.buffer.copy()
        return since >= self.patience

    def finish(self, network: "Network", history: History) -> None:
        if self.restore_best and network.training is not None and network.training.best is not None:
            network.buffer[:] = network.training.best


@dataclass
class ModelCheckpoint:
    """Save the network, with all that `fit(resume=True)` needs, after epochs; the file is replaced whole or not at all.

    Parameters
    ----------
    path : str or path
        "{epoch}" in it becomes the epoch's number.
    monitor : str
        A list of the history, for `best_only`; see `EarlyStopping`.
    best_only : bool
        Whether only an epoch better than all before it is saved.
    every : int
        Of how many epochs one is saved.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastnet as fn
    >>> X, y = fn.datasets.planar()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "best.safetensors")
    ...     keep = fn.ModelCheckpoint(path, monitor="cost")
    ...     history = fn.LogisticRegression().fit(X, y, epochs=2, callbacks=[keep], verbose=False)
    ...     fn.load(path).n_inputs
    2
    """

    path: str | os.PathLike[str]
    monitor: str = "validation_cost"
    best_only: bool = True
    every: int = 1

    def __post_init__(self) -> None:
        self.every = positive_integer("every", self.every)

    def start(self, network: "Network", history: History) -> None:
        if self.best_only:
            _watched(history, self.monitor)

    def __call__(self, epoch: int, history: History, network: "Network") -> None:
        if epoch % self.every == 0 and (not self.best_only or _is_best(history, self.monitor) or history.epochs == 1):
            network.save(os.fspath(self.path).replace("{epoch}", str(epoch)), training=True)


class LearningRateLogger:
    """Add the learning rate of each epoch's last step to the history, as "learning_rate"."""

    def __call__(self, epoch: int, history: History, network: "Network") -> None:
        history.add("learning_rate", network.learning_rate)


@dataclass
class CSVLogger:
    """Write the history to a CSV file after each epoch: a row an epoch, the file always whole."""

    path: str | os.PathLike[str]

    def __call__(self, epoch: int, history: History, network: "Network") -> None:
        from .writing import replacing

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *history])
        lists = [[math.nan] * (history.epochs - len(values)) + values for values in history.values()]
        writer.writerows([number, *values] for number, values in enumerate(zip(*lists, strict=True), start=1))
        with replacing(self.path) as file:
            file.write(text.getvalue().encode())


@dataclass
class TensorBoard:
    """Write the history for TensorBoard, with the SummaryWriter of tensorboardX or of PyTorch, which must be there."""

    folder: str | os.PathLike[str]
    _writer: Any = field(default=None, init=False, repr=False)

    def start(self, network: "Network", history: History) -> None:
        self._writer = _summary_writer()(os.fspath(Path(self.folder)))

    def __call__(self, epoch: int, history: History, network: "Network") -> None:
        for name, values in history.items():
            self._writer.add_scalar(name, values[-1], whole_number("epoch", epoch))

    def finish(self, network: "Network", history: History) -> None:
        self._writer.close()


def _summary_writer() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "TensorBoard needs a writer: pip install tensorboardX, or torch and tensorboard"
            ) from error
    return SummaryWriter


def checked(callbacks: Any) -> list[Callback]:
    """The callbacks as a list; TypeError for what cannot be called."""
    found = list(callbacks)
    for callback in found:
        if isinstance(callback, type) or not callable(callback):
            raise TypeError(
                f"callback {callback!r} is no callable: give a function of epoch, history and network, or ...()"
            )
    return found
