"""The integer codes and table layouts that the compiled program and the network API share."""

from typing import Annotated, NamedTuple

import numpy as np

# Kinds of layer.
KINDS = (
    DENSE, BATCH_NORM, LAYER_NORM, DROPOUT, INPUT, MAX_POOL, CONV, AVERAGE_POOL, SKIP, ADD, RECURRENT, EMBEDDING
) = range(12)  # fmt: skip

# What a recurrent layer computes at each step: a unit with tanh or ReLU, an LSTM or a GRU.
TANH_CELL, RELU_CELL, LSTM_CELL, GRU_CELL = range(4)

# Activations. Softmax is for the output layer only; the derivatives of ELU, SOFTPLUS, SILU, GELU and HARD_SILU need Z.
LINEAR, SIGMOID, TANH, RELU, LEAKY_RELU, SOFTMAX, ELU, HARD_SIGMOID, SOFTPLUS, SILU, GELU, HARD_SILU = range(12)

# Losses.
SQUARED_ERROR, LOG_LOSS, CROSS_ENTROPY, ABSOLUTE_ERROR, HUBER, QUANTILE, HINGE = range(7)

# Optimizers. PLAIN is gradient descent with nothing else, which the product that makes dW does on its way.
PLAIN, MOMENTUM, RMSPROP, ADAM, ADAMW = range(5)

# Lazy components: what of the program is compiled when a network first needs it. Each kind of layer but DENSE is one,
# of the kind's own number. The others: the activations and losses that come after the first few, with sample weights
# and label smoothing; optimizers that are not PLAIN; samples that are bytes; samples that are used as rows, since they
# or the first layer's units are few; one sample at a time; W so large that it is packed; products by AMX; and
# convolutions in fewer multiplications, or of each channel by itself.
_FIRST = len(KINDS)
_OTHERS = (
    RARE_ACTIVATIONS, RARE_LOSSES, OPTIMIZERS, BYTES, SAMPLE_ROWS, ONLINE, LARGE_W, AMX, WINOGRAD, DEPTHWISE
) = range(_FIRST, _FIRST + 10)  # fmt: skip
COMPONENTS = (*KINDS[1:], *_OTHERS)
COMPONENT_NAMES = {
    BATCH_NORM: "batch normalisation",
    LAYER_NORM: "layer normalisation",
    DROPOUT: "Dropout",
    INPUT: "first layers that are not dense",
    MAX_POOL: "max pooling",
    CONV: "convolutions",
    AVERAGE_POOL: "average pooling",
    SKIP: "what goes around residual blocks",
    ADD: "residual blocks",
    RECURRENT: "recurrent layers",
    EMBEDDING: "embeddings",
    RARE_ACTIVATIONS: "rarer activations",
    RARE_LOSSES: "rarer losses, sample weights and label smoothing",
    OPTIMIZERS: "optimizers, clipping and penalties",
    BYTES: "uint8 samples",
    SAMPLE_ROWS: "few samples or few units",
    ONLINE: "one sample at a time",
    LARGE_W: "large weight matrices",
    AMX: "the matrix unit",
    WINOGRAD: "Winograd's convolutions",
    DEPTHWISE: "depthwise convolutions",
}

# What one run of the program does with every mini-batch.
PREDICT = 0  # forward; the output activations are stored
EVALUATE = 1  # forward and cost
GRADIENT = 2  # forward, cost and backward; the gradient is stored
TRAIN = 3  # forward, cost and backward, then the parameters are updated

# How a block of samples goes through the network.
SAMPLE_MAJOR = 0  # a sample is a row: for mini-batches of a few samples
FEATURE_MAJOR = 1  # a sample is a column

# How the first layer reads samples.
PACKED = 0  # into panels, a feature a row
PACKED_CACHED = 1  # into panels that stay in the workspace: few features, or the same samples in every step
UNPACKED = 2  # as rows, in dot products: few units
ROWS_COPIED = 3  # as rows that are copied into the workspace first: many units, in SAMPLE_MAJOR layout

# How a layer's dW is summed.
WGRAD_GEMM = 0  # by gemm, with A_prev gathered as panels, a sample a row
WGRAD_DOT = 1  # in dot products of two units' numbers: small layers
WGRAD_ROWS = 2  # from the samples' own rows: few samples, or few units of the first layer
WGRAD_FUSED = 3  # in the data phase, while a block of samples is in cache: a single layer of few units
WGRAD_TAPS = 4  # of a convolution: in dot products over all pixels that a number of W is multiplied with
WGRAD_STEPS = 5  # of a recurrent layer: over all steps as well as samples
WGRAD_LOOKUP = 6  # of an embedding: of the rows of W that occur
WGRAD_NONE = 7  # there is no dW: of a normalisation gamma and beta have gradients, which are sums of its own

# Columns of Plan.layers. Offsets count elements from the start of their buffer: W, b and the running statistics are in
# the parameters, all else is in the workspace. Of a normalisation W is gamma, and b beta.
_OF_LAYER = (
    KIND,  # of KINDS
    BELOW,  # the layer that it reads A_prev of: the row before, but where a residual block begins or ends
    OTHER,  # of ADD: the layer whose A is added
    N_IN,  # units of the layer below, n_(l-1)
    N_OUT,  # units, n_l
    ACTIVATION,
    W_OFFSET,
    LDW,  # elements from one row of W to the next, N_IN of them its own
    B_OFFSET,
    A_OFFSET,
    SAVED_OFFSET,  # what the activation's derivative is computed from: A, or Z
    DZ_OFFSET,
    WGRAD,  # how dW is summed
    DZ_ROWS_OFFSET,  # for WGRAD_GEMM dZ once more: a unit a row, of all samples, `samples_stride` from row to row
    PACKS_W,  # whether W is so large that the backward pass packs it
    STATISTICS_OFFSET,  # of a normalisation
    BATCH_STATISTICS,  # whether in training they are the mini-batch's, whose samples the layer waits for
    RUNNING_OFFSET,  # of those that a batch normalisation takes else: mean, then variance
    FIRST_PIECE,  # for GPUs: the layer's first entry in PENALTIES and SUMS_OF_SQUARES, see below
    USES_AMX,  # whether AMX makes the layer's products
    INPUT_TAIL,  # how many inputs, the last ones, would leave most of a panel empty: their dW is dot products
    INPUT_TAIL_OFFSET,  # A_prev of these once more, as DZ_ROWS_OFFSET has dZ
    HEIGHT,  # of pooling and of convolutions: of the image, before the layer
    WIDTH,
    OUT_HEIGHT,  # behind it
    OUT_WIDTH,
    WINDOW_HEIGHT,  # of a window
    WINDOW_WIDTH,
    STRIDE_Y,  # how far down the next window is
    STRIDE_X,
    PAD_Y,  # rows of zeros above the image
    PAD_X,
    DILATION_Y,  # from one row of a window to the next
    DILATION_X,
    GROUPS,  # of channels, each of which is convolved by itself
    WINOGRAD_TILES,  # of a convolution by Winograd's terms: how many tiles are spread at a time; 0 of others
    WINOGRAD_OFFSET,  # of the filters' terms
    CHANNELS,  # of normalisations: units that have a gamma, of each of the places of a sample
    PRODUCTS,  # multiply-adds of a sample
    CELL,  # of a recurrent layer: TANH_CELL and so on
    STEPS,  # of a sequence
    DIRECTIONS,  # two where sequences are read from their ends, too
    RETURNS_SEQUENCES,  # whether A has the states of all steps, or the last one alone
    KEPT_OFFSET,  # gates and states of all steps, of each block KEPT_SIZE numbers a sample
    KEPT_SIZE,
    TRUNCATE,  # of how many steps the derivatives of a state go back, at the most; 0: of all
    STATES_COLUMN,  # where its state begins in those that samples are given for a prediction, and take along
    VOCABULARY,  # of an embedding, rows of W
) = range(48)
LAYER_COLUMNS = len(_OF_LAYER)

# Columns of Plan.settings, real numbers of a layer.
_SETTINGS = (
    SLOPE,  # of the activation: leaky ReLU's slope, ELU's alpha
    RATE,  # of Dropout
    EPSILON,  # of a normalisation
    RUNNING_RATE,  # how far running statistics go towards a mini-batch's
    L1,  # l1 |W| + l2 / 2 W^2 is added to the cost
    L2,
) = range(6)
SETTINGS_COLUMNS = len(_SETTINGS)

# Entries of the optimizer's settings, one vector of float64.
_OF_OPTIMIZER = (
    OPTIMIZER,
    FIRST_DECAY,  # MOMENTUM's and RMSPROP's momentum, ADAM's beta1
    SECOND_DECAY,  # RMSPROP's decay, ADAM's beta2
    OPTIMIZER_EPSILON,
    WEIGHT_DECAY,
    NESTEROV,  # whether MOMENTUM is Nesterov's
    CLIP_VALUE,  # gradients are clipped to this size at the most,
    CLIP_NORM,  # and then to this norm
    EPSILON_HAT,  # whether ADAM's epsilon is added to the root of the mean square before that is corrected
    PENALTY_FACTOR,  # what the layers' L1 and L2 are multiplied with
) = range(10)
OPTIMIZER_SETTINGS = len(_OF_OPTIMIZER)

# Columns of Plan.tasks: rows `first_row:last_row` and columns `first_column:last_column` of one layer's W.
_OF_TASK = TASK_LAYER, FIRST_COLUMN, LAST_COLUMN, FIRST_ROW, LAST_ROW = range(5)
TASK_COLUMNS = len(_OF_TASK)

# A plan for a GPU is a table of instructions, in these columns. A product whose inner dimension is cut into SLICES
# makes as many sums, from offset PARTIAL of the workspace on. FUSES_OUTPUT is whether a product that has whole rows of
# the last layer goes on with their losses or outputs at once; of a library's, whether it makes A at once. WAITS is
# whether all blocks must have done what stands before. What STOPS is not done where the step's cost is not finite: that
# ends the run. STEP is of a sequence, counted as a recurrent layer comes to it.
_OF_INSTRUCTION = OPERATION, ROLE, LAYER, TILE, SLICES, PARTIAL, FUSES_OUTPUT, WAITS, STOPS, STEP = range(10)
INSTRUCTION_COLUMNS = len(_OF_INSTRUCTION)
OPENING = 1  # the first instructions, which only a run's first step has

# Operations. GATHER reads the samples of this or of the next mini-batch; MULTIPLY and CONVOLVE make tiles of a product
# of a dense layer or a convolution, and FINISH adds up its slices, or goes on with what a library has made; OUTPUT is
# outputs, or losses; TOTALS is the step's cost. CALL is a product by a library, between two launches. SUM_BIAS and
# BATCH_NORM_SUMS sum up slices of what BIAS, and the operations of a batch normalisation, need.
(
    GATHER, GATHER_NEXT, MULTIPLY, FINISH, OUTPUT, TOTALS, BATCH_NORM_FORWARD, LAYER_NORM_FORWARD, DROPOUT_FORWARD,
    BATCH_NORM_BACKWARD, LAYER_NORM_BACKWARD, DROPOUT_BACKWARD, BIAS, GAIN, PENALTY, SQUARES, UPDATE, CALL,
    MAX_POOL_FORWARD, MAX_POOL_BACKWARD, CONVOLVE, AVERAGE_POOL_FORWARD, AVERAGE_POOL_BACKWARD, ADD_FORWARD,
    ADD_BACKWARD, SKIP_BACKWARD, SUM_BIAS, BATCH_NORM_SUMS,
) = range(28)  # fmt: skip

# Operations of the layers that only sequences have. MASK finds the steps that are left out. Of a recurrent layer BEGIN
# writes the state before the first step, SEQUENCE_PRODUCT makes tiles of a product over all steps, STEP_FORWARD and
# STEP_BACKWARD those of one step with the cells behind or before them, and FINISH_WEIGHTS and SEQUENCE_BIAS change W
# and b.
OF_SEQUENCES = (
    MASK, EMBEDDING_FORWARD, EMBEDDING_WEIGHTS, BEGIN, SEQUENCE_PRODUCT, STEP_FORWARD, STEP_BACKWARD, FINISH_WEIGHTS,
    SEQUENCE_BIAS,
) = range(28, 37)  # fmt: skip

# Which product: Z = A_prev W^T, dA_prev = dZ W, or dW = dZ^T A_prev.
FORWARD, BACKWARD, WEIGHTS = range(3)

# Tiles of a product: the kernels' two, or whatever a library takes.
SMALL, LARGE, OF_LIBRARY = range(3)

# Whole numbers of a plan for a GPU, the last ones offsets in its workspace. X is two mini-batches, X_SIZE elements
# each. PENALTIES and SUMS_OF_SQUARES have an entry a piece of a layer's parameters, layer by layer: a layer's first
# one is in its column FIRST_PIECE. A sample has OUTPUT_STEPS outputs, each with a loss and a score of its own.
# STATE_SIZE numbers of a sample are what recurrent layers take from one prediction to the next. MASK_OFFSET is where it
# says, for each sample and each of MASKED_STEPS, whether that is left out; there are 0 steps where none is.
_WHOLE = (
    LOSS, N_TARGETS, N_PIECES, X_OFFSET, X_SIZE, LOSSES, SCORES, PENALTIES, SUMS_OF_SQUARES, OUTPUT_STEPS, STATE_SIZE,
    MASKED_STEPS, MASK_OFFSET,
) = range(13)  # fmt: skip
WHOLE_NUMBERS = len(_WHOLE)

# Real numbers of a plan for a GPU. MASKED is what all numbers of a step are that is left out.
LOSS_SETTING, SCALE, SHIFT, MASKED = range(4)

# What a step's update needs besides the optimizer's settings: the learning rate, and Adam's bias corrections, which are
# factors of the mean and of the root of the mean square.
LEARNING_RATE, MEAN_CORRECTION, MEAN_SQUARE_CORRECTION = range(3)


# Arrays that the compiled program is given: their dtype, None for the program's own, and their number of dimensions.
Numbers = Annotated[np.ndarray, None, 1]
NumberTable = Annotated[np.ndarray, None, 2]
Integers = Annotated[np.ndarray, np.int64, 1]
IntegerTable = Annotated[np.ndarray, np.int64, 2]
Reals = Annotated[np.ndarray, np.float64, 1]
RealTable = Annotated[np.ndarray, np.float64, 2]
Bytes = Annotated[np.ndarray, np.uint8, 1]


class Plan(NamedTuple):
    """A network laid out for one batch size, as the compiled program reads it.

    `layers` has one row a layer and `tasks` one row a piece of a weight matrix, or a normalisation, in the columns
    named above.

    Samples go through the network in blocks of `block_rows`, of which a worker takes `blocks_together` through one
    layer after the other. Offsets, which count numbers of the workspace, say where things lie. A and dZ of a layer are
    in its row of `layers`; of each block (n_l, block_rows), or in SAMPLE_MAJOR layout (block_rows, n_l), but for the
    last layer. `Y` is (n_blocks, n_targets, block_rows); the losses `L` and the `scores` are (n_blocks * block_rows,);
    `X` has the inputs of all blocks where they stay, and `X_panels` the same numbers as panels of samples' rows.
    `partials` are sums of dW over a few blocks each; `of_tasks` has for each task its share of the penalty and of the
    gradient's squared norm, and then the factor that clips the gradient. `scratch` has `scratch_size` numbers for each
    worker, of which those from `amx_scratch` on are for AMX, and those from `gradient_scratch` on for dW of some rows.

    In training a step has a data phase for each of the `segments`, layers first:last, forward and backward: a batch
    normalisation, which begins a new one, waits for all samples. Layers below `first_trained` take part in the forward
    pass only. Inputs are read as `scale * x + shift`: forward `features_at_once` of a block, in the weight phase
    `columns_at_once` of the samples of `blocks_at_once`.
    """

    layers: IntegerTable  # (n_layers, LAYER_COLUMNS)
    settings: RealTable  # (n_layers, SETTINGS_COLUMNS)
    segments: IntegerTable  # (n_segments, 2)
    tasks: IntegerTable  # (n_tasks, TASK_COLUMNS)
    iota: Integers  # 0, 1, 2, ...
    loss: int
    loss_setting: float  # huber's delta, quantile's q, or the label smoothing of classification
    first_trained: int
    has_penalty: int
    is_online: int  # whether a step is one sample's, and goes in plain loops
    is_dense: int  # whether all layers are
    splits_tail: int  # whether the tail of the batch may go by itself
    n_targets: int
    steps: int  # of a sequence, at each of which there is an output and a target; 1 where a sample has one
    batch_size: int  # rows that fit the workspace
    block_rows: int  # samples of a block
    samples_stride: int  # of a row that has a number for each sample
    layout: int  # SAMPLE_MAJOR or FEATURE_MAJOR
    inputs: int  # PACKED, PACKED_CACHED, UNPACKED or ROWS_COPIED
    blocks_together: int
    features_at_once: int
    blocks_at_once: int
    columns_at_once: int
    workers: int  # threads that fit the workspace
    X: int
    X_panels: int
    Y: int
    L: int
    scores: int
    L_step: int  # and of one step
    scores_step: int
    partials: int
    of_tasks: int
    mask: int  # of each block a number for each step and sample: whether it is left out
    masked_steps: int  # of a sequence; 0: none is left out
    zeros: int  # as many as a block has rows, or `columns_at_once`, which nothing writes to
    scratch: int
    scratch_size: int
    amx_scratch: int
    gradient_scratch: int
    scale: float
    shift: float
    masked: float  # what all numbers of a step are that is left out
