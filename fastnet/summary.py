"""What is said of a network: the texts of `print(network)` and `Network.summary()`, and the table in a notebook."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from . import html
from .execution.executor import Executor
from .layers import Layer, Node, Residual, Shape
from .layers.base import shown_shape
from .layers.stack import nodes_of, uses_shape

_HEADER = ("layer", "output", "parameters", "multiply-adds", "settings")
_NUMBERS = (2, 3)  # columns


class LayerRow(NamedTuple):
    """What is said of the inputs or of a layer, with "?" for what depends on inputs that nobody knows yet."""

    layer: str  # with its number l, or as many blanks
    output: str
    parameters: str
    products: str  # of a sample on its way forward
    settings: str
    shape: Shape | None  # of a sample behind it

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """A text for each column of the table."""
        return self[:5]


def rows_of(network: Executor) -> list[LayerRow]:
    """The inputs, and every layer with its shape, parameters and settings."""
    shape = network.input_shape
    names = shortened(", ".join(network.feature_names or ()))
    rows = _Rows(shape, iter(()) if shape is None else iter(nodes_of(network.layers, shape)))
    rows.found.append(LayerRow("input", rows.shown, "0", "0", names, shape))
    rows.add_all(network.layers, "")
    return rows.found


class _Rows:
    """Rows so far, the nodes of the layers to come, and the shape behind what has been seen."""

    def __init__(self, shape: Shape | None, nodes: Iterator[Node]) -> None:
        self.found: list[LayerRow] = []
        self.shape, self.nodes, self.number = shape, nodes, 0
        self.shown = "(m, ?)" if shape is None else shown_shape(shape)

    def add_all(self, layers: Iterable[Layer], indent: str) -> None:
        """Layers one after the other, those of a block after it and indented."""
        for layer in layers:
            if isinstance(layer, Residual):
                self._add_block(layer, indent)
            else:
                self._add(layer, indent)

    def _add(self, layer: Layer, indent: str, settings: str | None = None) -> None:
        count = products = "0"
        if layer.kind >= 0:
            self.number += layer.begins_number
            node = next(self.nodes, None)
            if node is not None:
                self._pass(node.output_shape)
                count = f"{sum(math.prod(parameter.shape) for parameter in layer.parameters(node.input_shape)):,}"
                products = f"{node.n_products:,}"
            else:
                self.shown, count = f"(m, {layer.fixed_units})" if layer.fixed_units else self.shown, "?"
                products = "?"
        elif self.shape is not None:  # it computes nothing, and its output may have another shape
            self._pass(layer.output_shape(self.shape))
        number = f"{self.number} " if layer.begins_number else f"{' ' * len(str(self.number))} "
        if not self.number and layer.kind < 0:
            number = ""
        shown = layer.shown_settings() if settings is None else settings
        kind = f"{indent}{number}{type(layer).__name__}"
        self.found.append(LayerRow(kind, self.shown, count, products, shown, self.shape))

    def _pass(self, shape: Shape) -> None:
        self.shape, self.shown = shape, shown_shape(shape)

    def _add_block(self, block: Residual, indent: str) -> None:
        """A row for the block, and below it those of what goes around, if that is computed, and of its layers."""
        before = self.shape
        shape = None if before is None else block.output_shape(before)
        number = f"{' ' * len(str(self.number))} "
        shown = self.shown if shape is None else shown_shape(shape)
        self.found.append(LayerRow(f"{indent}{number}Residual", shown, "0", "0", block.shown_settings(), shape))
        next(self.nodes, None)
        projection = None if before is None else block.projection(before)
        if projection is not None:
            self._add(projection, f"{indent}    ", "of the input, added")
        if before is not None:
            self._pass(before)
        self.add_all(block.layers, f"{indent}    ")
        next(self.nodes, None)


def totals_of(network: Executor) -> str:
    """The loss, the parameters and their dtype, or how to make them, and the multiply-adds of a sample."""
    loss = network.loss_and_setting.name
    if network.input_shape is None:
        how = f"build({'shape' if uses_shape(network.layers) else 'n_inputs'})"
        return f"loss {loss}, no parameters of {network.dtype} yet: fit(X, y) makes them, or {how}"
    total = sum(array.size for array in network.parameters.values())
    products = sum(node.n_products for node in nodes_of(network.layers, network.input_shape))
    return f"loss {loss}, {total:,} parameters of {network.dtype}, {products:,} multiply-adds a sample"


def table_of(network: Executor) -> str:
    """Layers, shapes and parameters, as text."""
    rows = [_HEADER, *(row.cells for row in rows_of(network))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.rjust if column in _NUMBERS else str.ljust for column in range(len(_HEADER))]
    lines = [
        "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)).rstrip()
        for row in rows
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:], rule, totals_of(network)])


def html_of(network: Executor) -> str:
    """The same as a table of HTML."""
    cells = [[cell.strip() for cell in row.cells] for row in rows_of(network)]
    return html.table(_HEADER, cells, aligned="llrrl", caption=totals_of(network))


def shortened(text: str, most: int = 48) -> str:
    """A text, or as many of its words as there is room for.

    >>> shortened("age, sex, town", 13)
    'age, sex ...'
    """
    return text if len(text) <= most else text[: most - 3].rpartition(", ")[0] + " ..."


def summary_of(network: Executor, workspace_bytes: int, batch_size: int) -> str:
    """The table of a network that is built, and what it needs of memory."""
    return (
        f"{table_of(network)}\nparameters: {readable(network.buffer.nbytes)}, and as much for their gradient\n"
        f"workspace for mini-batches of {batch_size}: {readable(workspace_bytes)}"
    )


def readable(n_bytes: int) -> str:
    """A number of bytes for people: "12.3 kB", "4.5 MB"."""
    size, units = float(n_bytes), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
