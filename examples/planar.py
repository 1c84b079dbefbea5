"""The course's flower: a straight line cannot divide it, four tanh units can.

    python examples/planar.py planar.png

Prints both accuracies and draws both decision boundaries (needs matplotlib, extra [plot]) into a folder that is there.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

import fastnet as fn


def main(path: str = "planar.png") -> dict[str, float]:
    X, y = fn.datasets.planar()
    line = fn.LogisticRegression()
    hidden = fn.Network([fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid")], seed=3)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.5))
    accuracy = {}
    for ax, name, net in zip(axes, ["logistic regression", "2-4-1, tanh"], [line, hidden], strict=True):
        net.fit(X, y, epochs=10_000, batch_size=None, optimizer=fn.SGD(1.2))
        accuracy[name] = net.evaluate(X, y)["accuracy"]
        print(f"{name}: {accuracy[name]:.1%}")
        fn.plots.decision_boundary(net, X, y, ax=ax)
        ax.set_title(f"{name}: {accuracy[name]:.1%}")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    print(f"picture  {path}")
    return accuracy


if __name__ == "__main__":
    if len(sys.argv) > 2 or not Path(*sys.argv[1:]).parent.is_dir():
        sys.exit(__doc__)
    main(*sys.argv[1:])
