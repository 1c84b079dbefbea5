"""exp, tanh and log(1 + e) as straight arithmetic, so that LLVM computes a whole vector of them at once.

Numba's own call a scalar library for each number. Here is no table and no branch, and the bits are the same on every
CPU with a fused multiply-add. All are within 2 units of the last place (tests/kernels/test_functions.py), and NaN stays
NaN.

    exp(x)      = 2^n exp(r), n = round(x / log 2), r = x - n log 2 in two parts (Cody and Waite, 1980), exp(r) by
                  Taylor's series
    tanh(x)     = h / (h + 1), signed, with 2 h = exp(2 |x|) - 1 = 2^n (exp(r) - 1) + 2^n - 1; where x is small, as
                  h - h (h / (h + 1)), in which the quotient's error counts less
    log1p_of(e) = log(1 + e) = 2 artanh(s), s = e / (2 + e), for e from 0 to 1, where s is at most 1/3
    log(x)      = n log 2 + log1p_of(x / 2^n - 1), for x from 1 on, 2^n <= x < 2^(n + 1)
    normal(x)   = erfc(-x / sqrt 2) / 2, the normal distribution function, with erfc(z) exp(z^2) = t Q(2 t - 1) for
                  z >= 0, t = 1 / (1 + z / 2), and Q by Chebyshev's interpolation
"""

import math

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

# No "reassoc": the steps lean on their order. Inlined everywhere, since a loop with a call makes no vectors.
_OPTIONS = {"fastmath": {"contract", "nsz"}, "error_model": "numpy", "forceinline": True}
_exact = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)

# Of floating numbers by their bits: those of the mantissa, and what is added to an exponent.
_MANTISSAS, _BIASES = {32: 23, 64: 52}, {32: 127, 64: 1023}


@_exact
def is_finite(x):
    """Whether x is neither NaN nor infinite.

    By a comparison: Numba's own computes x - x, which is 0 for LLVM where x is a sum whose terms it may reorder.
    """
    return abs(x) < math.inf


def _shift(kind):
    """What a number is added to, to be rounded to a whole one whose last bits are those of an exponent."""
    size = kind().itemsize * 8
    return kind(1.5 * 2.0 ** _MANTISSAS[size] + _BIASES[size])


@intrinsic
def _power_of_two(typing_context, shifted):
    """2^n, for n in the range of exponents, from `shifted`, which is n + `_shift` of its kind."""

    def generate(context, builder, signature, arguments):
        size = signature.args[0].bitwidth
        integer = context.get_value_type(types.Integer.from_bitwidth(size))
        bits = builder.shl(builder.bitcast(arguments[0], integer), integer(_MANTISSAS[size]))
        return builder.bitcast(bits, arguments[0].type)

    return shifted(shifted), generate


@intrinsic
def _exponent(typing_context, x):
    """The whole number n with 2^n <= x < 2^(n + 1), in x's own floating dtype, for a normal x above 0."""

    def generate(context, builder, signature, arguments):
        size = signature.args[0].bitwidth
        integer = context.get_value_type(types.Integer.from_bitwidth(size))
        exponent = builder.lshr(builder.bitcast(arguments[0], integer), integer(_MANTISSAS[size]))
        return builder.sitofp(builder.sub(exponent, integer(_BIASES[size])), arguments[0].type)

    return x(x), generate


# log 2 in two parts: n times the first is exact for every exponent n.
_LOG2_PARTS = {32: (0.693359375, -2.12194440e-4), 64: (6.93145751953125e-1, 1.42860682030941723212e-6)}


def _split(kind):
    """The function that gives r and 2^n, with x = n log 2 + r."""
    first, second = map(kind, _LOG2_PARTS[kind().itemsize * 8])
    inverse, shift = kind(1 / math.log(2)), _shift(kind)

    @_exact
    def function(x):
        shifted = x * inverse + shift  # rounds to a whole number
        n = shifted - shift
        return (x - n * first) - n * second, _power_of_two(shifted)

    return function


def _tail(kind):
    """The function that gives t, with exp(r) = 1 + r + r^2 t, for |r| <= log(2) / 2."""
    c = tuple(kind(1 / math.factorial(k)) for k in range(14))

    @_exact
    def taylor_8(r):
        return c[2] + r * (c[3] + r * (c[4] + r * (c[5] + r * (c[6] + r * c[7]))))

    @_exact
    def taylor_14(r):
        tail = c[8] + r * (c[9] + r * (c[10] + r * (c[11] + r * (c[12] + r * c[13]))))
        return c[2] + r * (c[3] + r * (c[4] + r * (c[5] + r * (c[6] + r * (c[7] + r * tail)))))

    return taylor_8 if kind is np.float32 else taylor_14


def _exp(kind, low, high):
    low, high, zero, one, split, tail = kind(low), kind(high), kind(0), kind(1), _split(kind), _tail(kind)

    def function(x):
        r, power = split(low if x < low else high if x > high else x)
        result = (one + r * (one + r * tail(r))) * power
        return zero if x < low else result

    return function


def _tanh(kind):
    one, half, small, far, split, tail = kind(1), kind(0.5), kind(0.4), kind(20), _split(kind), _tail(kind)

    def function(x):
        size = abs(x)
        size = far if size > far else size
        r, power = split(size + size)
        power *= half
        most = power * r + (power - half)
        rest = power * r - (most - (power - half))  # what rounding has left out
        h = most + (power * r * r * tail(r) + rest)
        quotient = h / (h + one)
        return math.copysign(h - h * quotient if size < small else quotient, x)

    return function


def _log1p(kind):
    two = kind(2)
    c = tuple(kind(2 / (2 * k + 1)) for k in range(18))

    @_exact
    def series_8(z):
        return c[1] + z * (c[2] + z * (c[3] + z * (c[4] + z * (c[5] + z * (c[6] + z * (c[7] + z * c[8]))))))

    @_exact
    def series_17(z):
        tail = c[9] + z * (c[10] + z * (c[11] + z * (c[12] + z * (c[13] + z * (c[14] + z * (c[15] + z * c[16]))))))
        return c[1] + z * (
            c[2] + z * (c[3] + z * (c[4] + z * (c[5] + z * (c[6] + z * (c[7] + z * (c[8] + z * tail))))))
        )

    series = series_8 if kind is np.float32 else series_17

    def function(e):
        s = e / (two + e)
        z = s * s
        return two * s + s * z * series(z)

    return function


def _log(kind):
    log2, one, shift = kind(math.log(2)), kind(1), _shift(kind)

    def function(x):
        n = _exponent(x)
        return n * log2 + log1p_of(x * _power_of_two(shift - n) - one)

    return function


# erfc(z) exp(z^2) / t as a polynomial in 2 t - 1, interpolated at Chebyshev's points: right to 3e-8 and 1e-17.
_NORMAL_10 = (
    0.510791353, 0.343580313, 0.139735946, 0.0182217491, -0.0107533109, -0.00324373307, 0.00153384704, 0.000431040022,
    -0.000304719086, -3.67643616e-05, 4.42884147e-05,
)  # fmt: skip
_NORMAL_26 = (
    0.5107913526210115, 0.34358034220690509, 0.13973604627802735, 0.018221115753461418, -0.010755330944743213,
    -0.0032395925346550142, 0.0015453060296562169, 0.00041864804431780765, -0.00033153675453694102,
    -1.7185840159673632e-05, 7.2235398100233214e-05, -1.707374027362626e-05, -1.0848266170054718e-05,
    8.0577441873480901e-06, -5.622017389294366e-07, -1.814750230839688e-06, 9.9968105979091272e-07,
    -1.4173148256803576e-08, -2.8384033369582292e-07, 1.7908279015125501e-07, -3.2879636227592602e-09,
    -6.9915991258110311e-08, 2.9995796909149103e-08, 1.330982841170514e-08, -1.007781369698714e-08,
    -1.0739706490607298e-09, 1.2565872268595697e-09,
)  # fmt: skip


def _two_terms(c):
    @_exact
    def function(s, rest):
        return c[0] + s * (c[1] + s * rest)

    return function


def _nine_terms(c):
    @_exact
    def function(s, rest):
        tail = c[4] + s * (c[5] + s * (c[6] + s * (c[7] + s * (c[8] + s * rest))))
        return c[0] + s * (c[1] + s * (c[2] + s * (c[3] + s * tail)))

    return function


def _normal(kind, coefficients):
    one, two, half, root, zero = map(kind, (1, 2, 0.5, math.sqrt(0.5), 0))
    c = tuple(map(kind, coefficients))

    if len(c) == 11:
        first, second = _nine_terms(c[:9]), _two_terms(c[9:])

        @_exact
        def polynomial(s):
            return first(s, second(s, zero))

    else:
        first, second, third = _nine_terms(c[:9]), _nine_terms(c[9:18]), _nine_terms(c[18:])

        @_exact
        def polynomial(s):
            return first(s, second(s, third(s, zero)))

    def function(x):
        z = abs(x) * root
        t = one / (one + half * z)
        tail = half * t * polynomial(two * t - one) * exp(-half * x * x)
        return tail if x < 0 else one - tail

    return function


_exp_versions = {32: _exp(np.float32, -87.33, 89.0), 64: _exp(np.float64, -708.39, 710.0)}
_tanh_versions = {32: _tanh(np.float32), 64: _tanh(np.float64)}
_log1p_versions = {32: _log1p(np.float32), 64: _log1p(np.float64)}
_log_versions = {32: _log(np.float32), 64: _log(np.float64)}
_normal_versions = {32: _normal(np.float32, _NORMAL_10), 64: _normal(np.float64, _NORMAL_26)}


def exp(x):
    """e^x for a float32 or float64 x; 0 below the smallest normal number. From compiled code only."""


def tanh(x):
    """tanh(x) for a float32 or float64 x. From compiled code only."""


def log1p_of(e):
    """log(1 + e) for a float32 or float64 e from 0 to 1. From compiled code only."""


def log(x):
    """log(x) for a float32 or float64 x from 1 on, at most infinity. From compiled code only."""


def normal(x):
    """The normal distribution function of a float32 or float64 x. From compiled code only."""


@overload(exp, jit_options=_OPTIONS)
def _choose_exp(x):
    return _exp_versions[x.bitwidth]


@overload(tanh, jit_options=_OPTIONS)
def _choose_tanh(x):
    return _tanh_versions[x.bitwidth]


@overload(log1p_of, jit_options=_OPTIONS)
def _choose_log1p_of(e):
    return _log1p_versions[e.bitwidth]


@overload(log, jit_options=_OPTIONS)
def _choose_log(x):
    return _log_versions[x.bitwidth]


@overload(normal, jit_options=_OPTIONS)
def _choose_normal(x):
    return _normal_versions[x.bitwidth]
