"""Gradients and training steps against PyTorch, on random architectures."""

import numpy as np
import pytest

import fastnet as fn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("torch")  # one thread

ACTIVATIONS = {
    "linear": lambda z, slope: z,
    "sigmoid": lambda z, slope: torch.sigmoid(z),
    "tanh": lambda z, slope: torch.tanh(z),
    "relu": lambda z, slope: torch.relu(z),
    "leaky_relu": torch.nn.functional.leaky_relu,
}


def random_problem(seed, dtype):
    rng = np.random.default_rng(seed)
    names = list(ACTIVATIONS)
    output, loss = [("sigmoid", "log_loss"), ("softmax", "cross_entropy"), (rng.choice(names), "squared_error")][
        seed % 3
    ]
    units = 1 if loss == "log_loss" else int(rng.integers(2, 12))
    layers = [
        fn.Dense(int(rng.integers(1, 70)), str(rng.choice(names)), slope=float(rng.random()))
        for _ in range(rng.integers(0, 5))
    ]
    layers.append(fn.Dense(units, str(output)))
    n, m = int(rng.integers(1, 120)), int(rng.integers(1, 80))
    X = rng.standard_normal((m, n))
    y = rng.standard_normal((m, units)) if loss == "squared_error" else rng.integers(0, max(2, units), m)
    return fn.Network(layers, loss=loss, dtype=dtype, seed=seed).build(n), X, y


def torch_cost(net, parameters, X, y):
    A, dense = X, [layer for layer in net.layers if isinstance(layer, fn.Dense)]
    for l, layer in enumerate(dense, start=1):
        A = A @ parameters[f"W{l}"].T + parameters[f"b{l}"]
        if layer.activation not in ("softmax",) and not (net.loss == "log_loss" and l == len(dense)):
            A = ACTIVATIONS[layer.activation](A, layer.slope)
    if net.loss == "log_loss":
        return torch.nn.functional.binary_cross_entropy_with_logits(A[:, 0], y.to(A.dtype))
    if net.loss == "cross_entropy":
        return torch.nn.functional.cross_entropy(A, y)
    return ((A - y) ** 2).sum(dim=1).mean() / 2


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-4)])
@pytest.mark.parametrize("seed", range(50))
def test_gradients_and_ten_steps(seed, dtype, tolerance):
    net, X, y = random_problem(seed, dtype)
    X_torch = torch.tensor(X, dtype=getattr(torch, dtype))
    y_torch = torch.tensor(y, dtype=getattr(torch, dtype)) if y.ndim == 2 else torch.tensor(y)
    parameters = {name: torch.tensor(array, requires_grad=True) for name, array in net.parameters.items()}
    optimizer = torch.optim.SGD(parameters.values(), lr=0.01)

    def relative(found, expected):
        return np.abs(found - expected).max() / max(1.0, np.abs(expected).max())

    torch_cost(net, parameters, X_torch, y_torch).backward()
    for name, gradient in net.gradients(X, y).items():
        assert relative(gradient, parameters[name].grad.numpy()) < tolerance, name

    costs = []
    for _ in range(10):
        optimizer.zero_grad()
        cost = torch_cost(net, parameters, X_torch, y_torch)
        cost.backward()
        optimizer.step()
        costs.append(cost.item())
    history = net.fit(X, y, epochs=10, batch_size=None, optimizer=fn.SGD(0.01), verbose=False)
    np.testing.assert_allclose(history["cost"], costs, rtol=10 * tolerance, atol=tolerance)
    for name, parameter in net.parameters.items():
        assert relative(parameter, parameters[name].detach().numpy()) < tolerance, name
