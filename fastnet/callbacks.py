"""What can be done after each epoch: `callback(epoch, history, network)`, which stops training by returning True.

Any callable will do; what it returns is True, or else False or None. Those with more to say may also have

- `check(history)`, which raises what training would end in, before anything changes: `history` has the lists that there
  will be;
- `start(network, history)` and `finish(network, history)`, which are called around the whole training, however it ends;
- `end(network, history)`, before `finish`, if training has come to its end by itself: all epochs are trained, or a
  callback has stopped it. After Ctrl-C or an error it has not, and may be resumed.
- `stops(history)`: whether a training that is resumed with this history has nothing to do, as it was stopped before;
- `state_dict()` and `load_state_dict(state)`: what the callback has to remember when training is resumed, also from a
  file: a dict of numbers, strings, lists, dicts and NumPy arrays; of arrays that it changes in place it gives copies.
  `load_state_dict` comes before `start`, if there is something to remember.

Those that have a `state_dict`, and `LearningRateLogger`, are called first, so that a checkpoint of the same epoch has
what they remember; the others in the order given.
"""

import csv
import inspect
import io
import math
import os
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .checks import flag, known, positive_integer, real_number
from .storage.writing import check_writable, replacing
from .training.history import History

Callback = Callable[[int, History, Any], Any]


class _Monitored:
    """A list of the history, in which smaller or larger numbers are better."""

    def __init__(self, name: str, mode: str | None) -> None:
        self.name, self.mode = name, mode
        if mode is not None:
            known("mode", mode, ("min", "max"))

    def check(self, history: History) -> None:
        """ValueError if the history has no such list, or it is not known which way it should go."""
        if self.name not in history.measured:
            hint = "give fit validation_data, or " if self.name.startswith("val") else ""
            raise ValueError(
                f"monitor={self.name!r} will not be in the history: {hint}choose one of {', '.join(history.measured)}"
            )
        if self.mode is None and history.direction(self.name) is None:
            raise ValueError(f"monitor={self.name!r} may be meant to fall or to grow: give mode='min' or mode='max'")

    def values(self, history: History) -> list[float]:
        """One for each epoch, turned so that smaller is better, and NaN is worst."""
        sign = -1 if (self.mode or history.direction(self.name)) == "max" else 1
        return [math.inf if math.isnan(value) else sign * value for value in history[self.name]]


@dataclass
class EarlyStopping:
    """Stop when `monitor` has not become better, by more than `min_delta`, for `patience` epochs.

    Parameters
    ----------
    monitor : str
        A list of the history.
    patience : int
        At least 1.
    min_delta : float
        At least 0.
    restore_best : bool
        Whether the network goes back to the parameters of the best epoch when training ends by itself. After Ctrl-C it
        keeps those of the last step, so that training can be resumed; `restore` goes back then.
    mode : str, optional
        "min" if `monitor` should fall, "max" if it should grow. Costs and errors should fall, accuracy, r2, f1, auc,
        precision, recall and top_k grow; for anything else it must be given.

    Raises
    ------
    ValueError, TypeError
        For bad settings, and at the start of training for a `monitor` that will not be in the history, or of which it
        is not known whether it should fall.

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
    mode: str | None = None
    reason: str = field(default="", init=False, repr=False, compare=False)  # why training has been stopped
    _best: np.ndarray | None = field(default=None, init=False, repr=False, compare=False)
    # The one that `_best` is of; 0 for none, None where an older file did not say.
    _best_epoch: int | None = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.patience = positive_integer("patience", self.patience)
        self.min_delta = real_number("min_delta", self.min_delta, at_least=0)
        flag("restore_best", self.restore_best)
        self._monitored = _Monitored(self.monitor, self.mode)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; forget everything where `state` is empty, or of another monitor."""
        best = state.get("best")
        is_mine = state.get("monitor") in (self.monitor, None) and isinstance(best, np.ndarray)
        self._best = np.array(best) if is_mine else None
        self._best_epoch = state.get("epoch") if is_mine and self._best is not None else 0
        self.reason = ""

    def state_dict(self) -> dict[str, Any]:
        """The best epoch, and its parameters where they are to be restored."""
        state: dict[str, Any] = {"monitor": self.monitor, "epoch": self._best_epoch}
        return state if self._best is None else state | {"best": self._best}

    def check(self, history: History) -> None:
        self._monitored.check(history)
        self.load_state_dict({})  # nothing of an earlier training

    def start(self, network: Any, history: History) -> None:
        best, buffer = self._best, network.buffer
        if best is not None and (best.shape, best.dtype) != (buffer.shape, buffer.dtype):  # of another network
            self._best, self._best_epoch = None, 0
        best_epoch, _ = self._look_back(history)
        if self.restore_best and self._best_epoch is not None and best_epoch != self._best_epoch:
            # What is remembered is not of the best epoch: but if that is the last one, the network itself has its
            # parameters.
            self._keep(network, best_epoch if best_epoch == history.epochs else 0)

    def __call__(self, epoch: int, history: History, network: Any) -> bool:
        _, since = self._look_back(history)
        if since == 0 or history.epochs == 1:
            self._keep(network, history.epochs)
        return self.stops(history)

    def stops(self, history: History) -> bool:
        """Whether training is to stop after the epochs of the history: a resumed one then makes no further one."""
        best_epoch, since = self._look_back(history)
        if since < self.patience:
            return False
        value = history[self.monitor][best_epoch - 1] if best_epoch else math.nan
        self.reason = (
            f"{self.monitor} has not become better for {since} epochs; its best is {value:.4g}, in epoch {best_epoch}"
            + (", whose parameters the network has" if self.restore_best else "")
        )
        return True

    def end(self, network: Any, history: History) -> None:
        if self.restore_best:
            self.restore(network)

    def restore(self, network: Any) -> None:
        """Put the parameters of the best epoch into the network, if they are known. `fit(resume=True)` still goes on
        from those of the last one."""
        if self._best is not None:
            network.put_back(self._best)

    def _keep(self, network: Any, epoch: int) -> None:
        self._best = network.buffer.copy() if self.restore_best and epoch else None
        self._best_epoch = epoch

    def _look_back(self, history: History) -> tuple[int, int]:
        """The best epoch, 0 for none, and how many there have been since."""
        best, best_epoch, since = math.inf, 0, 0
        for epoch, value in enumerate(self._monitored.values(history), start=1):
            since += 1
            if value < best - self.min_delta:
                best, best_epoch, since = value, epoch, 0
        return best_epoch, since


_EPOCH = re.compile(r"\{epoch(:[^{}]*)?\}")


@dataclass
class ModelCheckpoint:
    """Save the network, with all that `fit(resume=True)` needs, after epochs; the file is replaced whole or not at all.

    Parameters
    ----------
    path : str or path
        "{epoch}" in it becomes the epoch's number, "{epoch:03d}" the same in three digits at least. The folder must be
        there.
    monitor : str
        A list of the history, for `best_only`; see `EarlyStopping`.
    best_only : bool
        Whether only an epoch better than all before it is saved.
    every : int
        Of how many epochs one is saved; with `best_only`, if it is better than all before it, those that were not
        saved included.
    mode : str, optional
        "min" or "max", as of `EarlyStopping`.

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
    mode: str | None = None

    def __post_init__(self) -> None:
        self.every = positive_integer("every", self.every)
        flag("best_only", self.best_only)
        self._monitored = _Monitored(self.monitor, self.mode)
        try:
            self._path_of(1)
        except ValueError as error:
            raise ValueError(
                f"path={os.fsdecode(self.path)!r} cannot be filled in ({error}): write the epoch's number as {{epoch}} "
                "or {epoch:03d}"
            ) from None

    def _path_of(self, epoch: int) -> str:
        path = _EPOCH.sub(lambda found: format(epoch, (found[1] or ":")[1:]), os.fsdecode(self.path))
        other = re.search(r"\{[^{}]*\}", path)
        if other is not None:
            raise ValueError(f"{other[0]} is not known")
        return path

    def check(self, history: History) -> None:
        if self.best_only:
            self._monitored.check(history)
        check_writable(self._path_of(1))

    def __call__(self, epoch: int, history: History, network: Any) -> None:
        if epoch % self.every == 0 and (not self.best_only or self._is_best(history)):
            network.save(self._path_of(epoch), training=True)

    def _is_best(self, history: History) -> bool:
        *before, last = self._monitored.values(history)
        return last < min(before, default=math.inf) or history.epochs == 1


class LearningRateLogger:
    """Add the learning rate of each epoch's last step to the history, as "learning_rate"."""

    def __call__(self, epoch: int, history: History, network: Any) -> None:
        history.add("learning_rate", network.learning_rate)


@dataclass
class CSVLogger:
    """Write the history to a CSV file after each epoch: a row an epoch, the file always whole."""

    path: str | os.PathLike[str]

    def check(self, history: History) -> None:
        check_writable(self.path)

    def __call__(self, epoch: int, history: History, network: Any) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *history])
        # A list that a callback keeps by itself may be short or long, until all have been called.
        n = history.epochs
        lists = [[*values[:n], *[math.nan] * (n - len(values))] for values in history.values()]
        writer.writerows([number, *row] for number, row in enumerate(zip(*lists, strict=True), start=1))
        with replacing(self.path, is_log=True) as file:
            file.write(text.getvalue().encode())


@dataclass
class TensorBoard:
    """Write the history for TensorBoard, with the SummaryWriter of tensorboardX or of PyTorch, which must be there."""

    folder: str | os.PathLike[str]
    _writer: Any = field(default=None, init=False, repr=False)

    def start(self, network: Any, history: History) -> None:
        self._writer = _summary_writer()(os.fspath(Path(self.folder)))

    def __call__(self, epoch: int, history: History, network: Any) -> None:
        for name, values in history.items():
            if len(values) == history.epochs and not math.isnan(values[-1]):
                self._writer.add_scalar(name, values[-1], epoch)

    def finish(self, network: Any, history: History) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


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


# ---------------------------------------------------------------- for training


def checked(callbacks: Any) -> list[Callback]:
    """The callbacks as a list; TypeError for what cannot be called."""
    if callable(callbacks) or not isinstance(callbacks, Sequence):
        raise TypeError(f"callbacks={callbacks!r} is no list: give [{callbacks!r}]")
    found = list(callbacks)
    for callback in found:
        if isinstance(callback, type):
            raise TypeError(f"callback {callback.__name__} is a class: give {callback.__name__}(...)")
        if not callable(callback):
            raise TypeError(f"callback {callback!r} cannot be called: give a function of epoch, history and network")
        try:
            inspect.signature(callback).bind(1, History(), None)
        except TypeError:
            raise TypeError(
                f"callback {callback!r} takes other arguments: it is called as callback(epoch, history, network)"
            ) from None
        except ValueError:  # of something that does not say what it takes
            pass
    return found


def check_all(callbacks: Sequence[Callback], history: History) -> None:
    """Let the callbacks raise what training would end in."""
    for callback in callbacks:
        check = getattr(callback, "check", None)
        if check is not None:
            check(history)


def in_order(callbacks: Sequence[Callback]) -> list[Callback]:
    """The order in which they are called: first those with a memory, which checkpoints save."""

    def has_memory(callback: Callback) -> bool:
        return hasattr(callback, "state_dict") or isinstance(callback, LearningRateLogger)

    return sorted(callbacks, key=has_memory, reverse=True)


def names_of(callbacks: Sequence[Callback]) -> list[str]:
    """What the training's state calls them: by their kind, and from the second of a kind on by number."""
    names: list[str] = []
    for callback in callbacks:
        kind = type(callback).__name__
        count = sum(name.split(" ")[0] == kind for name in names)
        names.append(f"{kind} {count + 1}" if count else kind)
    return names


def stops_training(callback: Callback, returned: object) -> bool:
    """Whether what a callback has returned means to stop: only True does."""
    if returned is None or isinstance(returned, bool | np.bool_):
        return bool(returned)
    raise TypeError(
        f"callback {reprlib.repr(callback)} returned {reprlib.repr(returned)}: return True to stop training, and "
        "otherwise False or None"
    )
