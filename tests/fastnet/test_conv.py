"""Convolutions against PyTorch and against what they are defined as."""

import copy
import math

import numba
import numpy as np
import pytest

import fastnet as fn

RNG = np.random.default_rng(0)


def drawn(seed):
    """A convolution, the shape of its samples and how many there are: kernels, strides, padding, dilation, groups."""
    rng = np.random.default_rng(seed)
    while True:
        groups = int(rng.choice([1, 1, 1, 2, 3, 5]))
        most = 70 // groups if rng.random() < 0.3 else 6
        channels, filters = (groups * int(rng.integers(1, most + 1)) for _ in range(2))
        kernel, stride, dilation = ((int(rng.integers(1, n)), int(rng.integers(1, n))) for n in (8, 4, 4))
        padding = (int(rng.integers(0, 4)), int(rng.integers(0, 4)))
        shape = (int(rng.integers(1, 16)), int(rng.integers(1, 16)))
        m = int(rng.integers(1, 101)) if rng.random() < 0.4 else int(rng.integers(1, 20))
        reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
        if all(n + 2 * pad >= size for n, pad, size in zip(shape, padding, reach, strict=True)):
            layer = fn.Conv2D(filters, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)
            return layer, channels, shape, m


def through_torch(torch, layer, parameters, A_prev):
    """What PyTorch makes of A_prev (m, c, h, w)."""
    W = parameters["W2"].permute(0, 3, 1, 2)
    return torch.nn.functional.conv2d(
        A_prev, W, parameters["b2"], layer.stride, layer.padding, layer.dilation, layer.groups
    )


def drawn_of_three(seed):
    """As `drawn`, of windows of 3 x 3 beside each other and many channels, which go through Winograd's terms."""
    rng = np.random.default_rng(1000 + seed)
    channels, filters = (int(rng.integers(12, 80)), int(rng.integers(12, 140)))
    padding = "same" if seed % 2 else (int(rng.integers(0, 3)), int(rng.integers(0, 3)))
    shape = (int(rng.integers(3, 12)), int(rng.integers(3, 12)))
    return fn.Conv2D(filters, 3, padding=padding), channels, shape, int(rng.integers(1, 40))


def network_of(draw, seed, dtype):
    """A network with such a convolution in the middle, and samples for it."""
    layer, channels, shape, m = draw(seed)
    net = fn.Network([fn.Conv2D(channels, 1, activation="tanh"), layer, fn.Dense(3, "softmax")], dtype=dtype, seed=seed)
    net.build((*shape, 2))
    for name, array in net.parameters.items():
        if name[0] == "b":
            array[...] = RNG.standard_normal(array.shape) / 10
    return net, RNG.standard_normal((m, *shape, 2)).astype(dtype), RNG.integers(0, 3, m)


def of_pytorch(torch, net, X, y, dtype):
    """Outputs and gradients of the same, computed by PyTorch in a dtype."""
    parameters = {name: torch.tensor(array.astype(dtype), requires_grad=True) for name, array in net.parameters.items()}
    pixels = torch.tensor(X.astype(dtype)) @ parameters["W1"][:, 0, 0].T + parameters["b1"]
    made = through_torch(torch, net.layers[1], parameters, torch.tanh(pixels).permute(0, 3, 1, 2))
    logits = made.permute(0, 2, 3, 1).reshape(len(X), -1) @ parameters["W3"].T + parameters["b3"]
    torch.nn.functional.cross_entropy(logits, torch.tensor(y)).backward()
    return torch.softmax(logits, 1).detach().numpy(), {name: each.grad.numpy() for name, each in parameters.items()}


def distance(found, exact):
    """The largest differences: of outputs, and of gradients relative to the largest number of each."""
    gradients = [
        np.abs(found[1][name] - each).max() / max(1e-30, np.abs(each).max()) for name, each in exact[1].items()
    ]
    return np.abs(found[0] - exact[0]).max(), max(gradients)


def compare(torch, draw, seed, dtype="float64"):
    """How far fastnet is from PyTorch in float64, and how far PyTorch in `dtype` is."""
    net, X, y = network_of(draw, seed, dtype)
    exact = of_pytorch(torch, net, X, y, "float64")
    own = distance((net.outputs(X), net.gradients(X, y)), exact)
    return own, distance(of_pytorch(torch, net, X, y, dtype), exact)


@pytest.mark.parametrize("seed", [*range(40), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(40, 300))])
def test_outputs_and_gradients_are_those_of_pytorch(torch, seed):
    (outputs, gradients), _ = compare(torch, drawn, seed)
    assert outputs < 1e-12
    assert gradients < 1e-10


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 100))])
def test_windows_of_three(torch, seed):
    (outputs, gradients), _ = compare(torch, drawn_of_three, seed)
    assert outputs < 1e-12
    assert gradients < 1e-10


@pytest.mark.parametrize("draw", [drawn, drawn_of_three])
@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 30))])
def test_float32_is_as_near_as_that_of_pytorch(torch, draw, seed):
    own, theirs = compare(torch, draw, seed, "float32")
    assert own[0] < max(1e-6, 2 * theirs[0])
    assert own[1] < max(1e-6, 2 * theirs[1])


@pytest.mark.parametrize("m", [1, 2, 16, 33, 100])
@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([fn.Conv2D(5, 3, padding="same", activation="tanh"), fn.Conv2D(33, 2, activation="gelu")], (5, 4, 3)),
        ([fn.Conv2D(4, (1, 3), activation="tanh"), fn.MaxPool2D(2), fn.Dropout(0.2)], (4, 5)),
        ([fn.Conv1D(17, 3, stride=2, padding=1, activation="elu"), fn.Conv1D(4, 2, dilation=2)], (9, 2)),
        ([fn.Conv2D(6, 3, padding="same", stride=2, groups=3, activation="silu", l2=0.1), fn.Flatten()], (6, 7, 3)),
        ([fn.Conv2D(18, 1), fn.Conv2D(18, 3, padding="same", stride=2, groups=18, activation="silu")], (6, 5, 2)),
        ([fn.Dense(12, "tanh"), fn.Dropout(0.1), fn.Dense(8, "tanh")], (3, 3, 2)),
    ],
)
def test_gradients_are_those_of_differences(layers, shape, m, threads):
    net = fn.Network([*layers, fn.Dense(4, "softmax")], dtype="float64", seed=3).build(shape)
    assert fn.check_gradients(net, RNG.standard_normal((m, *shape)), RNG.integers(0, 4, m)) < 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_on_any_number_of_threads(dtype):
    before, found = numba.get_num_threads(), []
    X, y = RNG.standard_normal((100, 12, 11, 3)), RNG.integers(0, 4, 100)
    layers = [
        fn.Conv2D(16, 3, padding="same", activation="relu"),
        fn.MaxPool2D(2),
        fn.Conv2D(70, 3),
        fn.Dense(4, "softmax"),
    ]
    for n_threads in [*range(1, numba.config.NUMBA_NUM_THREADS + 1), 1]:
        numba.set_num_threads(n_threads)
        net = fn.Network(layers, seed=5, dtype=dtype)
        net.fit(X, y, epochs=2, batch_size=48, optimizer=fn.Adam(), verbose=False)
        found.append(net.buffer.tobytes() + net.outputs(X).tobytes())
    numba.set_num_threads(before)
    assert len(set(found)) == 1


def test_a_small_network_reads_digits():
    X, y = fn.datasets.digits()
    rows = np.random.default_rng(0).permutation(len(X))
    images, y = X[rows].reshape(-1, 8, 8), y[rows]
    layers = [
        *[fn.Conv2D(32, 3, padding="same", activation="relu"), fn.Conv2D(32, 3, activation="relu"), fn.MaxPool2D(2)],
        *[fn.Dropout(0.3), fn.Dense(64, "relu"), fn.Dropout(0.3), fn.Dense(10, "softmax")],
    ]
    net = fn.Network(layers)
    optimizer = fn.AdamW(fn.schedules.cosine(4e-3))
    net.fit(images[:1400], y[:1400], epochs=20, batch_size=32, optimizer=optimizer, verbose=False)
    assert net.evaluate(images[1400:], y[1400:])["accuracy"] > 0.99


def test_bytes_files_copies_and_frozen_filters(tmp_path):
    pixels, y = RNG.integers(0, 256, (60, 6, 5, 3), np.uint8), RNG.integers(0, 3, 60)
    layers = [fn.Rescale(1 / 255), fn.Conv2D(7, 3, activation="relu", l1=1e-3), fn.Conv2D(5, 2), fn.Dense(3, "softmax")]
    net = fn.Network(layers, seed=1)
    net.fit(pixels, y, epochs=2, verbose=False)
    np.testing.assert_allclose(net.outputs(pixels), net.outputs(pixels.astype(np.float32)), atol=1e-6)
    net.save(tmp_path / "net.safetensors")
    for twin in (copy.deepcopy(net), fn.load(tmp_path / "net.safetensors")):
        assert twin.layers == net.layers
        np.testing.assert_array_equal(twin.outputs(pixels), net.outputs(pixels))
    assert net.parameters["W1"].shape == (7, 3, 3, 3)
    net.freeze(2)
    before = net.parameters["W1"].copy(), net.parameters["W2"].copy()
    net.fit(pixels, y, epochs=1, verbose=False)
    np.testing.assert_array_equal(net.parameters["W1"], before[0])
    assert (net.parameters["W2"] != before[1]).any()


def test_first_weights_have_the_deviation_of_their_inputs():
    net = fn.Network([fn.Conv2D(64, 5, activation="relu", groups=2), fn.Dense(1)]).build((8, 8, 16))
    assert net.parameters["W1"].shape == (64, 5, 5, 8)
    assert net.parameters["W1"].std() == pytest.approx(math.sqrt(2 / 200), rel=0.03)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (fn.Conv2D(4, 3), (8,), r"layer 1, Conv2D\(4, 3\), does not fit: it takes images \(m, h, w, c\) or"),
        (fn.Conv1D(4, 3), (8, 8, 1), r"it takes signals \(m, t, c\), and gets \(m, 8, 8, 1\)"),
        (fn.Conv2D(4, 3, dilation=2), (4, 8, 1), "windows reach over 5 x 5 numbers, further than a sample"),
        (fn.Conv2D(4, 5), (3, 8, 8), r"further than a sample.*channels stand last: .* give np.moveaxis\(X, 1, -1\)"),
        (fn.Conv2D(4, 3, groups=2), (8, 8, 3), "3 channels are not whole 2 groups"),
    ],
)
def test_samples_that_do_not_fit(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        fn.Network([layer, fn.Dense(1)]).build(shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fn.Conv2D(0, 3), "filters=0 is below 1"),
        (lambda: fn.Conv2D(4, 0), "kernel_size=0 is below 1"),
        (lambda: fn.Conv2D(4, (3, 3, 3)), "has 3 entries: give a whole number, or 2 of them"),
        (lambda: fn.Conv2D(4, 3, padding="full"), "padding='full' is not known"),
        (lambda: fn.Conv2D(4, 3, padding=-1), "padding=-1 is below 0"),
        (lambda: fn.MaxPool2D(2, stride=(1, 1 << 63)), r"stride\[1\]=9223372036854775808 is beyond all samples"),
        (lambda: fn.Network([fn.Conv2D(4, 3, padding=1 << 30), fn.Dense(1)]).build((5, 5, 2)), "more than any memory"),
        (lambda: fn.Conv2D(4, 3, groups=3), "filters=4 are not whole 3 groups"),
        (lambda: fn.Conv2D(4, 3, activation="swoosh"), "activation='swoosh'"),
        (lambda: fn.Network([fn.Conv2D(4, 3, activation="softmax"), fn.Dense(1)]), "softmax is for the output layer"),
        (lambda: fn.Network([fn.Conv2D(4, 3)]), "no output layer"),
    ],
)
def test_settings_that_cannot_be(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_the_table_shows_shapes_and_parameters():
    net = fn.Network([fn.Conv2D(6, 5, padding=2, stride=2, activation="relu"), fn.Flatten(), fn.Dense(10, "softmax")])
    rows = str(net.build((28, 28))).splitlines()
    assert rows[3].split()[:8] == ["1", "Conv2D", "(m,", "14,", "14,", "6)", "156", "29,400"]
    assert rows[4].split() == ["Flatten", "(m,", "1176)", "0", "0"]


@pytest.mark.parametrize("padding", ["same", "valid", 1])
@pytest.mark.parametrize("stride", [1, 2])
def test_to_torch(torch, padding, stride):
    for layers, shape in (
        ([fn.Conv2D(6, (3, 2), stride=stride, padding=padding, groups=2, activation="gelu")], (6, 7, 4)),
        ([fn.Conv1D(5, 4, stride=stride, padding=padding, dilation=2)], (9, 2)),
        ([fn.Conv2D(3, 3, stride=stride, padding=padding), fn.MaxPool2D(2)], (8, 9)),
    ):
        net = fn.Network([*layers, fn.Flatten(), fn.Dense(3, "softmax")], dtype="float64").build(shape)
        X = RNG.standard_normal((5, *shape))
        given = torch.tensor(np.moveaxis(X, -1, 1) if len(shape) != 2 or layers[0].axes == 1 else X)
        np.testing.assert_allclose(fn.to_torch(net)(given).detach().numpy(), net.outputs(X), atol=1e-12)
