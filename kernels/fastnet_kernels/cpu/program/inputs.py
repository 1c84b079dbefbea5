"""Samples as the program wants them: whole rows, turned into panels, or some columns of them gathered as panels.

`job.samples` are bytes: uint8 numbers if `are_bytes`, else of the dtype of everything. They are read
as scale * x + shift.
"""

from ...codes import BYTES, N_IN, PACKED_CACHED, SAMPLE_ROWS
from ..codegen.arrays import reinterpret, vector
from ..codegen.compiling import inner, routine
from ..codegen.processor import LINE_BYTES, PANEL_BYTES, TARGET, VECTOR_BYTES
from ..codegen.simd import prefetch
from ..gemm.load_convert import read_vectors, transpose

_AHEAD = TARGET.prefetched_samples


@inner
def find_rows(job, first):
    """The samples of the block that begins at `first`; a place beyond the mini-batch repeats its last sample."""
    if job.again:  # they are those of the step before
        return
    rows, order, start, last = job.rows, job.order, job.start, job.m - 1
    for i in range(first, first + job.plan.block_rows):
        offset = start + min(i, last)
        rows[i] = order[offset] if order.size else offset


@inner
def lie_ready(job):
    """Whether samples can be used where they are."""
    return not job.are_bytes and job.plan.scale == 1 and job.plan.shift == 0


@inner
def are_copied(job):
    """Whether samples one by one are copied first: to be scaled, or since many units read them."""
    return job.plan.inputs == PACKED_CACHED or not lie_ready(job)


@inner
def unpacked_inputs(job):
    """Samples one by one: their buffer, where it begins, and the rows of it."""
    if are_copied(job):
        return job.workspace, job.plan.X, job.plan.iota
    return reinterpret(job.samples, job.workspace), 0, job.rows


@inner
def _read(row, given, scale, shift):
    lanes = VECTOR_BYTES // row.itemsize
    whole = row.size // lanes * lanes
    for k in range(0, whole, lanes):
        read_vectors(1, row, k, given, k, scale, shift)
    for k in range(whole, row.size):
        row[k] = scale * given[k] + shift


@routine(component=SAMPLE_ROWS)
def read_rows(job, target, t, first, count, first_feature, n_features):
    """target[t:] = some features of `count` samples, one sample after the other."""
    plan, rows, samples = job.plan, job.rows, job.samples
    n, scale, shift = plan.layers[0, N_IN], target.dtype.type(plan.scale), target.dtype.type(plan.shift)
    numbers = reinterpret(samples, target)
    for i in range(count):
        row, offset = vector(target, t + i * n_features, n_features), rows[first + i] * n + first_feature
        if job.are_bytes:
            _read(row, vector(samples, offset, n_features), scale, shift)
        else:
            _read(row, vector(numbers, offset, n_features), scale, shift)


@inner
def _pack(plan, target, t, t_row, source, rows, first, count, first_feature, n_features):
    lanes, n = VECTOR_BYTES // target.itemsize, plan.layers[0, N_IN]
    scale, shift = target.dtype.type(plan.scale), target.dtype.type(plan.shift)
    for i in range(0, count, lanes):
        for k in range(0, n_features, lanes):
            transpose(
                target, t + k * t_row + i, t_row, source, first_feature + k, rows, first + i, n,
                min(lanes, n_features - k), scale, shift,
            )  # fmt: skip


@routine(component=BYTES)
def _pack_bytes(job, target, t, t_row, first, count, first_feature, n_features):
    _pack(job.plan, target, t, t_row, job.samples, job.rows, first, count, first_feature, n_features)


@routine
def pack_inputs(job, target, t, t_row, first, count, first_feature, n_features):
    """target[t + k t_row + i] = feature first_feature + k of sample i, for `count` samples: a multiple of the lanes."""
    if job.are_bytes:
        _pack_bytes(job, target, t, t_row, first, count, first_feature, n_features)
    else:
        numbers = reinterpret(job.samples, target)
        _pack(job.plan, target, t, t_row, numbers, job.rows, first, count, first_feature, n_features)


@inner
def _gather(plan, target, t_first, source, rows, first, count, first_column, last_column, panel_stride):
    panel, n = PANEL_BYTES // target.itemsize, plan.layers[0, N_IN]
    scale, shift = target.dtype.type(plan.scale), target.dtype.type(plan.shift)
    for i in range(count):
        t, ahead = t_first + i * panel, rows[first + i + _AHEAD] * n
        for column in range(first_column, last_column, LINE_BYTES // source.itemsize):
            prefetch(source, ahead + column)
        for column in range(first_column, last_column, panel):
            offset = rows[first + i] * n + column
            if offset + panel <= source.size:
                read_vectors(2, target, t, source, offset, scale, shift)
            else:
                given, taken = vector(source, offset, last_column - column), vector(target, t, last_column - column)
                for c in range(taken.size):
                    taken[c] = scale * given[c] + shift
            t += panel_stride


@routine(component=BYTES)
def _gather_bytes(job, target, t, first, count, first_column, last_column, panel_stride):
    _gather(job.plan, target, t, job.samples, job.rows, first, count, first_column, last_column, panel_stride)


@routine
def gather_inputs(job, target, t, first, count, first_column, last_column, panel_stride):
    """Columns of `count` samples as panels, `panel_stride` apart, from t on. What is beyond the last means nothing."""
    if job.are_bytes:
        _gather_bytes(job, target, t, first, count, first_column, last_column, panel_stride)
    else:
        numbers = reinterpret(job.samples, target)
        _gather(job.plan, target, t, numbers, job.rows, first, count, first_column, last_column, panel_stride)
