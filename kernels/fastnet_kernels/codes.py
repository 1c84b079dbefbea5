"""The integer codes and table layouts that the compiled program and the network API share."""

from typing import NamedTuple

import numpy as np

# Activations. Softmax is for the output layer only.
LINEAR, SIGMOID, TANH, RELU, LEAKY_RELU, SOFTMAX = range(6)

# Losses.
SQUARED_ERROR, LOG_LOSS, CROSS_ENTROPY = range(3)

# What one run of the program does with every mini-batch.
PREDICT = 0  # forward; the output activations are stored
EVALUATE = 1  # forward and cost
GRADIENT = 2  # forward, cost and backward; the gradient is stored
TRAIN = 3  # the same, then the parameters are updated

# Columns of Plan.layers. Offsets count elements from the start of their buffer.
N_IN, N_OUT, ACTIVATION, W, B, A, DZ = range(7)
LAYER_COLUMNS = 7

# Columns of Plan.tiles: rows `first_row:last_row` and columns `first_column:last_column` of one layer's W.
TILE_LAYER, FIRST_ROW, LAST_ROW, FIRST_COLUMN, LAST_COLUMN = range(5)
TILE_COLUMNS = 5


class Plan(NamedTuple):
    """A network laid out for one batch size, as the compiled program reads it.

    `layers` has one row a dense layer and `tiles` one row a piece of a weight matrix, in the columns named above.
    `X`, `Y`, `L` and `hits` are the workspace offsets of a mini-batch's inputs (m, n_0), targets (m, n_targets),
    losses (m,) and right predictions (m,); each layer's activations A and derivatives dZ, (m, n_l), are at the offsets
    in its row. Inputs are read as `scale * x + shift`.
    """

    layers: np.ndarray  # (n_layers, LAYER_COLUMNS) int64
    slopes: np.ndarray  # (n_layers,) float64: leaky ReLU's slope for negative z
    tiles: np.ndarray  # (n_tiles, TILE_COLUMNS) int64
    loss: int
    n_targets: int
    batch_size: int  # rows the workspace has room for
    block_rows: int  # rows of a mini-batch that pass through the network together
    X: int
    Y: int
    L: int
    hits: int
    scale: float
    shift: float
