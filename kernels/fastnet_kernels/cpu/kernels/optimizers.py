"""The optimizers as public kernels: one pass over the parameters and what goes with them, all (n,), in place."""

from ..codegen.arrays import flat, vector
from ..codegen.compiling import inner, routine
from ..codegen.kernel import kernel
from ..codegen.processor import TARGET
from ..codegen.tasks import run_tasks
from ..optimizers import Adam, RMSProp, adam_of, adam_step, rmsprop_of, sgd_momentum_of, sgd_of
from ..partition import bounds, n_blocks, worth_threads

_NUMBERS = TARGET.optimizer_numbers


@routine
def _sgd_task(task, n, parameters, gradients, learning_rate):
    i, end = bounds(task, n, _NUMBERS)
    sgd_of(vector(parameters, i, end - i), vector(gradients, i, end - i), learning_rate)


@routine
def _momentum_task(task, n, parameters, gradients, velocity, learning_rate, momentum, weight_decay, nesterov):
    i, end = bounds(task, n, _NUMBERS)
    w, g, v = vector(parameters, i, end - i), vector(gradients, i, end - i), vector(velocity, i, end - i)
    sgd_momentum_of(w, g, v, learning_rate, momentum, weight_decay, nesterov)


@routine
def _rmsprop_task(task, n, parameters, gradients, velocity, mean_square, learning_rate, settings):
    i, end = bounds(task, n, _NUMBERS)
    w, g, v = vector(parameters, i, end - i), vector(gradients, i, end - i), vector(velocity, i, end - i)
    rmsprop_of(w, g, v, vector(mean_square, i, end - i), learning_rate, settings)


@routine
def _adam_task(task, n, parameters, gradients, mean, mean_square, settings, step):
    i, end = bounds(task, n, _NUMBERS)
    w, g, m = vector(parameters, i, end - i), vector(gradients, i, end - i), vector(mean, i, end - i)
    adam_of(w, g, m, vector(mean_square, i, end - i), settings, step)


@inner
def _run(task, parameters, arguments):
    """Call a task for each piece of the parameters, with how many these are and the arguments."""
    n = parameters.size
    run_tasks(n_blocks(n, _NUMBERS), worth_threads(n * parameters.itemsize, 2), task, (n, flat(parameters), *arguments))


@inner
def _adam(parameters, gradients, mean, mean_square, step, learning_rate, settings):
    step = adam_step(step, learning_rate, settings)
    _run(_adam_task, parameters, (flat(gradients), flat(mean), flat(mean_square), settings, step))


@kernel
def sgd(parameters, gradients, learning_rate):
    """parameters -= learning_rate * gradients, in place; both (n,)."""
    _run(_sgd_task, parameters, (flat(gradients), learning_rate))


@kernel
def sgd_momentum(parameters, gradients, velocity, learning_rate, momentum, weight_decay, nesterov):
    """velocity = momentum * velocity + g; parameters -= learning_rate * velocity, in place; all (n,)."""
    settings = learning_rate, momentum, weight_decay, nesterov
    _run(_momentum_task, parameters, (flat(gradients), flat(velocity), *settings))


@kernel
def rmsprop(parameters, gradients, velocity, mean_square, learning_rate, decay, momentum, epsilon, weight_decay):
    """mean_square = decay * mean_square + (1 - decay) * g^2; velocity = momentum * velocity + g / its root; (n,)."""
    settings = RMSProp(decay, momentum, epsilon, weight_decay)
    _run(_rmsprop_task, parameters, (flat(gradients), flat(velocity), flat(mean_square), learning_rate, settings))


@kernel
def adam(parameters, gradients, mean, mean_square, step, learning_rate, beta1, beta2, epsilon, weight_decay):
    """parameters -= learning_rate * mean / (sqrt(mean_square) + epsilon), both corrected for `step` (from 1); (n,)."""
    settings = Adam(beta1, beta2, epsilon, weight_decay, False, False)
    _adam(parameters, gradients, mean, mean_square, step, learning_rate, settings)


@kernel
def adamw(parameters, gradients, mean, mean_square, step, learning_rate, beta1, beta2, epsilon, weight_decay):
    """parameters *= 1 - learning_rate * weight_decay, then a step of `adam` without weight decay; all (n,)."""
    settings = Adam(beta1, beta2, epsilon, weight_decay, True, False)
    _adam(parameters, gradients, mean, mean_square, step, learning_rate, settings)
