"""What several subjects share: threads, and the rooms that can run here."""

import numba

from fastnet.benchmarks.kernels import rooms

THREADS = [count for count in (1, 2) if count <= numba.config.NUMBA_NUM_THREADS]


def room(name):
    """The module of a room; a benchmark's `setup` that raises NotImplementedError is skipped."""
    found, _ = rooms()
    if name not in found:
        raise NotImplementedError(f"{name} cannot run here")
    return found[name]
