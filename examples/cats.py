"""The course's cat pictures: logistic regression, then the deep network, to the course's own figures.

    python examples/cats.py cats.npz

The file holds X_train (209, 64, 64, 3) and X_test (50, 64, 64, 3) of uint8 with y_train and y_test of 0 and 1, as the
deep-learning course hands them out. Everything is done in float64 from the course's own initial weights, so that the
costs can be compared digit by digit.
"""

import sys
from pathlib import Path

import numpy as np

import fastnet as fn


def load(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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


def main() -> None:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit(__doc__)
    X, y, X_test, y_test = load(sys.argv[1])
    for name, train in [("logistic regression", logistic_regression), ("deep network", deep_network)]:
        net, history = train(X, y)
        print(f"{name}: {net.layers}")
        for step in range(0, len(history["cost"]), 500):
            print(f"  cost before step {step:4}  {history['cost'][step]:.6f}")
        print(f"  cost of the last step  {history['cost'][-1]:.6f}")
        print(f"  accuracy  {net.evaluate(X, y)['accuracy']:.3%} of the training pictures")
        print(f"            {net.evaluate(X_test, y_test)['accuracy']:.1%} of the test pictures")
        print(f"  {sum(history['seconds']):.1f} s\n")


if __name__ == "__main__":
    main()
