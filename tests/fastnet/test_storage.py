"""A saved network comes back as it was, and a damaged file never passes for one."""

import json
import os

import numpy as np
import pytest
from safetensors.numpy import save_file

import fastnet as fn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 5)).astype(np.float32)

NETWORKS = [
    ([fn.Dense(6, "relu"), fn.Dense(3, "softmax")], np.array(["ant", "bee", "cow"])[np.arange(40) % 3]),
    ([fn.Rescale(0.5, 1), fn.Dense(4, "leaky_relu", slope=0.3), fn.Dense(1, "sigmoid")], np.arange(40) % 2 == 0),
    ([fn.Dense(2, "tanh"), fn.Dense(2, "tanh")], RNG.random((40, 2))),
    ([fn.Dense(4, "softmax")], np.array([-7, 1, 5, 100])[np.arange(40) % 4]),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("layers", "y"), NETWORKS)
def test_round_trip(layers, y, dtype, tmp_path):
    net = fn.Network(layers, dtype=dtype, seed=3)
    net.fit(X, y, epochs=3, verbose=False)
    path = tmp_path / "net.safetensors"
    net.save(path)
    again = fn.load(str(path))
    assert again.layers == net.layers
    assert (again.loss, again.dtype, again.seed, again.n_inputs) == (net.loss, net.dtype, net.seed, net.n_inputs)
    np.testing.assert_array_equal(again.buffer, net.buffer)
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
    assert again.predict(X).dtype == net.predict(X).dtype
    assert again.evaluate(X, y) == net.evaluate(X, y)
    assert os.listdir(tmp_path) == ["net.safetensors"], "no temporary file is left"


def test_any_safetensors_reader_can_read_it(tmp_path):
    from safetensors.numpy import load_file

    net = fn.Network([fn.Dense(2), fn.Dense(1)]).build(3)
    net.save(tmp_path / "net.safetensors")
    tensors = load_file(tmp_path / "net.safetensors")
    assert {name: array.shape for name, array in tensors.items()} == {
        "W1": (2, 3), "b1": (2,), "W2": (1, 2), "b2": (1,),
    }  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.safetensors"
    fn.Network([fn.Dense(6, "relu"), fn.Dense(3, "softmax")]).build(5).save(path)
    return path


def test_cut_short(saved):
    whole = saved.read_bytes()
    for size in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="not a fastnet model, or is cut short"):
            fn.load(saved)


def test_other_files(tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_text("hello, this is a letter and not a network " * 20)
    with pytest.raises(ValueError, match="not a fastnet model"):
        fn.load(other)
    save_file({"x": np.zeros(3)}, other)
    with pytest.raises(ValueError, match="not a fastnet model"):
        fn.load(other)
    with pytest.raises(FileNotFoundError, match="no file"):
        fn.load(tmp_path / "nowhere.safetensors")


def rewrite(path, change):
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(metadata, tensors)
    save_file(tensors, path, metadata)


def test_newer_version(saved):
    rewrite(saved, lambda metadata, tensors: metadata.update(version="3"))
    with pytest.raises(ValueError, match=r"format version 3.*upgrade"):
        fn.load(saved)


def test_format_1_is_read(saved):
    """It had fewer settings: of a layer its units, activation, init and slope."""
    expected = fn.load(saved)

    def as_it_was(metadata, tensors):
        description = json.loads(metadata["network"])
        del description["loss_setting"]
        for layer in description["layers"]:
            for name in ("alpha", "l1", "l2", "trainable"):
                layer.pop(name, None)
        metadata.update(version="1", network=json.dumps(description))

    rewrite(saved, as_it_was)
    again = fn.load(saved)
    np.testing.assert_array_equal(again.buffer, expected.buffer)
    assert again.layers == expected.layers


@pytest.mark.parametrize(
    "change",
    [
        lambda metadata, tensors: tensors.pop("W2"),
        lambda metadata, tensors: tensors.update(W1=np.zeros((2, 2), np.float32)),
        lambda metadata, tensors: metadata.update(network="{}"),
        lambda metadata, tensors: metadata.update(network="not json"),
        lambda metadata, tensors: metadata.update(version="one"),
        lambda metadata, tensors: metadata.update(
            network=json.dumps({**json.loads(metadata["network"]), "layers": [{"layer": "Recurrent"}]})
        ),
        lambda metadata, tensors: metadata.update(
            network=json.dumps({**json.loads(metadata["network"]), "layers": [{"layer": "Dense", "units": 3, "x": 1}]})
        ),
    ],
)
def test_damaged(saved, change):
    rewrite(saved, change)
    with pytest.raises(ValueError, match="damaged"):
        fn.load(saved)


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        fn.load(saved).save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]
