"""What an optimizer does to the parameters, in one pass over the flat buffers: all (n,), changed in place.

`weight_decay` adds its multiple of the parameters to the gradients, which makes them smaller with every step.
"""

import numpy as np


def sgd(parameters, gradients, learning_rate):
    """parameters -= learning_rate * gradients."""
    parameters -= learning_rate * gradients


def sgd_momentum(parameters, gradients, velocity, learning_rate, momentum, weight_decay, nesterov):
    """velocity = momentum * velocity + g; parameters -= learning_rate * velocity (Polyak, 1964).

    With `nesterov` the step is g + momentum * velocity (Sutskever et al., 2013).
    """
    g = gradients + weight_decay * parameters
    velocity[...] = momentum * velocity + g
    parameters -= learning_rate * (g + momentum * velocity if nesterov else velocity)


def rmsprop(parameters, gradients, velocity, mean_square, learning_rate, decay, momentum, epsilon, weight_decay):
    """mean_square = decay * mean_square + (1 - decay) * g^2; the step is g / (sqrt(mean_square) + epsilon).

    With the step's own momentum, velocity = momentum * velocity + step (Tieleman and Hinton, 2012).
    """
    g = gradients + weight_decay * parameters
    mean_square[...] = decay * mean_square + (1 - decay) * g * g
    velocity[...] = momentum * velocity + g / (np.sqrt(mean_square) + epsilon)
    parameters -= learning_rate * velocity


def adam(parameters, gradients, mean, mean_square, step, learning_rate, beta1, beta2, epsilon, weight_decay):
    """parameters -= learning_rate * mean^ / (sqrt(mean_square^) + epsilon) (Kingma and Ba, 2015).

    mean = beta1 * mean + (1 - beta1) * g, and so the mean square with beta2 and g^2; ^ divides by 1 - beta^step, for
    the steps 1, 2, ...
    """
    g = gradients + weight_decay * parameters
    mean[...] = beta1 * mean + (1 - beta1) * g
    mean_square[...] = beta2 * mean_square + (1 - beta2) * g * g
    corrected = np.sqrt(mean_square) / np.sqrt(1 - beta2**step)
    parameters -= learning_rate / (1 - beta1**step) * mean / (corrected + epsilon)


def adamw(parameters, gradients, mean, mean_square, step, learning_rate, beta1, beta2, epsilon, weight_decay):
    """parameters := (1 - learning_rate * weight_decay) * parameters, and then a step of `adam` without weight decay.

    So the decay is beside the gradients, which know nothing of it (Loshchilov and Hutter, 2019).
    """
    parameters *= 1 - learning_rate * weight_decay
    adam(parameters, gradients, mean, mean_square, step, learning_rate, beta1, beta2, epsilon, 0.0)
