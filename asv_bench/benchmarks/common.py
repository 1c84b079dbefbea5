"""What several subjects share: threads, and the backends that can run here."""

import numba

from fastnet.benchmarks.kernels import backends

ROUNDS = 5  # samples that a figure is the median of; once.py takes one
THREADS = [count for count in (1, 2) if count <= numba.config.NUMBA_NUM_THREADS]


def module_of(name):
    """The module of a backend; a benchmark's `setup` that raises NotImplementedError is skipped."""
    found, _ = backends()
    if name not in found:
        raise NotImplementedError(f"{name} cannot run here")
    return found[name]
