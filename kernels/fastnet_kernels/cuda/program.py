"""The compiled program: it runs any network, laid out as a table of instructions, over many mini-batches in one launch.

An instruction is an operation on one layer, cut into tasks that need nothing of each other; the blocks of the grid take
them in turn. Where an instruction needs what the ones before it make, all blocks wait for each other first. So a step
has no launches, and costs a few waits: with one hidden layer, for its activations, for the losses, for dZ, and for the
weights; the next mini-batch's samples are read meanwhile.

What each task sums up, and in which order, depends on shapes only: the same seed gives the same bits on any grid.
"""

import itertools

from ..codes import (
    B_OFFSET,
    BATCH_NORM_BACKWARD,
    BATCH_NORM_FORWARD,
    BIAS,
    CALL,
    DROPOUT_BACKWARD,
    DROPOUT_FORWARD,
    END,
    ENDS,
    FINISH,
    GAIN,
    GATHER,
    GATHER_NEXT,
    LAYER,
    LAYER_NORM_BACKWARD,
    LAYER_NORM_FORWARD,
    MAX_POOL_BACKWARD,
    MAX_POOL_FORWARD,
    MULTIPLY,
    N_IN,
    N_OUT,
    OPENING,
    OPERATION,
    PARTIAL,
    PENALTY,
    ROLE,
    SLICES,
    SQUARES,
    STOPS,
    TILE,
    TOTALS,
    TRAIN,
    UPDATE,
    W_OFFSET,
    WAITS,
)
from .blocks import n_blocks
from .compiling import cg, cuda, inner, kernel
from .dense import height_of
from .ending import end_rows, sum_totals
from .inputs import gather
from .max_pool import max_pool_backward_task, max_pool_task
from .multiplying import finish, finish_numbers, multiply, rows_of_piece, shape_of, tiles_of
from .passing import (
    batch_norm_backward_task,
    batch_norm_task,
    dropout_backward_task,
    dropout_task,
    layer_norm_backward_task,
    layer_norm_task,
)
from .places import Job, repeats, size_of_step
from .reducing import rows_at_once
from .sizes import COLUMNS_AT_ONCE, IS_SIMULATED, PIECE, SHARED, THREADS
from .weights import change_bias, change_gain, count_of_parameters, sum_penalties, sum_squares, update_piece


@inner
def _count_tasks(job, instruction):
    """How many tasks an instruction has in this step."""
    operation, role, l, slices = instruction[OPERATION], instruction[ROLE], instruction[LAYER], instruction[SLICES]
    n, n_in = job.layers[l, N_OUT], job.layers[l, N_IN]
    if operation == MULTIPLY:
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
    if operation in (END, LAYER_NORM_FORWARD, LAYER_NORM_BACKWARD):
        return n_blocks(job.m, rows_at_once(n))
    if operation == TOTALS:
        return 1
    if operation in (BATCH_NORM_FORWARD, BATCH_NORM_BACKWARD, BIAS, GAIN):
        return n_blocks(n, COLUMNS_AT_ONCE)
    if operation in (DROPOUT_FORWARD, DROPOUT_BACKWARD, MAX_POOL_FORWARD):
        return n_blocks(job.m * n, PIECE)
    if operation == MAX_POOL_BACKWARD:
        return n_blocks(job.m * n_in, PIECE)
    if operation == PENALTY:
        return n_blocks(job.layers[l, B_OFFSET] - job.layers[l, W_OFFSET], PIECE)
    return n_blocks(count_of_parameters(job, l), PIECE)


@inner
def _do(job, instruction, task, shared):
    """One task."""
    operation, role, l = instruction[OPERATION], instruction[ROLE], instruction[LAYER]
    slices, partial, first, last = instruction[SLICES], instruction[PARTIAL], 0, 0
    if operation == MULTIPLY:
        first = multiply(job, role, l, instruction[TILE], slices, partial, task, shared)
        if instruction[ENDS] != 0:
            last = min(first + height_of(instruction[TILE]), job.m)
    elif operation == FINISH:
        finish(job, role, l, slices, partial, task)
    elif operation == GATHER:
        gather(job, job.step, task)
    elif operation == GATHER_NEXT:
        gather(job, job.step + 1, task)
    elif operation == TOTALS:
        sum_totals(job, shared)
    elif operation == BATCH_NORM_FORWARD:
        batch_norm_task(job, l, task, shared)
    elif operation == LAYER_NORM_FORWARD:
        layer_norm_task(job, l, task, shared)
    elif operation == DROPOUT_FORWARD:
        dropout_task(job, l, task)
    elif operation == MAX_POOL_FORWARD:
        max_pool_task(job, l, task)
    elif operation == BATCH_NORM_BACKWARD:
        batch_norm_backward_task(job, l, task, shared)
    elif operation == LAYER_NORM_BACKWARD:
        layer_norm_backward_task(job, l, task, shared)
    elif operation == DROPOUT_BACKWARD:
        dropout_backward_task(job, l, task)
    elif operation == MAX_POOL_BACKWARD:
        max_pool_backward_task(job, l, task)
    elif operation == BIAS:
        change_bias(job, l, task, shared)
    elif operation == GAIN:
        change_gain(job, l, task, shared)
    elif operation == PENALTY:
        sum_penalties(job, l, task, shared)
    elif operation == SQUARES:
        sum_squares(job, l, task, shared)
    elif operation == UPDATE:
        update_piece(job, l, task, shared)
    elif operation == END:
        n = job.layers[l, N_OUT]
        first = task * rows_at_once(n)
        last = min(first + rows_at_once(n), job.m)
        if slices > 1:
            finish_numbers(job, role, l, slices, partial, first, last, 0, n)
    if last > first:
        cuda.syncthreads()  # whole rows of the last layer are there now
        end_rows(job, first, last, shared)


@kernel
def run(
    instructions,
    first_instruction,
    last_instruction,
    mode,
    layers,
    settings,
    whole,
    real,
    parameters,
    gradients,
    first_state,
    second_state,
    workspace,
    pixels,
    samples,
    targets,
    weights,
    outputs,
    order,
    optimizer,
    rates,
    keys,
    costs,
    scores,
    flags,
    m_all,
    batch_size,
    first_step,
    last_step,
    step,
    stop,
):
    """Run steps `step` to `stop` (exclusive) of a call's `first_step` to `last_step`, a mini-batch each.

    instructions    int64 (n, codes.INSTRUCTION_COLUMNS), the first codes.OPENING of them for a call's first step only;
                    first_instruction:last_instruction are run; of several, the blocks wait for each other
    mode            PREDICT, EVALUATE, GRADIENT or TRAIN of `codes`
    layers, settings, whole, real  the network's tables, in the places named in `codes`
    parameters      (n,) of the dtype of everything: all W and b, gamma and beta, and what normalisations remember
    gradients       (n,): all dW and db
    first_state, second_state  (n,): what the optimizer remembers; empty where it needs none
    workspace       activations and derivatives
    pixels, samples X (m_all, n_0), flat: as uint8, or of the dtype; the other one is empty
    targets         Y (m_all, n_targets), flat; one class index a row for cross-entropy
    weights         (m_all,), of the samples' losses; empty: all 1
    outputs         (m_all, n_L), flat, written by PREDICT
    order           int64, the rows in the order of use, for as many epochs as the steps span; empty: as they lie
    optimizer       float64, the optimizer's settings, in the places named in `codes`
    rates           float64 (n_steps, 3), for TRAIN: learning rates, and what Adam corrects by
    keys            int64 (n_steps, n_layers, 2), the keys of Dropout, two halves of 32 bits
    costs, scores   float64 (n_steps,): the cost before the step's update, and the number of right predictions, or for
                    losses of numbers the sum of squared errors
    flags           int64 (1,): -1, or a step whose cost is NaN or infinite: it has changed no weights

    n_steps are those of the call, from `first_step` on. Only TRAIN ends at a cost that is not finite.
    """
    shared = cuda.shared.array(SHARED, workspace.dtype)
    blocks, block = cuda.gridDim.x, cuda.blockIdx.x
    is_cooperative = last_instruction - first_instruction > 1
    begun = False
    for now in range(step, stop):
        job = Job(
            mode, layers, settings, whole, real, parameters, gradients, first_state, second_state, workspace, pixels,
            samples, targets, weights, outputs, order, optimizer, rates, keys, costs, scores, flags, m_all, batch_size,
            first_step, last_step, now, size_of_step(m_all, batch_size, now),
        )  # fmt: skip
        start, turn = first_instruction, 0  # `turn` is how many tasks there were since all blocks waited
        if now > first_step:
            start = max(start, OPENING)
        if mode == TRAIN and 0 <= flags[0] < now:
            return  # an earlier step, of another launch, has ended the run
        for number in range(start, last_instruction):
            instruction = instructions[number]
            if instruction[WAITS] != 0:
                turn = 0
                if is_cooperative and begun:
                    if blocks > 1:
                        cg.this_grid().sync()
                    else:
                        cuda.syncthreads()
            if instruction[STOPS] != 0 and flags[0] >= 0:
                return
            begun = True
            tasks = _count_tasks(job, instruction)
            for task in range((block - turn) % blocks, tasks, blocks):
                _do(job, instruction, task, shared)
                cuda.syncthreads()  # the next task may write to `shared`
            turn += tasks


def _launches(instructions):
    """first:last of the instructions that one launch runs: all that are between two calls of a library.

    In the simulator, whose blocks run one after the other, it is each by itself.
    """
    edges = {0, len(instructions)}
    for number, instruction in enumerate(instructions):
        if IS_SIMULATED or instruction[OPERATION] == CALL:
            edges |= {number, number + 1}
    return list(itertools.pairwise(sorted(edges)))


def start(blocks, stream, instructions, *arguments, first_step, last_step, call=None):
    """Run all steps: in one launch on a GPU, at most as many blocks as it can hold at once.

    Where instructions are calls of a library, each step takes several launches, and `call(instruction, step)` between
    two of them. Nothing waits for the GPU.
    """
    launches, table = _launches(instructions), instructions
    if not IS_SIMULATED:
        table = cuda.to_device(instructions, stream=stream)
    if len(launches) == 1:
        run[blocks, THREADS, stream](table, *launches[0], *arguments, first_step, last_step, first_step, last_step)
        return
    for step in range(first_step, last_step):
        for first, last in launches:
            if instructions[first, OPERATION] == CALL:
                call(instructions[first], step)
            elif step == first_step or last > OPENING:
                run[blocks, THREADS, stream](
                    table, first, last, *arguments, first_step, last_step, step, step + 1
                )  # fmt: skip
