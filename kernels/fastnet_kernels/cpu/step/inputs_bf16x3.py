"""Panels packed as bf16x3, which AMX multiplies: of samples, read where they lie, and of activations A."""

from ...codes import A_OFFSET, AMX, N_IN
from ..codegen.arrays import reinterpret
from ..codegen.compiling import inner, routine
from ..codegen.matrix import Rows, unscaled
from ..codegen.processor import LINE_BYTES, TARGET
from ..codegen.simd import prefetch
from ..gemm.amx import TILE_ROWS
from ..gemm.bf16x3 import bf16x3_pairs, bf16x3_samples
from ..gemm.gemm_bf16x3 import STEP, panel_offset, tile_of
from .inputs import rescale_of
from .workspace import offset_of

_AHEAD = TARGET.prefetched_samples


@inner
def _pack(plan, packed, t, source, rows, first, first_feature, n_features):
    """The bf16x3, from t on, of a panel (n_features, 32): the samples rows[first], ... of X (m, n_0) in `source`."""
    n, rescale = plan.layers[0, N_IN], rescale_of(plan, packed)
    for i in range(0, STEP, TILE_ROWS):
        for k in range(0, n_features, STEP):
            for ahead in range(first + i + TILE_ROWS, first + i + 2 * TILE_ROWS):
                for line in range(0, STEP, LINE_BYTES // source.itemsize):
                    prefetch(source, rows[ahead] * n + first_feature + k + line)
            some, width = Rows(source, first_feature + k, n, rows), min(STEP, n_features - k)
            bf16x3_samples(packed, tile_of(t, k, i), some, first + i, width, rescale)


@routine(component=AMX)
def pack_inputs_bf16x3(job, packed, first_block, last_block, first_feature, n_features):
    """The bf16x3 of some blocks' panels of some features, a feature a row."""
    plan = job.plan
    for p, block in enumerate(range(first_block, last_block)):
        offset = panel_offset(p)
        if job.are_bytes:
            _pack(plan, packed, offset, job.samples, job.rows, block * STEP, first_feature, n_features)
        else:
            numbers = reinterpret(job.samples, packed)
            _pack(plan, packed, offset, numbers, job.rows, block * STEP, first_feature, n_features)


@inner
def _gather(plan, packed, source, rows, first, count, first_column, last_column):
    """The bf16x3 of panels (count, 32) of some columns of the samples rows[first], ... of X (m, n_0) in `source`."""
    n, rescale = plan.layers[0, N_IN], rescale_of(plan, packed)
    for k in range(0, count, STEP):
        for i in range(TILE_ROWS):
            row, second = rows[first + k + i] * n, rows[first + k + i + TILE_ROWS] * n
            upcoming = first + k + (i + _AHEAD) // TILE_ROWS * STEP + (i + _AHEAD) % TILE_ROWS
            for column in range(first_column, last_column, LINE_BYTES // source.itemsize):
                prefetch(source, rows[upcoming] * n + column)
                prefetch(source, rows[upcoming + TILE_ROWS] * n + column)
            for column in range(first_column, last_column, TILE_ROWS):
                c, left = column - first_column, min(TILE_ROWS, last_column - column)
                target = tile_of(panel_offset(c // STEP), k, c % STEP) + i * TILE_ROWS
                if left == TILE_ROWS:
                    bf16x3_pairs(packed, target, source, row + column, second + column, None, None, rescale)
                else:
                    bf16x3_pairs(packed, target, source, row + column, second + column, left, left, rescale)


@routine(component=AMX)
def gather_inputs_bf16x3(job, packed, first, count, first_column, last_column):
    """The bf16x3 of panels of some columns, of `count` samples, a sample a row; the last one is repeated."""
    if job.are_bytes:
        _gather(job.plan, packed, job.samples, job.rows, first, count, first_column, last_column)
    else:
        numbers = reinterpret(job.samples, packed)
        _gather(job.plan, packed, numbers, job.rows, first, count, first_column, last_column)


@routine(component=AMX)
def pack_activations_bf16x3(job, packed, l, first, count, first_column, last_column):
    """The bf16x3 of panels of some columns of layer l's A, of `count` samples from a block's first one on."""
    plan, as_it_is = job.plan, unscaled(packed)
    for column in range(first_column, last_column, TILE_ROWS):
        c = column - first_column
        for k in range(0, count, STEP):
            target, a = (
                tile_of(panel_offset(c // STEP), k, c % STEP),
                offset_of(plan, l, A_OFFSET, (first + k) // STEP),
            )
            bf16x3_samples(packed, target, Rows(job.workspace, a, STEP, plan.iota), column, STEP, as_it_is)
