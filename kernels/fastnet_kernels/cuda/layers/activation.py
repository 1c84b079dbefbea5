"""Activations A = g(Z) and their derivatives dZ = dA * g'(Z). The formulas are those of `reference`.

One kernel computes all of them: which one is the same for all threads, and memory is what bounds them.
"""

import math

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
    RELU,
    SAVED_OFFSET,
    SIGMOID,
    SILU,
    SLOPE,
    SOFTPLUS,
    TANH,
)
from ..codegen.arrays import flat
from ..codegen.compiling import cuda, formula, inner, kernel
from ..codegen.intrinsics import size_of
from ..codegen.launching import launch
from ..program.partition import n_blocks
from ..program.reducing import max_over, row_of, rows_at_once, sum_over
from ..target import PIECE, THREADS

_ROOT_HALF, _ROOT_PI = math.sqrt(0.5), math.sqrt(2 * math.pi)


@formula
def logistic(z):
    """sigmoid(z), with the exponential taken of -|z|."""
    one = type(z)(1)
    e = math.exp(-abs(z))
    return (one if z >= 0 else e) / (one + e)


@formula
def _normal(z):
    """The normal distribution function."""
    kind = type(z)
    return kind(0.5) * math.erfc(-z * kind(_ROOT_HALF))


@formula
def activate(code, setting, z):
    """g(z), for any activation but softmax; `setting` is leaky_relu's slope or elu's alpha."""
    kind = type(z)
    if code == SIGMOID:
        return logistic(z)
    if code == TANH:
        return kind(math.tanh(z))
    if code == RELU:
        return kind(0) if z < 0 else z
    if code == LEAKY_RELU:
        return z if z > 0 else kind(setting) * z
    if code == ELU:
        return z if z > 0 else kind(setting) * math.expm1(z)
    if code == HARD_SIGMOID:
        a = z / kind(6) + kind(0.5)
        return kind(0) if a < 0 else kind(1) if a > 1 else a
    if code == SOFTPLUS:
        return kind(0.5) * (z + abs(z)) + math.log1p(math.exp(-abs(z)))
    if code == SILU:
        return z * logistic(z)
    if code == GELU:
        return z * _normal(z)
    if code == HARD_SILU:
        a = z / kind(6) + kind(0.5)
        return z * (kind(0) if a < 0 else kind(1) if a > 1 else a)
    return z if code == LINEAR else kind(math.nan)


@formula
def derive(code, setting, a, da):
    """da * g'(z), from g(z), or from z itself for elu, softplus, silu, gelu and hard_silu."""
    kind = type(a)
    one = kind(1)
    if code == SIGMOID:
        return da * a * (one - a)
    if code == TANH:
        return da * (one - a * a)
    if code == RELU:
        return da if a > 0 else kind(0)
    if code == LEAKY_RELU:
        return da if a > 0 else kind(setting) * da
    if code == ELU:
        return da if a > 0 else da * kind(setting) * math.exp(a)
    if code == HARD_SIGMOID:
        return da / kind(6) if a > 0 and a < 1 else kind(0)
    if code == SOFTPLUS:
        return da * logistic(a)
    if code == SILU:
        s = logistic(a)
        return da * s * (one + a * (one - s))
    if code == GELU:
        return da * (_normal(a) + a * math.exp(-kind(0.5) * a * a) / kind(_ROOT_PI))
    if code == HARD_SILU:
        return da if a >= 3 else kind(0) if a <= -3 else da * (a / kind(3) + kind(0.5))
    return da if code == LINEAR else kind(math.nan)


@inner
def activate_number(job, l, offset, z):
    """Number `offset` of A of layer l: g(z), or z in the last layer, whose losses want it.

    z is saved as well where the derivative needs it.
    """
    if job.layers[l, SAVED_OFFSET] != job.layers[l, A_OFFSET]:
        job.workspace[job.layers[l, SAVED_OFFSET] + offset] = z
    if l < job.layers.shape[0] - 1:
        z = activate(job.layers[l, ACTIVATION], job.settings[l, SLOPE], z)
    job.workspace[job.layers[l, A_OFFSET] + offset] = z


@inner
def derivative_of_number(job, l, offset, da):
    """da * g'(Z) of number `offset` of Z of layer l."""
    a = job.workspace[job.layers[l, SAVED_OFFSET] + offset]
    return derive(job.layers[l, ACTIVATION], job.settings[l, SLOPE], a, da)


@inner
def derive_number(job, l, offset, da):
    """Number `offset` of dZ of layer l: da * g'(Z)."""
    job.workspace[job.layers[l, DZ_OFFSET] + offset] = derivative_of_number(job, l, offset, da)


@kernel
def _activate(code, setting, Z, A):
    for i in range(cuda.grid(1), Z.size, cuda.gridsize(1)):
        A[i] = activate(code, setting, Z[i])


@kernel
def _derive(code, setting, dA, A, dZ):
    for i in range(cuda.grid(1), A.size, cuda.gridsize(1)):
        dZ[i] = derive(code, setting, A[i], dA[i])


@inner
def exponentials_of_row(Z, z, n, lanes, lane, shared):
    """The largest of n numbers from offset z on, and the sum of exp(number - largest): to all threads of a row.

    This one is the `lane`th of `lanes`.
    """
    first = cuda.threadIdx.x - lane
    most = Z[z + lane]
    for j in range(lane, n, lanes):
        if Z[z + j] > most:
            most = Z[z + j]
    most = max_over(most, shared, first, lanes)
    total = most * 0
    for j in range(lane, n, lanes):
        total += math.exp(Z[z + j] - most)
    return most, sum_over(total, shared, first, 1, lanes)


@formula
def epsilon_of(numbers):
    """Machine epsilon of an array's dtype: from 1 to the next larger number."""
    return 2.0**-23 if size_of(numbers) == 4 else 2.0**-52


@formula
def numerator_of(d, Z):
    """exp(d) for a distance d <= 0 from the largest number of Z, less than 1 unless d is 0.

    So the probabilities are largest where the numbers are, however close to these others come.
    """
    e, below_one = math.exp(d), Z.dtype.type(1) - Z.dtype.type(epsilon_of(Z))
    return below_one if d < 0 and e > below_one else e


@kernel
def _softmax(n, Z, A):
    shared = cuda.shared.array(THREADS, Z.dtype)
    m = Z.size // n
    for task in range(cuda.blockIdx.x, n_blocks(m, rows_at_once(n)), cuda.gridDim.x):
        i, lanes, lane = row_of(task, n)
        z = min(i, m - 1) * n
        most, total = exponentials_of_row(Z, z, n, lanes, lane, shared)
        if i < m:
            for j in range(lane, n, lanes):
                A[z + j] = numerator_of(Z[z + j] - most, Z)
            for j in range(lane, n, lanes):  # a loop of its own: a division beside it takes too many registers
                A[z + j] /= total


def _forward(code, Z, A, setting=0.0):
    Z, A = flat(Z, A)
    launch(_activate, -(-Z.size // PIECE), code, float(setting), Z, A)


def _backward(code, dA, A, dZ, setting=0.0):
    dA, A, dZ = flat(dA, A, dZ)
    launch(_derive, -(-A.size // PIECE), code, float(setting), dA, A, dZ)


def linear(Z, A):
    """A = Z."""
    _forward(LINEAR, Z, A)


def linear_backward(dA, A, dZ):
    """dZ = dA."""
    _backward(LINEAR, dA, A, dZ)


def sigmoid(Z, A):
    """A = 1 / (1 + exp(-Z)), with the exponential taken of -|Z| so that it cannot overflow."""
    _forward(SIGMOID, Z, A)


def sigmoid_backward(dA, A, dZ):
    """dZ = dA * A * (1 - A)."""
    _backward(SIGMOID, dA, A, dZ)


def tanh(Z, A):
    """A = tanh(Z)."""
    _forward(TANH, Z, A)


def tanh_backward(dA, A, dZ):
    """dZ = dA * (1 - A^2)."""
    _backward(TANH, dA, A, dZ)


def relu(Z, A):
    """A = max(0, Z); NaN stays NaN."""
    _forward(RELU, Z, A)


def relu_backward(dA, A, dZ):
    """dZ = dA where A > 0, else 0."""
    _backward(RELU, dA, A, dZ)


def leaky_relu(Z, slope, A):
    """A = Z where Z > 0, else slope * Z, for a slope >= 0."""
    _forward(LEAKY_RELU, Z, A, slope)


def leaky_relu_backward(dA, A, slope, dZ):
    """dZ = dA where A > 0, else slope * dA."""
    _backward(LEAKY_RELU, dA, A, dZ, slope)


def elu(Z, alpha, A):
    """A = Z where Z > 0, else alpha * (exp(Z) - 1) (Clevert, Unterthiner and Hochreiter, 2016)."""
    _forward(ELU, Z, A, alpha)


def elu_backward(dA, Z, alpha, dZ):
    """dZ = dA where Z > 0, else dA * alpha * exp(Z)."""
    _backward(ELU, dA, Z, dZ, alpha)


def softplus(Z, A):
    """A = log(1 + exp(Z)), a smooth ReLU (Dugas et al., 2001)."""
    _forward(SOFTPLUS, Z, A)


def softplus_backward(dA, Z, dZ):
    """dZ = dA * sigmoid(Z)."""
    _backward(SOFTPLUS, dA, Z, dZ)


def silu(Z, A):
    """A = Z * sigmoid(Z), also called swish (Elfwing, Uchibe and Doya, 2018)."""
    _forward(SILU, Z, A)


def silu_backward(dA, Z, dZ):
    """dZ = dA * S * (1 + Z * (1 - S)), with S = sigmoid(Z)."""
    _backward(SILU, dA, Z, dZ)


def gelu(Z, A):
    """A = Z * P(Z), with P the normal distribution function (Hendrycks and Gimpel, 2016)."""
    _forward(GELU, Z, A)


def gelu_backward(dA, Z, dZ):
    """dZ = dA * (P(Z) + Z * p(Z)), with P the normal distribution function and p its density."""
    _backward(GELU, dA, Z, dZ)


def hard_sigmoid(Z, A):
    """A = Z / 6 + 1/2 between 0 and 1: sigmoid in three straight lines (Howard et al., 2019)."""
    _forward(HARD_SIGMOID, Z, A)


def hard_sigmoid_backward(dA, A, dZ):
    """dZ = dA / 6 where 0 < A < 1, else 0."""
    _backward(HARD_SIGMOID, dA, A, dZ)


def hard_silu(Z, A):
    """A = Z * hard_sigmoid(Z), also called hard swish (Howard et al., 2019)."""
    _forward(HARD_SILU, Z, A)


def hard_silu_backward(dA, Z, dZ):
    """dZ = dA where Z >= 3, 0 where Z <= -3, else dA * (Z / 3 + 1/2)."""
    _backward(HARD_SILU, dA, Z, dZ)


def softmax(Z, A):
    """A[i, j] = exp(Z[i, j]) / sum_k exp(Z[i, k]), with the row's maximum taken off first: exp cannot overflow."""
    m, n = Z.shape
    launch(_softmax, m, n, *flat(Z, A))
