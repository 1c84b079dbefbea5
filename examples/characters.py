"""A network that learns to write, one character after the other, and shows what it writes as it learns.

    python examples/characters.py                          # after Jane Austen's Persuasion
    python examples/characters.py --text quatrains         # after poets of the Tang dynasty
    python examples/characters.py --cell LSTM --epochs 20
    python examples/characters.py --compare-pytorch        # the same network there, where torch is installed

It learns from the first nine tenths of a text, and is measured on the last one, in nats a character.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastnet as fn

SHOWN = (1, 10, 50)  # epochs after which it writes
BATCH_SIZE, RATE, CLIP_NORM = 32, 2e-3, 1.0
STEPS = {"persuasion": 100, "quatrains": 99}  # of a sequence; a poem and the end of its line are 33 characters


class Run(NamedTuple):
    """A training: the loss on the last tenth of the text, and the seconds of each epoch, without measuring that."""

    losses: list[float]
    seconds: list[float]


def sequences(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The characters of a text (k,), and their numbers, cut into sequences: X (m, t), and y (m, t), each one's next."""
    text = (Path(__file__).parent / "data" / f"{name}.txt").read_text(encoding="utf-8")
    characters, numbers = np.unique(list(text), return_inverse=True)
    steps = STEPS[name]
    m = (len(numbers) - 1) // steps
    return characters, numbers[: m * steps].reshape(m, steps), numbers[1 : m * steps + 1].reshape(m, steps)


def network(k: int, cell: str = "GRU", units: int = 256) -> fn.Network:
    kind: Any = {"GRU": fn.GRU, "LSTM": fn.LSTM}[cell]
    return fn.Network(
        [fn.Embedding(k, 64), kind(units, return_sequences=True), fn.Dropout(0.3), fn.Dense(k, "softmax")]
    )


def main(
    name: str = "persuasion", cell: str = "GRU", units: int = 256, epochs: int = 50, *, compare_pytorch: bool = False
) -> dict[str, Run]:
    """Train, and return how it went, by library."""
    characters, X, y = sequences(name)
    count = len(X) * 9 // 10
    net = network(len(characters), cell, units).build(X.shape[1:])
    print(f"{X.size} characters, {len(characters)} different ones; {net.buffer.size} parameters")
    module = fn.to_torch(net) if compare_pytorch else None  # before it learns

    def write(epoch: int, history: fn.History, _: fn.Network) -> None:
        if epoch in SHOWN or epoch == epochs:
            start = np.flatnonzero(characters == "\n")  # as if a line had ended
            written = "".join(characters[net.generate(start, 3 * X.shape[1], temperature=0.7, seed=epoch)])
            print(f"--- epoch {epoch}, validation loss {history['validation_cost'][-1]:.3f}\n{written.strip()}\n")

    history = net.fit(
        X[:count],
        y[:count],
        epochs=epochs,
        batch_size=BATCH_SIZE,
        optimizer=fn.Adam(RATE, clip_norm=CLIP_NORM),
        validation_data=(X[count:], y[count:]),
        callbacks=[write],
        verbose=False,
    )
    found = {"fastnet": Run(history["validation_cost"], history["seconds"])}
    if module is not None:
        found["PyTorch"] = pytorch(module, X[:count], y[:count], X[count:], y[count:], epochs)
    report(found)
    return found


def pytorch(module: Any, X: np.ndarray, y: np.ndarray, X_val: np.ndarray, y_val: np.ndarray, epochs: int) -> Run:
    """Train PyTorch's module of the same network, from the same weights, in its own order of the sequences."""
    import torch

    layers = list(module)[:-1]  # without the softmax, which is part of the loss there
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    tensors = [torch.from_numpy(np.ascontiguousarray(each, np.int64)) for each in (X, y, X_val, y_val)]

    def cost(inputs: Any, targets: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    torch.manual_seed(0)
    run = Run([], [])
    for _ in range(epochs):
        model.train()
        start = time.perf_counter()
        for rows in torch.randperm(len(X)).split(BATCH_SIZE):
            optimizer.zero_grad()
            cost(tensors[0][rows], tensors[1][rows]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
        run.seconds.append(time.perf_counter() - start)
        model.eval()
        with torch.inference_mode():
            run.losses.append(float(cost(tensors[2], tensors[3])))
    return run


def report(runs: dict[str, Run]) -> None:
    """How soon each came to its smallest validation loss, and fastnet to PyTorch's."""
    for who, (losses, seconds) in runs.items():
        best = int(np.argmin(losses)) + 1
        print(
            f"{who}: {np.median(seconds):.2f} s an epoch; the smallest validation loss is {min(losses):.3f}, after "
            f"{best} epochs and {sum(seconds[:best]):.1f} s"
        )
    if "PyTorch" in runs:
        ours, theirs = runs["fastnet"], runs["PyTorch"]
        goal = min(theirs.losses)
        spent = sum(theirs.seconds[: theirs.losses.index(goal) + 1])
        reached = next((epoch for epoch, loss in enumerate(ours.losses, start=1) if loss <= goal), None)
        if reached is None:
            print(f"fastnet does not come to {goal:.3f}")
        else:
            share = sum(ours.seconds[:reached]) / spent
            print(f"fastnet comes to {goal:.3f} after {reached} epochs, in {share:.0%} of PyTorch's time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", choices=STEPS, default="persuasion")
    parser.add_argument("--cell", choices=("GRU", "LSTM"), default="GRU")
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--compare-pytorch", action="store_true")
    options = parser.parse_args()
    main(options.text, options.cell, options.units, options.epochs, compare_pytorch=options.compare_pytorch)
