"""Optimizers and schedules: against PyTorch, and against their formulas."""

import math

import numpy as np
import pytest

import fastnet as fn

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((50, 9)), RNG.integers(0, 4, 50)

# fastnet's, and the same of torch.optim: a name and its arguments.
OPTIMIZERS = {
    "sgd": (fn.SGD(0.1), "SGD", {"lr": 0.1}),
    "weight decay": (fn.SGD(0.1, weight_decay=0.1), "SGD", {"lr": 0.1, "weight_decay": 0.1}),
    "momentum": (
        fn.SGD(0.05, momentum=0.9, weight_decay=0.01),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01},
    ),
    "nesterov": (fn.SGD(0.05, momentum=0.9, nesterov=True), "SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (fn.RMSProp(weight_decay=0.01), "RMSprop", {"weight_decay": 0.01}),
    "rmsprop, momentum": (fn.RMSProp(0.003, momentum=0.5), "RMSprop", {"lr": 0.003, "momentum": 0.5}),
    "adam": (fn.Adam(weight_decay=0.01), "Adam", {"weight_decay": 0.01}),
    "adamw": (fn.AdamW(), "AdamW", {}),
    "clip_norm": (fn.AdamW(0.01, clip_norm=0.1), "AdamW", {"lr": 0.01}),
    "clip_value": (fn.SGD(0.1, clip_value=0.01), "SGD", {"lr": 0.1}),
}


def train_with_torch(torch, net, name, arguments, epochs, clip=None):
    """PyTorch's parameters after epochs of two mini-batches, from the network's own."""
    parameters = [torch.tensor(array.copy(), requires_grad=True) for array in net.parameters.values()]
    optimizer = getattr(torch.optim, name)(parameters, **arguments)
    for _ in range(epochs):
        for some in (slice(0, 25), slice(25, 50)):
            A = torch.tensor(X[some])
            for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
                A = torch.tanh(A @ W.T + b)
            optimizer.zero_grad()
            logits = A @ parameters[-2].T + parameters[-1]
            torch.nn.functional.cross_entropy(logits, torch.tensor(Y[some])).backward()
            if clip is not None:
                clip(parameters)
            optimizer.step()
    return [parameter.detach().numpy() for parameter in parameters]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_100_steps_are_those_of_pytorch(name, threads, torch):
    optimizer, torch_name, arguments = OPTIMIZERS[name]
    clips = {
        "clip_norm": lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, 0.1),
        "clip_value": lambda parameters: torch.nn.utils.clip_grad_value_(parameters, 0.01),
    }
    net = fn.Network([fn.Dense(17, "tanh"), fn.Dense(12, "tanh"), fn.Dense(4, "softmax")], dtype="float64").build(9)
    expected = train_with_torch(torch, net, torch_name, arguments, 50, clips.get(name))
    before = net.copy()
    net.fit(X, Y, epochs=50, batch_size=25, optimizer=optimizer, shuffle=False, verbose=False)
    for array, start, wanted in zip(net.parameters.values(), before.parameters.values(), expected, strict=True):
        np.testing.assert_allclose(array, wanted, rtol=0, atol=1e-10)
        assert np.abs(wanted - start).max() > 1e-3, "or nothing was tested"


@pytest.mark.parametrize("optimizer", [fn.SGD(0.05, momentum=0.9), fn.RMSProp(0.01), fn.AdamW(0.01, clip_norm=1.0)])
def test_float32_goes_the_way_of_float64(optimizer):
    found = []
    for dtype in ("float32", "float64"):
        net = fn.Network([fn.Dense(40, "tanh"), fn.Dense(4, "softmax")], dtype=dtype)
        net.fit(X, Y, epochs=10, batch_size=7, optimizer=optimizer, verbose=False)
        found.append(net.predict_proba(X))
    np.testing.assert_allclose(*found, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 64, 1100])
@pytest.mark.parametrize("options", [{}, {"clip_value": 1e-3}, {"clip_norm": 1e-2}], ids=str)
def test_a_step_changes_weights_by_the_gradient(m, options, dtype):
    """Some columns of W at a time, or all of dW first, where there are more samples than are gathered at once."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((m, 37)).astype(dtype), rng.integers(0, 4, m)
    l2 = 0.0 if m == 1 else 0.1  # without it a single sample goes in plain loops
    layers = [fn.Dense(150, "tanh"), fn.Dense(70, "tanh", l2=l2), fn.Dense(4, "softmax")]
    net = fn.Network(layers, dtype=dtype, seed=0).build(37)
    before = {name: array.copy() for name, array in net.parameters.items()}
    wanted = {name: array.astype("float64") for name, array in net.gradients(X, y).items()}
    if "clip_value" in options:
        wanted = {name: np.clip(g, -1e-3, 1e-3) for name, g in wanted.items()}
    if "clip_norm" in options:
        norm = np.sqrt(sum((g * g).sum() for g in wanted.values()))
        wanted = {name: g * min(1, 1e-2 / (norm + 1e-6)) for name, g in wanted.items()}
    net.fit(X, y, epochs=1, batch_size=m, optimizer=fn.SGD(1.0, momentum=0.9, **options), shuffle=False, verbose=False)
    for name, g in wanted.items():
        assert np.abs(g).max() > 1e-7
        np.testing.assert_allclose(before[name] - net.parameters[name], g, atol=1e-12 if dtype == "float64" else 1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 20, None])
def test_optimizers_train_in_every_form(batch_size):
    """One by one, in blocks, in one pass, and with inputs that are kept: the same as gradients and formulas say."""
    for layers in ([fn.Dense(1, "sigmoid")], [fn.Dense(5, "tanh", l2=0.1), fn.Dense(1, "sigmoid", l1=0.01)]):
        X, y = RNG.standard_normal((20, 40)), RNG.integers(0, 2, 20)
        net = fn.Network(layers, dtype="float64").build(40)
        twin = net.copy()
        net.fit(
            X, y, epochs=2, batch_size=batch_size, optimizer=fn.SGD(0.1, momentum=0.5), shuffle=False, verbose=False
        )
        velocity = {name: np.zeros_like(array) for name, array in twin.parameters.items()}
        twin.task = net.task
        for _ in range(2):
            for start in range(0, 20, batch_size or 20):
                some = slice(start, start + (batch_size or 20))
                for name, gradient in twin.gradients(X[some], y[some]).items():
                    velocity[name] = 0.5 * velocity[name] + gradient
                    twin.parameters[name][...] -= 0.1 * velocity[name]
        for name, array in net.parameters.items():
            np.testing.assert_allclose(array, twin.parameters[name], atol=1e-12, err_msg=name)


SCHEDULES = {
    "constant": (fn.schedules.constant(0.5), [0.5] * 6),
    "step": (fn.schedules.step(1.0, every=2, factor=0.5), [1, 1, 0.5, 0.5, 0.25, 0.25]),
    "exponential": (fn.schedules.exponential(1.0, factor=0.5), [1, 0.5, 0.25, 0.125, 1 / 16, 1 / 32]),
    "cosine": (fn.schedules.cosine(2.0), [1 + math.cos(math.pi * t / 6) for t in range(6)]),
    "warm-up": (
        fn.schedules.cosine(1.0, warmup=2, last=0.5),
        [0.5, 1.0, 1.0, 0.75 + 0.25 * math.sqrt(0.5), 0.75, 0.75 - 0.25 * math.sqrt(0.5)],
    ),
    "callable": (lambda step: 1 / (step + 1), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6]),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_move_parameters_by_their_rates(name):
    """One linear weight, and a gradient that is always -1: the weight is the sum of all rates so far."""
    schedule, rates = SCHEDULES[name]
    net = fn.Network([fn.Dense(1, init="zeros")], loss="absolute_error", dtype="float64").build(1)
    seen = []
    net.fit(
        [[1.0], [1.0]],
        [1000.0, 1000.0],
        epochs=3,
        batch_size=1,
        optimizer=fn.SGD(schedule),
        callbacks=[lambda epoch, history, network: seen.append(float(network.parameters["W1"][0, 0]))],
        verbose=False,
    )
    for epoch, value in enumerate(seen, start=1):
        wanted = rates[: 2 * epoch]
        assert value == pytest.approx(sum(wanted))


def test_rates_of_many_epochs_in_one_call_are_those_of_each():
    weights = []
    for callbacks in ([], [lambda *_: None]):  # a callback makes every epoch a call of its own
        net = fn.Network([fn.Dense(3, "tanh"), fn.Dense(1)], seed=1)
        net.fit(
            X,
            Y,
            epochs=40,
            batch_size=10,
            optimizer=fn.Adam(fn.schedules.cosine(0.01, warmup=7)),
            callbacks=callbacks,
            verbose=False,
        )
        weights.append(net.buffer)
    np.testing.assert_array_equal(*weights)


def test_reduce_on_plateau_reads_the_history():
    schedule = fn.schedules.reduce_on_plateau(1.0, factor=0.5, patience=2, monitor="cost", least=0.3)
    costs = [5, 4, 4, 4, 4, 3, 3, 3, 3, 3]  # too long without getting better after the 5th, and the 9th, epoch
    rates = [float(schedule.rates(0, 1, 1, {"cost": costs[:n]})[0]) for n in range(len(costs) + 1)]
    assert rates == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.3, 0.3]
    net = fn.Network([fn.Dense(1)])
    with pytest.raises(ValueError, match="choose one of cost"):
        net.fit(X, Y, optimizer=fn.SGD(fn.schedules.reduce_on_plateau(0.1)), epochs=2, verbose=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fn.SGD(momentum=1), "momentum=1.0 is too large"),
        (lambda: fn.SGD(nesterov=True), "without momentum"),
        (lambda: fn.SGD(weight_decay=-1), "weight_decay=-1 is too small"),
        (lambda: fn.SGD(clip_norm=0), "clip_norm=0 is too small"),
        (lambda: fn.SGD("fast"), "learning_rate='fast'"),
        (lambda: fn.Adam(beta1=1.5), "beta1=1.5 is too large"),
        (lambda: fn.AdamW(epsilon=0), "epsilon=0 is too small"),
        (lambda: fn.RMSProp(decay="x"), "decay='x'"),
        (lambda: fn.schedules.cosine(1, warmup=5, steps=5), "nothing would be left"),
        (lambda: fn.schedules.step(1, every=0), "every=0"),
        (lambda: fn.schedules.reduce_on_plateau(1, factor=2), "does not make the rate smaller"),
        (lambda: fn.Network([fn.Dense(1)]).fit(X, Y, optimizer="adam"), "no optimizer"),
        (
            lambda: fn.Network([fn.Dense(1)]).fit(X, Y, optimizer=fn.SGD(lambda step: -1.0), verbose=False),
            "learning rate=-1",
        ),
    ],
)
def test_refuses(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
