"""Steps of the seven workloads, their memory, and how the cost of a step grows with the network."""

import numba
import numpy as np

import fastnet as fn
from fastnet.benchmarks.peers.fastnet_network import FastnetPeer
from fastnet.benchmarks.timing import samples
from fastnet.benchmarks.workloads import WORKLOADS, Workload

from .common import ROUNDS, THREADS


def prepared(workload, dtype, *, by_vectors=False):
    """fastnet with data and weights, trained for one epoch already."""
    peer = FastnetPeer(workload, dtype)
    peer.load(*workload.data(dtype))
    if by_vectors:
        peer.net.device.has_amx = False
    peer.reset(workload.weights(dtype))
    peer.train(1)
    return peer


class Steps:
    """Microseconds a step of `fit`, everything included."""

    workloads = WORKLOADS
    params = (list(WORKLOADS), ["float32", "float64"], THREADS)
    param_names = ("workload", "dtype", "threads")
    number = 1
    timeout = 300

    def setup(self, workload, dtype, threads):
        numba.set_num_threads(threads)
        self.workload = self.workloads[workload]
        self.peer = prepared(self.workload, dtype)

    def track_step(self, workload, dtype, threads):
        run = samples({"fit": lambda: self.peer.train(self.workload.epochs)}, rounds=ROUNDS)["fit"]
        return np.median(run) / self.workload.steps * 1e6

    track_step.unit = "us"


SMALLEST = {
    "-".join(map(str, sizes)): Workload("smallest", sizes, 1, 8, 500, 1e-4)
    for sizes in ((43, 1), (4, 10), (3, 31, 3), (969, 1))
}


class Smallest(Steps):
    """A step of one sample in networks so small that most of its time goes into calls."""

    workloads = SMALLEST
    params = (list(SMALLEST), ["float32", "float64"], [1])


UNEVEN = {
    "784-512-512-10, 50 samples": Workload("uneven", (784, 512, 512, 10), 50, 8, 10, 1e-4),
    "784-512-512-10, 80 samples": Workload("uneven", (784, 512, 512, 10), 80, 8, 10, 1e-4),
    "543-1000-1000-100, 7 samples": Workload("uneven", (543, 1000, 1000, 100), 7, 8, 10, 1e-4),
    "129-129-129-10, 1000 samples": Workload("uneven", (129, 129, 129, 10), 1000, 2, 20, 1e-4),
    "33-33-33-33-10, 1000 samples": Workload("uneven", (33, 33, 33, 33, 10), 1000, 2, 80, 1e-4),
}


class Uneven(Steps):
    """A step of samples and units that do not fill vectors: there should be no cliff beside the powers of two."""

    workloads = UNEVEN
    params = (list(UNEVEN), ["float32", "float64"], [1])


SMALL = {
    "784-128-10, 32 samples": Workload("small", (784, 128, 10), 32, 20, 20, 1e-4),
    "784-512-512-10, 32 samples": Workload("small", (784, 512, 512, 10), 32, 20, 4, 1e-4),
    "100-100-10, 256 samples": Workload("small", (100, 100, 10), 256, 10, 20, 1e-4),
    "100-100-10, 32 samples": Workload("small", (100, 100, 10), 32, 20, 40, 1e-4),
}


class Small(Steps):
    """A step that several threads should not make slower: of a small mini-batch, or of small layers."""

    workloads = SMALL
    params = (list(SMALL), ["float32", "float64"], THREADS)


class MatrixUnit:
    """How many times as long a step takes by vectors as by the machine's matrix unit; 1 where there is none."""

    params = (["mnist", "wide", "large"], THREADS)
    param_names = ("workload", "threads")
    number = 1
    timeout = 300

    def setup(self, workload, threads):
        numba.set_num_threads(threads)
        self.workload = WORKLOADS[workload]
        self.peers = {by: prepared(self.workload, "float32", by_vectors=by == "vectors") for by in ("vectors", "unit")}

    def track_gain(self, workload, threads):
        epochs = self.workload.epochs
        run = samples({by: lambda peer=peer: peer.train(epochs) for by, peer in self.peers.items()}, rounds=ROUNDS)
        return np.median(run["vectors"] / run["unit"])


class Memory:
    """Peak memory of the process that trains; of it, Python, NumPy and Numba are some 200 MB."""

    params = (["mnist", "wide", "large"], ["float32", "float64"])
    param_names = ("workload", "dtype")

    def peakmem_fit(self, workload, dtype):
        prepared(WORKLOADS[workload], dtype)


SIZES = {"width": (64, 128, 256, 512, 1024), "depth": (1, 2, 4, 8, 16), "batch": (1, 8, 64, 512)}


class Growth:
    """The exponent p of time ~ size^p, over a doubling or more: for width 2, for depth and batch 1 at the best."""

    params = (list(SIZES),)
    param_names = ("what",)
    timeout = 300

    def setup(self, what):
        numba.set_num_threads(1)

    def track_exponent(self, what):
        seconds = []
        for size in SIZES[what]:
            width = size if what == "width" else 128
            depth = size if what == "depth" else 2
            batch = size if what == "batch" else 64
            workload = Workload(what, (width,) * (depth + 1) + (10,), batch, 4, 1, 1e-3)
            peer = prepared(workload, "float32")
            steps = max(1, 1000 // size)
            found = samples({"fit": lambda peer=peer, steps=steps: peer.train(steps)}, rounds=min(3, ROUNDS))["fit"]
            seconds.append(np.median(found) / steps)
        return np.polyfit(np.log(SIZES[what]), np.log(seconds), 1)[0]


_ADAMW = fn.AdamW(1e-4)
EXTRAS = {
    "nothing": (fn.SGD(1e-3), []),
    "momentum": (fn.SGD(1e-3, momentum=0.9), []),
    "RMSProp": (fn.RMSProp(1e-4), []),
    "AdamW": (_ADAMW, []),
    "AdamW, clip_norm": (fn.AdamW(1e-4, clip_norm=1.0), []),
    "AdamW, schedule": (fn.AdamW(fn.schedules.cosine(1e-4)), []),
    "Dropout": (fn.SGD(1e-3), [fn.Dropout(0.3)]),
    "BatchNorm": (fn.SGD(1e-3), [fn.BatchNorm()]),
    "LayerNorm": (fn.SGD(1e-3), [fn.LayerNorm()]),
}


class Extras:
    """A step of 784-256-128-10 with mini-batches of 128, and with what can be added to it."""

    params = (list(EXTRAS), THREADS)
    param_names = ("added", "threads")
    number = 1

    def setup(self, added, threads):
        numba.set_num_threads(threads)
        rng = np.random.default_rng(0)
        self.X, self.y = rng.random((2560, 784), np.float32), rng.integers(0, 10, 2560)
        self.optimizer, layers = EXTRAS[added]
        self.net = fn.Network([fn.Dense(256, "relu"), *layers, fn.Dense(128, "relu"), fn.Dense(10, "softmax")])
        self.fit(1)

    def fit(self, epochs):
        self.net.fit(self.X, self.y, epochs=epochs, batch_size=128, optimizer=self.optimizer, verbose=False)

    def track_step(self, added, threads):
        return np.median(samples({"fit": lambda: self.fit(10)}, rounds=ROUNDS)["fit"]) / 200 * 1e6

    track_step.unit = "us"


class Pixels(Steps):
    """A step on samples kept as uint8, and on the same numbers in float32."""

    params = (["logistic", "deepcat", "mnist"], ["uint8", "float32"], THREADS)
    param_names = ("workload", "kept_as", "threads")

    def setup(self, workload, kept_as, threads):
        numba.set_num_threads(threads)
        self.workload = WORKLOADS[workload]
        self.peer = FastnetPeer(self.workload, "float32")
        X, y = self.workload.data()
        images = (255 * X).astype(np.uint8)
        self.peer.load(images if kept_as == "uint8" else images.astype(np.float32) / 255, y)
        if kept_as == "uint8":
            self.peer.net = fn.Network([fn.Rescale(1 / 255), *self.peer.net.layers])
        self.peer.train(1)
