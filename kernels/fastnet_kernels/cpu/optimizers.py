"""What an optimizer does to the parameters, in one pass over the flat buffers. Formulas: `reference.optimizers`.

The building blocks `..._of` take some parameters, (n,), and change them in place; in the program `update` chooses one.
"""

import math
from typing import NamedTuple

from numba import njit

from ..codes import (
    ADAM,
    ADAMW,
    EPSILON_HAT,
    FIRST_DECAY,
    MOMENTUM,
    NESTEROV,
    OPTIMIZER,
    OPTIMIZER_EPSILON,
    OPTIMIZERS,
    PLAIN,
    RMSPROP,
    SECOND_DECAY,
    WEIGHT_DECAY,
)
from .codegen.arrays import vector
from .codegen.compiling import inner, routine
from .codegen.matrix import row_of


@inner
def sgd_of(parameters, gradients, learning_rate):
    """A step of plain gradient descent; both (n,)."""
    rate = parameters.dtype.type(learning_rate)
    for i in range(parameters.size):
        parameters[i] -= rate * gradients[i]


@inner
def sgd_momentum_of(parameters, gradients, velocity, learning_rate, momentum, weight_decay, nesterov):
    """A step of gradient descent with momentum; all arrays (n,)."""
    kind = parameters.dtype.type
    rate, mu, shrink = kind(learning_rate), kind(momentum), kind(weight_decay)
    of_g, of_velocity = (kind(1), mu) if nesterov else (kind(0), kind(1))
    for i in range(parameters.size):
        g = gradients[i] + shrink * parameters[i]
        v = mu * velocity[i] + g
        velocity[i] = v
        parameters[i] -= rate * (of_g * g + of_velocity * v)


@njit(fastmath={"contract", "nsz"})  # no "reassoc": g * g is infinite sooner, for a g that is not too large yet
def _share_of_square(share, g):
    return share * g * g


@inner
def _mean_of_squares(old, mean_square, new, g, infinity, nan):
    """old * mean_square + new * g^2; NaN where it is infinite, which would make steps of nothing, and nobody see it."""
    square = old * mean_square + _share_of_square(new, g)
    return square if square < infinity else nan


class RMSProp(NamedTuple):
    """Settings of RMSProp."""

    decay: float
    momentum: float
    epsilon: float
    weight_decay: float


class Adam(NamedTuple):
    """Settings of Adam; with a decoupled weight decay, beside the gradients, it is AdamW."""

    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    is_decoupled: bool
    has_epsilon_hat: bool  # epsilon is added to the root of the mean square before that is corrected


class AdamStep(NamedTuple):
    """What all parameters of a step of Adam have in common: see `adam_step`."""

    rate: float  # learning_rate / (1 - beta1^step)
    unbias: float  # 1 / sqrt(1 - beta2^step)
    keep: float  # 1 - learning_rate * weight_decay of AdamW, else 1
    epsilon: float  # as it is added to the corrected root


@inner
def rmsprop_of(parameters, gradients, velocity, mean_square, learning_rate, settings):
    """A step of RMSProp with momentum; all arrays (n,), `settings` an `RMSProp`."""
    kind = parameters.dtype.type
    rate, mu = kind(learning_rate), kind(settings.momentum)
    eps, shrink = kind(settings.epsilon), kind(settings.weight_decay)
    old, new, most, nan = kind(settings.decay), kind(1 - settings.decay), kind(math.inf), kind(math.nan)
    for i in range(parameters.size):
        g = gradients[i] + shrink * parameters[i]
        square = _mean_of_squares(old, mean_square[i], new, g, most, nan)
        v = mu * velocity[i] + g / (math.sqrt(square) + eps)
        mean_square[i], velocity[i] = square, v
        parameters[i] -= rate * v


@inner
def adam_step(step, learning_rate, settings):
    """The `AdamStep` of a step, from 1 on; `settings` an `Adam`. Its powers take as long as hundreds of parameters."""
    unbias = 1 / math.sqrt(1 - settings.beta2**step)
    return AdamStep(
        learning_rate / (1 - settings.beta1**step),
        unbias,
        1 - learning_rate * settings.weight_decay if settings.is_decoupled else 1.0,
        settings.epsilon * unbias if settings.has_epsilon_hat else settings.epsilon,
    )


@inner
def adam_of(parameters, gradients, mean, mean_square, settings, step):
    """A step of Adam, or AdamW; all arrays (n,), `settings` an `Adam`, `step` an `AdamStep`."""
    kind, beta1, beta2 = parameters.dtype.type, settings.beta1, settings.beta2
    old1, new1, old2, new2 = kind(beta1), kind(1 - beta1), kind(beta2), kind(1 - beta2)
    rate, unbias, keep = kind(step.rate), kind(step.unbias), kind(step.keep)
    eps, shrink = kind(step.epsilon), kind(0 if settings.is_decoupled else settings.weight_decay)
    most, nan = kind(math.inf), kind(math.nan)
    for i in range(parameters.size):
        g = gradients[i] + shrink * parameters[i]
        first = old1 * mean[i] + new1 * g
        second = _mean_of_squares(old2, mean_square[i], new2, g, most, nan)
        mean[i], mean_square[i] = first, second
        parameters[i] = keep * parameters[i] - rate * first / (math.sqrt(second) * unbias + eps)


@inner
def _states_of(job, offset, count):
    """`count` parameters from an offset on, and what the optimizer remembers of them: vectors."""
    return (
        vector(job.parameters, offset, count),
        vector(job.first_state, offset, count),
        vector(job.second_state, offset, count),
    )


@routine(component=OPTIMIZERS)
def update(job, gradients, offset, rows, row_stride, count):
    """The step's optimizer changes `rows` times `count` parameters, from an offset on, by their gradients, a `Matrix`.

    If it is unknown, they become NaN.
    """
    settings, rate = job.optimizer, job.learning_rate
    kind, decay, epsilon = settings[OPTIMIZER], settings[WEIGHT_DECAY], settings[OPTIMIZER_EPSILON]
    first_decay, second_decay = settings[FIRST_DECAY], settings[SECOND_DECAY]
    of_rmsprop = RMSProp(second_decay, first_decay, epsilon, decay)
    of_adam = Adam(first_decay, second_decay, epsilon, decay, kind == ADAMW, settings[EPSILON_HAT] != 0)
    step = adam_step(job.count, rate, of_adam) if kind in (ADAM, ADAMW) else AdamStep(rate, 1.0, 1.0, epsilon)
    if row_stride == gradients.row_stride == count:  # one right behind the other: one row, then
        rows, count = min(rows, 1), rows * count
    for row in range(rows):
        parameters, first, second = _states_of(job, offset + row * row_stride, count)
        numbers = row_of(gradients, row, 0, count)
        if kind == PLAIN:
            sgd_of(parameters, numbers, rate)
        elif kind == MOMENTUM:
            sgd_momentum_of(parameters, numbers, first, rate, first_decay, decay, settings[NESTEROV] != 0)
        elif kind == RMSPROP:
            rmsprop_of(parameters, numbers, first, second, rate, of_rmsprop)
        elif kind in (ADAM, ADAMW):
            adam_of(parameters, numbers, first, second, of_adam, step)
        else:
            parameters[:] = math.nan
