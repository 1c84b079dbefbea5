"""What is said of a table, a model and its predictions: texts for people."""

from collections.abc import Sequence

import numpy as np

from ..metrics import counts_of
from .model import TableModel, errors_of
from .preprocessing import NumberInput, looks_like_row_numbers
from .table import Column, Numbers, Table, as_categories, kind_of
from .target import REGRESSION

_MOST_LABELS = 20  # of a confusion matrix as text
_WIDTH = 60  # of a list of categories


def aligned(rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Rows of cells as lines, their columns one under the other; those that `right` marks with an x to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    sides = [">" if right[column : column + 1] == "x" else "<" for column in range(len(widths))]
    lines = (
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)) for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def columns_text(table: Table, model: TableModel) -> str:
    """The columns of a table that a model was trained on: kind, values, how many are missing, and what is not used."""
    rows = [("column", "holds", "missing", "values")]
    for name, column in table.items():
        missing = f"{int(column.is_missing.sum()):,}" if column.is_missing.any() else ""
        note = model.preprocessing.left_out.get(name)
        if name == model.target.name:
            is_regression = model.target.task == REGRESSION
            values = _values(column if is_regression else as_categories(column))
            rows.append((f"{name} (target)", "number" if is_regression else "label", missing, values))
            continue
        values = f"not used: {note}" if note else _values(column)
        if looks_like_row_numbers(column) and not note:
            values += "; row numbers? --ignore leaves them out"
        rows.append((name, kind_of(column), missing, values))
    return aligned(rows, "  x")


def _values(column: Column) -> str:
    if isinstance(column, Numbers):
        there = column.values[~column.is_missing]
        return f"{there.min():.6g} to {there.max():.6g}, mean {there.mean():.6g}" if len(there) else "none"
    counts = column.counts()
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    shown, used = [], 0
    for code in order:
        text = f"{column.names[code]} {counts[code]:,}"
        if used + len(text) > _WIDTH:
            break
        shown.append(text)
        used += len(text) + 2
    more = f", ... ({len(order)} categories)" if len(shown) < len(order) else ""
    return ", ".join(shown) + more if shown else f"{len(order)} categories"


def model_text(model: TableModel) -> str:
    """A model of a table: its target, its columns, and its network."""
    target = model.target
    kind = "numbers" if target.task == REGRESSION else f"one of {len(model.labels)} labels: {_some(model.labels)}"
    rows = [("column", "holds", "becomes")]
    for each in model.preprocessing.inputs:
        if isinstance(each, NumberInput):
            missing = f", {each.fill:.6g} where missing" + (", which has an input" if each.marks_missing else "")
            rows.append((each.name, each.kind, f"(x - {each.mean:.6g}) / {each.scale:.6g}{missing}"))
        else:
            rows.append((each.name, each.kind, f"{len(each.inputs)} inputs: {_some(each.categories)}"))
    return f"predicts {target.name!r}, {kind}\n\n{aligned(rows)}\n\n{model.network.summary()}"


def _some(names: Sequence[object] | np.ndarray, most: int = 8) -> str:
    return ", ".join(str(name) for name in names[:most]) + (", ..." if len(names) > most else "")


def report(model: TableModel, table: Table) -> str:
    """How well a model predicts a table that has the target: a confusion matrix, or errors."""
    truth = model.target.values(table)
    if model.target.task == REGRESSION:
        return _errors(model, table, truth)
    found = model.evaluate(table)
    lines = [f"accuracy {found['accuracy']:.1%}, cost {found['cost']:.4f}, on {table.n_rows:,} rows"]
    frequent = float(np.unique(truth, return_counts=True)[1].max()) / len(truth)
    lines.append(f"the most frequent label is that of {frequent:.1%} of them")
    lines += ["", confusion_text(truth, model.predict(table), model.labels)]
    return "\n".join(lines)


def confusion_text(truth: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> str:
    """How often each label, a row, was predicted as each, a column; precision and recall of each.

    `labels` are sorted, and all there are.
    Of many labels only the latter, those with the most errors.
    """
    n = len(labels)
    counts = counts_of(np.searchsorted(labels, truth), np.searchsorted(labels, predicted), n)
    is_small = n <= _MOST_LABELS
    order = np.arange(n) if is_small else np.argsort(np.diag(counts) - counts.sum(axis=1), kind="stable")[:_MOST_LABELS]
    names = [str(label) for label in labels]
    matrix = [f"as {names[j]}" for j in order] if is_small else []
    rows = [("truth", *matrix, "precision", "recall", "rows")]
    for i in order:
        hits, of_truth, of_predicted = counts[i, i], counts[i].sum(), counts[:, i].sum()
        shares = (f"{hits / total:.1%}" if total else "-" for total in (of_predicted, of_truth))
        rows.append((names[i], *(f"{counts[i, j]:,}" for j in order if is_small), *shares, f"{of_truth:,}"))
    text = aligned(rows, " " + "x" * (len(rows[0]) - 1))
    return text if is_small else f"{text}\nthe {_MOST_LABELS} of {n} labels with the most errors"


def _errors(model: TableModel, table: Table, truth: np.ndarray) -> str:
    predicted = model.predict(table)
    found, mean = errors_of(truth, predicted), errors_of(truth, np.full(len(truth), model.target.mean))
    rows = [("", "model", "always the mean")]
    names = (("mean_absolute_error", "mean absolute error"), ("root_mean_squared_error", "root mean squared error"))
    rows += [(shown, f"{found[key]:.6g}", f"{mean[key]:.6g}") for key, shown in names]
    rows.append(("R2", f"{found['r2']:.4f}", f"{mean['r2']:.4f}"))
    worst = np.argsort(-np.abs(predicted - truth), kind="stable")[:3]
    places = [f"{table.place(int(row))}: {predicted[row]:.6g} for {truth[row]:.6g}" for row in worst]
    return f"on {table.n_rows:,} rows\n{aligned(rows, ' xx')}\nfurthest off  {'; '.join(places)}"
