"""How work is cut into blocks: by the shapes only, so that any number of threads computes the same bits."""

import numpy as np

from ..codes import BLOCKS_A_PARTIAL
from .codegen.compiling import inner

ROWS = 32  # rows of a block of a public kernel


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
    """How many sums over groups of `blocks` there are: an even number, which two threads share."""
    return 2 * n_blocks(blocks, 2 * BLOCKS_A_PARTIAL)
