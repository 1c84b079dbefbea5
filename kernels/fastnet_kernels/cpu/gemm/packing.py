"""Large matrices W, packed in the order in which gemm reads them, and the product with what is packed.

Packed are tiles of MR rows of W^T. From step to step of k lies a whole number of vectors, and from tile to tile one
step more than the depth, so that tiles do not meet in the cache.

    tile 0, k = 0:  W[0, 0] ... W[0, MR - 1]       tile 1, k = 0:  W[0, MR] ... W[0, 2 MR - 1]
            k = 1:  W[1, 0] ... W[1, MR - 1]               k = 1:  W[1, MR] ... W[1, 2 MR - 1]
"""

from ...codes import LARGE_W
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Matrix, moved, unscaled
from ..codegen.processor import PANEL_BYTES, TARGET, VECTOR_BYTES
from ..partition import n_blocks
from .load_convert import read_vectors
from .macro_kernel import gemm, mc_for
from .micro_kernels import NO_PREFETCH

_MR, _MR_NARROW = TARGET.mr, TARGET.mr_narrow
_CAPACITY = TARGET.packed_numbers


@inner
def _packed_strides(height, depth, buffer):
    """Of a packed matrix: from step to step of k, and from tile to tile (a step more, for the cache)."""
    lanes = VECTOR_BYTES // buffer.itemsize
    step = n_blocks(height, lanes) * lanes
    return step, (depth + 1) * step


@inner
def packed_mr(columns, buffer):
    """How many rows of a matrix are packed together, for products of so many columns: those of the highest tile."""
    return _MR[0] if columns > VECTOR_BYTES // buffer.itemsize else _MR_NARROW[0]


@inner
def packed_columns(height, depth, buffer):
    """So many columns, in whole tiles, are packed at a time: they stay in cache, and their memory is `packed_numbers`.

    A piece of little depth takes far more memory than it has numbers.
    """
    _, tile_stride = _packed_strides(height, depth, buffer)
    return min(mc_for(depth, buffer), _CAPACITY // tile_stride * height)


@routine(component=LARGE_W)
def pack_columns(height, target, source, columns, depth):
    """The matrix source[k, c], c < columns, k < depth, tile by tile, what a step of k needs side by side.

    `source` is a `Matrix` of contiguous rows, `target` a buffer. What is read beyond the columns means nothing; the
    source goes on for a vector.
    """
    lanes = VECTOR_BYTES // target.itemsize
    rescale, (step, tile_stride) = unscaled(target), _packed_strides(height, depth, target)
    for k in range(depth):
        t, offset = k * step, source.offset + k * source.row_stride
        for c in range(0, columns, height):
            for v in range(0, min(height, columns - c), lanes):
                read_vectors(1, target, t + v, source.data, offset + c + v, rescale)
            t += tile_stride


@routine(component=LARGE_W)
def gemm_packed(height, m, n, k, C, A, B):
    """C[i, j] += sum_p A[p, i] B[p, j], for i < m, j < n, p < k, A packed by `pack_columns` in tiles of that height.

    C and B are `Matrix`es of contiguous rows, A is a buffer.
    """
    step, tile_stride = _packed_strides(height, k, C.data)
    one, nr = C.data.dtype.type(1), PANEL_BYTES // C.data.itemsize
    for j in range(0, n, nr):
        for i in range(0, m, height):
            tile, packed = moved(C, i * C.row_stride + j), Matrix(A, i // height * tile_stride, 1, step)
            gemm(min(height, m - i), min(nr, n - j), k, one, tile, tile, packed, moved(B, j), NO_PREFETCH)
