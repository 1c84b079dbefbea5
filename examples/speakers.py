"""Signals: which of nine men says two vowels, by a convolution along time.

python examples/speakers.py
"""

from pathlib import Path

import numpy as np

import fastnet as fn

TRAINING = 270  # utterances; the others were recorded another time


def utterances() -> tuple[np.ndarray, np.ndarray]:
    """X (640, 29, 12), 12 coefficients each 6.4 ms with zeros behind the end; y (640,), the speakers 1 to 9."""
    with np.load(Path(__file__).parent / "data" / "speakers.npz") as data:
        frames, lengths, speakers = data["frames"] / 1000, data["lengths"], data["speakers"]
    X = np.zeros((len(lengths), lengths.max(), frames.shape[1]), np.float32)
    X[np.arange(X.shape[1]) < lengths[:, np.newaxis]] = frames
    return X, speakers


def main() -> dict[str, float]:
    X, y = utterances()
    layers = [
        *[fn.Conv1D(64, 3, padding="same", activation="relu"), fn.MaxPool1D(2)],
        *[fn.Conv1D(64, 3, padding="same", activation="relu"), fn.GlobalMaxPool1D(), fn.Dropout(0.3)],
    ]
    net = fn.Network([*layers, fn.Dense(9, "softmax")])
    optimizer = fn.AdamW(fn.schedules.cosine(5e-3))
    history = net.fit(X[:TRAINING], y[:TRAINING], epochs=60, batch_size=32, optimizer=optimizer)
    result = net.evaluate(X[TRAINING:], y[TRAINING:])
    print(f"{result['accuracy']:.1%} of {len(X) - TRAINING} other utterances, {sum(history['seconds']):.1f} s")
    return result


if __name__ == "__main__":
    main()
