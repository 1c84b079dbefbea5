"""What fastnet has and `torch.nn` has not, as modules. It imports PyTorch, and is imported by who needs it."""

from collections.abc import Sequence
from typing import Any

import torch


class ChannelNorm(torch.nn.LayerNorm):  # type: ignore[misc]
    """Layer normalisation over the channels of (m, c, ...), place by place: `fastnet.LayerNorm` of images."""

    def forward(self, x: Any) -> Any:
        """Normalised, (m, c, ...) as before."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Residual(torch.nn.Module):  # type: ignore[misc]
    """`block(x) + x`, or `block(x) + projection(x)`: `fastnet.Residual` before its activation."""

    def __init__(self, block: Any, projection: Any = None) -> None:
        super().__init__()
        self.block, self.projection = block, projection

    def forward(self, x: Any) -> Any:
        """The sum, of the shape of what the block gives."""
        return self.block(x) + (x if self.projection is None else self.projection(x))


class Reshaped(torch.nn.Module):  # type: ignore[misc]
    """The numbers of a sample, with channels last, as a sample of `shape`, whose channels come first again here."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Any) -> Any:
        """(m, ...) as (m, c, ...), or as features (m, n)."""
        last = x.movedim(1, -1) if x.dim() > 2 else x
        made = last.reshape(len(x), *self.shape)
        return made.movedim(-1, 1) if made.dim() > 2 else made

    def extra_repr(self) -> str:
        """Its settings, in the text of a module."""
        return str(self.shape)


class Rescale(torch.nn.Module):  # type: ignore[misc]
    """`scale * x + shift`: `fastnet.Rescale`."""

    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x: Any) -> Any:
        """The inputs (m, ...), scaled and shifted."""
        return self.scale * x + self.shift

    def extra_repr(self) -> str:
        """Its settings, in the text of a module."""
        return f"{self.scale}, {self.shift}"
