"""C = A B + bias for matrices of any size and strides, on all threads: the product of the public kernels.

Some columns and a piece of the depth at a time, B is packed in panels and A, where that pays, in tiles: once for all
threads. Then each task multiplies a block of A's rows, which stays in its second-level cache, with some panels, by
`gemm` or AMX. Where little is to be computed nothing is packed: dot products of rows, or rows of B as they lie.

The bits depend on shapes and strides only, not on the number of threads.
"""

import ctypes

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..codegen.arrays import vector
from ..codegen.compiling import global_variable, inner, routine
from ..codegen.loops import copy_strided
from ..codegen.matrix import Matrix, Panels, Rows, part, row_of, transposed
from ..codegen.processor import PANEL_BYTES, TARGET, VECTOR_BYTES
from ..codegen.scratch import give_back, numbers_in, take
from ..codegen.tasks import run_tasks
from ..partition import bounds, n_blocks
from .amx import may_be_used
from .dot_and_gemv import gemm_dot
from .gemm_bf16x3 import gemm_amx
from .macro_kernel import gemm
from .micro_kernels import NO_PREFETCH
from .pack_tiles import pack_tile, step_of

_MR = TARGET.mr[0]
_DEPTH = TARGET.product_depth
_COLUMNS_BYTES = TARGET.product_columns_bytes
_ROWS_BYTES = TARGET.product_rows_bytes
_MC_BYTES = TARGET.mc_bytes // 2  # beside the panel that is read
_OPERATIONS = TARGET.min_parallel_flops
_TASKS = 4 * TARGET.balanced_threads
_IOTA = np.arange(64)
_AMX_EXTENT, _AMX_SCRATCH = TARGET.min_amx_extent, TARGET.amx_scratch
_MEETING_BYTES = 1024  # between rows that meet in a few places of the first-level cache
_CACHED_BYTES = TARGET.l2_bytes // 2
_SHALLOW = 8  # the depth up to which panels would cost as much as the product

_uses_amx = ctypes.c_int64(may_be_used())
llvmlite.binding.add_symbol("fastnet_kernels.uses_amx", ctypes.addressof(_uses_amx))


@intrinsic
def _has_amx(typing_context):
    """Whether this process may use AMX, which compiled code that is kept on disk cannot know."""

    def generate(context, builder, signature, arguments):
        name, index = "fastnet_kernels.uses_amx", ir.IntType(64)
        variable = global_variable(builder.module, index, name)
        return builder.icmp_signed("!=", builder.load(variable), index(0))

    return types.boolean(), generate


@inner
def _start(m, n, C, bias):
    """C = bias, both `Matrix`es; rows of C are contiguous."""
    for i in range(m):
        row, first = row_of(C, i, 0, n), bias.offset + i * bias.row_stride
        if bias.column_stride == 1:
            given = vector(bias.data, first, n)
            for j in range(n):
                row[j] = given[j]
        else:
            copy_strided(row, 0, 1, bias.data, first, bias.column_stride, n)


@routine
def _dot_task(task, m, n, k, rows, columns, C, A, B, bias):
    """Dot products of rows of A and columns of B, both contiguous."""
    blocks = n_blocks(n, columns)
    (i, i_end), (j, j_end) = bounds(task // blocks, m, rows), bounds(task % blocks, n, columns)
    target = part(C, i, j)
    _start(i_end - i, j_end - j, target, part(bias, i, j))
    a, one = Rows(A.data, A.offset + i * A.row_stride, A.row_stride, _IOTA), C.data.dtype.type(1)
    gemm_dot(i_end - i, j_end - j, k, one, target, a, transposed(part(B, 0, j)))


@routine
def _unpacked_task(task, m, n, k, rows, columns, C, A, B, bias):
    """A product of which nothing is packed; rows of B and C are contiguous."""
    blocks = n_blocks(n, columns)
    (i, i_end), (j, j_end) = bounds(task // blocks, m, rows), bounds(task % blocks, n, columns)
    target, start, one = part(C, i, j), part(bias, i, j), C.data.dtype.type(1)
    if bias.column_stride == 1:
        gemm(i_end - i, j_end - j, k, one, target, start, part(A, i, 0), part(B, 0, j), NO_PREFETCH)
    else:
        _start(i_end - i, j_end - j, target, start)
        gemm(i_end - i, j_end - j, k, one, target, target, part(A, i, 0), part(B, 0, j), NO_PREFETCH)


@routine
def _pack_task(task, count, size, height, depth, packed, M):
    """Some tiles of a matrix; `size` is from tile to tile."""
    first, last = bounds(task, n_blocks(count, height), 4)
    for tile in range(first, last):
        some = part(M, tile * height, 0)
        pack_tile(packed, tile * size, height, some, min(height, count - tile * height), depth)


@routine
def pack_panels(n, k, is_shared, panels, B):
    """B (k, n), of any strides, as panels of two vectors of columns: `panels` has n numbers a row, rounded up to whole
    panels.
    """
    nr = PANEL_BYTES // panels.itemsize
    run_tasks(n_blocks(n, 4 * nr), is_shared, _pack_task, (n, k * nr, nr, k, panels, transposed(B)))


@routine
def multiply_panels(m, n, k, C, S, A, panels):
    """C = S + A B for B (k, n) in panels, on one thread; rows of C and S are contiguous, S may be C."""
    nr, one = PANEL_BYTES // panels.itemsize, panels.dtype.type(1)
    for column in range(0, n, nr):
        b, c, s = Matrix(panels, column * k, nr, 1), part(C, 0, column), part(S, 0, column)
        gemm(m, min(nr, n - column), k, one, c, s, A, b, NO_PREFETCH)


@routine
def _multiply_task(task, m, n, rows, columns, depth, is_first, C, A, panels, tiles, bias):
    """Some rows and columns of C += A B: B's panels, and A's tiles if there are some; else A is read as it lies."""
    nr, step, one = PANEL_BYTES // panels.itemsize, step_of(_MR, panels), panels.dtype.type(1)
    blocks = n_blocks(n, columns)
    (i, i_end), (j, j_end) = bounds(task // blocks, m, rows), bounds(task % blocks, n, columns)
    start = bias if is_first and bias.column_stride == 1 else C
    if is_first and bias.column_stride != 1:
        _start(i_end - i, j_end - j, part(C, i, j), part(bias, i, j))
    if tiles.size == 0:
        some = vector(panels, j * depth, panels.size - j * depth)
        multiply_panels(i_end - i, j_end - j, depth, part(C, i, j), part(start, i, j), part(A, i, 0), some)
        return
    for column in range(j, j_end, nr):
        b, some = Matrix(panels, column * depth, nr, 1), min(nr, j_end - column)
        for row in range(i, i_end, _MR):
            a = Matrix(tiles, row // _MR * depth * step, 1, step)
            c, s = part(C, row, column), part(start, row, column)
            gemm(min(_MR, i_end - row), some, depth, one, c, s, a, b, NO_PREFETCH)


@routine
def _amx_task(task, m, n, rows, columns, depth, is_first, C, A, panels, bias):
    """As `_multiply_task`, by AMX; A has contiguous rows or columns."""
    like, nr, blocks = C.data, PANEL_BYTES // C.data.itemsize, n_blocks(n, columns)
    (i, i_end), (j, j_end) = bounds(task // blocks, m, rows), bounds(task % blocks, n, columns)
    target = part(C, i, j)
    if is_first:
        _start(i_end - i, j_end - j, target, part(bias, i, j))
    piece = take(_AMX_SCRATCH * like.itemsize)
    scratch = numbers_in(piece, like, 0, _AMX_SCRATCH)
    c = Panels(target.data, target.offset, target.row_stride, nr)
    b = Panels(panels, j * depth, nr, depth * nr)
    gemm_amx(i_end - i, j_end - j, depth, like.dtype.type(1), c, part(A, i, 0), b, scratch)
    give_back(piece)


@inner
def _even(size, most, unit):
    """`size` in like pieces of whole units, of at most `most`."""
    pieces = n_blocks(size, max(unit, most))
    return max(1, n_blocks(n_blocks(size, pieces), unit)) * unit


@inner
def _blocks(m, n, depth, like):
    """Rows and columns of a task: rows that stay in cache, and so many tasks that threads have like shares."""
    nr = PANEL_BYTES // like.itemsize
    rows = _even(m, min(_MC_BYTES // (depth * like.itemsize), n_blocks(m, 2)), _MR)
    groups = min(n_blocks(n, nr), n_blocks(_TASKS, n_blocks(m, rows)))
    return rows, _even(n, n_blocks(n, groups), nr)


@inner
def _packs_a(m, n, A):
    """Whether A is packed: where it is read often, or lies so that its rows meet in the first-level cache."""
    nr, itemsize = PANEL_BYTES // A.data.itemsize, A.data.itemsize
    meets = A.row_stride != 1 and (A.column_stride != 1 or A.row_stride * itemsize % _MEETING_BYTES == 0)
    return m > 2 * _MR and (n >= 16 * nr or (meets and n >= 2 * nr))


@routine
def _packed_product(m, n, k, is_shared, C, A, B, bias):
    """C = A B + bias by packed panels of B; rows of C are contiguous."""
    like = C.data
    nr, step = PANEL_BYTES // like.itemsize, step_of(_MR, like)
    deep = _even(k, _DEPTH, 1)
    wide = _even(n, _COLUMNS_BYTES // (deep * like.itemsize), nr)
    high = _even(m, _ROWS_BYTES // (deep * like.itemsize), _MR)
    by_amx = like.itemsize == 4 and min(m, n, k) >= _AMX_EXTENT and (A.row_stride == 1 or A.column_stride == 1)
    by_amx = by_amx and _has_amx()
    tiled = high // _MR * step * deep if _packs_a(m, n, A) and not by_amx else 0
    piece = take((wide * deep + tiled) * like.itemsize)
    panels, tiles = numbers_in(piece, like, 0, wide * deep), numbers_in(piece, like, wide * deep, tiled)
    for j in range(0, n, wide):
        columns_here = min(wide, n - j)
        for p in range(0, k, deep):
            depth = min(deep, k - p)
            pack_panels(columns_here, depth, is_shared, panels, part(B, p, j))
            for i in range(0, m, high):
                rows_here = min(high, m - i)
                a, c, start = part(A, i, p), part(C, i, j), part(bias, i, j)
                if tiled > 0:
                    arguments = rows_here, depth * step, _MR, depth, tiles, a
                    run_tasks(n_blocks(rows_here, 4 * _MR), is_shared, _pack_task, arguments)
                rows, columns = _blocks(rows_here, columns_here, depth, like)
                count = n_blocks(rows_here, rows) * n_blocks(columns_here, columns)
                shares = rows_here, columns_here, rows, columns, depth, p == 0, c, a, panels
                if by_amx:
                    run_tasks(count, is_shared, _amx_task, (*shares, start))
                else:
                    run_tasks(count, is_shared, _multiply_task, (*shares, tiles, start))
    give_back(piece)


@inner
def _is_for_dots(m, n, k, A, B):
    """Whether dot products are faster than to transpose B into panels first, by the target's measured cycles."""
    lanes = VECTOR_BYTES // A.data.itemsize
    by_dots = m * n * (k / (2 * lanes) * TARGET.cycles_of_dot + TARGET.cycles_of_lanes)
    padded = n_blocks(n, lanes) * lanes
    by_panels = padded * k * (m / (2 * lanes) + TARGET.cycles_of_transpose / (lanes * lanes))
    return A.column_stride == 1 and B.row_stride == 1 and by_dots <= by_panels


@inner
def _reads_b_as_it_lies(m, n, k, B):
    """Whether B is not packed: where few rows use it, or it is shallow, or some rows do and it stays in cache."""
    fits = k * n * B.data.itemsize <= _CACHED_BYTES and B.row_stride * B.data.itemsize % _MEETING_BYTES != 0
    return B.column_stride == 1 and (m <= 4 * _MR or k <= _SHALLOW or (m <= 40 * _MR and fits))


@routine
def _product_by_rows(m, n, k, C, A, B, bias):
    """C = A B + bias, where rows of C are contiguous."""
    is_shared = m * n * k > _OPERATIONS
    if k == 0:
        _start(m, n, C, bias)
    elif _is_for_dots(m, n, k, A, B):
        rows, columns = min(m, _IOTA.size), _even(n, n_blocks(n, _TASKS) if is_shared else n, 1)
        count = n_blocks(m, rows) * n_blocks(n, columns)
        run_tasks(count, is_shared, _dot_task, (m, n, k, rows, columns, C, A, B, bias))
    elif _reads_b_as_it_lies(m, n, k, B):
        nr = PANEL_BYTES // C.data.itemsize
        columns = _even(n, n_blocks(n, _TASKS) if is_shared else n, nr)
        run_tasks(n_blocks(n, columns), is_shared, _unpacked_task, (m, n, k, m, columns, C, A, B, bias))
    else:
        _packed_product(m, n, k, is_shared, C, A, B, bias)


@routine
def product(m, n, k, C, A, B, bias):
    """C[i, j] = sum_p A[i, p] B[p, j] + bias[i, j], for i < m, j < n, p < k.

    All are `Matrix`es of any strides; those of the bias are 0 where one number is for all rows or columns.
    """
    if m == 0 or n == 0:
        return
    if C.column_stride == 1:
        _product_by_rows(m, n, k, C, A, B, bias)
    elif C.row_stride == 1:
        _product_by_rows(n, m, k, transposed(C), transposed(B), transposed(A), transposed(bias))
    else:
        piece = take(m * n * C.data.itemsize)
        numbers = numbers_in(piece, C.data, 0, m * n)
        _product_by_rows(m, n, k, Matrix(numbers, 0, n, 1), A, B, bias)
        for i in range(m):
            copy_strided(C.data, C.offset + i * C.row_stride, C.column_stride, numbers, i * n, 1, n)
        give_back(piece)
