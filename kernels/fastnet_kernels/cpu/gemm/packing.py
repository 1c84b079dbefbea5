"""Large matrices packed in the order of use, and products with them."""

from ...codes import LARGE_W
from ..codegen.compiling import inner, routine
from ..codegen.processor import PANEL_BYTES, VECTOR_BYTES
from ..partition import n_blocks
from .load_convert import read_vectors
from .macro_kernel import _MR, _MR_NARROW, gemm
from .micro_kernels import NO_PREFETCH


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


@routine(component=LARGE_W)
def pack_columns(height, target, source, s, stride, columns, depth):
    """The matrix source[s + k stride + c], c < columns, k < depth, tile by tile, what a step of k needs side by side.

    What is read beyond the columns means nothing; `source` goes on for a vector.
    """
    one, zero, lanes = target.dtype.type(1), target.dtype.type(0), VECTOR_BYTES // target.itemsize
    step, panel_stride = _packed_strides(height, depth, target)
    for k in range(depth):
        t, offset = k * step, s + k * stride
        for c in range(0, columns, height):
            for v in range(0, min(height, columns - c), lanes):
                read_vectors(1, target, t + v, source, offset + c + v, one, zero)
            t += panel_stride


@routine(component=LARGE_W)
def gemm_packed(height, rows, columns, C, c, c_row, A, B, b, b_k, depth):
    """C[c + r c_row + v] += sum_k A[k, r] B[b + k b_k + v], for A packed by `pack_columns`."""
    step, panel_stride = _packed_strides(height, depth, C)
    one, panel = C.dtype.type(1), PANEL_BYTES // C.itemsize
    for v in range(0, columns, panel):
        for row in range(0, rows, height):
            gemm(
                min(height, rows - row), min(panel, columns - v), one, C, c + row * c_row + v, c_row, A,
                row // height * panel_stride, 1, step, B, b + v, b_k, depth, NO_PREFETCH,
            )  # fmt: skip
