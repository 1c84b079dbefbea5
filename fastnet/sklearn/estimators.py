"""scikit-learn's estimators on a compiled network: parameters, checks and attributes are inherited."""

from typing import Any

import numpy as np
from sklearn import neural_network

from .keywords import CONSTRAINTS, CONSTRAINTS_OF_CLASSIFIERS
from .mixin import CompiledMixin


class MLPClassifier(CompiledMixin, neural_network.MLPClassifier):
    """`sklearn.neural_network.MLPClassifier`, with the same parameters and attributes, trained by fastnet.

    In float64 the losses of an epoch are scikit-learn's to 1e-6, and so are the predictions. X (m, n) in float32 is
    trained in float32.

    Parameters
    ----------
    hidden_layer_sizes ... max_fun
        scikit-learn's. `learning_rate` may also be a schedule of `fastnet.schedules`, or a function of the step: of the
        rate of each step, for sgd and adam. `learning_rate_init` then has no meaning.
    class_weight : dict or "balanced", optional
        Multiplies the weights of samples, by label; "balanced" is m / (k times how often the class occurs).
    dropout : float or sequence of float
        What share of each hidden layer's units, or of each layer's in turn, a step of training leaves out.
    batch_norm : bool
        Whether hidden layers are normalised over the mini-batch, before their activation.
    layers : list of fastnet's layers, optional
        The hidden layers, in place of `hidden_layer_sizes` and `activation`, with first weights as they say. The
        output layer is made from y.
    callbacks : list of callable, optional
        Called after each epoch as `callback(epoch, history, network)`, see `fastnet.callbacks`.
    metrics : list of str or function, optional
        What else `history_` keeps of each epoch, see `fastnet.metrics`: of the samples held out for early stopping, or
        else of X.
    dtype : {"float32", "float64"}, optional
        Of X, weights and outputs; None: that of X.
    device : {"cpu", "cuda"}
        Where it is computed.
    n_threads : int, optional
        At most so many threads in `fit` and in predictions; None: as many as `fastnet.set_num_threads` has said.

    Attributes
    ----------
    coefs_ ... validation_scores_
        scikit-learn's; `coefs_` and `intercepts_` are those of the Dense layers.
    normalisations_ : dict of arrays
        Parameters of other layers: "gamma1" (n_1,), "beta1", "mean1", "variance1" ...
    history_ : fastnet.History
        What was measured in each epoch of sgd and adam.
    network_ : fastnet.Network
        A network with the layers, the present weights and the labels, made anew each time.

    Raises
    ------
    ValueError, TypeError
        By `fit` and `partial_fit`, for keywords that do not go together, and for bad input; all is then as before.
    RuntimeError
        By these and by predictions, for a device that cannot be used here.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastnet.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier(max_iter=1000, random_state=0).fit(X, y).score(X, y) > 0.95
    True
    >>> model = MLPClassifier((64, 32), dropout=0.2, batch_norm=True, metrics=["f1"], max_iter=50, random_state=0)
    >>> model.fit(X, y).history_["f1"][-1] > 0.9
    True
    """

    _parameter_constraints: dict[str, list[Any]] = (
        neural_network.MLPClassifier._parameter_constraints | CONSTRAINTS_OF_CLASSIFIERS
    )

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: str = "relu", *, solver: str = "adam",
        alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: Any = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
        random_state: Any = None, tol: float = 1e-4, verbose: Any = False, warm_start: bool = False,
        momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        n_iter_no_change: float = 10, max_fun: int = 15000, class_weight: Any = None, dropout: Any = 0.0,
        batch_norm: bool = False, layers: Any = None, callbacks: Any = None, metrics: Any = None,
        dtype: str | None = None, device: str = "cpu", n_threads: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes, activation=activation, solver=solver, alpha=alpha,
            batch_size=batch_size, learning_rate=learning_rate, learning_rate_init=learning_rate_init, power_t=power_t,
            max_iter=max_iter, shuffle=shuffle, random_state=random_state, tol=tol, verbose=verbose,
            warm_start=warm_start, momentum=momentum, nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping, validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2,
            epsilon=epsilon, n_iter_no_change=n_iter_no_change, max_fun=max_fun,
        )  # fmt: skip
        self.class_weight = class_weight
        self.dropout, self.batch_norm, self.layers = dropout, batch_norm, layers
        self.callbacks, self.metrics = callbacks, metrics
        self.dtype, self.device, self.n_threads = dtype, device, n_threads

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


class MLPRegressor(CompiledMixin, neural_network.MLPRegressor):
    """`sklearn.neural_network.MLPRegressor`, with the same parameters and attributes, trained by fastnet.

    In float64 the losses of an epoch are scikit-learn's to 1e-6, and so are the predictions. X (m, n) in float32 is
    trained in float32. With loss="poisson" scikit-learn's own code trains it: fastnet has no exponential output.

    Parameters
    ----------
    hidden_layer_sizes ... max_fun
        scikit-learn's. `learning_rate` may also be a schedule of `fastnet.schedules`, or a function of the step: of the
        rate of each step, for sgd and adam. `learning_rate_init` then has no meaning.
    dropout : float or sequence of float
        What share of each hidden layer's units, or of each layer's in turn, a step of training leaves out.
    batch_norm : bool
        Whether hidden layers are normalised over the mini-batch, before their activation.
    layers : list of fastnet's layers, optional
        The hidden layers, in place of `hidden_layer_sizes` and `activation`, with first weights as they say. The
        output layer is made from y.
    callbacks : list of callable, optional
        Called after each epoch as `callback(epoch, history, network)`, see `fastnet.callbacks`.
    metrics : list of str or function, optional
        What else `history_` keeps of each epoch, see `fastnet.metrics`: of the samples held out for early stopping, or
        else of X.
    dtype : {"float32", "float64"}, optional
        Of X, weights and outputs; None: that of X.
    device : {"cpu", "cuda"}
        Where it is computed.
    n_threads : int, optional
        At most so many threads in `fit` and in predictions; None: as many as `fastnet.set_num_threads` has said.

    Attributes
    ----------
    coefs_ ... validation_scores_
        scikit-learn's; `coefs_` and `intercepts_` are those of the Dense layers.
    normalisations_ : dict of arrays
        Parameters of other layers: "gamma1" (n_1,), "beta1", "mean1", "variance1" ...
    history_ : fastnet.History
        What was measured in each epoch of sgd and adam.
    network_ : fastnet.Network
        A network with the layers, the present weights and the labels, made anew each time.

    Raises
    ------
    ValueError, TypeError
        By `fit` and `partial_fit`, for keywords that do not go together, and for bad input; all is then as before.
    RuntimeError
        By these and by predictions, for a device that cannot be used here.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastnet.sklearn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> MLPRegressor(solver="lbfgs", random_state=0, max_iter=500).fit(X, y).score(X, y) > 0.5
    True
    """

    _parameter_constraints: dict[str, list[Any]] = neural_network.MLPRegressor._parameter_constraints | CONSTRAINTS

    def __init__(
        self, loss: str = "squared_error", hidden_layer_sizes: Any = (100,), activation: str = "relu", *,
        solver: str = "adam", alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: Any = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
        random_state: Any = None, tol: float = 1e-4, verbose: Any = False, warm_start: bool = False,
        momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        n_iter_no_change: float = 10, max_fun: int = 15000, dropout: Any = 0.0, batch_norm: bool = False,
        layers: Any = None, callbacks: Any = None, metrics: Any = None, dtype: str | None = None, device: str = "cpu",
        n_threads: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            loss=loss, hidden_layer_sizes=hidden_layer_sizes, activation=activation, solver=solver, alpha=alpha,
            batch_size=batch_size, learning_rate=learning_rate, learning_rate_init=learning_rate_init, power_t=power_t,
            max_iter=max_iter, shuffle=shuffle, random_state=random_state, tol=tol, verbose=verbose,
            warm_start=warm_start, momentum=momentum, nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping, validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2,
            epsilon=epsilon, n_iter_no_change=n_iter_no_change, max_fun=max_fun,
        )  # fmt: skip
        self.dropout, self.batch_norm, self.layers = dropout, batch_norm, layers
        self.callbacks, self.metrics = callbacks, metrics
        self.dtype, self.device, self.n_threads = dtype, device, n_threads

    def predict(self, X: Any) -> np.ndarray:
        """Numbers (m,) or (m, n_outputs) for X (m, n)."""
        outputs = self._outputs_without_checks(X)
        if outputs is None:
            return super().predict(X)
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs
