"""The plan that a GPU's compiled program reads: instructions for each mode, and where what they compute lies."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from fastnet_kernels import codes

from ...layers import Node
from ...lazy import lazy
from ..graph import Graph
from ..layout import LOSS_CODES, Allocator, n_targets, set_offsets, slots_by_node
from .products import Product, Sizes, product_for
from .recurrent import RecurrentPlan, kept_numbers
from .table import Table

_MOST_NUMBERS = (1 << 31) - 1  # of images, whose addresses the kernels count in 32 bits


def rounded_size(batch_size: int) -> int:
    """What mini-batches of different sizes share a plan by: the next power of two, by which products are cut as well.

    So the order of sums, and with it every bit, does not depend on which sizes came before.
    """
    return 1 << (batch_size - 1).bit_length()


# What goes forward and back through the kinds of layer that are no products. What reads samples copies them.
_OPERATIONS: dict[int, tuple[int | None, int | None]] = {
    codes.BATCH_NORM: (codes.BATCH_NORM_FORWARD, codes.BATCH_NORM_BACKWARD),
    codes.LAYER_NORM: (codes.LAYER_NORM_FORWARD, codes.LAYER_NORM_BACKWARD),
    codes.DROPOUT: (codes.DROPOUT_FORWARD, codes.DROPOUT_BACKWARD),
    codes.MAX_POOL: (codes.MAX_POOL_FORWARD, codes.MAX_POOL_BACKWARD),
    codes.AVERAGE_POOL: (codes.AVERAGE_POOL_FORWARD, codes.AVERAGE_POOL_BACKWARD),
    codes.SKIP: (None, codes.SKIP_BACKWARD),  # its A is that of the layer below
    codes.ADD: (codes.ADD_FORWARD, codes.ADD_BACKWARD),
    codes.EMBEDDING: (codes.EMBEDDING_FORWARD, None),  # numbers have no derivatives
    codes.INPUT: (codes.DROPOUT_FORWARD, codes.DROPOUT_BACKWARD),  # at a rate of 0
}


class Parts(NamedTuple):
    """What a program has beside what all have: a network needs one with the same parts."""

    convolutions: bool = False
    sequences: bool = False


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
    recurrent: dict[int, RecurrentPlan]  # by layer
    trained: list[int]  # layers
    fuses_output: bool  # whether the last layer's tiles have whole rows, and go on with losses or outputs
    gather_tasks: int

    @lazy
    def parts(self) -> Parts:
        """Of the program that it is for."""
        return Parts(
            convolutions=any(map(_has_windows, self.layers)),
            sequences=bool(self.recurrent) or codes.EMBEDDING in self.layers[:, codes.KIND],
        )

    def instructions(self, mode: int, *, clips_norm: bool = False) -> tuple[np.ndarray, int]:
        """(n, INSTRUCTION_COLUMNS), and how many blocks can be of use.

        `clips_norm` is whether gradients are cut to a norm, and so change nothing before all of them are known.
        """
        table = Table()
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
            for l in self.recurrent.keys() & set(self.trained):
                self.recurrent[l].add_update(table)
            for l in self.slices.keys() & set(self.trained):
                if (codes.WEIGHTS, l) in self.products:
                    self._sliced(table, codes.BIAS, l)
        if mode == codes.TRAIN and clips_norm:
            self._each(table, self.trained, codes.SQUARES)
            self._each(table, self.trained, codes.UPDATE)
        return np.array(table.rows, np.int64), table.tasks

    def _forward(self, table: Table, mode: int) -> None:
        last = len(self.layers) - 1
        if mode >= codes.GRADIENT:
            for l in self.trained:
                if self.settings[l, [codes.L1, codes.L2]].any():
                    table.add(codes.PENALTY, l)
        for l in range(len(self.layers)):
            if l > 0:
                table.group()
            if l == 1 and self.whole[codes.MASKED_STEPS]:
                table.add(codes.MASK)
            if l in self.recurrent:
                self.recurrent[l].add_forward(table)
                continue
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

    def _backward(self, table: Table) -> None:
        """dZ of each layer from that of the next; the first of them goes with what stands before."""
        is_first = True
        for l in range(len(self.layers) - 1, 0, -1):
            kind = self.layers[l, codes.KIND]
            has_sums = kind in (codes.BATCH_NORM, codes.RECURRENT) and l in self.trained
            if not self.trained or l < self.trained[0] or (l == self.trained[0] and not has_sums):
                return
            if not is_first:
                table.group()
            is_first = False
            if (codes.BACKWARD, l) in self.products:
                self._multiply(table, codes.BACKWARD, l)
                if self._is_left(codes.BACKWARD, l):
                    self._each(table, [l], codes.FINISH, codes.BACKWARD)
            elif l in self.recurrent:
                self.recurrent[l].add_backward(table, gives_derivatives=l > self.trained[0])
            elif kind == codes.BATCH_NORM:
                self._normalise(table, codes.BATCH_NORM_BACKWARD, l, codes.BACKWARD, codes.GRADIENT)
            elif (operation := _OPERATIONS[int(kind)][1]) is not None:
                table.add(operation, l)

    def _weights(self, table: Table) -> None:
        for l in self.trained:
            if (codes.WEIGHTS, l) in self.products:
                self._multiply(table, codes.WEIGHTS, l)
                self._sliced(table, codes.SUM_BIAS if l in self.slices else codes.BIAS, l)
            elif l in self.recurrent:
                self.recurrent[l].add_weights(table)
            elif self.layers[l, codes.KIND] == codes.EMBEDDING:
                table.add(codes.EMBEDDING_WEIGHTS, l)
            else:
                table.add(codes.GAIN, l)

    def _sliced(self, table: Table, operation: int, l: int, role: int = 0) -> None:
        """An operation that makes, or needs, sums of slices, if the layer has some."""
        slices, partial = self.slices.get(l, (1, 0))
        table.add(operation, l, role, Product(codes.SMALL, slices, slices), partial)

    def _normalise(self, table: Table, operation: int, l: int, role: int, mode: int) -> None:
        """A batch normalisation, one way or the other."""
        if l in self.slices and mode >= codes.GRADIENT and self.layers[l, codes.BATCH_STATISTICS]:
            self._sliced(table, codes.BATCH_NORM_SUMS, l, role)
            table.group()
        self._sliced(table, operation, l, role)

    def _multiply(self, table: Table, role: int, l: int, *, fuses_output: bool = False) -> None:
        key = role, l
        if self.products[key].tile == codes.OF_LIBRARY:
            table.add(codes.CALL, l, role, self.products[key], fuses_output=role == codes.FORWARD and self._makes_A(l))
        else:
            operation = codes.CONVOLVE if _has_windows(self.layers[l]) else codes.MULTIPLY
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

    def _each(self, table: Table, layers: Iterable[int], operation: int, role: int = 0) -> None:
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


def _has_windows(row: np.ndarray) -> bool:
    """Whether a layer is a convolution with windows of more than a pixel each.

    One of single pixels is a dense layer, of as many samples as there are pixels.
    """
    ones = (codes.WINDOW_HEIGHT, codes.WINDOW_WIDTH, codes.STRIDE_Y, codes.STRIDE_X, codes.GROUPS)
    image, behind = row[[codes.HEIGHT, codes.WIDTH]], row[[codes.OUT_HEIGHT, codes.OUT_WIDTH]]
    return bool(row[codes.KIND] == codes.CONV and ((row[list(ones)] != 1).any() or (image != behind).any()))


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
    table[:, codes.STATES_COLUMN] = np.cumsum([0, *(node.layer.state_size for node in nodes[:-1])])
    products: dict[tuple[int, int], Product] = {}
    recurrent: dict[int, RecurrentPlan] = {}
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
        row[codes.CHANNELS] = slots[1].shape[0] if len(slots) > 1 else 0  # which have a b, or a beta, each
        if len(slots) == 1:
            row[codes.B_OFFSET] = slots[0].end  # it has none
        if layer.kind == codes.RECURRENT:
            row[codes.KEPT_SIZE] = kept_numbers(node)
            row[codes.KEPT_OFFSET] = workspace.take(m * int(row[codes.KEPT_SIZE]))
            recurrent[l] = RecurrentPlan.of(l, node, rounded, sizes)
        if _has_windows(row):
            _check_images(node, m)
        products |= {(role, l): product for role, product in _products_of(node, row, rounded, sizes).items()}
        if layer.is_trainable:
            trained.append(l)
            row[codes.FIRST_PIECE] = pieces
            pieces += -(-(row[codes.B_OFFSET] + row[codes.CHANNELS] - slots[0].offset) // sizes.piece)
    whole = np.zeros(codes.WHOLE_NUMBERS, np.int64)
    whole[codes.LOSS], whole[codes.N_TARGETS] = LOSS_CODES[loss.name], n_targets(loss, n_last, graph.steps)
    whole[codes.N_PIECES], whole[codes.X_SIZE] = pieces, m * n_inputs
    whole[codes.X_OFFSET] = workspace.take(2 * m * n_inputs)
    whole[codes.OUTPUT_STEPS], whole[codes.STATE_SIZE] = graph.steps, graph.state_size
    if graph.masking is not None:
        whole[codes.MASKED_STEPS] = nodes[0].input_shape[0]
        whole[codes.MASK_OFFSET] = workspace.take(m * nodes[0].input_shape[0])
    whole[codes.LOSSES], whole[codes.SCORES] = (workspace.take(m * graph.steps) for _ in range(2))
    whole[codes.PENALTIES], whole[codes.SUMS_OF_SQUARES] = workspace.take(pieces), workspace.take(pieces)
    partials = {}
    for (role, l), product in products.items():
        count = {
            codes.FORWARD: m * nodes[l].n_out,
            codes.BACKWARD: m * nodes[l].n_in,
            codes.WEIGHTS: nodes[l].n_weights,
        }[role]
        partials[role, l] = workspace.take(count * product.slices if product.slices > 1 else 0)
    for l, of_layer in recurrent.items():
        slices_of_weights = of_layer.weights.slices * nodes[l].n_weights
        recurrent[l] = of_layer.with_partial(workspace.take(slices_of_weights))
    slices_by_layer = {}
    for l, node in enumerate(nodes):
        channels = int(table[l, codes.CHANNELS])
        if channels < node.n_out and node.layer.kind in (codes.CONV, codes.BATCH_NORM):
            slices = -(-rounded * (node.n_out // channels) // sizes.rows_of_sum)
            if slices > 1:
                slices_by_layer[l] = slices, workspace.take(2 * slices * channels)
    last = products[codes.FORWARD, len(nodes) - 1]
    units, masked = n_last // graph.steps, 0.0 if graph.masking is None else graph.masking.value
    plan = GPUPlan(
        batch_size=batch_size,
        layers=table,
        settings=settings,
        whole=whole,
        real=np.array([loss.setting, graph.rescale.scale, graph.rescale.shift, masked]),
        products=products,
        partials=partials,
        slices=slices_by_layer,
        recurrent=recurrent,
        trained=trained,
        fuses_output=last.tile != codes.OF_LIBRARY and last.slices == 1 and units <= sizes.widths[last.tile],
        gather_tasks=-(-m * n_inputs // sizes.piece),
    )
    return plan, workspace.size
