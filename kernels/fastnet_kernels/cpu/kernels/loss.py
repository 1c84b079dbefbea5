"""The losses as public kernels: L (m,) and the derivative of the cost J = mean(L), on arrays of any strides."""

from ...codes import ABSOLUTE_ERROR, HINGE, HUBER, LOG_LOSS, QUANTILE, SQUARED_ERROR
from ..codegen.arrays import matrix, vector
from ..codegen.compiling import routine
from ..codegen.kernel import kernel
from ..codegen.matrix import as_column, as_matrix, place_of, row_of
from ..codegen.scratch import give_back, numbers_in, take
from ..codegen.tasks import run_tasks
from ..loss import (
    cross_entropy_columns,
    cross_entropy_of_one,
    label_of,
    log_loss_columns,
    log_loss_of_one,
    robust_columns,
    robust_of_one,
    squared_error_columns,
    squared_error_of_one,
)
from ..partition import bounds, n_blocks, worth_threads
from .samples import (
    are_long_rows,
    block_in,
    n_sample_tasks,
    read_samples,
    samples_of_task,
    samples_together,
    write_samples,
)

_SAMPLES = 1024  # that a task takes where a unit's numbers are contiguous
_FEW_SAMPLES = 64  # of fewer, runs of them are too short


@routine
def _loss_of_one(loss, setting, z, y, L, dz, weight):
    if loss == SQUARED_ERROR:
        squared_error_of_one(z, y, L, dz, weight)
    elif loss == LOG_LOSS:
        log_loss_of_one(z, y, L, dz, weight)
    else:
        robust_of_one(loss, setting, z, y, L, dz, weight)


@routine
def _loss_columns(loss, setting, Z, Y, L, dZ, weight):
    if loss == SQUARED_ERROR:
        squared_error_columns(Z, Y, L, dZ, weight)
    elif loss == LOG_LOSS:
        log_loss_columns(Z, Y, L, dZ, weight)
    else:
        robust_columns(loss, setting, Z, Y, L, dZ, weight)


@routine
def _loss_task(task, loss, setting, m, n, is_long, Z, Y, L, dZ):
    weight = Z.data.dtype.type(1) / Z.data.dtype.type(m)
    first, last = bounds(task, m, samples_of_task(is_long, m, n, Z.data))
    if is_long:
        for i in range(first, last):
            l = vector(L.data, place_of(L, i), 1)
            _loss_of_one(loss, setting, row_of(Z, i, 0, n), row_of(Y, i, 0, n), l, row_of(dZ, i, 0, n), weight)
        return
    size = samples_together(m, n, Z.data)
    piece = take((3 * n + 1) * size * Z.data.itemsize)
    z, y, dz = (
        block_in(piece, Z.data, 0, n, size),
        block_in(piece, Z.data, 1, n, size),
        block_in(piece, Z.data, 2, n, size),
    )
    l = numbers_in(piece, Z.data, 3 * n * size, size)
    read_samples(Z, first, last - first, z)
    read_samples(Y, first, last - first, y)
    _loss_columns(loss, setting, z, y, l, dz, weight)
    write_samples(dz, dZ, first, last - first)
    for i in range(first, last):
        L.data[place_of(L, i)] = l[i - first]
    give_back(piece)


@routine
def _units_task(task, loss, setting, m, n, Z, Y, L, dZ):
    """As `_loss_task`, where a unit's numbers of all samples are contiguous: unit after unit, as they lie."""
    weight = Z.data.dtype.type(1) / Z.data.dtype.type(m)
    first, last = bounds(task, m, _SAMPLES)
    count = last - first
    piece = take(2 * count * Z.data.itemsize)
    total, l = numbers_in(piece, Z.data, 0, count), numbers_in(piece, Z.data, count, count)
    for i in range(count):
        total[i] = 0
    for j in range(n):
        z = matrix(Z.data, Z.offset + j * Z.column_stride + first, 1, count)
        y = matrix(Y.data, Y.offset + j * Y.column_stride + first, 1, count)
        dz = matrix(dZ.data, dZ.offset + j * dZ.column_stride + first, 1, count)
        _loss_columns(loss, setting, z, y, l, dz, weight)
        for i in range(count):
            total[i] += l[i]
    for i in range(count):
        L.data[place_of(L, first + i)] = total[i]
    give_back(piece)


@routine
def _loss(loss, setting, m, n, Z, Y, L, dZ):
    is_shared = worth_threads(m * n * Z.data.itemsize, 6 if loss == LOG_LOSS else 3)
    if Z.row_stride == 1 and Y.row_stride == 1 and dZ.row_stride == 1 and m >= _FEW_SAMPLES and n > 1:
        run_tasks(n_blocks(m, _SAMPLES), is_shared, _units_task, (loss, setting, m, n, Z, Y, L, dZ))
        return
    is_long = are_long_rows(n, Z) and are_long_rows(n, Y) and are_long_rows(n, dZ)
    arguments = loss, setting, m, n, is_long, Z, Y, L, dZ
    run_tasks(n_sample_tasks(m, n, is_long, Z.data), is_shared, _loss_task, arguments)


@routine
def _cross_entropy_task(task, smoothing, m, n, is_long, Z, Y, L, dZ):
    weight = Z.data.dtype.type(1) / Z.data.dtype.type(m)
    first, last = bounds(task, m, samples_of_task(is_long, m, n, Z.data))
    if is_long:
        for i in range(first, last):
            l = vector(L.data, place_of(L, i), 1)
            label = Y.data[place_of(Y, i)]
            cross_entropy_of_one(row_of(Z, i, 0, n), label, smoothing, l, row_of(dZ, i, 0, n), weight)
        return
    size = samples_together(m, n, Z.data)
    piece = take((2 * n + 2) * size * Z.data.itemsize)
    z, dz = block_in(piece, Z.data, 0, n, size), block_in(piece, Z.data, 1, n, size)
    l, labels = numbers_in(piece, Z.data, 2 * n * size, size), block_in(piece, Z.data, 2 * n + 1, 1, size)
    read_samples(Z, first, last - first, z)
    for i in range(size):
        labels[0, i] = label_of(Y.data[place_of(Y, first + i)], n) if first + i < last else 0
    cross_entropy_columns(z, labels, smoothing, l, dz, weight)
    write_samples(dz, dZ, first, last - first)
    for i in range(first, last):
        L.data[place_of(L, i)] = l[i - first]
    give_back(piece)


@routine
def _cross_entropy(smoothing, m, n, Z, Y, L, dZ):
    is_long = are_long_rows(n, Z) and are_long_rows(n, dZ)
    arguments = smoothing, m, n, is_long, Z, Y, L, dZ
    run_tasks(
        n_sample_tasks(m, n, is_long, Z.data), worth_threads(m * n * Z.data.itemsize, 5), _cross_entropy_task, arguments
    )


@kernel
def squared_error(A, Y, L, dA):
    """L[i] = 1/2 sum_j (A[i, j] - Y[i, j])^2 and dA = (A - Y) / m, for A, Y and dA (m, n), L (m,)."""
    m, n = A.shape
    _loss(SQUARED_ERROR, 0.0, m, n, as_matrix(A), as_matrix(Y), as_column(L), as_matrix(dA))


@kernel
def log_loss(Z, Y, L, dZ):
    """L[i] = sum_j -Y log(A) - (1 - Y) log(1 - A) with A = sigmoid(Z), and dZ = (A - Y) / m; all (m, n), L (m,)."""
    m, n = Z.shape
    _loss(LOG_LOSS, 0.0, m, n, as_matrix(Z), as_matrix(Y), as_column(L), as_matrix(dZ))


@kernel
def cross_entropy(Z, Y, smoothing, L, dZ):
    """L[i] = -sum_j T[i, j] log(A[i, j]) with A = softmax(Z), and dZ = (A - T) / m.

    T is 1 - smoothing at the sample's class c = Y[i, 0], and smoothing / n more everywhere. Z and dZ are (m, n), L is
    (m,), and Y (m, 1) holds class indices 0 to n - 1 (in any dtype); of a sample with another label, L and dZ are NaN.
    """
    m, n = Z.shape
    _cross_entropy(smoothing, m, n, as_matrix(Z), as_matrix(Y), as_column(L), as_matrix(dZ))


@kernel
def absolute_error(A, Y, L, dA):
    """L[i] = sum_j |A[i, j] - Y[i, j]| and dA = sign(A - Y) / m, for A, Y and dA (m, n), L (m,)."""
    m, n = A.shape
    _loss(ABSOLUTE_ERROR, 0.0, m, n, as_matrix(A), as_matrix(Y), as_column(L), as_matrix(dA))


@kernel
def huber(A, Y, delta, L, dA):
    """L[i] = sum_j d^2 / 2 where |d| <= delta, else delta * (|d| - delta / 2), d = A - Y; dA = L' / m."""
    m, n = A.shape
    _loss(HUBER, delta, m, n, as_matrix(A), as_matrix(Y), as_column(L), as_matrix(dA))


@kernel
def quantile(A, Y, q, L, dA):
    """L[i] = sum_j max(q (Y - A), (q - 1) (Y - A)); dA = L' / m, 0 where A = Y."""
    m, n = A.shape
    _loss(QUANTILE, q, m, n, as_matrix(A), as_matrix(Y), as_column(L), as_matrix(dA))


@kernel
def hinge(Z, Y, L, dZ):
    """L[i] = sum_j max(0, 1 - Y Z) for Y of -1 and 1, and dZ = -Y / m where Y Z < 1, else 0."""
    m, n = Z.shape
    _loss(HINGE, 0.0, m, n, as_matrix(Z), as_matrix(Y), as_column(L), as_matrix(dZ))
