"""Residual blocks, normalisations over channels, pooling and reshaping: beside PyTorch, and with everything else."""

import copy
import pickle

import numba
import numpy as np
import pytest

import fastnet as fn


def block(rng, filters, **settings):
    """A block of two convolutions, as in He et al. (2016), of several shapes."""
    first = {"padding": "same", **settings}
    norm = fn.BatchNorm if rng.random() < 0.7 else fn.LayerNorm
    return fn.Residual(
        [fn.Conv2D(filters, 3, **first), norm("tanh"), fn.Conv2D(filters, (1, 3), padding="same"), fn.BatchNorm()],
        activation=str(rng.choice(["tanh", "sigmoid", "linear", "gelu"])),
    )


def network_of_images(rng, dtype="float64", *, is_smooth=False):
    """A random network with what this file is about, and the shape of its samples.

    One that is smooth has no largest numbers, on whose ties differences depend.
    """
    shape = (int(rng.integers(6, 14)), int(rng.integers(6, 14)), int(rng.integers(3, 6)))
    f = [int(n) for n in rng.integers(3, 9, 3)]  # normalised over less, a pixel is a sign
    layers = [fn.Conv2D(f[0], 3), fn.LayerNorm("silu") if rng.random() < 0.4 else fn.BatchNorm("tanh")]
    if rng.random() < 0.3:
        layers = layers[1:] if rng.random() < 0.5 else layers[:1]
    if rng.random() < 0.5:
        layers.append(fn.AveragePool2D((2, 1), stride=1 if rng.random() < 0.5 else None))
    layers.append(block(rng, f[1], stride=int(rng.integers(1, 3))))
    if rng.random() < 0.5:
        inner = block(rng, f[1])
        layers.append(fn.Residual([inner, fn.Dropout(0.0)]) if rng.random() < 0.5 else inner)
    kind = rng.integers(4)
    if kind == 0:
        layers.append(fn.GlobalAveragePool2D())
    elif kind == 1:
        layers.append(fn.GlobalAveragePool2D() if is_smooth else fn.GlobalMaxPool2D())
    elif kind == 2:
        pool = fn.AveragePool2D if is_smooth else fn.MaxPool2D
        layers += [pool(2, 1), fn.Flatten(), fn.Residual([fn.Dense(6, "tanh"), fn.Dense(f[2])])]
    layers.append(fn.Dense(3, "softmax"))
    return fn.Network(layers, dtype=dtype, seed=int(rng.integers(100))).build(shape), shape


def network_of_signals(rng, dtype="float64", *, is_smooth=False):
    """As `network_of_images`."""
    shape = (int(rng.integers(6, 20)), int(rng.integers(1, 6)))
    n = int(rng.integers(3, 9))
    layers = [
        fn.Conv1D(n, 3, padding=1, activation="tanh"),
        fn.BatchNorm(),
        fn.Residual([fn.Conv1D(n, 3, padding="same", activation="tanh"), fn.LayerNorm()], activation="elu"),
        fn.AveragePool1D(2, 1) if is_smooth or rng.random() < 0.5 else fn.MaxPool1D(2),
        fn.GlobalAveragePool1D() if is_smooth or rng.random() < 0.5 else fn.GlobalMaxPool1D(),
        fn.Dense(3, "softmax"),
    ]
    return fn.Network(layers, dtype=dtype, seed=int(rng.integers(100))).build(shape), shape


def samples(rng, m, shape, dtype="float64"):
    return rng.standard_normal((m, *shape)).astype(dtype), rng.integers(0, 3, m)


def assert_agrees_with_pytorch(net, X, y):
    """Outputs in evaluation, gradients in training, and what batch normalisations remember."""
    torch = pytest.importorskip("torch")
    module = fn.to_torch(net)
    inputs = torch.from_numpy(np.moveaxis(X, -1, 1).copy())
    np.testing.assert_allclose(net.outputs(X), module(inputs).detach().numpy(), atol=1e-10)
    module.train()
    probabilities = module(inputs)
    loss = torch.nn.functional.nll_loss(torch.log(probabilities), torch.from_numpy(y))
    loss.backward()
    # A step of plain descent on all samples shows the gradient.
    before = {name: array.copy() for name, array in net.parameters.items()}
    net.fit(X, y, epochs=1, batch_size=len(X), optimizer=fn.SGD(1.0), verbose=False)
    after = fn.to_torch(net)
    names = dict(after.named_parameters())
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(
            (parameter - names[name]).detach().numpy(), parameter.grad.numpy(), atol=1e-10, err_msg=name
        )
    statistics = dict(after.named_buffers())
    for name, value in module.named_buffers():
        if "running" in name:
            np.testing.assert_allclose(statistics[name].numpy(), value.numpy(), atol=1e-10, err_msg=name)
    assert before.keys() == net.parameters.keys()


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(i, marks=pytest.mark.slow) for i in range(6, 100))])
def test_agreement_with_pytorch(seed):
    rng = np.random.default_rng(seed)
    net, shape = (network_of_images, network_of_signals)[seed % 3 == 0](rng)
    assert_agrees_with_pytorch(net, *samples(rng, int(rng.integers(2, 40)), shape))


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(i, marks=pytest.mark.slow) for i in range(3, 30))])
def test_gradients(seed):
    rng = np.random.default_rng(1000 + seed)
    net, shape = (network_of_images, network_of_signals)[seed % 3 == 0](rng, is_smooth=True)
    X, y = samples(rng, int(rng.choice([1, 2, 15, 17, 33])), shape)
    assert fn.check_gradients(net, X, y) < 1e-7


def test_threads_copies_and_files_give_the_same_bits(tmp_path):
    rng, n_threads = np.random.default_rng(5), numba.get_num_threads()
    for dtype in ("float32", "float64"):
        net, shape = network_of_images(rng, dtype)
        X, y = samples(rng, 70, shape, dtype)
        twins = [net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
        net.save(tmp_path / "a.safetensors")
        twins.append(fn.load(tmp_path / "a.safetensors"))
        assert repr(twins[-1]) == repr(net)
        np.testing.assert_array_equal(twins.pop().buffer, net.buffer)
        for threads, each in enumerate([net, *twins]):
            fn.set_num_threads(1 + threads % min(2, numba.config.NUMBA_NUM_THREADS))
            each.fit(X, y, epochs=2, batch_size=32, optimizer=fn.Adam(), verbose=False)
        fn.set_num_threads(n_threads)
        for twin in twins:
            np.testing.assert_array_equal(twin.buffer, net.buffer)


def test_onnx_gives_the_same(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    for seed in range(6):
        rng = np.random.default_rng(seed)
        net, shape = (network_of_images, network_of_signals)[seed % 3 == 0](rng, "float32")
        X, y = samples(rng, 9, shape, "float32")
        net.fit(X, y, epochs=1, verbose=False)
        net.to_onnx(tmp_path / "a.onnx")
        session = runtime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"X": X})
        np.testing.assert_allclose(found, net.outputs(X), atol=1e-5)


@pytest.mark.parametrize("behind", [[fn.Reshape((4, 4, 1)), fn.Conv2D(2, 3)], [fn.Reshape((4, 4)), fn.GRU(4)]])
def test_a_smaller_mini_batch_has_nothing_of_the_one_before(behind):
    """Dense layers sum over whole blocks, in which there may be columns of older samples."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((74, 2)), rng.standard_normal(74)
    layers = [fn.Dense(16, "tanh"), *behind, fn.Flatten(), fn.Dense(1)]
    used, fresh = (fn.Network(layers, dtype="float64").build(2) for _ in range(2))
    used.gradients(X[:64], y[:64])
    for m in (1, 3, 10, 20):
        expected = fn.Network(layers, dtype="float64").build(2).gradients(X[:m], y[:m])
        for name, gradient in used.gradients(X[:m], y[:m]).items():
            np.testing.assert_array_equal(gradient, expected[name], err_msg=name)
    used.fit(X, y, epochs=1, batch_size=64, shuffle=False, optimizer=fn.SGD(0.1), verbose=False)
    for some in (slice(0, 64), slice(64, 74)):
        other = fn.Network(layers, dtype="float64").build(2)
        other.buffer[...] = fresh.buffer
        for name, gradient in other.gradients(X[some], y[some]).items():
            fresh.parameters[name][...] -= 0.1 * gradient
    np.testing.assert_allclose(used.buffer, fresh.buffer, atol=1e-14)


def test_freezing_a_block():
    """What lies below the first layer that is trained, also around a block, has no gradients and stays."""
    rng = np.random.default_rng(0)
    net = fn.Network(
        [
            fn.Conv2D(4, 3, trainable=False),
            fn.Residual([fn.Conv2D(6, 3, padding="same", activation="relu")], activation="relu"),
            fn.GlobalAveragePool2D(),
            fn.Dense(3, "softmax"),
        ]
    ).build((8, 8, 2))
    X, y = samples(rng, 33, (8, 8, 2), "float32")
    before = {name: array.copy() for name, array in net.parameters.items()}
    net.fit(X, y, epochs=1, verbose=False)
    changed = {name for name, array in net.parameters.items() if (array != before[name]).any()}
    assert changed == {"W2", "b2", "W3", "b3", "W4", "b4"}
    net.freeze(2)
    assert not net.layers[1].is_trainable
    frozen_inside = fn.Residual([fn.Conv2D(4, 3, padding="same", trainable=False)])
    kept = fn.Network([fn.Conv2D(4, 3), frozen_inside, fn.Flatten(), fn.Dense(1)]).freeze(1)
    assert kept.layers[1] == frozen_inside
    before = {name: array.copy() for name, array in net.parameters.items()}
    net.fit(X, y, epochs=1, verbose=False)
    changed = {name for name, array in net.parameters.items() if (array != before[name]).any()}
    assert changed == {"W4", "b4"}


@pytest.mark.parametrize("below", [[], [fn.AveragePool1D(2)], [fn.Conv1D(3, 1, trainable=False)]])
def test_gradients_around_a_block_that_only_reshapes(below):
    """What goes around it is trained, and nothing below it."""
    rng = np.random.default_rng(0)
    layers = [*below, fn.Residual([fn.Reshape((2, -1)), fn.Flatten()], "tanh"), fn.Dense(1)]
    net = fn.Network(layers, dtype="float64").build((4, 3))
    assert fn.check_gradients(net, rng.standard_normal((10, 4, 3)), rng.standard_normal(10)) < 1e-7


def test_a_small_residual_network_learns():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    X = rng.standard_normal((400, 10, 10, 1)).astype("f4")
    X[:, :, 3] += np.where(y[:, None, None] == 1, 1.5, 0)  # a line down the image
    net = fn.Network(
        [
            fn.Conv2D(8, 3, padding="same"),
            fn.BatchNorm("relu"),
            fn.Residual(
                [fn.Conv2D(8, 3, padding="same"), fn.BatchNorm("relu"), fn.Conv2D(8, 1), fn.BatchNorm()],
                activation="relu",
            ),
            fn.GlobalAveragePool2D(),
            fn.Dense(1, "sigmoid"),
        ]
    )
    net.fit(X[:300], y[:300], epochs=25, batch_size=30, optimizer=fn.Adam(), verbose=False)
    assert net.evaluate(X[300:], y[300:])["accuracy"] > 0.8


def test_what_a_network_shows():
    net = fn.Network(
        [fn.Residual([fn.Conv2D(4, 3, stride=2, padding="same")]), fn.GlobalAveragePool2D(), fn.Dense(2, "softmax")]
    )
    assert "Residual" in str(net)
    shown = str(net.build((8, 8, 1)))
    lines = [line.split() for line in shown.splitlines()[3:7]]
    assert [line[0] for line in lines] == ["Residual", "1", "2", "GlobalAveragePool2D"]
    assert "of the input, added" in shown


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([fn.Residual([fn.Conv2D(4, 4)])], (8, 8, 4), "no convolution with windows of 1"),
        ([fn.Residual([fn.Conv2D(4, 9)])], (8, 8, 4), "its layer 1, .* does not fit: its windows reach over 9 x 9"),
        ([fn.Residual([fn.Residual([fn.MaxPool1D(2)])])], (8, 8, 4), "its layer 1, .*its layer 1, .*signals"),
        ([fn.Residual([fn.AveragePool2D(2)])], (7, 7, 4), "no convolution with windows of 1"),
        ([fn.GRU(8, return_sequences=True), fn.Residual([fn.MaxPool1D(3)])], (20, 3), "no convolution with windows"),
        ([fn.GRU(8, return_sequences=True), fn.Residual([fn.GRU(8)])], (20, 3), "no convolution with windows"),
        ([fn.Masking(0), fn.Reshape((-1, 3)), fn.GRU(8)], (20, 6), "sees several steps"),
        ([fn.Masking(0), fn.Dense(12), fn.Reshape((4, 3)), fn.GRU(8)], (20, 6), "sees several steps"),
        ([fn.Masking(0), fn.Residual([fn.Conv1D(6, 3, padding="same")]), fn.GRU(8)], (20, 6), "sees several steps"),
        ([fn.Masking(0), fn.BatchNorm(), fn.GRU(8)], (20, 6), "sees several steps"),
        ([fn.Masking(0), fn.GRU(8, return_sequences=True), fn.Flatten()], (20, 6), "sees several steps"),
        ([fn.Reshape((3, 5))], (16,), "16 numbers"),
        ([fn.GlobalAveragePool2D()], (16,), "images"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(layers, shape, message):
    with pytest.raises(ValueError, match=message):
        fn.Network([*layers, fn.Dense(1, "sigmoid")]).build(shape)


def test_bad_settings_are_refused():
    for make, message in [
        (lambda: fn.Residual([]), "no block"),
        (lambda: fn.Residual(fn.Dense(3)), "no block"),
        (lambda: fn.Residual([fn.Dense(3)], activation="softmax"), "softmax"),
        (lambda: fn.Network([fn.Residual([fn.Rescale(2.0)]), fn.Dense(1)]), "layer 1.1 is Rescale"),
        (lambda: fn.Network([fn.Residual([fn.Dense(3, "softmax")]), fn.Dense(1)]), "layer 1.1 is hidden and softmax"),
        (lambda: fn.Network([fn.Residual(["relu"]), fn.Dense(1)]), "layer 1.1 is 'relu'"),
        (lambda: fn.Network([fn.BatchNorm(), fn.Residual([fn.BatchNorm()]), fn.Dense(1)]), "follows another"),
        (lambda: fn.Network([fn.Dense(3), fn.Residual([fn.Dense(3)])]), "no output layer"),
        (lambda: fn.Reshape((-1, -1)), "may be -1"),
        (lambda: fn.Reshape(()), "no extents"),
        (lambda: fn.Reshape((2.5,)), "2.5"),
        (lambda: fn.AveragePool2D(0), "pool_size"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            make()


def test_reshape_makes_images_of_features():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 36)).astype("f4")
    y = rng.integers(0, 3, 20)
    layers = [fn.Conv2D(4, 3, activation="relu"), fn.GlobalAveragePool2D(), fn.Dense(3, "softmax")]
    flat = fn.Network([fn.Reshape((6, 6, 1)), *layers]).fit(X, y, epochs=2, verbose=False)
    images = fn.Network(layers).fit(X.reshape(20, 6, 6, 1), y, epochs=2, verbose=False)
    assert flat["cost"] == images["cost"]
