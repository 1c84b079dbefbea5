"""Digests of trained parameters: whether a change of the code leaves every bit as it was.

    python tests/digests.py > before.txt     # and, after the change,
    python tests/digests.py --against before.txt

trains the benchmarks' workloads, some random shapes and networks with every layer, activation, loss and optimizer, in
both dtypes, on one and two threads, with this machine's vectors and with others that it can imitate, and prints a line
for each: the machine, the network, the dtype, the number of threads and a digest. Bits differ between processors, so
the lines are for comparisons on one machine only, and no test knows them.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile

import numpy as np

import fastnet as fn
from fastnet.benchmarks.workloads import WORKLOADS, find_workload

# As in test_other_machines.py: what Numba is told that it compiles for.
MACHINES = {
    "AVX2": ("haswell", "+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+popcnt,+sse4.2"),
    "SSE2": ("x86-64", "+avx,+fma,+popcnt,+sse4.2"),
    "NEON": ("x86-64", "+avx,+fma,+popcnt,+sse4.2,+neon"),
}
STEPS = {"logistic": 4, "planar": 20, "deepcat": 4, "mnist": 20, "wide": 4, "online": 100, "large": 1}
RANDOM = 12
Dense = fn.Dense


def _data(m, n, n_classes, *, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, n)), rng.integers(0, n_classes, m)


def _of_workload(workload, dtype, steps):
    X, y = workload.data(dtype)
    n_classes = workload.sizes[-1]
    layers = [Dense(n, workload.hidden) for n in workload.sizes[1:-1]]
    layers.append(Dense(n_classes, "softmax" if n_classes > 1 else "sigmoid"))
    net = fn.Network(layers, dtype=dtype, seed=0)
    batches = min(workload.batches, steps)
    m = batches * workload.batch_size
    X, y = X[:m], y[:m] if n_classes > 1 else y[:m] % 2
    options = {"batch_size": workload.batch_size, "optimizer": fn.SGD(workload.learning_rate), "verbose": False}
    return net, (X, y), {"epochs": -(-steps // batches), **options}


def _cases(dtype):
    """Name, network, data, and options of fit."""
    for name, steps in STEPS.items():
        yield name, *_of_workload(WORKLOADS[name], dtype, steps)
    for number in range(RANDOM):
        workload = find_workload(f"random-{number}")
        yield workload.name, *_of_workload(workload, dtype, 5)
    X, y = _data(100, 33, 3)
    kinds = [
        Dense(40, "relu", l1=1e-3, l2=0.01), fn.BatchNorm("tanh"), Dense(17, "elu", alpha=0.5), fn.LayerNorm("gelu"),
        fn.Dropout(0.3), Dense(15, "leaky_relu", slope=0.2), Dense(3, "softmax"),
    ]  # fmt: skip
    optimizers = {
        "sgd": fn.SGD(0.05),
        "momentum": fn.SGD(0.05, momentum=0.9, nesterov=True),
        "rmsprop": fn.RMSProp(0.01, momentum=0.5),
        "adam": fn.Adam(0.01),
        "adamw, clip_norm": fn.AdamW(0.01, weight_decay=0.1, clip_norm=0.1),
        "sgd, clip_value": fn.SGD(0.05, clip_value=0.01),
    }
    common = {"epochs": 2, "verbose": False}
    for name, optimizer in optimizers.items():
        for batch_size in (1, 7, 33, 100):
            layers = kinds if batch_size > 1 else [layer for layer in kinds if not isinstance(layer, fn.BatchNorm)]
            net = fn.Network(layers, dtype=dtype, seed=1)
            yield f"every layer, {name}, batch {batch_size}", net, (X, y), {
                "batch_size": batch_size, "optimizer": optimizer, **common,
            }  # fmt: skip
    for activation in fn.layers.ACTIVATIONS:
        if activation != "softmax":
            net = fn.Network([Dense(17, activation), fn.BatchNorm(activation), Dense(3, "softmax")], dtype=dtype)
            yield f"activation {activation}", net, (X, y), {"batch_size": 50, "optimizer": fn.SGD(0.05), **common}
    Y = np.random.default_rng(2).standard_normal((100, 2))
    losses = ["squared_error", "absolute_error", fn.losses.huber(0.5), fn.losses.quantile(0.9)]
    for loss in losses:
        net = fn.Network([Dense(9, "tanh"), Dense(2)], loss=loss, dtype=dtype)
        yield f"loss {loss}", net, (X, Y), {"batch_size": 50, "optimizer": fn.SGD(0.05), **common}
    for loss, last in (("hinge", Dense(1)), (fn.losses.cross_entropy(0.1), Dense(2, "softmax"))):
        net = fn.Network([Dense(9, "tanh"), last], loss=loss, dtype=dtype)
        yield f"loss {loss}", net, (X, y % 2), {"batch_size": 50, "optimizer": fn.SGD(0.05), **common}
    pixels = np.random.default_rng(3).integers(0, 256, (70, 8, 8, 3), np.uint8)
    weights = np.random.default_rng(4).random(70)
    for n in (1, 30):
        net = fn.Network([fn.Rescale(1 / 255, -0.5), Dense(n, "relu"), Dense(2, "softmax")], dtype=dtype)
        options = {"batch_size": 32, "optimizer": fn.Adam(0.01), "sample_weight": weights, **common}
        yield f"pixels, {n} units", net, (pixels, np.arange(70) % 2), options
    for first in (fn.BatchNorm("tanh"), fn.LayerNorm(), fn.Dropout(0.3)):
        net = fn.Network([fn.Rescale(1 / 255), first, Dense(70, "relu"), Dense(2, "softmax")], dtype=dtype)
        yield (
            f"first {first}",
            net,
            (pixels, np.arange(70) % 2),
            {"batch_size": 32, "optimizer": fn.Adam(0.01), **common},
        )
    sequences, answers = np.random.default_rng(5).standard_normal((70, 9, 5)), np.arange(630).reshape(70, 9) % 3
    layers = [fn.LSTM(17, return_sequences=True, bidirectional=True), fn.GRU(40, return_sequences=True)]
    yield "recurrent", fn.Network([*layers, Dense(3, "softmax")], dtype=dtype), (sequences, answers), {
        "batch_size": 33, "optimizer": fn.Adam(0.01, clip_norm=1.0), **common,
    }  # fmt: skip
    words = [fn.Masking(0), fn.Embedding(30, 21), fn.Recurrent(20, truncate=4), Dense(3, "softmax")]
    yield "embedding", fn.Network(words, dtype=dtype), (np.arange(630).reshape(70, 9) % 30, answers[:, 0]), {
        "batch_size": 33, "optimizer": fn.SGD(0.05), **common,
    }  # fmt: skip
    for trainable in (False, True):
        layers = [Dense(20, "relu", trainable=trainable), fn.BatchNorm(trainable=not trainable), Dense(1, "sigmoid")]
        net = fn.Network(layers, dtype=dtype)
        yield f"frozen {trainable}", net, (X, y % 2), {"batch_size": 33, "optimizer": fn.SGD(0.1), **common}


def digest(net, X, y, options):
    history = net.fit(X, y, **options)
    found = hashlib.sha256()
    for name, numbers in net.parameters.items():
        found.update(name.encode())
        found.update(np.ascontiguousarray(numbers).tobytes())
    found.update(np.array(history["cost"]).tobytes())
    found.update(np.ascontiguousarray(net.outputs(X)).tobytes())
    return found.hexdigest()[:16]


def lines(machine):
    for dtype in ("float32", "float64"):
        for threads in (1, 2):
            fn.set_num_threads(threads)
            for name, net, data, options in _cases(dtype):
                yield f"{machine} | {name} | {dtype} | {threads} | {digest(net, *data, options)}"


def of_machine(machine, folder):
    """The lines of a process that believes to be on another machine."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": os.path.join(folder, machine)}
    environment["NUMBA_CPU_NAME"], environment["NUMBA_CPU_FEATURES"] = MACHINES[machine]
    command = [sys.executable, __file__, "--as", machine]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", nargs="*", default=["here", *MACHINES], choices=["here", *MACHINES])
    parser.add_argument(
        "--against", help="a file of lines from before: print what differs, and exit with 1 if any does"
    )
    parser.add_argument("--as", dest="machine", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.machine:
        for line in lines(options.machine):
            print(line, flush=True)
        return
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for machine in options.machines:
            for line in lines(machine) if machine == "here" else of_machine(machine, folder):
                found.append(line)
                if not options.against:
                    print(line, flush=True)
    if options.against:
        with open(options.against) as file:
            before = dict(line.strip().rsplit(" | ", 1) for line in file)
        after = dict(line.rsplit(" | ", 1) for line in found)
        changed = [key for key, value in after.items() if before.get(key, value) != value]  # others are new
        missing = [key for key in before if key not in after and key.split(" | ")[0] in options.machines]
        print("\n".join([*(f"changed: {key}" for key in changed), *(f"missing: {key}" for key in missing)]))
        new = sum(key not in before for key in after)
        print(
            f"{len(after) - new - len(changed)} of {len(after)} digests are those of {options.against}, {new} are new"
        )
        sys.exit(bool(changed or missing))


if __name__ == "__main__":
    main()
