"""Activations A = g(Z) and derivatives dZ = dA * g'(Z) on (m, n) matrices; the formulas are those of `reference`.

A derivative is written through A where it can be, so that a network need not keep Z. An output may be the same array as
an input, and nothing else may overlap.
"""

import numpy as np
from numba import prange

from ...codes import (
    A_OFFSET,
    ACTIVATION,
    DZ_OFFSET,
    ELU,
    GELU,
    HARD_SIGMOID,
    HARD_SILU,
    LEAKY_RELU,
    LINEAR,
    RARE_ACTIVATIONS,
    RELU,
    SAMPLE_ROWS,
    SAVED_OFFSET,
    SIGMOID,
    SILU,
    SLOPE,
    SOFTPLUS,
    TANH,
)
from ..codegen.compiling import inner, kernel, routine
from ..codegen.vector_math import exp, log1p_of, normal
from ..codegen.vector_math import tanh as tanh_of
from ..partition import ROWS, bounds, n_blocks
from ..step.workspace import numbers_of


@inner
def sigmoid_of(z):
    """1 / (1 + exp(-z)), with the exponential taken of -|z| so that it cannot overflow."""
    e = exp(-abs(z))
    one = type(z)(1)
    return (one if z >= 0 else e) / (one + e)


@inner
def _hard_sigmoid_of(z):
    """z / 6 + 1/2 between 0 and 1; NaN stays NaN."""
    a, zero, one = z * type(z)(1 / 6) + type(z)(0.5), type(z)(0), type(z)(1)
    return zero if a <= 0 else one if a >= 1 else a


@inner
def _numerator_of(d, below_one):
    """exp(d) for a distance d <= 0 from the largest number, less than 1 unless d is 0: `below_one` then, if need be.

    So the probabilities are largest where the numbers are, however close to these others come.
    """
    e = exp(d)
    return below_one if d < 0 and e > below_one else e


@routine
def softmax_columns(A):
    """A[:, i] = softmax(A[:, i]), in place, for A (n, m): a sample is a column, so that a vector holds many of them."""
    n, m = A.shape
    for i in range(m):
        largest = A[0, i]
        for j in range(1, n):
            largest = A[j, i] if A[j, i] > largest else largest
        for j in range(n):
            A[j, i] -= largest
    below_one = A.dtype.type(1) - A.dtype.type(np.finfo(A.dtype).eps)
    for j in range(n):
        a = A[j]
        for i in range(m):
            a[i] = _numerator_of(a[i], below_one)
    for i in range(m):
        total = A[0, i]
        for j in range(1, n):
            total += A[j, i]
        for j in range(n):
            A[j, i] /= total


@routine(component=SAMPLE_ROWS)
def softmax_of_one(a):
    """a = softmax(a), in place, for the logits a (n,) of a single sample."""
    highest, total = a[0], a.dtype.type(0)
    for j in range(1, a.size):
        highest = a[j] if a[j] > highest else highest
    below_one = a.dtype.type(1) - a.dtype.type(np.finfo(a.dtype).eps)
    for j in range(a.size):
        a[j] = _numerator_of(a[j] - highest, below_one)
    for j in range(a.size):
        total += a[j]
    for j in range(a.size):
        a[j] /= total


@routine
def activate(activation, slope, A):
    """A = g(A), in place, for an element-wise g given by its code; 1-D.

    NaN stays NaN: comparisons are written for that.
    One array, read and written: of two that might overlap, LLVM would compute one number after the other.
    """
    zero, below = A.dtype.type(0), A.dtype.type(slope)
    if activation == SIGMOID:
        for j in range(A.size):
            A[j] = sigmoid_of(A[j])
    elif activation == TANH:
        for j in range(A.size):
            A[j] = tanh_of(A[j])
    elif activation == RELU:
        for j in range(A.size):
            A[j] = zero if A[j] <= 0 else A[j]
    elif activation == LEAKY_RELU:
        for j in range(A.size):
            A[j] = below * A[j] if A[j] <= 0 else A[j]
    elif activation != LINEAR:  # what is unknown as well, which gives NaN there
        _activate_by_rarer(activation, slope, A)


@routine(component=RARE_ACTIVATIONS)
def _activate_by_rarer(activation, slope, A):
    """A = g(A), in place, for the activations that are a lazy component; A (n,). NaN if the code is unknown."""
    zero, one, below = A.dtype.type(0), A.dtype.type(1), A.dtype.type(slope)
    if activation == ELU:
        for j in range(A.size):
            A[j] = below * (exp(A[j]) - one) if A[j] <= 0 else A[j]
    elif activation == SOFTPLUS:
        for j in range(A.size):
            A[j] = (zero if A[j] <= 0 else A[j]) + log1p_of(exp(-abs(A[j])))
    elif activation == SILU:
        for j in range(A.size):
            A[j] *= sigmoid_of(A[j])
    elif activation == GELU:
        for j in range(A.size):
            A[j] *= normal(A[j])
    elif activation == HARD_SIGMOID:
        for j in range(A.size):
            A[j] = _hard_sigmoid_of(A[j])
    elif activation == HARD_SILU:
        for j in range(A.size):
            A[j] *= _hard_sigmoid_of(A[j])
    else:
        A[:] = np.nan


@routine
def derive(activation, slope, A, dZ):
    """dZ = dZ * g'(Z), in place, for an element-wise g given by its code; both 1-D.

    A is g(Z), or Z itself for the activations whose derivative needs that.
    """
    zero, one, below = A.dtype.type(0), A.dtype.type(1), A.dtype.type(slope)
    if activation == SIGMOID:
        for j in range(A.size):
            dZ[j] *= A[j] * (one - A[j])
    elif activation == TANH:
        for j in range(A.size):
            dZ[j] *= one - A[j] * A[j]
    elif activation == RELU:
        for j in range(A.size):
            dZ[j] = dZ[j] if A[j] > 0 else zero
    elif activation == LEAKY_RELU:
        for j in range(A.size):
            dZ[j] = dZ[j] if A[j] > 0 else below * dZ[j]
    elif activation != LINEAR:
        _derive_by_rarer(activation, slope, A, dZ)


@routine(component=RARE_ACTIVATIONS)
def _derive_by_rarer(activation, slope, A, dZ):
    """dZ = dZ * g'(Z), in place, for the activations that are a lazy component; both (n,). NaN if it is unknown."""
    zero, one, half, below = A.dtype.type(0), A.dtype.type(1), A.dtype.type(0.5), A.dtype.type(slope)
    third, peak = A.dtype.type(1 / 3), A.dtype.type(0.3989422804014327)  # 1 / sqrt(2 pi)
    if activation == ELU:
        for j in range(A.size):
            dZ[j] *= one if A[j] > 0 else below * exp(A[j])
    elif activation == SOFTPLUS:
        for j in range(A.size):
            dZ[j] *= sigmoid_of(A[j])
    elif activation == SILU:
        for j in range(A.size):
            s = sigmoid_of(A[j])
            dZ[j] *= s * (one + A[j] * (one - s))
    elif activation == GELU:
        for j in range(A.size):
            dZ[j] *= normal(A[j]) + A[j] * peak * exp(-half * A[j] * A[j])
    elif activation == HARD_SIGMOID:
        for j in range(A.size):
            dZ[j] = half * third * dZ[j] if A[j] > 0 and A[j] < 1 else zero
    elif activation == HARD_SILU:
        for j in range(A.size):
            slope_there = third * A[j] + half
            dZ[j] *= one if A[j] >= 3 else zero if A[j] <= -3 else slope_there
    else:
        dZ[:] = np.nan


@inner
def _activate_rows(activation, slope, Z, A, first, last):
    """Rows `first` to `last` - 1 of A (m, n) = g(Z)."""
    for i in range(first, last):
        given, row = Z[i], A[i]
        for j in range(row.size):
            row[j] = given[j]
        activate(activation, slope, row)


@inner
def _derive_rows(activation, slope, dA, A, dZ, first, last):
    """Rows `first` to `last` - 1 of dZ (m, n) = dA * g'(Z)."""
    for i in range(first, last):
        given, row = dA[i], dZ[i]
        for j in range(row.size):
            row[j] = given[j]
        derive(activation, slope, A[i], row)


@kernel
def linear(Z, A):
    """A = Z; both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(LINEAR, 1.0, Z, A, first, last)


@kernel
def linear_backward(dA, A, dZ):
    """dZ = dA; all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(LINEAR, 1.0, dA, A, dZ, first, last)


@kernel
def sigmoid(Z, A):
    """A = 1 / (1 + exp(-Z)); both (m, n). Exact for any finite Z, and for infinite ones."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(SIGMOID, 0.0, Z, A, first, last)


@kernel
def sigmoid_backward(dA, A, dZ):
    """dZ = dA * A * (1 - A); all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(SIGMOID, 0.0, dA, A, dZ, first, last)


@kernel
def tanh(Z, A):
    """A = tanh(Z); both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(TANH, 0.0, Z, A, first, last)


@kernel
def tanh_backward(dA, A, dZ):
    """dZ = dA * (1 - A^2); all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(TANH, 0.0, dA, A, dZ, first, last)


@kernel
def relu(Z, A):
    """A = max(0, Z); both (m, n). NaN stays NaN."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(RELU, 0.0, Z, A, first, last)


@kernel
def relu_backward(dA, A, dZ):
    """dZ = dA where A > 0, else 0; all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(RELU, 0.0, dA, A, dZ, first, last)


@kernel
def leaky_relu(Z, slope, A):
    """A = Z where Z > 0, else slope * Z, for a slope >= 0; Z and A (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(LEAKY_RELU, slope, Z, A, first, last)


@kernel
def leaky_relu_backward(dA, A, slope, dZ):
    """dZ = dA where A > 0, else slope * dA, for a slope >= 0; dA, A and dZ (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(LEAKY_RELU, slope, dA, A, dZ, first, last)


@kernel
def elu(Z, alpha, A):
    """A = Z where Z > 0, else alpha * (exp(Z) - 1), for an alpha >= 0; Z and A (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(ELU, alpha, Z, A, first, last)


@kernel
def elu_backward(dA, Z, alpha, dZ):
    """dZ = dA where Z > 0, else dA * alpha * exp(Z); dA, Z and dZ (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _derive_rows(ELU, alpha, dA, Z, dZ, first, last)


@kernel
def softplus(Z, A):
    """A = log(1 + exp(Z)); both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(SOFTPLUS, 0.0, Z, A, first, last)


@kernel
def softplus_backward(dA, Z, dZ):
    """dZ = dA * sigmoid(Z); all (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _derive_rows(SOFTPLUS, 0.0, dA, Z, dZ, first, last)


@kernel
def silu(Z, A):
    """A = Z * sigmoid(Z); both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(SILU, 0.0, Z, A, first, last)


@kernel
def silu_backward(dA, Z, dZ):
    """dZ = dA * S * (1 + Z * (1 - S)), with S = sigmoid(Z); all (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _derive_rows(SILU, 0.0, dA, Z, dZ, first, last)


@kernel
def gelu(Z, A):
    """A = Z * P(Z), with P the normal distribution function; both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(GELU, 0.0, Z, A, first, last)


@kernel
def gelu_backward(dA, Z, dZ):
    """dZ = dA * (P(Z) + Z * p(Z)), with P the normal distribution function and p its density; all (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _derive_rows(GELU, 0.0, dA, Z, dZ, first, last)


@kernel
def hard_sigmoid(Z, A):
    """A = Z / 6 + 1/2 between 0 and 1; both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(HARD_SIGMOID, 0.0, Z, A, first, last)


@kernel
def hard_sigmoid_backward(dA, A, dZ):
    """dZ = dA / 6 where 0 < A < 1, else 0; all (m, n)."""
    for block in prange(n_blocks(A.shape[0], ROWS)):
        first, last = bounds(block, A.shape[0], ROWS)
        _derive_rows(HARD_SIGMOID, 0.0, dA, A, dZ, first, last)


@kernel
def hard_silu(Z, A):
    """A = Z * hard_sigmoid(Z); both (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(HARD_SILU, 0.0, Z, A, first, last)


@kernel
def hard_silu_backward(dA, Z, dZ):
    """dZ = dA where Z >= 3, 0 where Z <= -3, else dA * (Z / 3 + 1/2); all (m, n)."""
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _derive_rows(HARD_SILU, 0.0, dA, Z, dZ, first, last)


@kernel
def softmax(Z, A):
    """A[i] = exp(Z[i]) / sum(exp(Z[i])), each row for itself; both (m, n), n >= 1.

    The largest numbers of A are those of Z, and no others, also where rounding would make others the same.
    """
    for block in prange(n_blocks(Z.shape[0], ROWS)):
        first, last = bounds(block, Z.shape[0], ROWS)
        _activate_rows(LINEAR, 0.0, Z, A, first, last)
        softmax_columns(A[first:last].T)


@inner
def activate_layer(job, l, block):
    """A of a layer from its Z, which is kept where the derivative needs it."""
    plan, Z = job.plan, numbers_of(job, l, A_OFFSET, block)
    if plan.layers[l, SAVED_OFFSET] != plan.layers[l, A_OFFSET]:
        kept = numbers_of(job, l, SAVED_OFFSET, block)
        for i in range(kept.size):
            kept[i] = Z[i]
    activate(plan.layers[l, ACTIVATION], plan.settings[l, SLOPE], Z)


@inner
def derive_layer(job, l, block):
    """dZ of a layer, from dA."""
    plan = job.plan
    dZ = numbers_of(job, l, DZ_OFFSET, block)
    derive(plan.layers[l, ACTIVATION], plan.settings[l, SLOPE], numbers_of(job, l, SAVED_OFFSET, block), dZ)
