"""What both estimators override of scikit-learn's: their weights are a compiled network's, and so is what it computes.

What is overridden are private functions of scikit-learn 1.9: another version is to be looked at before it is allowed.
"""

import copy
import itertools
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import train_test_split
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils.validation import validate_data

from ..data.targets import Classification, Task
from ..exchange.scikit_learn import SKLEARN_ACTIVATIONS
from ..layers import Layer
from ..network import Network
from ..schedules import Schedule, checked_rates
from ..training.arguments import check_batch_sizes
from ..training.history import History
from .compiled import CompiledPerceptron, Epoch, Key, Rates, Training
from .keywords import (
    check_keywords,
    class_weights,
    dropout_rates,
    given_layers,
    hidden_sizes,
    schedule_of,
    threads,
)
from .observers import Observers, is_observed


class CompiledMixin:
    """What both estimators do by the compiled program, in place of scikit-learn's NumPy.

    After training, `coefs_`, `intercepts_` and `normalisations_` are views of the parameters of `_network`. Where other
    arrays stand in their place, as after unpickling or where somebody has put them there, these are copied into a
    second network for each use, and never into arrays that somebody may hold.
    """

    normalisations_: Mapping[str, np.ndarray] = MappingProxyType({})
    history_: History
    _best_coefs: list[np.ndarray] | None = None  # of early stopping
    _best_normalisations: Mapping[str, np.ndarray] = MappingProxyType({})
    _network: CompiledPerceptron | None = None
    _spare: CompiledPerceptron | None = None
    _training: Training | None = None
    _hidden: tuple[Layer, ...] | None = None  # the hidden layers that the weights are of, where `layers` has said them
    _dropout: tuple[float, ...] = ()  # the rates of the last training, and how many samples its mini-batches had
    _batch: int = 1
    _has_begun = False  # to change weights, in the call of `fit` that is running

    def _has_network(self) -> bool:
        """Whether fastnet has what this one computes: it has no exponential output, which a Poisson loss needs."""
        return self.out_activation_ in SKLEARN_ACTIVATIONS

    # ---------------------------------------------------------------- networks

    def _key(self, dtype: Any) -> Key:
        is_single = dtype in (np.float32, np.float16)
        kind = np.dtype(np.float32 if is_single else np.float64)
        shapes = tuple(coef.shape for coef in self.coefs_)
        has_batch_norm = self._hidden is None and bool(self.normalisations_)
        return Key(
            shapes,
            kind,
            self.activation,
            self.out_activation_,
            has_batch_norm,
            self._dropout,
            self._hidden,
            self.device,
        )

    @property
    def _weights(self) -> tuple[list[np.ndarray], list[np.ndarray], Mapping[str, np.ndarray]]:
        """All parameters, as `CompiledPerceptron` takes them."""
        return self.coefs_, self.intercepts_, self.normalisations_

    def _own(self, network: CompiledPerceptron) -> None:
        """From now on, all parameters are this network's."""
        self._network, self._spare = network, None
        self.coefs_, self.intercepts_ = list(network.coefs), list(network.intercepts)
        self.normalisations_ = dict(network.normalisations)

    def _network_for_use(self, X: Any) -> CompiledPerceptron:
        """A network with the present weights, in `dtype`, or in that of their products with X."""
        of_products = np.result_type(X.dtype, *self.coefs_, *self.intercepts_)
        key = self._key(of_products if self.dtype is None else np.dtype(self.dtype))
        own = self._network
        if own is not None and own.key == key and own.holds(*self._weights):
            return own
        if self._spare is None or self._spare.key != key:
            self._spare = CompiledPerceptron(key)
        self._spare.load(*self._weights)
        return self._spare

    def _network_to_train(self, units: list[int], dtype: Any, l2: float) -> CompiledPerceptron:
        """The network with the present weights, and the penalty l2; from now on the estimator's parameters are its own.

        ValueError where the keywords ask for other layers than the weights are of.
        """
        if [coef.shape for coef in self.coefs_] != list(itertools.pairwise(units)):
            found = [self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_)]
            name = "hidden_layer_sizes" if self.layers is None else "layers"
            raise ValueError(
                f"the weights are those of layers of {found} units, and {name} and y ask for "
                f"{units}: a model goes on with the sizes that it has, so use warm_start=False, or a new one"
            )
        self._hidden, self._dropout = given_layers(self), tuple(dropout_rates(self))
        key = self._key(dtype)._replace(batch_norm=self.batch_norm)
        own = self._network
        if own is None or not own.holds(*self._weights) or own.key != key or own.l2 != l2:
            own = CompiledPerceptron(key, l2=l2)
            try:
                own.load(*self._weights)
            except ValueError as error:
                raise ValueError(f"{error}: to go on with other layers, use warm_start=False, or a new model") from None
            self._own(own)
        own.alpha = float(self.alpha)
        return own

    def _task(self, task: Task) -> Task:
        """A network's task, with the labels of this classifier."""
        if isinstance(task, Classification) and len(self.classes_) == task.n_classes:
            return task.with_classes(self.classes_)
        return task

    @property
    def network_(self) -> Network:
        """A fastnet Network with the layers, the present weights and the labels: made anew each time, and on its own.

        Its penalty l2 is alpha over the samples of a mini-batch. AttributeError before `fit`, and for a Poisson loss.
        """
        if not hasattr(self, "coefs_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet, and has no network_: call fit first")
        if not self._has_network():
            raise AttributeError("fastnet has no exponential output, as of loss='poisson': there is no network_")
        key = self._key(np.result_type(*self.coefs_))
        found = CompiledPerceptron(key, l2=self._l2)
        found.load(*self._weights)
        found.network.task = self._task(found.network.task)
        return found.network

    @property
    def _l2(self) -> float:
        """The penalty that makes a mini-batch of the last training cost what it did there."""
        return float(self.alpha) / self._batch

    # ---------------------------------------------------------------- fit

    def _initialize(self, y: np.ndarray, layer_units: list[int], dtype: Any) -> None:
        units = [layer_units[0], *hidden_sizes(self), layer_units[-1]]
        super()._initialize(y, units, dtype)
        self._network = self._spare = self._training = None
        self._hidden, self._dropout = given_layers(self), ()
        self.normalisations_, self._best_normalisations = {}, {}
        vars(self).pop("history_", None)
        if self._hidden is not None or self.batch_norm:
            key = self._key(dtype)._replace(batch_norm=self.batch_norm)
            seed = self._random_state.randint(1 << 31) if self.layers is not None else 0
            drawn = CompiledPerceptron(key, seed=seed)
            if self.layers is not None:  # which have their own ways to begin
                self.coefs_, self.intercepts_ = drawn.coefs, drawn.intercepts
                self._best_coefs, self._best_intercepts = ([a.copy() for a in b] for b in self._weights[:2])
            self.normalisations_ = drawn.normalisations
            self._best_normalisations = {name: array.copy() for name, array in drawn.normalisations.items()}

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Any:
        check_keywords(self, incremental=incremental)
        before = vars(self).copy()
        self._has_begun = False
        try:
            with threads(self.n_threads):
                return super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)
        except Exception:
            if not self._has_begun:  # what has refused the input leaves the model as it was
                vars(self).clear()
                vars(self).update(before)
            raise
        finally:
            vars(self).pop("_has_begun", None)

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, np.ndarray]:
        X, y = super()._validate_input(X, y, incremental, reset)
        if self.dtype is None or X.dtype == self.dtype:
            return X, y
        with np.errstate(over="ignore"):
            X = X.astype(self.dtype)
        if not np.isfinite(X.data if hasattr(X, "toarray") else X).all():
            raise ValueError(f"X holds numbers that are too large for dtype={self.dtype!r}: scale it first")
        return X, y

    def _weights_of_samples(self, X: Any, y: np.ndarray, sample_weight: Any) -> Any:
        """`sample_weight`, times those of the samples' classes."""
        given = getattr(self, "class_weight", None)
        if given is None:
            return sample_weight
        if self.out_activation_ == "logistic" and self._label_binarizer.y_type_.startswith("multilabel"):
            raise ValueError(
                f"class_weight={given!r} is for one of several classes, and y has several answers: use sample_weight"
            )
        weights = class_weights(y, self.classes_, given)
        return (weights if sample_weight is None else sample_weight * weights).astype(X.dtype)

    def __getstate__(self) -> dict[str, Any]:
        # Compiled code and its memory stay here; arrays of their own travel.
        state = super().__getstate__().copy()
        for name in ("_network", "_spare"):
            state.pop(name, None)
        for name in ("coefs_", "intercepts_"):
            if name in state:
                state[name] = [np.array(array, order="C") for array in state[name]]
        return copy.deepcopy(state) if "_training" in state else state

    # ---------------------------------------------------------------- use

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> np.ndarray:
        if not self._has_network():
            return super()._forward_pass_fast(X, check_input)
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        with threads(self.n_threads):
            return self._network_for_use(X).outputs(X.tocsr() if hasattr(X, "tocsr") else X)

    def _outputs_without_checks(self, X: Any) -> np.ndarray | None:
        """The outputs for an array that needs no conversion; None for anything else, which scikit-learn looks into.

        Its own checks take ten times as long as a sample does.
        """
        if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in (np.float32, np.float64) or not len(X):
            return None
        if X.shape[1] != getattr(self, "n_features_in_", None) or hasattr(self, "feature_names_in_"):
            return None
        # A sum that overflows only goes the longer way.
        if not hasattr(self, "coefs_") or not self._has_network() or not np.isfinite(X.sum()):
            return None
        with threads(self.n_threads):
            return self._network_for_use(X).outputs(X)

    # ---------------------------------------------------------------- lbfgs

    def _unpack(self, packed_parameters: np.ndarray) -> None:
        if not self._has_network():
            super()._unpack(packed_parameters)
            return
        for i, (start, end, shape) in enumerate(self._coef_indptr):
            self.coefs_[i][...] = packed_parameters[start:end].reshape(shape)
        for i, (start, end) in enumerate(self._intercept_indptr):
            self.intercepts_[i][...] = packed_parameters[start:end]

    def _fit_lbfgs(self, X: Any, y: np.ndarray, sample_weight: Any, *arguments: Any) -> None:
        sample_weight = self._weights_of_samples(X, y, sample_weight)
        if self._has_network():  # in float64 always, as SciPy has the weights
            units = [X.shape[1], *hidden_sizes(self), self.n_outputs_]
            arguments = (*arguments[:-1], units)
            self._network_to_train(units, np.float64, float(self.alpha > 0))
            self._training, self._batch = None, X.shape[0]
            X = np.ascontiguousarray(X.toarray() if hasattr(X, "toarray") else X, np.float64)
        self._has_begun = True
        super()._fit_lbfgs(X, y, sample_weight, *arguments)

    def _loss_grad_lbfgs(
        self, packed_coef_inter: np.ndarray, X: np.ndarray, y: np.ndarray, sample_weight: Any, *arguments: Any
    ) -> tuple[float, np.ndarray]:
        if not self._has_network():
            return super()._loss_grad_lbfgs(packed_coef_inter, X, y, sample_weight, *arguments)
        self._unpack(packed_coef_inter)
        network = self._network
        assert network is not None
        loss = network.gradient(X, network.targets(y), sample_weight)
        coefs, intercepts = network.gradients()
        return loss, np.concatenate([array.ravel() for array in (*coefs, *intercepts)])

    # ---------------------------------------------------------------- sgd, adam

    def _fit_stochastic(self, X: Any, y: np.ndarray, sample_weight: Any, *arguments: Any) -> None:
        if not self._has_network():
            self._has_begun = True
            super()._fit_stochastic(X, y, sample_weight, *arguments)
            return
        incremental: bool = arguments[-1]
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        sample_weight = self._weights_of_samples(X, y, sample_weight)
        X, y, sample_weight, held_out = self._split(X, y, sample_weight)
        m, batch_size, schedule = X.shape[0], self._batch_size(X.shape[0]), schedule_of(self)
        dtype = np.result_type(*self.coefs_)
        if self.dtype not in (None, dtype):
            raise ValueError(
                f"the weights are {dtype}, and dtype={self.dtype!r} asks for others: a model goes on with those that "
                "it has, so use warm_start=False, or a new one"
            )
        looked_at, units = is_observed(self, schedule), [X.shape[1], *hidden_sizes(self), self.n_outputs_]
        self._batch = batch_size
        # Any l2 will do; who looks at the network finds the one that its costs are of.
        l2 = 0.0 if not self.alpha else self._l2 if looked_at else 1.0
        network = self._network_to_train(units, dtype, l2)
        check_batch_sizes(network.network.layers, (X.shape[1],), m, batch_size)
        if self._training is None or not incremental:
            has_dropout = any(layer.is_random for layer in network.network.layers)
            seed = int(self._random_state.randint(1 << 31)) if has_dropout else 0
            self._training, self._optimizer = Training(network, self, seed), self._rates()
        X = X.tocsr() if hasattr(X, "tocsr") else np.ascontiguousarray(X, network.dtype)
        Y, labels = network.targets(y), None
        if held_out is not None:
            labels = self._label_binarizer.inverse_transform(held_out[1]) if is_classifier(self) else held_out[1]
            held_out = held_out[0], network.targets(held_out[1]), held_out[2]
        if looked_at:
            network.network.task = self._task(network.network.task)
        observers = Observers(
            self, network, network.network.task, looked_at, (X, Y), held_out, getattr(self, "history_", None)
        )
        total = None if incremental else self.max_iter * -(-m // batch_size)
        rates = self._rates_of(schedule, observers.history, total)
        if rates is not None:
            rates(self._training.steps, self._training.steps + 1)  # which says what is wrong with them
        step = self._training.epochs(network, X, Y, sample_weight, batch_size)
        checked_on = (None, None, None) if held_out is None else (held_out[0], labels, held_out[2])
        self.history_, self._has_begun = observers.history, True

        def train() -> None:
            with observers.started():
                try:
                    self._run_epochs(step, rates, m, checked_on, observers, 1 if incremental else self.max_iter)
                    is_over = not incremental
                except KeyboardInterrupt:
                    warnings.warn("Training interrupted by user.", stacklevel=2)
                    is_over = False
                if self.early_stopping:
                    network.load(self._best_coefs, self._best_intercepts, self._best_normalisations)
                if is_over:
                    observers.end()

        network.network.claim.during("fit", train)

    @staticmethod
    def _rates_of(schedule: Schedule | None, history: History, total: int | None) -> Rates | None:
        """The learning rates of steps, of `total` in all, if there is a schedule of them."""
        if schedule is None:
            return None
        if total is None and schedule.needs_total:
            raise ValueError(
                f"learning_rate={schedule!r} needs to know how many steps there will be, and partial_fit does not say: "
                "give the schedule steps="
            )
        return lambda first, last: checked_rates(schedule, first, last, total, history)

    def _rates(self) -> AdamOptimizer | SGDOptimizer:
        """scikit-learn's optimizer, for its learning rate alone."""
        if self.solver == "adam":
            return AdamOptimizer([], self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        return SGDOptimizer(
            [], self.learning_rate_init, self.learning_rate, self.momentum, self.nesterovs_momentum, self.power_t
        )

    def _split(self, X: Any, y: np.ndarray, sample_weight: Any) -> tuple[Any, ...]:
        """Samples to train on, and those held out for early stopping, if there is any: X, y and weights."""
        if not self.early_stopping:
            return X, y, sample_weight, None
        # Several answers a sample are no classes that could be held out alike.
        stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
        given = (X, y) if sample_weight is None else (X, y, sample_weight)
        found = train_test_split(
            *given, random_state=self._random_state, test_size=self.validation_fraction, stratify=stratify
        )
        X, X_held, y, y_held, *weights = found
        sample_weight, weight_held = weights or (None, None)
        if X_held.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return X, y, sample_weight, (X_held, y_held, weight_held)

    def _batch_size(self, m: int) -> int:
        if self.batch_size == "auto":
            return min(200, m)
        if self.batch_size > m:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return int(np.clip(self.batch_size, 1, m))

    def _update_no_improvement_count(self, early_stopping: bool, *held_out: Any) -> None:
        before = self._best_coefs
        super()._update_no_improvement_count(early_stopping, *held_out)
        if self._best_coefs is not before:
            self._best_normalisations = {name: array.copy() for name, array in self.normalisations_.items()}

    # As `_fit_stochastic` of scikit-learn 1.9, whose words it has.
    def _run_epochs(
        self, train: Callable[..., Epoch], rates: Rates | None, m: int, held_out: tuple[Any, ...], observers: Observers,
        epochs: int,
    ) -> None:  # fmt: skip
        order = np.arange(m) if self.shuffle else None
        self.n_iter_ = 0
        while self.n_iter_ < epochs:
            if order is not None:  # as `sklearn.utils.shuffle` does it, without its checks
                places = np.arange(m)
                self._random_state.shuffle(places)
                order = order[places]
            epoch = train(order, self._optimizer.learning_rate if rates is None else rates)
            self.loss_ = epoch.loss
            self.n_iter_ += 1
            self.t_ += m
            self.loss_curve_.append(self.loss_)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
            self._update_no_improvement_count(self.early_stopping, *held_out)
            stopped_by = observers.epoch_ends(epoch)
            if stopped_by is not None:
                if self.verbose:
                    print(f"{getattr(stopped_by, 'reason', '') or f'{stopped_by!r} asked for it'}. Stopping.")
                return
            self._optimizer.iteration_ends(self.t_)
            if self._no_improvement_count > self.n_iter_no_change:
                what = "Validation score" if self.early_stopping else "Training loss"
                message = f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive "
                if self._optimizer.trigger_stopping(message + "epochs.", self.verbose):
                    return
                self._no_improvement_count = 0
        if self.n_iter_ == self.max_iter:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
