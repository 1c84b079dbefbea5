"""Sums over the threads of a block, always in the same order. All its threads must take part in each."""

from .compiling import cuda, inner
from .sizes import MOST_LANES, THREADS


@inner
def sum_over(value, shared, first, step, count):
    """The sum of what threads first, first + step, ... (`count` of them) bring; to all. `shared` is free again then."""
    shared[cuda.threadIdx.x] = value
    cuda.syncthreads()
    total = shared[first]
    for s in range(1, count):
        total += shared[first + s * step]
    cuda.syncthreads()
    return total


@inner
def max_over(value, shared, first, count):
    """The largest of what `count` threads bring, from the `first` on. NaN comes through only from the first."""
    shared[cuda.threadIdx.x] = value
    cuda.syncthreads()
    most = shared[first]
    for s in range(1, count):
        if shared[first + s] > most:
            most = shared[first + s]
    cuda.syncthreads()
    return most


@inner
def sum_over_block(value, shared):
    """The sum of what all threads bring, by halves; to all."""
    thread = cuda.threadIdx.x
    shared[thread] = value
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if thread < half:
            shared[thread] += shared[thread + half]
        cuda.syncthreads()
        half //= 2
    total = shared[0]
    cuda.syncthreads()
    return total


@inner
def lanes_for(n):
    """How many threads share a row of n numbers: a power of two, such that each has some to do."""
    lanes = 1
    while lanes < MOST_LANES and lanes * 4 < n:
        lanes *= 2
    return lanes
