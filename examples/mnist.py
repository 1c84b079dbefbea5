"""Handwritten digits, with images that are moved about while training.

    python examples/mnist.py DATA.npz

The file holds X (m, 28, 28) of uint8 and y (m,); the last fifth is held out.
"""

import sys
from pathlib import Path

import numpy as np

import fastnet as fn


def moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by up to two pixels in both directions, with black at its edges."""
    m, height, width = images.shape
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    down, right = rng.integers(0, 5, (2, m))
    found: np.ndarray = windows[np.arange(m), down, right]
    return found


def main(path: str, epochs: int = 30) -> dict[str, float]:
    with np.load(path) as data:
        X, y = data["X"], data["y"]
    count = len(X) * 4 // 5
    layers = [
        fn.Rescale(1 / 255),
        fn.Dense(256),
        fn.BatchNorm("relu"),
        fn.Dense(128),
        fn.BatchNorm("relu"),
        fn.Dense(10, "softmax"),
    ]
    net = fn.Network(layers)
    optimizer = fn.AdamW(fn.schedules.cosine(3e-3, warmup=100))
    net.fit(X[:count], y[:count], epochs=epochs, batch_size=64, optimizer=optimizer, augment=moved)
    result = net.evaluate(X[count:], y[count:])
    print(f"held-out accuracy {result['accuracy']:.2%} of {len(X) - count} digits")
    wrong = np.flatnonzero(net.predict(X[count:]) != y[count:])[:5] + count
    print("  taken for another:", ", ".join(f"{y[i]} for {net.predict(X[[i]])[0]}" for i in wrong))
    return result


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit(__doc__)
    main(sys.argv[1])
