"""Matrices of any strides, packed in tiles: some rows side by side, for each step of the product's depth.

    tile 0:  M[0, 0] ... M[height - 1, 0],  M[0, 1] ... M[height - 1, 1],  ...
    tile 1:  M[height, 0] ...

So both factors of a product are packed: the left one in tiles of MR rows, the right one's transpose in tiles of NR
rows, which are panels of NR columns. From step to step lies a whole number of vectors; what is beyond the last row is
not defined.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..codegen.arrays import numbers_on_stack
from ..codegen.compiling import inner, routine
from ..codegen.loops import copy_strided
from ..codegen.matrix import Matrix, Rows, moved, unscaled
from ..codegen.processor import VECTOR_BYTES
from ..codegen.simd import Operand, first_lanes
from ..partition import n_blocks
from .load_convert import transpose

_INDEX = np.zeros(1, np.int64)  # for its dtype


@intrinsic
def _copy_steps(typing_context, vectors, target, step, M, rows, depth):
    """target[k * step + r] = M[r, k], for r < rows, k < depth, where a column of M is contiguous, in `vectors` vectors.

    `target` is a `Matrix` of which the beginning counts, `vectors` a literal.
    """
    if not isinstance(vectors, types.IntegerLiteral):
        return None

    def generate(context, builder, signature, arguments):
        _, _, step, _, rows, depth = arguments
        written, source = (Operand(context, builder, signature.args[i], arguments[i]) for i in (1, 3))
        offsets = [ir.IntType(64)(v * source.lanes) for v in range(vectors.literal_value)]
        masks = [first_lanes(builder, source.vector, builder.sub(rows, offset)) for offset in offsets]
        with cgutils.for_range(builder, depth) as loop:
            read = source.at(source.offset, builder.mul(loop.index, source.column_stride))
            at = written.at(written.offset, builder.mul(loop.index, step))
            for offset, mask in zip(offsets, masks, strict=True):
                written.store_vector(source.load_vector(source.step(read, offset), mask), written.step(at, offset))
        return context.get_dummy_value()

    return types.void(vectors, target, step, M, rows, depth), generate


@inner
def step_of(height, like):
    """From one step of the depth to the next in a packed tile: whole vectors."""
    lanes = VECTOR_BYTES // like.itemsize
    return n_blocks(height, lanes) * lanes


@inner
def _copy_tile(target, t, step, M, rows, depth):
    """Where a column of M is contiguous: two vectors of it at a time."""
    lanes = VECTOR_BYTES // target.itemsize
    for first in range(0, step, 2 * lanes):
        place, some = Matrix(target, t + first, 1, step), moved(M, first)
        if step - first > lanes:
            _copy_steps(2, place, step, some, rows - first, depth)
        else:
            _copy_steps(1, place, step, some, rows - first, depth)


@inner
def transpose_rows(target, t, step, M, rows, size, depth):
    """target[t + k * step + r] = M[r, k], for k < depth, and r < size in whole vectors; the last row stands for more.

    Rows of M are contiguous; they are transposed in squares of a vector's side.
    """
    lanes, rescale = VECTOR_BYTES // target.itemsize, unscaled(target)
    index, left = numbers_on_stack(_INDEX), depth % lanes
    for first in range(0, size, lanes):
        for r in range(lanes):
            index[r] = min(first + r, rows - 1)
        for k in range(0, depth - left, lanes):
            place = Matrix(target, t + k * step + first, step, 1)
            transpose(place, Rows(M.data, M.offset + k, M.row_stride, index), 0, None, rescale)
        if left > 0:
            place = Matrix(target, t + (depth - left) * step + first, step, 1)
            transpose(place, Rows(M.data, M.offset + depth - left, M.row_stride, index), 0, left, rescale)


@routine
def pack_tile(target, t, height, M, rows, depth):
    """A tile, from t on in the buffer `target`: rows r < `rows`, at most `height`, of the `Matrix` M, k < depth."""
    step = step_of(height, target)
    if M.row_stride == 1:
        _copy_tile(target, t, step, M, rows, depth)
    elif M.column_stride == 1:
        transpose_rows(target, t, step, M, rows, rows, depth)
    elif abs(M.row_stride) < abs(M.column_stride):
        for k in range(depth):
            copy_strided(target, t + k * step, 1, M.data, M.offset + k * M.column_stride, M.row_stride, rows)
    else:
        for r in range(rows):
            copy_strided(target, t + r, step, M.data, M.offset + r * M.row_stride, M.column_stride, depth)
