"""Convolutions, three products each as dense layers have them: see `gemm.windows` for how they are read."""

from ...codes import CHANNELS, DZ_OFFSET, FORWARD, GROUPS, LARGE, LDW, W_OFFSET, WEIGHTS
from ..codegen.compiling import by_dtype, inner
from ..codegen.shared import integers_in_shared
from ..gemm.tasks import finish_tile, tile_of
from ..gemm.tiles import make_product
from ..gemm.windows import Windows, channels_of, of_windows, parts_of
from ..program.workspace import below, offset_of_activations
from ..target import LARGE_TILE, LARGE_TILE_OF_DOUBLES, SMALL_TILE

# Shared memory for the parts of addresses of one tile, for numbers of an array's dtype.
_parts_for = by_dtype(
    *(integers_in_shared(4 * max(parts_of(SMALL_TILE), parts_of(tile))) for tile in (LARGE_TILE, LARGE_TILE_OF_DOUBLES))
)

small_convolution = make_product(SMALL_TILE, of_windows)
large_convolution = by_dtype(make_product(LARGE_TILE, of_windows), make_product(LARGE_TILE_OF_DOUBLES, of_windows))


@inner
def _windows_of(job, role, l, group, parts):
    """The factors of a product of layer l, for one group."""
    row = job.layers[l]
    filters = group * (row[CHANNELS] // row[GROUPS])
    dZ, W = row[DZ_OFFSET] + filters, row[W_OFFSET] + filters * row[LDW]
    A_prev = offset_of_activations(job, below(job, l)) + group * (channels_of(row) // row[GROUPS])
    P, p, Q, q = job.workspace, A_prev if role == FORWARD else dZ, job.parameters, W
    if role == WEIGHTS:
        Q, q = job.workspace, A_prev
    return Windows(role, P, p, Q, q, job.layers, l, parts)


@inner
def convolve(job, role, l, tile, slices, partial, task, shared):
    """A task: one tile of a convolution's product, or of one slice of it."""
    at = tile_of(job, role, l, tile, slices, partial, task)
    factors = _windows_of(job, role, l, at.group, _parts_for(job.workspace))
    if tile == LARGE:
        large_convolution(at.C, at.c, at.c_row, factors, at.i0, at.m, at.j0, at.n, at.start, at.stop, shared)
    else:
        small_convolution(at.C, at.c, at.c_row, factors, at.i0, at.m, at.j0, at.n, at.start, at.stop, shared)
    finish_tile(job, role, l, tile, slices, at)
