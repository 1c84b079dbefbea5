"""Dropout: which numbers are kept comes from a hash of their place, so that nothing is stored for the way back."""

from .compiling import cuda, flat, formula, kernel, launch
from .sizes import PIECE

_BITS = 0xFFFFFFFF


@formula
def keeps(place, rate, first, second):
    """Whether the number at a place is kept, by the two halves of a key, each a whole number of 32 bits."""
    x = (int(place) & _BITS) ^ int(first)
    x = ((x ^ x >> 16) * 0x7FEB352D) & _BITS
    x ^= int(second)
    x = ((x ^ x >> 15) * 0x846CA68B) & _BITS
    x ^= x >> 16
    return x >= int(rate * 4294967296.0)


@kernel
def _dropout(rate, first, second, A_prev, A):
    grown = A.dtype.type(1 / (1 - rate))
    for i in range(cuda.grid(1), A.size, cuda.gridsize(1)):
        A[i] = grown * A_prev[i] if keeps(i, rate, first, second) else A.dtype.type(0)


def dropout(A_prev, rate, key, A):
    """A = A_prev / (1 - rate) where a number is kept, else 0; both (m, n), `key` a whole number of 64 bits."""
    key = int(key)
    launch(_dropout, -(-A.size // PIECE), rate, key & _BITS, key >> 32, *flat(A_prev, A))
