"""How the threads of a block share rows or columns of a matrix, and what they sum up, always in the same order.

All threads of a block must take part in each sum. Those for which there is no row or column read another one's, and
write nothing.
"""

from ..codegen.compiling import cuda, inner
from ..target import COLUMNS_AT_ONCE, MOST_LANES, ROWS_AT_ONCE, THREADS


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
def column_of(task):
    """The column that a thread has a share of, of a task's COLUMNS_AT_ONCE, and its first row.

    It takes every ROWS_AT_ONCE'th row from there on.
    """
    thread = cuda.threadIdx.x
    return task * COLUMNS_AT_ONCE + thread % COLUMNS_AT_ONCE, thread // COLUMNS_AT_ONCE


@inner
def sum_over_column(value, shared):
    """The sum of what the threads of a column bring; to all of them."""
    return sum_over(value, shared, cuda.threadIdx.x % COLUMNS_AT_ONCE, COLUMNS_AT_ONCE, ROWS_AT_ONCE)


@inner
def sum_of_column(numbers, offset, m, n, j, first, shared):
    """The sum of column j of an m x n matrix, to all threads of it, whose `first` row is theirs; 0 beyond the last."""
    total = numbers.dtype.type(0)
    if j < n:
        for i in range(first, m, ROWS_AT_ONCE):
            total += numbers[offset + i * n + j]
    return sum_over_column(total, shared)


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


@inner
def rows_at_once(n):
    """Rows of n numbers that a block has threads for."""
    return THREADS // lanes_for(n)


@inner
def row_of(task, n):
    """The row of n numbers that a thread has a share of in a task, how many threads share it, and which one it is."""
    lanes, thread = lanes_for(n), cuda.threadIdx.x
    return task * (THREADS // lanes) + thread // lanes, lanes, thread % lanes
