"""Dropout: which numbers are kept comes from a hash of their index, so that nothing is stored for the way back."""

import numpy as np

from ...codes import A_OFFSET, DROPOUT, DZ_OFFSET, GRADIENT, N_OUT, RATE
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..step.workspace import below, numbers_of, offset_of


@inner
def key_of(dropout_seed, step, layer):
    """A key of its own for every layer and step: Steele, Lea and Flood's "splitmix64" of the three."""
    x = (
        np.uint64(dropout_seed)
        + np.uint64(step) * np.uint64(0x9E3779B97F4A7C15)
        + np.uint64(layer) * np.uint64(0xD1B54A32D192ED03)
    )
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@routine
def drop(numbers, result, offset, step, rate, key):
    """result[i] = numbers[i] / (1 - rate) or 0, by a hash of offset + i step and the key; both 1-D."""
    first, second = np.uint32(key), np.uint32(key >> np.uint64(32))
    least, grown, zero = np.uint32(rate * 2.0**32), numbers.dtype.type(1 / (1 - rate)), numbers.dtype.type(0)
    for i in range(numbers.size):
        x = np.uint32(np.uint32(offset) + np.uint32(i) * np.uint32(step)) ^ first
        x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
        x ^= second
        x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
        x ^= x >> np.uint32(16)
        result[i] = grown * numbers[i] if np.uint32(x) >= least else zero


@inner
def _drop_blocks(job, l, source, target, column, first_block, last_block):
    """Some blocks of layer `target` from those of layer `source`, A or dZ by its column, with units of l left out.

    A hash of the sample, the unit, the layer and the step decides, so that the way back leaves out the same ones.
    """
    plan, size = job.plan, job.plan.block_rows
    n, key = plan.layers[l, N_OUT], key_of(job.dropout_seed, job.count, l)
    for block in range(first_block, last_block):
        for j in range(n):
            given = vector(job.workspace, offset_of(plan, source, column, block) + j * size, size)
            result = vector(job.workspace, offset_of(plan, target, column, block) + j * size, size)
            drop(given, result, block * size * n + j, n, plan.settings[l, RATE], key)


@routine(component=DROPOUT)
def forward(job, l, first_block, last_block):
    """A of each block: in training A_prev with some units left out, else A_prev itself."""
    if job.mode >= GRADIENT:
        _drop_blocks(job, l, below(job, l), l, A_OFFSET, first_block, last_block)
        return
    for block in range(first_block, last_block):
        A_prev, A = numbers_of(job, below(job, l), A_OFFSET, block), numbers_of(job, l, A_OFFSET, block)
        for i in range(A.size):
            A[i] = A_prev[i]


@routine(component=DROPOUT)
def backward(job, l, first_block, last_block):
    """dA_prev of each block: dA with the same units left out as forward."""
    _drop_blocks(job, l, l, below(job, l), DZ_OFFSET, first_block, last_block)
