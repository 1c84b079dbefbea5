"""Losses L (one number a sample) and the derivative of the cost J = mean(L); the formulas are those of `reference`.

The building blocks take a sample as a column, Z (n, m), as the compiled program keeps them: a vector holds many.
`weight` is the 1/m of the cost.
"""

import math

from ..codes import ABSOLUTE_ERROR, HINGE, HUBER, QUANTILE, RARE_LOSSES
from .codegen.arrays import ON_STACK, numbers_on_stack
from .codegen.compiling import inner, routine
from .codegen.loops import largest_of, map_numbers
from .codegen.vector_math import exp, log, log1p_of


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


@inner
def _cost_and_slope(loss, setting, a, y):
    """l(a, y) and its derivative by a, for the code and the setting of a loss that is not a square; else NaN."""
    zero, one, half = type(a)(0), type(a)(1), type(a)(0.5)
    d = a - y
    size = abs(d)
    if loss == ABSOLUTE_ERROR:
        return size, (one if d > 0 else -one if d < 0 else d)
    if loss == HUBER:
        is_small = size <= setting
        cost = half * size * size if is_small else setting * (size - half * setting)
        return cost, (setting if d > setting else -setting if d < -setting else d)
    if loss == QUANTILE:
        cost = (setting - one) * -d if d > 0 else setting * -d
        return cost, (one - setting if d > 0 else -setting if d < 0 else d)
    if loss == HINGE:
        margin = one - y * a
        return (zero if margin <= 0 else margin), (-y if margin > 0 else zero if margin <= 0 else margin)
    return type(a)(math.nan), type(a)(math.nan)


@routine(component=RARE_LOSSES)
def robust_columns(loss, setting, A, Y, L, dA, weight):
    """L[i] = sum_j l(A[j, i], Y[j, i]), dA = weight * l', l by the code and setting of a loss that is not a square."""
    n, m = A.shape
    limit = A.dtype.type(setting)
    for i in range(m):
        L[i] = 0
    for j in range(n):
        for i in range(m):
            cost, slope = _cost_and_slope(loss, limit, A[j, i], Y[j, i])
            L[i] += cost
            dA[j, i] = slope * weight


@inner
def _log_loss_derivative(z, y, e, weight):
    """weight * (sigmoid(z) - y), from e = exp(-|z|)."""
    one = type(z)(1)
    return ((one if z >= 0 else e) / (one + e) - y) * weight


@routine
def log_loss_columns(Z, Y, L, dZ, weight):
    """L[i] = sum_j max(z, 0) - y z + log(1 + exp(-|z|)) and dZ = weight * (sigmoid(Z) - Y)."""
    n, m = Z.shape
    zero = Z.dtype.type(0)
    for i in range(m):
        L[i] = 0
    for j in range(n):
        z, y, dz = Z[j], Y[j], dZ[j]
        # A loop for each formula: of more arrays at once that might overlap, LLVM makes no vectors.
        for i in range(m):
            dz[i] = exp(-abs(z[i]))
        for i in range(m):
            L[i] += (zero if z[i] <= 0 else z[i]) - y[i] * z[i] + log1p_of(dz[i])  # so NaN stays
        for i in range(m):
            dz[i] = _log_loss_derivative(z[i], y[i], dz[i], weight)


@inner
def label_of(y, n):
    """A label of any dtype, which the logits' dtype may not hold, as the index of a class; -1 if it is none."""
    label = int(y) if 0 <= y < n else -1
    return label if label == y else -1


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
            label = label_of(labels[i], n)
            if label >= 0:
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


# A single sample, whose numbers are contiguous.


@inner
def _scaled_difference(a, y, weight):
    return (a - y) * weight


@inner
def _scaled_slope(a, y, loss, setting, weight):
    _, slope = _cost_and_slope(loss, setting, a, y)
    return slope * weight


@inner
def _exp_below_one(z):
    return exp(-abs(z))


@inner
def _shifted_exp(z, highest):
    return exp(z - highest)


@inner
def _scaled(d, scale, less):
    return d * scale - less


@routine
def squared_error_of_one(a, y, L, da, weight):
    """L[0] = 1/2 sum_j (a[j] - y[j])^2 and da = weight * (a - y); all (n,) but L. `da` may be a or y."""
    total = a.dtype.type(0)
    for j in range(a.size):
        total += (a[j] - y[j]) * (a[j] - y[j])
    L[0] = a.dtype.type(0.5) * total
    map_numbers(_scaled_difference, da, (a, y), (weight,))


@inner
def _robust_of_one(loss, setting, a, y, L, da, weight):
    """As `robust_of_one`, for a loss that is known when this is compiled: of one branch LLVM makes vectors."""
    limit, total = a.dtype.type(setting), a.dtype.type(0)
    for j in range(a.size):
        cost, _ = _cost_and_slope(loss, limit, a[j], y[j])
        total += cost
    L[0] = total
    map_numbers(_scaled_slope, da, (a, y), (loss, limit, weight))


@routine(component=RARE_LOSSES)
def robust_of_one(loss, setting, a, y, L, da, weight):
    """L[0] = sum_j l(a[j], y[j]) and da = weight * l', as `robust_columns` says; `da` may be a or y."""
    if loss == ABSOLUTE_ERROR:
        _robust_of_one(ABSOLUTE_ERROR, setting, a, y, L, da, weight)
    elif loss == HUBER:
        _robust_of_one(HUBER, setting, a, y, L, da, weight)
    elif loss == QUANTILE:
        _robust_of_one(QUANTILE, setting, a, y, L, da, weight)
    elif loss == HINGE:
        _robust_of_one(HINGE, setting, a, y, L, da, weight)
    else:
        L[0] = math.nan
        da[:] = math.nan


@routine
def log_loss_of_one(z, y, L, dz, weight):
    """L[0] = sum_j max(z, 0) - y z + log(1 + exp(-|z|)) and dz = weight * (sigmoid(z) - y); all (n,) but L."""
    zero = total = z.dtype.type(0)
    map_numbers(_exp_below_one, dz, (z,), ())
    for j in range(z.size):
        total += (zero if z[j] <= 0 else z[j]) - y[j] * z[j] + log1p_of(dz[j])
    L[0] = total
    map_numbers(_log_loss_derivative, dz, (z, y, dz), (weight,))


@routine
def cross_entropy_of_one(z, y, smoothing, L, dz, weight):
    """L[0] and dz of a sample with logits z (n,) and label y: `cross_entropy_columns` with one column."""
    n = z.size
    label = label_of(y, n)
    share, rest = z.dtype.type(smoothing / n), z.dtype.type(1 - smoothing)
    if label < 0:
        L[0] = math.nan
        dz[:] = math.nan
        return
    highest, total = largest_of(z), z.dtype.type(0)
    map_numbers(_shifted_exp, dz, (z,), (highest,))
    for j in range(n):
        total += dz[j]
    L[0] = log(total) + rest * (highest - z[label])
    if smoothing > 0:
        for j in range(n):
            L[0] += share * (highest - z[j])
    map_numbers(_scaled, dz, (dz,), (weight / total, share * weight))
    dz[label] -= rest * weight
