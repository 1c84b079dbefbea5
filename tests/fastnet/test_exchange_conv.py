"""Convolutional networks from PyTorch and for it predict what they did there."""

import numpy as np
import pytest
from drawn import as_trained

import fastnet as fn

RNG = np.random.default_rng(0)


def channels_first(X):
    return np.ascontiguousarray(np.moveaxis(X, -1, 1))


def through(torch, module, X):
    with torch.no_grad():
        return module(torch.tensor(channels_first(X))).numpy()


def random_module(torch, rng):
    """Convolutions and pooling, activations before pooling and behind it, and dense layers; the shape of a sample."""
    nn, axes = torch.nn, int(rng.integers(1, 3))
    channels = int(rng.integers(1, 5))
    shape = (*(rng.integers(9, 15, axes)).tolist(), channels)
    made = [nn.Identity()]
    for _ in range(rng.integers(1, 4)):
        groups = int(rng.choice([1, channels]))
        filters = groups * int(rng.integers(1, 4))
        kernel = rng.integers(1, 4, axes).tolist()
        padding = rng.choice(["valid", "number", "same", "zeros"])
        stride = 1 if padding == "same" else int(rng.integers(1, 3))
        dilation = int(rng.integers(1, 3)) if stride == 1 else 1
        if padding == "zeros":  # as many on both sides
            one, other = rng.integers(0, 3, 2).tolist()
            made.append(nn.ConstantPad1d((one, one), 0.0) if axes == 1 else nn.ZeroPad2d((one, one, other, other)))
        made.append(
            (nn.Conv1d, nn.Conv2d)[axes - 1](
                channels, filters, kernel, stride=stride, dilation=dilation, groups=groups,
                padding={"number": rng.integers(0, 3, axes).tolist(), "same": "same"}.get(padding, 0),
                bias=bool(rng.random() < 0.8),
            )
        )  # fmt: skip
        channels = filters
        pools = [(nn.MaxPool1d, nn.AvgPool1d), (nn.MaxPool2d, nn.AvgPool2d)][axes - 1]
        pool = pools[rng.integers(0, 2)](2, stride=1)
        norms = [(nn.BatchNorm1d, nn.BatchNorm2d)[axes - 1](channels)] if rng.random() < 0.5 else []
        made += norms
        activation = rng.choice([nn.ReLU(), nn.Tanh(), nn.LeakyReLU(0.01 if norms else 0.2), nn.GELU()])
        kind = rng.integers(0, 3)
        may_follow = "Max" in type(pool).__name__ and not isinstance(activation, nn.GELU)
        made += [[activation], [activation, pool], [pool, activation if may_follow else nn.Identity()]][kind]
    last = [nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d]
    made += [last[axes - 1 + int(rng.choice([0, 2]))](1)] if rng.random() < 0.3 else []
    made.append(nn.Flatten())
    with torch.no_grad():
        features = nn.Sequential(*made)(torch.zeros(1, shape[-1], *shape[:-1])).shape[1]
    if not norms:
        made += [[], [nn.LayerNorm(features)], [nn.BatchNorm1d(features), nn.Tanh()]][rng.integers(0, 3)]
    return nn.Sequential(*made, nn.Linear(features, 5), nn.ReLU(), nn.Linear(5, 3)).double(), shape


def drawn(torch, seed):
    """A module that has seen something, and samples for it; some draws leave no pixels."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    while True:
        try:
            module, shape = random_module(torch, rng)
        except RuntimeError:  # windows larger than what is left
            continue
        X = rng.standard_normal((7, *shape))
        module(torch.tensor(channels_first(X)))
        return module.eval(), X


@pytest.mark.parametrize("seed", range(60))
def test_sequentials_of_pytorch(torch, seed):
    module, X = drawn(torch, seed)
    net = fn.from_torch(module, input_shape=X.shape[1:])
    np.testing.assert_allclose(net.predict(X), through(torch, module, X), rtol=1e-9, atol=1e-12)
    back = fn.to_torch(net)
    np.testing.assert_allclose(through(torch, back, X), net.predict(X), rtol=1e-9, atol=1e-12)
    again = fn.from_torch(back, input_shape=X.shape[1:])
    assert repr(again) == repr(net)
    assert all(np.array_equal(again.parameters[name], array) for name, array in net.parameters.items())


CONV = fn.Conv2D(6, 3, padding="same", activation="relu")
NETWORKS = {
    "lenet": (
        [
            *[fn.Rescale(1 / 255), fn.Conv2D(6, 5, padding="same", activation="relu"), fn.MaxPool2D(2)],
            *[fn.Conv2D(16, 5, activation="relu"), fn.MaxPool2D(2), fn.Dense(20, "relu")],
        ],
        (20, 20, 1),
    ),
    "one channel, rescaled": ([fn.Rescale(0.5), CONV], (9, 8)),
    "one channel": ([CONV, fn.MaxPool2D(2), fn.Conv2D(4, 2, activation="gelu")], (9, 8)),
    "same with strides": ([fn.Conv2D(4, (4, 3), padding="same", stride=(2, 3), activation="elu")], (9, 8, 2)),
    "normalised features": ([CONV, fn.Dropout(0.1), fn.Flatten(), fn.LayerNorm("tanh")], (5, 4, 3)),
    "signals": ([fn.Conv1D(5, 4, padding="same", stride=2), fn.MaxPool1D(2), fn.Flatten(), fn.BatchNorm()], (12, 3)),
    "channels normalised": (
        [
            *[fn.Conv2D(4, 3), fn.BatchNorm("relu"), fn.AveragePool2D((2, 1)), fn.Conv2D(5, 2), fn.LayerNorm("gelu")],
            *[fn.GlobalAveragePool2D()],
        ],
        (9, 7, 2),
    ),
    "reshaped": ([fn.Conv1D(4, 3), fn.Reshape((5, 2, 4)), fn.MaxPool2D(2), fn.Dense(6, "relu")], (12, 3)),
    "largest steps": ([fn.Conv1D(4, 3, activation="silu"), fn.BatchNorm(), fn.GlobalMaxPool1D()], (12, 3)),
    "frozen": ([fn.Conv1D(5, 3, padding=1, dilation=2, trainable=False, activation="silu")], (12, 3)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_to_torch_and_back(torch, name, dtype):
    layers, shape = NETWORKS[name]
    net = as_trained(fn.Network([*layers, fn.Dense(3, "softmax")], dtype=dtype).build(shape), RNG)
    X = RNG.standard_normal((7, *shape)).astype(dtype)
    module = fn.to_torch(net)
    with torch.no_grad():
        found = module(torch.tensor(X if name.startswith("one channel") else channels_first(X))).numpy()
    limit = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(found, net.outputs(X), rtol=limit, atol=limit)
    again = fn.from_torch(module, input_shape=shape)
    assert repr(again) == repr(net)
    for key, array in net.parameters.items():
        assert np.array_equal(again.parameters[key], array), key


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda nn: [nn.Conv2d(3, 4, 3)], None, r"module 0, Conv2d.*give input_shape=\(h, w, c\)"),
        (lambda nn: [nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")], (8, 8, 3), "padding_mode='circular'"),
        (lambda nn: [nn.ConstantPad2d(1, 0.5), nn.Conv2d(3, 4, 3)], (8, 8, 3), "module 0.*other numbers than 0"),
        (lambda nn: [nn.ZeroPad2d((1, 0, 0, 0)), nn.Conv2d(3, 4, 3)], (8, 8, 3), "0 before and 0 behind and 1 before"),
        (lambda nn: [nn.ZeroPad2d(1), nn.ReLU()], (8, 8, 3), "module 1.*zeros are put around samples before it"),
        (lambda nn: [nn.ZeroPad2d(1), nn.MaxPool2d(2)], (8, 8, 3), "module 1.*zeros are put around samples before it"),
        (lambda nn: [nn.Conv2d(2, 4, 3)], (8, 8, 3), r"takes 2 channels, and .*8, 8, 3\) have 3"),
        (lambda nn: [nn.Conv2d(3, 4, 3)], (3, 8, 8), r"channels stand last in input_shape=\(h, w, c\)"),
        (lambda nn: [nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.GELU()], (8, 8, 3), "module 2, GELU.*directly"),
        (lambda nn: [nn.Conv2d(3, 4, 9)], (8, 8, 3), "windows reach over 9 x 9"),
        (lambda nn: [nn.MaxPool2d(3, padding=1)], (8, 8, 3), "module 0, MaxPool2d.*: padding: windows lie within"),
        (lambda nn: [nn.AvgPool2d(2, ceil_mode=True)], (8, 8, 3), "module 0, AvgPool2d.*: ceil_mode: windows"),
        (lambda nn: [nn.AdaptiveAvgPool2d(3)], (8, 8, 3), r"3 x 3 windows of a sample of \(m, 8, 8, 3\): they have"),
        (lambda nn: [nn.LayerNorm(8)], (8, 8, 3), "module 0, LayerNorm.*rows of images"),
        (lambda nn: [nn.Unflatten(1, (1, 8)), nn.BatchNorm2d(1)], (8, 8), "module 1.*an axis of channels"),
        (lambda nn: [nn.ConvTranspose2d(3, 4, 3)], (8, 8, 3), "fastnet has no layer"),
    ],
)
def test_modules_that_are_refused(torch, make, shape, message):
    nn = torch.nn
    module = nn.Sequential(*make(nn), nn.Flatten(), nn.Linear(5, 3))
    with pytest.raises(ValueError, match=message):
        fn.from_torch(module, input_shape=shape)
