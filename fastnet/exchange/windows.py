"""Layers with windows, as other libraries describe them."""

from collections.abc import Sequence
from typing import Any

from ..layers import Conv1D, Conv2D, Shape
from ..layers.windows import one_or_each


def pooling(window: Sequence[int], steps: Sequence[int]) -> dict[str, Any]:
    """Settings of a pooling whose windows, and the way from one to the next, have a number an axis."""
    settings = {"pool_size": one_or_each(window)}
    return settings | ({"stride": one_or_each(steps)} if list(steps) != list(window) else {})


def same_zeros(shape: Shape, **extents: Sequence[int]) -> list[tuple[int, int]]:
    """Zeros before and behind samples of `shape`, along each axis, that padding="same" puts there.

    `extents`, which are kernel_size, stride and dilation, have a number an axis.
    """
    kind: Any = Conv1D if len(extents["kernel_size"]) == 1 else Conv2D
    settings = {name: one_or_each(each) for name, each in extents.items()}
    found: list[tuple[int, int]] = kind(1, **settings, padding="same").around(shape)
    return found


def convolution(
    filters: int, groups: int, shape: Shape, around: Sequence[tuple[int, int]], **extents: Sequence[int]
) -> dict[str, Any]:
    """Settings of a convolution of samples of `shape`, with so many zeros before and behind them along each axis.

    `extents`, which are kernel_size, stride and dilation, have a number an axis. What is usual is left out. Raises
    ValueError for zeros that no setting stands for.
    """
    settings: dict[str, Any] = {"filters": filters} | {name: one_or_each(each) for name, each in extents.items()}
    settings = {name: each for name, each in settings.items() if each != 1 or name in ("filters", "kernel_size")}
    settings |= {"groups": groups} if groups != 1 else {}
    around = list(around)
    if any(pad for pair in around for pad in pair):
        if same_zeros(shape, **extents) == around:
            settings["padding"] = "same"
        elif all(before == behind for before, behind in around):
            settings["padding"] = one_or_each([before for before, _ in around])
        else:
            shown = " and ".join(f"{before} before and {behind} behind" for before, behind in around)
            raise ValueError(
                f"it puts zeros around samples, {shown}: as many on both sides are supported, or "
                "those of padding='same'"
            )
    return settings
