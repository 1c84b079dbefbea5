"""The matrix products that every layer is made of, cut into tiles, on the caller's thread.

The order of every sum depends on the shapes only, so that any split of the work among threads gives the same bits.
Arrays are seen as memory; offsets and strides are numbers of elements.
"""

from ..codes import BYTES, LARGE_W, SAMPLE_ROWS
from .blocks import n_blocks
from .compiling import inner, routine
from .machine import LINE_BYTES, MACHINE, PANEL_BYTES, VECTOR_BYTES, prefetch_far
from .reading import read_vectors
from .tiles import NO_PREFETCH, dot_micro_kernel, gemm_micro_kernel, gemm_micro_kernel_narrow
from .views import vector

_MR, _MR_NARROW = MACHINE.mr, MACHINE.mr_narrow
_DOT_MR, _DOT_NR = MACHINE.dot_mr, MACHINE.dot_nr
_A_BYTES = 1 << 19  # of the matrix that is read number by number: it stays in the second-level cache
_COLUMNS = 1024  # of gemv_t: of the target and four rows they stay in the first-level cache
DOTS_AT_ONCE = _DOT_NR[0]  # of rows of B, for which a row of A is read once
_PREFETCH_CHUNK = 128  # numbers of a row at a time


@inner
def panel_width(buffer):
    """Width of a panel, which is two vectors, in numbers."""
    return PANEL_BYTES // buffer.itemsize


@inner
def _even_height(left, heights):
    """Height of the next tile: tiles of like height, since a low one does not keep the units busy."""
    wanted = n_blocks(left, n_blocks(left, heights[0]))
    height = 1
    for size in heights:
        if size <= left and (size >= wanted or height == 1):
            height = size
    return height


@inner
def _largest(sizes, limit):
    """The largest of the falling `sizes` that is at most `limit`."""
    for size in sizes:
        if size <= limit:
            return size
    return 1


@routine
def gemm(rows, columns, alpha, C, c, c_row, A, a, a_row, a_k, B, b, b_k, depth, b_next):
    """C[c + r c_row + v] += alpha sum_k A[a + r a_row + k a_k] B[b + k b_k + v].

    For r < rows, v < columns, k < depth. At b_next, as seen from B, lies what is read after this panel and is as large,
    if it is to be asked for early, from beyond the second-level cache; or NO_PREFETCH.
    """
    panel, lanes = PANEL_BYTES // C.itemsize, VECTOR_BYTES // C.itemsize
    whole = columns // panel * panel
    line = LINE_BYTES // C.itemsize
    for v in range(0, whole, panel):
        row = prefetched = 0
        while row < rows:
            height = _even_height(rows - row, _MR)
            upcoming = b_next + prefetched if b_next != NO_PREFETCH and prefetched < panel * depth else NO_PREFETCH
            gemm_micro_kernel(
                height, alpha, C, c + row * c_row + v, c_row, A, a + row * a_row, a_row, a_k, B, b + v, b_k, depth,
                upcoming,
            )  # fmt: skip
            row += height
            prefetched += line * depth
    for v in range(whole, columns, lanes):
        row = 0
        while row < rows:
            height = _even_height(rows - row, _MR_NARROW)
            gemm_micro_kernel_narrow(
                height, min(lanes, columns - v), alpha, C, c + row * c_row + v, c_row, A, a + row * a_row, a_row, a_k,
                B, b + v, b_k, None, depth,
            )  # fmt: skip
            row += height


@inner
def mc_for(depth, buffer):
    """So many rows of a matrix, each of `depth` numbers, stay in the second-level cache: whole tiles of them."""
    return max(1, _A_BYTES // buffer.itemsize // depth // _MR[0]) * _MR[0]


@inner
def packed_mr(columns, buffer):
    """How many rows of a matrix are packed together, for products of so many columns: those of the highest tile."""
    return _MR[0] if columns > VECTOR_BYTES // buffer.itemsize else _MR_NARROW[0]


@inner
def _packed_strides(height, depth, buffer):
    """Of a packed matrix: from step to step of k, and from tile to tile (a step more, for the cache)."""
    lanes = VECTOR_BYTES // buffer.itemsize
    step = n_blocks(height, lanes) * lanes
    return step, (depth + 1) * step


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


@routine(component=SAMPLE_ROWS)
def gemm_gathered(rows, columns, alpha, C, c, c_row, A, a, a_row, a_k, B, b, b_k, index, depth):
    """`gemm` for rows of B that lie anywhere: the numbers of row k are B[b + index[k] b_k + v]."""
    lanes = VECTOR_BYTES // C.itemsize
    for v in range(0, columns, lanes):
        row = 0
        while row < rows:
            height = _even_height(rows - row, _MR_NARROW)
            gemm_micro_kernel_narrow(
                height, min(lanes, columns - v), alpha, C, c + row * c_row + v, c_row, A, a + row * a_row, a_row, a_k,
                B, b + v, b_k, index, depth,
            )  # fmt: skip
            row += height


@inner
def _gemm_dot(m, n, alpha, C, c, c_row, c_column, A, a, a_row, index, B, b, b_row, n_k, scale, shift):
    j = 0
    while j < n:
        width = _largest(_DOT_NR, n - j)
        i = 0
        while i < m:
            height = _largest(_DOT_MR, m - i)
            dot_micro_kernel(
                height, width, alpha, C, c + i * c_row + j * c_column, c_row, c_column, A, a, a_row,
                vector(index, i, height), B, b + j * b_row, b_row, n_k, scale, shift,
            )  # fmt: skip
            i += height
        j += width


@routine
def gemm_dot(m, n, alpha, C, c, c_row, c_column, A, a, a_row, index, B, b, b_row, n_k):
    """C[c + i c_row + j c_column] += alpha sum_k A[a + index[i] a_row + k] B[b + j b_row + k].

    For i < m, j < n, k < n_k.
    """
    _gemm_dot(m, n, alpha, C, c, c_row, c_column, A, a, a_row, index, B, b, b_row, n_k, None, None)


@routine(component=BYTES)
def gemm_dot_bytes(m, n, C, c, c_row, c_column, A, a, a_row, index, B, b, b_row, n_k, scale, shift):
    """The same, alpha 1, for A = scale times bytes + shift, which are read again for every few rows of B."""
    _gemm_dot(m, n, C.dtype.type(1), C, c, c_row, c_column, A, a, a_row, index, B, b, b_row, n_k, scale, shift)


@inner
def _add_four(changed, p, a, q, b, r, c, u, d):
    for k in range(changed.size):
        changed[k] += p * a[k] + q * b[k] + r * c[k] + u * d[k]


@inner
def _prefetch_row(source, offset, count):
    for k in range(0, count, LINE_BYTES // source.itemsize):
        prefetch_far(source, offset + k)


@inner
def _gemv_t(target, t, size, alpha, factors, f, f_step, count, source, s, s_row, index, ahead):
    for first in range(0, size, _COLUMNS):
        changed = vector(target, t + first, min(_COLUMNS, size - first))
        i = 0
        while i + 4 <= count:
            p, q = alpha * factors[f + i * f_step], alpha * factors[f + (i + 1) * f_step]
            r, u = alpha * factors[f + (i + 2) * f_step], alpha * factors[f + (i + 3) * f_step]
            a = vector(source, s + first + index[i] * s_row, changed.size)
            b = vector(source, s + first + index[i + 1] * s_row, changed.size)
            c = vector(source, s + first + index[i + 2] * s_row, changed.size)
            d = vector(source, s + first + index[i + 3] * s_row, changed.size)
            if ahead > 0:
                upcoming, later = s + first + index[i + ahead] * s_row, s + first + index[i + ahead + 1] * s_row
                for k in range(0, changed.size, _PREFETCH_CHUNK):
                    n = min(_PREFETCH_CHUNK, changed.size - k)
                    _prefetch_row(source, upcoming + k, n)
                    _prefetch_row(source, later + k, n)
                    _add_four(
                        vector(changed, k, n), p, vector(a, k, n), q, vector(b, k, n), r, vector(c, k, n), u,
                        vector(d, k, n),
                    )  # fmt: skip
            else:
                _add_four(changed, p, a, q, b, r, c, u, d)
            i += 4
        while i < count:
            p = alpha * factors[f + i * f_step]
            a = vector(source, s + first + index[i] * s_row, changed.size)
            for k in range(changed.size):
                changed[k] += p * a[k]
            i += 1


@routine(component=SAMPLE_ROWS)
def gemv_t(target, t, size, alpha, factors, f, f_step, count, source, s, s_row, index, ahead):
    """target[t + k] += alpha sum_i factors[f + i f_step] source[s + index[i] s_row + k], for i < count, k < size.

    With `ahead` above 0, every other pair of the rows index[ahead], index[ahead + 1], ... is asked for: memory has
    nothing else to do if these rows are in cache. The pairs between them come when those are multiplied.
    """
    _gemv_t(target, t, size, alpha, factors, f, f_step, count, source, s, s_row, index, ahead)


@routine(component=BYTES)
def gemv_t_bytes(target, t, size, alpha, factors, f, f_step, count, source, s, s_row, index, ahead):
    """The same for a source of bytes."""
    _gemv_t(target, t, size, alpha, factors, f, f_step, count, source, s, s_row, index, ahead)
