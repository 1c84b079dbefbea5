"""Residual blocks: what goes around a block is added to what comes out of it (He et al., 2016).

In the plan a block is three things around its own layers. SKIP, before them, has the same A as the layer below, but a
dZ of its own, since more than one layer gives a share of that layer's dA. What changes the shape of what goes around, a
layer like any other, follows SKIP. ADD, behind the block's layers, adds the two. Layers are in the plan before all that
read them; the last of these, a block's first own layer, is the first on the way back and writes dA, to which SKIP adds.
"""

from ...codes import A_OFFSET, ADD, DZ_OFFSET, OTHER, SKIP
from ..codegen.compiling import routine
from ..codegen.elements import added, same
from ..codegen.loops import map_numbers
from ..step.workspace import below, numbers_of


@routine(component=ADD)
def forward(job, l, first_block, last_block):
    """Z of each block: the sum of two layers' A."""
    for block in range(first_block, last_block):
        a, b = (
            numbers_of(job, below(job, l), A_OFFSET, block),
            numbers_of(job, job.plan.layers[l, OTHER], A_OFFSET, block),
        )
        map_numbers(added, numbers_of(job, l, A_OFFSET, block), (a, b), ())


@routine(component=ADD)
def backward(job, l, first_block, last_block):
    """dA of the two layers, which are dZ of each block."""
    for block in range(first_block, last_block):
        dZ = numbers_of(job, l, DZ_OFFSET, block)
        map_numbers(same, numbers_of(job, below(job, l), DZ_OFFSET, block), (dZ,), ())
        map_numbers(same, numbers_of(job, job.plan.layers[l, OTHER], DZ_OFFSET, block), (dZ,), ())


@routine(component=SKIP)
def backward_of_skip(job, l, first_block, last_block):
    """dA of the layer below gets its share of each block, dZ of layer l."""
    for block in range(first_block, last_block):
        dA = numbers_of(job, below(job, l), DZ_OFFSET, block)
        map_numbers(added, dA, (dA, numbers_of(job, l, DZ_OFFSET, block)), ())
