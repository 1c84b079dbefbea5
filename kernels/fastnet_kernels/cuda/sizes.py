"""How many threads a block has, and how much each takes at a time. The simulator starts a thread of Python for each."""

from numba.core import config

IS_SIMULATED = bool(config.ENABLE_CUDASIM)

# A tile of a product is HEIGHT x WIDTH numbers, of which a thread keeps ROWS x COLUMNS in registers. It goes over the
# inner dimension DEPTH at a time, which GROUPS of threads share among themselves. THREADS are, for both tiles,
# GROUPS * (HEIGHT / ROWS) * (WIDTH / COLUMNS), and a multiple of each of HEIGHT, WIDTH and DEPTH.
# The large tile makes 64 multiply-adds of 16 numbers from shared memory, and needs most of the registers there are: in
# float64, which takes two for a number, it is as many bytes wide as in float32.
# The small one is for products that would leave multiprocessors idle otherwise.
if IS_SIMULATED:
    THREADS, MOST_BLOCKS = 8, 3
    LARGE_HEIGHT, LARGE_WIDTH_BYTES, LARGE_DEPTH, LARGE_ROWS, LARGE_COLUMN_BYTES, LARGE_GROUPS = 8, 32, 8, 8, 32, 8
    SMALL_HEIGHT, SMALL_WIDTH, SMALL_DEPTH, SMALL_ROWS, SMALL_COLUMNS, SMALL_GROUPS = 8, 8, 4, 4, 4, 2
    COLUMNS_AT_ONCE = 4
    PIECE = 16
    MOST_LANES = 4
else:
    THREADS, MOST_BLOCKS = 256, 2048
    LARGE_HEIGHT, LARGE_WIDTH_BYTES, LARGE_DEPTH, LARGE_ROWS, LARGE_COLUMN_BYTES, LARGE_GROUPS = 128, 512, 8, 8, 32, 1
    SMALL_HEIGHT, SMALL_WIDTH, SMALL_DEPTH, SMALL_ROWS, SMALL_COLUMNS, SMALL_GROUPS = 32, 32, 32, 4, 4, 4
    COLUMNS_AT_ONCE = 32  # units that a block sums up at a time: a row of them is one access to memory
    PIECE = 1024  # numbers of a task that takes them one by one
    MOST_LANES = 32  # threads that share one sample

ROWS_AT_ONCE = THREADS // COLUMNS_AT_ONCE  # threads that share one unit
PADDING = 4  # of a row of a tile in shared memory: its columns lie in different banks, and vectors stay aligned


def _shared(height: int, width: int, depth: int, groups: int) -> int:
    slabs = 2 * depth * (height + width + 2 * PADDING)
    return max(slabs, (groups - 1) * height * width)


# Numbers of shared memory: two copies of a tile's factors, one in use and one that is being filled; or the sums of the
# groups of threads.
SHARED = max(
    _shared(LARGE_HEIGHT, LARGE_WIDTH_BYTES // 4, LARGE_DEPTH, LARGE_GROUPS),
    _shared(SMALL_HEIGHT, SMALL_WIDTH, SMALL_DEPTH, SMALL_GROUPS),
)
