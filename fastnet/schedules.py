"""Learning rates that change while training: by the step, or by how training goes.

A schedule is asked once for all steps of a call of the compiled program. Any callable that takes a step, 0, 1, 2, ...,
and returns a number does as well.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .checks import known, positive_integer, real_number, whole_number
from .metrics import direction
from .shown import as_call

_History = Mapping[str, Sequence[float]]


class Schedule:
    """A learning rate for every step.

    Subclasses have `rates`, and may say two things about themselves that training asks for:

    needs_total : bool
        Whether rates depend on how many steps the whole training has. Training refuses such a schedule where nobody
        knows, with a generator of unknown length, say.
    follows_history : bool
        Whether rates depend on the history, or on anything else but the step, so that they are asked for anew in each
        epoch. True unless a subclass says that it is False.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnet as fn
    >>> class OneOverRoot(fn.schedules.Schedule):
    ...     follows_history = False
    ...
    ...     def rates(self, first, last, total, history):
    ...         return 0.1 / np.sqrt(1 + np.arange(first, last))
    >>> optimizer = fn.SGD(OneOverRoot())
    """

    needs_total: bool = False
    follows_history: bool = True

    def rates(self, first: int, last: int, total: int | None, history: _History) -> np.ndarray:
        """(last - first,) float64: those of steps `first` to `last`, of `total` in the whole training, if it is known.

        They are finite, and 0 or more.
        """
        raise NotImplementedError


def checked_rates(schedule: Schedule, first: int, last: int, total: int | None, history: _History) -> np.ndarray:
    """What the schedule gives for these steps, (last - first,) float64.

    Raises
    ------
    ValueError, TypeError
        For rates that are no real numbers, below 0, NaN or infinite, or of another shape.
    """
    given = np.asarray(schedule.rates(first, last, total, history))
    if given.dtype.kind not in "buif":
        raise TypeError(f"{schedule!r} gives {given.dtype} as learning rates: return an array of numbers")
    if given.shape != (last - first,):
        raise ValueError(
            f"{schedule!r} gives learning rates of shape {given.shape}: return one for each of the steps {first} to "
            f"{last}, ({last - first},)"
        )
    rates = given.astype(np.float64)
    wrong = ~(np.isfinite(rates) & (rates >= 0))
    if wrong.any():
        step = int(wrong.argmax())
        raise ValueError(f"{schedule!r} gives the learning rate {rates[step]} at step {first + step}: return 0 or more")
    return rates


class _Formula(Schedule):
    """A formula of the steps, and of how many there are in all."""

    follows_history = False

    def at(self, steps: np.ndarray, total: int | None) -> Any:
        """Of each of the `steps`, or one for all."""
        raise NotImplementedError

    def rates(self, first: int, last: int, total: int | None, history: _History) -> np.ndarray:
        rates = np.arange(first, last, dtype=np.float64)
        rates[:] = self.at(rates, total)
        return rates


@dataclass(frozen=True, repr=False)
class _Constant(_Formula):
    rate: float

    def at(self, steps: np.ndarray, total: int | None) -> Any:
        return self.rate

    def __repr__(self) -> str:
        return as_call(self, "constant")


def constant(rate: float) -> Schedule:
    """The same `rate`, above 0, for all steps. A plain number means the same."""
    return _Constant(real_number("learning_rate", rate, above=0))


@dataclass(frozen=True, repr=False)
class _Step(_Formula):
    rate: float
    every: int = field(kw_only=True)
    factor: float = 0.1

    def at(self, steps: np.ndarray, total: int | None) -> Any:
        return self.rate * self.factor ** (steps // self.every)

    def __repr__(self) -> str:
        return as_call(self, "step")


def step(rate: float, *, every: int, factor: float = 0.1) -> Schedule:
    """`rate`, multiplied with `factor` after each `every` steps.

    >>> import fastnet as fn
    >>> fn.schedules.step(1.0, every=2, factor=0.5).rates(0, 5, 5, {}).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    rate, factor = real_number("rate", rate, above=0), real_number("factor", factor, above=0)
    return _Step(rate, every=positive_integer("every", every), factor=factor)


@dataclass(frozen=True, repr=False)
class _Exponential(_Formula):
    rate: float
    factor: float = field(kw_only=True)

    def at(self, steps: np.ndarray, total: int | None) -> Any:
        return self.rate * self.factor**steps

    def __repr__(self) -> str:
        return as_call(self, "exponential")


def exponential(rate: float, *, factor: float) -> Schedule:
    """`rate`, multiplied with `factor` after each step.

    >>> import fastnet as fn
    >>> fn.schedules.exponential(1.0, factor=0.5).rates(0, 3, 3, {}).tolist()
    [1.0, 0.5, 0.25]
    """
    rate, factor = real_number("rate", rate, above=0), real_number("factor", factor, above=0)
    return _Exponential(rate, factor=factor)


@dataclass(frozen=True, repr=False)
class _Cosine(_Formula):
    rate: float
    warmup: int = 0
    steps: int | None = None
    last: float = 0.0

    @property
    def needs_total(self) -> bool:  # type: ignore[override]
        return self.steps is None

    def at(self, steps: np.ndarray, total: int | None) -> Any:
        in_all = self.steps or total
        if not in_all:
            raise ValueError(
                f"{self!r} falls over all steps of the training, and nobody knows how many there are: give steps=..."
            )
        share = np.clip((steps - self.warmup) / max(1, in_all - self.warmup), 0, 1)
        falling = self.last + (self.rate - self.last) * (1 + np.cos(math.pi * share)) / 2
        return np.where(steps < self.warmup, self.rate * (steps + 1) / max(1, self.warmup), falling)

    def __repr__(self) -> str:
        return as_call(self, "cosine")


def cosine(rate: float, *, warmup: int = 0, steps: int | None = None, last: float = 0.0) -> Schedule:
    """From `rate` to `last` along half a cosine (Loshchilov and Hutter, 2017), after `warmup` steps of linear growth.

    `steps` is how many there are in all, warm-up included; by default as many as this training has, which must be
    known then. Later steps stay at `last`.

    >>> import fastnet as fn
    >>> fn.schedules.cosine(1.0, warmup=2, steps=6).rates(0, 6, 6, {}).round(3).tolist()
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    rate, last = real_number("rate", rate, above=0), real_number("last", last, at_least=0)
    warmup = whole_number("warmup", warmup)
    if steps is not None:
        steps = positive_integer("steps", steps)
        if steps <= warmup:
            raise ValueError(f"steps={steps} are no more than warmup={warmup}: nothing would be left for the cosine")
    return _Cosine(rate, warmup, steps, last)


@dataclass(frozen=True, repr=False)
class _OnPlateau(Schedule):
    rate: float
    factor: float = 0.1
    patience: int = 10
    monitor: str = "validation_cost"
    mode: str | None = None
    least: float = 0.0

    def rates(self, first: int, last: int, total: int | None, history: _History) -> np.ndarray:
        measured = getattr(history, "measured", history)  # in training, without lists of earlier calls
        if self.monitor not in measured:
            raise ValueError(
                f"monitor={self.monitor!r} will not be in the history: choose one of {', '.join(measured)}"
            )
        mode = self.mode or getattr(history, "direction", direction)(self.monitor)
        if mode is None:
            raise ValueError(f"monitor={self.monitor!r} may be meant to fall or to grow: give mode='min' or mode='max'")
        sign = -1 if mode == "max" else 1
        rate, best, waited = self.rate, math.inf, 0
        for value in itertools.dropwhile(math.isnan, history[self.monitor]):  # from the first that was measured on
            now = math.inf if math.isnan(value) else sign * value
            waited = 0 if now < best else waited + 1
            best = min(best, now)
            if waited > self.patience:
                rate, waited = max(self.least, rate * self.factor), 0
        return np.full(last - first, rate)

    def __repr__(self) -> str:
        return as_call(self, "reduce_on_plateau")


def reduce_on_plateau(
    rate: float, *, factor: float = 0.1, patience: int = 10, monitor: str = "validation_cost", mode: str | None = None,
    least: float = 0.0,
) -> Schedule:  # fmt: skip
    """`rate`, multiplied with `factor` whenever `monitor` has not become better for more than `patience` epochs.

    `monitor` is a list of the history. Whether it should become small or large, `mode` says, "min" or "max"; what
    fastnet itself measures needs none, nor do metrics with `greater_is_better`. NaN is worst. The rate is never
    below `least`.

    Raises
    ------
    ValueError, TypeError
        For settings out of their bounds; and when training begins, for a `monitor` that will not be in the history, or
        needs a `mode`.

    >>> import fastnet as fn
    >>> fn.schedules.reduce_on_plateau(1.0, patience=1).rates(0, 1, 9, {"validation_cost": [3, 2, 2, 2]}).tolist()
    [0.1]
    """
    rate, factor = real_number("rate", rate, above=0), real_number("factor", factor, above=0)
    if factor >= 1:
        raise ValueError(f"factor={factor} does not make the rate smaller: give a share below 1")
    least = real_number("least", least, at_least=0)
    if mode is not None:
        known("mode", mode, ("min", "max"))
    return _OnPlateau(rate, factor, whole_number("patience", patience), monitor, mode, least)


@dataclass(frozen=True, repr=False)
class _OfCallable(Schedule):
    function: Callable[[int], Any]
    follows_history = False

    def rates(self, first: int, last: int, total: int | None, history: _History) -> np.ndarray:
        return np.array([self._at(step) for step in range(first, last)], np.float64)

    def _at(self, step: int) -> float:
        rate = self.function(step)
        if getattr(rate, "ndim", None) == 0:  # an array of one number, or a tensor
            rate = rate.item()
        return real_number("learning rate", rate, at_least=0)

    def __repr__(self) -> str:
        return getattr(self.function, "__name__", repr(self.function))


def as_schedule(given: object) -> Schedule:
    """A number, a schedule, or a callable of the step, as a schedule; TypeError for anything else."""
    if isinstance(given, Schedule):
        return given
    if isinstance(given, type):
        raise TypeError(f"learning_rate={given!r} is a class: give a schedule that it makes, {given.__name__}(...)")
    if callable(given):
        return _OfCallable(given)
    return constant(real_number("learning_rate", given, above=0))
