"""What fastnet has and `torch.nn` has not, as modules. It imports PyTorch, and is imported by who needs it."""

from typing import Any

import torch


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
