"""What happened in training, epoch by epoch."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from .. import html
from ..metrics import direction


class History(dict[str, list[float]]):
    """Lists by name, each with one entry an epoch, NaN where nothing was measured.

    "cost" (the mean over the epoch's mini-batches, each taken before its update) and "seconds" (of training, without
    compilation); "accuracy" for classification or "r2" for regression; with validation data also "validation_cost"
    and "validation_accuracy" or "validation_r2"; and what other metrics and callbacks add. It is a dict, so that
    `pandas.DataFrame(history)` is a table with a row an epoch.

    Parameters
    ----------
    lists : mapping of lists, or names of lists that are still empty

    Examples
    --------
    >>> import fastnet as fn
    >>> history = fn.History({"cost": [0.7, 0.5]})
    >>> history.add("learning_rate", 0.1)
    >>> history
    History(2 epochs; last: cost=0.5, learning_rate=0.1)
    >>> history["learning_rate"]
    [nan, 0.1]
    """

    def __init__(self, lists: Mapping[str, Iterable[float]] | Iterable[str] = ()):
        given = lists if isinstance(lists, Mapping) else dict.fromkeys(lists, ())
        super().__init__({name: list(values) for name, values in given.items()})
        # Whether a metric of one's own should become small, "min", or large, "max", where it says so.
        self.directions: dict[str, str] = {}
        # The lists that the training, or the last call of `fit`, adds to: others are of earlier calls.
        self.measured: list[str] = list(self)

    def direction(self, name: str) -> str | None:
        """Whether the list `name` should fall, "min", or grow, "max"; None where nobody knows."""
        return self.directions.get(name.removeprefix("validation_")) or direction(name)

    @property
    def epochs(self) -> int:
        """How many epochs there are: the length of "cost"."""
        return len(self.get("cost", ()))

    def add(self, name: str, value: float) -> None:
        """Set the last epoch's entry of the list `name`, which begins with NaN where it is new.

        Raises ValueError before the first epoch has ended.
        """
        if not self.epochs:
            raise ValueError(f"no epoch has ended yet, which {name}={value!r} could belong to: add it after an epoch")
        self._pad([name], self.epochs)
        self[name][-1] = float(value)

    def extend(self, name: str, values: Sequence[float]) -> None:
        """Begin epochs with their "cost", or set the last epochs' entries of another list."""
        start = self.epochs - (0 if name == "cost" else len(values))
        self._pad([name], start)
        self[name][start:] = values

    def declare(self, names: Iterable[str]) -> None:
        """Make the lists that are not there yet, in this order, with NaN for the epochs before."""
        self._pad([name for name in names if name not in self], self.epochs)

    def complete(self, names: Iterable[str] | None = None) -> None:
        """Give each list, or those of these `names`, one entry an epoch: NaN at the end where nothing was added."""
        names, epochs = list(self) if names is None else names, self.epochs
        self._pad(names, epochs)
        for name in names:
            del self[name][epochs:]

    def keep(self, epochs: int) -> None:
        """Forget what is beyond so many epochs."""
        for values in self.values():
            del values[epochs:]

    def _pad(self, names: Iterable[str], epochs: int) -> None:
        for name in names:
            values = self.setdefault(name, [])
            if len(values) < epochs:
                values.extend([math.nan] * (epochs - len(values)))

    def __repr__(self) -> str:
        if not self.epochs:
            return "History(no epochs)"
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.items() if name != "seconds" and values)
        return f"History({self.epochs} epochs; last: {last})"

    def _repr_html_(self) -> str:
        if not self.epochs:
            return escape(repr(self))
        names = [name for name, values in self.items() if name != "seconds" and values]
        return html.table(
            ["", "first", "best", "last"],
            [[name, f"{self[name][0]:.4g}", self._best(name), f"{self[name][-1]:.4g}"] for name in names],
            aligned="lrrr",
            caption=f"{self.epochs} epochs" + f", {_sum(self['seconds']):.3g} s" * ("seconds" in self),
            drawings=[html.sparkline(self[name]) for name in names],
        )

    def _best(self, name: str) -> str:
        """The best number of a list and the first epoch that has it; nothing where nobody knows which way is better."""
        direction, epochs = self.direction(name), [i for i, value in enumerate(self[name]) if not math.isnan(value)]
        if direction is None or not epochs:
            return ""
        best = (min if direction == "min" else max)(epochs, key=self[name].__getitem__)
        return f"{self[name][best]:.4g} (epoch {best + 1})"

    def plot(self, names: str | Sequence[str] = "cost", *, ax: Any = None) -> Any:
        """Draw lists by epoch with matplotlib (extra `[plot]`), as `fastnet.plots.history` does; returns the axes.

        Raises ValueError for a name that is not in the history.
        """
        from ..plots import history

        return history(self, names, ax=ax)


def _sum(seconds: Iterable[float]) -> float:
    return sum(value for value in seconds if not math.isnan(value))
