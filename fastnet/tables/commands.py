"""The commands for people with a file: `fastnet train`, `predict`, `evaluate` and `summary`."""

import argparse
import csv
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..callbacks import EarlyStopping
from ..execution.cpu.device import set_num_threads
from ..network import Network, load
from ..optimizers import Adam
from ..picture_files import check_plot
from ..storage.network_file import read
from ..storage.writing import check_writable, replacing
from .describing import columns_text, model_text, report
from .model import TableModel
from .reading import MISSING, read_table
from .splitting import split
from .table import Kind, Table
from .target import CLASSIFICATION, REGRESSION, Target, Task


def add_commands(commands: Any) -> None:
    """Give the parser of `fastnet` the four commands."""
    _add_train(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_summary(commands)


def _names(text: str) -> list[str]:
    return next(csv.reader([text]))


def _units(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers: give 64 or 64,32") from None


def _add_reading(parser: Any) -> None:
    group = parser.add_argument_group("reading the table")
    group.add_argument("--skip-bad-rows", action="store_true", help="leave out rows that cannot be used, and say which")
    group.add_argument("--delimiter", metavar="C", help="between fields (default: what the first line has most of)")
    group.add_argument("--decimal", default=".", metavar="C", help="point of numbers, '.' (default) or ','")
    group.add_argument("--missing", type=_names, metavar="A,B,...", help="more texts that stand for what is missing")
    group.add_argument("--encoding", default="utf-8", help="of the text (default utf-8)")
    group.add_argument("--no-header", action="store_true", help="the first line is a row: columns are 'column 1', ...")


def _read(options: Any, path: Path, kinds: dict[str, Kind], **more: Any) -> Table:
    return read_table(
        path, kinds=kinds, skip_bad_rows=options.skip_bad_rows, delimiter=options.delimiter, decimal=options.decimal,
        missing=MISSING.union(options.missing or ()), has_header=not options.no_header, encoding=options.encoding,
        **more,
    )  # fmt: skip


def _check_suffix(path: Path, expected: Sequence[str], what: str, else_do: str) -> None:
    """Refuse a name that says the file is something else than what is written."""
    if path.suffix not in expected:
        raise ValueError(f"--output {path} will be {what}: end its name with {expected[0]}; {else_do}")


def _check_apart(path: Path, **others: Path) -> None:
    """Refuse a path that cannot be written to, or that would take the place of another file that the command names."""
    for name, other in others.items():
        if os.path.realpath(path) == os.path.realpath(other):
            raise ValueError(f"{path} is the {name} as well, which would be lost: give another name")
    check_writable(path)


def _with_target(table: Table, target: str, options: Any) -> Table:
    """The rows that have the target; where others may not be left out, training says what is wrong."""
    table.require([target])
    is_missing = table[target].is_missing
    if not is_missing.any() or is_missing.all() or not options.skip_bad_rows:
        return table
    first = table.place(int(is_missing.argmax()))
    warnings.warn(f"left out: {int(is_missing.sum())} rows without {target!r}, the first in {first}", stacklevel=2)
    return table.take(~is_missing)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings as a line each, on the error output."""
    with warnings.catch_warnings():
        warnings.simplefilter("once", UserWarning)  # a table is prepared for its predictions and for its report
        warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
        yield


# ---------------------------------------------------------------- train


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="learn a column of a table from the others",
        description="Learn one column of a CSV or Parquet file from the others, and write a model that `fastnet "
        "predict` uses. Columns of numbers are standardised, texts become an input a category, and what is missing is "
        "filled in. A share of the rows is held out, and the report is of these.",
    )
    parser.add_argument("table", type=Path, help="a CSV file, plain or gzip, or a Parquet file (extra [tables])")
    parser.add_argument("--target", required=True, metavar="NAME", help="the column to learn")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the model, as model.safetensors")
    parser.add_argument("--task", choices=(CLASSIFICATION, REGRESSION), help="(default: by what the target holds)")
    parser.add_argument("--categories", type=_names, default=[], metavar="A,B,...", help="numbers that are names")
    parser.add_argument("--ignore", type=_names, default=[], metavar="A,B,...", help="columns to leave out")
    group = parser.add_argument_group("the network and its training")
    group.add_argument("--hidden", type=_units, default=[64, 32], metavar="N,M,...", help="units (default 64,32)")
    group.add_argument("--activation", default="relu", help="of hidden layers (default relu)")
    group.add_argument("--dropout", type=float, default=0.0, metavar="RATE", help="behind each of them (default 0)")
    group.add_argument("--batch-norm", action="store_true", help="normalise each of them by mini-batches")
    group.add_argument("--epochs", type=int, default=50, help="passes over the rows (default 50)")
    group.add_argument("--batch-size", type=int, default=32, metavar="M", help="rows of a step (default 32)")
    group.add_argument("--learning-rate", type=float, default=1e-3, metavar="A", help="of Adam (default 0.001)")
    group.add_argument("--patience", type=int, metavar="N", help="stop after N epochs without improvement on a tenth "
                       "of the rows, kept for that, and take the best epoch")  # fmt: skip
    group.add_argument("--balanced", action="store_true", help="weigh rows such that each label counts the same")
    group.add_argument(
        "--held-out", type=float, default=0.2, metavar="SHARE", help="of the rows (default 0.2; 0: none)"
    )
    group.add_argument("--seed", type=int, default=0, help="another seed, another start (default 0)")
    group.add_argument("--dtype", default="float32", help="float32 (default) or float64")
    group.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    group.add_argument("--threads", type=int, metavar="N", help="at most (default: all)")
    group.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw cost by epoch, and the report (extra [plot])"
    )
    group.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_reading(parser)
    parser.set_defaults(run=_plainly(_train))


def _plainly(run: Callable[[Any], int]) -> Callable[[Any], int]:
    def with_plain_warnings(options: Any) -> int:
        with _plain_warnings():
            return run(options)

    return with_plain_warnings


def _model(options: Any, task: Task | None, ignore: Sequence[str]) -> TableModel:
    return TableModel(
        options.target, hidden=options.hidden, activation=options.activation, dropout=options.dropout,
        batch_norm=options.batch_norm, task=task, categories=options.categories, ignore=ignore,
        seed=options.seed, dtype=options.dtype, device=options.device,
    )  # fmt: skip


def _train(options: Any) -> int:
    model = _model(options, options.task, options.ignore)
    optimizer = Adam(options.learning_rate)
    patience = [] if options.patience is None else [EarlyStopping(patience=options.patience)]
    if not 0 <= options.held_out < 1:
        raise ValueError(f"--held-out {options.held_out}: give a share from 0 to less than 1")
    _check_suffix(options.output, (".safetensors", ""), "a model", "to_onnx of fastnet.TableModel writes ONNX files")
    _check_apart(options.output, table=options.table)
    if options.plot is not None:
        _check_apart(options.plot, table=options.table, output=options.output)
        check_plot(options.plot)
    if options.threads is not None:
        set_num_threads(options.threads)

    table = _with_target(_read(options, options.table, model.kinds(), ignore=options.ignore), options.target, options)
    target = Target.of(table, options.target, options.task)
    model = _model(options, target.task, ())  # a task that fewer rows could see otherwise; the ignored are gone
    by = options.target if target.task == CLASSIFICATION else None
    train, held = (table, None) if options.held_out == 0 else split(table, options.held_out, by=by, seed=options.seed)
    rest, watched = (train, None) if not patience else split(train, 0.1, by=by, seed=options.seed)
    print(f"{options.table}  {table.n_rows:,} rows, {len(table)} columns")
    history = model.fit(
        rest, epochs=options.epochs, batch_size=options.batch_size, optimizer=optimizer, validation_data=watched,
        class_weight="balanced" if options.balanced else None, callbacks=patience, verbose=not options.quiet,
    )  # fmt: skip
    model.save(options.output)

    print(columns_text(table, model), end="\n\n")
    print(model.network, end="\n\n")
    print(f"{len(history['cost'])} epochs on {rest.n_rows:,} rows in {sum(history['seconds']):.2f} s")
    print(f"\n{'held out' if held is not None else 'of the training'}: {report(model, held or rest)}")
    if options.plot is not None:
        _draw(model, history, held or rest, options.plot)
        print(f"\npicture  {options.plot}")
    print(f"\nmodel  {options.output}: fastnet predict {options.output} NEW.csv --output PREDICTIONS.csv")
    return 0


# ---------------------------------------------------------------- predict, evaluate, summary


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser("predict", help="predict the rows of a table by a model of `fastnet train`")
    parser.add_argument("model", type=Path, help="what `fastnet train` wrote")
    parser.add_argument("table", type=Path, help="a CSV or Parquet file with the columns of the training")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.csv", help="a row for each row of the table"
    )
    parser.add_argument("--keep", type=_names, default=[], metavar="A,B,...", help="columns to copy, such as an id")
    parser.add_argument("--probabilities", action="store_true", help="a column for the probability of each label, too")
    _add_reading(parser)
    parser.set_defaults(run=_plainly(_predict))


def _predict(options: Any) -> int:
    _check_suffix(options.output, (".csv", ".txt", ""), "a CSV file", "compress or convert it afterwards")
    _check_apart(options.output, model=options.model, table=options.table)
    model = TableModel.load(options.model)
    name, kinds = model.target.name, model.kinds(with_target=False)
    if options.probabilities and model.target.task == REGRESSION:
        raise ValueError(f"--probabilities are of labels, and {options.model} predicts numbers: leave it out")
    # What is no input as a text, so that an id comes out as it went in.
    kept: dict[str, Kind] = {each: "category" for each in options.keep if each not in kinds}
    table = _read(options, options.table, kept | kinds, only=[*kinds, *kept])
    columns: list[tuple[str, Sequence[Any]]] = [(each, table[each].texts()) for each in dict.fromkeys(options.keep)]
    predicted = model.predict(table)
    columns.append((f"predicted {name}" if name in options.keep else name, _shown(predicted, model)))
    if options.probabilities:
        found = model.predict_proba(table)
        columns += [(f"probability of {label}", _shown(found[:, j], model)) for j, label in enumerate(model.labels)]
    _write(options.output, columns)
    print(f"{table.n_rows:,} predictions of {name!r} in {options.output}")
    return 0


def _shown(values: np.ndarray, model: TableModel) -> list[Any]:
    """Labels as they are, numbers with all the digits that the model has."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    digits = 9 if model.network.dtype == np.float32 else 17
    return [f"{value:.{digits}g}" for value in values.tolist()]


def _write(path: Path, columns: Sequence[tuple[str, Sequence[Any]]]) -> None:
    with replacing(path) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([name for name, _ in columns])
        writer.writerows(zip(*(values for _, values in columns), strict=True))
        text.detach()


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser("evaluate", help="how well a model of `fastnet train` predicts a table")
    parser.add_argument("model", type=Path, help="what `fastnet train` wrote")
    parser.add_argument(
        "table", type=Path, help="a CSV or Parquet file with the columns of the training, and the target"
    )
    _add_reading(parser)
    parser.set_defaults(run=_plainly(_evaluate))


def _evaluate(options: Any) -> int:
    model = TableModel.load(options.model)
    kinds = model.kinds()
    table = _with_target(_read(options, options.table, kinds, only=kinds), model.target.name, options)
    print(report(model, table))
    return 0


def _add_summary(commands: Any) -> None:
    parser = commands.add_parser("summary", help="what a model file holds: layers, columns, labels")
    parser.add_argument("model", type=Path, help="what `fastnet train` or `Network.save` wrote")
    parser.set_defaults(run=_summary)


def _summary(options: Any) -> int:
    _, table = read(options.model, "cpu", Network)
    print(load(options.model).summary() if table is None else model_text(TableModel.load(options.model)))
    return 0


def _draw(model: TableModel, history: Any, table: Table, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    history.plot(ax=left)
    truth, predicted = model.target.values(table), model.predict(table)
    if model.target.task == REGRESSION:
        right.scatter(truth, predicted, s=8, alpha=0.5)
        ends = [min(truth.min(), predicted.min()), max(truth.max(), predicted.max())]
        right.plot(ends, ends, linewidth=1, color="grey")
        right.set_xlabel(model.target.name)
        right.set_ylabel("predicted")
    else:
        from ..plots import confusion_matrix

        confusion_matrix(truth, predicted, labels=model.labels, ax=right)
    with replacing(path) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=120)
