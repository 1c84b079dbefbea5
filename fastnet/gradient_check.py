"""Backward propagation checked against finite differences of the cost."""

from typing import Any

import numpy as np

from .network import Network


def check_gradients(
    network: Network, X: Any, y: Any, *, epsilon: float = 1e-5, at_most: int = 200, seed: int = 0
) -> float:
    """Largest relative error of the network's gradients against central differences of its cost.

    For each parameter array the error is ||g - d|| / (||g|| + ||d||), with g the gradient from backward propagation
    and d_i = (J(theta_i + epsilon) - J(theta_i - epsilon)) / (2 epsilon), as the course's gradient checking has it;
    the largest over all arrays is returned. The divisor is at least a thousandth of the largest array's: a bias before
    a batch normalisation has no effect, and its differences are nothing but rounding. J is the cost as training sees
    it, with Dropout and the statistics of the mini-batch. The differences are taken in float64, whatever the dtype.

    Parameters
    ----------
    network : Network
        Built; it is left as it is.
    X, y
        As of `Network.fit`; a few samples are enough.
    epsilon : float
        Step of the differences.
    at_most : int
        How many entries of each array are checked; of a larger array so many, drawn at random.
    seed : int
        Seeds that draw.

    Returns
    -------
    float
        Below 1e-7 for a right float64 network; around 1e-6 for a float32 one.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.planar()
    >>> net = fn.Network([fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid")], dtype="float64").build(2)
    >>> fn.check_gradients(net, X, y) < 1e-7
    True
    """
    gradients = network.gradients(X, y)
    exact = network.copy(dtype="float64")
    batches = exact.batches(X, y)
    rng = np.random.default_rng(seed)
    errors, sizes = [], []
    for name, gradient in gradients.items():
        parameter = exact.parameters[name]
        chosen = np.arange(parameter.size)
        if parameter.size > at_most:
            chosen = rng.choice(parameter.size, at_most, replace=False)
        flat = parameter.flat
        differences = np.empty(len(chosen))
        for i, place in enumerate(chosen):
            value = flat[place]
            flat[place] = value + epsilon
            above = exact.training_cost(batches)
            flat[place] = value - epsilon
            below = exact.training_cost(batches)
            flat[place] = value
            differences[i] = (above - below) / (2 * epsilon)
        found = gradient.reshape(-1)[chosen].astype(np.float64)
        errors.append(float(np.linalg.norm(found - differences)))
        sizes.append(float(np.linalg.norm(found) + np.linalg.norm(differences)))
    least = max(sizes) / 1000
    return max(error / max(size, least) for error, size in zip(errors, sizes, strict=True)) if least else 0.0
