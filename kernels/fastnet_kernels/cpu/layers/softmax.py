"""Softmax: A = exp(Z) / sum(exp(Z)) of each sample, with the largest number taken off first, so that exp cannot overflow.

The largest numbers of A are those of Z, and no others, also where rounding would make others the same: the compiled
program's predictions say what its logits do.
"""

import numpy as np

from ..codegen.arrays import ON_STACK, numbers_on_stack
from ..codegen.compiling import inner, routine
from ..codegen.loops import largest_of, map_numbers
from ..codegen.vector_math import exp


@inner
def _numerator_of(d, below_one):
    """exp(d) for a distance d <= 0 from the largest number, less than 1 unless d is 0: `below_one` then, if need be.

    So the probabilities are largest where the numbers are, however close to these others come.
    """
    e = exp(d)
    return below_one if d < 0 and e > below_one else e


@inner
def _shifted_numerator_of(z, largest, below_one):
    return _numerator_of(z - largest, below_one)


@inner
def _product(a, share):
    return a * share


@routine
def softmax_columns(A):
    """A[:, i] = softmax(A[:, i]), in place, for A (n, m): a sample is a column, so that a vector holds many of them."""
    n, m = A.shape
    below_one = A.dtype.type(1) - A.dtype.type(np.finfo(A.dtype).eps)
    largest, total = numbers_on_stack(A), numbers_on_stack(A)
    for first in range(0, m, ON_STACK):
        last = min(first + ON_STACK, m)
        for i in range(last - first):
            largest[i] = A[0, first + i]
            total[i] = 0
        for j in range(1, n):
            a = A[j, first:last]
            for i in range(a.size):
                largest[i] = a[i] if a[i] > largest[i] else largest[i]
        for j in range(n):
            a = A[j, first:last]
            for i in range(a.size):
                a[i] = _numerator_of(a[i] - largest[i], below_one)
            for i in range(a.size):
                total[i] += a[i]
        for i in range(last - first):
            total[i] = A.dtype.type(1) / total[i]
        for j in range(n):
            a = A[j, first:last]
            for i in range(a.size):
                a[i] *= total[i]


@routine
def softmax_of_one(z, a):
    """a = softmax(z), both (n,), for a single sample whose numbers are contiguous; a may be z."""
    below_one = a.dtype.type(1) - a.dtype.type(np.finfo(a.dtype).eps)
    map_numbers(_shifted_numerator_of, a, (z,), (largest_of(z), below_one))
    total = a.dtype.type(0)
    for j in range(a.size):
        total += a[j]
    map_numbers(_product, a, (a,), (a.dtype.type(1) / total,))
