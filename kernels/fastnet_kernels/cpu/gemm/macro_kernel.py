"""The macro-kernel: C = S + alpha A B of any size in memory, in tiles that micro-kernels compute, on one thread.

The order of every sum depends on the shapes only, so that any split of the work among threads gives the same bits.
Callers cut A into blocks of `mc_for` rows, which stay in the second-level cache while B's panels go by. Rows far apart
are for `gemm_gathered`, a large W for `packing`, dot products and sums of rows for `dot_and_gemv`.
"""

from ...codes import SAMPLE_ROWS
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Rows, moved
from ..codegen.processor import LINE_BYTES, PANEL_BYTES, TARGET, VECTOR_BYTES
from ..partition import n_blocks
from .micro_kernels import NO_PREFETCH, gemm_micro_kernel, gemm_micro_kernel_narrow

_MC_BYTES = TARGET.mc_bytes

_MR, _MR_NARROW = TARGET.mr, TARGET.mr_narrow


@inner
def even_height(left, heights):
    """Height of the next tile: tiles of like height, since a low one does not keep the units busy."""
    wanted = n_blocks(left, n_blocks(left, heights[0]))
    height = 1
    for size in heights:
        if size <= left and (size >= wanted or height == 1):
            height = size
    return height


@routine
def gemm(m, n, k, alpha, C, S, A, B, b_next):
    """C[i, j] = S[i, j] + alpha sum_p A[i, p] B[p, j], for i < m, j < n, p < k; S is C, or what C is to begin from.

    All are `Matrix`es; the rows of C, S and B are contiguous. At b_next of B's buffer lies what is read after this
    panel and is as large, if it is to be prefetched, from beyond the second-level cache; or NO_PREFETCH.
    """
    nr, lanes = PANEL_BYTES // C.data.itemsize, VECTOR_BYTES // C.data.itemsize
    whole = n // nr * nr
    line = LINE_BYTES // C.data.itemsize
    for j in range(0, whole, nr):
        i = prefetched = 0
        while i < m:
            mr = even_height(m - i, _MR)
            upcoming = b_next + prefetched if b_next != NO_PREFETCH and prefetched < nr * k else NO_PREFETCH
            tile, factors = moved(C, i * C.row_stride + j), moved(A, i * A.row_stride)
            start = moved(S, i * S.row_stride + j)
            gemm_micro_kernel(mr, k, alpha, tile, start, factors, moved(B, j), upcoming)
            i += mr
            prefetched += line * k
    for j in range(whole, n, lanes):
        i = 0
        while i < m:
            mr = even_height(m - i, _MR_NARROW)
            tile, factors = moved(C, i * C.row_stride + j), moved(A, i * A.row_stride)
            start = moved(S, i * S.row_stride + j)
            gemm_micro_kernel_narrow(mr, min(lanes, n - j), k, alpha, tile, start, factors, moved(B, j))
            i += mr


@inner
def mc_for(depth, buffer):
    """So many rows of a matrix, each of `depth` numbers, stay in the second-level cache: whole tiles of them."""
    return max(1, _MC_BYTES // buffer.itemsize // depth // _MR[0]) * _MR[0]


@routine(component=SAMPLE_ROWS)
def gemm_gathered(m, n, k, alpha, C, A, B):
    """C[i, j] += alpha sum_p A[i, p] B[p, j], for i < m, j < n, p < k, where B is `Rows`.

    C and A are `Matrix`es; the rows of C are contiguous.
    """
    lanes = VECTOR_BYTES // C.data.itemsize
    for j in range(0, n, lanes):
        i = 0
        while i < m:
            mr = even_height(m - i, _MR_NARROW)
            tile, factors = moved(C, i * C.row_stride + j), moved(A, i * A.row_stride)
            some = Rows(B.data, B.offset + j, B.row_stride, B.index)
            gemm_micro_kernel_narrow(mr, min(lanes, n - j), k, alpha, tile, tile, factors, some)
            i += mr
