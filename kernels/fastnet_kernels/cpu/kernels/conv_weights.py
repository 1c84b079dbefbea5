"""The weight gradient of convolutions of images as they lie: dW[o, tap, i] = sum dZ[pixel, o] A_prev[pixel of tap, i].

Filters are side by side in vectors, and the numbers of a row of the window are the rows of a tile, whose sum runs over
the pixels of some rows of an image. Two vectors of filters of dZ are packed in a panel for that; where windows reach
beyond the edge, A_prev is copied into a frame of zeros. A task sums some filters over a part of all rows; the parts are
added at the end.
"""

from typing import NamedTuple

from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..codegen.elements import added
from ..codegen.loops import copy_strided, map_numbers
from ..codegen.matrix import Matrix, moved
from ..codegen.processor import PANEL_BYTES, TARGET, VECTOR_BYTES
from ..codegen.scratch import give_back, numbers_in, take
from ..codegen.tasks import run_tasks
from ..gemm.conv_micro_kernels import MR, conv_micro_kernel
from ..gemm.macro_kernel import even_height
from ..partition import bounds, n_blocks, share
from .conv_direct import clear, copy_frame, frame_of, is_inside, sweep_forward

_TASKS = 4 * TARGET.balanced_threads
_CHUNK_BYTES = TARGET.conv_chunk_bytes
_OPERATIONS = TARGET.min_parallel_flops
_CACHED_BYTES = TARGET.l2_bytes // 2


class Chunk(NamedTuple):
    """What is summed at a time: some rows of pixels of an image, or all rows of some images."""

    images: int
    rows: int


@inner
def _chunk_of(y, x, channels):
    """So much that the numbers of A_prev and dZ stay in cache, counted in numbers of whatever dtype."""
    columns = (x.count - 1) * x.stride + (x.taps - 1) * x.gap + 1
    row = max(1, columns * channels * y.stride + x.count * 2 * VECTOR_BYTES // 4)
    rows = max(1, _CHUNK_BYTES // 8 // row)
    if rows >= y.count:
        return Chunk(rows // max(1, y.count), y.count)
    return Chunk(1, n_blocks(y.count, n_blocks(y.count, rows)))


@inner
def _runs_of(groups, k, x):
    """Of a row of the window: how many runs of contiguous numbers, how long, and how many rows of tiles each gets.

    An odd number of rows would leave a tile of one, which takes as long as one of four.
    """
    runs, run = (1, x.taps * k) if groups == 1 and x.gap == 1 else (x.taps, k)
    return runs, run, run + (run % 2 if run > 1 else 0)


@routine
def _pack_pixels(pixels, n, some, dZ, first, panel, p, db):
    """Of some pixels of dZ, n numbers each, from `first` on: `some` numbers, to `panel` from p on, and added to db."""
    nr = PANEL_BYTES // panel.itemsize
    for pixel in range(pixels):
        given, target = vector(dZ, first + pixel * n, some), vector(panel, p + pixel * nr, some)
        for v in range(some):
            target[v] = given[v]
            db[v] += given[v]


@routine
def _sum_taps(images, rows, groups, k, y, x, image, line, A, panel, some, G):
    """G += the sums over rows of pixels of some images, for all taps. A begins with what the first pixel meets.

    `image` is from image to image of A, `line` from row to row, and A's column stride from pixel to pixel.
    """
    nr, lanes, c = PANEL_BYTES // panel.itemsize, VECTOR_BYTES // panel.itemsize, A.column_stride // x.stride
    vectors, (runs, _, high) = 2 if some > lanes else 1, _runs_of(groups, k, x)
    across = x.count * nr
    for tap_y in range(y.taps):
        for tap_x in range(runs):
            a, g = tap_y * y.gap * line + tap_x * x.gap * c, (tap_y * runs + tap_x) * high
            i = 0
            while i < high:
                mr = even_height(high - i, MR)
                conv_micro_kernel(
                    mr, vectors, x.count, rows, y.stride * line, across, images, image, rows * across, lanes, lanes,
                    Matrix(G, (g + i) * nr, nr, 1), None, moved(A, a + i), Matrix(panel, 0, nr, 1),
                )  # fmt: skip
                i += mr


@inner
def _panels_together(panels, size, like):
    """How many panels of filters a task has, for which A_prev is framed once: so many as their sums stay in cache."""
    most = max(1, min(_CACHED_BYTES // max(1, size * like.itemsize), panels // 2))
    return n_blocks(panels, n_blocks(panels, most))


@routine
def _sum_panels(image, images, row, rows, first, last, parts, part, groups, y, x, step, line, A, dZ, panel, sums, db):
    """Some rows of some images, added to the sums of panels `first` to `last` - 1, for one part."""
    n, k = dZ.channels // groups, A.column_stride // x.stride // groups
    nr, (runs, _, high) = PANEL_BYTES // panel.itemsize, _runs_of(groups, k, x)
    size = y.taps * runs * high * nr
    for index in range(first, last):
        group, j = index // n_blocks(n, nr), index % n_blocks(n, nr) * nr
        some, place = min(nr, n - j), index * parts + part
        for i in range(images):
            pixel = ((image + i) * dZ.height + row) * dZ.width
            channel = pixel * dZ.channels + group * n + j
            of_db = vector(db, place * nr, nr)
            _pack_pixels(rows * x.count, dZ.channels, some, dZ.data, channel, panel, i * rows * x.count * nr, of_db)
        G = vector(sums, place * size, size)
        _sum_taps(images, rows, groups, k, y, x, step, line, moved(A, group * k), panel, some, G)


@routine
def _sum_task(task, m, parts, together, groups, y, x, A_prev, dZ, sums, db):
    """Some panels of filters, over a part of all pixels: of each panel there are `sums` and `db` for each part."""
    n, c, nr = dZ.channels // groups, A_prev.channels, PANEL_BYTES // db.itemsize
    runs, run, high = _runs_of(groups, c // groups, x)
    part, size = task % parts, y.taps * runs * high * nr
    first_panel, last_panel = bounds(task // parts, groups * n_blocks(n, nr), together)
    for index in range(first_panel, last_panel):
        clear(sums, (index * parts + part) * size, size)
        clear(db, (index * parts + part) * nr, nr)
    chunk = _chunk_of(y, x, c)
    bands, whole = n_blocks(y.count, chunk.rows), frame_of(y, x, 0, chunk.rows)
    first, last = share(part, parts, n_blocks(m, chunk.images) * bands)
    framed, packed = whole.rows * whole.columns * c, chunk.rows * x.count * nr
    piece = take((chunk.images * (framed + packed) + high) * db.itemsize)
    panel = numbers_in(piece, db, 0, chunk.images * packed)
    frames = numbers_in(piece, db, chunk.images * packed, chunk.images * framed + high)
    for index in range(first, last):
        image, last_image = bounds(index // bands, m, chunk.images)
        row, last_row = bounds(index % bands, y.count, chunk.rows)
        images, rows, frame = last_image - image, last_row - row, frame_of(y, x, row, last_row)
        if is_inside(frame, A_prev) and run == high:
            line = A_prev.width * c
            step = A_prev.height * line
            A = Matrix(A_prev.data, (image * A_prev.height + frame.y) * line + frame.x * c, 1, x.stride * c)
            _sum_panels(
                image, images, row, rows, first_panel, last_panel, parts, part, groups, y, x, step, line,
                A, dZ, panel, sums, db,
            )  # fmt: skip
        else:
            step = frame.rows * frame.columns * c
            for i in range(images):
                copy_frame(image + i, frame, A_prev, vector(frames, i * step, step))
            A = Matrix(frames, 0, 1, x.stride * c)
            _sum_panels(
                image, images, row, rows, first_panel, last_panel, parts, part, groups, y, x, step, frame.columns * c,
                A, dZ, panel, sums, db,
            )  # fmt: skip
    give_back(piece)


@routine
def _write_task(task, parts, groups, y, x, W, sums, all_db, db):
    """dW and db of some filters: the sum of all parts, turned so that a filter's numbers are side by side."""
    nr, (runs, run, high) = PANEL_BYTES // all_db.itemsize, _runs_of(groups, W.channels, x)
    size, panels = y.taps * runs * high * nr, n_blocks(W.count, nr)
    total, total_db = vector(sums, task * parts * size, size), vector(all_db, task * parts * nr, nr)
    for part in range(1, parts):
        more, more_db = vector(sums, (task * parts + part) * size, size), vector(all_db, (task * parts + part) * nr, nr)
        map_numbers(added, total, (total, more), ())
        for v in range(nr):
            total_db[v] += more_db[v]
    j, numbers = task % panels * nr, W.height * W.width * W.channels
    for v in range(min(nr, W.count - j)):
        o = task // panels * W.count + j + v
        db[o] = total_db[v]
        for r in range(y.taps * runs):
            copy_strided(W.data, o * numbers + r * run, 1, total, r * high * nr + v, nr, run)


@routine
def sum_weights(m, groups, y_axis, x_axis, A_prev, dZ, W, db):
    """dW and db from A_prev and dZ; `W` has dW."""
    y, x = sweep_forward(y_axis), sweep_forward(x_axis)
    nr, (runs, _, high) = PANEL_BYTES // db.itemsize, _runs_of(groups, W.channels, x)
    chunk, size = _chunk_of(y, x, A_prev.channels), y.taps * runs * high * nr
    panels, chunks = groups * n_blocks(W.count, nr), n_blocks(m, chunk.images) * n_blocks(y.count, chunk.rows)
    together = max(1, _panels_together(panels, size, db))
    sets = n_blocks(panels, together)
    parts = max(1, min(chunks, n_blocks(_TASKS, max(1, sets))))
    is_shared = m * y.count * x.count * dZ.channels * y.taps * x.taps * W.channels > _OPERATIONS
    piece = take(panels * parts * (size + nr) * db.itemsize)
    all_db = numbers_in(piece, db, 0, panels * parts * nr)
    sums = numbers_in(piece, db, panels * parts * nr, panels * parts * size)
    run_tasks(sets * parts, is_shared, _sum_task, (m, parts, together, groups, y, x, A_prev, dZ, sums, all_db))
    run_tasks(panels, is_shared, _write_task, (parts, groups, y, x, W, sums, all_db, db))
    give_back(piece)
