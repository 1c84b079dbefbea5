"""How work is partitioned: by the shapes only, so that any number of threads computes the same bits."""

import numpy as np

from .codegen.compiling import inner
from .codegen.processor import TARGET

_BLOCKS = TARGET.blocks_per_partial
_THREADS = TARGET.balanced_threads
_SHARED_BYTES = TARGET.min_parallel_bytes


@inner
def n_blocks(size, block):
    """How many blocks of `block` cover `size`."""
    return (size + block - 1) // block


@inner
def bounds(index, size, block):
    """First and last (exclusive) of block `index`, which may be the unsigned index of a parallel loop."""
    first = np.int64(index) * block
    return first, min(first + block, size)


@inner
def share(index, count, size):
    """First and last (exclusive) of one of `count` nearly equal shares of `size`."""
    return size * index // count, size * (index + 1) // count


@inner
def n_partials(blocks):
    """How many sums over groups of `blocks` there are: a multiple of the threads that are to have like shares."""
    return _THREADS * n_blocks(blocks, _THREADS * _BLOCKS)


@inner
def worth_threads(n_bytes, passes):
    """Whether threads are to share what takes as long as so many plain passes over an array of so many bytes."""
    return n_bytes * passes > _SHARED_BYTES
