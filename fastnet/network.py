"""The network: layers and their parameters, and what people do with them."""

import copy
import os
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from fastnet_kernels import codes

from .checks import known, positive_integer, real_number, whole_number
from .devices import CPU, Batches
from .history import History
from .layers import Dense, Layer, Rescale
from .losses import loss_for
from .optimizers import SGD
from .plan import Form, aligned_zeros, form_for, make_plan, places
from .samples import as_rows
from .summary import summary_of
from .targets import Classification, as_targets, task_for
from .training import Trainer

_ROWS_AT_ONCE = 1024  # of a prediction: enough to use all cores, few enough for a small workspace


class Network:
    """A feed-forward network: parameters in one buffer, run by one compiled program.

    Parameters
    ----------
    layers : sequence of Dense, with Rescale possibly first
        The output layer is the last; only it may be softmax.
    loss : str, optional
        "log_loss" (for a sigmoid output), "cross_entropy" (softmax) or "squared_error" (half the squared error, the
        others); chosen by the output layer unless named.
    seed : int
        Seeds the network's one random generator: first weights, then shuffles. The same seed gives the same bits on
        any number of threads.
    dtype : str
        "float32" or "float64", of parameters and all arithmetic.

    Raises
    ------
    ValueError, TypeError
        For layers that do not fit together, or an unknown loss or dtype.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.digits()
    >>> net = fn.Network([fn.Dense(64, "relu"), fn.Dense(10, "softmax")], seed=0)
    >>> history = net.fit(X, y, epochs=20, optimizer=fn.SGD(0.1), verbose=False)
    >>> history["accuracy"][-1] > 0.97
    True
    """

    def __init__(
        self, layers: Sequence[Layer], *, loss: str | None = None, seed: int = 0, dtype: str = "float32"
    ) -> None:
        self.layers = _checked_layers(layers)
        known("dtype", str(dtype), ("float32", "float64"))
        output = self.layers[-1]
        assert isinstance(output, Dense)
        self.loss = loss_for(output.activation, loss)
        self.task = task_for(self.loss, output.units)
        if self.loss == "log_loss" and output.units > 1:
            raise ValueError(
                f"the output layer has {output.units} sigmoid units: use Dense({output.units}, 'softmax') for one of "
                "several classes, or Dense(1, 'sigmoid') for two"
            )
        self.seed = whole_number("seed", seed)
        self.dtype = np.dtype(str(dtype))
        self.rng = np.random.default_rng(seed)
        self.device = CPU(self.dtype)
        self.n_inputs: int | None = None
        self._forms: dict[tuple[int, bool], Form] = {}  # by batch size, and whether every step has the same samples
        self._plans: dict[Form, tuple[codes.Plan, np.ndarray, np.ndarray]] = {}

    # ---------------------------------------------------------------- parameters

    def build(self, n_inputs: int) -> "Network":
        """Make the parameters for samples of `n_inputs` features: W random by each layer's `init`, b zero.

        Building again draws new parameters. Returns the network.
        """
        self._allocate(positive_integer("n_inputs", n_inputs))
        for l, layer in enumerate(self.dense_layers, start=1):
            W = self._parameters[f"W{l}"]
            W[...] = layer.initial_weights(self.rng, W.shape[1])
        return self

    def _allocate(self, n_inputs: int) -> None:
        """Make the buffers, all zero, and the views into them."""
        found = places(self.layers, n_inputs, self.dtype)
        size = found[-1].end
        self.n_inputs = n_inputs
        self.buffer = aligned_zeros(size, self.dtype)
        self.gradient_buffer = aligned_zeros(size, self.dtype)
        self._parameters = {place.name: place.view(self.buffer) for place in found}
        self._gradients = {place.name: place.view(self.gradient_buffer) for place in found}
        self._plans.clear()
        self._forms.clear()

    @property
    def dense_layers(self) -> list[Dense]:
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    @property
    def parameters(self) -> Mapping[str, np.ndarray]:
        """ "W1" (n_1, n_0), "b1" (n_1,), "W2" ...: views of the network's own parameters, which may be written to.

        Raises ValueError before the network is built.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Dense(3, "tanh"), fn.Dense(1)]).build(2)
        >>> net.parameters["b1"][:] = 0.5
        >>> {name: array.shape for name, array in net.parameters.items()}
        {'W1': (3, 2), 'b1': (3,), 'W2': (1, 3), 'b2': (1,)}
        """
        self._require_parameters()
        return MappingProxyType(self._parameters)

    def _require_parameters(self) -> int:
        if self.n_inputs is None:
            raise ValueError("this network has no parameters yet: call fit(X, y), or build(n_inputs) and set them")
        return self.n_inputs

    def _require_finite_parameters(self) -> None:
        for name, array in self._parameters.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds NaN or infinity: set the parameters anew, or build(n_inputs) again")

    # ---------------------------------------------------------------- training

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int = 10,
        batch_size: int | None = 32,
        optimizer: SGD = SGD(0.1),  # noqa: B008 - a frozen value
        validation_data: tuple[Any, Any] | None = None,
        shuffle: bool = True,
        verbose: bool = True,
    ) -> History:
        """Train on samples X with targets y; a second call goes on from where the first one ended.

        Parameters
        ----------
        X : array (m, n_0), or images (m, h, w, c), which are flattened
            Any real dtype and strides. uint8 stays uint8 and is converted a mini-batch at a time.
        y : array (m,)
            For classification labels, integers or strings, also as a column (m, 1) or one-hot rows (m, k); for
            regression numbers (m,) or (m, n_L).
        epochs : int
            Passes over the samples, at least 1.
        batch_size : int, optional
            Samples of a mini-batch, 1 for online learning, None for all (which are then used in their own order).
            The last mini-batch of an epoch has what is left.
        optimizer : SGD
        validation_data : (X, y), optional
            Evaluated after every epoch.
        shuffle : bool
            Whether every epoch takes the samples in a new random order.
        verbose : bool
            Whether to show a progress bar.

        Returns
        -------
        History
            Lists with one entry an epoch.

        Raises
        ------
        ValueError, TypeError
            For bad input, before anything has changed.
        DivergenceError
            If the cost becomes NaN or infinite; the parameters of the last finite epoch are kept.
        """
        epochs = positive_integer("epochs", epochs)
        if batch_size is not None:
            batch_size = positive_integer("batch_size", batch_size)
        if not isinstance(optimizer, SGD):
            raise TypeError(f"optimizer={optimizer!r} is no optimizer: give fastnet.SGD(learning_rate)")
        rows = as_rows(X, self.dtype, self.n_inputs)
        y = as_targets(y, len(rows))
        task = self.task.learn(y)
        training = self._batches(rows, task.encode(y, self.dtype), batch_size)
        validation = None
        if validation_data is not None:
            if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
                raise TypeError("validation_data is not a pair: give (X, y)")
            X_v = as_rows(validation_data[0], self.dtype, rows.shape[1])
            y_v = as_targets(validation_data[1], len(X_v))
            validation = self._batches(X_v, task.encode(y_v, self.dtype), _ROWS_AT_ONCE)
        if self.n_inputs is None:
            self.build(rows.shape[1])
        self._require_finite_parameters()
        self.task = task
        return Trainer(self, training, validation, epochs, optimizer, shuffle, verbose).run()

    def gradients(self, X: Any, y: Any) -> dict[str, np.ndarray]:
        """The gradient of the cost on X and y by every parameter: {"W1": (n_1, n_0), "b1": (n_1,), ...}, copies.

        Raises ValueError before the network is built, and ValueError or TypeError for bad input.
        """
        batches = self.batches(X, y)
        self.run(codes.GRADIENT, batches, 0, 1, costs=np.zeros(1), hits=np.zeros(1))
        return {name: array.copy() for name, array in self._gradients.items()}

    # ---------------------------------------------------------------- use

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """{"cost": ..., "accuracy": ...} on X and y, or {"cost": ..., "r2": ...} for regression.

        Raises ValueError before the network is built, for labels it was not trained with and for bad input.
        """
        return self.measure(self.batches(X, y, _ROWS_AT_ONCE))

    def predict(self, X: Any, *, threshold: float = 0.5) -> np.ndarray:
        """Labels (m,) for classification; numbers, (m,) or (m, n_L), for regression.

        A single sigmoid unit says the second label (1 of 0 and 1) where its probability is above `threshold`, which
        is between 0 and 1.
        """
        threshold = real_number("threshold", threshold, at_least=0)
        if threshold > 1:
            raise ValueError(f"threshold={threshold} is above 1: give a probability between 0 and 1")
        outputs = self._outputs(X)
        if not isinstance(self.task, Classification):
            return outputs[:, 0] if outputs.shape[1] == 1 else outputs
        index = (outputs[:, 0] > threshold).astype(np.intp) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
        found: np.ndarray = self.task.labels[index]
        return found

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities: (m, k) for softmax, in the order of `labels`; (m,) of the second label for one sigmoid unit.

        Raises ValueError for a network that predicts numbers.
        """
        if not isinstance(self.task, Classification):
            raise ValueError("this network predicts numbers and no probabilities: use predict")
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    @property
    def labels(self) -> np.ndarray:
        """The labels that `predict` returns, by class; ValueError for regression."""
        if not isinstance(self.task, Classification):
            raise ValueError("this network predicts numbers: it has no labels")
        return self.task.labels.copy()

    def summary(self, batch_size: int = 32) -> str:
        """Layers, shapes, parameters, and the memory of parameters and of a workspace for `batch_size`, as text."""
        self._require_parameters()
        _, elements = self._make_plan(positive_integer("batch_size", batch_size))
        return summary_of(self, elements * self.dtype.itemsize, batch_size)

    def copy(self, *, dtype: str | None = None) -> "Network":
        """A network of its own with the same layers, labels and parameters, in another dtype if one is given."""
        twin = Network(self.layers, loss=self.loss, seed=self.seed, dtype=dtype or str(self.dtype))
        twin.task = self.task
        twin.rng = copy.deepcopy(self.rng)
        if self.n_inputs is not None:
            twin._allocate(self.n_inputs)
            twin.buffer[:] = self.buffer
        return twin

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write architecture, parameters and labels to one safetensors file, which `fastnet.load` reads."""
        from .storage import save

        self._require_parameters()
        save(self, path)

    def __repr__(self) -> str:
        return f"Network([{', '.join(map(repr, self.layers))}], loss={self.loss!r}, dtype='{self.dtype}')"

    # ---------------------------------------------------------------- running the program

    def run(self, mode: int, batches: Batches, first_step: int, last_step: int, **options: Any) -> int:
        """Run steps of the compiled program on this network's buffers; returns the step that comes next."""
        repeats = mode == codes.TRAIN and batches.steps == 1
        plan, workspace, rows = self._planned(batches.batch_size, repeats)
        return self.device.run(
            mode, plan, self.buffer, self.gradient_buffer, workspace, rows, batches, first_step, last_step, **options
        )

    def measure(self, batches: Batches) -> dict[str, float]:
        """Cost and metric on all of `batches`."""
        costs, hits = np.zeros((2, batches.steps))
        step = 0
        while step < batches.steps:
            # A run also ends at a step whose cost is not finite; the next one goes on behind it.
            step = self.run(codes.EVALUATE, batches, step, batches.steps, costs=costs, hits=hits) + 1
        sizes = np.full(batches.steps, batches.batch_size)
        sizes[-1] = batches.m - batches.batch_size * (batches.steps - 1)
        cost = costs @ sizes / batches.m
        return {"cost": float(cost), self.task.metric: float(self.task.score(cost, hits.sum(), batches.targets))}

    def _outputs(self, X: Any) -> np.ndarray:
        """The last layer's activations (m, n_L)."""
        n_inputs = self._require_parameters()
        rows = as_rows(X, self.dtype, n_inputs, must_be_finite=False)  # the program looks at them on its way
        outputs = np.empty((len(rows), self.task.n_units), self.dtype)
        batches = self._batches(rows, outputs, _ROWS_AT_ONCE)
        if self.run(codes.PREDICT, batches, 0, batches.steps, outputs=outputs) < batches.steps:
            as_rows(X, self.dtype, n_inputs)
        return outputs

    def batches(self, X: Any, y: Any, batch_size: int | None = None) -> Batches:
        """X and y, checked and encoded for the program, in mini-batches (by default all in one)."""
        n_inputs = self._require_parameters()
        rows = as_rows(X, self.dtype, n_inputs)
        return self._batches(rows, self.task.encode(as_targets(y, len(rows)), self.dtype), batch_size)

    def _batches(self, rows: np.ndarray, Y: np.ndarray, batch_size: int | None) -> Batches:
        m = len(rows)
        size = m if batch_size is None else min(batch_size, m)
        return Batches(rows.reshape(-1).view(np.uint8), rows.dtype == np.uint8, m, size, Y)

    def _planned(self, batch_size: int, repeats: bool = False) -> tuple[codes.Plan, np.ndarray, np.ndarray]:
        """A plan, workspace and row numbers for mini-batches of this size, kept for the next call."""
        form = self._forms.get((batch_size, repeats))
        if form is None:
            n_inputs, panel = self._require_parameters(), self.device.panel
            form = form_for(self.layers, n_inputs, batch_size, self.dtype, panel, repeats=repeats)
            self._forms[batch_size, repeats] = form
        kept = self._plans.get(form)
        if kept is None or kept[0].batch_size < batch_size:
            plan, size = self._make_plan(batch_size, repeats)
            rows = np.zeros(batch_size + form.block_rows + codes.ROWS_AHEAD, np.int64)
            kept = self._plans[form] = (plan, aligned_zeros(size, self.dtype), rows)
        return kept

    def _make_plan(self, batch_size: int, repeats: bool = False) -> tuple[codes.Plan, int]:
        return make_plan(
            self.layers,
            self._require_parameters(),
            self.loss,
            batch_size,
            self.dtype,
            panel=self.device.panel,
            workers=self.device.most_workers,
            repeats=repeats,
        )


class LogisticRegression(Network):
    """Logistic regression: the network of one sigmoid unit, from zero weights, as the course begins.

    Parameters
    ----------
    scale : float, optional
        Inputs are read as `scale * x`; 1/255 for images of uint8.
    seed, dtype
        As of `Network`.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.planar()
    >>> net = fn.LogisticRegression(dtype="float64")
    >>> history = net.fit(X, y, epochs=100, batch_size=None, optimizer=fn.SGD(1.0), verbose=False)
    >>> net.evaluate(X, y)["accuracy"] < 0.6  # no straight line divides a flower
    True
    """

    def __init__(self, *, scale: float | None = None, seed: int = 0, dtype: str = "float32") -> None:
        output = Dense(1, "sigmoid", init="zeros")
        super().__init__([output] if scale is None else [Rescale(scale), output], seed=seed, dtype=dtype)


def _checked_layers(layers: Sequence[Layer]) -> list[Layer]:
    if not isinstance(layers, Sequence):
        raise TypeError(f"layers={layers!r} is no list: give the layers in order, as in [Dense(64, 'relu'), Dense(1)]")
    layers = list(layers)
    for place, layer in enumerate(layers, start=1):
        if not isinstance(layer, Dense | Rescale):
            raise TypeError(f"layer {place} is {layer!r}: give fastnet.Dense(...) or, first, fastnet.Rescale(...)")
        if isinstance(layer, Rescale) and place > 1:
            raise ValueError(f"layer {place} is Rescale: it can only be the first layer")
        if isinstance(layer, Dense) and layer.activation == "softmax" and place < len(layers):
            raise ValueError(f"layer {place} is hidden and softmax: softmax is for the output layer only")
        if isinstance(layer, Dense) and layer.init == "zeros" and place < len(layers) and layer.units > 1:
            warnings.warn(
                f"layer {place} is hidden and starts at zeros: its units get the same gradient and stay alike, as if "
                "there were one; use init='he' or 'xavier'",
                stacklevel=3,
            )
    if not layers or not isinstance(layers[-1], Dense):
        raise ValueError("the network has no output layer: end the layers with fastnet.Dense(...)")
    return layers
