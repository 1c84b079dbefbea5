"""The text of `Network.summary()`."""

from typing import TYPE_CHECKING

from .layers import Dense

if TYPE_CHECKING:
    from .network import Network


def summary_of(network: "Network", workspace_bytes: int, batch_size: int) -> str:
    rows = [("layer", "output", "parameters", "settings")]
    n, l = network.n_inputs, 0
    rows.append(("input", f"(m, {n})", "0", ""))
    for layer in network.layers:
        if isinstance(layer, Dense):
            l += 1
            count = network.parameters[f"W{l}"].size + network.parameters[f"b{l}"].size
            n = layer.units
            slope = f", slope {layer.slope:g}" if layer.activation == "leaky_relu" else ""
            rows.append((f"{l} Dense", f"(m, {n})", f"{count:,}", f"{layer.activation}, init {layer.init}{slope}"))
        else:
            rows.append(("Rescale", f"(m, {n})", "0", f"{layer.scale:g} x + {layer.shift:g}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    count = sum(parameter.size for parameter in network.parameters.values())
    lines += [
        lines[1],
        f"loss {network.loss}, {count:,} parameters of {network.dtype}: "
        f"{readable(network.buffer.nbytes)}, and as much for their gradient",
        f"workspace for mini-batches of {batch_size}: {readable(workspace_bytes)}",
    ]
    return "\n".join(lines)


def readable(n_bytes: int) -> str:
    """A number of bytes for people: "12.3 kB", "4.5 MB"."""
    size, units = float(n_bytes), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
