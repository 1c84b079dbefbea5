"""Devices by name.

Only `cpu`, `cuda` and `benchmarks` import the kernels, and they do so late: importing fastnet loads no compiler.
"""

import numpy as np

from ..checks import known
from .cpu.device import CPU
from .device import Device


def device_for(name: str, dtype: np.dtype) -> Device:
    """The device of that name.

    Raises ValueError for an unknown one, and RuntimeError, with what is missing, for one that cannot be used here.
    """
    known("device", name, ("cpu", "cuda"))
    if name == "cpu":
        return CPU(dtype)
    from .cuda.device import GPU

    return GPU(dtype)
