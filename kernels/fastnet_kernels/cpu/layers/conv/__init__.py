"""Convolutions: Z[y, x, o] = b[o] + the sum over a window of A_prev around pixel (y, x), weighed by W[o].

Pixels lie row after row, the channels of one side by side, each with the samples of a block: so the numbers that a
window's row multiplies are contiguous, and no matrix of windows is made. `taps` says which numbers those are,
`convolve` is the loop that goes forward and backward, and `weight_gradient` sums dW; `winograd` needs fewer products.
"""

from .convolve import backward, forward
from .weight_gradient import weight_gradient
from .winograd import prepare

__all__ = ["backward", "forward", "prepare", "weight_gradient"]
