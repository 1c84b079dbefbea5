"""Whole networks on a GPU against the same on the CPU. `test_cuda.py` runs this file in a process of its own.

In Numba's simulator a few steps of tiny networks take a second; on a GPU the same tests run, and larger ones.
"""

import os

import numpy as np
import pytest
from fastnet_kernels import codes

import fastnet as fn
from fastnet.execution.cuda.plan import Parts

IS_SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1"
on_gpu = pytest.mark.skipif(IS_SIMULATED, reason="too large for the simulator")
needs_simulator = pytest.mark.skipif(not IS_SIMULATED, reason="a GPU has a library of its own")
Dense = fn.Dense

# An inner dimension of products that are cut into slices: the simulator's tiles are small.
DEEP = 100 if IS_SIMULATED else 2000

# Layers, loss, optimizer, samples, features or the shape of a sample, mini-batch. Some widths are more than a tile has,
# and some products deep.
NETWORKS = {
    "logistic regression": ([Dense(1, "sigmoid")], None, fn.SGD(0.1), 9, 40, 9),
    "slices of features and units": (
        [Dense(2, "tanh"), Dense(DEEP, "relu"), Dense(1, "sigmoid")], None, fn.SGD(0.1), 8, DEEP, 8,
    ),
    "slices of samples": ([Dense(2, "tanh"), Dense(1, "sigmoid")], None, fn.SGD(0.1), DEEP, 2, DEEP),
    "one hidden layer": ([Dense(4, "tanh"), Dense(1, "sigmoid")], None, fn.SGD(0.5), 17, 2, 8),
    "several classes": ([Dense(7, "relu"), Dense(3, "softmax")], fn.losses.cross_entropy(0.1), fn.SGD(0.1), 9, 5, 4),
    "one by one": ([Dense(5, "relu"), Dense(2, "softmax")], None, fn.SGD(0.1), 3, 4, 1),
    "many classes": ([Dense(17, "hard_sigmoid"), Dense(20, "softmax")], None, fn.SGD(0.1, momentum=0.9), 19, 33, 19),
    "deep": (
        [Dense(9, "leaky_relu", slope=0.2), Dense(8, "elu", alpha=0.5), Dense(1, "sigmoid")],
        None, fn.Adam(0.01), 9, 3, 5,
    ),
    "rarer activations": (
        [Dense(3, "silu"), Dense(4, "gelu"), Dense(5, "softplus"), Dense(4, "hard_silu"), Dense(2)],
        fn.losses.huber(0.5), fn.AdamW(0.01, weight_decay=0.1, epsilon_hat=True), 6, 3, 4,
    ),
    "numbers": ([Dense(3, "tanh"), Dense(1)], "absolute_error", fn.SGD(0.1, momentum=0.9, nesterov=True), 7, 3, 4),
    "quantiles": ([Dense(3, "sigmoid"), Dense(1, "relu")], fn.losses.quantile(0.9), fn.RMSProp(0.01), 7, 3, 7),
    "hinge": ([fn.Rescale(0.5, 0.1), Dense(4, "tanh"), Dense(1)], "hinge", fn.SGD(0.1, clip_value=0.05), 9, 5, 4),
    "batch normalisation": (
        [Dense(7), fn.BatchNorm("relu"), Dense(4), fn.BatchNorm("gelu"), Dense(3, "softmax")],
        None, fn.SGD(0.1), 9, 5, 4,
    ),
    "layer normalisation": (
        [Dense(9), fn.LayerNorm("tanh"), Dense(1, "sigmoid")], None, fn.RMSProp(0.01, momentum=0.5), 9, 5, 4,
    ),
    "dropout": ([Dense(9, "relu"), fn.Dropout(0.4), Dense(3, "softmax")], None, fn.SGD(0.1), 9, 5, 4),
    "max pooling": (
        [fn.Dropout(0.2), fn.MaxPool2D((2, 3), 1), fn.MaxPool2D(2), Dense(3, "softmax")],
        None, fn.SGD(0.1), 5, (4, 5, 2), 3,
    ),
    "convolution": (
        [fn.Conv2D(3, (2, 3), padding=1, activation="relu"), fn.MaxPool2D(2), Dense(3, "softmax")],
        None, fn.SGD(0.1), 5, (4, 3, 2), 3,
    ),
    "convolutions of signals": (
        [fn.Conv1D(4, 2, activation="gelu"), fn.Conv1D(2, 3, stride=2, padding="same"), Dense(1, "sigmoid")],
        None, fn.Adam(0.01), 5, (6, 1), 4,
    ),
    "convolutions in groups": (
        [
            fn.Conv2D(9, 1, activation="tanh", l2=0.1),
            fn.Conv2D(6, (3, 2), stride=(2, 3), padding=(1, 2), dilation=(1, 2), groups=3),
            Dense(1),
        ],
        None, fn.SGD(0.1, clip_norm=0.5), 5, (5, 4), 3,
    ),
    "average pooling": (
        [fn.Conv2D(2, 2), fn.AveragePool2D((2, 3), (1, 2)), fn.GlobalAveragePool2D(), Dense(3, "softmax")],
        None, fn.SGD(0.1), 5, (4, 6, 1), 3,
    ),
    "normalised channels": (
        [
            fn.Conv1D(5, 2), fn.BatchNorm("relu"), fn.Conv1D(3, 1), fn.LayerNorm("gelu"), fn.GlobalMaxPool1D(),
            Dense(2, "softmax"),
        ],
        None, fn.SGD(0.1), 5, (4, 2), 3,
    ),
    "residual blocks": (
        [
            fn.Residual([fn.Conv2D(2, 3, stride=2, padding="same"), fn.BatchNorm()], activation="gelu"),
            fn.Residual([fn.Conv2D(2, 1, activation="relu"), fn.Residual([fn.Dropout(0.3)], activation="tanh")]),
            fn.Residual([Dense(3, "tanh")]),
            Dense(3, "softmax"),
        ],
        None, fn.SGD(0.1), 5, (3, 3, 1), 3,
    ),
    "penalties and a clipped norm": (
        [Dense(6, "tanh", l1=0.01, l2=0.1), Dense(3, "softmax", l2=0.2)], None, fn.SGD(0.1, clip_norm=0.1), 9, 5, 4,
    ),
    "frozen": (
        [Dense(6, "tanh", trainable=False), fn.BatchNorm("relu"), Dense(3, "softmax")], None, fn.SGD(0.1), 9, 5, 4,
    ),
    "frozen normalisation": (
        [Dense(6), fn.BatchNorm("relu", trainable=False), Dense(3, "softmax")], None, fn.SGD(0.1), 9, 5, 4,
    ),
}  # fmt: skip


def data(layers, m, n):
    rng = np.random.default_rng(3)
    shape = n if isinstance(n, tuple) else (n,)
    X, units, activation = rng.standard_normal((m, *shape)), layers[-1].units, layers[-1].activation
    if activation in ("sigmoid", "softmax"):
        return X, np.arange(m) % max(2, units)
    return X, rng.standard_normal((m, units))


def two(layers, **options):
    """The same network on the CPU and on the GPU."""
    return [fn.Network(layers, device=device, **options) for device in ("cpu", "cuda")]


def tolerance(dtype):
    return {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-12}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, "float64") for name in NETWORKS),
        ("deep", "float32"),
        ("dropout", "float32"),
        ("convolutions in groups", "float32"),
    ],
)
def test_training_is_that_of_the_cpu(name, dtype):
    layers, loss, optimizer, m, n, batch_size = NETWORKS[name]
    X, y = data(layers, m, n)
    if loss == "hinge":
        y = np.arange(m) % 2
    found = []
    for net in two(layers, loss=loss, dtype=dtype, seed=1):
        history = net.fit(X, y, epochs=2, batch_size=batch_size, optimizer=optimizer, verbose=False)
        costs = [history[key] for key in ("cost", net.task.metric)]
        found.append([*costs, net.buffer, list(net.evaluate(X, y).values()), net.outputs(X)])
        if name.startswith("slices") and net.device.name == "cuda":
            sliced = {
                role for (role, _), product in net._contexts.take(m, False).plan.products.items() if product.slices > 1
            }
            assert sliced == ({codes.FORWARD, codes.BACKWARD} if "features" in name else {codes.WEIGHTS})
        gradients = net.gradients(X, y)
        found[-1] += [gradients[key] for key in sorted(gradients)]
    for on_cpu, on_gpu in zip(*found, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, **tolerance(dtype))


@pytest.mark.parametrize(
    ("shape", "pooling"),
    [((4, 5, 1), fn.MaxPool2D((2, 3), 1)), ((5, 4), fn.MaxPool1D(2)), ((4, 5), fn.MaxPool2D(3, 2))],
)
def test_gradients_through_max_pooling(shape, pooling, images):
    images(*shape)
    layers = [Dense(20, "tanh"), pooling, fn.Dropout(0.2), Dense(3, "softmax")]
    X, y = data(layers, 5, 3)
    found = []
    for net in two(layers, dtype="float64", seed=1):
        net.fit(X, y, epochs=2, batch_size=3, optimizer=fn.SGD(0.1), verbose=False)
        gradients = net.gradients(X, y)
        found.append([net.buffer, net.outputs(X), *(gradients[key] for key in sorted(gradients))])
    for on_cpu, on_gpu in zip(*found, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-11, atol=1e-12)


class NumpyLibrary:
    """In place of cuBLASLt, which the simulator has no GPU for: the same products, of the same matrices."""

    rate = 1 << 40

    def __init__(self, dtype):
        self.products = []

    def multiply(self, stream, m, n, depth, P, Q, C, bias=None, *, relu=False):
        def read(matrix, *shape):
            places = matrix.offset + np.arange(shape[0])[:, None] * matrix.row + np.arange(shape[1]) * matrix.column
            return matrix.buffer.copy_to_host()[places], places

        assert C.column == 1
        assert {P.row, P.column} >= {1}
        assert {Q.row, Q.column} >= {1}
        found = read(P, m, depth)[0] @ read(Q, n, depth)[0].T
        if bias is not None:
            found += read(bias, n, 1)[0].T
        numbers, (_, places) = C.buffer.copy_to_host(), read(C, m, n)
        numbers[places] = np.maximum(found, 0) if relu else found
        C.buffer.copy_to_device(numbers)
        self.products.append((bias is not None, relu))


def use_library(monkeypatch):
    monkeypatch.setattr("fastnet_kernels.cuda.gemm.cublas.find", NumpyLibrary)
    monkeypatch.setattr("fastnet.execution.cuda.products._CYCLES_OF_CALL", 0)


@needs_simulator
@pytest.mark.parametrize("name", ["many classes", "several classes", "penalties and a clipped norm", "frozen", "deep"])
def test_products_by_a_library(name, monkeypatch):
    use_library(monkeypatch)
    layers, loss, optimizer, m, n, batch_size = NETWORKS[name]
    X, y = data(layers, m, n)
    found = []
    for net in two(layers, loss=loss, dtype="float64", seed=1):
        net.fit(X, y, epochs=2, batch_size=batch_size, optimizer=optimizer, verbose=False)
        found.append([net.buffer, list(net.evaluate(X, y).values()), net.outputs(X)])
        gradients = net.gradients(X, y)
        found[-1] += [gradients[key] for key in sorted(gradients)]
    products = net.device._cublas.products
    assert len(products) > 3 * sum(isinstance(layer, Dense) for layer in layers)
    assert (True, True) in products or name != "several classes"  # b and ReLU at once
    assert (True, False) in products  # the last layer's b
    assert (False, False) in products
    for on_cpu, on_gpu in zip(*found, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-11, atol=1e-12)


def test_pixels_weights_and_epochs_without_shuffle():
    layers = [fn.Rescale(1 / 255), Dense(5, "relu"), Dense(2, "softmax")]
    X, y = np.random.default_rng(0).integers(0, 256, (10, 2, 3), np.uint8), np.arange(10) % 2
    found = []
    for net in two(layers, dtype="float64"):
        net.fit(
            X, y, epochs=3, batch_size=4, optimizer=fn.SGD(0.1), shuffle=False, verbose=False,
            sample_weight=np.linspace(0, 2, 10), validation_data=(X, y),
        )  # fmt: skip
        found.append(net.buffer)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


def test_the_same_seed_gives_the_same_bits_on_any_grid():
    layers = [Dense(9, "relu"), fn.BatchNorm("relu"), Dense(5), fn.LayerNorm("tanh"), Dense(3, "softmax")]
    X, y = data(layers, 9, 5)
    found = []
    for blocks in (1, 2, 3):
        net = fn.Network(layers, device="cuda", seed=2)
        net.device.prepare()
        net.device._grids[Parts()] = blocks
        net.fit(X, y, epochs=1, batch_size=8, optimizer=fn.Adam(0.01, clip_norm=0.5), verbose=False)
        found.append(net.buffer.tobytes())
    assert len(set(found)) == 1


def test_convolutions_give_the_same_bits_on_any_grid():
    layers, _, optimizer, m, n, batch_size = NETWORKS["convolutions in groups"]
    X, y = data(layers, m, n)
    found = []
    for blocks in (1, 3):
        net = fn.Network(layers, device="cuda", seed=2)
        net.device._grids[Parts(convolutions=True)] = blocks
        net.fit(X, y, epochs=1, batch_size=batch_size, optimizer=optimizer, verbose=False)
        found.append(net.buffer.tobytes())
    assert found[0] == found[1]


def test_mini_batches_of_other_sizes_before_do_not_change_a_bit():
    """A plan is kept and serves smaller mini-batches: it cuts products as one made for these would."""
    layers = [Dense(2, "tanh"), Dense(1, "sigmoid")]
    X, y = data(layers, 63, 2)
    found = []
    for before in ([], [40, 63]):
        net = fn.Network(layers, device="cuda", seed=2).build(2)
        for size in before:
            net.gradients(X[:size], y[:size])
        found.append([gradient.tobytes() for gradient in net.gradients(X[:34], y[:34]).values()])
    assert found[0] == found[1]


def test_data_that_does_not_fit_goes_in_parts(monkeypatch):
    layers = [Dense(6, "relu"), fn.Dropout(0.3), Dense(3, "softmax")]
    X, y = data(layers, 23, 7)
    weights, found = np.linspace(0.5, 2, 23), []
    for capacity in (1 << 40, 1500, 1):
        net = fn.Network(layers, device="cuda", dtype="float64")
        monkeypatch.setattr(type(net.device), "_capacity", lambda _, capacity=capacity: capacity)
        net.fit(X, y, epochs=2, batch_size=5, optimizer=fn.Adam(0.01), sample_weight=weights, verbose=False)
        found.append((net.buffer.tobytes(), net.predict_proba(X).tobytes(), str(net.evaluate(X, y))))
    assert len(set(found)) == 1


def test_divergence_keeps_the_last_finite_epoch():
    X, y = np.linspace(-1, 1, 9)[:, None], np.arange(9.0)
    for net in two([Dense(1)], dtype="float64"):
        with pytest.raises(fn.DivergenceError, match="smaller learning rate"):
            net.fit(X * 1e3, y, epochs=60, batch_size=4, optimizer=fn.SGD(10.0), verbose=False)
        assert np.isfinite(net.buffer).all()


@pytest.mark.parametrize("has_library", [False, pytest.param(True, marks=needs_simulator)])
def test_a_step_whose_cost_is_not_finite_changes_no_weights(has_library, monkeypatch):
    from fastnet.execution.device import Updates

    if has_library:
        use_library(monkeypatch)

    optimizer = fn.SGD(1e200, momentum=0.9)
    X, y = np.linspace(-1, 1, 6)[:, None], np.arange(6.0)
    found = []
    for net in two([Dense(1)], dtype="float64"):
        batches, costs, scores = net.build(1).batches(X, y, 3), *np.zeros((2, 6))
        states = np.zeros_like(net.buffer), np.zeros(0)
        updates = Updates(optimizer.settings(), np.full(6, 1e200), states)
        batches.order = np.concatenate([np.arange(6)] * 3)
        found.append([net.run(codes.TRAIN, batches, 0, 6, updates=updates, costs=costs, scores=scores)])
        found[-1] += [net.buffer.copy(), states[0].copy(), costs]
    assert 0 < found[1][0] < 6
    for on_cpu, on_gpu in zip(*found, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-12)


def test_a_penalty_that_is_not_finite_ends_the_run():
    from fastnet.execution.device import Updates

    for net in two([Dense(2, l2=1e38), Dense(1)], seed=1):
        net.build(1).parameters["W1"][0, 0] = 1e3
        net.device.prepare({codes.OPTIMIZERS})
        batches, costs, scores = net.batches([[1.0], [2.0]], [0.0, 0.0], 1), *np.zeros((2, 2))
        updates = Updates(fn.SGD().settings(), np.full(2, 1e-38), (np.zeros(0, np.float32),) * 2)
        assert net.run(codes.TRAIN, batches, 0, 2, updates=updates, costs=costs, scores=scores) == 0
        assert costs[0] == np.inf


def test_batch_norm_of_one_sample_is_that_of_evaluation(monkeypatch):
    """It has no variance: what is remembered stands in for it, and stays."""
    monkeypatch.setattr("fastnet.training.fitting.check_batch_sizes", lambda *_: None)  # which would refuse
    layers = [Dense(5, "tanh"), fn.BatchNorm("tanh"), Dense(4), fn.BatchNorm("relu"), Dense(3, "softmax")]
    X, y = data(layers, 3, 4)
    rng, found = np.random.default_rng(0), []
    remembered = {name: rng.random(n) + 0.5 for name, n in (("mean1", 5), ("variance1", 5), ("variance2", 4))}
    for net in two(layers, dtype="float64"):
        net.build(4)
        for name, numbers in remembered.items():
            net.parameters[name][:] = numbers
        gradients = net.gradients(X[:1], y[:1])
        found.append([gradients[key] for key in sorted(gradients)])
        net.fit(X, y, epochs=1, batch_size=1, optimizer=fn.SGD(0.1), verbose=False)
        for name, numbers in remembered.items():
            np.testing.assert_array_equal(net.parameters[name], numbers)
        found[-1].append(net.buffer)
    for on_cpu, on_gpu in zip(*found, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_are_what_logits_say(dtype):
    """However close to each other they are, or to 0."""
    rng = np.random.default_rng(0)
    X = rng.integers(-2, 3, (60, 3)) * 10.0 ** rng.uniform(-30, 0, (60, 1)) + rng.choice([0, 0, 70], (60, 1))
    X = X.astype(dtype)
    X[::3, 2] = np.nextafter(X[::3, 0], np.array(np.inf, dtype))
    for activation, expected in (("softmax", X.argmax(axis=1)), ("sigmoid", X > 0)):
        net = fn.Network([Dense(3, activation)], dtype=dtype, device="cuda").build(3)
        net.parameters["W1"][:] = np.eye(3)
        np.testing.assert_array_equal(net.predict(X), expected)
        y = rng.integers(0, 2, expected.shape)
        assert net.evaluate(X, y)["accuracy"] == np.mean(net.predict(X) == y)


@pytest.mark.parametrize("what", ["layer", "activation", "loss", "optimizer"])
def test_what_is_unknown_gives_nan(what):
    from fastnet.execution.device import Updates

    net = fn.Network([Dense(3, "tanh"), fn.LayerNorm(), Dense(2)], device="cuda").build(2)
    batches, costs, scores = net.batches(np.ones((2, 2)), np.ones((2, 2))), *np.zeros((2, 1))
    context, settings = net._contexts.take(2, False), fn.Adam().settings()
    if what == "loss":
        context.tables["whole"][codes.LOSS] = 99
    elif what == "optimizer":
        settings[codes.OPTIMIZER] = 99
    else:
        context.tables["layers"][1, codes.KIND if what == "layer" else codes.ACTIVATION] = 99
    context.idle.append(context)  # for the run that follows
    updates = Updates(settings, np.ones(1), (np.zeros_like(net.buffer), np.zeros_like(net.buffer)))
    net.run(codes.TRAIN, batches, 0, 1, updates=updates, costs=costs, scores=scores)
    changed = {"layer": ["gamma1", "beta1"], "optimizer": net.parameters}.get(what, [])
    assert np.isnan(costs[0]) == (what in ("loss", "activation"))
    for name in changed:
        assert np.isnan(net.parameters[name]).all()


def test_a_norm_that_is_infinite_is_seen():
    """In float32 squares of 1e30 are; a step of nothing would not be noticed."""
    net = fn.Network([Dense(1, init="zeros")], loss="absolute_error", device="cuda").build(2)
    with pytest.raises(fn.DivergenceError):
        net.fit([[1e30, 1e30]], [1.0], epochs=1, optimizer=fn.SGD(1.0, clip_norm=1.0), verbose=False)


def test_of_the_same_numbers_the_first_is_the_prediction():
    X, y = np.ones((6, 2)), np.array([0, 0, 0, 0, 1, 2])
    layers = [Dense(3, "softmax", init="zeros")]
    for net in two(layers):
        net.build(2)
        assert net.evaluate(X, y)["accuracy"] == pytest.approx(4 / 6)
        assert (net.predict(X) == 0).all()


def test_samples_that_are_not_finite_are_refused():
    net = fn.Network([Dense(2)], device="cuda").build(3)
    with pytest.raises(ValueError, match="row 1"):
        net.predict([[1, 2, 3], [1, np.nan, 3]])


def test_callbacks_see_and_may_set_the_parameters():
    layers = [Dense(3, "tanh"), Dense(1)]
    X, y = data(layers, 6, 2)

    def halve(epoch, history, net):
        net.parameters["W1"][:] *= 0.5

    found = []
    for net in two(layers, dtype="float64"):
        held = net.build(2).parameters["W1"]
        net.fit(X, y, epochs=2, batch_size=3, optimizer=fn.SGD(0.1, momentum=0.9), callbacks=[halve], verbose=False)
        assert held is net.parameters["W1"]
        net.parameters["b2"][:] = 7
        found.append((net.buffer.copy(), net.predict(X)))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-12)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-12)


def test_a_model_moves_between_devices_and_goes_on(tmp_path):
    layers = [Dense(4, "relu"), Dense(3, "softmax")]
    X, y = data(layers, 8, 3)
    net, twin = two(layers, dtype="float64")
    for trained in (net, twin):
        trained.fit(X, y, epochs=1, batch_size=4, optimizer=fn.Adam(0.01), verbose=False)
    twin.save(tmp_path / "a.safetensors", training=True)
    moved = fn.load(tmp_path / "a.safetensors")
    assert moved.device.name == "cpu"
    net.to("cuda")
    for trained in (net, moved, twin):
        trained.fit(X, y, epochs=2, batch_size=4, optimizer=fn.Adam(0.01), verbose=False, resume=True)
        np.testing.assert_allclose(trained.buffer, net.buffer, rtol=1e-11)
    assert twin.copy().device.name == "cuda"
    assert fn.load(tmp_path / "a.safetensors", device="cuda").device.name == "cuda"


@pytest.mark.filterwarnings("ignore::UserWarning")  # that so few epochs have not converged
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_estimators(solver):
    pytest.importorskip("sklearn", minversion="1.9")
    from fastnet.sklearn import MLPClassifier

    rng = np.random.default_rng(0)
    X, y, weights = rng.standard_normal((8, 3)), np.arange(8) % 2, rng.uniform(0.5, 2, 8)
    settings = {"solver": solver, "hidden_layer_sizes": (4,), "max_iter": 1, "max_fun": 1, "random_state": 0}
    if solver == "adam":
        settings |= {"batch_norm": True, "dropout": 0.2, "metrics": ["f1"], "batch_size": 5}
    cpu, gpu = (MLPClassifier(device=device, **settings).fit(X, y, weights) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(gpu.loss_, cpu.loss_, rtol=1e-9)
    for mine, expected in zip(gpu.coefs_, cpu.coefs_, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(gpu.predict_proba(X), cpu.predict_proba(X), rtol=1e-7)
    assert gpu.network_.device.name == "cuda"


def test_streams_and_one_step_at_a_time():
    layers = [Dense(4, "relu"), Dense(3, "softmax")]
    X, y = data(layers, 9, 3)
    found = []
    for net in two(layers, dtype="float64"):
        net.fit([(X[:4], y[:4]), (X[4:], y[4:])], epochs=2, optimizer=fn.SGD(0.1), verbose=False)
        net.partial_fit(X, y, optimizer=fn.SGD(0.1))
        found.append(net.buffer)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


def test_arrays_that_cuda_kernels_cannot_take():
    from fastnet_kernels.cuda import relu

    A = np.ones((4, 6), np.float32)
    with pytest.raises(ValueError, match="ascontiguousarray"):
        relu(A[:, ::2], A[:, 3:])
    with pytest.raises(ValueError, match="float32 and float64"):
        relu(A, A.astype(np.float64))
    with pytest.raises(ValueError, match="int64"):
        relu(np.ones((2, 2), np.int64), np.ones((2, 2), np.int64))


@on_gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(2, 4, 1), (784, 128, 10), (784, 512, 512, 10), (1000, 129, 1000, 3)])
def test_a_hundred_steps(sizes, dtype):
    *hidden, last = sizes[1:]
    layers = [*(Dense(n, "tanh") for n in hidden), Dense(last, "softmax" if last > 1 else "sigmoid")]
    X, y = data(layers, 2560, sizes[0])
    found = []
    for net in two(layers, dtype=dtype):
        net.fit(X, y, epochs=10, batch_size=256, optimizer=fn.SGD(0.1), verbose=False)
        found.append(net.buffer)
    np.testing.assert_allclose(found[1], found[0], atol=1e-5 if dtype == "float32" else 1e-12)


@on_gpu
def test_two_runs_on_the_gpu_give_the_same_bits():
    layers = [Dense(300, "relu"), fn.Dropout(0.2), Dense(200, "relu"), Dense(10, "softmax")]
    X, y = data(layers, 3000, 100)
    found = []
    for _ in range(2):
        net = fn.Network(layers, device="cuda")
        net.fit(X, y, epochs=3, batch_size=128, optimizer=fn.Adam(), verbose=False)
        found.append(net.buffer.tobytes())
    assert found[0] == found[1]


@on_gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_the_library_on_the_gpu(dtype, monkeypatch):
    from fastnet_kernels.cuda.gemm.cublas import find

    if find(dtype) is None:
        pytest.skip("needs cuBLAS: pip install '.[cublas]'")
    monkeypatch.setattr("fastnet.execution.cuda.products._CYCLES_OF_CALL", 0)
    monkeypatch.setattr("fastnet.execution.cuda.products._PART_OF_LIBRARY", {4: 1e6, 8: 1e6})
    layers = [Dense(129, "relu"), Dense(200, "tanh"), Dense(3, "softmax")]
    X, y = data(layers, 700, 50)
    found = []
    for net in two(layers, dtype=dtype):
        net.fit(X, y, epochs=5, batch_size=128, optimizer=fn.SGD(0.1), verbose=False)
        found.append(net.buffer)
    assert {product.tile for product in net._contexts.take(128, False).plan.products.values()} == {codes.OF_LIBRARY}
    np.testing.assert_allclose(found[1], found[0], atol=1e-5 if dtype == "float32" else 1e-12)
