"""Damaged model files: each must be refused clearly, or load to a network that works.

    python tests/fuzz_files.py [--count 20000] [--seed 0] [--only NUMBER]

Every mutation is drawn from the seed and its own number, so that `--only` shows one again. It fails if `load` raises
anything but ModelFileError or OSError, asks for more than 200 MB or computes for more than 5 seconds; or if a network
that was loaded does not predict, evaluate, go on training, or save.
"""

import argparse
import collections
import contextlib
import copy
import json
import os
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.numpy import load, save

import fastnet as fn
from fastnet.data.targets import Classification
from fastnet.training.state import Unfinished

MOST_BYTES = 200_000_000
MOST_SECONDS = 5.0
OPTIMIZERS = {"SGD": fn.SGD(0.01), "RMSProp": fn.RMSProp(), "Adam": fn.Adam(), "AdamW": fn.AdamW()}
WILD = [
    None, True, False, 0, 1, 2, 3, -1, -3, 0.5, -0.5, 1e308, float("nan"), float("inf"), 10**6, 10**9, 2**31, 2**50,
    2**53, 2**63 - 1, 2**63, 2**64, 2**128, 10**400, -(10**400), "", "relu", "softmax", "huber", "quantile", "hinge",
    "float16", "float64", "Dense", "Dropout", "Adam", "\ud800", "x" * 5000, [], {}, [1], [[]], {"a": 1}, [None] * 50,
]  # fmt: skip
DTYPES = ["BOOL", "U8", "I8", "I16", "I32", "I64", "U64", "F16", "BF16", "F32", "F64", "F8_E4M3", "X", 3]


# ---------------------------------------------------------------- what is mutated


def originals() -> list[bytes]:
    """Model files: all kinds of layers, labels and states of training."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((24, 3)).astype(np.float32)
    third, half = np.arange(24) % 3, np.arange(24) % 2
    norms = [fn.Rescale(0.5, 0.25), fn.Dense(4), fn.BatchNorm("relu"), fn.Dropout(0.25), fn.Dense(3), fn.LayerNorm()]
    smooth = {"loss": fn.losses.cross_entropy(label_smoothing=0.1), "seed": 2**80}
    names = np.array(["ant", "bee", "cow"])[third]
    kinds: list[tuple[list[Any], dict[str, Any], Any, Any]] = [
        ([*norms, fn.Dense(3, "softmax")], smooth, names, fn.Adam()),
        ([fn.Dense(2, "elu", l2=0.1), fn.Dense(1, "sigmoid")], {"dtype": "float64"}, half == 1, fn.SGD(0.1)),
        ([fn.Dense(2, "silu"), fn.Dense(2)], {"loss": fn.losses.huber(0.5)}, rng.random((24, 2)), fn.RMSProp()),
        ([fn.Dense(2, "sigmoid")], {}, np.stack([half, third == 1], axis=1), fn.AdamW()),
        ([fn.Dense(1)], {"loss": "hinge"}, np.array([-7, 5])[half], fn.SGD(0.1, momentum=0.9)),
    ]
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for layers, options, y, optimizer in kinds:
            network = fn.Network(layers, **options)
            network.fit(X, y, epochs=2, batch_size=8, optimizer=optimizer, validation_data=(X, y), verbose=False)
            files.append(saved(network, folder, training=False))
            files.append(saved(network, folder))
            training = network.training
            assert training is not None
            best = {"monitor": "cost", "best": network.buffer.copy()}
            training.callbacks = {"EarlyStopping": best, "Own": {"n": [1, "x"]}}
            training.last = network.buffer.copy()
            state = network.rng.bit_generator.state
            training.unfinished = Unfinished(state, state, 2, 3, np.ones(2), np.ones(2), 0.5, 24, 8)
            files.append(saved(network, folder))
            Y = network.task.encode(y, network.dtype)[:16]
            training.unfinished.m = training.unfinished.batch_size = None
            training.unfinished.seen = {"sizes": np.array([8, 8]), "targets": Y, "outputs": network.outputs(X[:16])}
            files.append(saved(network, folder))
    return files


def saved(network: fn.Network, folder: str, training: bool = True) -> bytes:
    path = os.path.join(folder, "model")
    network.save(path, training=training)
    with open(path, "rb") as file:
        return file.read()


# ---------------------------------------------------------------- mutations


@dataclass
class Parts:
    """A file in parts: the header as JSON, with the texts in it, and the data."""

    header: dict[str, Any]
    data: bytes

    @classmethod
    def of(cls, file: bytes) -> "Parts":
        size = struct.unpack("<Q", file[:8])[0]
        return cls(json.loads(file[8 : 8 + size]), file[8 + size :])

    def file(self) -> bytes:
        header = json.dumps(self.header).encode()
        return struct.pack("<Q", len(header)) + header + self.data


def places_in(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all that is inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*at, key)
        yield from places_in(each, (*at, key))


def mutate_json(value: Any, rng: np.random.Generator) -> str:
    """Change one thing inside a JSON value; returns what."""
    paths = list(places_in(value))
    *above, key = paths[rng.integers(len(paths))]
    holder = value
    for step in above:
        holder = holder[step]
    where = ".".join(map(str, [*above, key]))
    match int(rng.integers(8)):
        case 0 | 1 | 2:
            holder[key] = copy.deepcopy(WILD[rng.integers(len(WILD))])
            return f"{where} becomes {str(holder[key])[:60]!r}"
        case 3:
            del holder[key]
            return f"{where} is left out"
        case 4:
            other = paths[rng.integers(len(paths))]
            found = value
            with contextlib.suppress(KeyError, IndexError, TypeError):
                for step in other:
                    found = found[step]
                holder[key] = copy.deepcopy(found)
            return f"{where} becomes what {other} is"
        case 5:
            if isinstance(holder, dict):
                holder[str(rng.choice(["x", "units", "cost", "seed", "best", "0"]))] = copy.deepcopy(holder[key])
            else:
                holder.insert(int(rng.integers(len(holder) + 1)), copy.deepcopy(holder[key]))
            return f"{where} is there once more"
        case 6:
            depth = int(rng.choice([2, 20, 200]))
            for _ in range(depth):
                holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
            return f"{where} is {depth} deep"
        case _:
            if isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
                holder[key] = holder[key] * int(rng.choice([-1, 2, 10, 10**6, 10**12])) + int(rng.integers(2))
            elif isinstance(holder[key], list):
                rng.shuffle(holder[key])
            elif isinstance(holder[key], str):
                holder[key] += "x"
            return f"{where} becomes {str(holder[key])[:60]!r}"


def of_bytes(file: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    changed = bytearray(file)
    size = struct.unpack("<Q", file[:8])[0]
    end = int(rng.choice([8, 8 + size, len(file)]))  # of what is hit
    places = rng.integers(0, end, rng.integers(1, 9))
    for place in places:
        changed[place] = changed[place] ^ (1 << int(rng.integers(8))) if rng.random() < 0.5 else int(rng.integers(256))
    return bytes(changed), f"bytes {places.tolist()}"


def of_length(file: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    if rng.random() < 0.2:
        more = rng.bytes(int(rng.integers(1, 100)))
        return file + more, f"{len(more)} bytes more"
    length = int(rng.integers(len(file)))
    return file[:length], f"cut to {length} bytes"


def of_header_size(file: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    size = struct.unpack("<Q", file[:8])[0]
    size = int(rng.choice([0, 1, 2, size - 1, size + 1, len(file), 10**8, 10**8 + 1, 2**31, 2**40, 2**62, 2**63]))
    return struct.pack("<Q", size) + file[8:], f"a header of {size} bytes"


def of_texts(file: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    parts = Parts.of(file)
    texts = parts.header["__metadata__"]
    name = str(rng.choice([name for name in texts if name in ("network", "training")]))
    value, done = json.loads(texts[name]), []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        done.append(mutate_json(value, rng))
    texts[name] = json.dumps(value)
    if rng.random() < 0.05:
        depth = int(rng.choice([100, 5_000, 100_000]))
        texts[name] = "[" * depth + "]" * depth
        done = [f"{depth} brackets"]
    elif rng.random() < 0.05:
        texts[name] = texts[name][: rng.integers(len(texts[name]))]
        done.append("cut")
    return parts.file(), f"{name}: {', '.join(done)}"


def of_header(file: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    parts = Parts.of(file)
    names = [name for name in parts.header if name != "__metadata__"]
    name = str(rng.choice(names))
    match int(rng.integers(4)):
        case 0:
            done = mutate_json(parts.header, rng)
        case 1:
            done = f"{name}: {mutate_json(parts.header[name], rng)}"
        case 2:
            parts.header[name]["dtype"] = DTYPES[rng.integers(len(DTYPES))]
            done = f"{name} becomes {parts.header[name]['dtype']}"
        case _:
            texts = parts.header["__metadata__"]
            key = str(rng.choice(list(texts)))
            texts[key] = str(rng.choice(["", "0", "1", "2", "3", "4", "-1", "1.5", "99999999999", "null", "{}", "pt"]))
            done = f"{key} is {texts[key]!r}"
    return parts.file(), done


def of_tensors(file: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Another, but whole, safetensors file."""
    texts, tensors = Parts.of(file).header["__metadata__"], load(file)
    name = str(rng.choice(list(tensors)))
    array = tensors[name]
    match int(rng.integers(7)):
        case 0:
            del tensors[name]
            done = "is left out"
        case 1:
            tensors[str(rng.choice(["W9", "training.last", "training.best", "training.callbacks.7", "x"]))] = array
            done = "is there under another name too"
        case 2:
            dtype = rng.choice(["f2", "f4", "f8", "i1", "i4", "i8", "u1", "?"])
            with np.errstate(all="ignore"):
                tensors[name] = array.astype(dtype)
            done = f"becomes {dtype}"
        case 3:
            tensors[name] = array.reshape(-1) if array.ndim > 1 else array.reshape(1, -1)
            done = "has another rank"
        case 4:
            tensors[name] = np.resize(array, tuple(int(n) + int(rng.integers(-1, 3)) for n in array.shape))
            done = f"becomes {tensors[name].shape}"
        case 5:
            wild = [np.nan, np.inf, -1.0, 1e30] if array.dtype.kind == "f" else [0, -1, 2**62, 10**6]
            tensors[name] = array.copy()
            tensors[name].flat[rng.integers(max(1, array.size))] = wild[rng.integers(4)]
            done = "holds something else"
        case _:
            other = str(rng.choice(list(tensors)))
            tensors[name], tensors[other] = tensors[other], tensors[name]
            done = f"changes places with {other}"
    return save(tensors, texts), f"{name} {done}"


MUTATIONS = [of_bytes, of_length, of_header_size, of_texts, of_texts, of_texts, of_header, of_tensors, of_tensors]


# ---------------------------------------------------------------- what must be true


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Whoever asks for more than MOST_BYTES gets a MemoryError, where the system can do that."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def use(network: fn.Network, path: str) -> None:
    """Do all that a loaded network can do."""
    rng = np.random.default_rng(0)
    assert network.n_inputs is not None
    X = rng.random((24, network.n_inputs)).astype(network.dtype)
    if not np.isnan(network.outputs(X)).any():  # which is refused as a prediction
        assert len(network.predict(X)) == 24
    if isinstance(network.task, Classification):
        assert len(network.labels) == network.task.n_classes
        y = network.labels[np.arange(24) % len(network.labels)]
    else:
        y = rng.integers(0, 2, (24, network.task.n_units))
    network.evaluate(X, y)
    training = network.training
    network.save(path, training=True)
    is_usual = np.isfinite(network.buffer).all() and any(getattr(layer, "trainable", False) for layer in network.layers)
    if training is None or training.optimizer not in OPTIMIZERS or not is_usual:
        return
    optimizer = OPTIMIZERS[training.optimizer]
    if isinstance(optimizer, fn.SGD) and training.states[0].size:
        optimizer = fn.SGD(0.01, momentum=0.9)
    epochs, unfinished = training.history.epochs + 1, training.unfinished
    options: dict[str, Any] = {"epochs": epochs, "optimizer": optimizer, "resume": True, "verbose": False}
    options["callbacks"] = [fn.EarlyStopping("cost")]
    if unfinished is not None:
        sizes = (unfinished.steps, unfinished.m, unfinished.batch_size)
        if sizes != ((3, None, None) if unfinished.seen else (3, 24, 8)):
            return  # that was an epoch of other samples
    with contextlib.suppress(fn.DivergenceError):  # numbers may be anything
        if unfinished is not None and unfinished.seen:
            network.fit([(X[first : first + 8], y[first : first + 8]) for first in (0, 8, 16)], **options)
        else:
            network.fit(X, y, batch_size=8, **options)
        assert network.training is not None
        assert network.training.history.epochs == epochs


def outcome(file: bytes, path: str, is_used: bool) -> str:
    """What comes of loading a file: "refused", "loaded" or "used"; anything raised is a failure."""
    with open(path, "wb") as target:
        target.write(file)
    start = time.process_time()
    try:
        with limited_memory():
            network = fn.load(path)
    except (fn.ModelFileError, OSError) as error:
        network, message = None, str(error)
    seconds = time.process_time() - start
    assert seconds < MOST_SECONDS, f"load took {seconds:.1f} s"
    if network is None:
        assert path in message
        assert len(message) < 1000
        return "refused"
    if not is_used:
        return "loaded"
    use(network, path)
    return "used"


def run(count: int, seed: int, only: int | None = None, use_every: int = 1) -> collections.Counter[str]:
    """Try mutations; returns how many came out how. Raises AssertionError if one fails, after all of them."""
    files = originals()
    outcomes: collections.Counter[str] = collections.Counter()
    failed = 0
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # numbers may be anything
        path = os.path.join(folder, "model.safetensors")
        for file in files:
            outcome(file, path, is_used=True)
        for number in [only] if only is not None else range(count):
            rng = np.random.default_rng([seed, number])
            file, done = MUTATIONS[rng.integers(len(MUTATIONS))](files[rng.integers(len(files))], rng)
            try:
                outcomes[outcome(file, path, is_used=number % use_every == 0)] += 1
            except Exception:
                failed += 1
                print(f"mutation {number} of seed {seed}: {done}", file=sys.stderr)
                traceback.print_exc()
    assert not failed, f"{failed} of {count} mutations failed"
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one mutation")
    options = parser.parse_args()
    start = time.perf_counter()
    print(dict(run(options.count, options.seed, options.only)), f"in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
