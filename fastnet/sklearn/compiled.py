"""A fastnet network with the weights of an estimator: what scikit-learn computes in NumPy, by the compiled program."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from fastnet_kernels import codes

from ..data.samples import ROWS_AT_ONCE
from ..exchange.scikit_learn import SKLEARN_ACTIVATIONS
from ..execution.device import NO_ORDER, Updates
from ..layers import Dense
from ..network import Network
from ..optimizers import SGD, Adam, Optimizer
from ..training.steps import SECONDS_A_CALL, clock

_DENSE_BYTES = 1 << 26  # of a sparse matrix, made dense at a time


def _rows_of(X: Any, rows: Any) -> np.ndarray:
    """Rows of an array or of a sparse matrix, as the program reads them."""
    found = X[rows]
    return np.ascontiguousarray(found.toarray() if hasattr(found, "toarray") else found)


class CompiledPerceptron:
    """The network of an estimator, and `coefs` and `intercepts`: its own parameters, in scikit-learn's shapes.

    A mini-batch costs what it does there: its loss, plus `alpha` / 2 times the squared weights over the number of
    samples, or the sum of their weights. So the layers have l2 = 1, and each step its factor.
    """

    def __init__(self, key: tuple[Any, ...], *, is_penalised: bool = False) -> None:
        """A network for a `key_of` weights; their values are for `load`."""
        shapes, dtype, activation, out_activation = key
        names = [activation] * (len(shapes) - 1) + [out_activation]
        layers = [
            Dense(shape[1], SKLEARN_ACTIVATIONS[name], l2=float(is_penalised))
            for shape, name in zip(shapes, names, strict=True)
        ]
        self.key, self.is_penalised, self.alpha = key, is_penalised, 0.0
        self.is_regression = out_activation == "identity"
        self.network = Network(layers, dtype=dtype).build(shapes[0][0])
        parameters = self.network.parameters
        numbers = range(1, len(shapes) + 1)
        self.coefs = [parameters[f"W{number}"].T for number in numbers]
        self.intercepts = [parameters[f"b{number}"] for number in numbers]

    @staticmethod
    def key_of(coefs: Sequence[np.ndarray], dtype: np.dtype, activation: str, out_activation: str) -> tuple[Any, ...]:
        """What a network is made for; for another key it is another network."""
        return tuple(coef.shape for coef in coefs), dtype, activation, out_activation

    @property
    def dtype(self) -> np.dtype:
        return self.network.dtype

    def holds(self, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> bool:
        """Whether these arrays are the network's own parameters."""
        mine, given = (*self.coefs, *self.intercepts), (*coefs, *intercepts)
        return len(mine) == len(given) and all(a is b for a, b in zip(mine, given, strict=True))

    def load(self, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> None:
        """Copy weights into the network; ValueError for other shapes than its own."""
        pairs = list(zip((*self.coefs, *self.intercepts), (*coefs, *intercepts), strict=True))
        for mine, given in pairs:
            if mine.shape != np.shape(given):
                raise ValueError(f"coefs_ or intercepts_ hold an array of shape {np.shape(given)}, not {mine.shape}")

        def write() -> None:
            for mine, given in pairs:
                np.copyto(mine, given, casting="unsafe")

        self.network.alone(write)

    # ---------------------------------------------------------------- use

    def outputs(self, X: Any) -> np.ndarray:
        """The output layer's activations (m, n_outputs), of an array or a sparse matrix."""
        if not hasattr(X, "toarray"):
            return self._outputs(X)
        rows = max(1, _DENSE_BYTES // max(1, X.shape[1] * self.dtype.itemsize))
        return np.concatenate([self._outputs(_rows_of(X, slice(i, i + rows))) for i in range(0, X.shape[0], rows)])

    def _outputs(self, X: np.ndarray) -> np.ndarray:
        rows = np.ascontiguousarray(X, self.dtype)
        nothing = np.empty((len(rows), 1), self.dtype)  # no targets: one row a sample
        return self.network.outputs_of(self.network.as_batches(rows, nothing, ROWS_AT_ONCE))

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

    def penalty(self, total: float) -> float:
        """alpha / 2 times the sum of W^2, over `total`: the number of samples, or the sum of their weights."""
        return self.alpha * self.network.penalty() / total

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
        settings[codes.PENALTY_FACTOR] = self.alpha / total
        costs, scores = np.zeros((2, 1))
        nothing = self.network.device.nothing
        updates = Updates(settings, np.zeros(1), (nothing, nothing))
        self.network.run(codes.GRADIENT, batches, 0, 1, updates=updates, costs=costs, scores=scores)
        return float(self.losses_of(costs[0], self.penalty(total)))

    def gradients(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Of coefs and intercepts, as the last `gradient` has left them."""
        found = self.network.gradients_found()
        numbers = range(1, len(self.coefs) + 1)
        return [found[f"W{number}"].T for number in numbers], [found[f"b{number}"] for number in numbers]


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


class Training:
    """Epochs of mini-batches in a given order, with a solver of scikit-learn; it goes on from call to call."""

    def __init__(self, compiled: CompiledPerceptron, estimator: Any) -> None:
        optimizer = _optimizer_of(estimator)
        self.settings = optimizer.settings()
        if self.settings[codes.OPTIMIZER] == codes.MOMENTUM:
            self.settings[codes.FIRST_DECAY] = estimator.momentum  # may be 1 here
        size, network = compiled.network.buffer.size, compiled.network
        states = [np.zeros(size, network.dtype) for _ in range(optimizer.n_states)]
        first, second = [*states, network.device.nothing, network.device.nothing][:2]
        self.states = first, second
        self.steps, self.learning_rate = 0, 0.0
        self._seconds_a_step = 1e-3  # until it is measured
        self.is_velocity = self.settings[codes.OPTIMIZER] == codes.MOMENTUM

    def epochs(
        self, compiled: CompiledPerceptron, X: Any, Y: np.ndarray, sample_weight: np.ndarray | None, batch_size: int
    ) -> Callable[[np.ndarray | None, float], float]:
        """A function that trains on all samples once, in an order and at a learning rate, and returns the mean loss.

        That is NaN if the loss of a mini-batch is NaN or infinite; and so are, from then on, all weights, which the
        estimator's `fit` refuses at its end.
        """
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

        def epoch(order: np.ndarray | None, learning_rate: float) -> float:
            self._take_rate(learning_rate)
            total: float = math.fsum(self._steps(compiled, piece) for piece in pieces(order))
            return np.float64(total / m)

        return epoch

    def _take_rate(self, learning_rate: float) -> None:
        """scikit-learn's velocity holds the rates of the steps it came from; this one is multiplied by today's."""
        if self.is_velocity and self.learning_rate not in (0.0, learning_rate):
            self.states[0][...] *= self.learning_rate / learning_rate
        self.learning_rate = learning_rate

    def _steps(self, compiled: CompiledPerceptron, given: MiniBatches) -> float:
        """The sum of all samples' losses."""
        network, batches = compiled.network, given.batches
        costs, scores, penalties = np.zeros((3, batches.steps))
        rates = np.full(batches.steps, self.learning_rate)
        before = self.steps
        for first, last in given.runs:
            if given.one_by_one:
                penalties[first] = compiled.penalty(given.totals[first])
            self.settings[codes.PENALTY_FACTOR] = compiled.alpha / given.totals[first]
            updates = Updates(self.settings, rates, self.states, before)
            while first < last:  # in calls of about 50 ms, between which Ctrl-C can come
                end = min(last, first + max(1, int(SECONDS_A_CALL / self._seconds_a_step)))
                begun = clock()
                reached = network.run(
                    codes.TRAIN, batches, first, end, updates=updates, costs=costs, scores=scores,
                    repeats=batches.steps == 1,
                )  # fmt: skip
                if reached < end:
                    network.alone(lambda: network.buffer.fill(np.nan))
                    return math.nan
                self._seconds_a_step = max(1e-7, (clock() - begun) / (end - first))
                self.steps, first = before + end, end
        self.steps = before + batches.steps
        if compiled.averages_outputs and not given.one_by_one:
            penalties = costs - scores / (2 * given.sizes)  # scores are sums of squared errors
        losses: np.ndarray = compiled.losses_of(costs, penalties)
        return float(losses @ given.sizes)


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
