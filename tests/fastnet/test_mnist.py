"""Handwritten digits, where somebody has them: FASTNET_MNIST names a file with X (m, 28, 28) uint8 and y (m,)."""

import os
import runpy
from pathlib import Path

import numpy as np
import pytest

import fastnet as fn

PATH = os.environ.get("FASTNET_MNIST")
pytestmark = pytest.mark.skipif(PATH is None, reason="FASTNET_MNIST names no file")


def test_the_example_reads_digits():
    script = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "mnist.py"))
    assert script["main"](PATH, epochs=12)["accuracy"] > 0.975


def test_convolutions_read_digits_better():
    script = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "mnist.py"))
    assert script["main"](PATH, "cnn", epochs=8)["accuracy"] > 0.985


def test_a_network_with_dropout_reads_digits():
    with np.load(PATH) as data:
        X, y = data["X"], data["y"]
    layers = [fn.Rescale(1 / 255), fn.Dense(256, "relu"), fn.Dropout(0.3), fn.Dense(128, "relu"), fn.Dropout(0.3)]
    net = fn.Network([*layers, fn.Dense(10, "softmax")])
    optimizer = fn.AdamW(fn.schedules.cosine(1e-3, warmup=100))
    net.fit(X[:8000], y[:8000], epochs=20, batch_size=64, optimizer=optimizer, verbose=False)
    assert net.evaluate(X[8000:], y[8000:])["accuracy"] > 0.965
