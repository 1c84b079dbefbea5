"""A fastnet network with the weights of an estimator: what scikit-learn computes in NumPy, by the compiled program."""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from fastnet_kernels import codes

from ..data.samples import ROWS_AT_ONCE
from ..exchange.scikit_learn import SKLEARN_ACTIVATIONS
from ..execution.device import NO_ORDER, Updates
from ..layers import Dense, Layer
from ..network import Network
from ..optimizers import SGD, Adam, Optimizer
from ..training.steps import SECONDS_A_CALL, clock
from .keywords import hidden_layers

_DENSE_BYTES = 1 << 26  # of a sparse matrix, made dense at a time


def _rows_of(X: Any, rows: Any) -> np.ndarray:
    """Rows of an array or of a sparse matrix, as the program reads them."""
    found = X[rows]
    return np.ascontiguousarray(found.toarray() if hasattr(found, "toarray") else found)


class Key(NamedTuple):
    """What a network is made for; for another key it is another network."""

    shapes: tuple[tuple[int, ...], ...]  # of `coefs_`
    dtype: np.dtype
    activation: str  # by scikit-learn's names, of the hidden layers
    out_activation: str
    batch_norm: bool
    dropout: tuple[float, ...]  # the rate behind each hidden layer
    hidden: tuple[Layer, ...] | None  # the hidden layers, where they are given
    device: str

    def layers(self, l2: float) -> list[Layer]:
        """All layers, with the penalty l2 on the weights of those that are Dense; 0 leaves them as they are."""
        hidden = self.hidden
        if hidden is None:
            sizes = [shape[1] for shape in self.shapes[:-1]]
            hidden = hidden_layers(sizes, self.activation, batch_norm=self.batch_norm, rates=self.dropout)
        output = Dense(self.shapes[-1][1], SKLEARN_ACTIVATIONS[self.out_activation])
        return [
            dataclasses.replace(layer, l2=l2) if layer.is_dense and l2 else layer  # type: ignore[call-arg]
            for layer in (*hidden, output)
        ]


class CompiledPerceptron:
    """The network of an estimator; `coefs` and `intercepts` are its own parameters, in scikit-learn's shapes.

    `normalisations` are those of other layers than Dense, by name. A mini-batch costs what it does in scikit-learn: its
    loss, plus `alpha` / 2 times the squared weights over the number of samples, or the sum of their weights. So the
    layers have a penalty l2, of whatever size, and each step its factor.
    """

    def __init__(self, key: Key, *, l2: float = 0.0, seed: int = 0) -> None:
        """A network with first weights of `seed`, whose Dense layers have the penalty l2."""
        self.key, self.l2, self.alpha = key, l2, 0.0
        self.is_regression = key.out_activation == "identity"
        self.network = Network(key.layers(l2), dtype=key.dtype, device=key.device, seed=seed).build(key.shapes[0][0])
        parameters = self.network.parameters
        numbers = range(1, len(key.shapes) + 1)
        self.coefs = [parameters[f"W{number}"].T for number in numbers]
        self.intercepts = [parameters[f"b{number}"] for number in numbers]
        of_dense = {f"{letter}{number}" for letter in "Wb" for number in numbers}
        self.normalisations = {name: array for name, array in parameters.items() if name not in of_dense}

    @property
    def dtype(self) -> np.dtype:
        return self.network.dtype

    def _pairs(
        self, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray], normalisations: Mapping[str, np.ndarray]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Its own parameters, each with the one given; ValueError if there is not one for each."""
        mine, given = (*self.coefs, *self.intercepts), (*coefs, *intercepts)
        if len(mine) != len(given) or self.normalisations.keys() != normalisations.keys():
            raise ValueError(
                f"coefs_, intercepts_ and normalisations_ hold {len(coefs)}, {len(intercepts)} and "
                f"{sorted(normalisations)}, and the layers have {len(self.coefs)} of each and "
                f"{sorted(self.normalisations)}"
            )
        pairs = list(zip(mine, given, strict=True))
        return pairs + [(array, normalisations[name]) for name, array in self.normalisations.items()]

    def holds(self, *given: Any) -> bool:
        """Whether these coefs, intercepts and normalisations are the network's own parameters."""
        try:
            return all(mine is array for mine, array in self._pairs(*given))
        except ValueError:
            return False

    def load(self, *given: Any) -> None:
        """Copy coefs, intercepts and normalisations into the network; ValueError for other shapes than its own."""
        pairs = self._pairs(*given)
        for mine, array in pairs:
            if mine.shape != np.shape(array):
                raise ValueError(f"coefs_ or intercepts_ hold an array of shape {np.shape(array)}, not {mine.shape}")

        def write() -> None:
            for mine, array in pairs:
                np.copyto(mine, array, casting="unsafe")

        self.network.alone(write)

    # ---------------------------------------------------------------- use

    def outputs(self, X: Any) -> np.ndarray:
        """The output layer's activations (m, n_outputs), of an array or a sparse matrix."""
        if not hasattr(X, "toarray"):
            return self._outputs(X)
        return np.concatenate([self._outputs(_rows_of(X, piece)) for piece in self._pieces(X)])

    def _pieces(self, X: Any) -> list[slice]:
        """All of an array; of a sparse matrix as many rows at a time as are made dense."""
        m, n = X.shape
        rows = max(1, _DENSE_BYTES // max(1, n * self.dtype.itemsize)) if hasattr(X, "toarray") else m
        return [slice(first, min(m, first + rows)) for first in range(0, m, rows)]

    def _outputs(self, X: np.ndarray) -> np.ndarray:
        rows = np.ascontiguousarray(X, self.dtype)
        nothing = np.empty((len(rows), 1), self.dtype)  # no targets: one row a sample
        return self.network.outputs_of(self.network.as_batches(rows, nothing, ROWS_AT_ONCE))

    def evaluated(self, X: Any, Y: np.ndarray, sample_weight: np.ndarray | None) -> tuple[float, float]:
        """The mean loss, weighted, with the layers' penalty as it is; and the sum of the scores."""
        m, penalty, cost, score = len(Y), self.network.penalty(), 0.0, 0.0
        weights = None
        if sample_weight is not None:
            total = float(sample_weight.sum())
            weights = np.ascontiguousarray(sample_weight * (m / total if total else math.nan), self.dtype)
        for piece in self._pieces(X):
            rows = np.ascontiguousarray(_rows_of(X, piece), self.dtype)
            given = None if weights is None else weights[piece]
            batches = self.network.as_batches(rows, Y[piece], ROWS_AT_ONCE, given)
            found, scores = self.network.evaluated(batches)
            cost, score = cost + (found - penalty) * (len(rows) / m), score + float(scores)
        return float(self.losses_of(cost + penalty, penalty)), score

    # ---------------------------------------------------------------- training

    def targets(self, y: np.ndarray) -> np.ndarray:
        """y (m, n_outputs) as the program reads it: of softmax the index of the class."""
        if self.network.loss == "cross_entropy":
            y = y.argmax(axis=1)[:, np.newaxis]
        return np.ascontiguousarray(y, self.dtype)

    @property
    def averages_outputs(self) -> bool:
        """Whether the reported loss is the mean over outputs, while the gradient is of their sum: squared errors."""
        return self.is_regression and len(self.intercepts[-1]) > 1

    def factor(self, total: float) -> float:
        """Of the layers' penalties in a step of `total` samples, or with weights of this sum; their own count whole."""
        return self.alpha / total / self.l2 if self.alpha else 1.0

    def penalty(self, total: float) -> float:
        """alpha / 2 times the sum of W^2, over `total`: the number of samples, or the sum of their weights."""
        found = self.network.penalty()
        return self.alpha * (found / self.l2) / total if self.alpha else found

    def losses_of(self, costs: Any, penalties: Any) -> Any:
        """scikit-learn's losses of costs that include these penalties."""
        if not self.averages_outputs:
            return costs
        return (costs - penalties) / len(self.intercepts[-1]) + penalties

    def gradient(self, X: np.ndarray, Y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """The loss of all samples, whose gradient is then in `gradients()`."""
        m = len(X)
        total = float(m if sample_weight is None else sample_weight.sum())
        weights = None if sample_weight is None else np.ascontiguousarray(sample_weight * (m / total), self.dtype)
        batches = self.network.as_batches(X, Y, None, weights)
        settings = SGD(1.0).settings()
        settings[codes.PENALTY_FACTOR] = self.factor(total)
        costs, scores = np.zeros((2, 1))
        nothing = self.network.device.nothing
        updates = Updates(settings, np.zeros(1), (nothing, nothing))
        self.network.run(codes.GRADIENT, batches, 0, 1, updates=updates, costs=costs, scores=scores)
        return float(self.losses_of(costs[0], self.penalty(total)))

    def gradients(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Of coefs and intercepts, as the last `gradient` has left them; 0 of those that are not trained."""
        found = self.network.gradients_found()
        W = [found[f"W{l}"].T if f"W{l}" in found else np.zeros_like(coef) for l, coef in enumerate(self.coefs, 1)]
        return W, [found.get(f"b{l}", np.zeros_like(intercept)) for l, intercept in enumerate(self.intercepts, 1)]


class MiniBatches:
    """Samples in mini-batches, with what scikit-learn divides each one's loss by, and runs of those alike."""

    def __init__(
        self, compiled: CompiledPerceptron, X: np.ndarray, Y: np.ndarray, sample_weight: np.ndarray | None,
        order: np.ndarray | None, batch_size: int,
    ) -> None:  # fmt: skip
        m, weights = len(X), None
        starts = np.arange(0, m, batch_size)
        self.sizes = np.minimum(batch_size, m - starts)
        self.totals = self.sizes.astype(np.float64)
        if sample_weight is not None:
            in_order = np.arange(m) if order is None else order
            given = sample_weight[in_order]
            self.totals = np.add.reduceat(given.astype(np.float64), starts)
            weights = np.empty(m, compiled.dtype)  # such that the mean is the weighted one
            weights[in_order] = given * np.repeat(self.sizes / np.where(self.totals != 0, self.totals, 1), self.sizes)
        self.one_by_one = compiled.averages_outputs and sample_weight is not None  # each with its penalty
        # A run of the program has one factor of penalties: where totals differ, another one begins.
        alike = np.arange(len(starts)) if self.one_by_one else self.totals
        bounds = [0, *(1 + np.flatnonzero(np.diff(alike))).tolist(), len(starts)]
        # Where all weights are 0 there is nothing to learn.
        self.runs = [run for run in itertools.pairwise(bounds) if self.totals[run[0]] != 0]
        self.batches = compiled.network.as_batches(X, Y, batch_size, weights)
        self.take_order(order)

    def take_order(self, order: np.ndarray | None) -> None:
        self.batches.order = NO_ORDER if order is None else order


class Epoch(NamedTuple):
    """What one epoch of training has come to."""

    loss: float  # the mean over all samples; NaN if that of a mini-batch is NaN or infinite
    score: float  # the sum over all samples of what their task counts
    seconds: float  # of training, without compilation


Rates = Callable[[int, int], np.ndarray]  # the learning rates of steps, from one to before another


class Training:
    """Epochs of mini-batches in a given order, with a solver of scikit-learn; it goes on from call to call."""

    def __init__(self, compiled: CompiledPerceptron, estimator: Any, dropout_seed: int = 0) -> None:
        optimizer = _optimizer_of(estimator)
        self.settings = optimizer.settings()
        if self.settings[codes.OPTIMIZER] == codes.MOMENTUM:
            self.settings[codes.FIRST_DECAY] = estimator.momentum  # may be 1 here
        size, network = compiled.network.buffer.size, compiled.network
        states = [np.zeros(size, network.dtype) for _ in range(optimizer.n_states)]
        first, second = [*states, network.device.nothing, network.device.nothing][:2]
        self.states = first, second
        self.steps, self.learning_rate, self.dropout_seed = 0, 0.0, dropout_seed
        self._seconds_a_step = 1e-3  # until it is measured
        self.is_velocity = self.settings[codes.OPTIMIZER] == codes.MOMENTUM

    def epochs(
        self, compiled: CompiledPerceptron, X: Any, Y: np.ndarray, sample_weight: np.ndarray | None, batch_size: int
    ) -> Callable[[np.ndarray | None, float | Rates], Epoch]:
        """A function that trains on all samples once, in an order and at a learning rate, or at one for each step.

        Where a loss is NaN or infinite all weights are NaN from then on, and the estimator's `fit` refuses them at its
        end.
        """
        # What joblib has mapped from a file cannot be written to.
        self.settings = np.require(self.settings, requirements="W")
        self.states = np.require(self.states[0], requirements="W"), np.require(self.states[1], requirements="W")
        compiled.network.prepare(self.settings)
        shape: tuple[int, int] = X.shape
        m, n = shape
        is_sparse = hasattr(X, "toarray")
        # The same in every epoch, but for the order; with weights, a mini-batch's total depends on the order.
        is_kept = not is_sparse and sample_weight is None
        kept = MiniBatches(compiled, X, Y, None, None, batch_size) if is_kept else None
        rows = max(1, _DENSE_BYTES // (n * compiled.dtype.itemsize) // batch_size) * batch_size

        def pieces(order: np.ndarray | None) -> Iterator[MiniBatches]:
            if kept is not None:
                kept.take_order(order)
                yield kept
                return
            if not is_sparse:
                yield MiniBatches(compiled, X, Y, sample_weight, order, batch_size)
                return
            for start in range(0, m, rows):
                chosen = slice(start, start + rows) if order is None else order[start : start + rows]
                weights = None if sample_weight is None else sample_weight[chosen]
                yield MiniBatches(compiled, _rows_of(X, chosen), Y[chosen], weights, None, batch_size)

        def epoch(order: np.ndarray | None, learning_rate: float | Rates) -> Epoch:
            rates = learning_rate if callable(learning_rate) else None
            if not callable(learning_rate):
                self._take_rate(learning_rate)
            done = [self._steps(compiled, piece, rates) for piece in pieces(order)]
            losses, scores, seconds = zip(*done, strict=True)
            return Epoch(np.float64(math.fsum(losses) / m), sum(scores), sum(seconds))

        return epoch

    def _take_rate(self, learning_rate: float) -> None:
        """scikit-learn's velocity holds the rates of the steps it came from; this one is multiplied by today's."""
        if self.is_velocity and self.learning_rate not in (0.0, learning_rate):
            self.states[0][...] *= self.learning_rate / learning_rate
        self.learning_rate = learning_rate

    def _steps(self, compiled: CompiledPerceptron, given: MiniBatches, rates: Rates | None) -> Epoch:
        """One epoch, or a piece of it; the loss is the sum over its samples."""
        network, steps = compiled.network, given.batches.steps
        costs, scores, penalties = np.zeros((3, steps))
        before = self.steps
        if rates is None:
            each = np.full(steps, self.learning_rate)
        else:
            each = rates(before, before + steps)
            self.learning_rate = float(each[-1])
        network.learning_rate = self.learning_rate
        # A penalty is of parameters that lie here.
        is_held = not given.one_by_one
        with network.device.holding(network.buffer, *self.states) if is_held else contextlib.nullcontext():
            seconds = self._run(compiled, given, each, costs, scores, penalties)
        self.steps = before + steps
        if math.isnan(seconds):
            network.alone(lambda: network.buffer.fill(np.nan))
            return Epoch(math.nan, math.nan, 0.0)
        if compiled.averages_outputs and not given.one_by_one:
            penalties = costs - scores / (2 * given.sizes)  # scores are sums of squared errors
        losses: np.ndarray = compiled.losses_of(costs, penalties)
        return Epoch(float(losses @ given.sizes), float(scores.sum()), seconds)

    def _run(
        self, compiled: CompiledPerceptron, given: MiniBatches, rates: np.ndarray, costs: np.ndarray,
        scores: np.ndarray, penalties: np.ndarray,
    ) -> float:  # fmt: skip
        """Run the steps, in calls of about 50 ms, between which Ctrl-C can come; returns seconds, or NaN for NaN."""
        network, batches, before, seconds = compiled.network, given.batches, self.steps, 0.0
        for first, last in given.runs:
            if given.one_by_one:
                penalties[first] = compiled.penalty(given.totals[first])
            self.settings[codes.PENALTY_FACTOR] = compiled.factor(given.totals[first])
            updates = Updates(self.settings, rates, self.states, before)
            while first < last:
                end = min(last, first + max(1, int(SECONDS_A_CALL / self._seconds_a_step)))
                begun = clock()
                reached = network.run(
                    codes.TRAIN, batches, first, end, updates=updates, costs=costs, scores=scores,
                    dropout_seed=self.dropout_seed, repeats=batches.steps == 1,
                )  # fmt: skip
                if reached < end:
                    return math.nan
                taken = clock() - begun
                self._seconds_a_step = max(1e-7, taken / (end - first))
                seconds += taken
                self.steps, first = before + end, end
        return seconds


def _optimizer_of(estimator: Any) -> Optimizer:
    """fastnet's, for the solver of an estimator; the rate comes with each epoch."""
    if estimator.solver == "adam":
        return Adam(
            beta1=float(estimator.beta_1), beta2=float(estimator.beta_2), epsilon=float(estimator.epsilon),
            epsilon_hat=True,
        )  # fmt: skip
    if not estimator.momentum:
        return SGD()
    return SGD(momentum=0.9, nesterov=bool(estimator.nesterovs_momentum))
