"""Samples as activations, A = X, for a network whose first layer does not read them by itself."""

from ...codes import A_OFFSET, INPUT, N_OUT
from ..codegen.compiling import routine
from ..step.inputs import pack_inputs
from ..step.workspace import units_of


@routine(component=INPUT)
def forward(job, first_block, last_block):
    """A (n, block_rows) of some blocks: their samples, scaled, a feature a row."""
    size, n = job.plan.block_rows, job.plan.layers[0, N_OUT]
    for block in range(first_block, last_block):
        pack_inputs(job, units_of(job, 0, A_OFFSET, block), block * size, size, 0, n)
