"""Losses L (one number a sample) and the derivative of the cost J = mean(L); the formulas are those of `reference`.

The building blocks take a sample as a column, Z (n, m), as the compiled program keeps them: a vector holds many.
`weight` is the 1/m of the cost.
"""

import math

from numba import prange

from ..codes import ABSOLUTE_ERROR, HINGE, HUBER, QUANTILE, RARE_LOSSES, SAMPLE_ROWS
from .codegen.arrays import ON_STACK, numbers_on_stack
from .codegen.compiling import inner, kernel, routine
from .codegen.vector_math import exp, log, log1p_of
from .partition import ROWS, bounds, n_blocks


@routine
def squared_error_columns(A, Y, L, dA, weight):
    """L[i] = 1/2 sum_j (A[j, i] - Y[j, i])^2 and dA = weight * (A - Y)."""
    n, m = A.shape
    half = A.dtype.type(0.5)
    for i in range(m):
        L[i] = 0
    for j in range(n):
        for i in range(m):
            difference = A[j, i] - Y[j, i]
            L[i] += half * difference * difference
            dA[j, i] = difference * weight


@routine(component=RARE_LOSSES)
def robust_columns(loss, setting, A, Y, L, dA, weight):
    """L[i] = sum_j l(A[j, i], Y[j, i]), dA = weight * l', l by the code and setting of a loss that is not a square."""
    n, m = A.shape
    zero, one, half, limit = A.dtype.type(0), A.dtype.type(1), A.dtype.type(0.5), A.dtype.type(setting)
    nan = A.dtype.type(math.nan)
    for i in range(m):
        L[i] = 0
    for j in range(n):
        for i in range(m):
            a, y = A[j, i], Y[j, i]
            d = a - y
            size = abs(d)
            if loss == ABSOLUTE_ERROR:
                cost, slope = size, (one if d > 0 else -one if d < 0 else d)
            elif loss == HUBER:
                is_small = size <= limit
                cost = half * size * size if is_small else limit * (size - half * limit)
                slope = d if is_small else math.copysign(limit, d)
            elif loss == QUANTILE:
                cost = (limit - one) * -d if d > 0 else limit * -d
                slope = one - limit if d > 0 else -limit if d < 0 else d
            elif loss == HINGE:
                margin = one - y * a
                cost, slope = (zero if margin <= 0 else margin), (-y if margin > 0 else zero * margin)
            else:
                cost = slope = nan
            L[i] += cost
            dA[j, i] = slope * weight


@routine
def log_loss_columns(Z, Y, L, dZ, weight):
    """L[i] = sum_j max(z, 0) - y z + log(1 + exp(-|z|)) and dZ = weight * (sigmoid(Z) - Y)."""
    n, m = Z.shape
    half, one = Z.dtype.type(0.5), Z.dtype.type(1)
    for i in range(m):
        L[i] = 0
    for j in range(n):
        z, y, dz = Z[j], Y[j], dZ[j]
        # A loop for each formula: of more arrays at once that might overlap, LLVM makes no vectors.
        for i in range(m):
            dz[i] = exp(-abs(z[i]))
        for i in range(m):
            L[i] += half * (z[i] + abs(z[i])) - y[i] * z[i] + log1p_of(dz[i])  # (z + |z|) / 2 = max(z, 0), NaN stays
        for i in range(m):
            dz[i] = ((one if z[i] >= 0 else dz[i]) / (one + dz[i]) - y[i]) * weight


@routine
def cross_entropy_columns(Z, Y, smoothing, L, dZ, weight):
    """L[i] = log(sum_j exp(Z[j, i])) - sum_j T[j] Z[j, i], and dZ = weight * (softmax(Z) - T).

    T is smoothing / n for every class, and 1 - smoothing more for c = Y[0, i]. The largest Z[j, i] is taken off all
    others first: so no loss is the small difference of large numbers. Of a label that is no class all is NaN.
    """
    n, m = Z.shape
    share, rest = Z.dtype.type(smoothing / n), Z.dtype.type(1 - smoothing)
    highest, scale = numbers_on_stack(Z), numbers_on_stack(Z)
    for first in range(0, m, ON_STACK):
        last = min(first + ON_STACK, m)
        losses, labels = L[first:last], Y[0, first:last]
        # A loop for each step, of few arrays: of more that might overlap, LLVM makes no vectors.
        for i in range(losses.size):
            highest[i] = Z[0, first + i]
            losses[i] = 0
        for j in range(1, n):
            z = Z[j, first:last]
            for i in range(z.size):
                highest[i] = z[i] if z[i] > highest[i] else highest[i]
        for j in range(n):
            z, dz = Z[j, first:last], dZ[j, first:last]
            for i in range(z.size):
                dz[i] = z[i] - highest[i]
            for i in range(z.size):
                dz[i] = exp(dz[i])
            for i in range(z.size):
                losses[i] += dz[i]
        for i in range(losses.size):
            scale[i] = weight / losses[i]
        for i in range(losses.size):
            losses[i] = log(losses[i])
        for j in range(n):
            dz = dZ[j, first:last]
            for i in range(dz.size):
                dz[i] *= scale[i]
        for i in range(losses.size):
            label = int(labels[i]) if 0 <= labels[i] < n else -1
            if label >= 0 and label == labels[i]:
                losses[i] += rest * (highest[i] - Z[label, first + i])
                dZ[label, first + i] -= rest * weight
            else:
                losses[i] = math.nan
                for j in range(n):
                    dZ[j, first + i] = math.nan
        if smoothing > 0:
            for j in range(n):
                z, dz = Z[j, first:last], dZ[j, first:last]
                for i in range(z.size):
                    losses[i] += share * (highest[i] - z[i])
                for i in range(z.size):
                    dz[i] -= share * weight


@routine(component=SAMPLE_ROWS)
def cross_entropy_of_one(z, y, smoothing, L, dz, weight):
    """L and dz of a single sample with logits z (n,) and label y: `cross_entropy_columns` with one column; L (1,)."""
    n = z.size
    label = int(y) if 0 <= y < n else -1
    share, rest = z.dtype.type(smoothing / n), z.dtype.type(1 - smoothing)
    if label < 0 or label != y:
        L[0] = math.nan
        for j in range(n):
            dz[j] = math.nan
        return
    highest, total = z[0], z.dtype.type(0)
    for j in range(1, n):
        highest = z[j] if z[j] > highest else highest
    for j in range(n):
        dz[j] = exp(z[j] - highest)
    for j in range(n):
        total += dz[j]
    L[0] = log(total) + rest * (highest - z[label])
    total = weight / total
    for j in range(n):
        dz[j] *= total
    dz[label] -= rest * weight
    if smoothing > 0:
        for j in range(n):
            L[0] += share * (highest - z[j])
            dz[j] -= share * weight


@kernel
def squared_error(A, Y, L, dA):
    """L[i] = 1/2 sum_j (A[i, j] - Y[i, j])^2 and dA = (A - Y) / m, for A, Y and dA (m, n), L (m,)."""
    m = A.shape[0]
    weight = A.dtype.type(1) / A.dtype.type(m)
    for block in prange(n_blocks(m, ROWS)):
        i, end = bounds(block, m, ROWS)
        squared_error_columns(A[i:end].T, Y[i:end].T, L[i:end], dA[i:end].T, weight)


@kernel
def log_loss(Z, Y, L, dZ):
    """L[i] = sum_j -Y log(A) - (1 - Y) log(1 - A) with A = sigmoid(Z), and dZ = (A - Y) / m; all (m, n), L (m,)."""
    m = Z.shape[0]
    weight = Z.dtype.type(1) / Z.dtype.type(m)
    for block in prange(n_blocks(m, ROWS)):
        i, end = bounds(block, m, ROWS)
        log_loss_columns(Z[i:end].T, Y[i:end].T, L[i:end], dZ[i:end].T, weight)


@kernel
def cross_entropy(Z, Y, smoothing, L, dZ):
    """L[i] = -sum_j T[i, j] log(A[i, j]) with A = softmax(Z), and dZ = (A - T) / m.

    T is 1 - smoothing at the sample's class c = Y[i, 0], and smoothing / n more everywhere. Z and dZ are (m, n), L is
    (m,), and Y (m, 1) holds class indices 0 to n - 1 (in any dtype); of a sample with another label, L and dZ are NaN.
    """
    m = Z.shape[0]
    weight = Z.dtype.type(1) / Z.dtype.type(m)
    for block in prange(n_blocks(m, ROWS)):
        i, end = bounds(block, m, ROWS)
        cross_entropy_columns(Z[i:end].T, Y[i:end].T, smoothing, L[i:end], dZ[i:end].T, weight)


@inner
def _robust_rows(loss, setting, A, Y, L, dA, i, end):
    weight = A.dtype.type(1) / A.dtype.type(A.shape[0])
    robust_columns(loss, setting, A[i:end].T, Y[i:end].T, L[i:end], dA[i:end].T, weight)


@kernel
def absolute_error(A, Y, L, dA):
    """L[i] = sum_j |A[i, j] - Y[i, j]| and dA = sign(A - Y) / m, for A, Y and dA (m, n), L (m,)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        i, end = bounds(block, A.shape[0], ROWS)
        _robust_rows(ABSOLUTE_ERROR, 0.0, A, Y, L, dA, i, end)


@kernel
def huber(A, Y, delta, L, dA):
    """L[i] = sum_j d^2 / 2 where |d| <= delta, else delta * (|d| - delta / 2), d = A - Y; dA = L' / m."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        i, end = bounds(block, A.shape[0], ROWS)
        _robust_rows(HUBER, delta, A, Y, L, dA, i, end)


@kernel
def quantile(A, Y, q, L, dA):
    """L[i] = sum_j max(q (Y - A), (q - 1) (Y - A)); dA = L' / m, 0 where A = Y."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        i, end = bounds(block, A.shape[0], ROWS)
        _robust_rows(QUANTILE, q, A, Y, L, dA, i, end)


@kernel
def hinge(Z, Y, L, dZ):
    """L[i] = sum_j max(0, 1 - Y Z) for Y of -1 and 1, and dZ = -Y / m where Y Z < 1, else 0."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        i, end = bounds(block, Z.shape[0], ROWS)
        _robust_rows(HINGE, 0.0, Z, Y, L, dZ, i, end)
