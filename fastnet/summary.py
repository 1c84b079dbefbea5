"""The text of `Network.summary()`."""

from typing import TYPE_CHECKING

from .layers import BatchNorm, Dense, Dropout, Layer, LayerNorm, Rescale

if TYPE_CHECKING:
    from .network import Network


def summary_of(network: "Network", workspace_bytes: int, batch_size: int) -> str:
    rows = [("layer", "output", "parameters", "settings")]
    n, l = network.n_inputs or 0, 0
    rows.append(("input", f"(m, {n})", "0", ""))
    for layer in network.layers:
        kind = type(layer).__name__
        if isinstance(layer, Rescale):
            rows.append((kind, f"(m, {n})", "0", f"{layer.scale:g} x + {layer.shift:g}"))
            continue
        l += isinstance(layer, Dense)
        names = {Dense: ("W", "b"), BatchNorm: ("gamma", "beta", "mean", "variance"), LayerNorm: ("gamma", "beta")}
        count = sum(network.parameters[f"{name}{l}"].size for name in names.get(type(layer), ()))
        n = layer.units_after(n)
        label = f"{l} {kind}" if isinstance(layer, Dense) else f"{' ' * len(str(l))} {kind}"
        rows.append((label, f"(m, {n})", f"{count:,}", _settings(layer)))
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


def _settings(layer: Layer) -> str:
    if isinstance(layer, Dropout):
        return f"rate {layer.rate:g}"
    if not isinstance(layer, Dense | BatchNorm | LayerNorm):
        return ""
    shown = [layer.activation]
    if isinstance(layer, Dense):
        extra = {"leaky_relu": f"slope {layer.slope:g}", "elu": f"alpha {layer.alpha:g}"}
        shown += [f"init {layer.initialisation}", *filter(None, [extra.get(layer.activation)])]
        shown += [f"{name} {value:g}" for name, value in (("l1", layer.l1), ("l2", layer.l2)) if value]
    return ", ".join(shown + ["frozen"] * (not layer.trainable))


def readable(n_bytes: int) -> str:
    """A number of bytes for people: "12.3 kB", "4.5 MB"."""
    size, units = float(n_bytes), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
