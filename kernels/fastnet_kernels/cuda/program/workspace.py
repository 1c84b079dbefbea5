"""A step of the program as its operations see it: which samples it has, and where its numbers are in the workspace."""

from typing import NamedTuple

import numpy as np

from ...codes import A_OFFSET, BELOW, CHANNELS, N_OUT, OUTPUT_STEPS, X_OFFSET, X_SIZE
from ..codegen.compiling import inner
from .partition import n_blocks


class Job(NamedTuple):
    """One step of the program, as its operations see it: the arguments of `run`, and the mini-batch."""

    mode: int
    layers: np.ndarray
    settings: np.ndarray
    whole: np.ndarray
    real: np.ndarray
    parameters: np.ndarray
    gradients: np.ndarray
    first_state: np.ndarray
    second_state: np.ndarray
    workspace: np.ndarray
    pixels: np.ndarray
    samples: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    outputs: np.ndarray
    states: np.ndarray
    order: np.ndarray
    optimizer: np.ndarray
    rates: np.ndarray
    keys: np.ndarray
    costs: np.ndarray
    scores: np.ndarray
    flags: np.ndarray
    m_all: int
    batch_size: int
    first_step: int
    last_step: int
    step: int
    m: int  # samples of the mini-batch


@inner
def size_of_step(m_all, batch_size, step):
    """Samples of a step's mini-batch: the last one of an epoch has the rest."""
    return min(batch_size, m_all - step % n_blocks(m_all, batch_size) * batch_size)


@inner
def row_of_sample(job, step, i):
    """The row, of all samples, of the i'th sample of a step."""
    epoch, batch = divmod(step, n_blocks(job.m_all, job.batch_size))
    offset = batch * job.batch_size + i
    return job.order[epoch * job.m_all + offset] if job.order.size > 0 else offset


@inner
def repeats(job):
    """Whether every step has the same samples: they are in the workspace then, once the first one has read them."""
    return job.batch_size >= job.m_all and job.order.size == 0


@inner
def offset_of_inputs(job, step):
    """Offset of a step's samples: steps use two buffers in turn, so that the next one's samples can be read early."""
    return job.whole[X_OFFSET] if repeats(job) else job.whole[X_OFFSET] + step % 2 * job.whole[X_SIZE]


@inner
def below(job, l):
    """The layer that layer l reads A_prev of; -1 for the samples."""
    return job.layers[l, BELOW]


@inner
def rows_of(job, l):
    """Rows of A of a layer that has a number for each of its units or channels in each: samples, or their pixels."""
    return job.m * (job.layers[l, N_OUT] // job.layers[l, CHANNELS])


@inner
def rows_of_output(job):
    """Rows of outputs, each with a loss: samples, or all steps of these where there is an output at each."""
    return job.m * job.whole[OUTPUT_STEPS]


@inner
def units_of_output(job):
    """Numbers of such a row."""
    return job.layers[job.layers.shape[0] - 1, N_OUT] // job.whole[OUTPUT_STEPS]


@inner
def offset_of_activations(job, l):
    """Offset of A of layer l in the workspace; of -1, that of the samples."""
    return job.layers[l, A_OFFSET] if l >= 0 else offset_of_inputs(job, job.step)
