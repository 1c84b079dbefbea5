"""What an optimizer does to the parameters, in one pass over the flat buffers. Formulas: `reference.updates`."""

from numba import prange

from .blocks import bounds, n_blocks
from .compiling import inner, kernel

NUMBERS = 16384  # of a block: its parameters and gradients fit the first-level cache


@inner
def sgd_range(parameters, gradients, learning_rate, first, last):
    rate = parameters.dtype.type(learning_rate)
    # Slices, so that indices start at 0: where one might be negative, LLVM does not vectorise the loop.
    changed, by = parameters[first:last], gradients[first:last]
    for i in range(changed.size):
        changed[i] -= rate * by[i]


@kernel
def sgd(parameters, gradients, learning_rate):
    """parameters -= learning_rate * gradients, in place; both (n,)."""
    n = parameters.size
    for block in prange(n_blocks(n, NUMBERS)):
        first, last = bounds(block, n, NUMBERS)
        sgd_range(parameters, gradients, learning_rate, first, last)
