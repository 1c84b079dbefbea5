"""A packed piece of a large W fits the memory that the plan sets aside for it."""

import numpy as np
import pytest
from fastnet_kernels.cpu.codegen.processor import TARGET, VECTOR_BYTES
from fastnet_kernels.cpu.gemm import packing
from numba import njit


@njit
def needed(products, depth, buffer):
    """Numbers that the largest piece of this depth takes, for products of so many columns."""
    height = packing.packed_mr(products, buffer)
    columns = packing.packed_columns(height, depth, buffer)
    tiles = (columns + height - 1) // height
    return columns, tiles * packing._packed_strides(height, depth, buffer)[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_wide", [False, True])
def test_a_packed_piece_fits(dtype, is_wide):
    """Of any depth: the last piece of a W of 513 units has a single row."""
    buffer = np.empty(0, dtype)
    vector = VECTOR_BYTES // buffer.itemsize
    for depth in range(1, TARGET.packed_depth + 1):
        columns, numbers = needed(vector * (1 + is_wide), depth, buffer)
        assert columns > 0
        assert numbers <= TARGET.packed_numbers
