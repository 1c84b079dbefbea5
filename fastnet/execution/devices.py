"""Devices by name.

Only `cpu`, `cuda` and `benchmarks` import the kernels, and they do so late: importing fastnet loads no compiler.
"""

from collections.abc import Sequence

import numpy as np
from fastnet_kernels import codes

from ..checks import known
from ..layers import Layer
from ..layers.stack import with_those_of_blocks
from .cpu.device import CPU
from .device import Device

_ONLY_ON_CPU = (codes.RECURRENT, codes.EMBEDDING)


def device_for(name: str, dtype: np.dtype, layers: Sequence[Layer] = ()) -> Device:
    """The device of that name, for these layers.

    Raises ValueError for an unknown one, or one that does not have all of the layers, and RuntimeError, with what is
    missing, for one that cannot be used here.
    """
    known("device", name, ("cpu", "cuda"))
    if name == "cpu":
        return CPU(dtype)
    for place, layer in enumerate(layers, start=1):
        if any(each.kind in _ONLY_ON_CPU for each in with_those_of_blocks([layer])):
            raise ValueError(f"layer {place} is {layer!r}, which runs on a CPU only: use device='cpu'")
    from .cuda.device import GPU

    return GPU(dtype)
