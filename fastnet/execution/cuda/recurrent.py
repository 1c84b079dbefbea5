"""Recurrent layers in the plan of a GPU: how their products are cut, and an instruction for each step."""

from dataclasses import dataclass, replace
from typing import Any

from fastnet_kernels import codes

from ...layers import Node
from .products import Product, Sizes, product_for
from .table import Table


@dataclass(frozen=True)
class RecurrentPlan:
    """How the products of one layer are cut."""

    layer: int
    steps: int
    forward: Product  # what all steps' inputs give to Z
    step: Product  # of the state, or of dZ, at one step
    backward: Product  # dA of the layer below
    weights: Product
    partial: int = 0  # where the slices of dW are, each as W without gaps

    @classmethod
    def of(cls, l: int, node: Node, m: int, sizes: Sizes) -> "RecurrentPlan":
        """Of layer l, for mini-batches of m samples."""
        layer: Any = node.layer
        (steps, n_prev), n, directions = node.input_shape, layer.units, layer.directions
        rows, gates = m * steps, layer.weight_gates * n
        without = sizes._replace(cublas_rate=0)
        return cls(
            l,
            steps,
            forward=product_for(rows, directions * gates, n_prev, without, most_slices=1),
            step=product_for(m, n, gates, without, directions, most_slices=1),
            backward=product_for(rows, n_prev, directions * gates, without, most_slices=1),
            weights=product_for(directions * gates, n + n_prev, rows, without),
        )

    def with_partial(self, partial: int) -> "RecurrentPlan":
        """The same, with a place for the slices of dW."""
        return replace(self, partial=partial)

    def add_forward(self, table: Table) -> None:
        """Gates and states of all steps."""
        table.add(codes.BEGIN, self.layer)
        table.add(codes.SEQUENCE_PRODUCT, self.layer, codes.FORWARD, self.forward)
        for step in range(self.steps):
            table.group()
            table.add(codes.STEP_FORWARD, self.layer, codes.FORWARD, self.step, step=step)

    def add_backward(self, table: Table, *, gives_derivatives: bool) -> None:
        """dZ of all steps, and, where the layer below wants them, derivatives of its A."""
        for step in reversed(range(self.steps)):
            table.add(codes.STEP_BACKWARD, self.layer, codes.BACKWARD, self.step, step=step)
            table.group()
        if gives_derivatives:
            table.add(codes.SEQUENCE_PRODUCT, self.layer, codes.BACKWARD, self.backward)

    def add_weights(self, table: Table) -> None:
        """Slices of dW, and b."""
        table.add(codes.SEQUENCE_PRODUCT, self.layer, codes.WEIGHTS, self.weights, self.partial)
        table.add(codes.SEQUENCE_BIAS, self.layer)

    def add_update(self, table: Table) -> None:
        """W, once all slices are there."""
        table.add(codes.FINISH_WEIGHTS, self.layer, codes.WEIGHTS, self.weights, self.partial)


def kept_numbers(node: Node) -> int:
    """Numbers of a sample that a recurrent layer keeps: see `fastnet_kernels.cuda.layers.recurrent.memory`."""
    layer: Any = node.layer
    steps, gates = node.input_shape[0], layer.weight_gates
    is_lstm, is_gru = layer.cell == codes.LSTM_CELL, layer.cell == codes.GRU_CELL
    each_step, more = gates + 1 + is_gru + 2 * is_lstm, gates + 1 + is_lstm
    return int(layer.directions * layer.units * (steps * each_step + more))
