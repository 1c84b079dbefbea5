"""The network: layers and their parameters, and what people do with them."""

import copy
import dataclasses
import os
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from fastnet_kernels import codes
from numpy.typing import DTypeLike

from . import fitting
from .architecture import checked_layers
from .batches import Augment
from .callbacks import Callback
from .checks import all_finite, float_dtype, positive_integer, whole_number
from .claims import TrainingClaim
from .contexts import ContextPool
from .cpu_plan import parts_for
from .devices import Batches, ExecutionContext, device_for
from .history import History
from .layers import BatchNorm, Dense, Layer, LayerNorm
from .layout import Place, aligned_zeros, places
from .losses import Loss, loss_for
from .metrics import Metric, measured, named
from .optimizers import SGD, Optimizer
from .samples import ROWS_AT_ONCE, as_rows, is_converted_one_by_one
from .state import TrainingState
from .summary import summary_of, table_of
from .targets import Classification, as_targets, sample_weights, task_for

Result = TypeVar("Result")

_MADE_ANEW = ("_parameters", "_places", "gradient_buffer", "_contexts", "claim", "device")  # of a copy
_ROWS_CONVERTED = 1 << 16  # of a file in memory, at a time, where it has another dtype


class Network:
    """A feed-forward network: parameters in one buffer, run by one compiled program.

    Parameters
    ----------
    layers : sequence of Dense, BatchNorm, LayerNorm and Dropout, with Rescale possibly first
        The first to compute and the last are Dense; only the last, the output layer, may be softmax.
    loss : str or Loss, optional
        "log_loss" (for sigmoid outputs), "cross_entropy" (softmax), "hinge" (linear, for two classes), or for numbers
        "squared_error" (half the squared error), "absolute_error", "huber" or "quantile"; chosen by the output layer
        unless given. `fastnet.losses` makes those with settings, such as `losses.huber(0.5)`.
    seed : int
        Seeds the network's one random generator: first weights, then shuffles. The same seed gives the same bits on
        any number of threads.
    dtype : str or NumPy dtype
        "float32" or "float64", of parameters and all arithmetic.
    device : str
        "cpu", or "cuda" for a GPU: where everything runs.

    Raises
    ------
    ValueError, TypeError
        For layers that do not fit together, or an unknown loss, dtype or device.
    RuntimeError
        For a device that cannot be used here; it says what is missing.

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
        self, layers: Sequence[Layer], *, loss: str | Loss | None = None, seed: int = 0, dtype: DTypeLike = "float32",
        device: str = "cpu",
    ) -> None:  # fmt: skip
        self.layers = checked_layers(layers)
        output = self.layers[-1]
        assert isinstance(output, Dense)
        self.loss_and_setting = loss_for(output.activation, loss)
        self.task = task_for(self.loss, output.units)
        if self.loss == "hinge" and output.units > 1:
            raise ValueError(
                f"loss='hinge' is for two classes, with one linear unit: this output layer has {output.units}"
            )
        self.seed = whole_number("seed", seed)
        self.dtype = float_dtype("dtype", dtype)
        self.rng = np.random.default_rng(seed)
        self.device = device_for(device, self.dtype)
        self.n_inputs: int | None = None
        self.training: TrainingState | None = None  # of the last training
        self.buffer: np.ndarray
        self.gradient_buffer: np.ndarray
        self._places: list[Place]
        self._parameters: dict[str, np.ndarray]
        self.learning_rate = 0.0  # of its last step
        self.put_back_parameters: np.ndarray | None = None  # by a callback, in place of `training.last`
        self.claim = TrainingClaim()
        self._contexts = ContextPool(self._plan_key, self._allocate_context)

    @property
    def loss(self) -> str:
        """The loss by name."""
        return self.loss_and_setting.name

    # ---------------------------------------------------------------- parameters

    def build(self, n_inputs: int) -> "Network":
        """Make the parameters for samples of `n_inputs` features: W random by each layer's `init`, b zero.

        Building again draws new parameters. Returns the network.

        Raises ValueError or TypeError for less than 1, and RuntimeError while the network is trained.
        """
        n_inputs = positive_integer("n_inputs", n_inputs)
        self.claim.during("build", lambda: self.alone(lambda: self.draw_parameters(n_inputs)))
        return self

    def draw_parameters(self, n_inputs: int) -> None:
        """Make the parameters, as `build` does."""
        self._allocate(n_inputs, draws=True)

    def _allocate(self, n_inputs: int, *, draws: bool = False) -> None:
        """Make the buffers and the views into them; all is 0, but the gamma and variance of normalisations 1, and W if
        it `draws` them."""
        found = places(self.layers, n_inputs, self.dtype)
        buffer, gradient_buffer = (aligned_zeros(found[-1].end, self.dtype) for _ in range(2))
        parameters = {place.name: place.view(buffer) for place in found}
        for place in found:
            parameters[place.name][...] = place.first_value
        for l, layer in enumerate(self.dense_layers if draws else (), start=1):
            W = parameters[f"W{l}"]
            W[...] = layer.initial_weights(self.rng, W.shape[1])
        self._contexts.clear()
        # At once, so that no interrupt and no want of memory leaves half of it.
        self.__dict__.update(
            n_inputs=n_inputs, _places=found, buffer=buffer, gradient_buffer=gradient_buffer, _parameters=parameters,
            training=None, put_back_parameters=None,
        )  # fmt: skip

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

    def _require_features(self, batches: Batches) -> None:
        """ValueError if another thread has built the network anew since the samples were checked."""
        itemsize = 1 if batches.are_bytes else self.dtype.itemsize
        if batches.samples.nbytes != batches.m * self._require_parameters() * itemsize:
            raise ValueError(f"the network has just been built for {self.n_inputs} features, and X has others")

    def require_finite_parameters(self) -> None:
        """ValueError, which names the parameter, unless all are finite."""
        if all_finite(self.buffer):
            return
        for name, array in self._parameters.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds NaN or infinity: set the parameters anew, or build(n_inputs) again")

    # ---------------------------------------------------------------- training

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        epochs: int = 10,
        batch_size: int | None = 32,
        optimizer: Optimizer = SGD(0.1),  # noqa: B008 - a frozen value
        validation_data: tuple[Any, Any] | None = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        class_weight: Any = None,
        augment: Augment | None = None,
        steps_per_epoch: int | None = None,
        metrics: Sequence[str | Metric] = (),
        callbacks: Sequence[Callback] = (),
        resume: bool = False,
        verbose: bool = True,
    ) -> History:
        """Train on samples X with targets y; a second call starts from the parameters that the first one left.

        Parameters
        ----------
        X : array (m, n_0), or images (m, h, w, c), which are flattened; or an iterable of mini-batches
            Any real dtype and strides. uint8 stays uint8 and is converted a mini-batch at a time, and so is a
            `numpy.memmap` of any dtype. An array is to stay as it is until `fit` returns, which may read it once and
            keep what it needs: for changes there is `augment`. An iterable gives (X, y) or (X, y, sample_weight), and
            stands alone, without y; its first mini-batch is taken before anything else, to be checked.
        y : array (m,)
            For classification labels, integers or strings, also as a column (m, 1) or one-hot rows (m, k); for
            several sigmoid units 0 or 1 for each, (m, n_L); for regression numbers (m,) or (m, n_L).
        epochs : int
            Passes over the samples, at least 1; those before `resume` included.
        batch_size : int, optional
            Samples of a mini-batch, 1 for online learning, None for all (which are then used in their own order).
            The last mini-batch of an epoch has what is left.
        optimizer : SGD, RMSProp, Adam or AdamW
        validation_data : (X, y), optional
            Evaluated after every epoch.
        shuffle : bool
            Whether every epoch takes the samples in a new random order.
        sample_weight : array (m,), optional
            Multiplies each sample's loss, at least 0; the cost is the mean of the products.
        class_weight : dict or "balanced", optional
            The same by label; "balanced" is m / (k times how often the class occurs).
        augment : callable, optional
            `augment(X, rng)` changes each mini-batch of X, in the dtype and shape it was given in, before it is used.
        steps_per_epoch : int, optional
            How many mini-batches of an endless iterable make an epoch.
        metrics : sequence of str or function
            What else is measured after each epoch, see `fastnet.metrics`: on the validation data, or else on X.
        callbacks : sequence of callable
            Called after each epoch as `callback(epoch, history, network)`, see `fastnet.callbacks`.
        resume : bool
            Go on with the last training of this network, also of one that was loaded from a checkpoint: optimizer,
            random numbers and history continue, to the same bits as if it had never stopped.
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
        RuntimeError
            If the network is being trained already, by another thread or by the `fit` that called a callback.
        KeyboardInterrupt
            After Ctrl-C, when the steps that were running have ended; `fit(..., resume=True)` goes on from there.
        """
        return fitting.fit(
            self, X, y, epochs, batch_size, optimizer, validation_data, shuffle, sample_weight, class_weight, augment,
            steps_per_epoch, metrics, callbacks, resume, verbose,
        )  # fmt: skip

    @property
    def history(self) -> History:
        """Of the last training, epoch by epoch, also of one that was interrupted; without epochs before the first."""
        return History() if self.training is None else self.training.history

    def put_back(self, parameters: np.ndarray) -> None:
        """Replace the parameters by those of an earlier epoch, as `buffer` was then.

        Those of now are kept as `training.last`, and `fit(resume=True)` goes on from them.
        """
        if np.array_equal(self.buffer, parameters):
            return
        if parameters.shape != self.buffer.shape or parameters.dtype != self.dtype:
            raise ValueError(
                f"parameters are {parameters.shape} of {parameters.dtype}: give {self.buffer.shape} of {self.dtype}"
            )
        if self.training is not None:
            if self.training.last is None:
                self.training.last = self.buffer.copy()
            self.put_back_parameters = parameters
        self.alone(lambda: np.copyto(self.buffer, parameters))

    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        optimizer: Optimizer = SGD(0.1),  # noqa: B008 - a frozen value
        classes: Any = None,
        sample_weight: Any = None,
    ) -> "Network":
        """One step of training on all of X and y, for samples that come as they come; returns the network.

        What the optimizer remembers goes on from call to call. `classes` are all labels there will be, for those that
        are not 0 to k - 1; needed in the first call only. Other arguments, and what is raised, as of `fit`.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Dense(1, "sigmoid")])
        >>> net.partial_fit([[0.0], [1.0]], ["no", "yes"], classes=["no", "yes"]).labels.tolist()
        ['no', 'yes']
        """
        fitting.partial_fit(self, X, y, optimizer, classes, sample_weight)
        return self

    def gradients(self, X: Any, y: Any) -> dict[str, np.ndarray]:
        """The gradient of the cost on X and y, as in a step of training, by every parameter that is trained: copies.

        {"W1": (n_1, n_0), "b1": (n_1,), ...}. Raises ValueError before the network is built, and ValueError or
        TypeError for bad input.
        """
        batches = self.batches(X, y)

        def copies() -> dict[str, np.ndarray]:
            self._require_features(batches)
            self._run_gradient(batches)
            return {place.name: place.view(self.gradient_buffer).copy() for place in self._places if place.is_trained}

        return self.alone(copies)

    def training_cost(self, batches: Batches) -> float:
        """The cost of one mini-batch as training sees it: with penalties, Dropout and the mini-batch's statistics."""

        def run() -> float:
            self._require_features(batches)
            return self._run_gradient(batches)

        return self.alone(run)

    def _run_gradient(self, batches: Batches) -> float:
        costs, scores = np.zeros((2, 1))
        dropout_seed = self.seed % (1 << 62)  # a seed may be of any size
        self._run(codes.GRADIENT, batches, 0, 1, costs=costs, scores=scores, dropout_seed=dropout_seed)
        return float(costs[0])

    # ---------------------------------------------------------------- transfer

    def freeze(self, count: int) -> "Network":
        """Training leaves the first `count` layers as they are from now on; returns the network.

        Examples
        --------
        >>> import fastnet as fn
        >>> fn.Network([fn.Dense(8, "relu"), fn.Dense(1)]).freeze(1).layers[0]
        Dense(8, activation='relu', trainable=False)
        """
        count = whole_number("count", count)
        if count >= len(self.layers):
            raise ValueError(f"count={count} would freeze all {len(self.layers)} layers: leave at least one to train")
        return self._set_trainable(
            [index >= count and getattr(layer, "trainable", True) for index, layer in enumerate(self.layers)]
        )

    def unfreeze(self) -> "Network":
        """Training changes all layers from now on; returns the network."""
        return self._set_trainable([True] * len(self.layers))

    def _set_trainable(self, flags: list[bool]) -> "Network":
        def replace_layers() -> None:
            for index, (layer, flag) in enumerate(zip(self.layers, flags, strict=True)):
                if isinstance(layer, Dense | BatchNorm | LayerNorm):
                    self.layers[index] = dataclasses.replace(layer, trainable=flag)
            if self.n_inputs is not None:
                self._places = places(self.layers, self.n_inputs, self.dtype)
                self._contexts.clear()

        what = "another choice of trainable layers"
        self.claim.during(what, lambda: self.alone(replace_layers), may_be_own=True)
        return self

    def take_parameters(self, other: "Network", names: Sequence[str] | None = None) -> list[str]:
        """Copy parameters of another network, by name: those given, or all that have the same shape in both.

        This network must be built, or has as many inputs as the other. Returns the names.

        Raises
        ------
        ValueError
            For a name that one of the networks lacks or has in another shape, or if there is nothing to take.

        Examples
        --------
        >>> import fastnet as fn
        >>> trained = fn.Network([fn.Dense(8, "relu"), fn.Dense(10, "softmax")]).build(4)
        >>> fn.Network([fn.Dense(8, "relu"), fn.Dense(3, "softmax")]).take_parameters(trained)
        ['W1', 'b1']
        """
        with other._contexts.reading():
            n_inputs = other._require_parameters()
            given = {name: array.copy() for name, array in other.parameters.items()}
        mine = {place.name: place.shape for place in places(self.layers, self.n_inputs or n_inputs, self.dtype)}
        if names is None:
            names = [name for name, shape in mine.items() if name in given and shape == given[name].shape]
        for name in names:
            shapes = mine.get(name, "missing"), given[name].shape if name in given else "missing"
            if shapes[0] != shapes[1] or shapes[0] == "missing":
                raise ValueError(f"{name} is {shapes[0]} here and {shapes[1]} there: take parameters of the same shape")
            with np.errstate(over="ignore"):
                taken = given[name].astype(self.dtype)
            if not np.isfinite(taken).all() and np.isfinite(given[name]).all():
                raise ValueError(f"{name} holds numbers that are too large for {self.dtype}: scale them first")
            given[name] = taken
        if not names:
            raise ValueError("the networks have no parameters of the same name and shape: nothing can be taken")
        if self.n_inputs is None:
            self.build(n_inputs)

        def write() -> None:
            for name in names:
                self._parameters[name][...] = given[name]

        self.alone(write)
        return list(names)

    # ---------------------------------------------------------------- use

    def evaluate(
        self, X: Any, y: Any, *, sample_weight: Any = None, metrics: Sequence[str | Metric] = ()
    ) -> dict[str, Any]:
        """{"cost": ..., "accuracy": ...} on X and y, or {"cost": ..., "r2": ...} for regression, and other metrics.

        The cost includes the layers' penalties and, where it is given, `sample_weight` (m,). `metrics` are names or
        functions, see `fastnet.metrics`.

        Raises ValueError before the network is built, for labels it was not trained with and for bad input.
        """
        wanted = named(metrics, self.task)
        rows, Y = self._encoded(X, y)
        with self._contexts.reading():  # both of the same parameters
            weights = sample_weights(self.task, Y, sample_weight, None, self.dtype)
            batches = self.as_batches(rows, Y, ROWS_AT_ONCE, weights)
            self._require_features(batches)
            found: dict[str, Any] = self.measure(batches)
            outputs = self.outputs(rows) if wanted else None
        return found if outputs is None else found | self.metrics_of(outputs, Y, wanted)

    def metrics_of(self, outputs: np.ndarray, Y: np.ndarray, metrics: Mapping[str, Metric]) -> dict[str, Any]:
        """Metrics of outputs (m, n_L) and the targets Y."""
        return measured(metrics, self.task.truth(Y), self.task.measurable(outputs))

    def predict(self, X: Any, *, threshold: float | None = None) -> np.ndarray:
        """Labels (m,) for classification; 0 or 1 for several answers (m, n_L); numbers (m,) or (m, n_L) for regression.

        A single sigmoid unit says the second label (1 of 0 and 1) where its probability is above `threshold`, which
        is between 0 and 1, and 1/2 unless given; and so does each of several. Raises ValueError for a threshold
        that would have no effect, and for samples whose probabilities are NaN.
        """
        limit = self.task.checked_threshold(threshold)
        return self.task.predict(self.outputs(X, of_classes=not self.task.predicts_numbers), limit)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities: (m, k) for softmax, in the order of `labels`; (m,) of the second label for one sigmoid unit.

        For several sigmoid units (m, n_L), of each answer. Raises ValueError for a network that has none, and for
        samples whose probabilities are NaN.
        """
        if self.task.predicts_numbers or self.loss == "hinge":
            raise ValueError("this network predicts numbers and no probabilities: use predict")
        return self.task.measurable(self.outputs(X, of_classes=True))

    def _refuse_nan(self, outputs: np.ndarray) -> None:
        """Raise ValueError if an output is NaN, which is no class."""
        if not np.isnan(outputs).any():
            return
        self.require_finite_parameters()
        row = int(np.isnan(outputs).any(axis=1).argmax())
        raise ValueError(
            f"the output of the sample in row {row} is NaN, as sums over it are beyond {self.dtype}: scale the inputs, "
            "or make the network with dtype='float64'"
        )

    @property
    def labels(self) -> np.ndarray:
        """The labels that `predict` returns, by class; ValueError for regression."""
        if not isinstance(self.task, Classification):
            raise ValueError("this network does not choose one of several classes: it has no labels")
        return self.task.labels.copy()

    def summary(self, batch_size: int = 32) -> str:
        """Layers, shapes, parameters, and the memory of parameters and of a workspace for `batch_size`, as text."""
        self._require_parameters()
        _, elements = self._make_plan(positive_integer("batch_size", batch_size))
        return summary_of(self, elements * self.dtype.itemsize, batch_size)

    def to(self, device: str) -> "Network":
        """Run on "cpu" or "cuda" from now on; returns the network. Parameters and the state of training stay.

        Raises ValueError for an unknown device, and RuntimeError for one that cannot be used here.

        Examples
        --------
        >>> import fastnet as fn
        >>> fn.Network([fn.Dense(1)]).to("cpu").device.name
        'cpu'
        """
        found = device_for(device, self.dtype)

        def move() -> None:
            self.device = found
            self._contexts.clear()

        self.claim.during("to", lambda: self.alone(move), may_be_own=True)
        return self

    def copy(self, *, dtype: DTypeLike | None = None) -> "Network":
        """A network of its own with the same layers, labels and parameters, in another dtype if one is given.

        It has the state of the random generator, but not that of training: `copy.deepcopy` and `pickle` keep both.

        Raises ValueError for an unknown dtype, or for parameters that are too large for it.
        """
        twin = type(self).__new__(type(self))
        Network.__init__(
            twin, self.layers, loss=self.loss_and_setting, seed=self.seed, dtype=self.dtype if dtype is None else dtype,
            device=self.device.name,
        )  # fmt: skip
        with self._contexts.reading(), np.errstate(over="ignore"):
            twin.task = self.task
            twin.rng = copy.deepcopy(self.rng)
            if self.n_inputs is not None:
                twin._allocate(self.n_inputs)
                # By name: where rows lie in the buffer depends on the dtype.
                for name, array in self._parameters.items():
                    twin._parameters[name][...] = array
                if not all_finite(twin.buffer) and all_finite(self.buffer):
                    raise ValueError(f"some parameters are too large for {twin.dtype}: keep {self.dtype}")
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """All of the network, with the state of its training: for `pickle` and `copy.deepcopy`."""

        def state() -> dict[str, Any]:
            with self._contexts.reading():
                found = {name: value for name, value in self.__dict__.items() if name not in _MADE_ANEW}
                # Copies, since whoever asked goes through them when others may train again.
                for name in ("buffer", "rng", "training"):
                    found[name] = copy.deepcopy(found.get(name))
            return found | {"device": self.device.name}

        return self.claim.during("a copy with the state of training", state, may_be_own=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.claim = TrainingClaim()
        self._contexts = ContextPool(self._plan_key, self._allocate_context)
        try:
            self.device = device_for(state["device"], self.dtype)
        except RuntimeError as error:
            warnings.warn(f"{error}: this copy of a network from a GPU runs on the CPU", stacklevel=2)
            self.device = device_for("cpu", self.dtype)
        if self.n_inputs is not None:
            self._allocate(self.n_inputs)
            self.buffer[:] = state["buffer"]
            self.training, self.put_back_parameters = state["training"], state["put_back_parameters"]

    def __copy__(self) -> "Network":
        """A network shares its parameters with no other one: the same as a deep copy."""
        return copy.deepcopy(self)

    def save(self, path: str | os.PathLike[str], *, training: bool = False) -> None:
        """Write architecture, parameters and labels to one safetensors file, which `fastnet.load` reads.

        With `training` also what `fit(resume=True)` needs: the file is larger, by what the optimizer remembers. It is
        replaced whole or not at all.

        Raises
        ------
        OSError
            For a path that cannot be written to; it says what to do.
        TypeError, ValueError
            For what no file can hold, such as callbacks that remember other things than numbers, text and arrays.
        RuntimeError
            With `training`, while another thread trains the network.
        """
        from .storage import save

        def write() -> None:
            with self._contexts.reading():  # a training of another thread waits until all is written
                save(self, path, training=training)

        self._require_parameters()
        if training:
            self.claim.during("save with training=True", write, may_be_own=True)
        else:
            write()

    def __repr__(self) -> str:
        return f"Network([{', '.join(map(repr, self.layers))}], loss={self.loss!r}, dtype='{self.dtype}')"

    def __str__(self) -> str:
        return table_of(self)

    # ---------------------------------------------------------------- running the program

    def alone(self, call: Callable[[], Result]) -> Result:
        """`call()`, while no other thread reads or changes this network."""
        return self._contexts.alone(call)

    def run(
        self, mode: int, batches: Batches, first_step: int, last_step: int, *, repeats: bool = False, **options: Any
    ) -> int:
        """Run steps of the compiled program on this network's buffers; returns the step that comes next.

        Other threads may run it at the same time, unless this changes parameters. `repeats` tells that all of many
        steps have the same samples.
        """
        if mode >= codes.GRADIENT:
            return self.alone(lambda: self._run(mode, batches, first_step, last_step, repeats, **options))
        with self._contexts.reading():
            return self._run(mode, batches, first_step, last_step, repeats, **options)

    def _run(
        self, mode: int, batches: Batches, first_step: int, last_step: int, repeats: bool = False, **options: Any
    ) -> int:
        context = self._contexts.take(batches.batch_size, repeats)
        reached = self.device.run(
            context, mode, self.buffer, self.gradient_buffer, batches, first_step, last_step, **options
        )
        context.idle.append(context)
        return reached

    def measure(self, batches: Batches) -> dict[str, float]:
        """Cost and metric on all of `batches`."""
        costs, scores = np.zeros((2, batches.steps))
        step = 0
        while step < batches.steps:
            # A run also ends at a step whose cost is not finite; the next one goes on behind it.
            step = self.run(codes.EVALUATE, batches, step, batches.steps, costs=costs, scores=scores) + 1
        cost = float(costs @ batches.sizes / batches.m) + self.penalty()
        return {"cost": cost, self.task.metric: float(self.task.score(scores.sum(), batches.targets))}

    def penalty(self) -> float:
        """What the weights add to the cost."""
        total = 0.0
        for l, layer in enumerate(self.dense_layers, start=1):
            if layer.trainable and (layer.l1 or layer.l2):
                W = self._parameters[f"W{l}"].astype(np.float64)
                total += layer.l1 * float(np.abs(W).sum()) + layer.l2 / 2 * float((W * W).sum())
        return total

    def outputs(self, X: Any, *, of_classes: bool = False) -> np.ndarray:
        """The last layer's activations (m, n_L); those `of_classes` may not be NaN, which is none: ValueError."""
        if type(X) is not np.ndarray and is_converted_one_by_one(X, self.dtype) and len(X) > _ROWS_CONVERTED:
            pieces = range(0, len(X), _ROWS_CONVERTED)
            with self._contexts.reading():  # all of the same parameters
                return np.concatenate([self.outputs(X[i : i + _ROWS_CONVERTED], of_classes=of_classes) for i in pieces])
        n_inputs = self._require_parameters()
        rows = as_rows(X, self.dtype, n_inputs, must_be_finite=False)  # the program notices it on its way
        with self._contexts.reading():
            if self.n_inputs != n_inputs:  # another thread has built the network anew
                raise ValueError(f"X has {n_inputs} features a sample: the network has just been built for others")
            outputs = np.empty((len(rows), self.task.n_units), self.dtype)
            batches = self.as_batches(rows, outputs, ROWS_AT_ONCE)
            step = self._run(codes.PREDICT, batches, 0, batches.steps, outputs=outputs)
            if step < batches.steps:
                as_rows(X, self.dtype, n_inputs)
                if of_classes:
                    self._refuse_nan(outputs[: (step + 1) * batches.batch_size])
                self._predict_rest(batches, step + 1, outputs)
                if of_classes:
                    self._refuse_nan(outputs)
        return outputs

    def outputs_of(self, batches: Batches) -> np.ndarray:
        """The last layer's activations (m, n_L) of samples that have been checked and encoded."""
        outputs = np.empty((batches.m, self.task.n_units), self.dtype)
        with self._contexts.reading():
            self._predict_rest(batches, 0, outputs)
        return outputs

    def _predict_rest(self, batches: Batches, step: int, outputs: np.ndarray) -> None:
        """Outputs from a step on. A run ends at one that has other than finite ones, although its inputs are finite."""
        while step < batches.steps:
            step = self._run(codes.PREDICT, batches, step, batches.steps, outputs=outputs) + 1

    def batches(self, X: Any, y: Any, batch_size: int | None = None) -> Batches:
        """X and y, checked and encoded for the program, in mini-batches (by default all in one)."""
        return self.as_batches(*self._encoded(X, y), batch_size)

    def _encoded(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """X as rows and y as Y, checked."""
        rows = as_rows(X, self.dtype, self._require_parameters())
        return rows, self.task.encode(as_targets(y, len(rows)), self.dtype)

    def as_batches(
        self, rows: np.ndarray, Y: np.ndarray, batch_size: int | None, weights: np.ndarray | None = None
    ) -> Batches:
        """Rows of `samples`, Y of `targets` and weights (empty: all 1), for the program."""
        m = len(rows)
        size = m if batch_size is None else min(batch_size, m)
        if weights is None:
            weights = self.device.nothing
        elif weights.size:
            self.device.prepare({codes.RARE_LOSSES})
        are_bytes = rows.itemsize == 1
        if are_bytes:
            self.device.prepare({codes.BYTES})
        return Batches(rows.ravel().view(np.uint8), are_bytes, m, size, Y, weights)

    def prepare(self) -> None:
        """Compile, or load, what of the program this network needs."""
        self.device.prepare(parts_for(self.layers, self.loss_and_setting))

    @property
    def has_penalty(self) -> bool:
        """Whether the weights add to the cost."""
        return any(layer.trainable and (layer.l1 > 0 or layer.l2 > 0) for layer in self.dense_layers)

    def prepare_for(self, batches: Batches, *, repeats: bool = False) -> None:
        """Compile, or load, what runs on these samples need, and take the memory for them."""
        context = self._contexts.take(batches.batch_size, repeats)
        self.device.prepare_last(context, batches)
        context.idle.append(context)

    def _plan_key(self, batch_size: int, repeats: bool) -> Hashable:
        return self.device.form(self.layers, self._require_parameters(), batch_size, repeats=repeats)

    def _allocate_context(self, batch_size: int, repeats: bool) -> ExecutionContext:
        self.prepare()
        return self.device.allocate(*self._make_plan(batch_size, repeats))

    def _make_plan(self, batch_size: int, repeats: bool = False) -> tuple[Any, int]:
        n_inputs = self._require_parameters()
        return self.device.make_plan(self.layers, n_inputs, self.loss_and_setting, batch_size, repeats=repeats)
