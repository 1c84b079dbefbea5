"""Recurrent layers."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from fastnet_kernels import codes

from ..checks import flag, known, positive_integer
from .base import Parameter, Shape, Steps, shown_shape
from .weighted import PenalisedLayer

_CELLS = {"tanh": codes.TANH_CELL, "relu": codes.RELU_CELL}


class _Recurrent(PenalisedLayer):
    """What all kinds share: sequences (t, n_prev), a state h of `units` numbers, W (..., n + n_prev) and b.

    The first n columns of W are for the state of the step before, the others for the step's inputs.
    """

    kind: ClassVar[int] = codes.RECURRENT
    wgrad: ClassVar[int] = codes.WGRAD_STEPS
    begins_number: ClassVar[bool] = True
    uses_shape: ClassVar[bool] = True
    gates: ClassVar[int]  # numbers of each unit and step that are kept for the way back, as many as b has for a unit
    weight_gates: ClassVar[int]  # rows of W a unit

    units: int
    return_sequences: bool
    bidirectional: bool
    truncate: int | None

    @property
    def directions(self) -> int:
        """In how many directions it reads a sequence."""
        return 2 if self.bidirectional else 1

    @property
    def cell(self) -> int:
        """What it computes at each step, of `codes`."""
        raise NotImplementedError

    def check_settings(self) -> None:
        """Check the fields that all of them have; ValueError or TypeError says which is wrong."""
        self._set_checked(units=positive_integer("units", self.units))
        flag("return_sequences", self.return_sequences)
        flag("bidirectional", self.bidirectional)
        if self.truncate is not None:
            self._set_checked(truncate=positive_integer("truncate", self.truncate))
        self.check_penalties()

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise ValueError(
                f"it takes sequences (m, t, n), and gets {shown_shape(shape)}: give samples of t steps of n numbers, "
                "X.reshape(m, t, 1) of a series, and return_sequences=True to a recurrent layer below"
            )
        n = self.directions * self.units
        return Steps((shape[0], n)) if self.return_sequences else (n,)

    def parameters(self, shape: Shape) -> list[Parameter]:
        n, n_prev = self.units, shape[1]
        rows = self.directions * self.weight_gates * n

        def draw_weights(rng: np.random.Generator) -> np.ndarray:
            of_state = np.vstack([_orthogonal(rng, n) for _ in range(rows // n)])
            return np.hstack([of_state, rng.standard_normal((rows, n_prev)) * math.sqrt(1 / n_prev)])

        W = Parameter("W", (rows, n + n_prev), codes.W_OFFSET, is_trained=self.trainable, draw=draw_weights)
        b = Parameter(
            "b",
            (self.directions * self.gates * n,),
            codes.B_OFFSET,
            is_trained=self.trainable,
            draw=lambda _: np.tile(self._first_biases(), self.directions),
        )
        return [W, b]

    def _first_biases(self) -> np.ndarray:
        return np.zeros(self.gates * self.units)

    def uses_of_weights(self, shape: Shape) -> int:
        return shape[0]

    @property
    def state_size(self) -> int:
        """h, and of an LSTM c behind it."""
        return self.directions * self.units * (2 if self.cell == codes.LSTM_CELL else 1)

    @property
    def sees_other_steps(self) -> bool:
        return self.bidirectional

    def kept_size(self, shape: Shape) -> int:
        """Gates of all steps, the state before the first, dh and its copy, and the states that are not in A; of an LSTM
        its cells, from before the first step on, their tanh, and dc and its copy."""
        of_states = 0 if self.return_sequences else 1
        of_cells = 2 if self.cell == codes.LSTM_CELL else 0
        each_step, more = self.gates + of_states + of_cells, 3 if not of_cells else 6
        return self.directions * self.units * (shape[0] * each_step + more)

    def describe(self, row: np.ndarray, settings: np.ndarray, shape: Shape) -> None:
        super().describe(row, settings, shape)
        row[codes.CELL], row[codes.STEPS] = self.cell, shape[0]
        row[codes.TRUNCATE] = self.truncate or 0
        row[codes.RETURNS_SEQUENCES], row[codes.DIRECTIONS] = self.return_sequences, self.directions

    def shown_settings(self) -> str:
        kept = "all steps" if self.return_sequences else "last step"
        return ", ".join(
            [
                *self._shown_cell(),
                kept,
                *["both directions"] * self.bidirectional,
                *self._shown_truncation(),
                *self.shown_penalties(),
            ]
        )

    def _shown_truncation(self) -> list[str]:
        return [] if self.truncate is None else [f"truncated to {self.truncate}"]

    def _shown_cell(self) -> list[str]:
        return []


def _orthogonal(rng: np.random.Generator, n: int) -> np.ndarray:
    """A random orthogonal matrix (n, n): no state grows or shrinks by it."""
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    return Q * np.where(np.diag(R) < 0, -1.0, 1.0)


@dataclass(frozen=True, repr=False)
class Recurrent(_Recurrent):
    """A recurrent layer of plain units: h[t] = g(W [h[t-1], x[t]] + b), from sequences (m, t, n_prev).

    After Elman (1990); in the course a<t> = g(W_a [a<t-1>, x<t>] + b_a). Before the first step h is 0.

    Parameters
    ----------
    units : int
        Numbers n of the state h: W is (n, n + n_prev), its first n columns for the state; b is (n,).
    nonlinearity : str
        g, "tanh" or "relu".
    return_sequences : bool
        Whether the states of all steps are the output, (m, t, n), or the last one, (m, n). Layers behind a sequence
        work at each of its steps, `Dense` too; `Flatten` makes features of it.
    bidirectional : bool
        Whether sequences are read from their ends as well, by W and b of their own (Schuster and Paliwal, 1997): these
        stand below the others, and the output has 2 n numbers, at each step or of the last step of either direction.
    truncate : int, optional
        Training takes sequences in pieces of as many steps: a state comes over from piece to piece, but derivatives do
        not go back (truncated back-propagation through time; Williams and Peng, 1990).
    l1, l2 : float
        Add l1 sum |W| + l2 / 2 sum W^2 to the cost, at least 0.
    trainable : bool
        Whether training changes W and b.

    Raises
    ------
    ValueError, TypeError
        For settings that cannot be; and by `fit` and `build`, if samples are no sequences.

    Notes
    -----
    Of W the part for the state begins orthogonal, that for the inputs as of "xavier" of `Dense`.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Recurrent(32).output_shape((50, 8)), fn.Recurrent(32, return_sequences=True).output_shape((50, 8))
    ((32,), (50, 32))
    """

    gates: ClassVar[int] = 1
    weight_gates: ClassVar[int] = 1

    units: int
    nonlinearity: str = "tanh"
    return_sequences: bool = False
    bidirectional: bool = False
    truncate: int | None = None
    l1: float = 0.0
    l2: float = 0.0
    trainable: bool = True

    def __post_init__(self) -> None:
        known("nonlinearity", self.nonlinearity, _CELLS)
        self.check_settings()

    @property
    def cell(self) -> int:
        return _CELLS[self.nonlinearity]

    def _shown_cell(self) -> list[str]:
        return [self.nonlinearity]


@dataclass(frozen=True, repr=False)
class _Gated(_Recurrent):
    """The settings of layers with gates, whose nonlinearities are fixed."""

    units: int
    return_sequences: bool = False
    bidirectional: bool = False
    truncate: int | None = None
    l1: float = 0.0
    l2: float = 0.0
    trainable: bool = True

    def __post_init__(self) -> None:
        self.check_settings()


@dataclass(frozen=True, repr=False)
class LSTM(_Gated):
    """A layer of long short-term memory, from sequences (m, t, n_prev).

    With v = [h[t-1], x[t]] and sigma the sigmoid, at each step

        i = sigma(W_i v + b_i), f = sigma(W_f v + b_f), g = tanh(W_g v + b_g), o = sigma(W_o v + b_o)
        c[t] = f * c[t-1] + i * g
        h[t] = o * tanh(c[t])

    after Hochreiter and Schmidhuber (1997) and Gers, Schmidhuber and Cummins (2000). Before the first step
    h and c are 0.

    Parameters
    ----------
    units : int
        Numbers n of the state h: W is (4 n, n + n_prev), rows for i, f, g and o, columns for state and inputs; b is
        (4 n,).
    return_sequences, bidirectional, truncate, l1, l2, trainable
        As of `Recurrent`.

    Raises
    ------
    ValueError, TypeError
        As of `Recurrent`.

    Notes
    -----
    First weights are those of `Recurrent`, gate by gate; b begins at 0, and at 1 of f, so that cells last (Jozefowicz,
    Zaremba and Sutskever, 2015).

    Examples
    --------
    >>> import fastnet as fn
    >>> net = fn.Network([fn.LSTM(128), fn.Dense(1, "sigmoid")]).build((100, 32))
    >>> net.parameters["W1"].shape, net.parameters["b1"].shape
    ((512, 160), (512,))
    """

    gates: ClassVar[int] = 4
    weight_gates: ClassVar[int] = 4

    @property
    def cell(self) -> int:
        return codes.LSTM_CELL

    def _first_biases(self) -> np.ndarray:
        return np.repeat([0.0, 1.0, 0.0, 0.0], self.units)


@dataclass(frozen=True, repr=False)
class GRU(_Gated):
    """A layer of gated recurrent units, from sequences (m, t, n_prev).

    With v = [h[t-1], x[t]] and sigma the sigmoid, at each step

        r = sigma(W_r v + b_r), z = sigma(W_z v + b_z)
        n = tanh(W_nx x[t] + b_n + r * (W_nh h[t-1] + b_nh))
        h[t] = (1 - z) * n + z * h[t-1]

    after Cho et al. (2014), with the reset gate r behind the product, as cuDNN and PyTorch have it. Before the first
    step h is 0.

    Parameters
    ----------
    units : int
        Numbers n of the state h: W is (3 n, n + n_prev), rows for r, z and the candidate n, columns for state and
        inputs; b is (4 n,), of r, z, n and nh.
    return_sequences, bidirectional, truncate, l1, l2, trainable
        As of `Recurrent`.

    Raises
    ------
    ValueError, TypeError
        As of `Recurrent`.

    Notes
    -----
    First weights are those of `Recurrent`, gate by gate; b begins at 0.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.GRU(256, return_sequences=True).output_shape((100, 64))
    (100, 256)
    """

    gates: ClassVar[int] = 4
    weight_gates: ClassVar[int] = 3

    @property
    def cell(self) -> int:
        return codes.GRU_CELL
