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
    """The states (m, t, n) that a recurrent module gives first, of all steps, or (m, n) of the last one alone."""

    def __init__(self, all_steps: bool) -> None:
        super().__init__()
        self.all_steps = all_steps

    def forward(self, given: Any) -> Any:
        """Of what `torch.nn.LSTM`, `GRU` or `RNN` has given with `batch_first`."""
        return given[0] if self.all_steps else given[0][:, -1]

    def extra_repr(self) -> str:
        """Its setting, in the text of a module."""
        return f"all_steps={self.all_steps}"
