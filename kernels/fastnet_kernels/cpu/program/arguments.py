"""What the compiled program is called with, and what it hands on to its phases. No Numba is needed to make it.

A field's type stands here and nowhere else: `codegen.signatures` makes Numba's of it.
"""

from collections import namedtuple
from typing import NamedTuple

from ...codes import Bytes, Integers, Numbers, NumberTable, Plan, Reals


class Arguments(NamedTuple):
    """The arguments of `run`. Numbers are of the program's dtype; nothing that is not written is copied."""

    mode: int  # PREDICT, EVALUATE, GRADIENT or TRAIN of `codes`
    plan: Plan  # the network, laid out for mini-batches of at least `batch_size`
    parameters: Numbers  # (n,): all W and b, gamma and beta, and running statistics
    gradients: Numbers  # (n,): all dW and db, written in mode GRADIENT, and for use in TRAIN
    first_state: Numbers  # (n,): what the optimizer remembers; empty where it needs none
    second_state: Numbers  # (n,)
    workspace: Numbers  # the plan's activations and derivatives
    samples: Bytes  # X (m, n_0), row after row: uint8 pixels if `are_bytes`, else of the dtype
    are_bytes: bool
    targets: NumberTable  # Y (m, plan.n_targets), one class index a row for cross-entropy; empty for PREDICT
    weights: Numbers  # (m,), of the samples' losses; empty: all 1
    outputs: NumberTable  # (m, n_L), written by PREDICT; else empty
    states: NumberTable  # (m, all states), read and written by PREDICT; empty: recurrent layers begin at 0
    order: Integers  # the rows in the order of use, for as many epochs as the steps span; empty: as they lie
    rows: Integers  # for the rows of a mini-batch's blocks, and the target's `samples_beyond`
    has_inputs: bool  # `rows`, and inputs and targets in the workspace, are still those of this one mini-batch
    batch_size: int
    first_step: int
    last_step: int  # exclusive
    optimizer: Reals  # its settings, at the indices named in `codes`
    learning_rates: Reals  # an entry a step, for TRAIN
    steps_before: int  # steps of training that came before the first one
    dropout_seed: int  # random, of which Dropout makes a key for each layer and step
    costs: Reals  # written, an entry a step: the cost before the step's update
    scores: Reals  # written: how many predictions are right, or for losses of numbers the sum of squared errors
    workers: int  # threads that share a step, at most as many as the plan has scratch for


class Step(NamedTuple):
    """What changes from step to step."""

    start: int  # the mini-batch's first row, or its index in `order`
    m: int  # samples of the mini-batch
    tail: int  # the last ones, which may go by themselves
    again: bool  # these are the samples of the step before, in the same order
    learning_rate: float
    count: int  # the step's number since training began, from 1 on


# One step, as all that computes it sees it: by reference, with the fields of both.
Job = namedtuple("Job", Arguments._fields + Step._fields)
