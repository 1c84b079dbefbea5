"""JAX: all epochs in one jitted call, a scan over epochs around a scan over mini-batches, parameters donated."""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..convolutional import Conv, Pool
from ..recurrent import Recurrence
from ..workloads import Weights
from . import Peer

jax.config.update("jax_platforms", "cpu")


class Layers(NamedTuple):
    """What is between the weights: what stands before the dense layers, and g behind each but the last of these."""

    front: tuple[Conv | Pool, ...]
    hidden: Callable[[Any], Any]
    n_weights: int  # of (W, b), convolutions and a recurrent layer among them; behind these come (gamma, beta)
    has_dropout: bool = False
    recurrence: Recurrence | None = None


def forward(parameters: Any, A: Any, layers: Layers, statistics: Any, key: Any = None) -> tuple[Any, Any]:
    """Z (m, n_L), and the statistics (mean, variance) that the normalisations keep, each (n_l,).

    In training, which has a `key` for its dropout, these change; in a prediction they are used.
    """
    is_training = key is not None
    parameters, normalisations, kept = list(parameters[: layers.n_weights]), parameters[layers.n_weights :], []
    for layer in layers.front:
        if isinstance(layer, Conv):
            A = jax.nn.relu(convolved(A, parameters.pop(0), layer.pad))
        else:
            A = pooled(A, layer.size)
    if layers.recurrence is None:
        A = A.reshape(len(A), -1)
    else:
        A, _ = states(parameters.pop(0), A, first_state(layers.recurrence, len(A), A.dtype), layers.recurrence)
    for l, (W, b) in enumerate(parameters[:-1]):
        Z = A @ W.T + b
        if normalisations:
            (gamma, beta), (mean, variance), m = normalisations[l], statistics[l], len(Z)
            if is_training:
                old, (mean, variance) = (mean, variance), (Z.mean(axis=0), Z.var(axis=0))
                kept.append((0.9 * old[0] + 0.1 * mean, 0.9 * old[1] + 0.1 * m / (m - 1) * variance))
            Z = gamma * (Z - mean) * jax.lax.rsqrt(variance + 1e-5) + beta
        A = layers.hidden(Z)
        if layers.has_dropout and is_training:
            stays = jax.random.bernoulli(jax.random.fold_in(key, l), 0.8, A.shape)
            A = jnp.where(stays, A / 0.8, 0)
    W, b = parameters[-1]
    return A @ W.T + b, kept if is_training else statistics


def convolved(A: Any, weights: Any, pad: int) -> Any:
    (W, b), axes = weights, A.ndim - 2
    extents = "HW"[:axes]
    orders = (f"N{extents}C", f"O{extents}I", f"N{extents}C")
    return jax.lax.conv_general_dilated(A, W, (1,) * axes, [(pad, pad)] * axes, dimension_numbers=orders) + b


def pooled(A: Any, size: int) -> Any:
    """Max pooling as the maximum of axes, whose gradient is many times as fast as that of `jax.lax.reduce_window`."""
    m, *extents, channels = A.shape
    A = A[:, *(slice(extent // size * size) for extent in extents)]
    windows = A.reshape(m, *(part for extent in extents for part in (extent // size, size)), channels)
    return windows.max(axis=tuple(range(2, 2 * len(extents) + 1, 2)))


def first_state(recurrence: Recurrence, m: int, dtype: Any) -> Any:
    """h, and c of an LSTM."""
    return (jnp.zeros((m, recurrence.units), dtype),) * (1 + (recurrence.kind == "lstm"))


def states(weights: Any, A: Any, first: Any, recurrence: Recurrence) -> Any:
    """All states (m, t, n), or the last ones (m, n), and what they end in.

    The inputs' product is made of all steps at once, before the scan over the steps.
    """
    (W, b), n = weights, recurrence.units
    W_state = W[:, :n].T
    of_inputs = jnp.moveaxis(A @ W[:, n:].T + b[: len(W)], 1, 0)

    def step(state: Any, of_input: Any) -> Any:
        h, of_state = state[0], state[0] @ W_state
        if recurrence.kind == "rnn":
            h = jnp.tanh(of_input + of_state)
            return (h,), h
        if recurrence.kind == "lstm":
            i, f, g, o = jnp.split(of_input + of_state, 4, axis=1)
            c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h
        r, z = jnp.split(jax.nn.sigmoid(of_input[:, : 2 * n] + of_state[:, : 2 * n]), 2, axis=1)
        h = (1 - z) * jnp.tanh(of_input[:, 2 * n :] + r * (of_state[:, 2 * n :] + b[3 * n :])) + z * h
        return (h,), h

    last, found = jax.lax.scan(step, first, of_inputs)
    return (jnp.moveaxis(found, 0, 1) if recurrence.all_steps else last[0]), last


def cost(parameters: Any, X: Any, y: Any, layers: Layers, statistics: Any, key: Any) -> tuple[Any, Any]:
    """The mean loss in training, and the statistics from then on."""
    Z, statistics = forward(parameters, X, layers, statistics, key)
    if Z.shape[-1] == 1:
        z = Z[..., 0]
        return jnp.mean(jax.nn.softplus(z) - y * z), statistics
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(Z), y[..., None], axis=-1)), statistics


class Memory(NamedTuple):
    """What there is beside the parameters from step to step."""

    means: Any  # of gradients, or the velocity
    squares: Any
    t: Any  # the number of steps
    statistics: Any  # of normalisations
    key: Any  # random


def fresh(parameters: Any, layers: Layers) -> Memory:
    """The memory before the first step."""
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    statistics = [(jnp.zeros_like(gamma), jnp.ones_like(gamma)) for gamma, _ in parameters[layers.n_weights :]]
    return Memory(zeros, zeros, jnp.zeros((), jnp.int32), statistics, jax.random.key(0, impl="rbg"))


def sgd(parameters: Any, memory: Memory, gradients: Any, rate: Any) -> Any:
    return jax.tree.map(lambda p, g: p - rate * g, parameters, gradients), memory


def momentum(parameters: Any, memory: Memory, gradients: Any, rate: Any) -> Any:
    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, memory.means, gradients)
    return jax.tree.map(lambda p, v: p - rate * v, parameters, velocity), memory._replace(means=velocity)


def adam(parameters: Any, memory: Memory, gradients: Any, rate: Any) -> Any:
    t = memory.t + 1
    means = jax.tree.map(lambda v, g: 0.9 * v + 0.1 * g, memory.means, gradients)
    squares = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, memory.squares, gradients)
    first, second = 1 - jnp.power(0.9, t).astype(rate.dtype), 1 - jnp.power(0.999, t).astype(rate.dtype)

    def changed(p: Any, v: Any, s: Any) -> Any:
        return p - rate / first * v / (jnp.sqrt(s / second) + 1e-8)

    return jax.tree.map(changed, parameters, means, squares), memory._replace(means=means, squares=squares, t=t)


def adamw(parameters: Any, memory: Memory, gradients: Any, rate: Any) -> Any:
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradients)))
    factor = jnp.minimum(1, 1 / (norm + 1e-6))
    shrunk = jax.tree.map(lambda p: p * (1 - rate * 0.01), parameters)
    return adam(shrunk, memory, jax.tree.map(lambda g: factor * g, gradients), rate)


UPDATES: dict[str, Callable[..., Any]] = {"sgd": sgd, "momentum": momentum, "adam": adam, "adamw": adamw}
STATIC = ("size", "epochs", "layers", "update")


def run(parameters: Any, X: Any, y: Any, rate: Any, keys: Any, size: int, layers: Layers, update: Any) -> Any:
    """Parameters and statistics after as many epochs as there are keys, each of which shuffles one; or after so many as
    `keys` says, in the samples' order.

    Mini-batches have `size` samples, the last one fewer if that is all there are.
    """
    whole = len(X) // size * size

    def step(state: Any, batch: Any) -> Any:
        parameters, memory = state
        key, of_step = jax.random.split(memory.key) if layers.has_dropout else (memory.key, memory.key)
        gradients, statistics = jax.grad(cost, has_aux=True)(parameters, *batch, layers, memory.statistics, of_step)
        memory = memory._replace(key=key, statistics=statistics)
        return update(parameters, memory, gradients, rate), None

    def epoch(state: Any, key: Any) -> Any:
        A, labels = X, y
        if key is not None:
            order = jax.random.permutation(key, len(X))
            A, labels = X[order], y[order]
        if whole == size:  # a scan over one mini-batch would copy it
            state, _ = step(state, (A[:size], labels[:size]))
        else:
            batches = A[:whole].reshape(-1, size, *X.shape[1:]), labels[:whole].reshape(-1, size, *y.shape[1:])
            state, _ = jax.lax.scan(step, state, batches)
        return step(state, (A[whole:], labels[whole:])) if whole < len(X) else (state, None)

    length = keys if isinstance(keys, int) else None
    state = parameters, fresh(parameters, layers)
    parameters, memory = jax.lax.scan(epoch, state, None if length else keys, length=length)[0]
    return parameters, memory.statistics


@functools.partial(jax.jit, donate_argnums=0, static_argnames=STATIC)
def train(parameters: Any, X: Any, y: Any, rate: Any, size: int, epochs: int, layers: Layers, update: Any) -> Any:
    return run(parameters, X, y, rate, epochs, size, layers, update)


@functools.partial(jax.jit, static_argnames=("sizes", *STATIC))
def fit(seed: Any, sizes: Any, X: Any, y: Any, rate: Any, size: int, epochs: int, layers: Layers, update: Any) -> Any:
    """From the first weights of jax.nn.initializers.he_normal."""
    for_weights, for_order = jax.random.split(jax.random.key(seed))
    make = jax.nn.initializers.he_normal(in_axis=1, out_axis=0)
    keys = jax.random.split(for_weights, len(sizes) - 1)
    shapes = [(n, n_prev) for n_prev, n in itertools.pairwise(sizes)]
    parameters = [
        (make(key, shape, X.dtype), jnp.zeros(shape[0], X.dtype)) for key, shape in zip(keys, shapes, strict=True)
    ]
    return run(parameters, X, y, rate, jax.random.split(for_order, epochs), size, layers, update)


@functools.partial(jax.jit, static_argnames="layers")
def probabilities(parameters: Any, X: Any, layers: Layers, statistics: Any) -> Any:
    return activated(forward(parameters, X, layers, statistics)[0])


@functools.partial(jax.jit, static_argnames="layers")
def advanced(parameters: Any, X: Any, state: Any, layers: Layers) -> Any:
    """Probabilities of a recurrent layer and the output behind it, and the states."""
    assert layers.recurrence is not None
    of_states, (W, b) = parameters
    A, state = states(of_states, X, state, layers.recurrence)
    return activated(A @ W.T + b), state


def activated(Z: Any) -> Any:
    return jax.nn.sigmoid(Z) if Z.shape[-1] == 1 else jax.nn.softmax(Z)


class JaxPeer(Peer):
    optimizers: tuple[str, ...] = tuple(UPDATES)
    networks: tuple[str, ...] = ("dense", "convolutional", "recurrent")
    regularisations: tuple[str, ...] = ("batch_norm", "dropout")

    @staticmethod
    def version() -> str:
        return f"JAX {jax.__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        jax.config.update("jax_enable_x64", self.dtype == "float64")
        self.X = jnp.asarray(X)
        self.y = jnp.asarray(y, self.dtype if self.workload.sizes[-1] == 1 else "int32")
        self.rate = jnp.asarray(self.workload.learning_rate, self.dtype)
        self.settings: dict[str, Any] = {
            "size": min(self.workload.batch_size, len(X)),
            "layers": Layers(
                self.workload.front,
                jnp.tanh if self.workload.hidden == "tanh" else jax.nn.relu,
                len(self.workload.layer_shapes()),
                self.workload.regularisation == "dropout",
                self.workload.recurrence,
            ),
            "update": UPDATES[self.workload.optimizer],
        }
        self.seed = 0

    def reset(self, weights: Weights) -> None:
        self.parameters = [(jnp.array(W), jnp.array(b)) for W, b in weights]
        if self.workload.recurrence is not None:
            self.state = first_state(self.workload.recurrence, len(self.X), self.X.dtype)
        self.statistics = fresh(self.parameters, self.settings["layers"]).statistics
        jax.block_until_ready(self.parameters)

    def train(self, epochs: int) -> None:
        self.parameters, self.statistics = jax.block_until_ready(
            train(self.parameters, self.X, self.y, self.rate, epochs=epochs, **self.settings)
        )

    def fit(self) -> None:
        self.seed += 1
        self.parameters, self.statistics = jax.block_until_ready(
            fit(self.seed, self.workload.sizes, self.X, self.y, self.rate, epochs=self.workload.epochs, **self.settings)
        )

    def weights(self) -> Weights:
        return [(np.asarray(W), np.asarray(b)) for W, b in self.parameters]

    def predict(self) -> Any:
        layers = self.settings["layers"]
        return probabilities(self.parameters, self.X, layers=layers, statistics=self.statistics).block_until_ready()

    def advance(self) -> Any:
        found, self.state = advanced(self.parameters, self.X, self.state, layers=self.settings["layers"])
        return found.block_until_ready()


class CudaJaxPeer(JaxPeer):
    """The same on a GPU."""

    networks = ("dense", "convolutional")

    @staticmethod
    def version() -> str:
        jax.config.update("jax_platforms", "cuda")
        try:
            jax.devices()
        except (AssertionError, RuntimeError):
            raise RuntimeError("JAX finds no GPU") from None
        return f"JAX {jax.__version__}, {jax.devices()[0].device_kind}"
