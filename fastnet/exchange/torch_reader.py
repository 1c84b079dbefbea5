"""The layers of a PyTorch module so far, and how the value behind them lies.

PyTorch has channels before rows and columns. Units of an image are put in order where features are made of them.
"""

import math
from typing import Any

import numpy as np

from ..layers import Flatten, Layer, Shape, Steps
from .assembly import Assembly


class Reader:
    """The layers so far; `shape` is that of a sample behind them, and None until a module tells."""

    def __init__(self, shape: Shape | None) -> None:
        self.assembly, self.shape, self.input_shape = Assembly(), shape, shape
        self.has_channels = True  # whether samples (h, w) here have an axis of channels there
        self.is_flat = False  # whether they have been flattened there
        self.image: Shape = ()  # what features have been made of, until a layer makes others
        self.zeros: list[tuple[int, int]] = []  # put before and behind a sample, along each axis, for the next layer

    @property
    def is_image(self) -> bool:
        """Whether samples are images or signals there, and not their features or sequences."""
        is_sequence = isinstance(self.shape, Steps)
        return self.shape is not None and len(self.shape) > 1 and not self.is_flat and not is_sequence

    def takes(self, n: int) -> None:
        """What comes next takes features (m, n)."""
        if self.shape is None:
            self.shape = self.input_shape = (n,)

    def require_first(self, behind: type[Layer] | None = None) -> None:
        """ValueError where layers stand before a module, other than those of one kind."""
        if any(part.kind is not behind for part in self.assembly.parts):
            raise ValueError("this is supported before all layers only")

    def features(self, array: np.ndarray) -> np.ndarray:
        """Columns (..., n) for the features that a module takes as columns for those here."""
        shape = self.shape if self.shape is not None and len(self.shape) > 1 else self.image
        is_image = self.has_channels and array.shape[-1] == math.prod(shape)
        return channels_last(array, shape) if is_image and shape else array

    def for_features(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Parameters (n,) for features that may be an image's, which are made features here too."""
        if isinstance(self.shape, Steps) and not self.is_flat:
            return arrays
        arrays = {name: self.features(array) for name, array in arrays.items()}
        if self.shape is not None and len(self.shape) > 1:
            self.assembly.add(Flatten, {})
            self.image, self.shape = self.shape, (math.prod(self.shape),)
        return arrays


def arrays_of(**tensors: Any) -> dict[str, np.ndarray]:
    """Tensors as arrays, by the names of parameters here; without those that are None."""
    found = {}
    for name, tensor in tensors.items():
        if tensor is not None:
            if str(tensor.dtype) not in ("torch.float32", "torch.float64") or str(tensor.device) == "meta":
                raise ValueError(
                    f"it has parameters of {tensor.dtype} on {tensor.device}: call .float(), or .double(), first"
                )
            found[name] = tensor.detach().cpu().numpy()
    return found


def settings_of(module: Any, **others: Any) -> dict[str, Any]:
    """Settings of a layer with parameters, which is frozen if all of them are."""
    given = [each for each in (module.weight, module.bias) if each is not None]
    is_frozen = bool(given) and not any(each.requires_grad for each in given)
    return others | ({"trainable": False} if is_frozen else {})


def channels_last(columns: np.ndarray, shape: Shape) -> np.ndarray:
    """Columns for units (c, h, w) as columns for units of `shape`, (h, w, c)."""
    rows = columns.shape[:-1]
    return np.moveaxis(columns.reshape(*rows, shape[-1], *shape[:-1]), len(rows), -1).reshape(columns.shape)


def channels_first(columns: np.ndarray, shape: Shape) -> np.ndarray:
    """Columns for units of `shape`, (h, w, c), as columns for units (c, h, w)."""
    rows = columns.shape[:-1]
    return np.moveaxis(columns.reshape(*rows, *shape), -1, len(rows)).reshape(columns.shape)
