"""Learning rates that change while training: by the step, or by how training goes.

A schedule is asked once for all steps of a call of the compiled program. Any callable that takes a step, 0, 1, 2, ...,
and returns a number does as well.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .checks import positive_integer, real_number, whole_number

_History = Mapping[str, Sequence[float]]


class Schedule:
    """A learning rate for every step."""

    def rates(self, first: int, last: int, total: int, history: _History) -> np.ndarray:
        """(last - first,) float64: those of steps `first` to `last`, of `total` in the whole training."""
        raise NotImplementedError


@dataclass(frozen=True)
class _OfSteps(Schedule):
    """A formula of the steps, and of how many there are in all."""

    formula: Callable[[np.ndarray, int], np.ndarray]
    text: str

    def rates(self, first: int, last: int, total: int, history: _History) -> np.ndarray:
        steps = np.arange(first, last, dtype=np.float64)
        return np.array(np.broadcast_to(self.formula(steps, total), steps.shape), np.float64)

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _OfCallable(Schedule):
    function: Callable[[int], float]

    def rates(self, first: int, last: int, total: int, history: _History) -> np.ndarray:
        return np.array([real_number("learning rate", self.function(step), at_least=0) for step in range(first, last)])


def constant(rate: float) -> Schedule:
    """The same `rate`, above 0, for all steps. A plain number means the same."""
    rate = real_number("learning_rate", rate, above=0)
    return _OfSteps(lambda steps, total: np.asarray(rate), f"constant({rate:g})")


def step(rate: float, *, every: int, factor: float = 0.1) -> Schedule:
    """`rate`, multiplied with `factor` after each `every` steps.

    >>> import fastnet as fn
    >>> fn.schedules.step(1.0, every=2, factor=0.5).rates(0, 5, 5, {}).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    rate, factor = real_number("rate", rate, above=0), real_number("factor", factor, above=0)
    every = positive_integer("every", every)
    return _OfSteps(lambda steps, total: rate * factor ** (steps // every), f"step({rate:g}, every={every})")


def exponential(rate: float, *, factor: float) -> Schedule:
    """`rate`, multiplied with `factor` after each step.

    >>> import fastnet as fn
    >>> fn.schedules.exponential(1.0, factor=0.5).rates(0, 3, 3, {}).tolist()
    [1.0, 0.5, 0.25]
    """
    rate, factor = real_number("rate", rate, above=0), real_number("factor", factor, above=0)
    return _OfSteps(lambda steps, total: rate * factor**steps, f"exponential({rate:g}, factor={factor:g})")


def cosine(rate: float, *, warmup: int = 0, steps: int | None = None, last: float = 0.0) -> Schedule:
    """From `rate` to `last` along half a cosine (Loshchilov and Hutter, 2017), after `warmup` steps of linear growth.

    `steps` is how many there are in all, warm-up included; by default as many as this training has. Later steps stay
    at `last`.

    >>> import fastnet as fn
    >>> fn.schedules.cosine(1.0, warmup=2, steps=6).rates(0, 6, 6, {}).round(3).tolist()
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    rate, last = real_number("rate", rate, above=0), real_number("last", last, at_least=0)
    warmup = whole_number("warmup", warmup)
    if steps is not None and positive_integer("steps", steps) <= warmup:
        raise ValueError(f"steps={steps} are no more than warmup={warmup}: nothing would be left for the cosine")

    def formula(given: np.ndarray, total: int) -> np.ndarray:
        length = max(1, (total if steps is None else steps) - warmup)
        share = np.clip((given - warmup) / length, 0, 1)
        falling = last + (rate - last) * (1 + np.cos(math.pi * share)) / 2
        found: np.ndarray = np.where(given < warmup, rate * (given + 1) / max(1, warmup), falling)
        return found

    return _OfSteps(formula, f"cosine({rate:g}, warmup={warmup})")


@dataclass(frozen=True)
class _OnPlateau(Schedule):
    rate: float
    factor: float
    patience: int
    monitor: str
    least: float

    def rates(self, first: int, last: int, total: int, history: _History) -> np.ndarray:
        if self.monitor not in history:
            raise ValueError(f"monitor={self.monitor!r} is not in the history: choose one of {', '.join(history)}")
        rate, best, waited = self.rate, math.inf, 0
        for value in history[self.monitor]:
            if math.isnan(value):  # nothing was measured
                continue
            waited = 0 if value < best else waited + 1
            best = min(best, value)
            if waited > self.patience:
                rate, waited = max(self.least, rate * self.factor), 0
        return np.full(last - first, rate)


def reduce_on_plateau(
    rate: float, *, factor: float = 0.1, patience: int = 10, monitor: str = "validation_cost", least: float = 0.0
) -> Schedule:
    """`rate`, multiplied with `factor` whenever `monitor` has not become smaller for more than `patience` epochs.

    `monitor` is a list of the history, one of those that should fall; the rate is never below `least`.

    >>> import fastnet as fn
    >>> fn.schedules.reduce_on_plateau(1.0, patience=1).rates(0, 1, 9, {"validation_cost": [3, 2, 2, 2]}).tolist()
    [0.1]
    """
    rate, factor = real_number("rate", rate, above=0), real_number("factor", factor, above=0)
    if factor >= 1:
        raise ValueError(f"factor={factor} does not make the rate smaller: give a share below 1")
    return _OnPlateau(
        rate, factor, whole_number("patience", patience), monitor, real_number("least", least, at_least=0)
    )


def as_schedule(given: object) -> Schedule:
    """A number, a schedule, or a callable of the step, as a schedule; TypeError for anything else."""
    if isinstance(given, Schedule):
        return given
    if callable(given):
        return _OfCallable(given)
    return constant(real_number("learning_rate", given, above=0))
