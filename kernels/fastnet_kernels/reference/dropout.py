"""Dropout: each number is left out with probability `rate`, and the others grow by 1 / (1 - rate)."""

import numpy as np


def dropout(A_prev, rate, key, A):
    """A = A_prev / (1 - rate) where a number is kept, else 0; both (m, n) (Srivastava et al., 2014, inverted).

    Whether number (i, j) is kept depends on `key`, a whole number of 64 bits, and on i n + j alone: the same call on
    dA is the way back. The random bits are Wellons' "lowbias32", a hash of 32 bits, keyed before and in its middle.
    """
    m, n = A_prev.shape
    first, second = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32 & 0xFFFFFFFF)
    x = np.arange(m * n, dtype=np.uint32).reshape(m, n) ^ first
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x ^= second
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    A[...] = np.where(x >= np.uint32(rate * 2**32), A_prev / (1 - rate), 0)
