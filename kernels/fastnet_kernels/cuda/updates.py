"""What an optimizer does to the parameters, in one pass over the flat buffers. Formulas: `reference.updates`.

The building blocks change one parameter, and what is remembered of it.
"""

import math

import numpy as np

from .compiling import cuda, formula, kernel
from .launching import flat, launch
from .sizes import PIECE


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
def adam_of(p, g, mean, mean_square, of_mean, of_mean_square, rate, beta1, beta2, epsilon, weight_decay, beside):
    """The new parameter, mean and mean square. With weight decay `beside` the gradients it is AdamW.

    For `of_mean` and `of_mean_square` see `corrections`.
    """
    kind = type(p)
    g += kind(0 if beside else weight_decay) * p
    mean = kind(beta1) * mean + kind(1 - beta1) * g
    mean_square = _mean_of_squares(kind(beta2), mean_square, kind(1 - beta2), g)
    keep = kind(1 - rate * weight_decay if beside else 1)
    step = kind(rate * of_mean) * mean / (math.sqrt(mean_square) * kind(of_mean_square) + kind(epsilon))
    return keep * p - step, mean, mean_square


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
    parameters, gradients, mean, mean_square, of_mean, of_mean_square, rate, beta1, beta2, epsilon, weight_decay, beside
):  # fmt: skip
    for i in range(cuda.grid(1), parameters.size, cuda.gridsize(1)):
        parameters[i], mean[i], mean_square[i] = adam_of(
            parameters[i], gradients[i], mean[i], mean_square[i], of_mean, of_mean_square, rate, beta1, beta2, epsilon,
            weight_decay, beside,
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
    """What `adam_of` multiplies mean and root of the mean square with, for one step or a vector of them."""
    return 1 / (1 - beta1**step), 1 / np.sqrt(1 - beta2**step)


def adam(parameters, gradients, mean, mean_square, step, learning_rate, beta1, beta2, epsilon, weight_decay):
    """parameters -= learning_rate * mean / (sqrt(mean_square) + epsilon), both corrected for `step` (from 1); (n,)."""
    arrays = (parameters, gradients, mean, mean_square)
    _launch(_adam, arrays, *corrections(step, beta1, beta2), learning_rate, beta1, beta2, epsilon, weight_decay, False)


def adamw(parameters, gradients, mean, mean_square, step, learning_rate, beta1, beta2, epsilon, weight_decay):
    """`adam` with weight decay beside the gradients; all (n,)."""
    arrays = (parameters, gradients, mean, mean_square)
    _launch(_adam, arrays, *corrections(step, beta1, beta2), learning_rate, beta1, beta2, epsilon, weight_decay, True)
