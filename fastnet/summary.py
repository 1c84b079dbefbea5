"""The texts of `print(network)` and `Network.summary()`."""

from typing import TYPE_CHECKING

from .layers import BatchNorm, Dense, Dropout, Layer, LayerNorm, Rescale

if TYPE_CHECKING:
    from .network import Network


def table_of(network: "Network") -> str:
    """Layers, shapes and parameters; before the network is built with "?" for what depends on its inputs."""
    rows = [("layer", "output", "parameters", "settings")]
    n, l, is_built = network.n_inputs or 0, 0, network.n_inputs is not None
    rows.append(("input", _shape(n), "0", ""))
    for layer in network.layers:
        kind = type(layer).__name__
        if isinstance(layer, Rescale):
            rows.append((kind, _shape(n), "0", f"{layer.scale:g} x + {layer.shift:g}"))
            continue
        l += isinstance(layer, Dense)
        n = layer.units_after(n)
        label = f"{l} {kind}" if isinstance(layer, Dense) else f"{' ' * len(str(l))} {kind}"
        rows.append((label, _shape(n), _count(network, layer, l) if is_built else "?", _settings(layer)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows]
    rule = "-" * max(map(len, lines))
    total = f"{sum(array.size for array in network.parameters.values()):,}" if is_built else "no"
    end = "" if is_built else " yet: fit(X, y) makes them, or build(n_inputs)"
    return "\n".join(
        [lines[0], rule, *lines[1:], rule, f"loss {network.loss}, {total} parameters of {network.dtype}{end}"]
    )


def summary_of(network: "Network", workspace_bytes: int, batch_size: int) -> str:
    """The table of a network that is built, and what it needs of memory."""
    return (
        f"{table_of(network)}: {readable(network.buffer.nbytes)}, and as much for their gradient\n"
        f"workspace for mini-batches of {batch_size}: {readable(workspace_bytes)}"
    )


def _shape(n: int) -> str:
    return f"(m, {n or '?'})"


def _count(network: "Network", layer: Layer, l: int) -> str:
    names = {Dense: ("W", "b"), BatchNorm: ("gamma", "beta", "mean", "variance"), LayerNorm: ("gamma", "beta")}
    return f"{sum(network.parameters[f'{name}{l}'].size for name in names.get(type(layer), ())):,}"


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
