"""Networks that are drawn at random, for tests of files and of other libraries."""

import fastnet as fn
from fastnet.layers.activations import ACTIVATIONS

HIDDEN = [name for name in ACTIVATIONS if name != "softmax"]


def random_network(rng, *, convolves=False):
    """Layers of all kinds and the shape of a sample; convolutions among them only if it `convolves`."""
    layers, shape = [], (int(rng.integers(1, 40)),)
    if rng.random() < 0.3:
        layers.append(fn.Rescale(float(rng.uniform(0.1, 2)), float(rng.choice([0, -0.5]))))
    kind = rng.integers(0, 4)
    if kind == 1:
        shape = (int(rng.integers(3, 12)), int(rng.integers(1, 5)))
        layers.append(fn.MaxPool1D(int(rng.integers(1, 4)), stride=int(rng.integers(1, 3))))
    if kind > 1:
        shape = tuple(rng.integers(3, 9, 2).tolist()) + ((int(rng.integers(1, 4)),) if kind == 3 else ())
        layers.append(fn.MaxPool2D((int(rng.integers(1, 4)), 2), stride=int(rng.integers(1, 3))))
    if convolves and kind > 1:
        same = str(rng.choice(["same", "valid"]))
        layers.append(fn.Conv2D(int(rng.integers(1, 20)), 2 if same == "same" else 1, padding=same, activation="gelu"))
    if convolves and kind == 1:
        layers.insert(len(layers) - 1, fn.Conv1D(5, 3, stride=2, padding=2, dilation=2))
    if convolves and kind > 0 and rng.random() < 0.7:
        layers += _of_images(rng, 1 if kind == 1 else 2)
    for _ in range(rng.integers(0, 4)):
        activation = str(rng.choice(HIDDEN))
        settings = {"slope": float(rng.uniform(0, 0.5)), "alpha": float(rng.uniform(0.5, 2))}
        norm = rng.integers(0, 3)
        units = int(rng.integers(1, 40))
        if norm == 0:
            layers.append(fn.Dense(units, activation, **settings))
        else:
            kind_of_norm = fn.BatchNorm if norm == 1 else fn.LayerNorm
            layers += [fn.Dense(units), kind_of_norm(activation, epsilon=float(rng.choice([1e-5, 1e-2])))]
        if rng.random() < 0.3:
            layers.append(fn.Dropout(0.3))
    last = str(rng.choice(["softmax", "sigmoid", "linear"]))
    return [*layers, fn.Dense(int(rng.integers(2, 10)), last)], shape


def _of_images(rng, axes):
    """What may stand behind a convolution of signals or images."""
    norm = fn.BatchNorm("relu") if rng.random() < 0.5 else fn.LayerNorm("tanh")
    pools = [(fn.AveragePool1D, fn.GlobalAveragePool1D, fn.GlobalMaxPool1D)]
    pools += [(fn.AveragePool2D, fn.GlobalAveragePool2D, fn.GlobalMaxPool2D)]
    average, *whole = pools[axes - 1]
    choices = [[fn.Flatten(), norm], [norm, average(1, stride=2)], [average(1)], [norm, whole[rng.integers(0, 2)]()]]
    return [*choices[rng.integers(0, 4)]] if axes == 1 or rng.random() < 0.8 else [fn.Reshape((1, -1, 1)), average(1)]


def as_trained(net, rng):
    """The network, with parameters as a training might have left them."""
    for name, array in net.parameters.items():
        array[...] = rng.uniform(0.3, 1.5, array.shape) if name.startswith(("gamma", "variance")) else array
        array[...] += rng.normal(0, 0.1, array.shape) if name.startswith(("b", "mean")) else 0
    return net
