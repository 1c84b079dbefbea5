"""The network: what people make, train, use and keep."""

import copy
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .callbacks import Callback
from .checks import all_finite, float_dtype, positive_integer, whole_number
from .data.targets import Classification, sample_weights, task_for
from .execution.contexts import ContextPool
from .execution.devices import device_for
from .execution.layout import slots_of
from .generating import generate
from .layers import Layer
from .layers.stack import checked_layers, checked_shape, nodes_of, output_units
from .losses import Loss, loss_for
from .metrics import Metric, named
from .optimizers import SGD, Optimizer
from .storage.model_file import ModelFileError
from .storage.network_file import read, save
from .storage.onnx.writing import save_onnx
from .storage.writing import AnyPath
from .summary import html_of, summary_of, table_of
from .training import fitting
from .training.batches import Augment
from .training.claims import TrainingClaim
from .training.history import History
from .training.trainable import Trainable

_MADE_ANEW = ("_parameters", "_slots", "_graph", "gradient_buffer", "_contexts", "claim", "device")  # of a copy


class Network(Trainable):
    """A network of layers in a row: parameters in one buffer, run by one compiled program.

    Parameters
    ----------
    layers : sequence of layers
        Dense, Conv1D and Conv2D; BatchNorm, LayerNorm and Dropout; MaxPool1D, AveragePool1D, GlobalMaxPool1D,
        GlobalAveragePool1D and the same with 2D; Flatten and Reshape; Residual, a block of such; Recurrent, LSTM and
        GRU; and, first, Rescale, Masking or Embedding.
        The last one, the output layer, is Dense; it alone may be softmax.
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

    Attributes
    ----------
    layers : list of layers
        Those given, in order.
    parameters : dict of arrays
        "W1" (n_1, n_0), "b1" (n_1,), "W2" ...: views, which may be written to.
    buffer : array
        All parameters in a row, as they lie in memory.
    input_shape : tuple, or None
        The shape of a sample, once the network is built: (n_0,), (h, w, c) ...; `n_inputs` is how many numbers it has.
    history : History
        Of the last training.
    labels : array
        What `predict` chooses from, by class.
    feature_names : tuple of str, or None
        The columns of the data frame that it was trained on.

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
        layers = checked_layers(layers)
        units = output_units(layers)
        chosen = loss_for(layers[-1].activation_name, loss)
        task = task_for(chosen.name, units)
        if chosen.name == "hinge" and units > 1:
            raise ValueError(f"loss='hinge' is for two classes, with one linear unit: this output layer has {units}")
        seed, checked = whole_number("seed", seed), float_dtype("dtype", dtype)
        super().__init__(layers, chosen, checked, device_for(device, checked), task, seed)

    def build(self, n_inputs: int | Sequence[int]) -> "Network":
        """Make the parameters for samples of `n_inputs` features, or of a shape (h, w, c): W random by each layer's
        `init`, b zero.

        Building again draws new parameters. Returns the network.

        Raises ValueError or TypeError for less than 1 and for a shape that a layer cannot take, and RuntimeError while
        the network is trained.
        """
        self.claim.during("build", lambda: self.alone(lambda: self.draw_parameters(n_inputs)))
        return self

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
        X : array (m, n_0), images (m, h, w, c), sequences (m, t, n) or (m, t); or an iterable of mini-batches
            Any real dtype and strides. uint8 stays uint8 and is converted a mini-batch at a time, and so is a
            `numpy.memmap` of any dtype. An array is to stay as it is until `fit` returns, which may read it once and
            keep what it needs: for changes there is `augment`. An iterable gives (X, y) or (X, y, sample_weight), and
            stands alone, without y; its first mini-batch is taken before anything else, to be checked.
        y : array (m,)
            For classification labels, integers or strings, also as a column (m, 1) or one-hot rows (m, k); for
            several sigmoid units 0 or 1 for each, (m, n_L); for regression numbers (m,) or (m, n_L). Where the output
            has steps, y has them behind m: (m, t), (m, t, n_L).
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

    # ---------------------------------------------------------------- transfer

    def freeze(self, count: int) -> "Network":
        """Training leaves the first `count` layers as they are from now on, a block whole; returns the network.

        Examples
        --------
        >>> import fastnet as fn
        >>> fn.Network([fn.Dense(8, "relu"), fn.Dense(1)]).freeze(1).layers[0]
        Dense(8, activation='relu', trainable=False)
        """
        count = whole_number("count", count)
        if count >= len(self.layers):
            raise ValueError(f"count={count} would freeze all {len(self.layers)} layers: leave at least one to train")
        return self._take_layers(
            [layer.with_trainable(False) if index < count else layer for index, layer in enumerate(self.layers)]
        )

    def unfreeze(self) -> "Network":
        """Training changes all layers from now on; returns the network."""
        return self._take_layers([layer.with_trainable(True) for layer in self.layers])

    def _take_layers(self, layers: list[Layer]) -> "Network":
        what = "another choice of trainable layers"
        self.claim.during(what, lambda: self.alone(lambda: self.replace_layers(layers)), may_be_own=True)
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
        with other.reading():
            given = {name: array.copy() for name, array in other.parameters.items()}
            shape = self.input_shape or checked_shape(self.layers, other.input_shape or ())
        mine = {slot.name: slot.shape for slot in slots_of(nodes_of(self.layers, shape), self.dtype)}
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
        if self.input_shape is None:
            self.build(shape)

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
        rows, Y = self.encoded(X, y)
        with self.reading():  # both of the same parameters
            weights = sample_weights(self.task, Y, sample_weight, None, self.dtype)
            batches = self.as_batches(rows, Y, self._graph.rows_at_once, weights)
            self.require_features(batches)
            found: dict[str, Any] = self.measure(batches)
            outputs = self.outputs_of(batches) if wanted else None
        return found if outputs is None else found | self.metrics_of(outputs, Y, wanted)

    def predict(self, X: Any, *, threshold: float | None = None, state: np.ndarray | None = None) -> np.ndarray:
        """Labels (m,) for classification; 0 or 1 for several answers (m, n_L); numbers (m,) or (m, n_L) for regression.

        Networks that answer at each step of a sequence give (m, t) and (m, t, n_L). With a `state` of `first_state`
        sequences come piece by piece, of any number of steps: recurrent layers go on from it, and it is changed to what
        they have come to.

        A single sigmoid unit says the second label (1 of 0 and 1) where its probability is above `threshold`, which
        is between 0 and 1, and 1/2 unless given; and so does each of several. Raises ValueError for a threshold
        that would have no effect, and for samples whose probabilities are NaN.
        """
        limit = self.task.checked_threshold(threshold)
        outputs = self.outputs(X, of_classes=not self.task.predicts_numbers, state=state)
        return self.task.at_steps(outputs.shape[1] if outputs.ndim == 3 else None).predict(outputs, limit)

    def predict_proba(self, X: Any, *, state: np.ndarray | None = None) -> np.ndarray:
        """Probabilities: (m, k) for softmax, in the order of `labels`; (m,) of the second label for one sigmoid unit.

        For several sigmoid units (m, n_L), of each answer. At each step of a sequence (m, t, k) and so on; `state` is
        that of `predict`. Raises ValueError for a network that has none, and for samples whose probabilities are NaN.
        """
        if self.task.predicts_numbers or self.loss == "hinge":
            raise ValueError("this network predicts numbers and no probabilities: use predict")
        outputs = self.outputs(X, of_classes=True, state=state)
        task = self.task.at_steps(outputs.shape[1] if outputs.ndim == 3 else None)
        return task.by_sample(task.measurable(outputs))

    def generate(self, start: Any, length: int, *, temperature: float = 1.0, seed: int = 0) -> np.ndarray:
        """What comes behind `start`, (m, length) or (length,), of a network that predicts the next of some symbols.

        Its softmax output, the last one where there is one at each step, says how likely each symbol is, 0 to k - 1.
        One is drawn by it, taken for the next input, and so on. Inputs are the symbols, into `Embedding`, or one-hot
        rows of k numbers.

        Parameters
        ----------
        start : array (m, t) or (t,)
            Symbols to begin with, at least one.
        length : int
            How many symbols to draw.
        temperature : float
            Divides the logits: below 1 what is likely becomes likelier, and at 0 the likeliest is taken.
        seed : int
            Seeds the draws.

        Raises
        ------
        ValueError, TypeError
            Before the network is built, for one that does not predict symbols like those it takes, and for bad input.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnet as fn
        >>> X = np.arange(40).reshape(10, 4) % 3
        >>> net = fn.Network([fn.Embedding(3, 4), fn.GRU(8, return_sequences=True), fn.Dense(3, "softmax")])
        >>> history = net.fit(X, (X + 1) % 3, epochs=50, optimizer=fn.Adam(0.02), verbose=False)
        >>> net.generate([0], 6, temperature=0).tolist()
        [1, 2, 0, 1, 2, 0]
        """
        return generate(self, start, length, temperature, seed)

    @property
    def labels(self) -> np.ndarray:
        """The labels that `predict` returns, by class; ValueError for regression."""
        if not isinstance(self.task, Classification):
            raise ValueError("this network does not choose one of several classes: it has no labels")
        return self.task.labels.copy()

    def summary(self, batch_size: int = 32) -> str:
        """Layers, shapes, parameters, and the memory of parameters and of a workspace for `batch_size`, as text."""
        self.require_parameters()
        return summary_of(self, self.workspace_bytes(positive_integer("batch_size", batch_size)), batch_size)

    def to(self, device: str) -> "Network":
        """Run on "cpu" or "cuda" from now on; returns the network. Parameters and the state of training stay.

        Raises ValueError for an unknown device, or one that does not have all of its layers, and RuntimeError for one
        that cannot be used here.

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

    # ---------------------------------------------------------------- copies and files

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
        with self.reading(), np.errstate(over="ignore"):
            twin.task, twin.feature_names = self.task, self.feature_names
            twin.rng = copy.deepcopy(self.rng)
            if self.input_shape is not None:
                twin.allocate_untrained(self.input_shape)
                # By name: where rows lie in the buffer depends on the dtype.
                for name, array in self._parameters.items():
                    twin._parameters[name][...] = array
                if not all_finite(twin.buffer) and all_finite(self.buffer):
                    raise ValueError(f"some parameters are too large for {twin.dtype}: keep {self.dtype}")
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """All of the network, with the state of its training: for `pickle` and `copy.deepcopy`."""

        def state() -> dict[str, Any]:
            with self.reading():
                found = {name: value for name, value in self.__dict__.items() if name not in _MADE_ANEW}
                # Copies, since whoever asked goes through them when others may train again.
                for name in ("buffer", "rng", "training"):
                    found[name] = copy.deepcopy(found.get(name))
            return found | {"device": self.device.name}

        return self.claim.during("a copy with the state of training", state, may_be_own=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.claim = TrainingClaim()
        self._contexts = ContextPool(self.strategy, self._make_context)
        try:
            self.device = device_for(state["device"], self.dtype)
        except RuntimeError as error:
            warnings.warn(f"{error}: this copy of a network from a GPU runs on the CPU", stacklevel=2)
            self.device = device_for("cpu", self.dtype)
        if self.input_shape is not None:
            self.allocate_untrained(self.input_shape)
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
        self.save_with_table(path, None, training=training)

    def save_with_table(self, path: AnyPath, table: str | None, *, training: bool) -> None:
        """Write the network as `save` does, and `table`, what is known of the columns of its inputs, as JSON."""

        def write() -> None:
            with self.reading():  # a training of another thread waits until all is written
                save(self, path, Network, training=training, table=table)

        self.require_parameters()
        if training:
            self.claim.during("save with training=True", write, may_be_own=True)
        else:
            write()

    def to_onnx(self, path: AnyPath) -> None:
        """Write the network to an ONNX file, for ONNX Runtime and others: for predictions, in float32.

        Its input "X" is (m, *input_shape), its output "output" (m, n_L): the last layer's activations, as of
        `predict_proba` for softmax; a sigmoid unit's is a column. The file's metadata has the loss and the labels, as
        JSON. `fastnet.from_onnx` reads it. It needs the extra [onnx].

        Raises
        ------
        ValueError
            Before the network is built, for parameters that are not finite in float32, and for more than 2 GB.
        ModuleNotFoundError
            Without the package onnx.
        OSError
            For a path that cannot be written to; it says what to do.
        """
        with self.reading():
            save_onnx(self, path)

    def __repr__(self) -> str:
        return f"Network([{', '.join(map(repr, self.layers))}], loss={self.loss!r}, dtype='{self.dtype}')"

    def __str__(self) -> str:
        return table_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)


def load(path: AnyPath, *, device: str = "cpu") -> Network:
    """The network that `Network.save` wrote to `path`, to be run on "cpu" or "cuda", wherever it was trained.

    Raises
    ------
    FileNotFoundError, OSError
        If there is no such file, or it cannot be read.
    ModelFileError
        A ValueError, if it is not a fastnet model, is damaged or cut short, was written by a newer version of fastnet,
        or is a model of a table, which `TableModel.load` reads. Nothing is made of the sizes that a file claims before
        they were found to be those of its tensors.
    ValueError
        For an unknown device.
    RuntimeError
        For a device that cannot be used here.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastnet as fn
    >>> net = fn.Network([fn.Dense(1)]).build(3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "line.safetensors")
    ...     net.save(path)
    ...     again = fn.load(path)
    >>> (again.parameters["W1"] == net.parameters["W1"]).all()
    np.True_
    """
    network, table = read(path, device, Network)
    if table is not None:
        raise ModelFileError(
            f"{os.fsdecode(path)} is a model of a table, whose columns have to be prepared: load it with "
            "fastnet.TableModel.load, which has it as `network`"
        )
    assert isinstance(network, Network)
    return network
