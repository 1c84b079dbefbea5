"""All that the kernels know of a processor."""

from typing import NamedTuple


class Target(NamedTuple):
    """Bytes of a vector register, and the tiles (see `tiles`) whose sums fit the registers that there are."""

    vector_bytes: int
    mr: tuple  # of tiles two vectors wide
    mr_narrow: tuple  # of tiles one vector wide
    dot_mr: tuple
    dot_nr: tuple
    prefetches: bool = True  # whether memory is to be kept busy by prefetches while numbers in cache are summed


AVX512 = Target(64, (14, 12, 10, 8, 6, 4, 2, 1), (28, 24, 20, 16, 12, 8, 4, 2, 1), (4, 2, 1), (5, 2, 1))
AVX2 = Target(32, (6, 5, 4, 3, 2, 1), (12, 8, 4, 2, 1), (4, 2, 1), (2, 1))
NEON = Target(16, (12, 10, 8, 6, 4, 2, 1), (24, 16, 8, 4, 2, 1), (4, 2, 1), (5, 2, 1))
SSE2 = Target(16, (6, 4, 2, 1), (12, 8, 4, 2, 1), (4, 2, 1), (2, 1))
