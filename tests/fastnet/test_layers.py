"""Every kind of layer, activation and loss: gradients against differences, results against PyTorch."""

import re

import numpy as np
import pytest
from truth import Truth

import fastnet as fn
from fastnet import other_names
from fastnet.layers import ACTIVATIONS

RNG = np.random.default_rng(0)
X = RNG.standard_normal((37, 9))
CLASSES, NUMBERS = RNG.integers(0, 4, 37), RNG.standard_normal(37) * 2
HIDDEN = [name for name in ACTIVATIONS if name != "softmax"]


def error_of(layers, y, loss=None, X=X):
    return fn.check_gradients(fn.Network(layers, loss=loss, dtype="float64", seed=3).build(X.shape[1:]), X, y)


@pytest.mark.parametrize("activation", HIDDEN)
def test_gradients_of_activations(activation):
    assert error_of([fn.Dense(17, activation), fn.Dense(4, "softmax")], CLASSES) < 1e-7
    numbers = RNG.standard_normal((37, 2))
    assert error_of([fn.Dense(17, activation), fn.Dense(2, activation)], numbers, "squared_error") < 1e-7


LAYERS = {
    "batch norm": [fn.Dense(17), fn.BatchNorm("tanh")],
    "two batch norms": [fn.Dense(17), fn.BatchNorm("gelu"), fn.Dense(33, "tanh"), fn.BatchNorm()],
    "layer norm": [fn.Dense(17), fn.LayerNorm("elu"), fn.Dense(5, "tanh"), fn.LayerNorm("hard_silu")],
    "dropout": [fn.Dense(17, "tanh"), fn.Dropout(0.4), fn.Dense(9, "tanh"), fn.Dropout(0.2)],
    "all": [fn.Dense(40), fn.BatchNorm("tanh"), fn.Dropout(0.1), fn.Dense(12, "gelu"), fn.LayerNorm(), fn.Dropout(0.3)],
    "penalties": [fn.Dense(17, "tanh", l2=0.1, l1=0.05)],
    "frozen batch norm": [fn.Dense(17), fn.BatchNorm("tanh", trainable=False)],
    "frozen first": [fn.Dense(17, "tanh", trainable=False), fn.Dense(8, "tanh")],
    "frozen between": [fn.Dense(17, "tanh"), fn.Dense(8, trainable=False), fn.BatchNorm("tanh")],
}


@pytest.mark.parametrize("m", [1, 2, 3, 15, 16, 17, 33, 100, 300])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_layers(name, m, threads):
    X, y = RNG.standard_normal((m, 9)), RNG.integers(0, 4, m)
    assert error_of([*LAYERS[name], fn.Dense(4, "softmax", l2=0.01)], y, X=X) < (
        1e-4 if m == 2 else 1e-6
    )  # two samples are steep


FIRST = {
    "batch norm": [fn.BatchNorm("tanh")],
    "layer norm": [fn.Rescale(0.5, 1), fn.LayerNorm("gelu")],
    "dropout": [fn.Dropout(0.3)],
    "max pooling": [fn.Dropout(0.3), fn.MaxPool2D((2, 1), 1), fn.MaxPool1D(2), fn.Dense(5, "tanh")],
    "convolutions": [
        fn.Conv2D(5, 2, padding=1, activation="tanh"),
        fn.Conv2D(4, (3, 1), groups=1, l2=0.1),
        fn.Dropout(0.1),
    ],
    "convolutions of a signal": [
        fn.Conv1D(6, 2, padding="same", groups=3, activation="gelu"),
        fn.Conv1D(4, 3, stride=2),
    ],
    "frozen convolution": [fn.Conv2D(5, 2, trainable=False), fn.Conv2D(3, 2, padding="same", activation="tanh")],
    "recurrent": [fn.Recurrent(5, return_sequences=True), fn.Dropout(0.1), fn.Recurrent(17, "relu", l2=0.1)],
    "LSTM": [fn.LSTM(5, return_sequences=True), fn.Dense(4, "tanh"), fn.LSTM(3)],
    "GRU": [fn.GRU(5, return_sequences=True, trainable=False), fn.GRU(4, return_sequences=True), fn.Flatten()],
    "frozen batch norm": [fn.BatchNorm(trainable=False), fn.Dropout(0.2), fn.Dense(5, "tanh"), fn.BatchNorm()],
}


@pytest.mark.parametrize("m", [1, 2, 16, 33, 300])
@pytest.mark.parametrize("name", FIRST)
def test_first_layers_that_are_no_product(name, m, threads):
    """Samples become activations of their own before them."""
    X, y, layers = RNG.standard_normal((m, 3, 3)), RNG.integers(0, 4, m), [*FIRST[name], fn.Dense(4, "softmax")]
    assert error_of(layers, y, X=X) < (1e-4 if m == 2 else 1e-6)
    net = remembering(layers)
    cost, gradients = Truth(net).gradients(X, y)
    assert net.training_cost(net.batches(X, y)) == pytest.approx(cost, rel=1e-12)
    for parameter, gradient in net.gradients(X, y).items():
        np.testing.assert_allclose(gradient, gradients[parameter], rtol=1e-9, atol=1e-12, err_msg=parameter)
    np.testing.assert_allclose(net.outputs(X), Truth(net).outputs(X), rtol=1e-10, atol=1e-13)


def test_what_is_not_finite_is_seen_before_any_first_layer():
    for row, column in ((0, 0), (5, 8), (36, 4)):
        broken = X.copy()
        broken[row, column] = np.nan
        for layers in FIRST.values():
            with pytest.raises(ValueError, match=f"row {row}"):
                remembering([*layers, fn.Dense(4, "softmax")]).predict(broken.reshape(37, 3, 3))


def remembering(layers, shape=(3, 3), **options):
    """A network whose batch normalisations remember something."""
    net, rng = fn.Network(layers, dtype="float64", seed=3, **options).build(shape), np.random.default_rng(5)
    for name, array in net.parameters.items():
        if not name.startswith("W"):
            array[:] = rng.random(array.shape) + 0.5
    return net


def remembered(net):
    return {name: array.copy() for name, array in net.parameters.items() if name.startswith(("mean", "variance"))}


def test_batch_norm_of_one_sample_is_that_of_evaluation(monkeypatch):
    """A variance of one number is not defined: what is remembered stands in for it, and does not depend on it."""
    net = remembering([fn.Dense(7, "tanh"), fn.BatchNorm("tanh", epsilon=0.1), fn.Dense(4, "softmax")])
    x, truth = X[:1], Truth(net)
    cost, expected = truth.gradients(x, CLASSES[:1])
    assert net.training_cost(net.batches(x, CLASSES[:1])) == pytest.approx(cost, rel=1e-12)
    for name, gradient in net.gradients(x, CLASSES[:1]).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-10, atol=1e-14, err_msg=name)
    monkeypatch.setattr("fastnet.training.fitting.check_batch_sizes", lambda *_: None)  # which would refuse
    before = remembered(net)
    net.fit(x, CLASSES[:1], epochs=1, batch_size=1, optimizer=fn.SGD(0.1), verbose=False)
    truth.step(x, CLASSES[:1], 0.1)
    for name, array in net.parameters.items():
        np.testing.assert_allclose(array, truth.parameters[name], rtol=1e-12, err_msg=name)
    for name, array in remembered(net).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("name", ["batch norm", "two batch norms", "all", "frozen batch norm", "frozen between"])
def test_gradients_of_one_sample_with_what_is_remembered(name, threads, monkeypatch):
    net = remembering([*LAYERS[name], fn.Dense(4, "softmax", l2=0.01)])
    before = remembered(net)
    assert fn.check_gradients(net, X[:1], CLASSES[:1]) < 1e-7
    monkeypatch.setattr("fastnet.training.fitting.check_batch_sizes", lambda *_: None)  # which would refuse
    net.fit(X, CLASSES, epochs=2, batch_size=1, optimizer=fn.Adam(), verbose=False)
    for key, array in remembered(net).items():
        np.testing.assert_array_equal(array, before[key])


def test_a_last_mini_batch_of_one_sample_is_not_remembered():
    net = remembering([fn.Dense(7), fn.BatchNorm("tanh"), fn.Dense(4, "softmax")])
    twin = net.copy()
    options = {"epochs": 1, "batch_size": 12, "shuffle": False, "optimizer": fn.SGD(1e-9), "verbose": False}
    with pytest.warns(UserWarning, match="is a single sample"):
        net.fit(X, CLASSES, **options)
    twin.fit(X[:36], CLASSES[:36], **options)
    for key, array in remembered(net).items():
        np.testing.assert_array_equal(array, twin.parameters[key])


@pytest.mark.parametrize(
    ("output", "loss", "y"),
    [
        (fn.Dense(1), "absolute_error", NUMBERS),
        (fn.Dense(1), fn.losses.huber(0.5), NUMBERS),
        (fn.Dense(3), fn.losses.quantile(0.8), RNG.standard_normal((37, 3))),
        (fn.Dense(1), "hinge", CLASSES > 1),
        (fn.Dense(1, "softplus"), None, NUMBERS**2),
        (fn.Dense(4, "softmax"), fn.losses.cross_entropy(0.1), CLASSES),
        (fn.Dense(1, "sigmoid"), fn.losses.log_loss(0.1), CLASSES > 1),
        (fn.Dense(3, "sigmoid"), None, RNG.integers(0, 2, (37, 3))),
    ],
)
def test_gradients_of_losses(output, loss, y):
    assert error_of([fn.Dense(17, "tanh"), output], y, loss) < 1e-7


def torch_twin(torch, net, L):
    """The same network in PyTorch, with the same parameters."""
    of = {
        "tanh": torch.nn.Tanh,
        "gelu": torch.nn.GELU,
        "silu": torch.nn.SiLU,
        "elu": torch.nn.ELU,
        "softplus": torch.nn.Softplus,
        "hard_silu": torch.nn.Hardswish,
        "hard_sigmoid": torch.nn.Hardsigmoid,
        "linear": torch.nn.Identity,
        "softmax": torch.nn.Identity,
    }
    modules, n, l = [], net.n_inputs, 0
    for layer in L:
        if isinstance(layer, fn.Dense):
            l += 1
            module = torch.nn.Linear(n, layer.units)
            n = layer.units
            module.weight.data, module.bias.data = (torch.tensor(net.parameters[f"{name}{l}"].copy()) for name in "Wb")
        else:
            module = (torch.nn.BatchNorm1d if isinstance(layer, fn.BatchNorm) else torch.nn.LayerNorm)(n)
        modules += [module, of[layer.activation]()]
    return torch.nn.Sequential(*modules).double()


@pytest.mark.parametrize(
    "layers",
    [
        [fn.Dense(17, "softplus"), fn.Dense(12, "elu"), fn.Dense(8, "hard_sigmoid"), fn.Dense(4, "softmax")],
        [fn.Dense(17), fn.BatchNorm("tanh"), fn.Dense(12, "gelu"), fn.BatchNorm("silu"), fn.Dense(4, "softmax")],
        [fn.Dense(40), fn.LayerNorm("hard_silu"), fn.Dense(12, "elu"), fn.LayerNorm(), fn.Dense(4, "softmax")],
    ],
    ids=["activations", "batch norm", "layer norm"],
)
def test_training_is_that_of_pytorch(layers, threads, torch):
    """Parameters after 100 steps, what batch normalisations remember, and predictions from it."""
    net = fn.Network(layers, dtype="float64", seed=1).build(9)
    twin = torch_twin(torch, net, layers)
    optimizer = torch.optim.SGD(twin.parameters(), 0.1, momentum=0.9)
    for _ in range(50):
        for some in (slice(0, 20), slice(20, 37)):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(twin(torch.tensor(X[some])), torch.tensor(CLASSES[some]))
            loss.backward()
            optimizer.step()
    net.fit(X, CLASSES, epochs=50, batch_size=20, optimizer=fn.SGD(0.1, momentum=0.9), shuffle=False, verbose=False)
    remembered = [array for name, array in net.parameters.items() if name.startswith(("mean", "variance"))]
    trained = [array for name, array in net.parameters.items() if not name.startswith(("mean", "variance"))]
    for array, wanted in zip(trained, twin.parameters(), strict=True):
        np.testing.assert_allclose(array, wanted.detach().numpy(), atol=1e-6)  # torch's softplus is cut at 20
    buffers = [buffer for name, buffer in twin.named_buffers() if "running" in name]
    for array, wanted in zip(remembered, buffers, strict=True):
        np.testing.assert_allclose(array, wanted.numpy(), atol=1e-8)
    twin.eval()
    wanted = torch.softmax(twin(torch.tensor(X)), 1).detach().numpy()
    np.testing.assert_allclose(net.predict_proba(X), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "torch_loss"),
    [
        (fn.losses.huber(0.5), lambda torch: torch.nn.HuberLoss(delta=0.5)),
        ("absolute_error", lambda torch: torch.nn.L1Loss()),
        ("squared_error", lambda torch: lambda a, y: torch.nn.functional.mse_loss(a, y) / 2),
    ],
)
def test_losses_are_those_of_pytorch(loss, torch_loss, torch):
    net = fn.Network([fn.Dense(5, "tanh"), fn.Dense(1)], loss=loss, dtype="float64").build(9)
    outputs = torch.tensor(net.predict(X))
    assert net.evaluate(X, NUMBERS)["cost"] == pytest.approx(float(torch_loss(torch)(outputs, torch.tensor(NUMBERS))))


def test_smoothed_labels_are_those_of_pytorch(torch):
    net = fn.Network([fn.Dense(4, "softmax")], loss=fn.losses.cross_entropy(0.2), dtype="float64").build(9)
    logits = torch.tensor(np.log(net.predict_proba(X)))
    wanted = torch.nn.functional.cross_entropy(logits, torch.tensor(CLASSES), label_smoothing=0.2)
    assert net.evaluate(X, CLASSES)["cost"] == pytest.approx(float(wanted))


def test_smoothed_answers_cost_what_the_formula_says():
    answers = (CLASSES % 2).astype(np.float64)
    net = fn.Network([fn.Dense(1, "sigmoid")], loss=fn.losses.log_loss(0.2), dtype="float64").build(9)
    net.task = net.task.learn(CLASSES % 2)
    a, target = net.predict_proba(X), 0.8 * answers + 0.1
    wanted = -(target * np.log(a) + (1 - target) * np.log(1 - a)).mean()
    assert net.evaluate(X, CLASSES % 2) == pytest.approx({"cost": wanted, "accuracy": ((a > 0.5) == answers).mean()})


def test_quantiles_are_found():
    X, y = np.zeros((2000, 1)), np.random.default_rng(1).standard_normal(2000)
    net = fn.Network([fn.Dense(1)], loss=fn.losses.quantile(0.9), dtype="float64")
    net.fit(X, y, epochs=300, batch_size=None, optimizer=fn.SGD(0.1), verbose=False)
    assert net.predict(X[:1])[0] == pytest.approx(np.quantile(y, 0.9), abs=0.05)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["all", "two batch norms", "dropout", "layer norm"])
def test_same_bits_on_any_number_of_threads(name, dtype):
    import numba

    X, y = np.random.default_rng(3).standard_normal((333, 50)), np.random.default_rng(4).integers(0, 4, 333)
    before, found = numba.get_num_threads(), []
    for n_threads in [*range(1, numba.config.NUMBA_NUM_THREADS + 1), 1]:
        numba.set_num_threads(n_threads)
        net = fn.Network([fn.Dense(300), *LAYERS[name], fn.Dense(4, "softmax")], seed=5, dtype=dtype)
        history = net.fit(X, y, epochs=2, batch_size=200, optimizer=fn.AdamW(0.01, clip_norm=1), verbose=False)
        found.append((history["cost"], net.buffer, net.predict_proba(X)))
    numba.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_dropout_is_for_training_only():
    net = fn.Network([fn.Dense(30, "tanh"), fn.Dropout(0.5), fn.Dense(4, "softmax")], dtype="float64").build(9)
    without = fn.Network([fn.Dense(30, "tanh"), fn.Dense(4, "softmax")], dtype="float64").build(9)
    without.take_parameters(net)
    np.testing.assert_array_equal(net.predict_proba(X), without.predict_proba(X))
    costs = {net.training_cost(net.batches(X, CLASSES)), without.training_cost(without.batches(X, CLASSES))}
    assert len(costs) == 2


def test_frozen_layers_stay_and_others_train():
    net = fn.Network([fn.Dense(8, "relu"), fn.Dense(8), fn.BatchNorm("relu"), fn.Dense(4, "softmax")]).build(9)
    net.freeze(3)
    before = {name: array.copy() for name, array in net.parameters.items()}
    assert list(net.gradients(X, CLASSES)) == ["W3", "b3"]
    net.fit(X, CLASSES, epochs=2, optimizer=fn.AdamW(), verbose=False)
    changed = {name for name, array in net.parameters.items() if (array != before[name]).any()}
    assert changed == {"W3", "b3"}
    net.unfreeze().fit(X, CLASSES, epochs=2, verbose=False)
    changed = {name for name, array in net.parameters.items() if (array != before[name]).any()}
    assert {"W1", "b1", "gamma2", "beta2", "mean2", "variance2"} <= changed


def test_weights_of_samples_and_classes():
    """A weight of 2 is a sample twice; the cost stays a mean over the samples that are there."""
    net = fn.Network([fn.Dense(5, "tanh"), fn.Dense(4, "softmax")], dtype="float64").build(9)
    weights = RNG.integers(0, 3, 37)
    repeated = np.repeat(np.arange(37), weights)
    twice = net.evaluate(X[repeated], CLASSES[repeated])["cost"] * weights.sum() / 37
    assert net.evaluate(X, CLASSES, sample_weight=weights)["cost"] == pytest.approx(twice)
    twin = net.copy()
    by_label = {label: float(label + 1) for label in range(4)}
    options = {"epochs": 3, "batch_size": 10, "verbose": False}
    net.fit(X, CLASSES, class_weight=by_label, **options)
    twin.fit(X, CLASSES, sample_weight=CLASSES + 1.0, **options)
    np.testing.assert_array_equal(net.buffer, twin.buffer)


def test_samples_of_weight_0_have_no_say(threads):
    """Whatever they are, and in whatever order they come."""
    weights = np.random.default_rng(8).integers(0, 2, 300)
    X, y = np.random.default_rng(9).standard_normal((300, 9)), np.random.default_rng(10).integers(0, 4, 300)
    other_X, other_y = X.copy(), y.copy()
    other_X[weights == 0], other_y[weights == 0] = 5, 0
    found = []
    for samples, labels in ((X, y), (other_X, other_y)):
        net = fn.Network([fn.Dense(5, "tanh"), fn.Dense(4, "softmax")], dtype="float64")
        net.fit(samples, labels, epochs=2, batch_size=100, sample_weight=weights, verbose=False)
        found.append(net.buffer)
    np.testing.assert_allclose(*found, rtol=1e-12)
    twice = net.copy()
    before, repeated = net.buffer.copy(), np.repeat(np.arange(300), weights * 2)
    net.fit(X, y, epochs=1, batch_size=None, sample_weight=weights * 2, verbose=False)
    twice.fit(X[repeated], y[repeated], epochs=1, batch_size=None, verbose=False)
    share = len(repeated) / 300
    np.testing.assert_allclose(net.buffer - before, (twice.buffer - before) * share, atol=1e-12)


def test_balanced_classes_weigh_the_same():
    y = np.array([0] * 30 + [1] * 7)
    net = fn.Network([fn.Dense(1, "sigmoid", init="zeros")], dtype="float64")
    net.fit(X * 0, y, epochs=300, batch_size=None, optimizer=fn.SGD(1.0), class_weight="balanced", verbose=False)
    np.testing.assert_allclose(net.predict_proba(X[:1] * 0), 0.5, atol=1e-6)


def test_several_answers_at_once():
    X = np.random.default_rng(5).standard_normal((300, 6))
    Y = (X[:, :3] + 0.1 * X[:, 3:] > 0).astype(int)
    net = fn.Network([fn.Dense(16, "tanh"), fn.Dense(3, "sigmoid")])
    history = net.fit(X, Y, epochs=60, optimizer=fn.Adam(0.01), verbose=False)
    assert history["accuracy"][-1] > 0.95
    assert net.predict(X).shape == (300, 3)
    assert net.evaluate(X, Y)["accuracy"] == pytest.approx(np.mean(net.predict(X) == Y))
    with pytest.raises(ValueError, match="3 sigmoid units answer"):
        net.fit(X, Y[:, :2], verbose=False)


def test_hinge_tells_two_classes_apart():
    X = np.random.default_rng(6).standard_normal((200, 2))
    y = np.where(X[:, 0] > X[:, 1], "left", "right")
    net = fn.Network([fn.Dense(1, l2=1e-3)], loss="hinge")
    net.fit(X, y, epochs=50, verbose=False)
    assert net.evaluate(X, y, metrics=["accuracy", "auc"])["auc"] > 0.99
    assert np.mean(net.predict(X) == y) == pytest.approx(net.evaluate(X, y)["accuracy"])
    with pytest.raises(ValueError, match="use predict"):
        net.predict_proba(X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fn.Dropout(1), "leave out everything"),
        (lambda: fn.Network([fn.Dense(3), fn.Dense(1, "softmax")]), r"use Dense\(1, 'sigmoid'\) for two classes"),
        (lambda: fn.BatchNorm("softmax"), "'softmax' is not known"),
        (lambda: fn.BatchNorm(momentum=2), "above 1"),
        (lambda: fn.LayerNorm(epsilon=0), "epsilon=0"),
        (lambda: fn.Dense(3, l2=-1), "l2=-1"),
        (lambda: fn.Dense(3, trainable=1), "give True or False"),
        (lambda: fn.Network([fn.Dense(1), fn.BatchNorm()]), "no output layer"),
        (lambda: fn.Network([fn.Dense(2), fn.Dropout(0.5)]), "no output layer"),
        (lambda: fn.Network([fn.Dense(2), fn.BatchNorm(), fn.LayerNorm(), fn.Dense(1)]), "another normalisation"),
        (lambda: fn.Network([fn.Dense(2)], loss="hinge"), "one linear unit"),
        (lambda: fn.Network([fn.Dense(1)]).freeze(1), "all 1 layers"),
        (lambda: fn.losses.huber(0), "delta=0"),
        (lambda: fn.losses.quantile(1), "no quantile"),
        (lambda: fn.losses.cross_entropy(1), "leaves nothing"),
        (lambda: fn.Network([fn.Dense(1)]).fit(X, NUMBERS, class_weight="balanced"), "use sample_weight"),
        (lambda: fn.Network([fn.Dense(4, "softmax")]).fit(X, CLASSES, class_weight={9: 1.0}), "has the label 9"),
        (lambda: fn.Network([fn.Dense(1)]).fit(X, NUMBERS, sample_weight=[1.0]), "one number a sample"),
        (lambda: fn.Network([fn.Dense(1)]).fit(X, NUMBERS, sample_weight=-np.ones(37)), "below 0"),
        (lambda: fn.Network([fn.Dense(1)]).fit(X, NUMBERS, sample_weight=np.zeros(37)), "nothing would be learned"),
        (lambda: fn.Network([fn.Dense(1, trainable=False)]).fit(X, NUMBERS), "no layer is trainable"),
    ],
)
def test_refuses(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_names_that_other_libraries_have():
    for name, here in (("Conv2d", "Conv2D"), ("Linear", "Dense"), ("ReLU", "Dense"), ("MaxPooling1D", "MaxPool1D")):
        with pytest.raises(AttributeError, match=rf"module 'fastnet' has no attribute '{name}': .*{here}"):
            getattr(fn, name)
    with pytest.raises(AttributeError, match=r"no attribute 'Capsule'$"):
        fn.Capsule  # noqa: B018
    mentioned = {name for hint in other_names._NAMES.values() for name in re.findall(r"\b[A-Z]\w+(?=\()", hint)}
    assert mentioned <= set(fn.__all__)
