"""A network of fastnet as `fastnet_kernels.reference.network` runs it: NumPy in float64, formula by formula."""

from dataclasses import asdict

import numpy as np
from fastnet_kernels.reference import network

from fastnet.execution.graph import Graph
from fastnet.layers import Rescale

_MASK = (1 << 64) - 1


class Truth:
    """The same layers with copies of the parameters, as they are now."""

    def __init__(self, net):
        self.net, self.layers, self.names = net, [], []
        for layer in net.layers[:1]:
            if isinstance(layer, Rescale):
                self._add({"kind": "Rescale", **asdict(layer)}, {})
        for row, node in enumerate(Graph.of(net.layers, net.input_shape, net.loss_and_setting).nodes):
            layer, kind = node.layer, type(node.layer).__name__.removeprefix("Stepwise")
            if kind == "Input":  # reads samples, as X is here, or as Rescale makes it
                continue
            names = {each.name: f"{each.name}{node.number}" for each in layer.parameters(node.input_shape)}
            parameters = {name: net.parameters[full].astype(np.float64) for name, full in names.items()}
            key = {"key": dropout_key(net.seed % (1 << 62), 1, row)} if kind == "Dropout" else {}
            shapes = {"input_shape": node.input_shape, "output_shape": node.output_shape}
            self._add({"kind": kind, **asdict(layer), **shapes, **parameters, **key}, names)

    def _add(self, layer, names):
        self.layers.append(layer)
        self.names.append(names)

    @property
    def parameters(self):
        """By the network's names."""
        return {
            full: layer[name]
            for layer, names in zip(self.layers, self.names, strict=True)
            for name, full in names.items()
        }

    def outputs(self, X):
        """A of the last layer, as predictions have it."""
        A, _, _ = network.forward(self.layers, _samples(X))
        return A[-1].reshape(len(X), *self.layers[-1]["output_shape"])

    def cost(self, X, y):
        """The cost of an evaluation, with penalties, by what normalisations remember and without Dropout."""
        loss, Y = self._loss(y)
        A, Z, _ = network.forward(self.layers, _samples(X))
        return network.cost(self.layers, loss, A, Z, Y)[0]

    def gradients(self, X, y):
        """The cost and the gradients of a step of training, by the network's names."""
        cost, found = self._propagate(X, y)
        return cost, {
            names[name]: gradient
            for names, of_layer in zip(self.names, found, strict=True)
            for name, gradient in of_layer.items()
        }

    def step(self, X, y, learning_rate):
        """One step of gradient descent."""
        _, gradients = self._propagate(X, y)
        network.update(self.layers, gradients, learning_rate)

    def _propagate(self, X, y):
        loss, Y = self._loss(y)
        A, Z, saved = network.forward(self.layers, _samples(X), training=True)
        cost, dZ = network.cost(self.layers, loss, A, Z, Y)
        return cost, network.backward(self.layers, A, Z, saved, dZ)

    def _loss(self, y):
        """The loss with its setting, and the targets as it takes them: Y (m, 1) or (m, n)."""
        name, setting = self.net.loss_and_setting.name, self.net.loss_and_setting.setting
        steps = self.net.task.steps or 1
        Y = np.asarray(y, np.float64).reshape(len(y) * steps, -1)
        if name == "log_loss":
            return (name,), (1 - setting) * Y + setting / 2
        if name == "hinge":
            return (name,), 2 * Y - 1
        return (name, *[setting] * (name in ("cross_entropy", "huber", "quantile"))), Y


def _samples(X):
    return np.asarray(X, np.float64).reshape(len(X), -1)


def dropout_key(seed, step, layer):
    """Steele, Lea and Flood's "splitmix64" of the three; steps count from 1, layers by their rows in the plan."""
    x = (seed + step * 0x9E3779B97F4A7C15 + layer * 0xD1B54A32D192ED03) & _MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _MASK
    return x ^ x >> 31
