"""What happened in training, epoch by epoch."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class History(Mapping[str, list[float]]):
    """A mapping of lists with one entry an epoch.

    "cost" (the mean over the epoch's mini-batches, each taken before its update) and "seconds" (of training, without
    compilation); "accuracy" for classification or "r2" for regression; with validation data also "validation_cost"
    and "validation_accuracy" or "validation_r2"; and what other metrics and callbacks add.
    """

    def __init__(self, names: Iterable[str] = ()):
        self._lists: dict[str, list[float]] = {name: [] for name in names}

    @property
    def epochs(self) -> int:
        """How many epochs there are."""
        return len(self._lists.get("cost", ()))

    def add(self, name: str, value: float) -> None:
        """Add the last epoch's `value` to the list `name`, which begins with NaN where it is new."""
        values = self._lists.setdefault(name, [])
        values.extend([math.nan] * (self.epochs - 1 - len(values)))
        values.append(float(value))

    def extend(self, name: str, values: Iterable[float]) -> None:
        """Add `values` of several epochs to the list `name`."""
        self._lists.setdefault(name, []).extend(values)

    def __getitem__(self, name: str) -> list[float]:
        return self._lists[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lists)

    def __len__(self) -> int:
        return len(self._lists)

    def __repr__(self) -> str:
        if not self.epochs:
            return "History(no epochs)"
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.items() if name != "seconds")
        return f"History({self.epochs} epochs; last: {last})"

    def plot(self, ax: Any = None) -> Any:
        """Draw the cost curves with matplotlib (extra `[plot]`); returns the axes."""
        from .plots import plot_history

        return plot_history(self, ax)
