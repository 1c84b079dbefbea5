"""The transforms of Winograd's convolutions F(2 x 2, 3 x 3), for vectors of samples (Lavin and Gray, 2016).

A tile of 2 x 2 pixels of the output sees 4 x 4 pixels d of the input. With windows w of 3 x 3 taps

    z = A^T [(G w G^T) * (B^T d B)] A
    A^T = [1 1 1 0; 0 1 -1 -1]    B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]
    G = [1 0 0; .5 .5 .5; .5 -.5 .5; 0 0 1]

takes 16 products in the place of 36, and each of the 16 numbers is summed over channels by itself: 16 matrix products.
The derivative of w is G^T [(B^T d B) * (A dz A^T)] G.
"""

from numba.core import cgutils, types
from numba.extending import intrinsic

from ..codegen.simd import Operand, broadcast
from .micro_kernels import number_of, times

TILE, REACH, TERMS = 2, 4, 16  # pixels of a tile and of what it sees, along an axis, and numbers that are multiplied
_OFFSET = types.intp


def _input(builder, a):
    """B^T a."""
    return [builder.fsub(a[0], a[2]), builder.fadd(a[1], a[2]), builder.fsub(a[2], a[1]), builder.fsub(a[1], a[3])]


def _output(builder, a):
    """A^T a."""
    add, sub = builder.fadd, builder.fsub
    return [add(add(a[0], a[1]), a[2]), sub(sub(a[1], a[2]), a[3])]


def _gradient(builder, a):
    """A a."""
    return [a[0], builder.fadd(a[0], a[1]), builder.fsub(a[0], a[1]), builder.fneg(a[1])]


def _both_ways(builder, transform, square):
    """The transform of the rows, and then of the columns, of a square of vectors."""
    columns = [transform(builder, list(column)) for column in zip(*square, strict=True)]
    return [transform(builder, list(row)) for row in zip(*columns, strict=True)]


def _square(builder, operand, row, side, across, down):
    """Vectors of side x side pixels, from a row of an operand on."""
    return [
        [
            operand.load_vector(
                operand.at(row, times(builder, number_of(y), down), times(builder, number_of(x), across))
            )
            for x in range(side)
        ]
        for y in range(side)
    ]


def _spread(transform, side):
    """An intrinsic's code that makes terms of pixels."""

    def generate(context, builder, signature, arguments):
        n, _, step, _, across, down = arguments
        V, X = (Operand(context, builder, signature.args[i], arguments[i]) for i in (1, 3))
        with cgutils.for_range(builder, n) as loop:
            given = builder.add(X.offset, times(builder, loop.index, X.row_stride))
            found = builder.add(V.offset, times(builder, loop.index, V.row_stride))
            terms = _both_ways(builder, transform, _square(builder, X, given, side, across, down))
            for q, term in enumerate(term for row in terms for term in row):
                V.store_vector(term, V.at(found, times(builder, number_of(q), step)))
        return context.get_dummy_value()

    return generate


@intrinsic
def winograd_input(typing_context, n, V, step, X, across, down):
    """V[i + q step, :] = (B^T d B)_q, d the 4 x 4 pixels of X[i], for i < n and one vector of columns."""
    return types.void(_OFFSET, V, _OFFSET, X, _OFFSET, _OFFSET), _spread(_input, REACH)


@intrinsic
def winograd_gradient(typing_context, n, V, step, X, across, down):
    """V[i + q step, :] = (A d A^T)_q, d the 2 x 2 pixels of X[i], for i < n and one vector of columns."""
    return types.void(_OFFSET, V, _OFFSET, X, _OFFSET, _OFFSET), _spread(_gradient, TILE)


@intrinsic
def winograd_output(typing_context, n, Z, across, down, M, step, start):
    """The 2 x 2 pixels of Z[i] = start[i] + A^T m A, m_q = M[i + q step, :], for i < n and one vector of columns."""

    def generate(context, builder, signature, arguments):
        n, _, across, down, _, step, _ = arguments
        Z, M, start = (Operand(context, builder, signature.args[i], arguments[i]) for i in (1, 4, 6))
        with cgutils.for_range(builder, n) as loop:
            first = broadcast(
                builder, Z.vector, start.load(start.at(start.offset, times(builder, loop.index, start.row_stride)))
            )
            given = builder.add(M.offset, times(builder, loop.index, M.row_stride))
            terms = _square(builder, M, given, REACH, step, times(builder, number_of(REACH), step))
            found = builder.add(Z.offset, times(builder, loop.index, Z.row_stride))
            for y, row in enumerate(_both_ways(builder, _output, terms)):
                for x, pixel in enumerate(row):
                    place = Z.at(found, times(builder, number_of(y), down), times(builder, number_of(x), across))
                    Z.store_vector(builder.fadd(first, pixel), place)
        return context.get_dummy_value()

    return types.void(_OFFSET, Z, _OFFSET, _OFFSET, M, _OFFSET, start), generate
