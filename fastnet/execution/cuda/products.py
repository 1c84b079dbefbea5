"""How the products of a plan are cut into tiles and slices, by a model of what these cost."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from fastnet_kernels import codes

# Cycles of a multiprocessor of an H100. Measured: of a slab of the small and of the large tile, by the bytes of a
# number, and of a wait of all blocks with all that begins anew behind it. Estimated: of what a tile costs besides.
_CYCLES_OF_SLAB = {4: (1200, 3300), 8: (1900, 1300)}
_CYCLES_OF_TILE = 1500
_CYCLES_OF_WAIT = 10_000
_MOST_SLICES = 64
_CYCLES_OF_CALL = 60_000  # of a library's product: two more launches, from the host
_PART_OF_LIBRARY = {4: 0.75, 8: 0.9}  # of the peak of what it multiplies with, that it reaches, measured


class Sizes(NamedTuple):
    """How the kernels cut their work, and how many multiprocessors there are to do it."""

    heights: tuple[int, int]  # of the small and the large tile
    widths: tuple[int, int]
    depths: tuple[int, int]  # of a slab
    piece: int  # numbers that a task takes one by one
    multiprocessors: int
    itemsize: int = 4  # bytes of a number
    rows_of_sum: int = 512  # of columns that are summed up in slices
    cublas_rate: int = 0  # multiply-adds of a multiprocessor in a cycle that the library makes; 0: there is none


@dataclass(frozen=True)
class Product:
    """How one product is cut."""

    tile: int
    slices: int
    tasks: int


def product_for(
    m: int, n: int, depth: int, sizes: Sizes, groups: int = 1, *, most_slices: int = _MOST_SLICES
) -> Product:
    """The fastest way, by a model of what it costs, to make an m x n product, or as many as there are groups.

    Large tiles compute fastest; small ones, and slices of the inner dimension, keep more multiprocessors busy. A
    library is called where it saves more than that costs.
    """
    best, least = Product(codes.SMALL, 1, 1), np.inf
    for tile in (codes.SMALL, codes.LARGE):
        tiles = groups * -(-m // sizes.heights[tile]) * -(-n // sizes.widths[tile])
        slabs = -(-depth // sizes.depths[tile])
        for slices in range(1, min(most_slices, -(-depth // sizes.depths[codes.SMALL])) + 1):
            waves = -(-tiles * slices // sizes.multiprocessors)
            cycles = waves * (-(-slabs // slices) * _CYCLES_OF_SLAB[sizes.itemsize][tile] + _CYCLES_OF_TILE)
            cycles += _CYCLES_OF_WAIT if slices > 1 else 0
            if cycles < least:
                best, least = Product(tile, slices, tiles * slices), cycles
            if tiles * slices >= sizes.multiprocessors:
                break
    if sizes.cublas_rate:
        rate = _PART_OF_LIBRARY[sizes.itemsize] * sizes.cublas_rate * sizes.multiprocessors
        if m * n * depth / rate + _CYCLES_OF_CALL < least:
            return Product(codes.OF_LIBRARY, 1, 1)
    return best
