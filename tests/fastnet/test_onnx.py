"""ONNX files, read by ONNX Runtime."""

import json

import numpy as np
import pytest

import fastnet as fn
from fastnet.layers.activations import ACTIVATIONS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

HIDDEN = [name for name in ACTIVATIONS if name != "softmax"]


def outputs_of(path, X):
    """What ONNX Runtime makes of a file."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["output"], {"X": X.astype(np.float32)})
    return found


def random_network(rng):
    """Layers of all kinds and the shape of a sample."""
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


@pytest.mark.parametrize("seed", range(200))
def test_random_networks_predict_the_same(seed, tmp_path):
    rng = np.random.default_rng(seed)
    layers, shape = random_network(rng)
    dtype = "float64" if seed % 4 == 0 else "float32"
    net = fn.Network(layers, dtype=dtype, seed=seed).build(shape)
    for name, array in net.parameters.items():  # what a training would have left
        array[...] = rng.uniform(0.3, 1.5, array.shape) if name.startswith(("gamma", "variance")) else array
        array[...] += rng.normal(0, 0.1, array.shape) if name.startswith(("b", "mean")) else 0
    X = rng.standard_normal((int(rng.integers(1, 9)), *shape))
    net.to_onnx(tmp_path / "net.onnx")
    found = outputs_of(tmp_path / "net.onnx", X)
    expected = net.outputs(X)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_labels_are_in_the_file(tmp_path):
    net = fn.Network([fn.Dense(1, "sigmoid")])
    net.fit([[0.0], [1.0]], ["no", "yes"], epochs=1, verbose=False)
    net.to_onnx(tmp_path / "net.onnx")
    properties = {each.key: each.value for each in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert json.loads(properties["labels"]) == ["no", "yes"]


def test_what_cannot_be_written_is_refused(tmp_path):
    net = fn.Network([fn.Dense(1)], dtype="float64")
    with pytest.raises(ValueError, match="no parameters yet"):
        net.to_onnx(tmp_path / "net.onnx")
    net.build(3).parameters["b1"][:] = 1e300
    with pytest.raises(ValueError, match="b1 holds"):
        net.to_onnx(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match="scale=1e-60 is 0 in float32"):
        fn.Network([fn.Rescale(1e-60), fn.Dense(1)], dtype="float64").build(2).to_onnx(tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
    net.build(3)
    with pytest.raises(FileNotFoundError, match="make it first"):
        net.to_onnx(tmp_path / "nowhere" / "net.onnx")
