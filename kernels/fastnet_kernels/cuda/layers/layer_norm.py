"""Layer normalisation: each sample by its mean and variance over the units. The formulas are those of `reference`.

A block has some samples, each shared by some threads. Of images each pixel is a sample, and a unit is a channel.
"""

import math

from ...codes import A_OFFSET, B_OFFSET, CHANNELS, DZ_OFFSET, EPSILON, STATISTICS_OFFSET, W_OFFSET
from ..codegen.arrays import flat
from ..codegen.compiling import cuda, formula, inner, kernel
from ..codegen.launching import launch
from ..program.partition import n_blocks
from ..program.reducing import column_of, row_of, rows_at_once, sum_over
from ..program.workspace import below, rows_of
from ..target import COLUMNS_AT_ONCE, THREADS
from .activation import activate_number, derive_number
from .normalisation import normalised, sums_of_column_back


@formula
def backward_of_sample(da, x, mean, inv_std, gamma, weighted, plain):
    """One number of dA_prev, from the means over units of G X (`weighted`) and of G = gamma dA (`plain`)."""
    return inv_std * (gamma * da - plain - (x - mean) * inv_std * weighted)


@inner
def moments_of_row(A, a, n, epsilon, lanes, lane, shared):
    """Mean and inv_std of n numbers from offset a on, to all threads of the row."""
    first, total = cuda.threadIdx.x - lane, A.dtype.type(0)
    for j in range(lane, n, lanes):
        total += A[a + j]
    mean = sum_over(total, shared, first, 1, lanes) / A.dtype.type(n)
    squares = A.dtype.type(0)
    for j in range(lane, n, lanes):
        squares += (A[a + j] - mean) * (A[a + j] - mean)
    variance = sum_over(squares, shared, first, 1, lanes) / A.dtype.type(n)
    return mean, A.dtype.type(1) / math.sqrt(variance + A.dtype.type(epsilon))


@inner
def means_of_row_back(dA, da, A, a, gamma, g, n, mean, inv_std, lanes, lane, shared):
    """The means of G X and of G = gamma dA over a sample's n units; gamma begins at offset g."""
    first, plain, weighted = cuda.threadIdx.x - lane, A.dtype.type(0), A.dtype.type(0)
    for j in range(lane, n, lanes):
        G = gamma[g + j] * dA[da + j]
        plain += G
        weighted += G * (A[a + j] - mean) * inv_std
    plain = sum_over(plain, shared, first, 1, lanes) / A.dtype.type(n)
    return sum_over(weighted, shared, first, 1, lanes) / A.dtype.type(n), plain


@kernel
def _layer_norm(m, n, epsilon, A_prev, gamma, beta, mean, inv_std, A):
    shared = cuda.shared.array(THREADS, A.dtype)
    for task in range(cuda.blockIdx.x, n_blocks(m, rows_at_once(n)), cuda.gridDim.x):
        i, lanes, lane = row_of(task, n)
        row = min(i, m - 1) * n
        centre, factor = moments_of_row(A_prev, row, n, epsilon, lanes, lane, shared)
        if i < m:
            mean[i], inv_std[i] = centre, factor
            for j in range(lane, n, lanes):
                A[row + j] = normalised(A_prev[row + j], centre, factor, gamma[j], beta[j])


@kernel
def _layer_norm_backward(m, n, dA, A_prev, gamma, mean, inv_std, means, dA_prev):
    shared = cuda.shared.array(THREADS, dA.dtype)
    for task in range(cuda.blockIdx.x, n_blocks(m, rows_at_once(n)), cuda.gridDim.x):
        own, lanes, lane = row_of(task, n)
        i = min(own, m - 1)
        row = i * n
        weighted, plain = means_of_row_back(
            dA, row, A_prev, row, gamma, 0, n, mean[i], inv_std[i], lanes, lane, shared
        )  # fmt: skip
        if own < m:
            means[i], means[m + i] = plain, weighted
            for j in range(lane, n, lanes):
                dA_prev[row + j] = backward_of_sample(
                    dA[row + j], A_prev[row + j], mean[i], inv_std[i], gamma[j], weighted, plain
                )


@kernel
def _layer_norm_sums(m, n, dA, A_prev, mean, inv_std, dgamma, dbeta):
    shared = cuda.shared.array(THREADS, dA.dtype)
    for task in range(cuda.blockIdx.x, n_blocks(n, COLUMNS_AT_ONCE), cuda.gridDim.x):
        unit, first = column_of(task)
        j = min(unit, n - 1)
        weighted, plain = sums_of_column_back(dA, 0, A_prev, 0, m, n, j, first, mean, 0, inv_std, 0, 1, shared)
        if unit < n:
            dgamma[j], dbeta[j] = weighted, plain


@inner
def layer_norm_task(job, l, task, shared):
    """A task: A of some samples."""
    workspace, m, n = job.workspace, rows_of(job, l), job.layers[l, CHANNELS]
    i, lanes, lane = row_of(task, n)
    given = job.layers[below(job, l), A_OFFSET] + min(i, m - 1) * n
    mean, inv_std = moments_of_row(workspace, given, n, job.settings[l, EPSILON], lanes, lane, shared)
    if i < m:
        workspace[job.layers[l, STATISTICS_OFFSET] + i] = mean
        workspace[job.layers[l, STATISTICS_OFFSET] + m + i] = inv_std
        for j in range(lane, n, lanes):
            gamma, beta = job.parameters[job.layers[l, W_OFFSET] + j], job.parameters[job.layers[l, B_OFFSET] + j]
            activate_number(job, l, i * n + j, normalised(workspace[given + j], mean, inv_std, gamma, beta))


@inner
def layer_norm_backward_task(job, l, task, shared):
    """A task: dZ of the layer below, for some samples."""
    workspace, m, n = job.workspace, rows_of(job, l), job.layers[l, CHANNELS]
    own, lanes, lane = row_of(task, n)
    i = min(own, m - 1)
    given, dA = job.layers[below(job, l), A_OFFSET] + i * n, job.layers[l, DZ_OFFSET] + i * n
    mean = workspace[job.layers[l, STATISTICS_OFFSET] + i]
    inv_std = workspace[job.layers[l, STATISTICS_OFFSET] + m + i]
    weighted, plain = means_of_row_back(
        workspace, dA, workspace, given, job.parameters, job.layers[l, W_OFFSET], n, mean, inv_std, lanes, lane, shared
    )
    if own < m:
        for j in range(lane, n, lanes):
            gamma, da, x = job.parameters[job.layers[l, W_OFFSET] + j], workspace[dA + j], workspace[given + j]
            derive_number(
                job, below(job, l), i * n + j, backward_of_sample(da, x, mean, inv_std, gamma, weighted, plain)
            )


@inner
def layer_norm_gain(job, l, statistics, n, j, first, shared):
    """dgamma and dbeta of unit or channel j of n, to all threads of its column."""
    return sums_of_column_back(
        job.workspace, job.layers[l, DZ_OFFSET], job.workspace, job.layers[below(job, l), A_OFFSET], rows_of(job, l), n,
        j, first, job.workspace, statistics, job.workspace, statistics + rows_of(job, l), 1, shared,
    )  # fmt: skip


def layer_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """A = gamma X + beta, with X = (A_prev - mean) inv_std by mean and variance of each sample.

    A and A_prev are (m, n), gamma and beta (n,); mean and inv_std (m,) are written.
    """
    m, n = A.shape
    launch(_layer_norm, m, m, n, float(epsilon), *flat(A_prev, gamma, beta, mean, inv_std, A))


def layer_norm_backward(dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev):
    """dA_prev = inv_std (G - mean of G - X mean of G X) for G = gamma dA, with means over units.

    `means` (2, m), of G and of G X, and dgamma and dbeta (n,) are written.
    """
    m, n = dA.shape
    dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev = flat(
        dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev
    )
    launch(_layer_norm_sums, -(-n // COLUMNS_AT_ONCE), m, n, dA, A_prev, mean, inv_std, dgamma, dbeta)
    launch(_layer_norm_backward, m, m, n, dA, A_prev, gamma, mean, inv_std, means, dA_prev)
