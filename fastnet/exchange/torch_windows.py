"""Convolutions and pooling of PyTorch, and the zeros around samples that stand before them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..layers import (
    AveragePool1D,
    AveragePool2D,
    Conv1D,
    Conv2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
    Node,
    Shape,
)
from ..layers.base import shown_shape
from ..layers.windows import by
from .torch_reader import Reader, arrays_of, settings_of
from .windows import convolution, pooling


def _each(setting: Any, axes: int) -> tuple[int, ...]:
    """A setting of a module, which is a number or has one for each axis, for each axis."""
    return tuple(setting) if isinstance(setting, Sequence) else (setting,) * axes


def _axes(module: Any) -> int:
    return 2 if "2d" in type(module).__name__ else 1


def _images(reader: Reader, axes: int) -> Shape:
    """The shape of samples with windows along so many axes."""
    if reader.shape is None or reader.is_flat or len(reader.shape) != axes + reader.has_channels:
        shape = "(h, w, c)" if axes == 2 else "(t, c)"
        raise ValueError(f"fastnet has to know what shape samples have: give input_shape={shape}")
    return reader.shape


def _padding(module: Any, axes: int, shape: Shape, reach: Sequence[int]) -> list[tuple[int, int]]:
    """Zeros before and behind, along each axis, that a module puts there itself."""
    if module.padding == "same":  # of windows that are next to each other
        return [((size - 1) // 2, size // 2) for size in reach]
    if module.padding == "valid":
        return [(0, 0)] * axes
    return [(pad, pad) for pad in _each(module.padding, axes)]


def _conv(reader: Reader, module: Any) -> None:
    axes = _axes(module)
    kind: Any = Conv1D if axes == 1 else Conv2D
    shape = _images(reader, axes)
    if reader.has_channels and shape[-1] != module.in_channels:
        raise ValueError(
            f"it takes {module.in_channels} channels, and samples of {shown_shape(shape)} have {shape[-1]}: channels "
            f"stand last in input_shape={'(h, w, c)' if axes == 2 else '(t, c)'}"
        )
    if module.padding_mode != "zeros":
        raise ValueError(f"padding_mode={module.padding_mode!r} is not supported: zeros are")
    sizes, gaps = _each(module.kernel_size, axes), _each(module.dilation, axes)
    around = _padding(module, axes, shape, [(size - 1) * gap + 1 for size, gap in zip(sizes, gaps, strict=True)])
    given = reader.zeros or [(0, 0)] * axes
    if len(given) != axes:
        raise ValueError(f"zeros are put around {len(given)} axes before it, and it has windows along {axes}")
    around = [(one + before, other + behind) for (one, other), (before, behind) in zip(given, around, strict=True)]
    strides = _each(module.stride, axes)
    settings = convolution(
        module.out_channels, module.groups, shape, around, kernel_size=sizes, stride=strides, dilation=gaps
    )
    arrays = arrays_of(W=module.weight, b=module.bias)
    arrays["W"] = np.moveaxis(arrays["W"], 1, -1)
    reader.assembly.add(kind, settings_of(module, **settings), arrays)
    reader.shape, reader.has_channels, reader.zeros = kind(**settings).output_shape(shape), True, []


def _pool(reader: Reader, module: Any) -> None:
    axes, kind = _axes(module), _POOLS[type(module).__name__]
    shape = _images(reader, axes)
    usual = {"padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False, "divisor_override": None}
    unusual = [name for name, value in usual.items() if np.any(np.asarray(getattr(module, name, value)) != value)]
    if unusual:
        raise ValueError(f"{', '.join(unusual)}: windows lie within a sample here, side by side or by their strides")
    window, steps = _each(module.kernel_size, axes), _each(module.stride, axes)
    _add(reader, kind, pooling(window, steps), shape)


def _adaptive_pool(reader: Reader, module: Any) -> None:
    """Into so many windows; of one it is a global pooling."""
    axes, (kind, whole) = _axes(module), _ADAPTIVE_POOLS[type(module).__name__]
    shape = _images(reader, axes)
    counts = [n or extent for n, extent in zip(_each(module.output_size, axes), shape, strict=False)]
    if getattr(module, "return_indices", False) or any(extent % n for extent, n in zip(shape, counts, strict=False)):
        raise ValueError(f"it makes {by(counts)} windows of a sample of {shown_shape(shape)}: they have to be alike")
    if set(counts) == {1}:
        _add(reader, whole, {}, shape)
    else:
        window = [extent // n for extent, n in zip(shape, counts, strict=False)]
        _add(reader, kind, pooling(window, window), shape)


def _add(reader: Reader, kind: Any, settings: dict[str, Any], shape: Shape) -> None:
    reader.shape = kind(**settings).output_shape(shape)
    reader.assembly.add(kind, settings)


def _zeros(reader: Reader, module: Any) -> None:
    """Zeros around samples, which become part of the convolution behind them."""
    axes = _axes(module)
    if getattr(module, "value", 0) != 0:
        raise ValueError("it puts other numbers than 0 around samples")
    pads = _each(module.padding, 2 * axes)  # the last axis first
    reader.zeros = [(pads[2 * axis], pads[2 * axis + 1]) for axis in reversed(range(axes))]


_POOLS: dict[str, Any] = {
    "MaxPool1d": MaxPool1D, "MaxPool2d": MaxPool2D, "AvgPool1d": AveragePool1D, "AvgPool2d": AveragePool2D
}  # fmt: skip
_ADAPTIVE_POOLS: dict[str, tuple[Any, Any]] = {
    "AdaptiveMaxPool1d": (MaxPool1D, GlobalMaxPool1D),
    "AdaptiveMaxPool2d": (MaxPool2D, GlobalMaxPool2D),
    "AdaptiveAvgPool1d": (AveragePool1D, GlobalAveragePool1D),
    "AdaptiveAvgPool2d": (AveragePool2D, GlobalAveragePool2D),
}
WINDOWS: dict[str, Callable[[Reader, Any], None]] = {
    "Conv1d": _conv,
    "Conv2d": _conv,
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(_ADAPTIVE_POOLS, _adaptive_pool),
    "ZeroPad1d": _zeros,
    "ZeroPad2d": _zeros,
    "ConstantPad1d": _zeros,
    "ConstantPad2d": _zeros,
}
WITH_PADDING = ("Conv1d", "Conv2d")  # what may stand behind zeros


def _own_padding(node: Node) -> Any:
    """The padding of a convolution as its module has it; None for zeros that only a module before it can put there."""
    layer: Any = node.layer
    if layer.padding == "same" and set(layer.steps) == {1}:
        return "same"
    around = layer.around(node.input_shape)
    return tuple(before for before, _ in around) if all(before == behind for before, behind in around) else None


def convolution_module(nn: Any, node: Node) -> Any:
    """A convolution as a module."""
    layer: Any = node.layer
    channels = node.input_shape[layer.axes] if len(node.input_shape) > layer.axes else 1
    return (nn.Conv1d if layer.axes == 1 else nn.Conv2d)(
        *(channels, layer.filters, layer.window),
        **{"stride": layer.steps, "padding": _own_padding(node) or 0, "dilation": layer.gaps, "groups": layer.groups},
    )


def zeros_modules(nn: Any, node: Node) -> list[Any]:
    """What stands before that module: zeros around samples, where they are not as many on both sides."""
    if _own_padding(node) is not None:
        return []
    layer: Any = node.layer
    pads = [pad for pair in reversed(layer.around(node.input_shape)) for pad in pair]
    return [nn.ConstantPad1d(pads, 0.0) if layer.axes == 1 else nn.ZeroPad2d(pads)]
