"""Convolutions and pooling of ONNX, and the zeros around samples that stand before them.

A sample there is (c, h, w), or (c, t); fastnet writes signals as images of one row, (c, 1, t).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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
    Rescale,
    Reshape,
    Shape,
)
from ..storage.onnx.patterns import Step
from .onnx_reader import Reader, as_dtype, by_channel, ordered, parameter, require_possible
from .windows import convolution, pooling, same_zeros


class _Images(NamedTuple):
    """Samples with windows along `axes` of them here, and along those and the first `n_rows` ones there, of 1 each."""

    shape: Shape
    axes: int
    n_rows: int

    @property
    def channels(self) -> int:
        return self.shape[self.axes] if len(self.shape) > self.axes else 1

    def extents(self, name: str, given: Sequence[int], usual: int = 1) -> list[int]:
        """A setting of windows for each axis here, of that for each axis there; without one it is `usual`."""
        found = list(given) or [usual] * (self.n_rows + self.axes)
        if len(found) != self.n_rows + self.axes:
            raise ValueError(f"its {name}, {found}, are not one for each axis of a sample behind the channels")
        if any(each != usual for each in found[: self.n_rows]):
            raise ValueError(f"its {name}, {found}, reach beyond the one row of a sample")
        return found[self.n_rows :]


def images_of(reader: Reader) -> _Images:
    """Samples (c, h, w) or (c, t) there; ValueError for others, and for units in an order that is none of those."""
    order = reader.known_order()
    axes = order.ndim - 1
    if axes not in (1, 2):
        raise ValueError(f"it gets samples of shape {order.shape}: (c, h, w) and (c, t) are supported")
    shape = _shape_of(reader, order)
    is_signal = len(shape) == 2 and (axes == 1 or order.shape == (shape[1], 1, shape[0]))
    return _Images(shape, 1, axes - 1) if is_signal else _Images(shape, axes, 0)


def _shape_of(reader: Reader, order: np.ndarray) -> Shape:
    """Of a sample with channels last: that which it has, or, before any layer, that which it is to have from now on."""
    channels, extents = order.shape[0], order.shape[1:]
    fits = [(*extents, channels)]
    if len(extents) == 2:
        fits += [extents] * (channels == 1) + [(extents[1], channels)] * (extents[0] == 1)
    last = np.moveaxis(order, 0, -1).ravel()
    counted = np.arange(order.size)
    if reader.shape in fits and np.array_equal(last, counted):
        return reader.shape
    is_first = all(part.kind is Rescale for part in reader.assembly.parts)
    if is_first and np.array_equal(order.ravel(), counted) and (reader.shape == order.shape or channels == 1):
        if reader.affine is not None:  # of units, which are counted anew
            scale, shift = (
                np.moveaxis(each.reshape(order.shape), 0, -1).ravel() if each.ndim else each for each in reader.affine
            )
            reader.affine = scale, shift
        reader.begin_with(fits[0])
        return fits[0]
    if np.array_equal(last, counted):
        reader.assembly.add(Reshape, {"shape": fits[0]})
        reader.shape = fits[0]
        return fits[0]
    raise ValueError(
        "it takes images that are not those of the input, of a convolution or of a pooling: fastnet has no layer for it"
    )


def _add(reader: Reader, images: _Images, layer: Any, settings: dict[str, Any], **arrays: np.ndarray) -> None:
    """One more layer, and how its images lie there."""
    made = layer.output_shape(images.shape)
    require_possible(made)
    reader.assembly.add(type(layer), settings, arrays)
    channels = made[images.axes :] or (1,) if len(made) > 1 else made
    extents = made[: images.axes] if len(made) > 1 else (1,) * images.axes
    there = (1,) * images.n_rows + extents + channels
    reader.now_has(made, np.moveaxis(ordered(there), -1, 0))


def _pool(reader: Reader, step: Step) -> None:
    given, kinds = step.attributes, _POOLS[step.operator]
    usual = {"auto_pad": ("NOTSET", "VALID"), "ceil_mode": (0,), "storage_order": (0,)}
    if any(given.get(name, values[0]) not in values for name, values in usual.items()):
        raise ValueError("auto_pad, ceil_mode and storage_order are not supported")
    if any(given.get("pads", ())) or any(each != 1 for each in given.get("dilations", ())):
        raise ValueError("pads and dilations are not supported: windows lie within a sample, without gaps")
    reader.refuse_affine()
    images = images_of(reader)
    window = images.extents("kernel_shape", given.get("kernel_shape", ()))
    settings = pooling(window, images.extents("strides", given.get("strides", ())))
    _add(reader, images, kinds[images.axes - 1](**settings), settings)


def _global_pool(reader: Reader, step: Step) -> None:
    reader.refuse_affine()
    images = images_of(reader)
    _add(reader, images, _GLOBAL_POOLS[step.operator][images.axes - 1](), {})


def _reduce(reader: Reader, step: Step) -> None:
    """The mean or the largest of all rows and columns."""
    rank, constant = 1 + reader.known_order().ndim, step.constant(1)
    axes = list(step.attributes.get("axes", ())) if constant is None else constant.ravel().tolist()
    if sorted(axis % rank for axis in axes) != list(range(2, rank)):
        raise ValueError(f"axes={axes} are not supported: all behind the channels are")
    _global_pool(reader, step)
    if not step.attributes.get("keepdims", 1):
        reader.reshape((reader.known_order().size,))


def _conv(reader: Reader, step: Step) -> None:
    given, W = step.attributes, parameter(step, 1, "W")
    reader.rescale_first()
    images = images_of(reader)
    shape, kind = images.shape, Conv1D if images.axes == 1 else Conv2D
    if W.ndim != 2 + images.n_rows + images.axes or list(W.shape[2:]) != list(given.get("kernel_shape", W.shape[2:])):
        raise ValueError(f"its W has shape {W.shape}: filters, channels and the windows are supported")
    extents = {"kernel_size": images.extents("windows", W.shape[2:])}
    extents |= {name: images.extents(f"{name}s", given.get(f"{name}s", ())) for name in ("stride", "dilation")}
    groups = given.get("group", 1)
    if not 0 < groups <= len(W) or len(W) % groups or W.shape[1] * groups != images.channels:
        raise ValueError(f"its W has shape {W.shape}, in {groups} groups, for {images.channels} channels")
    around = _around(reader, images, step, extents)
    settings = convolution(len(W), groups, shape, around, **extents)
    b = parameter(step, 2, "B") if len(step.inputs) > 2 else np.zeros(len(W), W.dtype)
    W = np.moveaxis(W.reshape(*W.shape[:2], *W.shape[2 + images.n_rows :]), 1, -1)
    if reader.affine is not None:
        W, b = _scaled(reader, images, W, b, groups, has_zeros=any(map(any, around)))
    _add(reader, images, kind(**settings), settings, W=W, b=b)


def _around(reader: Reader, images: _Images, step: Step, extents: dict[str, list[int]]) -> list[tuple[int, int]]:
    """Zeros before and behind, along each axis: those of the node, and those put there before it."""
    auto, axes = step.attributes.get("auto_pad", "NOTSET"), images.n_rows + images.axes
    found, pads = [(0, 0)] * images.axes, list(step.attributes.get("pads", ()))
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        found = [pair if auto == "SAME_UPPER" else pair[::-1] for pair in same_zeros(images.shape, **extents)]
    elif auto == "NOTSET" and pads:
        if len(pads) != 2 * axes or min(pads) < 0:
            raise ValueError(f"its pads are {pads}: two numbers of at least 0 for each axis are supported")
        before, behind = (images.extents("pads", each, 0) for each in (pads[:axes], pads[axes:]))
        found = list(zip(before, behind, strict=True))
    if reader.zeros:
        if len(reader.zeros) != axes or any(map(any, reader.zeros[: images.n_rows])):
            raise ValueError(f"zeros are put around {len(reader.zeros)} axes before it, and it has {axes}")
        more = reader.zeros[images.n_rows :]
        found = [(one + before, other + behind) for (one, other), (before, behind) in zip(found, more, strict=True)]
    reader.zeros = []
    return found


def _scaled(
    reader: Reader, images: _Images, W: np.ndarray, b: np.ndarray, groups: int, *, has_zeros: bool
) -> tuple[np.ndarray, np.ndarray]:
    """W and b for channels as they are before they are scaled and shifted."""
    assert reader.affine is not None
    scale, shift = (np.broadcast_to(by_channel(each, images.channels), images.channels) for each in reader.affine)
    if has_zeros and shift.any():
        raise ValueError("before it channels are shifted, and the zeros around them are not: that is not supported")
    # Of each filter, the channels of its group.
    scale, shift = (np.repeat(each.reshape(groups, -1), len(W) // groups, axis=0) for each in (scale, shift))
    pixels = W.reshape(len(W), -1, W.shape[-1]).astype(np.float64)
    b = as_dtype(b + np.einsum("opc,oc->o", pixels, shift), W.dtype)
    reader.affine = None
    return as_dtype((pixels * scale[:, None]).reshape(W.shape), W.dtype), b


def _pad(reader: Reader, step: Step) -> None:
    """Zeros around samples, which become part of the convolution behind them."""
    rank = 1 + reader.known_order().ndim
    constant = step.constant(1)
    pads = list(step.attributes.get("pads", ())) if constant is None else constant.ravel().tolist()
    value = step.constant(2) if step.constant(2) is not None else np.array(step.attributes.get("value", 0.0))
    if step.attributes.get("mode", "constant") != "constant" or np.any(value) or len(step.inputs) > 3:
        raise ValueError("zeros around all axes are supported")
    if len(pads) != 2 * rank or any(pads[:2] + pads[rank : rank + 2]) or min(pads) < 0:
        raise ValueError(f"its pads are {pads}: zeros around rows and columns are supported")
    reader.zeros = list(zip(pads[2:rank], pads[rank + 2 :], strict=True))


# Of signals, and of images.
_POOLS: dict[str, tuple[Any, Any]] = {"MaxPool": (MaxPool1D, MaxPool2D), "AveragePool": (AveragePool1D, AveragePool2D)}
_GLOBAL_POOLS: dict[str, tuple[Any, Any]] = {
    "GlobalMaxPool": (GlobalMaxPool1D, GlobalMaxPool2D),
    "GlobalAveragePool": (GlobalAveragePool1D, GlobalAveragePool2D),
    "ReduceMax": (GlobalMaxPool1D, GlobalMaxPool2D),
    "ReduceMean": (GlobalAveragePool1D, GlobalAveragePool2D),
}
WINDOWS: dict[str, Callable[[Reader, Step], None]] = {
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalMaxPool": _global_pool,
    "GlobalAveragePool": _global_pool,
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "Pad": _pad,
}
