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


class States(torch.nn.Module):  # type: ignore[misc]
    """The states (m, t, n) that a recurrent module gives first, of all steps, or (m, n) of the last one alone.

    Of two directions, whose states stand side by side, the last step is the first one for the one that comes back.
    """

    def __init__(self, all_steps: bool, directions: int = 1) -> None:
        super().__init__()
        self.all_steps, self.directions = all_steps, directions

    def forward(self, given: Any) -> Any:
        """Of what `torch.nn.LSTM`, `GRU` or `RNN` has given with `batch_first`."""
        states = given[0]
        if self.all_steps or self.directions == 1:
            return states if self.all_steps else states[:, -1]
        n = states.shape[2] // 2
        return torch.cat([states[:, -1, :n], states[:, 0, n:]], dim=1)

    def extra_repr(self) -> str:
        """Its setting, in the text of a module."""
        return f"all_steps={self.all_steps}, directions={self.directions}"
