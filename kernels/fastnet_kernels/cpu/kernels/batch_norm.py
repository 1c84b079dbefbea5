"""Batch normalisation as public kernels, on (m, n) matrices of any strides.

Where a sample's numbers are contiguous, they are summed row by row, in vectors across units, and normalised while they
are in the second-level cache, if all of them fit it. Else chunks of samples are summed, and all are read a second time:
to fetch less of each row at a time costs more. Where a unit's numbers are contiguous, unit after unit is taken; other
matrices are copied so.
"""

import math

from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..codegen.kernel import kernel
from ..codegen.loops import map_numbers, map_rows
from ..codegen.matrix import Matrix, as_column, as_matrix, part, place_of, row_of
from ..codegen.processor import TARGET, VECTOR_BYTES
from ..codegen.scratch import give_back, numbers_in, take
from ..codegen.tasks import run_tasks
from ..layers.batch_norm import derivative, moments_of, normalised
from ..partition import bounds, n_blocks, worth_threads
from .column_sums import add_partial_sums, add_products, sum_distances
from .samples import copy_by_units

_L2_BYTES = TARGET.l2_bytes // 2
_ROWS = 32  # summed at a time, from the first of them on
_FEW_UNITS, _UNITS = 512, 1 << 15  # bytes of each sample that a task takes, at the least and at the most
_LONG = 4096  # bytes of rows that are normalised together, since what they share does not stay in the first-level cache
_CHUNKS = 32  # of samples, at the most
_APART = 1024  # bytes between vectors that are read together, so that they do not meet in the first-level cache


@inner
def _units_together(m, n, like):
    """How many units a task takes: a share of them if all numbers fit the cache, or else a long piece of every row."""
    lanes, few, many = VECTOR_BYTES // like.itemsize, _FEW_UNITS // like.itemsize, _UNITS // like.itemsize
    if m * n * like.itemsize > _L2_BYTES:
        return min(n, many)
    return max(few, n_blocks(n_blocks(n, TARGET.balanced_threads), lanes) * lanes)


@inner
def _samples_together(m, units, like):
    """How many samples a chunk has: all of them, where they fit the cache."""
    return m if m * units * like.itemsize <= _L2_BYTES else max(_ROWS, n_blocks(m, _CHUNKS))


@inner
def _squares_from_mean(squares, total, share):
    return squares - total * total * share


@inner
def _mean(total, origin, share):
    return origin + total * share


@inner
def _joined_squares(squares, more, mean, other, share):
    """After Chan, Golub and LeVeque (1979), for `share` = count other / (count + other)."""
    return squares + more + (other - mean) * (other - mean) * share


@inner
def _joined_mean(mean, other, share):
    return mean + (other - mean) * share


@inner
def _join(count, mean, squares, more, other, other_squares):
    """Put the moments of `more` numbers together with those of `count`, in place; vectors, an entry a unit."""
    kind = mean.dtype.type
    share = kind(more / (count + more))
    map_numbers(_joined_squares, squares, (squares, other_squares, mean, other), (kind(count) * share,))
    map_numbers(_joined_mean, mean, (mean, other), (share,))


@routine
def _moments(A, first, last, j, mean, squares, origin, other, other_squares):
    """Moments of units from j on, over samples `first` to `last` - 1; the rest is for use. All (units,).

    Of a few samples at a time, in one pass: distances from the first of them, which is one of the numbers, so that
    little is lost when the squares are put right: no more than a factor of `_ROWS` of the rounding.
    """
    n = mean.size
    for start in range(first, last, _ROWS):
        end = min(start + _ROWS, last)
        first_row, share = row_of(A, start, j, n), mean.dtype.type(1 / (end - start))
        for k in range(n):
            origin[k] = first_row[k]
        sum_distances(end - start, part(A, start, j), origin, other, other_squares)
        if start == first:
            map_numbers(_squares_from_mean, squares, (other_squares, other), (share,))
            map_numbers(_mean, mean, (other, origin), (share,))
        else:
            map_numbers(_squares_from_mean, other_squares, (other_squares, other), (share,))
            map_numbers(_mean, other, (other, origin), (share,))
            _join(start - first, mean, squares, end - start, other, other_squares)


@inner
def _four_rows(M, i, j, n):
    return row_of(M, i, j, n), row_of(M, i + 1, j, n), row_of(M, i + 2, j, n), row_of(M, i + 3, j, n)


@routine
def _normalise(A_prev, first, last, j, mean, factor, beta, A):
    n = mean.size
    whole = first + (last - first) // 4 * 4 if n * mean.itemsize >= _LONG else first
    for i in range(first, whole, 4):
        map_rows(normalised, _four_rows(A, i, j, n), _four_rows(A_prev, i, j, n), (mean, factor, beta))
    for i in range(whole, last):
        map_numbers(normalised, row_of(A, i, j, n), (row_of(A_prev, i, j, n), mean, factor, beta), ())


@routine
def _moments_task(task, m, n, units, samples, A_prev, moments):
    """Moments of some units over a chunk of samples: `moments` has mean and squares, (n,) each, of every chunk."""
    blocks = n_blocks(n, units)
    (j, end), (first, last) = bounds(task % blocks, n, units), bounds(task // blocks, m, samples)
    pitch = units + _APART // moments.itemsize
    piece = take(3 * pitch * moments.itemsize)
    mean = vector(moments, 2 * (task // blocks) * n + j, end - j)
    squares = vector(moments, (2 * (task // blocks) + 1) * n + j, end - j)
    origin, other = numbers_in(piece, moments, 0, end - j), numbers_in(piece, moments, pitch, end - j)
    other_squares = numbers_in(piece, moments, 2 * pitch, end - j)
    _moments(A_prev, first, last, j, mean, squares, origin, other, other_squares)
    give_back(piece)


@routine
def _finish(m, n, j, count, samples, moments, epsilon, gamma, mean, inv_std):
    """Put the chunks' moments together, for units from j on; the first chunk's become mean and factor."""
    first, squares, done = vector(moments, j, count), vector(moments, n + j, count), min(samples, m)
    for chunk in range(1, n_blocks(m, samples)):
        more = min(samples, m - done)
        other = vector(moments, 2 * chunk * n + j, count)
        _join(done, first, squares, more, other, vector(moments, (2 * chunk + 1) * n + j, count))
        done += more
    one, small, share = moments.dtype.type(1), moments.dtype.type(epsilon), moments.dtype.type(1 / m)
    for k in range(count):
        scale = one / math.sqrt(squares[k] * share + small)
        mean.data[place_of(mean, j + k)], inv_std.data[place_of(inv_std, j + k)] = first[k], scale
        squares[k] = gamma[j + k] * scale


@routine
def _normalise_task(task, m, n, units, samples, A_prev, moments, beta, A):
    blocks = n_blocks(n, units)
    (j, end), (first, last) = bounds(task % blocks, n, units), bounds(task // blocks, m, samples)
    mean, factor = vector(moments, j, end - j), vector(moments, n + j, end - j)
    _normalise(A_prev, first, last, j, mean, factor, vector(beta, j, end - j), A)


@routine
def _units_task(task, m, n, units, A_prev, gamma, beta, epsilon, mean, inv_std, moments, A):
    """All of some units, with all samples."""
    j, end = bounds(task, n, units)
    _moments_task(task, m, n, units, m, A_prev, moments)
    _finish(m, n, j, end - j, m, moments, epsilon, gamma, mean, inv_std)
    _normalise_task(task, m, n, units, m, A_prev, moments, beta, A)


@routine
def _unit_task(task, m, A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """One unit, whose numbers are contiguous."""
    kind = A.data.dtype.type
    given = vector(A_prev.data, A_prev.offset + task * A_prev.column_stride, m)
    centre, squares = moments_of(given)
    scale = kind(1) / math.sqrt(squares * kind(1 / m) + kind(epsilon))
    mean.data[place_of(mean, task)], inv_std.data[place_of(inv_std, task)] = centre, scale
    result = vector(A.data, A.offset + task * A.column_stride, m)
    map_numbers(normalised, result, (given,), (centre, gamma[task] * scale, beta[task]))


@routine
def _batch_norm(m, n, A_prev, gamma, beta, epsilon, mean, inv_std, A):
    like, is_shared = A.data, worth_threads(m * n * A.data.itemsize, 2)
    are_rows = A_prev.column_stride == 1 and A.column_stride == 1 and n >= VECTOR_BYTES // like.itemsize
    are_columns = A_prev.row_stride == 1 and A.row_stride == 1
    units = _units_together(m, n, like)
    samples = _samples_together(m, min(units, n), like)
    chunks = n_blocks(m, samples)
    copied = 0 if are_rows or are_columns else m * n
    piece = take((2 * (chunks + 1) * n + 2 * copied) * like.itemsize)
    moments, of_gamma = numbers_in(piece, like, 0, 2 * chunks * n), numbers_in(piece, like, 2 * chunks * n, n)
    of_beta, copies = (
        numbers_in(piece, like, (2 * chunks + 1) * n, n),
        numbers_in(piece, like, 2 * (chunks + 1) * n, 2 * copied),
    )
    for j in range(n):
        of_gamma[j], of_beta[j] = gamma.data[place_of(gamma, j)], beta.data[place_of(beta, j)]
    tasks = n_blocks(n, units)
    if are_rows and chunks == 1:
        arguments = m, n, units, A_prev, of_gamma, of_beta, epsilon, mean, inv_std, moments, A
        run_tasks(tasks, is_shared, _units_task, arguments)
    elif are_rows:
        run_tasks(chunks * tasks, is_shared, _moments_task, (m, n, units, samples, A_prev, moments))
        _finish(m, n, 0, n, samples, moments, epsilon, of_gamma, mean, inv_std)
        run_tasks(chunks * tasks, is_shared, _normalise_task, (m, n, units, samples, A_prev, moments, of_beta, A))
    elif are_columns:
        run_tasks(n, is_shared, _unit_task, (m, A_prev, of_gamma, of_beta, epsilon, mean, inv_std, A))
    else:
        given, result = Matrix(copies, 0, 1, m), Matrix(copies, m * n, 1, m)
        copy_by_units(m, n, is_shared, A_prev, given)
        run_tasks(n, is_shared, _unit_task, (m, given, of_gamma, of_beta, epsilon, mean, inv_std, result))
        copy_by_units(m, n, is_shared, result, A)
    give_back(piece)


# Backward: `sums` has dgamma and dbeta, (n,) each, of every chunk of samples.


@routine
def _sums_task(task, m, n, units, samples, dA, A_prev, mean, sums):
    blocks = n_blocks(n, units)
    (j, end), (first, last) = bounds(task % blocks, n, units), bounds(task // blocks, m, samples)
    count, chunk = end - j, task // blocks
    centre = vector(mean, j, count)
    weighted, plain = vector(sums, 2 * chunk * n + j, count), vector(sums, (2 * chunk + 1) * n + j, count)
    for k in range(count):
        weighted[k] = 0
        plain[k] = 0
    add_products(last - first, part(dA, first, j), part(A_prev, first, j), centre, plain, weighted)


@routine
def _finish_sums(m, n, j, count, chunks, sums, gamma, inv_std, dgamma, dbeta, factor):
    """dgamma and dbeta from all chunks, for units from j on; in their place what `derivative` takes, and `factor`."""
    weighted, plain, share = vector(sums, j, count), vector(sums, n + j, count), sums.dtype.type(1 / m)
    add_partial_sums(chunks, n, j, count, sums)
    for k in range(count):
        scale = inv_std[j + k]
        total = weighted[k] * scale
        dgamma.data[place_of(dgamma, j + k)], dbeta.data[place_of(dbeta, j + k)] = total, plain[k]
        weighted[k], plain[k], factor[j + k] = share * total * scale, share * plain[k], gamma[j + k] * scale


@routine
def _derivative_task(task, m, n, units, samples, dA, A_prev, mean, sums, factor, dA_prev):
    blocks = n_blocks(n, units)
    (j, end), (first, last) = bounds(task % blocks, n, units), bounds(task // blocks, m, samples)
    count = end - j
    of_unit = vector(mean, j, count), vector(factor, j, count), vector(sums, n + j, count), vector(sums, j, count)
    for i in range(first, last):
        given = row_of(dA, i, j, count), row_of(A_prev, i, j, count)
        map_numbers(derivative, row_of(dA_prev, i, j, count), (*given, *of_unit), ())


@routine
def _units_backward_task(task, m, n, units, dA, A_prev, gamma, mean, inv_std, sums, factor, dgamma, dbeta, dA_prev):
    j, end = bounds(task, n, units)
    _sums_task(task, m, n, units, m, dA, A_prev, mean, sums)
    _finish_sums(m, n, j, end - j, 1, sums, gamma, inv_std, dgamma, dbeta, factor)
    _derivative_task(task, m, n, units, m, dA, A_prev, mean, sums, factor, dA_prev)


@routine
def _unit_backward_task(task, m, dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev):
    kind = dA.data.dtype.type
    d = vector(dA.data, dA.offset + task * dA.column_stride, m)
    a = vector(A_prev.data, A_prev.offset + task * A_prev.column_stride, m)
    centre, scale, plain, weighted = mean[task], inv_std[task], kind(0), kind(0)
    for i in range(m):
        plain += d[i]
        weighted += d[i] * (a[i] - centre)
    total, share = weighted * scale, kind(1 / m)
    dgamma.data[place_of(dgamma, task)], dbeta.data[place_of(dbeta, task)] = total, plain
    result = vector(dA_prev.data, dA_prev.offset + task * dA_prev.column_stride, m)
    map_numbers(derivative, result, (d, a), (centre, gamma[task] * scale, share * plain, share * total * scale))


@routine
def _batch_norm_backward(m, n, dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev):
    like, is_shared = dA.data, worth_threads(m * n * dA.data.itemsize, 2)
    are_rows = dA.column_stride == 1 and A_prev.column_stride == 1 and dA_prev.column_stride == 1
    are_rows = are_rows and n >= VECTOR_BYTES // like.itemsize
    are_columns = dA.row_stride == 1 and A_prev.row_stride == 1 and dA_prev.row_stride == 1
    units = _units_together(m, n, like)
    samples = _samples_together(m, min(units, n), like)
    chunks = n_blocks(m, samples)
    copied = 0 if are_rows or are_columns else m * n
    piece = take((2 * (chunks + 2) * n + 3 * copied) * like.itemsize)
    sums, vectors = numbers_in(piece, like, 0, 2 * chunks * n), numbers_in(piece, like, 2 * chunks * n, 4 * n)
    copies = numbers_in(piece, like, 2 * (chunks + 2) * n, 3 * copied)
    of_gamma, centre = vector(vectors, 0, n), vector(vectors, n, n)
    scale, factor = vector(vectors, 2 * n, n), vector(vectors, 3 * n, n)
    for j in range(n):
        of_gamma[j], centre[j] = gamma.data[place_of(gamma, j)], mean.data[place_of(mean, j)]
        scale[j] = inv_std.data[place_of(inv_std, j)]
    tasks = n_blocks(n, units)
    if are_rows and chunks == 1:
        arguments = m, n, units, dA, A_prev, of_gamma, centre, scale, sums, factor, dgamma, dbeta, dA_prev
        run_tasks(tasks, is_shared, _units_backward_task, arguments)
    elif are_rows:
        run_tasks(chunks * tasks, is_shared, _sums_task, (m, n, units, samples, dA, A_prev, centre, sums))
        _finish_sums(m, n, 0, n, chunks, sums, of_gamma, scale, dgamma, dbeta, factor)
        arguments = m, n, units, samples, dA, A_prev, centre, sums, factor, dA_prev
        run_tasks(chunks * tasks, is_shared, _derivative_task, arguments)
    elif are_columns:
        arguments = m, dA, A_prev, of_gamma, centre, scale, dgamma, dbeta, dA_prev
        run_tasks(n, is_shared, _unit_backward_task, arguments)
    else:
        d, a, result = Matrix(copies, 0, 1, m), Matrix(copies, m * n, 1, m), Matrix(copies, 2 * m * n, 1, m)
        copy_by_units(m, n, is_shared, dA, d)
        copy_by_units(m, n, is_shared, A_prev, a)
        arguments = m, d, a, of_gamma, centre, scale, dgamma, dbeta, result
        run_tasks(n, is_shared, _unit_backward_task, arguments)
        copy_by_units(m, n, is_shared, result, dA_prev)
    give_back(piece)


@kernel
def batch_norm(A_prev, gamma, beta, epsilon, mean, inv_std, A):
    """Each unit by its mean and variance over the mini-batch; A_prev and A (m, n), all others (n,)."""
    m, n = A.shape
    moments = as_column(mean), as_column(inv_std)
    if m == 0:  # no mean, and no variance
        for j in range(n):
            mean[j] = math.nan
            inv_std[j] = math.nan
    else:
        _batch_norm(
            m, n, as_matrix(A_prev), as_column(gamma), as_column(beta), epsilon, moments[0], moments[1], as_matrix(A)
        )


@kernel
def batch_norm_backward(dA, A_prev, gamma, mean, inv_std, dgamma, dbeta, dA_prev):
    """dA_prev = gamma inv_std (dA - mean of dA - X mean of dA X), X = (A_prev - mean) inv_std; all (m, n) or (n,)."""
    m, n = dA.shape
    sums = as_column(dgamma), as_column(dbeta)
    if m == 0:
        for j in range(n):
            dgamma[j] = 0
            dbeta[j] = 0
    else:
        _batch_norm_backward(
            m, n, as_matrix(dA), as_matrix(A_prev), as_column(gamma), as_column(mean), as_column(inv_std), sums[0],
            sums[1], as_matrix(dA_prev),
        )  # fmt: skip
