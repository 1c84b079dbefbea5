"""Activations A = g(Z) that take each number by itself, and derivatives dZ = dA * g'(Z), for contiguous numbers.

The formulas are those of `reference`. A derivative is written through A where it can be, so that a network need not
keep Z. NaN stays NaN: comparisons are written for that.
"""

import numpy as np

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
    SAVED_OFFSET,
    SIGMOID,
    SILU,
    SLOPE,
    SOFTPLUS,
    TANH,
)
from ..codegen.arrays import address_of
from ..codegen.compiling import inner, routine
from ..codegen.elements import same
from ..codegen.loops import map_numbers
from ..codegen.vector_math import exp, log1p_of, normal
from ..codegen.vector_math import tanh as tanh_of
from ..step.workspace import numbers_of


@inner
def sigmoid_of(z):
    """1 / (1 + exp(-z)), with the exponential taken of -|z| so that it cannot overflow."""
    e = exp(-abs(z))
    one = type(z)(1)
    return (one if z >= 0 else e) / (one + e)


@inner
def _relu(z):
    return type(z)(0) if z <= 0 else z


@inner
def _leaky_relu(z, slope):
    return slope * z if z <= 0 else z


@inner
def _elu(z, alpha):
    return alpha * (exp(z) - type(z)(1)) if z <= 0 else z


@inner
def _softplus(z):
    return (type(z)(0) if z <= 0 else z) + log1p_of(exp(-abs(z)))


@inner
def _silu(z):
    return z * sigmoid_of(z)


@inner
def _gelu(z):
    return z * normal(z)


@inner
def _hard_sigmoid(z):
    """z / 6 + 1/2 between 0 and 1."""
    a, zero, one = z * type(z)(1 / 6) + type(z)(0.5), type(z)(0), type(z)(1)
    return zero if a <= 0 else one if a >= 1 else a


@inner
def _hard_silu(z):
    return z * _hard_sigmoid(z)


@inner
def _sigmoid_derivative(d, a):
    return d * (a * (type(a)(1) - a))


@inner
def _tanh_derivative(d, a):
    return d * (type(a)(1) - a * a)


@inner
def _relu_derivative(d, a):
    return d if a > 0 else type(a)(0)


@inner
def _leaky_relu_derivative(d, a, slope):
    return d if a > 0 else slope * d


@inner
def _elu_derivative(d, z, alpha):
    return d * (type(z)(1) if z > 0 else alpha * exp(z))


@inner
def _softplus_derivative(d, z):
    return d * sigmoid_of(z)


@inner
def _silu_derivative(d, z):
    s, one = sigmoid_of(z), type(z)(1)
    return d * (s * (one + z * (one - s)))


@inner
def _gelu_derivative(d, z):
    half, peak = type(z)(0.5), type(z)(0.3989422804014327)  # 1 / sqrt(2 pi)
    return d * (normal(z) + z * peak * exp(-half * z * z))


@inner
def _hard_sigmoid_derivative(d, a):
    half, third = type(a)(0.5), type(a)(1 / 3)
    return half * third * d if a > 0 and a < 1 else type(a)(0)


@inner
def _hard_silu_derivative(d, z):
    half, third, zero, one = type(z)(0.5), type(z)(1 / 3), type(z)(0), type(z)(1)
    slope = third * z + half
    return d * (one if z >= 3 else zero if z <= -3 else slope)


@routine
def activate(activation, slope, Z, A):
    """A = g(Z), both (n,), for a g given by its code; A may be Z. `slope` is leaky_relu's, or the alpha of elu."""
    below = A.dtype.type(slope)
    if activation == SIGMOID:
        map_numbers(sigmoid_of, A, (Z,), ())
    elif activation == TANH:
        map_numbers(tanh_of, A, (Z,), ())
    elif activation == RELU:
        map_numbers(_relu, A, (Z,), ())
    elif activation == LEAKY_RELU:
        map_numbers(_leaky_relu, A, (Z,), (below,))
    elif activation != LINEAR:  # what is unknown as well, which gives NaN there
        _activate_by_rarer(activation, slope, Z, A)
    elif address_of(Z) != address_of(A):
        map_numbers(same, A, (Z,), ())


@routine(component=RARE_ACTIVATIONS)
def _activate_by_rarer(activation, slope, Z, A):
    """A = g(Z), both (n,), for the activations that are a lazy component. NaN if the code is unknown."""
    below = A.dtype.type(slope)
    if activation == ELU:
        map_numbers(_elu, A, (Z,), (below,))
    elif activation == SOFTPLUS:
        map_numbers(_softplus, A, (Z,), ())
    elif activation == SILU:
        map_numbers(_silu, A, (Z,), ())
    elif activation == GELU:
        map_numbers(_gelu, A, (Z,), ())
    elif activation == HARD_SIGMOID:
        map_numbers(_hard_sigmoid, A, (Z,), ())
    elif activation == HARD_SILU:
        map_numbers(_hard_silu, A, (Z,), ())
    else:
        A[:] = np.nan


@routine
def derive(activation, slope, dA, A, dZ):
    """dZ = dA * g'(Z), all (n,), for a g given by its code; dZ may be dA or A.

    A is g(Z), or Z itself for the activations whose derivative needs that.
    """
    below = A.dtype.type(slope)
    if activation == SIGMOID:
        map_numbers(_sigmoid_derivative, dZ, (dA, A), ())
    elif activation == TANH:
        map_numbers(_tanh_derivative, dZ, (dA, A), ())
    elif activation == RELU:
        map_numbers(_relu_derivative, dZ, (dA, A), ())
    elif activation == LEAKY_RELU:
        map_numbers(_leaky_relu_derivative, dZ, (dA, A), (below,))
    elif activation != LINEAR:
        _derive_by_rarer(activation, slope, dA, A, dZ)
    elif address_of(dA) != address_of(dZ):
        map_numbers(same, dZ, (dA,), ())


@routine(component=RARE_ACTIVATIONS)
def _derive_by_rarer(activation, slope, dA, A, dZ):
    """dZ = dA * g'(Z), all (n,), for the activations that are a lazy component. NaN if the code is unknown."""
    below = A.dtype.type(slope)
    if activation == ELU:
        map_numbers(_elu_derivative, dZ, (dA, A), (below,))
    elif activation == SOFTPLUS:
        map_numbers(_softplus_derivative, dZ, (dA, A), ())
    elif activation == SILU:
        map_numbers(_silu_derivative, dZ, (dA, A), ())
    elif activation == GELU:
        map_numbers(_gelu_derivative, dZ, (dA, A), ())
    elif activation == HARD_SIGMOID:
        map_numbers(_hard_sigmoid_derivative, dZ, (dA, A), ())
    elif activation == HARD_SILU:
        map_numbers(_hard_silu_derivative, dZ, (dA, A), ())
    else:
        dZ[:] = np.nan


@inner
def activate_layer(job, l, block):
    """A of a layer from its Z, which is kept where the derivative needs it."""
    plan, Z = job.plan, numbers_of(job, l, A_OFFSET, block)
    if plan.layers[l, SAVED_OFFSET] != plan.layers[l, A_OFFSET]:
        kept = numbers_of(job, l, SAVED_OFFSET, block)
        for i in range(kept.size):
            kept[i] = Z[i]
    activate(plan.layers[l, ACTIVATION], plan.settings[l, SLOPE], Z, Z)


@inner
def derive_layer(job, l, block):
    """dZ of a layer, from dA."""
    plan = job.plan
    dZ = numbers_of(job, l, DZ_OFFSET, block)
    derive(plan.layers[l, ACTIVATION], plan.settings[l, SLOPE], dZ, numbers_of(job, l, SAVED_OFFSET, block), dZ)
