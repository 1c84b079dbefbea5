"""The plan that a GPU's compiled program reads: instructions for each mode, and where what they compute lies."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from fastnet_kernels import codes

from ...layers import Node
from ..graph import Graph
from ..layout import LOSS_CODES, Allocator, n_targets, set_offsets, slots_by_node

# Cycles of a multiprocessor of an H100. Measured: of a slab of the small and of the large tile, by the bytes of a
# number, and of a wait of all blocks with all that begins anew behind it. Estimated: of what a tile costs besides.
_CYCLES_OF_SLAB = {4: (1200, 3300), 8: (1900, 1300)}
_CYCLES_OF_TILE = 1500
_CYCLES_OF_WAIT = 10_000
_MOST_SLICES = 64
_CYCLES_OF_CALL = 60_000  # of a library's product: two more launches, from the host
_PART_OF_LIBRARY = {4: 0.75, 8: 0.9}  # of the peak of what it multiplies with, that it reaches, measured


_MOST_NUMBERS = (1 << 31) - 1  # of images, whose addresses the kernels count in 32 bits


def rounded_size(batch_size: int) -> int:
    """What mini-batches of different sizes share a plan by: the next power of two, by which products are cut as well.

    So the order of sums, and with it every bit, does not depend on which sizes came before.
    """
    return 1 << (batch_size - 1).bit_length()


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


def product_for(m: int, n: int, depth: int, sizes: Sizes, groups: int = 1) -> Product:
    """The fastest way, by a model of what it costs, to make an m x n product, or as many as there are groups.

    Large tiles compute fastest; small ones, and slices of the inner dimension, keep more multiprocessors busy. A
    library is called where it saves more than that costs.
    """
    best, least = Product(codes.SMALL, 1, 1), np.inf
    for tile in (codes.SMALL, codes.LARGE):
        tiles = groups * -(-m // sizes.heights[tile]) * -(-n // sizes.widths[tile])
        slabs = -(-depth // sizes.depths[tile])
        for slices in range(1, min(_MOST_SLICES, -(-depth // sizes.depths[codes.SMALL])) + 1):
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


# What goes forward and back through the kinds of layer that are no products. What reads samples copies them.
_OPERATIONS: dict[int, tuple[int | None, int]] = {
    codes.BATCH_NORM: (codes.BATCH_NORM_FORWARD, codes.BATCH_NORM_BACKWARD),
    codes.LAYER_NORM: (codes.LAYER_NORM_FORWARD, codes.LAYER_NORM_BACKWARD),
    codes.DROPOUT: (codes.DROPOUT_FORWARD, codes.DROPOUT_BACKWARD),
    codes.MAX_POOL: (codes.MAX_POOL_FORWARD, codes.MAX_POOL_BACKWARD),
    codes.AVERAGE_POOL: (codes.AVERAGE_POOL_FORWARD, codes.AVERAGE_POOL_BACKWARD),
    codes.SKIP: (None, codes.SKIP_BACKWARD),  # its A is that of the layer below
    codes.ADD: (codes.ADD_FORWARD, codes.ADD_BACKWARD),
    codes.INPUT: (codes.DROPOUT_FORWARD, codes.DROPOUT_BACKWARD),  # at a rate of 0
}


@dataclass
class _Table:
    """Instructions, in groups: all blocks wait for each other before the first one of a group."""

    rows: list[list[int]] = field(default_factory=list)
    tasks: int = 1  # of the largest instruction
    waits: bool = False
    stops: bool = False

    def group(self, *, stops: bool = False) -> None:
        """From here on; `stops` is said once, for all groups that follow."""
        self.waits, self.stops = True, self.stops or stops

    def add(
        self, operation: int, layer: int = 0, role: int = 0, product: Product | None = None, partial: int = 0,
        *, fuses_output: bool = False,
    ) -> None:  # fmt: skip
        row = [0] * codes.INSTRUCTION_COLUMNS
        row[codes.OPERATION], row[codes.LAYER], row[codes.ROLE] = operation, layer, role
        row[codes.SLICES], row[codes.PARTIAL], row[codes.FUSES_OUTPUT] = 1, partial, int(fuses_output)
        if product is not None:
            row[codes.TILE], row[codes.SLICES] = product.tile, product.slices
            self.tasks = max(self.tasks, product.tasks)
        row[codes.WAITS], row[codes.STOPS], self.waits = self.waits, self.stops, False
        self.rows.append(row)


@dataclass
class GPUPlan:
    """A network laid out for mini-batches of up to `batch_size`; for the tables see `codes`."""

    batch_size: int
    layers: np.ndarray  # (n_layers, LAYER_COLUMNS) int64
    settings: np.ndarray  # (n_layers, SETTINGS_COLUMNS) float64
    whole: np.ndarray  # int64
    real: np.ndarray  # float64
    products: dict[tuple[int, int], Product]  # by role and layer
    partials: dict[tuple[int, int], int]  # where their slices are
    slices: dict[int, tuple[int, int]]  # of layers over whose pixels sums are made in slices: how many, and where
    trained: list[int]  # layers
    fuses_output: bool  # whether the last layer's tiles have whole rows, and go on with losses or outputs
    gather_tasks: int

    @property
    def convolves(self) -> bool:
        """Whether it is for the program that has convolutions."""
        return codes.CONV in self.layers[:, codes.KIND]

    def instructions(self, mode: int, *, clips_norm: bool = False) -> tuple[np.ndarray, int]:
        """(n, INSTRUCTION_COLUMNS), and how many blocks can be of use.

        `clips_norm` is whether gradients are cut to a norm, and so change nothing before all of them are known.
        """
        table = _Table()
        table.add(codes.GATHER)
        table.tasks = max(table.tasks, self.gather_tasks)
        table.group()
        self._forward(table, mode)
        if mode != codes.PREDICT:
            table.group()
            table.add(codes.TOTALS)
        if mode >= codes.GRADIENT:
            self._backward(table)
            table.group(stops=mode == codes.TRAIN)
            self._weights(table)
        table.add(codes.GATHER_NEXT)
        if mode >= codes.GRADIENT:
            left = [l for l in self.trained if self._is_left(codes.WEIGHTS, l)]
            self._each(table, left, codes.FINISH, codes.WEIGHTS)
            for l in self.slices.keys() & set(self.trained):
                if (codes.WEIGHTS, l) in self.products:
                    self._sliced(table, codes.BIAS, l)
        if mode == codes.TRAIN and clips_norm:
            self._each(table, self.trained, codes.SQUARES)
            self._each(table, self.trained, codes.UPDATE)
        return np.array(table.rows, np.int64), table.tasks

    def _forward(self, table: _Table, mode: int) -> None:
        last = len(self.layers) - 1
        if mode >= codes.GRADIENT:
            for l in self.trained:
                if self.settings[l, [codes.L1, codes.L2]].any():
                    table.add(codes.PENALTY, l)
        for l in range(len(self.layers)):
            if l > 0:
                table.group()
            if (codes.FORWARD, l) not in self.products:
                operation = _OPERATIONS[int(self.layers[l, codes.KIND])][0]
                if operation == codes.BATCH_NORM_FORWARD:
                    self._normalise(table, operation, l, codes.FORWARD, mode)
                elif operation is not None:
                    table.add(operation, l)
                continue
            self._multiply(table, codes.FORWARD, l, fuses_output=l == last and self.fuses_output)
            if l == last and not self.fuses_output:
                key = codes.FORWARD, l
                table.group()
                table.add(codes.OUTPUT, l, codes.FORWARD, self.products[key], self.partials[key])
            elif self._is_left(codes.FORWARD, l):
                self._each(table, [l], codes.FINISH, codes.FORWARD)

    def _backward(self, table: _Table) -> None:
        """dZ of each layer from that of the next; the first of them goes with what stands before."""
        is_first = True
        for l in range(len(self.layers) - 1, 0, -1):
            kind = self.layers[l, codes.KIND]
            has_sums = kind == codes.BATCH_NORM and l in self.trained
            if not self.trained or l < self.trained[0] or (l == self.trained[0] and not has_sums):
                return
            if not is_first:
                table.group()
            is_first = False
            if (codes.BACKWARD, l) in self.products:
                self._multiply(table, codes.BACKWARD, l)
                if self._is_left(codes.BACKWARD, l):
                    self._each(table, [l], codes.FINISH, codes.BACKWARD)
            elif kind == codes.BATCH_NORM:
                self._normalise(table, codes.BATCH_NORM_BACKWARD, l, codes.BACKWARD, codes.GRADIENT)
            else:
                table.add(_OPERATIONS[int(kind)][1], l)

    def _weights(self, table: _Table) -> None:
        for l in self.trained:
            if (codes.WEIGHTS, l) in self.products:
                self._multiply(table, codes.WEIGHTS, l)
                self._sliced(table, codes.SUM_BIAS if l in self.slices else codes.BIAS, l)
            else:
                table.add(codes.GAIN, l)

    def _sliced(self, table: _Table, operation: int, l: int, role: int = 0) -> None:
        """An operation that makes, or needs, sums of slices, if the layer has some."""
        slices, partial = self.slices.get(l, (1, 0))
        table.add(operation, l, role, Product(codes.SMALL, slices, slices), partial)

    def _normalise(self, table: _Table, operation: int, l: int, role: int, mode: int) -> None:
        """A batch normalisation, one way or the other."""
        if l in self.slices and mode >= codes.GRADIENT and self.layers[l, codes.BATCH_STATISTICS]:
            self._sliced(table, codes.BATCH_NORM_SUMS, l, role)
            table.group()
        self._sliced(table, operation, l, role)

    def _multiply(self, table: _Table, role: int, l: int, *, fuses_output: bool = False) -> None:
        key = role, l
        if self.products[key].tile == codes.OF_LIBRARY:
            table.add(codes.CALL, l, role, self.products[key], fuses_output=role == codes.FORWARD and self._makes_A(l))
        else:
            operation = codes.CONVOLVE if self.layers[l, codes.KIND] == codes.CONV else codes.MULTIPLY
            table.add(operation, l, role, self.products[key], self.partials[key], fuses_output=fuses_output)

    def _makes_A(self, l: int) -> bool:  # noqa: N802 - as the field writes it
        """Whether a library can add b and activate at once: of the last layer Z is wanted, whatever its activation."""
        is_plain = self.layers[l, codes.ACTIVATION] in (codes.LINEAR, codes.RELU)
        return l == len(self.layers) - 1 or (
            is_plain and self.layers[l, codes.SAVED_OFFSET] == self.layers[l, codes.A_OFFSET]
        )

    def _is_left(self, role: int, l: int) -> bool:
        """Whether a product's numbers are not what is wanted yet."""
        if (role, l) not in self.products:
            return False
        product = self.products[role, l]
        is_made = role == codes.FORWARD and self._makes_A(l)
        return product.slices > 1 or (product.tile == codes.OF_LIBRARY and not is_made)

    def _each(self, table: _Table, layers: Iterable[int], operation: int, role: int = 0) -> None:
        """A group of an operation on some layers."""
        table.group()
        for l in layers:
            key = role, l
            is_product = operation == codes.FINISH
            table.add(
                operation, l, role, self.products[key] if is_product else None, self.partials[key] if is_product else 0
            )


def _products_of(node: Node, row: np.ndarray, m: int, sizes: Sizes) -> dict[int, Product]:
    """How the products of a layer of m samples are cut, by role; none of a layer that has none."""
    if node.is_dense:
        shapes = {
            codes.FORWARD: (m, node.n_out, node.n_in),
            codes.BACKWARD: (m, node.n_in, node.n_out),
            codes.WEIGHTS: (node.n_out, node.n_in, m),
        }
        return {role: product_for(*shape, sizes) for role, shape in shapes.items()}
    if node.layer.kind != codes.CONV:
        return {}
    groups, filters, window = int(row[codes.GROUPS]), int(row[codes.CHANNELS]), node.n_weights // row[codes.CHANNELS]
    pixels, pixels_in = node.n_out // filters, int(row[codes.HEIGHT] * row[codes.WIDTH])
    taps, of_group = int(row[codes.WINDOW_HEIGHT] * row[codes.WINDOW_WIDTH]), filters // groups
    shapes = {
        codes.FORWARD: (m * pixels, of_group, int(window)),
        codes.BACKWARD: (m * pixels_in, int(window) // taps, taps * of_group),
        codes.WEIGHTS: (of_group, int(window), m * pixels),
    }
    without = sizes._replace(cublas_rate=0)
    return {role: product_for(*shape, without, groups) for role, shape in shapes.items()}


def _check_images(node: Node, m: int) -> None:
    """ValueError if so many samples are more than a convolution can address."""
    numbers = max(node.n_in, node.n_out)
    if m * numbers > _MOST_NUMBERS:
        raise ValueError(
            f"batch_size={m} is too many for {node.layer!r} of {numbers} numbers a sample, as on a GPU it can address "
            f"2^31: give a batch_size of at most {_MOST_NUMBERS // numbers}, or use device='cpu'"
        )


def make_gpu_plan(graph: Graph, batch_size: int, rounded: int, dtype: np.dtype, sizes: Sizes) -> tuple[GPUPlan, int]:
    """The plan for mini-batches of up to `batch_size`, and the number of elements its workspace has.

    ValueError for more images than a convolution can address. Products are cut as those of `rounded_size` samples.
    """
    nodes, loss, workspace, m = graph.nodes, graph.loss, Allocator(dtype.itemsize), batch_size
    n_inputs, n_last = nodes[0].n_in, nodes[-1].n_out
    table = np.zeros((len(nodes), codes.LAYER_COLUMNS), np.int64)
    settings = np.zeros((len(nodes), codes.SETTINGS_COLUMNS))
    products: dict[tuple[int, int], Product] = {}
    trained, pieces = [], 0
    for l, (node, slots) in enumerate(zip(nodes, slots_by_node(nodes, dtype), strict=True)):
        row, layer, n_out = table[l], node.layer, node.n_out
        node.describe(row, settings[l])
        set_offsets(row, slots)
        row[codes.A_OFFSET], row[codes.DZ_OFFSET] = (workspace.take(m * n_out) for _ in range(2))
        if layer.kind == codes.SKIP:
            row[codes.A_OFFSET] = table[node.below, codes.A_OFFSET]
        row[codes.SAVED_OFFSET] = workspace.take(m * n_out) if layer.saves_z else row[codes.A_OFFSET]
        row[codes.STATISTICS_OFFSET] = workspace.take(layer.statistics_size(node.input_shape, m, 0))
        row[codes.CHANNELS] = slots[1].shape[0] if slots else 0  # which have a b, or a beta, each
        if layer.kind == codes.CONV:
            _check_images(node, m)
        products |= {(role, l): product for role, product in _products_of(node, row, rounded, sizes).items()}
        if layer.is_trainable:
            trained.append(l)
            row[codes.FIRST_PIECE] = pieces
            pieces += -(-(slots[1].end - slots[0].offset) // sizes.piece)
    whole = np.zeros(9, np.int64)
    whole[codes.LOSS], whole[codes.N_TARGETS] = LOSS_CODES[loss.name], n_targets(loss, n_last)
    whole[codes.N_PIECES], whole[codes.X_SIZE] = pieces, m * n_inputs
    whole[codes.X_OFFSET] = workspace.take(2 * m * n_inputs)
    whole[codes.LOSSES], whole[codes.SCORES] = workspace.take(m), workspace.take(m)
    whole[codes.PENALTIES], whole[codes.SUMS_OF_SQUARES] = workspace.take(pieces), workspace.take(pieces)
    partials = {}
    for (role, l), product in products.items():
        count = {
            codes.FORWARD: m * nodes[l].n_out,
            codes.BACKWARD: m * nodes[l].n_in,
            codes.WEIGHTS: nodes[l].n_weights,
        }[role]
        partials[role, l] = workspace.take(count * product.slices if product.slices > 1 else 0)
    slices_by_layer = {}
    for l, node in enumerate(nodes):
        channels = int(table[l, codes.CHANNELS])
        if channels < node.n_out and node.layer.kind in (codes.CONV, codes.BATCH_NORM):
            slices = -(-rounded * (node.n_out // channels) // sizes.rows_of_sum)
            if slices > 1:
                slices_by_layer[l] = slices, workspace.take(2 * slices * channels)
    last = products[codes.FORWARD, len(nodes) - 1]
    plan = GPUPlan(
        batch_size=batch_size,
        layers=table,
        settings=settings,
        whole=whole,
        real=np.array([loss.setting, graph.rescale.scale, graph.rescale.shift]),
        products=products,
        partials=partials,
        slices=slices_by_layer,
        trained=trained,
        fuses_output=last.tile != codes.OF_LIBRARY and last.slices == 1 and n_last <= sizes.widths[last.tile],
        gather_tasks=-(-m * n_inputs // sizes.piece),
    )
    return plan, workspace.size
