"""Dropout. A hash of a number's offset says whether it is kept, so that nothing is stored for the backward pass."""

import numpy as np

from ...codes import A_OFFSET, DZ_OFFSET, GRADIENT, N_OUT, RATE
from ..codegen.arrays import flat
from ..codegen.compiling import cuda, formula, inner, kernel
from ..codegen.launching import launch
from ..program.workspace import below, offset_of_activations
from ..target import PIECE, THREADS
from .activation import derive_number

_BITS = 0xFFFFFFFF


@formula
def _keeps(offset, rate, first, second):
    """Whether the number at an offset is kept, by the two halves of a key, each a whole number of 32 bits."""
    x = (int(offset) & _BITS) ^ int(first)
    x = ((x ^ x >> 16) * 0x7FEB352D) & _BITS
    x ^= int(second)
    x = ((x ^ x >> 15) * 0x846CA68B) & _BITS
    x ^= x >> 16
    return x >= int(rate * 4294967296.0)


@formula
def dropout_of(a, offset, rate, first, second):
    """A number of A, or of dA_prev, at an offset: 0 where it is dropped, else a / (1 - rate)."""
    kind = type(a)
    return kind(1 / (1 - rate)) * a if _keeps(offset, rate, first, second) else kind(0)


@kernel
def _dropout(rate, first, second, A_prev, A):
    for i in range(cuda.grid(1), A.size, cuda.gridsize(1)):
        A[i] = dropout_of(A_prev[i], i, rate, first, second)


@inner
def _dropped(job, l, e, value):
    """Number `e` of Dropout layer l, forward or backward: the key of step and layer drops the same ones."""
    row = job.step - job.first_step
    return dropout_of(value, e, job.settings[l, RATE], job.keys[row, l, 0], job.keys[row, l, 1])


@inner
def dropout_task(job, l, task):
    """A task: a piece of A; where nothing is trained, all numbers are kept."""
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_OUT]), THREADS):
        value = job.workspace[offset_of_activations(job, below(job, l)) + e]
        job.workspace[job.layers[l, A_OFFSET] + e] = _dropped(job, l, e, value) if job.mode >= GRADIENT else value


@inner
def dropout_backward_task(job, l, task):
    """A task: a piece of dZ of the layer below."""
    for e in range(task * PIECE + cuda.threadIdx.x, min((task + 1) * PIECE, job.m * job.layers[l, N_OUT]), THREADS):
        derive_number(job, below(job, l), e, _dropped(job, l, e, job.workspace[job.layers[l, DZ_OFFSET] + e]))


def dropout(A_prev, rate, key, A):
    """A = A_prev / (1 - rate) where a number is kept, else 0; both (m, n), `key` a whole number of 64 bits."""
    (A_prev, A), key = flat(A_prev, A), int(key)
    launch(_dropout, -(-A.size // PIECE), float(rate), key & _BITS, key >> 32, A_prev, A)


def keys_of(dropout_seed, steps, n_layers):
    """(n_steps, n_layers, 2) int64: the key of every step and layer, in halves of 32 bits.

    Steele, Lea and Flood's "splitmix64" of seed, step and layer, as on the CPU.
    """
    x = np.uint64(dropout_seed) + steps.astype(np.uint64)[:, None] * np.uint64(0x9E3779B97F4A7C15)
    x = x + np.arange(n_layers, dtype=np.uint64) * np.uint64(0xD1B54A32D192ED03)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return np.stack([x & np.uint64(_BITS), x >> np.uint64(32)], axis=-1).astype(np.int64)
