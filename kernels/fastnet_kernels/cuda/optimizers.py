"""What an optimizer does to the parameters, in one pass over the flat buffers. Formulas: `reference.optimizers`.

The building blocks `..._of` take one parameter, and what is remembered of it, and return both as they are after the
step; in the program `update_parameter` chooses one.
"""

import math

import numpy as np

from ..codes import (
    ADAM,
    ADAMW,
    EPSILON_HAT,
    FIRST_DECAY,
    LEARNING_RATE,
    MEAN_CORRECTION,
    MEAN_SQUARE_CORRECTION,
    MOMENTUM,
    NESTEROV,
    OPTIMIZER,
    OPTIMIZER_EPSILON,
    PLAIN,
    RMSPROP,
    SECOND_DECAY,
    WEIGHT_DECAY,
)
from .codegen.arrays import flat
from .codegen.compiling import cuda, formula, inner, kernel
from .codegen.launching import launch
from .target import PIECE


@formula
def sgd_of(p, g, rate):
    """The new parameter."""
    return p - type(p)(rate) * g


@formula
def sgd_momentum_of(p, g, velocity, rate, momentum, weight_decay, nesterov):
    """The new parameter and velocity."""
    kind = type(p)
    mu = kind(momentum)
    g += kind(weight_decay) * p
    velocity = mu * velocity + g
    return p - kind(rate) * (g + mu * velocity if nesterov else velocity), velocity


@formula
def _mean_of_squares(old, mean_square, new, g):
    """old * mean_square + new * g^2; NaN where it is infinite, which would make steps of nothing, and nobody see it."""
    square = old * mean_square + new * g * g
    return square if square < math.inf else type(g)(math.nan)


@formula
def rmsprop_of(p, g, velocity, mean_square, rate, decay, momentum, epsilon, weight_decay):
    """The new parameter, velocity and mean square."""
    kind = type(p)
    g += kind(weight_decay) * p
    mean_square = _mean_of_squares(kind(decay), mean_square, kind(1 - decay), g)
    velocity = kind(momentum) * velocity + g / (math.sqrt(mean_square) + kind(epsilon))
    return p - kind(rate) * velocity, velocity, mean_square


@formula
def adam_of(
    p, g, mean, mean_square, mean_correction, mean_square_correction, rate, beta1, beta2, epsilon, weight_decay,
    is_decoupled,
):  # fmt: skip
    """The new parameter, mean and mean square. With a decoupled weight decay (`is_decoupled`) it is AdamW.

    `mean_correction` and `mean_square_correction` are those of `corrections`.
    """
    kind = type(p)
    g += kind(0 if is_decoupled else weight_decay) * p
    mean = kind(beta1) * mean + kind(1 - beta1) * g
    mean_square = _mean_of_squares(kind(beta2), mean_square, kind(1 - beta2), g)
    keep = kind(1 - rate * weight_decay if is_decoupled else 1)
    step = kind(rate * mean_correction) * mean / (math.sqrt(mean_square) * kind(mean_square_correction) + kind(epsilon))
    return keep * p - step, mean, mean_square


@inner
def update_parameter(job, offset, g):
    """Change one parameter by its gradient g, as the network's optimizer does."""
    settings, row = job.optimizer, job.step - job.first_step
    kind, decay, epsilon = settings[OPTIMIZER], settings[WEIGHT_DECAY], settings[OPTIMIZER_EPSILON]
    first_decay, second_decay = settings[FIRST_DECAY], settings[SECOND_DECAY]
    rate, p = job.rates[row, LEARNING_RATE], job.parameters[offset]
    if kind == PLAIN:
        job.parameters[offset] = sgd_of(p, g, rate)
    elif kind == MOMENTUM:
        job.parameters[offset], job.first_state[offset] = sgd_momentum_of(
            p, g, job.first_state[offset], rate, first_decay, decay, settings[NESTEROV] != 0
        )
    elif kind == RMSPROP:
        job.parameters[offset], job.first_state[offset], job.second_state[offset] = rmsprop_of(
            p, g, job.first_state[offset], job.second_state[offset], rate, second_decay, first_decay, epsilon, decay
        )
    elif kind in (ADAM, ADAMW):
        unbias = job.rates[row, MEAN_SQUARE_CORRECTION]
        if settings[EPSILON_HAT] != 0:
            epsilon *= unbias
        job.parameters[offset], job.first_state[offset], job.second_state[offset] = adam_of(
            p, g, job.first_state[offset], job.second_state[offset], job.rates[row, MEAN_CORRECTION],
            unbias, rate, first_decay, second_decay, epsilon, decay, kind == ADAMW,
        )  # fmt: skip
    else:
        job.parameters[offset] = math.nan


@kernel
def _sgd(parameters, gradients, rate):
    for i in range(cuda.grid(1), parameters.size, cuda.gridsize(1)):
        parameters[i] = sgd_of(parameters[i], gradients[i], rate)


@kernel
def _sgd_momentum(parameters, gradients, velocity, rate, momentum, weight_decay, nesterov):
    for i in range(cuda.grid(1), parameters.size, cuda.gridsize(1)):
        parameters[i], velocity[i] = sgd_momentum_of(
            parameters[i], gradients[i], velocity[i], rate, momentum, weight_decay, nesterov
        )


@kernel
def _rmsprop(parameters, gradients, velocity, mean_square, rate, decay, momentum, epsilon, weight_decay):
    for i in range(cuda.grid(1), parameters.size, cuda.gridsize(1)):
        parameters[i], velocity[i], mean_square[i] = rmsprop_of(
            parameters[i], gradients[i], velocity[i], mean_square[i], rate, decay, momentum, epsilon, weight_decay
        )


@kernel
def _adam(
    parameters, gradients, mean, mean_square, mean_correction, mean_square_correction, rate, beta1, beta2, epsilon,
    weight_decay, is_decoupled,
):  # fmt: skip
    for i in range(cuda.grid(1), parameters.size, cuda.gridsize(1)):
        parameters[i], mean[i], mean_square[i] = adam_of(
            parameters[i], gradients[i], mean[i], mean_square[i], mean_correction, mean_square_correction, rate, beta1,
            beta2, epsilon, weight_decay, is_decoupled,
        )  # fmt: skip


def _launch(kernel, arrays, *settings):
    arrays = flat(*arrays)
    launch(kernel, -(-arrays[0].size // PIECE), *arrays, *map(float, settings))


def sgd(parameters, gradients, learning_rate):
    """parameters -= learning_rate * gradients, in place; both (n,)."""
    _launch(_sgd, (parameters, gradients), learning_rate)


def sgd_momentum(parameters, gradients, velocity, learning_rate, momentum, weight_decay, nesterov):
    """velocity = momentum * velocity + g; parameters -= learning_rate * velocity, in place; all (n,)."""
    _launch(_sgd_momentum, (parameters, gradients, velocity), learning_rate, momentum, weight_decay, nesterov)


def rmsprop(parameters, gradients, velocity, mean_square, learning_rate, decay, momentum, epsilon, weight_decay):
    """mean_square = decay * mean_square + (1 - decay) * g^2; velocity = momentum * velocity + g / its root; (n,)."""
    arrays = (parameters, gradients, velocity, mean_square)
    _launch(_rmsprop, arrays, learning_rate, decay, momentum, epsilon, weight_decay)


def corrections(step, beta1, beta2):
    """Adam's bias corrections, for one step or a vector of them: of the mean, and of the root of the mean square."""
    return 1 / (1 - beta1**step), 1 / np.sqrt(1 - beta2**step)


def adam(parameters, gradients, mean, mean_square, step, learning_rate, beta1, beta2, epsilon, weight_decay):
    """parameters -= learning_rate * mean / (sqrt(mean_square) + epsilon), both corrected for `step` (from 1); (n,)."""
    arrays = (parameters, gradients, mean, mean_square)
    _launch(_adam, arrays, *corrections(step, beta1, beta2), learning_rate, beta1, beta2, epsilon, weight_decay, False)


def adamw(parameters, gradients, mean, mean_square, step, learning_rate, beta1, beta2, epsilon, weight_decay):
    """`adam` with weight decay that does not go through the gradients (Loshchilov and Hutter, 2019); all (n,)."""
    arrays = (parameters, gradients, mean, mean_square)
    _launch(_adam, arrays, *corrections(step, beta1, beta2), learning_rate, beta1, beta2, epsilon, weight_decay, True)
