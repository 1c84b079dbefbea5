"""scikit-learn's estimators on a compiled network: parameters, checks and attributes are inherited.

What is overridden are private functions of scikit-learn 1.9: another version is to be looked at before it is allowed.
"""

import copy
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils.validation import validate_data

from ..exchange.scikit_learn import SKLEARN_ACTIVATIONS
from .compiled import CompiledPerceptron, Training


class _CompiledMixin:
    """What both estimators do by the compiled program, in place of scikit-learn's NumPy.

    After training, `coefs_` and `intercepts_` are views of the parameters of `_network`. Where other arrays stand in
    their place, as after unpickling or where somebody has put them there, these are copied into a second network for
    each use, and never into arrays that somebody may hold.
    """

    _network: CompiledPerceptron | None = None
    _spare: CompiledPerceptron | None = None
    _training: Training | None = None

    def _has_network(self) -> bool:
        """Whether fastnet has what this one computes: it has no exponential output, which a Poisson loss needs."""
        return self.out_activation_ in SKLEARN_ACTIVATIONS

    def _key(self, dtype: Any) -> tuple[Any, ...]:
        is_single = dtype in (np.float32, np.float16)
        kind = np.dtype(np.float32 if is_single else np.float64)
        return CompiledPerceptron.key_of(self.coefs_, kind, self.activation, self.out_activation_)

    def _network_for_use(self, X: Any) -> CompiledPerceptron:
        """A network with the present weights, in the dtype of their products with X."""
        key = self._key(np.result_type(X.dtype, *self.coefs_, *self.intercepts_))
        own = self._network
        if own is not None and own.key == key and own.holds(self.coefs_, self.intercepts_):
            return own
        if self._spare is None or self._spare.key != key:
            self._spare = CompiledPerceptron(key)
        self._spare.load(self.coefs_, self.intercepts_)
        return self._spare

    def _network_to_train(self, layer_units: list[int], dtype: Any) -> CompiledPerceptron:
        """The network with the present weights; from now on `coefs_` and `intercepts_` are its own."""
        if [coef.shape for coef in self.coefs_] != list(itertools.pairwise(layer_units)):
            units = [self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_)]
            raise ValueError(
                f"the weights are those of layers of {units} units, and hidden_layer_sizes and y ask for "
                f"{layer_units}: a model goes on with the sizes that it has, so use warm_start=False, or a new one"
            )
        own, key, is_penalised = self._network, self._key(dtype), self.alpha > 0
        is_own = own is not None and own.holds(self.coefs_, self.intercepts_)
        if own is None or not is_own or own.key != key or own.is_penalised != is_penalised:
            own = CompiledPerceptron(key, is_penalised=is_penalised)
            own.load(self.coefs_, self.intercepts_)
            self._network, self._spare = own, None
            self.coefs_, self.intercepts_ = list(own.coefs), list(own.intercepts)
        own.alpha = float(self.alpha)
        return own

    def _initialize(self, y: np.ndarray, layer_units: list[int], dtype: Any) -> None:
        super()._initialize(y, layer_units, dtype)
        self._network = self._spare = self._training = None

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
        if self._has_network():  # in float64 always, as SciPy has the weights
            self._network_to_train(arguments[-1], np.float64)
            self._training = None
            X = np.ascontiguousarray(X.toarray() if hasattr(X, "toarray") else X, np.float64)
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
        layer_units, incremental = arguments[-2:]
        if not self._has_network():
            super()._fit_stochastic(X, y, sample_weight, *arguments)
            return
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        network = self._network_to_train(layer_units, np.result_type(*self.coefs_))
        if self._training is None or not incremental:
            self._training, self._optimizer = Training(network, self), self._rates()
        X, y, sample_weight, held_out = self._split(X, y, sample_weight)
        batch_size = self._batch_size(X.shape[0])
        X = X.tocsr() if hasattr(X, "tocsr") else np.ascontiguousarray(X, network.dtype)
        epoch = self._training.epochs(network, X, network.targets(y), sample_weight, batch_size)
        try:
            self._run_epochs(epoch, X.shape[0], held_out, 1 if incremental else self.max_iter)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        if self.early_stopping:
            network.load(self._best_coefs, self._best_intercepts)

    def _rates(self) -> AdamOptimizer | SGDOptimizer:
        """scikit-learn's optimizer, for its learning rate alone."""
        if self.solver == "adam":
            return AdamOptimizer([], self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        return SGDOptimizer(
            [], self.learning_rate_init, self.learning_rate, self.momentum, self.nesterovs_momentum, self.power_t
        )

    def _split(self, X: Any, y: np.ndarray, sample_weight: Any) -> tuple[Any, ...]:
        """Samples to train on, and those held out for early stopping: X, y and weights."""
        if not self.early_stopping:
            return X, y, sample_weight, (None, None, None)
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
        if is_classifier(self):
            y_held = self._label_binarizer.inverse_transform(y_held)
        return X, y, sample_weight, (X_held, y_held, weight_held)

    def _batch_size(self, m: int) -> int:
        if self.batch_size == "auto":
            return min(200, m)
        if self.batch_size > m:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return int(np.clip(self.batch_size, 1, m))

    # As `_fit_stochastic` of scikit-learn 1.9, whose words it has.
    def _run_epochs(self, epoch: Callable[..., float], m: int, held_out: tuple[Any, ...], epochs: int) -> None:
        order = np.arange(m) if self.shuffle else None
        self.n_iter_ = 0
        while self.n_iter_ < epochs:
            if order is not None:  # as `sklearn.utils.shuffle` does it, without its checks
                places = np.arange(m)
                self._random_state.shuffle(places)
                order = order[places]
            self.loss_ = epoch(order, self._optimizer.learning_rate)
            self.n_iter_ += 1
            self.t_ += m
            self.loss_curve_.append(self.loss_)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
            self._update_no_improvement_count(self.early_stopping, *held_out)
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


class MLPClassifier(_CompiledMixin, neural_network.MLPClassifier):
    """`sklearn.neural_network.MLPClassifier`, with the same parameters and attributes, trained by fastnet.

    In float64 the losses of an epoch are scikit-learn's to 1e-6, and so are the predictions. X (m, n) in float32 is
    trained in float32.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastnet.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier(max_iter=1000, random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    def predict(self, X: Any) -> np.ndarray:
        """Labels (m,), or 0 and 1 for each of several answers, of X (m, n)."""
        is_usual = len(getattr(self, "classes_", ())) > 1 and not self._label_binarizer.sparse_input_
        outputs = None if not is_usual else self._outputs_without_checks(X)
        if outputs is None:
            return super().predict(X)
        if self.out_activation_ == "softmax":
            return self.classes_[outputs.argmax(axis=1)]
        if self.n_outputs_ == 1:
            return self.classes_[(outputs[:, 0] > 0.5).astype(np.intp)]
        return (outputs > 0.5).astype(int)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (m, n_classes) of X (m, n), in the order of `classes_`."""
        outputs = self._outputs_without_checks(X)
        if outputs is None:
            return super().predict_proba(X)
        return outputs if self.n_outputs_ > 1 else np.hstack([1 - outputs, outputs])


class MLPRegressor(_CompiledMixin, neural_network.MLPRegressor):
    """`sklearn.neural_network.MLPRegressor`, with the same parameters and attributes, trained by fastnet.

    In float64 the losses of an epoch are scikit-learn's to 1e-6, and so are the predictions. X (m, n) in float32 is
    trained in float32. With loss="poisson" scikit-learn's own code trains it: fastnet has no exponential output.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastnet.sklearn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> MLPRegressor(solver="lbfgs", random_state=0, max_iter=500).fit(X, y).score(X, y) > 0.5
    True
    """

    def predict(self, X: Any) -> np.ndarray:
        """Numbers (m,) or (m, n_outputs) for X (m, n)."""
        outputs = self._outputs_without_checks(X)
        if outputs is None:
            return super().predict(X)
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs
