"""Losses L (one number a sample) and the derivative of the cost J = mean(L). The formulas are those of `reference`.

Some threads share a sample, and none of their sums depends on anything but its size.
"""

import math

from ..codes import ABSOLUTE_ERROR, CROSS_ENTROPY, HINGE, HUBER, LOG_LOSS, QUANTILE, SQUARED_ERROR
from .codegen.arrays import flat
from .codegen.compiling import cuda, formula, inner, kernel
from .codegen.launching import launch
from .layers.activation import exponentials_of_row, logistic
from .program.partition import n_blocks
from .program.reducing import row_of, rows_at_once, sum_over
from .target import THREADS


@formula
def _loss_of(loss, setting, a, y):
    """One number's share of L, and its derivative, for all losses but cross-entropy."""
    kind = type(a)
    zero, half, one, limit = kind(0), kind(0.5), kind(1), kind(setting)
    d = a - y
    size = abs(d)
    if loss == SQUARED_ERROR:
        return half * d * d, d
    if loss == LOG_LOSS:
        return half * (a + abs(a)) - y * a + math.log1p(math.exp(-abs(a))), logistic(a) - y
    if loss == ABSOLUTE_ERROR:
        return size, one if d > 0 else -one if d < 0 else d
    if loss == HUBER:
        if size <= limit:
            return half * d * d, d
        return limit * (size - half * limit), limit if d > 0 else -limit if d < 0 else d
    if loss == QUANTILE:
        return (limit - one) * -d if d > 0 else limit * -d, one - limit if d > 0 else -limit if d < 0 else d
    if loss == HINGE:
        margin = one - y * a
        return zero if margin <= 0 else margin, -y if margin > 0 else zero * margin
    return kind(math.nan), kind(math.nan)


@inner
def loss_of_row(loss, setting, weight, Z, z, Y, y, dZ, dz, n, lanes, lane, shared, is_real):
    """L of the sample whose n numbers begin at z, to all its threads; they write dZ where it `is_real`.

    This thread is the `lane`th of `lanes`. `weight` is the 1/m of the cost. Z holds logits where the loss wants them.
    """
    kind = Z.dtype.type
    first, total = cuda.threadIdx.x - lane, kind(0)
    if loss == CROSS_ENTROPY:
        is_class = 0 <= Y[y] < n and Y[y] == int(Y[y])
        label = int(Y[y]) if is_class else 0
        rest, share = kind(1 - setting), kind(setting / n) if is_class else kind(math.nan)
        most, whole = exponentials_of_row(Z, z, n, lanes, lane, shared)
        for j in range(lane, n, lanes):
            target, shifted = share + (rest if j == label else kind(0)), Z[z + j] - most
            if not target <= 0:  # NaN as well
                total += target * (math.log(whole) - shifted)
            if is_real:
                dZ[dz + j] = (math.exp(shifted) / whole - target) * weight
    else:
        for j in range(lane, n, lanes):
            cost, slope = _loss_of(loss, setting, Z[z + j], Y[y + j])
            total += cost
            if is_real:
                dZ[dz + j] = slope * weight
    return sum_over(total, shared, first, 1, lanes)


@kernel
def _losses(loss, setting, n, n_targets, Z, Y, L, dZ):
    shared = cuda.shared.array(THREADS, Z.dtype)
    m = L.size
    weight = Z.dtype.type(1) / Z.dtype.type(m)
    for task in range(cuda.blockIdx.x, n_blocks(m, rows_at_once(n)), cuda.gridDim.x):
        i, lanes, lane = row_of(task, n)
        row = min(i, m - 1)
        total = loss_of_row(
            loss, setting, weight, Z, row * n, Y, row * n_targets, dZ, row * n, n, lanes, lane, shared, i < m
        )
        if i < m and lane == 0:
            L[i] = total


def _launch(loss, setting, Z, Y, L, dZ):
    m, n = Z.shape
    launch(_losses, m, loss, float(setting), n, Y.shape[1], *flat(Z, Y, L, dZ))


def squared_error(A, Y, L, dA):
    """L[i] = 1/2 sum_j (A[i, j] - Y[i, j])^2 and dA = (A - Y) / m, for A, Y and dA (m, n), L (m,)."""
    _launch(SQUARED_ERROR, 0.0, A, Y, L, dA)


def absolute_error(A, Y, L, dA):
    """L[i] = sum_j |A[i, j] - Y[i, j]| and dA = sign(A - Y) / m, for A, Y and dA (m, n), L (m,)."""
    _launch(ABSOLUTE_ERROR, 0.0, A, Y, L, dA)


def huber(A, Y, delta, L, dA):
    """L[i] = sum_j d^2 / 2 where |d| <= delta, else delta * (|d| - delta / 2), d = A - Y (Huber, 1964); dA = L' / m."""
    _launch(HUBER, delta, A, Y, L, dA)


def quantile(A, Y, q, L, dA):
    """L[i] = sum_j max(q (Y - A), (q - 1) (Y - A)) (Koenker and Bassett, 1978); dA = L' / m, 0 where A = Y."""
    _launch(QUANTILE, q, A, Y, L, dA)


def hinge(Z, Y, L, dZ):
    """L[i] = sum_j max(0, 1 - Y Z) for Y of -1 and 1 (Cortes, Vapnik, 1995), and dZ = -Y / m where Y Z < 1, else 0."""
    _launch(HINGE, 0.0, Z, Y, L, dZ)


def log_loss(Z, Y, L, dZ):
    """L[i] = sum_j -Y log(A) - (1 - Y) log(1 - A) with A = sigmoid(Z), and dZ = (A - Y) / m; all (m, n), L (m,)."""
    _launch(LOG_LOSS, 0.0, Z, Y, L, dZ)


def cross_entropy(Z, Y, smoothing, L, dZ):
    """L[i] = -sum_j T[i, j] log(A[i, j]) with A = softmax(Z), and dZ = (A - T) / m.

    T is 1 - smoothing at the sample's class c = Y[i, 0], and smoothing / n more everywhere (Szegedy et al., 2016). Z
    and dZ are (m, n), L is (m,), and Y (m, 1) holds class indices 0 to n - 1 (in any dtype); of a sample with another
    label, L and dZ are NaN.
    """
    _launch(CROSS_ENTROPY, smoothing, Z, Y, L, dZ)
