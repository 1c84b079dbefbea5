"""The dense layer, Z = A_prev W^T + b, in the compiled program.

`forward`, `backward` and `weight_gradient` each choose among products by what the plan says; `tail` takes the last few
samples, where these would leave most of a vector empty. The public kernels are in `kernels`.
"""

from .backward import backward
from .forward import forward
from .weight_gradient import weight_gradient

__all__ = ["backward", "forward", "weight_gradient"]
