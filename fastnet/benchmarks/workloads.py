"""What fastnet is judged by: trainings step by step, of dense, convolutional and recurrent networks, by plain gradient
descent and by other optimizers, fits as people write them, and inferences."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .. import datasets
from .convolutional import Conv, Pool, Shape, features, kernel_shapes, n_features, products
from .recurrent import Recurrence

# (W (n_l, n_{l-1}), b (n_l,)) of each layer, convolutions or a recurrent one first, as fastnet has theirs; then
# (gamma, beta), each (n_l,), of normalisations
Weights = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Workload:
    """A network and how it is trained on mini-batches. The output is one sigmoid unit, or softmax.

    The optimizer is "sgd", plain gradient descent; "momentum" of 0.9; "adam" with the settings that all libraries have
    by default; or "adamw" with a weight decay of 0.01, gradients clipped to a norm of 1. As `regularisation` says, a
    batch normalisation stands behind each hidden layer's product, or a dropout of 0.2 behind its activation. Where the
    last mini-batch is a smaller one, `samples` says how many samples there are. A convolutional network has `front`
    before its dense layers, whose sizes begin with the features that it makes of images of `shape`. A recurrent one has
    `recurrence` there, for sequences of `shape`, and the sizes begin with its units.
    """

    name: str
    sizes: tuple[int, ...]
    batch_size: int
    batches: int  # mini-batches an epoch
    epochs: int  # of one timed run
    learning_rate: float
    hidden: str = "relu"
    optimizer: str = "sgd"
    regularisation: str = ""  # "batch_norm" or "dropout"
    samples: int | None = None
    dataset: str | None = None  # one of fastnet.datasets; random numbers without it
    front: tuple[Conv | Pool, ...] = ()
    shape: Shape | None = None
    recurrence: Recurrence | None = None

    @property
    def network(self) -> str:
        """Which sort it is, "dense", "convolutional" or "recurrent"."""
        if self.recurrence is not None:
            return "recurrent"
        return "convolutional" if self.front else "dense"

    @property
    def answers(self) -> int:
        """How many a sample has: one for each step of a sequence, or one."""
        return self.input_shape[0] if self.recurrence is not None and self.recurrence.all_steps else 1

    @property
    def input_shape(self) -> Shape:
        """Of one sample."""
        return self.shape or self.sizes[:1]

    @property
    def m(self) -> int:
        return self.batch_size * self.batches if self.samples is None else self.samples

    @property
    def steps(self) -> int:
        return self.batches * self.epochs

    @property
    def label(self) -> str:
        filters = [layer.filters for layer in self.front if isinstance(layer, Conv)]
        sizes = self.sizes[1:] if self.recurrence is None else self.sizes
        numbers = ["x".join(map(str, self.input_shape)), *filters, *sizes]
        return f"{self.name} {'-'.join(map(str, numbers))}, batch {self.batch_size}"

    @property
    def n_weights(self) -> int:
        return sum(math.prod(shape) for shape, _ in self.layer_shapes())

    @property
    def flops(self) -> int:
        """Of a step's products: forward, dW, and dA_prev, but that of the samples."""
        each = products(self.front, self.input_shape)
        each += [self.answers * a * b for a, b in itertools.pairwise(self.sizes)]
        of_samples = each[0]
        if self.recurrence is not None:
            of_samples, of_states = self.recurrence.products(self.input_shape)
            each += [of_samples, of_states]
        return 2 * self.batch_size * (3 * sum(each) - of_samples)

    def bytes(self, itemsize: int = 4) -> int:
        """What a step reads and writes at the least: X, and W in and out (more, where they do not stay in cache)."""
        return itemsize * (self.batch_size * math.prod(self.input_shape) + 2 * self.n_weights)

    def data(self, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
        """X (m, *input_shape) and y (m,) int64, or (m, t) where steps have answers: a dataset, the planar flower of two
        inputs, or random numbers in [0, 1] whose classes a linear rule makes, which can be learned."""
        if self.dataset is not None:
            X, y = getattr(datasets, self.dataset)()
            return X.astype(dtype), y.astype(np.int64)
        if self.sizes[0] == 2:
            X, y = datasets.planar(self.m)
            return X.astype(dtype), y
        rng = np.random.default_rng(0)
        X = rng.random((self.m, *self.input_shape), np.float32)
        n = math.prod(self.input_shape) // self.answers
        scores = (X.reshape(-1, n) - 0.5) @ rng.standard_normal((n, max(2, self.sizes[-1])), np.float32)
        return X.astype(dtype), scores.argmax(axis=1).reshape(self.m, *[self.answers] * (self.answers > 1))

    def weights(self, dtype: str = "float32") -> Weights:
        """The weights that every contestant starts from."""
        rng = np.random.default_rng(1)
        found = [
            ((rng.standard_normal(shape) / np.sqrt(math.prod(shape[1:]))).astype(dtype), np.zeros(n_biases, dtype))
            for shape, n_biases in self.layer_shapes()
        ]
        normalised = self.sizes[1:-1] if self.regularisation == "batch_norm" else ()
        return found + [(np.ones(n, dtype), np.zeros(n, dtype)) for n in normalised]

    def layer_shapes(self) -> list[tuple[Shape, int]]:
        """Of W, in each layer, and how many numbers b has."""
        found = [(shape, shape[0]) for shape in kernel_shapes(self.front, self.input_shape)]
        if self.recurrence is not None:
            found.append(self.recurrence.weight_shape(self.input_shape))
        return found + [((n, n_prev), n) for n_prev, n in itertools.pairwise(self.sizes)]

    def cost(self, weights: Weights, X: np.ndarray, y: np.ndarray) -> float:
        """The mean loss on X and y, in float64 NumPy: the judge of all contestants. Batch statistics are those of X."""
        n_layers = len(self.sizes) - 1
        n_kernels = len(self.layer_shapes()) - n_layers
        if self.recurrence is None:
            A = features(self.front, weights[:n_kernels], X)
        else:
            A, y = self.recurrence.states(weights[0], X).reshape(-1, self.sizes[0]), y.ravel()
        normalisations = iter(weights[n_kernels + n_layers :])
        for l, (W, b) in enumerate(weights[n_kernels : n_kernels + n_layers], start=1):
            Z = A @ np.asarray(W, np.float64).T + np.asarray(b, np.float64)
            if l == n_layers:
                break
            if self.regularisation == "batch_norm":
                gamma, beta = next(normalisations)
                Z = gamma * (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + 1e-5) + beta
            A = np.tanh(Z) if self.hidden == "tanh" else np.maximum(Z, 0)
        if self.sizes[-1] == 1:
            Z = np.hstack([np.zeros_like(Z), Z])  # log loss is the cross entropy of two classes with logits 0 and z
        Z = Z - Z.max(axis=1, keepdims=True)
        return float((np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(len(y)), y]).mean())


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("logistic", (12288, 1), 209, 1, 300, 0.0005),
        Workload("planar", (2, 4, 1), 400, 1, 10_000, 0.3, hidden="tanh"),
        Workload("deepcat", (12288, 20, 7, 5, 1), 209, 1, 120, 0.001),
        Workload("mnist", (784, 128, 10), 128, 60, 10, 0.02),
        Workload("wide", (784, 512, 512, 10), 256, 8, 6, 0.01),
        Workload("online", (784, 64, 1), 1, 1000, 10, 0.002),
        Workload("large", (2048, 2048, 2048, 10), 1024, 2, 2, 0.01),
    )
}


def convolutional(
    name: str, shape: Shape, front: tuple[Conv | Pool, ...], units: tuple[int, ...], batch_size: int, batches: int,
    epochs: int,
) -> Workload:  # fmt: skip
    """One whose dense layers, with so many units, stand behind `front`."""
    sizes = (n_features(front, shape), *units)
    return Workload(name, sizes, batch_size, batches, epochs, 0.01, front=front, shape=shape)


_POOL = Pool(2)

CONVOLUTIONS = {
    workload.name: workload
    for workload in (
        convolutional("lenet", (28, 28, 1), (Conv(6, 5, 2), _POOL, Conv(16, 5, 0), _POOL), (120, 84, 10), 64, 8, 8),
        convolutional(
            "cnn32", (32, 32, 3), (Conv(16, 3, 1), _POOL, Conv(32, 3, 1), _POOL, Conv(64, 3, 1), _POOL), (10,), 64, 4, 4
        ),
        convolutional(
            "vgg", (32, 32, 3), (Conv(64, 3, 1), Conv(64, 3, 1), _POOL, Conv(128, 3, 1), Conv(128, 3, 1), _POOL), (10,),
            32, 2, 2,
        ),
        convolutional("tiny8", (8, 8, 1), (Conv(8, 3, 1), _POOL), (10,), 32, 20, 50),
        convolutional("sensor1d", (128, 9), (Conv(64, 3, 1), _POOL, Conv(64, 3, 1), _POOL), (6,), 64, 8, 4),
    )
}  # fmt: skip


def recurrent(
    name: str, shape: Shape, recurrence: Recurrence, n_out: int, batch_size: int, batches: int, epochs: int
) -> Workload:
    """One whose output, of so many units, stands behind a recurrent layer."""
    sizes = (recurrence.units, n_out)
    return Workload(name, sizes, batch_size, batches, epochs, 0.05, shape=shape, recurrence=recurrence)


SEQUENCES = {
    workload.name: workload
    for workload in (
        recurrent("rnn", (50, 8), Recurrence("rnn", 32), 1, 32, 16, 10),
        recurrent("lstm", (100, 32), Recurrence("lstm", 128), 1, 64, 4, 2),
        recurrent("gruchar", (100, 64), Recurrence("gru", 256, all_steps=True), 64, 32, 4, 2),
    )
}

# Whole fits: 20 epochs of Adam as scikit-learn's MLPClassifier has it by default, from first weights of each library's
# own and with the samples shuffled anew in every epoch. The second is of the size of the breast cancer data set.
FITS = {
    workload.name: workload
    for workload in (
        Workload("fit-digits", (64, 100, 10), 200, 9, 20, 1e-3, optimizer="adam", samples=1797, dataset="digits"),
        Workload("fit-cancer", (30, 100, 1), 200, 3, 20, 1e-3, optimizer="adam", samples=569),
        Workload("fit-mnist", (784, 100, 10), 200, 50, 20, 1e-3, optimizer="adam"),
    )
}

# The networks of people who train with more than plain gradient descent.
_NETWORKS = (
    Workload("planar", (2, 4, 1), 400, 1, 10_000, 1e-3, hidden="tanh"),
    Workload("tabular", (20, 100, 2), 200, 20, 50, 1e-3),
    Workload("mlp", (54, 128, 64, 7), 256, 20, 10, 1e-3),
    Workload("mnist", (784, 128, 10), 128, 60, 2, 1e-3),
    Workload("wide", (784, 512, 512, 10), 256, 8, 2, 1e-4),
    Workload("tiny", (4, 16, 3), 1, 1000, 20, 1e-3),
)


def _with(network: Workload, optimizer: str, regularisation: str = "") -> Workload:
    """The same network trained in another way, as in "mnist+adam+dropout"."""
    name = "+".join(filter(None, (network.name, optimizer, regularisation)))
    return dataclasses.replace(network, name=name, optimizer=optimizer, regularisation=regularisation)


_TABULAR, _MLP, _MNIST = _NETWORKS[1:4]
OPTIMIZED = {
    workload.name: workload
    for workload in (
        *(_with(network, "adam") for network in _NETWORKS),
        *(_with(network, optimizer) for network in (_MLP, _MNIST) for optimizer in ("momentum", "adamw")),
        *(_with(network, "adam", what) for what in ("batch_norm", "dropout") for network in (_TABULAR, _MLP, _MNIST)),
    )
}

_RANDOM = "random-"
_RANDOM_FLOPS = 1.5e9  # of one timed run of a random workload
_RANDOM_STEPS = 4000  # at the most


def random_workload(number: int) -> Workload:
    """A shape that nobody chose: 1 to 20 layers, 1 to 1000 units and samples a batch, the same for each number."""
    rng = np.random.default_rng(number)

    def up_to(most: int) -> int:
        return int(np.exp(rng.uniform(0, np.log(most + 0.99))))

    depth = int(rng.choice([1, 2, 2, 3, 3, 4, 6, 10, 20]))
    width = int(rng.choice([up_to(1000), 100, 129, 1000]))
    hidden = [width if rng.random() < 0.7 else up_to(1000) for _ in range(depth - 1)]
    sizes = (2 + up_to(3000), *hidden, int(rng.choice([1, 1, 3, 10, 100])))
    batch_size = int(rng.choice([1, 7, 50, 1000, up_to(1000), up_to(1000)]))
    activation = str(rng.choice(["relu", "tanh"]))
    batches = max(1, min(8, 2000 // batch_size))
    workload = Workload(f"{_RANDOM}{number}", sizes, batch_size, batches, 1, 1e-4, activation)
    epochs = int(min(_RANDOM_FLOPS / workload.flops, _RANDOM_STEPS)) // batches
    return dataclasses.replace(workload, epochs=max(1, epochs))


def find_workload(name: str) -> Workload | None:
    """The training or fit of this name, in one of GROUPS, or of "random-0" and so on; or None."""
    number = name.removeprefix(_RANDOM)
    if name != number and number.isdecimal():
        return random_workload(int(number))
    return (WORKLOADS | CONVOLUTIONS | SEQUENCES | OPTIMIZED | FITS).get(name)


class Inference(NamedTuple):
    """Forward only: so many samples at once, from Python.

    Where it is `stepwise`, they are single steps of sequences, and states go on from call to call.
    """

    workload: Workload
    samples: int
    stepwise: bool = False


INFERENCE_NETWORK = WORKLOADS["mnist"]
INFERENCES = {
    "one sample": Inference(INFERENCE_NETWORK, 1),
    "10,000 samples": Inference(INFERENCE_NETWORK, 10_000),
    **{
        f"{name}, {text}": Inference(CONVOLUTIONS[name], samples)
        for name in ("lenet", "cnn32")
        for text, samples in (("one image", 1), ("1,000 images", 1000))
    },
    "gru, one step": Inference(recurrent("gru", (1, 8), Recurrence("gru", 64), 1, 1, 1, 1), 1, stepwise=True),
}


def _inferences(network: str) -> dict[str, Inference]:
    return {name: inference for name, inference in INFERENCES.items() if inference.workload.network == network}


GROUPS: dict[str, Mapping[str, object]] = {
    "trainings": WORKLOADS,
    "inferences": _inferences("dense"),
    "convolutions": {**CONVOLUTIONS, **_inferences("convolutional")},
    "sequences": {**SEQUENCES, **_inferences("recurrent")},
    "optimizers": OPTIMIZED,
    "fits": FITS,
}


def group_of(name: str) -> str:
    """In which of GROUPS a workload is; random ones are trainings."""
    return next((group for group, members in GROUPS.items() if name in members), "trainings")
