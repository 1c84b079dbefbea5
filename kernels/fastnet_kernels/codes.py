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
# From one row of W to the next are W_STRIDE elements, N_IN of them the row's own.
N_IN, N_OUT, ACTIVATION, W, W_STRIDE, B, A, DZ = range(8)
LAYER_COLUMNS = 8

# Columns of Plan.tasks: rows `first_row:last_row` and columns `first_column:last_column` of one layer's W.
TASK_LAYER, FIRST_COLUMN, LAST_COLUMN, FIRST_ROW, LAST_ROW = range(5)

# How many samples before its turn a sample is asked for from memory.
ROWS_AHEAD = 8

# Rows of the copy that a narrow piece of W is changed in: as many as the tallest tile of any machine, or more.
EDGE_ROWS = 16


class Plan(NamedTuple):
    """A network laid out for one batch size, as the compiled program reads it.

    `layers` has one row a dense layer and `tasks` one row a piece of a weight matrix, in the columns named above.

    Samples go through the network in blocks of `block_rows`, each a column: of every layer the workspace holds, at the
    offsets in its row, A and dZ as (n_blocks, n_l, block_rows). `Y` (n_blocks, n_targets, block_rows), the losses `L`
    and the right predictions `hits`, (n_blocks * block_rows,), are offsets too, and so is `scratch`: `scratch_size`
    numbers for each worker, those from `edge` on for a narrow piece of W. Inputs are read as `scale * x + shift`.
    Forward a block's inputs are taken `features_at_once`, backward all samples `blocks_at_once`.
    """

    layers: np.ndarray  # (n_layers, LAYER_COLUMNS) int64
    slopes: np.ndarray  # (n_layers,) float64: leaky ReLU's slope for negative z
    tasks: np.ndarray  # (n_tasks, TASK_COLUMNS) int64
    numbers: np.ndarray  # int64: 0, 1, 2, ... as far as a panel is wide
    loss: int
    n_targets: int
    batch_size: int  # rows the workspace has room for
    block_rows: int  # samples of a block
    features_at_once: int
    blocks_at_once: int
    is_single_unit: bool  # of the whole network, as logistic regression is
    workers: int  # threads the workspace has room for
    Y: int
    L: int
    hits: int
    scratch: int
    scratch_size: int
    edge: int
    scale: float
    shift: float
