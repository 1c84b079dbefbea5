"""All that is known of the GPU, and how work is cut: threads of a block, tiles of products, pieces. No CUDA is needed.

A constant of the machine stands here and nowhere else; kernels and the host's planner take it from here. The simulator
starts a thread of Python for each of the GPU's, so its blocks are small.
"""

from typing import NamedTuple

from numba.core import config

IS_SIMULATED = bool(config.ENABLE_CUDASIM)


class Tile(NamedTuple):
    """A tile of a product: height x width numbers, of which a thread keeps rows x columns in registers.

    It goes over the inner dimension `depth` at a time, which `groups` of threads share among themselves. So many
    `stages` of that are in shared memory, one in use and the others being filled. THREADS are
    groups * (height / rows) * (width / columns), and a multiple of each of height, width and depth. With tensor cores,
    rows x columns are a warp's.
    """

    height: int
    width: int
    depth: int
    stages: int
    rows: int
    columns: int
    groups: int = 1
    is_tensor: bool = False

    @property
    def shared(self) -> int:
        """Numbers of shared memory: the stages; or the sums of the groups of threads."""
        slabs = self.stages * self.depth * (self.height + self.width + 2 * PADDING)
        return max(slabs, (self.groups - 1) * self.height * self.width)


PADDING = 4  # of a row of a tile in shared memory: its columns lie in different banks, and vectors stay aligned

# The large tile is for products that keep all multiprocessors busy with it; in float64 it is another one. The small one
# is for those that no other would keep busy.
if IS_SIMULATED:
    THREADS, MOST_BLOCKS = 8, 3
    WARP, WARP_COLUMNS = 1, 1
    SMALL_TILE = Tile(8, 8, 4, 3, rows=4, columns=4, groups=2)
    MEDIUM_TILE = Tile(8, 8, 8, 2, rows=8, columns=4, groups=4)
    LARGE_TILE = Tile(8, 8, 8, 2, rows=8, columns=8, groups=8)
    LARGE_TILE_OF_DOUBLES = Tile(8, 4, 8, 2, rows=8, columns=4, groups=8)
    COLUMNS_AT_ONCE = 4
    PIECE = 16
    ROWS_OF_SUM = 8
    MOST_LANES = 4
    MANY_TILES = 3
else:
    THREADS, MOST_BLOCKS = 256, 2048
    WARP, WARP_COLUMNS = 32, 4
    SMALL_TILE = Tile(32, 32, 32, 2, rows=4, columns=4, groups=4)
    MEDIUM_TILE = Tile(64, 64, 16, 2, rows=8, columns=4, groups=2)
    LARGE_TILE = Tile(128, 128, 16, 2, rows=8, columns=8)
    LARGE_TILE_OF_DOUBLES = Tile(128, 64, 8, 3, rows=32, columns=32, is_tensor=True)
    COLUMNS_AT_ONCE = 32  # units that a block sums up at a time: a row of them is one access to memory
    PIECE = 1024  # numbers of a task that takes them one by one
    ROWS_OF_SUM = 512  # of columns that are summed up in slices
    MOST_LANES = 32  # threads that share one sample
    MANY_TILES = 100  # that keep most GPUs busy

SLICE = SMALL_TILE.depth  # of an inner dimension that is cut into slices, each has a whole number of these
ROWS_AT_ONCE = THREADS // COLUMNS_AT_ONCE  # threads that share one unit


def tiles_for(itemsize: int) -> tuple[Tile, Tile, Tile]:
    """The small, the large and the medium tile, for numbers of so many bytes."""
    return SMALL_TILE, LARGE_TILE if itemsize == 4 else LARGE_TILE_OF_DOUBLES, MEDIUM_TILE
