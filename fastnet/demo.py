"""What `fastnet demo` does: digits from raw pixels to predictions, in one look."""

import os
import time
from pathlib import Path

import numpy as np

from . import datasets
from .checks import positive_integer, whole_number
from .layers import Dense
from .network import Network
from .optimizers import SGD
from .training.history import History


def demo(epochs: int = 100, seed: int = 0, output: Path = Path()) -> int:
    """Train on three quarters of the digits, test on the rest, and write two pictures into the folder `output`."""
    epochs, seed = positive_integer("epochs", epochs), whole_number("seed", seed)
    draws = _has_matplotlib()
    if draws:
        _make_folder(output)
    X, y = datasets.digits()
    rows = np.random.default_rng(seed).permutation(len(X))
    train, test = rows[450:], rows[:450]
    net = Network([Dense(64, "relu"), Dense(10, "softmax")], seed=seed).build(X.shape[1])
    print(f"{len(train)} handwritten digits of 8 x 8 pixels to train on, {len(test)} held out\n")
    print(net.summary(batch_size=32), end="\n\n")

    start = time.perf_counter()
    net.device.prepare()
    seconds_to_prepare = time.perf_counter() - start

    history = net.fit(X[train], y[train], epochs=epochs, optimizer=SGD(0.1), validation_data=(X[test], y[test]))
    _print_history(history)
    held_out = net.evaluate(X[test], y[test])
    print(f"\nheld-out accuracy  {held_out['accuracy']:.1%}")
    print(f"compiling or loading the kernels  {seconds_to_prepare:.1f} s")
    print(f"training  {sum(history['seconds']):.2f} s, {sum(history['seconds']) / epochs * 1e3:.1f} ms an epoch")
    if draws:
        _draw(net, history, X[test], y[test], output)
    else:
        print("no pictures: install them with pip install 'fastnet-numba[plot]'")
    return 0


def _print_history(history: History, lines: int = 8) -> None:
    """A table of about so many epochs, the last one among them."""
    epochs = len(history["cost"])
    print(f"\n{'epoch':>5}  {'cost':>7}  {'accuracy':>8}  {'held-out':>8}")
    step = max(1, -(-epochs // lines))
    for epoch in [*range(step, epochs, step), epochs]:
        cost, accuracy, held_out = (history[name][epoch - 1] for name in ("cost", "accuracy", "validation_accuracy"))
        print(f"{epoch:>5}  {cost:>7.4f}  {accuracy:>8.1%}  {held_out:>8.1%}")


def _has_matplotlib() -> bool:
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    return True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"output={folder} cannot be made a folder ({error.strerror}): give another") from error
    if not os.access(folder, os.W_OK):
        raise ValueError(f"output={folder} is a folder that cannot be written to: give another")


def _draw(net: Network, history: History, X: np.ndarray, y: np.ndarray, output: Path) -> None:
    from . import plots

    axes = history.plot()
    axes.set_title("cost by epoch")
    cost_path, digits_path = output / "fastnet-demo-cost.png", output / "fastnet-demo-digits.png"
    axes.figure.savefig(cost_path, dpi=120)
    predicted = net.predict(X)
    right, wrong = np.flatnonzero(predicted == y), np.flatnonzero(predicted != y)
    chosen = np.concatenate([right[:8], wrong[:4]])
    pictures = plots.images(X[chosen].reshape(-1, 8, 8), predicted[chosen], y[chosen])
    pictures[0].figure.savefig(digits_path, dpi=120)
    print(f"pictures  {cost_path}, {digits_path}")
