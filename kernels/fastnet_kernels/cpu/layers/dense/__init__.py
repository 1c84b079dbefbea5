"""The dense layer, Z = A_prev W^T + b, in the compiled program.

`forward`, `backward` and `weight_gradient` each choose among products by what the plan says; `tail` takes the last few
samples, where these would leave most of a vector empty. The public kernels are in `kernels`.
"""

from .backward import backward
from .forward import forward
from .weight_gradient import (
    add_to_partial,
    clear_partial,
    finish_weights,
    finishes,
    keep_derivatives,
    keep_inputs,
    parameters_of,
    weight_gradient,
)

__all__ = [
    "add_to_partial",
    "backward",
    "clear_partial",
    "finish_weights",
    "finishes",
    "forward",
    "keep_derivatives",
    "keep_inputs",
    "parameters_of",
    "weight_gradient",
]
