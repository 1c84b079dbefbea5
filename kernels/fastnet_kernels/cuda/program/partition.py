"""How work is partitioned: into blocks of equal size."""

from ..codegen.compiling import formula


@formula
def n_blocks(extent, size):
    """How many blocks of `size` cover 0:extent."""
    return (extent + size - 1) // size
