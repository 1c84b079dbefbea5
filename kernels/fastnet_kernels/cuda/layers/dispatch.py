"""What each operation and each kind of layer does: the only place where they are told apart.

A new kind is a file beside this one, an operation each for forward and backward, and a line for these in `count_tasks`
and `do_task`. Gradients of a kind that is not known are NaN, and never another layer's numbers: compiled code cannot
raise. The host, which writes the instructions, has operations of known kinds only. Those of layers for sequences are in
`sequences`.
"""

import math

from ...codes import (
    ADD_BACKWARD,
    ADD_FORWARD,
    AVERAGE_POOL_BACKWARD,
    AVERAGE_POOL_FORWARD,
    B_OFFSET,
    BATCH_NORM,
    BATCH_NORM_BACKWARD,
    BATCH_NORM_FORWARD,
    BATCH_NORM_SUMS,
    BIAS,
    CHANNELS,
    CONVOLVE,
    DROPOUT_BACKWARD,
    DROPOUT_FORWARD,
    FINISH,
    FUSES_OUTPUT,
    GAIN,
    GATHER,
    GATHER_NEXT,
    KIND,
    LAYER,
    LAYER_NORM,
    LAYER_NORM_BACKWARD,
    LAYER_NORM_FORWARD,
    MAX_POOL_BACKWARD,
    MAX_POOL_FORWARD,
    MULTIPLY,
    N_IN,
    N_OUT,
    OPERATION,
    OUTPUT,
    PARTIAL,
    PENALTY,
    ROLE,
    SKIP_BACKWARD,
    SLICES,
    SQUARES,
    STATISTICS_OFFSET,
    SUM_BIAS,
    TILE,
    TOTALS,
    UPDATE,
    W_OFFSET,
)
from ..codegen.compiling import cuda, inner
from ..gemm.tasks import finish, finish_numbers, multiply, rows_of_piece, shape_of, tiles_of
from ..gemm.tiles import height_of
from ..program.inputs import gather
from ..program.output import output_rows, sum_totals
from ..program.partition import n_blocks
from ..program.reducing import column_of, rows_at_once
from ..program.weight_update import (
    change,
    change_bias,
    count_of_parameters,
    sum_bias,
    sum_penalties,
    sum_squares,
    update_piece,
)
from ..program.workspace import repeats, rows_of, rows_of_output, size_of_step, units_of_output
from ..target import COLUMNS_AT_ONCE, PIECE
from .average_pool import average_pool_backward_task, average_pool_task
from .batch_norm import batch_norm_backward_task, batch_norm_gain, batch_norm_sums_task, batch_norm_task
from .conv import convolve
from .dropout import dropout_backward_task, dropout_task
from .layer_norm import layer_norm_backward_task, layer_norm_gain, layer_norm_task
from .max_pool import max_pool_backward_task, max_pool_task
from .residual import add_backward_task, add_task, skip_backward_task


@inner
def count_tasks(job, instruction):
    """How many tasks an instruction has in this step."""
    operation, role, l, slices = instruction[OPERATION], instruction[ROLE], instruction[LAYER], instruction[SLICES]
    n, n_in = job.layers[l, N_OUT], job.layers[l, N_IN]
    if operation in (MULTIPLY, CONVOLVE):
        return tiles_of(job, role, l, instruction[TILE]) * slices
    if operation == FINISH:
        rows, columns, _ = shape_of(job, role, l)
        return n_blocks(rows, rows_of_piece(columns))
    if operation == GATHER:
        return n_blocks(job.m * n_in, PIECE)
    if operation == GATHER_NEXT:
        if job.step + 1 >= job.last_step or repeats(job):
            return 0
        return n_blocks(size_of_step(job.m_all, job.batch_size, job.step + 1) * n_in, PIECE)
    if operation == OUTPUT:
        return n_blocks(rows_of_output(job), rows_at_once(units_of_output(job)))
    if operation in (LAYER_NORM_FORWARD, LAYER_NORM_BACKWARD):
        return n_blocks(rows_of(job, l), rows_at_once(job.layers[l, CHANNELS]))
    if operation == TOTALS:
        return 1
    if operation in (BIAS, GAIN):
        return n_blocks(job.layers[l, CHANNELS], COLUMNS_AT_ONCE)
    if operation in (BATCH_NORM_SUMS, BATCH_NORM_FORWARD, BATCH_NORM_BACKWARD, SUM_BIAS):
        return n_blocks(job.layers[l, CHANNELS], COLUMNS_AT_ONCE) * slices
    if operation in (
        DROPOUT_FORWARD, DROPOUT_BACKWARD, MAX_POOL_FORWARD, AVERAGE_POOL_FORWARD, ADD_FORWARD, ADD_BACKWARD,
        SKIP_BACKWARD,
    ):  # fmt: skip
        return n_blocks(job.m * n, PIECE)
    if operation in (MAX_POOL_BACKWARD, AVERAGE_POOL_BACKWARD):
        return n_blocks(job.m * n_in, PIECE)
    if operation == PENALTY:
        return n_blocks(job.layers[l, B_OFFSET] - job.layers[l, W_OFFSET], PIECE)
    return n_blocks(count_of_parameters(job, l), PIECE)


@inner
def _change_gain(job, l, task, shared):
    """A task: gamma and beta of some units of a normalisation, changed by their gradients."""
    n, (unit, first) = job.layers[l, CHANNELS], column_of(task)
    j, statistics = min(unit, n - 1), job.layers[l, STATISTICS_OFFSET]
    if job.layers[l, KIND] == BATCH_NORM:
        dgamma, dbeta = batch_norm_gain(job, statistics, n, j)
    elif job.layers[l, KIND] == LAYER_NORM:
        dgamma, dbeta = layer_norm_gain(job, l, statistics, n, j, first, shared)
    else:
        dgamma = dbeta = job.workspace.dtype.type(math.nan)
    if unit < n and first == 0:
        change(job, l, job.layers[l, W_OFFSET] + j, dgamma, False)
        change(job, l, job.layers[l, B_OFFSET] + j, dbeta, False)


@inner
def do_task(job, instruction, task, shared):
    """One task of an instruction: all threads of a block take part in it."""
    operation, role, l = instruction[OPERATION], instruction[ROLE], instruction[LAYER]
    slices, partial, first, last = instruction[SLICES], instruction[PARTIAL], 0, 0
    if operation == MULTIPLY:
        first = multiply(job, role, l, instruction[TILE], slices, partial, task, shared)
        if instruction[FUSES_OUTPUT] != 0:
            last = min(first + height_of(instruction[TILE], job.workspace), rows_of_output(job))
    elif operation == FINISH:
        finish(job, role, l, slices, partial, task)
    elif operation == GATHER:
        gather(job, job.step, task)
    elif operation == GATHER_NEXT:
        gather(job, job.step + 1, task)
    elif operation == TOTALS:
        sum_totals(job, shared)
    elif operation == BATCH_NORM_SUMS:
        batch_norm_sums_task(job, role, l, slices, partial, task, shared)
    elif operation == BATCH_NORM_FORWARD:
        batch_norm_task(job, l, slices, partial, task, shared)
    elif operation == LAYER_NORM_FORWARD:
        layer_norm_task(job, l, task, shared)
    elif operation == DROPOUT_FORWARD:
        dropout_task(job, l, task)
    elif operation == MAX_POOL_FORWARD:
        max_pool_task(job, l, task)
    elif operation == AVERAGE_POOL_FORWARD:
        average_pool_task(job, l, task)
    elif operation == ADD_FORWARD:
        add_task(job, l, task)
    elif operation == BATCH_NORM_BACKWARD:
        batch_norm_backward_task(job, l, slices, partial, task, shared)
    elif operation == LAYER_NORM_BACKWARD:
        layer_norm_backward_task(job, l, task, shared)
    elif operation == DROPOUT_BACKWARD:
        dropout_backward_task(job, l, task)
    elif operation == MAX_POOL_BACKWARD:
        max_pool_backward_task(job, l, task)
    elif operation == AVERAGE_POOL_BACKWARD:
        average_pool_backward_task(job, l, task)
    elif operation == ADD_BACKWARD:
        add_backward_task(job, l, task)
    elif operation == SKIP_BACKWARD:
        skip_backward_task(job, l, task)
    elif operation == SUM_BIAS:
        sum_bias(job, l, slices, partial, task, shared)
    elif operation == BIAS:
        change_bias(job, l, slices, partial, task, shared)
    elif operation == GAIN:
        _change_gain(job, l, task, shared)
    elif operation == PENALTY:
        sum_penalties(job, l, task, shared)
    elif operation == SQUARES:
        sum_squares(job, l, task, shared)
    elif operation == UPDATE:
        update_piece(job, l, task, shared)
    elif operation == OUTPUT:
        n = units_of_output(job)
        first = task * rows_at_once(n)
        last = min(first + rows_at_once(n), rows_of_output(job))
        if slices > 1:
            finish_numbers(job, role, l, slices, partial, first, last, 0, n)
    if last > first:
        cuda.syncthreads()  # whole rows of the last layer are there now
        output_rows(job, first, last, shared)


@inner
def do_task_or_convolve(job, instruction, task, shared):
    """`do_task` of networks that have convolutions."""
    if instruction[OPERATION] == CONVOLVE:
        convolve(
            job, instruction[ROLE], instruction[LAYER], instruction[TILE], instruction[SLICES], instruction[PARTIAL],
            task, shared,
        )  # fmt: skip
    else:
        do_task(job, instruction, task, shared)
