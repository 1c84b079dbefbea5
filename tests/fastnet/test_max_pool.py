"""Max pooling in whole networks: to the bit what PyTorch makes of it, and everything that other layers can do."""

import copy

import numpy as np
import pytest
from fastnet_kernels import codes
from truth import Truth

import fastnet as fn

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.standard_normal((37, 5, 6, 2)), RNG.integers(0, 4, 37)
LAYERS = [fn.Dropout(0.1), fn.MaxPool2D((2, 3), 1), fn.Dropout(0.2), fn.Dense(6, "tanh"), fn.Dense(4, "softmax")]


def drawn(seed):
    """A pooling, its samples' shape, and how many there are: fewer units behind it than before, and so few that a W of
    as many rows as columns is small.
    """
    rng = np.random.default_rng(seed)
    while True:
        h, w, c, m = rng.integers(1, [12, 12, 71, 101]).tolist()
        (py, px), (sy, sx) = rng.integers(1, 5, (2, 2)).tolist()
        kind = rng.choice(["1D", "2D", "one channel"])
        shape = {"1D": (w, c), "2D": (h, w, c), "one channel": (h, w)}[kind]
        layer = fn.MaxPool1D(px, sx) if kind == "1D" else fn.MaxPool2D((py, px), (sy, sx))
        if w < px or (h < py and kind != "1D"):
            continue
        if np.prod(layer.output_shape(shape)) <= min(300, np.prod(shape) - 1):
            return layer, shape, m


def torch_pool(torch, layer, A_prev, dA):
    """A, and dA_prev for some dA, of samples whose channels are last."""
    given = torch.tensor(A_prev, requires_grad=True)
    if isinstance(layer, fn.MaxPool1D):
        A = torch.nn.functional.max_pool1d(given.movedim(-1, 1), layer.window, layer.steps).movedim(1, -1)
    elif given.ndim == 3:
        A = torch.nn.functional.max_pool2d(given[:, None], layer.window, layer.steps)[:, 0]
    else:
        A = torch.nn.functional.max_pool2d(given.movedim(-1, 1), layer.window, layer.steps).movedim(1, -1)
    A.backward(torch.tensor(dA.reshape(A.shape)))
    return A.detach().numpy(), given.grad.numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(100))
def test_it_is_that_of_pytorch_to_the_bit(seed, dtype, torch, images):
    """Between two products of which one, W1, is the samples, and the other changes nothing: so its dW1 is dA_prev."""
    layer, shape, m = drawn(seed)
    size, behind = int(np.prod(shape)), int(np.prod(layer.output_shape(shape)))
    images(*shape)
    samples = np.random.default_rng(seed).integers(-3, 4, (m, *shape)).astype(dtype)  # many equal ones
    if seed % 2:
        samples = np.random.default_rng(seed).standard_normal((m, *shape)).astype(dtype)
    net = fn.Network([fn.Dense(size), layer, fn.Dense(behind)], dtype=dtype).build(m)
    net.parameters["W1"][:], net.parameters["W2"][:] = samples.reshape(m, -1).T, np.eye(behind)
    A = net.outputs(np.eye(m))
    gradient = net.gradients(np.eye(m), np.zeros((m, behind)))["W1"].T.reshape(samples.shape)
    expected, expected_gradient = torch_pool(torch, layer, samples, A / np.array(m, dtype))
    np.testing.assert_array_equal(A, expected.reshape(m, -1))
    if m & (m - 1) == 0:  # else 1 / m is rounded, here or there
        np.testing.assert_array_equal(gradient, expected_gradient)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(gradient, expected_gradient, rtol=8 * eps, atol=eps)


@pytest.mark.parametrize("m", [1, 2, 16, 33, 100])
@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((5, 6, 2), [fn.MaxPool2D(2)]),
        ((5, 6, 2), [fn.Dropout(0.3), fn.MaxPool2D(3, 1), fn.Dropout(0.1), fn.MaxPool2D((1, 2), (2, 1))]),
        ((12, 5), [fn.MaxPool1D(3, 2), fn.MaxPool1D(2)]),
        ((10, 6), [fn.MaxPool2D(2, 1)]),
    ],
)
def test_gradients_are_those_of_differences_and_of_the_textbook(shape, layers, m, threads, images):
    images(*shape)
    net = fn.Network([fn.Dense(60, "tanh"), *layers, fn.Dense(4, "softmax")], dtype="float64", seed=3).build(7)
    X, y = RNG.standard_normal((m, 7)), RNG.integers(0, 4, m)
    assert fn.check_gradients(net, X, y) < 1e-7
    cost, gradients = Truth(net).gradients(X, y)
    assert net.training_cost(net.batches(X, y)) == pytest.approx(cost, rel=1e-12)
    for name, gradient in net.gradients(X, y).items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(net.outputs(X), Truth(net).outputs(X), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_on_any_number_of_threads(dtype, images):
    import numba

    images(5, 12, 5)
    before, found = numba.get_num_threads(), []
    for n_threads in [*range(1, numba.config.NUMBA_NUM_THREADS + 1), 1]:
        numba.set_num_threads(n_threads)
        net = fn.Network([fn.Dense(300), fn.MaxPool2D(3, 1), fn.Dense(4, "softmax")], seed=5, dtype=dtype)
        X, y = np.random.default_rng(3).standard_normal((333, 50)), np.random.default_rng(4).integers(0, 4, 333)
        net.fit(X, y, epochs=2, batch_size=200, verbose=False)
        found.append((net.buffer.tobytes(), net.outputs(X).tobytes()))
    numba.set_num_threads(before)
    assert len(set(found)) == 1


def test_pixels_streams_augmentation_and_evaluation():
    """Samples of uint8 are those numbers, and functions that change a mini-batch get images."""
    X = RNG.integers(0, 256, (40, 6, 6, 3), np.uint8)
    y, nets, seen = np.arange(40) % 4, [], []

    def look(given, rng):
        seen.append(given.shape)
        return given

    layers = [fn.Rescale(1 / 255), fn.MaxPool2D(2), *LAYERS[2:]]
    options = {"epochs": 2, "shuffle": False, "batch_size": 10, "verbose": False}
    for given in (X, X.astype(np.float32), X.astype(np.float64)):
        nets.append(fn.Network(layers, seed=1))
        nets[-1].fit(given, y, **options)
    nets.append(fn.Network(layers, seed=1))
    nets[-1].fit(X, y, augment=look, **options)
    nets.append(fn.Network(layers, seed=1))
    nets[-1].fit([(X[i : i + 10], y[i : i + 10]) for i in range(0, 40, 10)], epochs=2, verbose=False)
    for net in nets[1:]:
        np.testing.assert_array_equal(net.buffer, nets[0].buffer)
        assert net.evaluate(X, y) == nets[0].evaluate(X, y)
    assert set(seen) == {(10, 6, 6, 3)}


def test_copies_files_and_summaries_know_its_shapes(tmp_path):
    net = fn.Network(LAYERS, seed=2)
    net.fit(IMAGES, LABELS, epochs=2, batch_size=10, verbose=False)
    net.save(tmp_path / "net.safetensors", training=True)
    again = fn.load(tmp_path / "net.safetensors")
    assert again.layers == net.layers
    assert again.input_shape == (5, 6, 2)
    assert "MaxPool2D  (m, 4, 4, 2)           0              0  windows 2 x 3, stride 1 x 1" in net.summary()
    for twin in (again, net.copy(), copy.deepcopy(net)):
        np.testing.assert_array_equal(twin.predict_proba(IMAGES), net.predict_proba(IMAGES))
    again.fit(IMAGES, LABELS, epochs=4, batch_size=10, verbose=False, resume=True)
    whole = fn.Network(LAYERS, seed=2)
    whole.fit(IMAGES, LABELS, epochs=4, batch_size=10, verbose=False)
    np.testing.assert_array_equal(again.buffer, whole.buffer)


def test_layers_before_it_can_be_frozen(images):
    images(5, 12)
    net = fn.Network([fn.Dense(60, "tanh"), fn.MaxPool2D(2), fn.Dense(4, "softmax")]).build(7).freeze(1)
    assert list(net.gradients(RNG.standard_normal((9, 7)), np.arange(9) % 4)) == ["W2", "b2"]


def test_samples_of_another_shape_change_nothing():
    net = fn.Network(LAYERS).build((5, 6, 2))
    before = net.buffer.copy()
    for X in (IMAGES[:, 1:], IMAGES.reshape(37, -1), IMAGES[..., :1]):
        for use in (net.predict, lambda X: net.fit(X, LABELS, verbose=False)):
            with pytest.raises(ValueError, match=r"built for samples of \(5, 6, 2\); give \(m, 5, 6, 2\)"):
                use(X)
    np.testing.assert_array_equal(net.buffer, before)


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([fn.MaxPool2D(3)], (5, 2, 3), r"layer 1, MaxPool2D\(3\),.*3 x 3, are larger than.*\(m, 5, 2, 3\).*most 5 x 2"),
        ([fn.MaxPool2D(2), fn.MaxPool2D(2)], (3, 3), r"layer 2, .*\(m, 1, 1\)"),
        ([fn.MaxPool2D(2)], (60,), r"images \(m, h, w, c\) or \(m, h, w\), and gets \(m, 60\)"),
        ([fn.Dense(9), fn.MaxPool2D(2)], (5, 6, 2), r"layer 2, .* gets \(m, 9\).*put Dense behind it"),
        ([fn.MaxPool1D(2)], (60,), r"signals \(m, t, c\), and gets \(m, 60\)"),
        ([fn.MaxPool1D(2)], (5, 6, 2), r"signals \(m, t, c\), and gets \(m, 5, 6, 2\)"),
        ([fn.MaxPool1D(4)], (3, 9), "4, are larger than.*at most 3"),
    ],
)
def test_what_does_not_fit_says_what_would(layers, shape, message):
    net = fn.Network([*layers, fn.Dense(4, "softmax")])
    with pytest.raises(ValueError, match=message):
        net.fit(np.zeros((4, *shape)), np.arange(4), verbose=False)
    assert net.input_shape is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fn.MaxPool2D(0), "pool_size=0 is below 1"),
        (lambda: fn.MaxPool2D(2, (1, 0)), r"stride\[1\]=0 is below 1"),
        (lambda: fn.MaxPool2D((2, 2, 2)), "3 entries"),
        (lambda: fn.MaxPool2D(2.0), "pool_size=2.0 is a float"),
        (lambda: fn.MaxPool1D((2,)), "is a tuple"),
        (lambda: fn.Network([fn.Dense(1), fn.MaxPool1D(2)]), "no output layer"),
    ],
)
def test_refuses(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_shapes_may_be_given_in_many_ways():
    for shape in ((5, 6, 2), [5, 6, 2], np.array([5, 6, 2])):
        assert fn.Network(LAYERS).build(shape).input_shape == (5, 6, 2)
    with pytest.raises(TypeError, match="n_inputs='3' is a str"):
        fn.Network(LAYERS).build("3")


def test_memory_is_for_what_a_plan_needs():
    """Not for as many numbers as a sample has, where a pooling leaves few of them."""
    net = fn.Network([fn.MaxPool2D(1 << 9), fn.Dense(2)]).build((1 << 9, 1 << 9))
    plan = net._contexts.take(1, False).plan
    assert plan.iota.size < 1000


def test_an_unknown_kind_gives_nan():
    net = fn.Network(LAYERS).build((5, 6, 2))
    context = net._contexts.take(9, False)
    context.plan.layers[2, codes.KIND] = 99
    context.idle.append(context)
    costs, scores = np.zeros((2, 1))
    net.run(codes.GRADIENT, net.batches(IMAGES[:9], LABELS[:9]), 0, 1, costs=costs, scores=scores)
    assert np.isnan(costs[0])
