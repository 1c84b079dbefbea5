"""The texts of `print(network)` and `Network.summary()`."""

import math

from .execution.executor import Executor
from .layers.base import shown_shape
from .layers.stack import nodes_of, uses_shape


def table_of(network: Executor) -> str:
    """Layers, shapes and parameters; before the network is built with "?" for what depends on its inputs."""
    rows = [("layer", "output", "parameters", "settings")]
    shape, number = network.input_shape, 0
    nodes = iter([] if shape is None else nodes_of(network.layers, shape))
    shown = "(m, ?)" if shape is None else shown_shape(shape)
    rows.append(("input", shown, "0", shortened(", ".join(network.feature_names or ()))))
    for layer in network.layers:
        kind, count = type(layer).__name__, "0"
        if layer.kind >= 0:
            node = next(nodes, None)
            number += layer.begins_number
            if node is not None:
                shown = shown_shape(node.output_shape)
                count = f"{sum(math.prod(parameter.shape) for parameter in layer.parameters(node.input_shape)):,}"
            else:
                shown, count = f"(m, {layer.fixed_units})" if layer.fixed_units else shown, "?"
            kind = f"{number} {kind}" if layer.begins_number else f"{' ' * len(str(number))} {kind}"
        rows.append((kind, shown, count, layer.shown_settings()))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows]
    rule = "-" * max(map(len, lines))
    is_built = shape is not None
    total = f"{sum(array.size for array in network.parameters.values()):,}" if is_built else "no"
    end = (
        ""
        if is_built
        else f" yet: fit(X, y) makes them, or build({'shape' if uses_shape(network.layers) else 'n_inputs'})"
    )
    loss = network.loss_and_setting.name
    return "\n".join([lines[0], rule, *lines[1:], rule, f"loss {loss}, {total} parameters of {network.dtype}{end}"])


def shortened(text: str, most: int = 48) -> str:
    """A text, or as many of its words as there is room for.

    >>> shortened("age, sex, town", 12)
    'age, sex ...'
    """
    return text if len(text) <= most else text[: most - 3].rpartition(", ")[0] + " ..."


def summary_of(network: Executor, workspace_bytes: int, batch_size: int) -> str:
    """The table of a network that is built, and what it needs of memory."""
    return (
        f"{table_of(network)}: {readable(network.buffer.nbytes)}, and as much for their gradient\n"
        f"workspace for mini-batches of {batch_size}: {readable(workspace_bytes)}"
    )


def readable(n_bytes: int) -> str:
    """A number of bytes for people: "12.3 kB", "4.5 MB"."""
    size, units = float(n_bytes), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
