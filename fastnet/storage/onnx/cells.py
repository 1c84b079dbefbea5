"""Recurrent layers as ONNX has them."""

from typing import Any, NamedTuple

from ...layers import GRU, LSTM, Layer, Recurrent


class Cell(NamedTuple):
    """An operator, which gates of fastnet's come first, second and so on there, and what else is to be said of it."""

    operator: str
    order: list[int]
    settings: dict[str, Any]


CELLS: dict[type[Layer], Cell] = {
    Recurrent: Cell("RNN", [0], {}),
    LSTM: Cell("LSTM", [0, 3, 1, 2], {}),
    GRU: Cell("GRU", [1, 0, 2], {"linear_before_reset": 1}),
}
