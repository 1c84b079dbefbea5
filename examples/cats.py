"""The course's cat pictures: logistic regression, then the deep network, to the course's own figures.

    python examples/cats.py cats.npz
    python examples/cats.py cats.npz --network cnn

The file holds X_train (209, 64, 64, 3) and X_test (50, 64, 64, 3) of uint8 with y_train and y_test of 0 and 1, as the
deep-learning course hands them out. Both are done in float64 from the course's own initial weights, so that the costs
can be compared digit by digit. The deep network is right about 80 % of the test pictures; convolutions, which the
course has later, about 84 to 92 %, by the seed.
"""

import argparse
from pathlib import Path

import numpy as np

import fastnet as fn


def load(path: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, test images and labels."""
    with np.load(path) as data:
        return tuple(data[name] for name in ("X_train", "y_train", "X_test", "y_test"))


def logistic_regression(X: np.ndarray, y: np.ndarray) -> tuple[fn.Network, fn.History]:
    """12288-1 from zeros: 2000 steps of gradient descent."""
    net = fn.LogisticRegression(scale=1 / 255, dtype="float64")
    history = net.fit(X, y, epochs=2000, batch_size=None, optimizer=fn.SGD(0.005))
    return net, history


def deep_network(X: np.ndarray, y: np.ndarray) -> tuple[fn.Network, fn.History]:
    """12288-20-7-5-1: 2500 steps of gradient descent."""
    layers = [fn.Rescale(1 / 255), fn.Dense(20, "relu"), fn.Dense(7, "relu"), fn.Dense(5, "relu")]
    net = fn.Network([*layers, fn.Dense(1, "sigmoid")], dtype="float64").build(X[0].size)
    random = np.random.RandomState(1)
    for name, parameter in net.parameters.items():
        if name.startswith("W"):
            parameter[...] = random.randn(*parameter.shape) / np.sqrt(parameter.shape[1])
    history = net.fit(X, y, epochs=2500, batch_size=None, optimizer=fn.SGD(0.0075))
    return net, history


def moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each picture moved by up to four pixels in both directions, half of them mirrored."""
    m, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    down, right = rng.integers(0, 9, (2, m))
    found = np.moveaxis(windows[np.arange(m), down, right], 1, -1)
    mirrored: np.ndarray = np.where(rng.random((m, 1, 1, 1)) < 0.5, found[:, :, ::-1], found)
    return mirrored


def convolutions(X: np.ndarray, y: np.ndarray) -> tuple[fn.Network, fn.History]:
    """Two convolutions and three poolings, on pictures that are moved about: 60 epochs of AdamW."""
    layers = [
        *[fn.Rescale(1 / 255), fn.MaxPool2D(2)],
        *[fn.Conv2D(16, 5, activation="relu"), fn.MaxPool2D(2)],
        *[fn.Conv2D(32, 3, activation="relu"), fn.MaxPool2D(2), fn.Dropout(0.4)],
    ]
    net = fn.Network([*layers, fn.Dense(1, "sigmoid")])
    optimizer = fn.AdamW(fn.schedules.cosine(2e-3, warmup=20))
    return net, net.fit(X, y, epochs=60, batch_size=32, optimizer=optimizer, augment=moved)


NETWORKS = {"logistic regression": logistic_regression, "deep": deep_network, "cnn": convolutions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="cats.npz")
    parser.add_argument("--network", choices=NETWORKS, help="one of them (default the course's two)")
    options = parser.parse_args()
    if not options.data.is_file():
        parser.error(f"there is no {options.data}: give the course's pictures as one file")
    X, y, X_test, y_test = load(options.data)
    for name in [options.network] if options.network else ["logistic regression", "deep"]:
        net, history = NETWORKS[name](X, y)
        print(f"{name}: {net.layers}")
        for epoch in range(0, len(history["cost"]), min(500, len(history["cost"]) // 4)):
            print(f"  cost before epoch {epoch:4}  {history['cost'][epoch]:.6f}")
        print(f"  cost of the last epoch  {history['cost'][-1]:.6f}")
        print(f"  accuracy  {net.evaluate(X, y)['accuracy']:.3%} of the training pictures")
        print(f"            {net.evaluate(X_test, y_test)['accuracy']:.1%} of the test pictures")
        print(f"  {sum(history['seconds']):.1f} s\n")


if __name__ == "__main__":
    main()
