"""A network on a table: from columns as they are in a file to predictions, in one object and one file."""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..callbacks import Callback
from ..checks import known, positive_integer, whole_number
from ..data.targets import Classification, Regression
from ..layers import BatchNorm, Dense, Dropout, Layer
from ..metrics import Metric, mean_absolute_error, r2
from ..network import Network
from ..optimizers import Adam, Optimizer
from ..storage.json_checks import fields, parsed
from ..storage.model_file import ModelFileError, shortened
from ..storage.network_file import read
from ..storage.writing import AnyPath
from ..training.history import History
from .conversion import as_table
from .onnx_file import save_table_onnx
from .preprocessing import Preprocessing
from .table import CATEGORY, Kind, Table, check_names
from .target import CLASSIFICATION, REGRESSION, Target, Task


class TableModel:
    """A network that learns one column of a table from the others.

    Numbers are standardised, categories become one input each, and what is missing is filled in, all by the rows to
    train on. Where a table is expected, a data frame of pandas or polars will do, an Arrow table, a mapping of columns
    by name, a `tables.Table`, or the path of a CSV or Parquet file, see `tables.read_table`.

    Parameters
    ----------
    target : str
        The column to predict.
    hidden : sequence of int or Layer
        The hidden layers: numbers of units of Dense layers, or layers of any kind.
    activation : str
        Of those given by number.
    dropout : float
        Behind each of those; 0 for none.
    batch_norm : bool
        Whether each of those normalises before its activation.
    task : "classification" or "regression", optional
        By default the former for texts, and for whole numbers of at most ten different values.
    categories, ignore : collection of str
        Columns of numbers that are names, such as postal codes; and columns to leave out.
    seed : int
        Of first weights and of the order of rows.
    dtype, device : str
        As of `Network`.

    Attributes
    ----------
    network : Network
    preprocessing : tables.Preprocessing
        What `fit` has found out about the columns; `preprocessing.left_out` says which it did not use, and why.

    Raises
    ------
    ValueError, TypeError
        For settings that cannot be; the table is looked at by `fit`.

    Examples
    --------
    >>> import fastnet as fn
    >>> table = {"size": [1.0, 2.0, 8.0, 9.0] * 5, "kind": ["pea", "pea", "plum", None] * 5, "price": [1, 2, 8, 9] * 5}
    >>> model = fn.TableModel("price", hidden=[8], task="regression")
    >>> history = model.fit(table, epochs=100, verbose=False)
    >>> model.predict({"size": [1.0], "kind": ["pea"]}).round().tolist()
    [1.0]
    """

    network: Network
    preprocessing: Preprocessing

    def __init__(
        self, target: str, *, hidden: Sequence[int | Layer] = (64, 32), activation: str = "relu", dropout: float = 0.0,
        batch_norm: bool = False, task: Task | None = None, categories: Collection[str] = (),
        ignore: Collection[str] = (), seed: int = 0, dtype: DTypeLike = "float32", device: str = "cpu",
    ) -> None:  # fmt: skip
        if not isinstance(target, str):
            raise TypeError(f"target={target!r} is a {type(target).__name__}: give the name of a column")
        if task is not None:
            known("task", task, (CLASSIFICATION, REGRESSION))
        for name, given in (("categories", categories), ("ignore", ignore)):
            check_names(name, given)
        if target in ignore:
            raise ValueError(f"ignore has the target {target!r}: leave it out there")
        self._hidden = list(_layers_of(hidden, activation, dropout, batch_norm))
        self._target_name, self._task = target, task
        self._categories, self._ignore = list(categories), set(ignore)
        self._target: Target | None = None
        self._seed, self._dtype, self._device = whole_number("seed", seed), dtype, device
        self._network(Dense(1))  # whose errors are better known now

    def _network(self, output: Dense) -> Network:
        return Network([*self._hidden, output], seed=self._seed, dtype=self._dtype, device=self._device)

    @property
    def is_fitted(self) -> bool:
        """Whether it can predict."""
        return self._target is not None

    @property
    def target(self) -> Target:
        """The column that is predicted; RuntimeError before `fit`."""
        if self._target is None:
            raise RuntimeError("this model has not been trained yet: call fit first, or TableModel.load")
        return self._target

    def kinds(self, *, with_target: bool = True) -> dict[str, Kind]:
        """The columns that are needed, and what they hold, for `tables.read_table`; before `fit` what is known."""
        if self._target is None:
            return dict.fromkeys(self._categories, CATEGORY)
        target = {self._target.name: self._target.kind} if with_target else {}
        return self.preprocessing.kinds | target

    def _table(self, given: Any, *, with_target: bool = True) -> Table:
        """A table with the columns that this model looks at, of the kinds that it knows them by."""
        kinds = self.kinds(with_target=with_target)
        if self._target is None:
            return as_table(given, kinds=kinds, ignore=self._ignore)
        return as_table(given, kinds=kinds, only=kinds)

    # ---------------------------------------------------------------- training

    def fit(
        self,
        table: Any,
        *,
        epochs: int = 50,
        batch_size: int | None = 32,
        optimizer: Optimizer = Adam(),  # noqa: B008 - a frozen value
        validation_data: Any = None,
        class_weight: Any = None,
        metrics: Sequence[str | Metric] = (),
        callbacks: Sequence[Callback] = (),
        resume: bool = False,
        verbose: bool = True,
    ) -> History:
        """Train on a table with the target among its columns; a second call goes on from what the first one left.

        `validation_data` is another such table. Other arguments, and what is raised, as of `Network.fit`; "cost" in the
        history is of standardised numbers. Also ValueError for a table that lacks columns, for a target that lacks
        values, and for columns that nothing can be learned from, all before anything has changed.
        """
        given = self._table(table)
        target = self._target or Target.of(given, self._target_name, self._task)
        y = target.values(given)
        if self._target is None:
            given.require(self._categories)
            columns = {name: column for name, column in given.items() if name != target.name}
            preprocessing = Preprocessing.of(Table(columns, given.place), keep=self._categories)
            network = self._network(target.output_layer(y))
        else:
            preprocessing, network = self.preprocessing, self.network
        pair = None
        if validation_data is not None:
            kinds = preprocessing.kinds | {target.name: target.kind}
            other = as_table(validation_data, kinds=kinds, only=kinds)
            pair = preprocessing.transform(other, network.dtype), target.encoded(target.values(other))
        X = preprocessing.transform(given, network.dtype)
        before = self._target, getattr(self, "preprocessing", None), getattr(self, "network", None)
        # A callback may want to save all of it.
        self._target, self.preprocessing, self.network = target, preprocessing, network
        try:
            return network.fit(
                X, target.encoded(y), epochs=epochs, batch_size=batch_size, optimizer=optimizer, validation_data=pair,
                class_weight=class_weight, metrics=metrics, callbacks=callbacks, resume=resume, verbose=verbose,
            )  # fmt: skip
        except BaseException:
            if network.input_shape is None:  # nothing has begun
                self._target, self.preprocessing, self.network = before  # type: ignore[assignment]
            raise

    # ---------------------------------------------------------------- use

    def predict(self, table: Any) -> np.ndarray:
        """Labels (m,), strings, int64 or booleans, or numbers (m,) in float64.

        The table may lack the target, and have other columns, which are not looked at. ValueError for one that lacks
        a column that the model was trained with; a category that was not there is a warning.
        """
        return self.target.decoded(self.network.predict(self._inputs(table)))

    def predict_proba(self, table: Any) -> np.ndarray:
        """Probabilities (m, k) of the labels, in the order of `labels`; ValueError for a regression."""
        inputs = self._inputs(table)
        found = self.network.predict_proba(inputs)
        return np.column_stack([1 - found, found]) if found.ndim == 1 else found

    @property
    def labels(self) -> np.ndarray:
        """The labels that `predict` returns; ValueError for a regression."""
        self.target  # noqa: B018 - raises
        return self.network.labels

    def evaluate(self, table: Any) -> dict[str, float]:
        """{"cost", "accuracy"}, or {"mean_absolute_error", "root_mean_squared_error", "r2"} in units of the target."""
        self.target  # noqa: B018 - raises
        given = self._table(table)
        truth = self.target.values(given)
        if self.target.task != REGRESSION:
            return self.network.evaluate(self._inputs(given), truth)
        return errors_of(truth, self.predict(given))

    def _inputs(self, table: Any) -> np.ndarray:
        self.target  # noqa: B018 - raises
        return self.preprocessing.transform(self._table(table, with_target=False), self.network.dtype)

    # ---------------------------------------------------------------- files

    def save(self, path: AnyPath, *, training: bool = False) -> None:
        """Write the network and what it knows of the columns to one safetensors file, whole or not at all.

        Arguments, and what is raised, as of `Network.save`; RuntimeError before `fit`.
        """
        table = {"target": self.target.to_json(), "columns": self.preprocessing.to_json()}
        self.network.save_with_table(path, json.dumps(table), training=training)

    def to_onnx(self, path: AnyPath) -> None:
        """Write columns, network and target to an ONNX file, for ONNX Runtime and others: for predictions.

        Each column is an input of its name, (m, 1): of numbers in float64, NaN where one is missing, or of texts, empty
        where one is missing. The output "output" is as of `Network.to_onnx`, and of a regression in units of the
        target, in float64. What is raised is as there; also ValueError for a column whose name the file needs for
        itself, and RuntimeError before `fit`.
        """
        target = self.target
        with self.network.reading():
            save_table_onnx(path, self.network, self.preprocessing, target)

    @classmethod
    def load(cls, path: AnyPath, *, device: str = "cpu") -> "TableModel":
        """The model that `save` wrote to `path`, or `fastnet train`; what is raised is as of `fastnet.load`."""
        network, text = read(path, device, Network)
        given = os.fsdecode(path)
        assert isinstance(network, Network)
        if text is None:
            raise ModelFileError(f"{given} is a network and knows no table: load it with fastnet.load")
        try:
            found = fields("table", parsed("table", text), ("target", "columns"))
            target = Target.from_json("table.target", found["target"])
            preprocessing = Preprocessing.from_json("table.columns", found["columns"])
            _check_together(network, target, preprocessing)
        except (TypeError, ValueError) as error:
            raise ModelFileError(f"{given} is a damaged fastnet model ({shortened(error)}): save it again") from error
        model = cls.__new__(cls)
        model._hidden, model._seed = list(network.layers[:-1]), network.seed
        model._dtype, model._device = network.dtype, device
        model._target_name, model._task, model._target = target.name, target.task, target
        model._categories, model._ignore = [], set()
        model.network, model.preprocessing = network, preprocessing
        return model

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self._hidden))
        return f"TableModel({self._target_name!r}, hidden=[{layers}]{'' if self.is_fitted else ', not trained yet'})"


def errors_of(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """How far predicted numbers (m,) are from the true ones: mean absolute and root mean squared error, and R^2."""
    return {
        "mean_absolute_error": mean_absolute_error(truth, predicted),
        "root_mean_squared_error": float(np.sqrt(np.mean((predicted - truth) ** 2))),
        "r2": r2(truth, predicted),
    }


def _layers_of(hidden: Sequence[int | Layer], activation: str, dropout: float, batch_norm: bool) -> Iterator[Layer]:
    if isinstance(hidden, int | str):
        raise TypeError(f"hidden={hidden!r} is no list: give numbers of units, such as (64, 32)")
    for given in hidden:
        if isinstance(given, Layer):
            yield given
            continue
        units = positive_integer("hidden", given)
        yield from [Dense(units), BatchNorm(activation)] if batch_norm else [Dense(units, activation)]
        if dropout:
            yield Dropout(dropout)


def _check_together(network: Network, target: Target, preprocessing: Preprocessing) -> None:
    n = len(preprocessing.input_names)
    if network.input_shape != (n,):
        raise ValueError(f"the columns make {n} inputs, and the network takes {network.input_shape}")
    kind = Regression if target.task == REGRESSION else Classification
    if not isinstance(network.task, kind):
        raise ValueError(f"the network is for no {target.task}")
    if isinstance(network.task, Classification):
        expected = "b" if target.are_booleans else "U" if target.kind == CATEGORY else "i"
        if network.labels.dtype.kind != expected or (target.mean, target.scale) != (0, 1):
            raise ValueError(f"the labels are {network.labels.dtype}, and the target is {target}")
    if target.name in preprocessing.kinds:
        raise ValueError(f"the target {target.name!r} is among the columns that it is found from")
