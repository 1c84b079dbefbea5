"""Layer normalisation as public kernels, on (m, n) matrices of any strides: row by row, or samples side by side."""

import math

from ..codegen.arrays import matrix, vector
from ..codegen.compiling import inner, routine
from ..codegen.kernel import kernel
from ..codegen.loops import map_numbers, map_to_many
from ..codegen.matrix import as_column, as_matrix, place_of, row_of
from ..codegen.scratch import give_back, numbers_in, take
from ..codegen.tasks import run_tasks
from ..layers.layer_norm import (
    add_sums_of_columns,
    derivative,
    moments_of_columns,
    normalise_columns,
    normalise_columns_backward,
    normalised,
)
from ..partition import bounds, n_blocks, worth_threads
from .column_sums import add_partial_sums
from .samples import (
    are_long_rows,
    block_in,
    n_sample_tasks,
    read_samples,
    samples_of_task,
    samples_together,
    write_samples,
)

_SUMS = 32  # partial sums of dgamma and dbeta, at the most
_SAMPLES_OF_SUM = 8  # of each, at the least: a sum is cleared, and added to the others


@routine
def _normalise_row(a_prev, gamma, beta, epsilon, mean, inv_std, a):
    """As `moments_of_columns` and `normalise_columns` do it, of one sample whose numbers are contiguous."""
    n, zero, one = a.size, a.dtype.type(0), a.dtype.type(1)
    total, share = zero, one / a.dtype.type(n)
    for j in range(n):
        total += a_prev[j]
    centre, total = total * share, zero
    for j in range(n):
        total += (a_prev[j] - centre) * (a_prev[j] - centre)
    mean[0] = centre
    inv_std[0] = one / math.sqrt(total * share + a.dtype.type(epsilon))
    map_numbers(normalised, a, (a_prev, gamma, beta), (centre, inv_std[0]))


@inner
def _derivatives(d, a, gamma, weighted_sum, plain_sum, mean, inv_std, plain, weighted):
    """Numbers of dA_prev, dgamma and dbeta, in one pass: longer rows come from the second-level cache each time."""
    da = derivative(d, a, gamma, mean, inv_std, plain, weighted)
    return da, weighted_sum + d * (a - mean) * inv_std, plain_sum + d


@routine
def _normalise_row_backward(d, a, gamma, mean, inv_std, means, dgamma, dbeta, da):
    """As `normalise_columns_backward` does it, of one sample; dgamma and dbeta (n,) are added to, means written."""
    share, plain = d.dtype.type(1) / d.dtype.type(d.size), d.dtype.type(0)
    weighted = plain
    for j in range(d.size):
        g = gamma[j] * d[j]
        plain += g
        weighted += g * (a[j] - mean)
    plain, weighted = plain * share, weighted * inv_std * share
    means[0], means[1] = plain, weighted
    settings = mean, inv_std, plain, weighted
    map_to_many(_derivatives, (da, dgamma, dbeta), (d, a, gamma, dgamma, dbeta), settings)


@routine
def _task(task, m, n, is_long, A_prev, gamma, beta, epsilon, mean, inv_std, A):
    first, last = bounds(task, m, samples_of_task(is_long, m, n, A.data))
    if is_long:
        for i in range(first, last):
            centre, scale = vector(mean.data, place_of(mean, i), 1), vector(inv_std.data, place_of(inv_std, i), 1)
            _normalise_row(row_of(A_prev, i, 0, n), gamma, beta, epsilon, centre, scale, row_of(A, i, 0, n))
        return
    size = samples_together(m, n, A.data)
    piece = take((2 * n + 2) * size * A.data.itemsize)
    given, result = block_in(piece, A.data, 0, n, size), block_in(piece, A.data, 1, n, size)
    moments = block_in(piece, A.data, n, 2, size)
    read_samples(A_prev, first, last - first, given)
    moments_of_columns(given, moments[0], moments[1], epsilon)
    normalise_columns(given, moments[0], moments[1], gamma, beta, result)
    write_samples(result, A, first, last - first)
    for i in range(first, last):
        mean.data[place_of(mean, i)], inv_std.data[place_of(inv_std, i)] = moments[0, i - first], moments[1, i - first]
    give_back(piece)


@routine
def _layer_norm(m, n, A_prev, gamma, beta, epsilon, mean, inv_std, A):
    is_long = are_long_rows(n, A_prev) and are_long_rows(n, A)
    piece = take(2 * n * A.data.itemsize)
    of_gamma, of_beta = numbers_in(piece, A.data, 0, n), numbers_in(piece, A.data, n, n)
    for j in range(n):
        of_gamma[j], of_beta[j] = gamma.data[place_of(gamma, j)], beta.data[place_of(beta, j)]
    arguments = m, n, is_long, A_prev, of_gamma, of_beta, epsilon, mean, inv_std, A
    run_tasks(n_sample_tasks(m, n, is_long, A.data), worth_threads(m * n * A.data.itemsize, 2), _task, arguments)
    give_back(piece)


@inner
def _samples_of_sum(m, n):
    """How many samples a task sums dgamma and dbeta of."""
    return max(n_blocks(m, _SUMS), _SAMPLES_OF_SUM, 8192 // n)


@routine
def _backward_task(task, m, n, is_long, dA, A_prev, gamma, mean, inv_std, means, sums, dA_prev):
    first, last = bounds(task, m, _samples_of_sum(m, n))
    dgamma, dbeta = vector(sums, 2 * task * n, n), vector(sums, (2 * task + 1) * n, n)
    for j in range(n):
        dgamma[j] = 0
        dbeta[j] = 0
    size = 1 if is_long else samples_together(last - first, n, sums)
    piece = take((3 * n + 5) * size * sums.itemsize)
    for i in range(first, last, size):
        count = min(size, last - i)
        moments = block_in(piece, sums, 0, 5, size)
        for k in range(count):
            moments[0, k], moments[1, k] = mean.data[place_of(mean, i + k)], inv_std.data[place_of(inv_std, i + k)]
        if is_long:
            both = numbers_in(piece, sums, 2, 2)
            _normalise_row_backward(
                row_of(dA, i, 0, n), row_of(A_prev, i, 0, n), gamma, moments[0, 0], moments[1, 0], both, dgamma, dbeta,
                row_of(dA_prev, i, 0, n),
            )  # fmt: skip
        else:
            blocks = numbers_in(piece, sums, 5 * size, 3 * n * size)
            _backward_of_block(i, count, n, size, blocks, moments, dA, A_prev, gamma, dgamma, dbeta, dA_prev)
        for k in range(count):
            for row in range(2):
                offset = means.offset + row * means.row_stride + (i + k) * means.column_stride
                means.data[offset] = moments[2 + row, k]
    give_back(piece)


@routine
def _backward_of_block(first, count, n, size, blocks, moments, dA, A_prev, gamma, dgamma, dbeta, dA_prev):
    """Some samples, side by side: `blocks` is for use; `moments` (5, size) has mean and inv_std, and gets means."""
    d, a, da = (
        matrix(blocks, 0, n, size),
        matrix(blocks, n * size, n, size),
        matrix(blocks, 2 * n * size, n, size),
    )
    read_samples(dA, first, count, d)
    read_samples(A_prev, first, count, a)
    normalise_columns_backward(d, a, moments[0], moments[1], gamma, moments[2], moments[3], da)
    add_sums_of_columns(d, a, count, moments[0], moments[1], d.dtype.type(1), dgamma, dbeta)
    write_samples(da, dA_prev, first, count)


@routine
def _layer_norm_backward(m, n, dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev):
    like = dA.data
    is_long = are_long_rows(n, dA) and are_long_rows(n, A_prev) and are_long_rows(n, dA_prev)
    count = max(1, n_blocks(m, _samples_of_sum(m, max(1, n))))
    piece = take((2 * count + 1) * n * like.itemsize)
    sums, of_gamma = numbers_in(piece, like, 0, 2 * count * n), numbers_in(piece, like, 2 * count * n, n)
    for j in range(n):
        of_gamma[j] = gamma.data[place_of(gamma, j)]
    arguments = m, n, is_long, dA, A_prev, of_gamma, mean, inv_std, means, sums, dA_prev
    if m == 0:
        for j in range(2 * n):
            sums[j] = 0
    elif n > 0:
        run_tasks(count, worth_threads(m * n * like.itemsize, 2), _backward_task, arguments)
    weighted, plain = vector(sums, 0, n), vector(sums, n, n)
    add_partial_sums(count, n, 0, n, sums)
    for j in range(n):
        dgamma.data[place_of(dgamma, j)], dbeta.data[place_of(dbeta, j)] = weighted[j], plain[j]
    give_back(piece)


@kernel
def layer_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """Each sample by its mean and variance over the units; A_prev, A (m, n), gamma, beta (n,), mean, inv_std (m,)."""
    m, n = A.shape
    moments = as_column(mean), as_column(inv_std)
    _layer_norm(
        m, n, as_matrix(A_prev), as_column(gamma), as_column(beta), epsilon, moments[0], moments[1], as_matrix(A)
    )


@kernel
def layer_norm_backward(dA, A_prev, gamma, mean, inv_std, means, dgamma, dbeta, dA_prev):
    """dA_prev = inv_std (G - mean of G - X mean of G X) for G = gamma dA; both means are written: (2, m)."""
    m, n = dA.shape
    sums = as_column(dgamma), as_column(dbeta)
    _layer_norm_backward(
        m, n, as_matrix(dA), as_matrix(A_prev), as_column(gamma), as_column(mean), as_column(inv_std),
        as_matrix(means), sums[0], sums[1], as_matrix(dA_prev),
    )  # fmt: skip
