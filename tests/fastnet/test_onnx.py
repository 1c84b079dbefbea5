"""ONNX files, read by ONNX Runtime."""

import json

import numpy as np
import pytest
from drawn import as_trained, random_network

import fastnet as fn

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def outputs_of(path, X):
    """What ONNX Runtime makes of a file."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["output"], {"X": X.astype(np.float32)})
    return found


@pytest.mark.parametrize("seed", range(200))
def test_random_networks_predict_the_same(seed, tmp_path):
    rng = np.random.default_rng(seed)
    layers, shape = random_network(rng, convolves=seed % 2 == 0)
    dtype = "float64" if seed % 4 == 0 else "float32"
    net = as_trained(fn.Network(layers, dtype=dtype, seed=seed).build(shape), rng)
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
