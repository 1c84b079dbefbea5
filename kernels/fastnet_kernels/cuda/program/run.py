"""The compiled program: it runs any network, laid out as a table of instructions, over many mini-batches in one launch.

An instruction is an operation on one layer, cut into tasks that need nothing of each other; the blocks of the grid take
them in turn. Where an instruction needs what the ones before it make, all blocks wait for each other first. So a step
has no launches, and costs a few waits: with one hidden layer, for its activations, for the losses, for dZ, and for the
weights; the next mini-batch's samples are read meanwhile.

What each task sums up, and in which order, depends on shapes only: the same seed gives the same bits on any grid.
"""

import itertools
from types import FunctionType

from ...codes import CALL, OPENING, OPERATION, STOPS, TRAIN, WAITS
from ..codegen.arrays import as_argument
from ..codegen.compiling import cg, cuda, kernel
from ..codegen.launching import handle_of, launch_on
from ..gemm.tiles import shared_for
from ..layers.dispatch import count_tasks, do_task, do_task_or_convolve
from ..layers.sequences import count_tasks_of_sequences, do_task_of_sequences, do_task_of_sequences_or_convolve
from ..target import IS_SIMULATED, THREADS
from .workspace import Job, size_of_step


def _run(
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
    states,
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
    layers, settings, whole, real  the network's tables, in the columns named in `codes`
    parameters      (n,) of the dtype of everything: all W and b, gamma and beta, and running statistics
    gradients       (n,): all dW and db
    first_state, second_state  (n,): what the optimizer remembers; empty where it needs none
    workspace       activations and derivatives
    pixels, samples X (m_all, n_0), flat: as uint8, or of the dtype; the other one is empty
    targets         Y (m_all, n_targets), flat; one class index a row for cross-entropy
    weights         (m_all,), of the samples' losses; empty: all 1
    outputs         (m_all, n_L), flat, written by PREDICT
    states          (m_all, STATE_SIZE), flat: what recurrent layers begin with in PREDICT, and come to; empty: 0
    order           int64, the rows in the order of use, for as many epochs as the steps span; empty: as they lie
    optimizer       float64, the optimizer's settings, in the columns named in `codes`
    rates           float64 (n_steps, 3), for TRAIN: learning rates, and Adam's bias corrections
    keys            int64 (n_steps, n_layers, 2), the keys of Dropout, two halves of 32 bits
    costs, scores   float64 (n_steps,): the cost before the step's update, and the number of right predictions, or for
                    losses of numbers the sum of squared errors
    flags           int64 (1,): -1, or a step whose cost is NaN or infinite: it has changed no weights

    n_steps are those of the call, from `first_step` on. Only TRAIN ends at a cost that is not finite.
    """
    shared = shared_for(workspace)
    blocks, block = cuda.gridDim.x, cuda.blockIdx.x
    is_cooperative = last_instruction - first_instruction > 1
    begun = False
    for now in range(step, stop):
        job = Job(
            mode, layers, settings, whole, real, parameters, gradients, first_state, second_state, workspace, pixels,
            samples, targets, weights, outputs, states, order, optimizer, rates, keys, costs, scores, flags, m_all,
            batch_size, first_step, last_step, now, size_of_step(m_all, batch_size, now),
        )  # fmt: skip
        start, tasks_before = first_instruction, 0  # tasks since all blocks waited
        if now > first_step:
            start = max(start, OPENING)
        if mode == TRAIN and 0 <= flags[0] < now:
            return  # an earlier step, of another launch, has ended the run
        for number in range(start, last_instruction):
            instruction = instructions[number]
            if instruction[WAITS] != 0:
                tasks_before = 0
                if is_cooperative and begun:
                    if blocks > 1:
                        cg.this_grid().sync()
                    else:
                        cuda.syncthreads()
            if instruction[STOPS] != 0 and flags[0] >= 0:
                return
            begun = True
            tasks = count_tasks(job, instruction)
            for task in range((block - tasks_before) % blocks, tasks, blocks):
                do_task(job, instruction, task, shared)
                cuda.syncthreads()  # the next task may write to `shared`
            tasks_before += tasks


def _program(name, do_task, count_tasks=count_tasks):
    """`_run` as a kernel, with this `do_task`: compiled apart, and under a name of its own in the cache."""
    function = FunctionType(_run.__code__, {**globals(), "do_task": do_task, "count_tasks": count_tasks}, name)
    function.__qualname__, function.__doc__ = name, _run.__doc__
    return kernel(function)


# Convolutions take as long to compile as all else together, and layers for sequences a while: only networks that have
# some wait for them.
run, run_with_convolutions = _program("run", do_task), _program("run_with_convolutions", do_task_or_convolve)
run_with_sequences = _program("run_with_sequences", do_task_of_sequences, count_tasks_of_sequences)
run_with_both = _program("run_with_both", do_task_of_sequences_or_convolve, count_tasks_of_sequences)


def program_of(convolutions, sequences):
    """The program for networks with, or without, either kind of layer."""
    if sequences:
        return run_with_both if convolutions else run_with_sequences
    return run_with_convolutions if convolutions else run


def _launches(instructions):
    """first:last of the instructions that one launch runs: all that are between two calls of a library.

    In the simulator, whose blocks run one after the other, it is each by itself.
    """
    edges = {0, len(instructions)}
    for number, instruction in enumerate(instructions):
        if IS_SIMULATED or instruction[OPERATION] == CALL:
            edges |= {number, number + 1}
    return list(itertools.pairwise(sorted(edges)))


def start(program, blocks, stream, instructions, *arguments, first_step, last_step, call=None):
    """Run all steps by a program of `program_of`: in one launch on a GPU, of no more blocks than it can hold.

    Where instructions are calls of a library, each step takes several launches, and `call(instruction, step)` between
    two of them. Nothing waits for the GPU. `stream` is one of numba-cuda, or 0.
    """
    launches = _launches(instructions)
    if IS_SIMULATED:

        def begin(first, last, *steps):
            program[blocks, THREADS](instructions, first, last, *arguments, *steps)
    else:
        handle = handle_of(stream)
        table = as_argument(cuda.to_device(instructions, stream=stream), handle)
        given = [a if isinstance(a, int) else as_argument(a, handle) for a in arguments]

        def begin(first, last, *steps):
            launch_on(stream, program, blocks, table, first, last, *given, *steps)

    if len(launches) == 1:
        begin(*launches[0], first_step, last_step, first_step, last_step)
        return
    for step in range(first_step, last_step):
        for first, last in launches:
            if instructions[first, OPERATION] == CALL:
                call(instructions[first], step)
            elif step == first_step or last > OPENING:
                begin(first, last, first_step, last_step, step, step + 1)
