"""Regression: the miles per gallon of a car from eight facts about it.

python examples/cars.py
"""

import numpy as np

import fastnet as fn


def main() -> dict[str, float]:
    X, y = fn.datasets.cars()
    rows = np.random.default_rng(0).permutation(len(X))
    train, test = rows[98:], rows[:98]
    mean, std = X[train].mean(axis=0), X[train].std(axis=0)
    X = (X - mean) / std  # by the training cars only: the held-out ones stay unseen
    net = fn.Network([fn.Dense(16, "relu"), fn.Dense(16, "relu"), fn.Dense(1)])
    net.fit(X[train], y[train], epochs=200, batch_size=32, optimizer=fn.SGD(0.01))
    result = net.evaluate(X[test], y[test])
    print(f"held-out R2 {result['r2']:.3f}, typical error {np.sqrt(2 * result['cost']):.2f} miles per gallon")
    for row in test[:5]:
        print(f"  says {net.predict(X[[row]])[0]:5.1f}, is {y[row]:5.1f}")
    return result


if __name__ == "__main__":
    main()
