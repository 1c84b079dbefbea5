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
