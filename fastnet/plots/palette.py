"""Colours that the colour-blind can tell apart, on light and on dark axes."""

from typing import Any

import numpy as np

# Okabe and Ito (2008), without black.
_CLASSES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_MARKERS = "os^DvPX<>*"
_BLUE, _ORANGE = ("#0072B2", "#56B4E9"), ("#D55E00", "#E69F00")  # on light axes, and on dark ones

WRONG = _ORANGE  # what stands out, on light axes and on dark ones


def background_of(ax: Any) -> Any:
    """The colour (3,) behind what is drawn: of the axes, or where those are transparent, of the figure; or white."""
    from matplotlib.colors import to_rgba

    for color in (ax.get_facecolor(), ax.get_figure().get_facecolor()):
        *rgb, alpha = to_rgba(color)
        if alpha > 0.5:
            return np.array(rgb)
    return np.ones(3)


def is_dark(color: Any) -> bool:
    """Whether white can be read on a colour (3,) better than black."""
    return _luminance(color) < 0.179  # where both have the same contrast


def readable_on(color: Any) -> str:
    """Black or white, whichever can be read on a colour: a contrast of at least 4.5 (WCAG 2.2, contrast minimum)."""
    return "white" if is_dark(color) else "black"


def sequential(ax: Any) -> Any:
    """A colour map from the background, for 0, to blue."""
    background = background_of(ax)
    return _color_map(background, _BLUE[is_dark(background)])


def diverging(ax: Any) -> Any:
    """A colour map from orange over the background, in the middle, to blue."""
    background = background_of(ax)
    return _color_map(_ORANGE[is_dark(background)], background, _BLUE[is_dark(background)])


def class_styles(count: int) -> tuple[Any, list[str]]:
    """Colours (count, 4) and markers, of which no two classes have both."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba_array

    colors = to_rgba_array(_CLASSES[:count])
    if count > len(_CLASSES):
        colors = colormaps["viridis"](np.linspace(0, 1, count))
    return colors, [_MARKERS[index % len(_MARKERS)] for index in range(count)]


def _color_map(*colors: Any) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("fastnet", [*colors])


def _luminance(color: Any) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    share = np.asarray(color, float)[:3]
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
