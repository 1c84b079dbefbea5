"""What each operation of the layers for sequences does, beside those of `dispatch`: in programs of their own."""

from ...codes import (
    BEGIN,
    CHANNELS,
    EMBEDDING_FORWARD,
    EMBEDDING_WEIGHTS,
    FINISH_WEIGHTS,
    LAYER,
    MASK,
    MASKED_STEPS,
    N_OUT,
    OF_SEQUENCES,
    OPERATION,
    PARTIAL,
    ROLE,
    SEQUENCE_BIAS,
    SEQUENCE_PRODUCT,
    SLICES,
    STEP,
    STEP_BACKWARD,
    STEP_FORWARD,
    TILE,
)
from ..codegen.compiling import inner
from ..program.partition import n_blocks
from ..target import COLUMNS_AT_ONCE, PIECE
from .dispatch import count_tasks, do_task, do_task_or_convolve
from .embedding import embedding_task, embedding_weights_task, numbers_of_embedding
from .masking import mask_task
from .recurrent import begin, change_biases, count_products, finish_weights, multiply_sequences
from .recurrent.memory import extents_of

_FIRST = OF_SEQUENCES[0]


@inner
def count_tasks_of_sequences(job, instruction):
    """`count_tasks` of networks that have layers for sequences."""
    operation, l = instruction[OPERATION], instruction[LAYER]
    if operation < _FIRST:
        return count_tasks(job, instruction)
    if operation in (SEQUENCE_PRODUCT, STEP_FORWARD, STEP_BACKWARD):
        return count_products(job, operation, instruction[ROLE], l, instruction[TILE], instruction[SLICES])
    if operation == MASK:
        return n_blocks(job.m * job.whole[MASKED_STEPS], PIECE)
    if operation == EMBEDDING_FORWARD:
        return n_blocks(job.m * job.layers[l, N_OUT], PIECE)
    if operation == EMBEDDING_WEIGHTS:
        return n_blocks(numbers_of_embedding(job, l), COLUMNS_AT_ONCE)
    if operation == BEGIN:
        return n_blocks(extents_of(job, l).states, PIECE)
    if operation == SEQUENCE_BIAS:
        return n_blocks(job.layers[l, CHANNELS], COLUMNS_AT_ONCE)
    extents = extents_of(job, l)
    return n_blocks(extents.directions * extents.gates * extents.n * (extents.n + extents.n_in), PIECE)


def _with_sequences(do_task):
    """`do_task`, and beside it the operations of layers for sequences."""

    @inner
    def do(job, instruction, task, shared):
        operation, l = instruction[OPERATION], instruction[LAYER]
        if operation < _FIRST:
            do_task(job, instruction, task, shared)
        elif operation in (SEQUENCE_PRODUCT, STEP_FORWARD, STEP_BACKWARD):
            multiply_sequences(
                job, operation, instruction[ROLE], l, instruction[STEP], instruction[TILE], instruction[SLICES],
                instruction[PARTIAL], task, shared,
            )  # fmt: skip
        elif operation == MASK:
            mask_task(job, task)
        elif operation == EMBEDDING_FORWARD:
            embedding_task(job, l, task)
        elif operation == EMBEDDING_WEIGHTS:
            embedding_weights_task(job, l, task, shared)
        elif operation == BEGIN:
            begin(job, l, task)
        elif operation == SEQUENCE_BIAS:
            change_biases(job, l, task, shared)
        elif operation == FINISH_WEIGHTS:
            finish_weights(job, l, instruction[SLICES], instruction[PARTIAL], task)

    return do


do_task_of_sequences, do_task_of_sequences_or_convolve = _with_sequences(do_task), _with_sequences(do_task_or_convolve)
