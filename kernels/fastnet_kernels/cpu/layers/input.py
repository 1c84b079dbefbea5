"""Samples as activations, A = X, for a network whose first layer does not read them by itself."""

from ...codes import A_OFFSET, INPUT, N_OUT
from ..codegen.arrays import vector
from ..codegen.compiling import inner, routine
from ..step.inputs import pack_inputs
from ..step.workspace import offset_of, units_of


@inner
def _find_masked(job, block):
    """The mask of a block: 1 for each step and sample all of whose numbers are `masked`, and 0 for the others."""
    plan, workspace, size, steps = job.plan, job.workspace, job.plan.block_rows, job.plan.masked_steps
    n, masked, x = (
        plan.layers[0, N_OUT] // steps,
        workspace.dtype.type(plan.masked),
        offset_of(plan, 0, A_OFFSET, block),
    )
    for t in range(steps):
        mask = vector(workspace, plan.mask + (block * steps + t) * size, size)
        for i in range(size):
            mask[i] = 1
        for j in range(n):
            numbers = vector(workspace, x + (t * n + j) * size, size)
            for i in range(size):
                mask[i] = mask[i] if numbers[i] == masked else 0


@routine(component=INPUT)
def forward(job, first_block, last_block):
    """A (n, block_rows) of some blocks: their samples, scaled, a feature a row; and which steps are left out."""
    size, n = job.plan.block_rows, job.plan.layers[0, N_OUT]
    for block in range(first_block, last_block):
        pack_inputs(job, units_of(job, 0, A_OFFSET, block), block * size, size, 0, n)
        if job.plan.masked_steps:
            _find_masked(job, block)
