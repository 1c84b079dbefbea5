"""Samples on their way into a dense layer: as rows, packed with a feature a row, or gathered with a sample a row.

`job.samples` are bytes: uint8 numbers if `are_bytes`, else of the program's dtype. They are read as scale * x + shift.
What AMX multiplies is in `inputs_bf16x3`.
"""

from ...codes import BYTES, N_IN, ROWS_COPIED, SAMPLE_ROWS
from ..codegen.arrays import reinterpret, vector
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Rescale, Rows, moved
from ..codegen.processor import LINE_BYTES, PANEL_BYTES, TARGET, VECTOR_BYTES
from ..codegen.simd import prefetch
from ..gemm.load_convert import read_vectors, transpose

_AHEAD = TARGET.prefetched_samples


@inner
def find_rows(job, first):
    """rows[i] = the sample of row i, for the block that begins at `first`; behind the mini-batch its last one."""
    if job.again:  # they are those of the step before
        return
    rows, order, start, last = job.rows, job.order, job.start, job.m - 1
    for i in range(first, first + job.plan.block_rows):
        offset = start + min(i, last)
        rows[i] = order[offset] if order.size else offset


@inner
def rescale_of(plan, buffer):
    """How the plan reads samples, as numbers of the dtype of `buffer`."""
    return Rescale(buffer.dtype.type(plan.scale), buffer.dtype.type(plan.shift))


@inner
def lie_ready(job):
    """Whether samples are used where they lie, neither converted nor scaled."""
    return not job.are_bytes and job.plan.scale == 1 and job.plan.shift == 0


@inner
def are_copied(job):
    """Whether rows of samples are copied first: to be scaled, or since many units read them."""
    return job.plan.inputs == ROWS_COPIED or not lie_ready(job)


@inner
def unpacked_inputs(job):
    """Samples as rows: their buffer, the offset of its first row, and the index of each sample's row."""
    if are_copied(job):
        return job.workspace, job.plan.X, job.plan.iota
    return reinterpret(job.samples, job.workspace), 0, job.rows


@inner
def _read(row, given, rescale):
    """row[k] = scale * given[k] + shift, both (n,)."""
    lanes = VECTOR_BYTES // row.itemsize
    whole = row.size // lanes * lanes
    for k in range(0, whole, lanes):
        read_vectors(1, row, k, given, k, rescale)
    for k in range(whole, row.size):
        row[k] = rescale.scale * given[k] + rescale.shift


@routine(component=SAMPLE_ROWS)
def read_rows(job, target, first, count, first_feature, n_features):
    """target[i n_features + k] = feature first_feature + k of sample first + i, for i < count, k < n_features.

    `target` is a vector, and becomes `count` rows one after the other.
    """
    plan, rows, samples = job.plan, job.rows, job.samples
    n, rescale = plan.layers[0, N_IN], rescale_of(plan, target)
    numbers = reinterpret(samples, target)
    for i in range(count):
        row, offset = vector(target, i * n_features, n_features), rows[first + i] * n + first_feature
        if job.are_bytes:
            _read(row, vector(samples, offset, n_features), rescale)
        else:
            _read(row, vector(numbers, offset, n_features), rescale)


@inner
def _pack(plan, target, source, rows, first, count, first_feature, n_features):
    """target[k, i] = feature first_feature + k of the sample rows[first + i], from X (m, n_0) in the buffer `source`.

    Squares of a vector's side at a time, which are transposed in registers.
    """
    lanes, rescale = VECTOR_BYTES // target.data.itemsize, rescale_of(plan, target.data)
    for i in range(0, count, lanes):
        for k in range(0, n_features, lanes):
            some = Rows(source, first_feature + k, plan.layers[0, N_IN], rows)
            transpose(moved(target, k * target.row_stride + i), some, first + i, min(lanes, n_features - k), rescale)


@routine(component=BYTES)
def _pack_bytes(job, target, first, count, first_feature, n_features):
    _pack(job.plan, target, job.samples, job.rows, first, count, first_feature, n_features)


@routine
def pack_inputs(job, target, first, count, first_feature, n_features):
    """target[k, i] = feature first_feature + k of sample first + i, for k < n_features, i < count.

    `target` is a `Matrix` of contiguous rows, a feature each; the count is a multiple of a vector's lanes.
    """
    if job.are_bytes:
        _pack_bytes(job, target, first, count, first_feature, n_features)
    else:
        numbers = reinterpret(job.samples, target.data)
        _pack(job.plan, target, numbers, job.rows, first, count, first_feature, n_features)


@inner
def _gather(plan, target, source, rows, first, count, first_column, last_column):
    """Panels of columns of the samples rows[first], ..., rows[first + count - 1], from X (m, n_0) in `source`.

    The last panel is read beyond the last column, as far as the buffer goes: whole vectors are the fastest.
    """
    panel_width, n = PANEL_BYTES // target.data.itemsize, plan.layers[0, N_IN]
    rescale = rescale_of(plan, target.data)
    for i in range(count):
        t, ahead = target.offset + i * panel_width, rows[first + i + _AHEAD] * n
        for column in range(first_column, last_column, LINE_BYTES // source.itemsize):
            prefetch(source, ahead + column)
        for column in range(first_column, last_column, panel_width):
            offset = rows[first + i] * n + column
            if offset + panel_width <= source.size:
                read_vectors(2, target.data, t, source, offset, rescale)
            else:
                given, taken = (
                    vector(source, offset, last_column - column),
                    vector(target.data, t, last_column - column),
                )
                for c in range(taken.size):
                    taken[c] = rescale.scale * given[c] + rescale.shift
            t += target.panel_stride


@routine(component=BYTES)
def _gather_bytes(job, target, first, count, first_column, last_column):
    _gather(job.plan, target, job.samples, job.rows, first, count, first_column, last_column)


@routine
def gather_inputs(job, target, first, count, first_column, last_column):
    """Some columns of `count` samples as panels, a sample a row. What stands beyond the last column means nothing.

    `target` is `Panels` without gaps between rows.
    """
    if job.are_bytes:
        _gather_bytes(job, target, first, count, first_column, last_column)
    else:
        numbers = reinterpret(job.samples, target.data)
        _gather(job.plan, target, numbers, job.rows, first, count, first_column, last_column)
