"""Which layers fit together."""

import warnings
from collections.abc import Sequence

from .layers import BatchNorm, Dense, Dropout, Layer, LayerNorm, Rescale


def checked_layers(layers: Sequence[Layer]) -> list[Layer]:
    if not isinstance(layers, Sequence):
        raise TypeError(f"layers={layers!r} is no list: give the layers in order, as in [Dense(64, 'relu'), Dense(1)]")
    layers = list(layers)
    for place, layer in enumerate(layers, start=1):
        if type(layer) not in (Dense, BatchNorm, LayerNorm, Dropout, Rescale):
            raise TypeError(
                f"layer {place} is {layer!r}: give fastnet.Dense(...), another layer, or, first, Rescale(...)"
            )
        if isinstance(layer, Rescale) and place > 1:
            raise ValueError(f"layer {place} is Rescale: it can only be the first layer")
        if isinstance(layer, Dense) and layer.activation == "softmax" and place < len(layers):
            raise ValueError(f"layer {place} is hidden and softmax: softmax is for the output layer only")
        if isinstance(layer, Dense) and layer.activation == "softmax" and layer.units == 1:
            raise ValueError(
                f"layer {place} is softmax and has units=1, whose probability is always 1: give it a unit a class, or "
                "use Dense(1, 'sigmoid') for two classes"
            )
        if isinstance(layer, Dense) and layer.init == "zeros" and place < len(layers) and layer.units > 1:
            warnings.warn(
                f"layer {place} is hidden and starts at zeros: its units get the same gradient and stay alike, as if "
                "there were one; use init='he' or 'xavier'",
                stacklevel=3,
            )
    if not layers or not isinstance(layers[-1], Dense):
        raise ValueError("the network has no output layer: end the layers with fastnet.Dense(...)")
    computing = [layer for layer in layers if not isinstance(layer, Rescale)]
    if not isinstance(computing[0], Dense):
        raise ValueError(
            f"the first layer to compute is {computing[0]!r}: it must be Dense; scale the inputs with Rescale"
        )
    since_dense: list[Layer] = []
    for layer in computing:
        since_dense = [] if isinstance(layer, Dense) else [*since_dense, layer]
        if sum(isinstance(each, BatchNorm | LayerNorm) for each in since_dense) > 1:
            raise ValueError(f"{layer!r} follows another normalisation: put one behind each Dense layer at the most")
    return layers
