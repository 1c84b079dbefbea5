"""A saved network comes back as it was, and a damaged file never passes for one."""

import json
import os
import runpy
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import fastnet as fn
from fastnet.storage.network_file import FORMAT_VERSION
from fastnet.training.state import Unfinished

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
        with pytest.raises(fn.ModelFileError, match="not a fastnet model, or is cut short"):
            fn.load(saved)


def test_a_header_beyond_the_file(saved):
    saved.write_bytes((2**40).to_bytes(8, "little") + saved.read_bytes()[8:])
    with pytest.raises(fn.ModelFileError, match=f"a header of {2**40} bytes in a file of"):
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
    with pytest.raises(OSError, match="a folder: give the path of a model"):
        fn.load(tmp_path)
    with pytest.raises(OSError, match="no regular file"):
        fn.load(os.devnull)
    with pytest.raises(ValueError, match="device='tpu'"):
        fn.load(tmp_path / "nowhere.safetensors", device="tpu")


def rewrite(path, change):
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(metadata, tensors)
    save_file(tensors, path, metadata)


def test_newer_version(saved):
    rewrite(saved, lambda metadata, tensors: metadata.update(version=str(FORMAT_VERSION + 1)))
    with pytest.raises(fn.ModelFileError, match=rf"format version {FORMAT_VERSION + 1}.*upgrade"):
        fn.load(saved)


def test_format_1_is_read(saved):
    """It had fewer settings: of a layer its units, activation, init and slope."""
    expected = fn.load(saved)

    def as_it_was(metadata, tensors):
        description = json.loads(metadata["network"])
        del description["loss_setting"]
        (description["n_inputs"],) = description.pop("input_shape")
        for layer in description["layers"]:
            for name in ("alpha", "l1", "l2", "trainable"):
                layer.pop(name, None)
        metadata.update(version="1", network=json.dumps(description))

    rewrite(saved, as_it_was)
    again = fn.load(saved)
    np.testing.assert_array_equal(again.buffer, expected.buffer)
    assert again.layers == expected.layers


# ---------------------------------------------------------------- damage


def described(name, **changes):
    """A change of a file that changes the JSON called `name`; values may be functions of what was there."""

    def change(metadata, tensors):
        value = json.loads(metadata[name])
        for path, new in changes.items():
            *above, key = [int(step) if step.isdigit() else step for step in path.split("__")]
            holder = value
            for step in above:
                holder = holder[step]
            holder[key] = new(holder[key]) if callable(new) else new
        metadata[name] = json.dumps(value)

    return change


def net(**changes):
    return described("network", **changes)


def training(**changes):
    return described("training", **changes)


def tensor(name, array):
    return lambda metadata, tensors: tensors.update({name: np.asarray(array)})


def refuses(path, change, match):
    whole = path.read_bytes()
    rewrite(path, change)
    with pytest.raises(fn.ModelFileError, match=match) as caught:
        fn.load(path)
    assert str(path) in str(caught.value)
    assert "save it again" in str(caught.value)
    path.write_bytes(whole)


def test_damaged_networks_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    network = fn.Network(NETWORKS[0][0])
    network.fit(X, NETWORKS[0][1], epochs=1, verbose=False)
    network.save(path)
    f4 = np.float32
    for change, match in [
        (lambda metadata, tensors: tensors.pop("W2"), "tensor W2 is missing"),
        (tensor("W1", np.zeros((2, 2), f4)), r"W1 is float32 \(2, 2\), and not float32 \(6, 5\)"),
        (tensor("W1", np.zeros((6, 5), np.float16)), "W1 is float16"),
        (tensor("W3", np.zeros(2, f4)), "W3 belongs to nothing"),
        (lambda metadata, tensors: metadata.pop("network"), "description of the network is missing"),
        (lambda metadata, tensors: metadata.update(network="{}"), "network.layers is missing"),
        (lambda metadata, tensors: metadata.update(network="not json"), "no JSON"),
        (lambda metadata, tensors: metadata.update(network="[" * 100_000), "nested deeper"),
        (lambda metadata, tensors: metadata.update(version="one"), "version='one'"),
        (lambda metadata, tensors: metadata.update(version="0"), "version='0'"),
        (net(layers={}), "layers is {} and no list"),
        (net(layers=[{"layer": "Attention"}]), r"layers\[0\].layer='Attention' is not known"),
        (net(layers__0=lambda was: {**was, "x": 1}), r"layers\[0\].x is not known"),
        (net(layers__0=lambda was: {"layer": "Dense", "units": 6}), r"layers\[0\].activation is missing"),
        (net(layers__0__units=-3), r"layers\[0\].units=-3 is below 1"),
        (net(layers__0__units=10**9), r"and not float32 \(1000000000, 5\)"),
        (net(layers__0__l2=10**400), r"layers\[0\].l2=1000.* is not finite"),
        (net(input_shape=[2.5]), r"input_shape\[0\]=2.5 is a float"),
        (net(input_shape=5), "input_shape is 5 and no list"),
        (net(input_shape=[]), "input_shape has 0 extents"),
        (net(input_shape=[9] * 80_000), "input_shape has 80000 extents"),
        (net(input_shape=[1 << 40, 1 << 40]), "more than any memory"),
        (net(dtype="float16"), "dtype='float16' is not known"),
        (net(seed=-1), "seed=-1 is below 0"),
        (net(loss="focal"), "loss='focal' is not known"),
        (net(loss_setting=-0.5), "label_smoothing=-0.5 is too small"),
        (net(loss_setting=float("nan")), "not finite"),
        (net(more=1), "network.more is not known"),
        (net(labels__values=["ant", "bee"]), "2 labels for 3 classes"),
        (net(labels__values=["ant", "bee", "bee"]), "not all different"),
        (net(labels__values=["bee", "ant", "cow"]), "not sorted"),
        (net(labels__values=["ant", "bee", "cows"]), "longer than <U3"),
        (net(labels__values=["ant", "bee", 3]), r"labels.values\[2\] is 3, and the labels are <U3"),
        (net(labels__dtype="<U99999999"), "too wide"),
        (net(labels__dtype="O"), "labels.dtype is 'O'"),
        (net(labels={"dtype": "|i1", "values": [0, 1, 128]}), r"labels.values\[2\]=128 is too large"),
        (net(labels={"dtype": "|b1", "values": [0, 1, 2]}), "labels are bool"),
    ]:
        refuses(path, change, match)


def test_labels_where_there_are_none(tmp_path):
    path = tmp_path / "net.safetensors"
    fn.Network([fn.Dense(1)]).build(2).save(path)
    refuses(path, net(labels={"dtype": "<i8", "values": [0, 1]}), "does not choose one of several classes")
    refuses(path, net(loss_setting=0.5), "squared_error has none")
    refuses(path, net(loss="huber"), "delta=0.0 is too small")


def trained(optimizer=None, y=NETWORKS[0][1], layers=NETWORKS[0][0]):
    """A network with all that can be in the state of a training."""
    network = fn.Network(layers, seed=2**70)
    network.fit(X, y, epochs=2, optimizer=optimizer or fn.Adam(), verbose=False)
    network.training.callbacks = {
        "EarlyStopping": {
            "monitor": "cost",
            "best": network.buffer.copy(),
            "wait": 3,
            "is": None,
            "more": [1.5, {"a": []}],
        },
        "Own": {"mask": np.array([[True, False]]), "count": np.array(3, np.uint8), "none": np.zeros((0, 2))},
    }
    network.training.last = network.buffer + 1
    before, now = (np.random.default_rng(seed).bit_generator.state for seed in range(2))
    targets, outputs = np.array([[0], [1], [2], [0]], np.float32), np.eye(4, 3, dtype=np.float32)
    seen = {"sizes": np.array([3, 1]), "targets": targets, "outputs": outputs}
    costs, scores = np.array([1.0, np.nan]), np.array([3.0, 4.0])
    network.training.unfinished = Unfinished(before, now, 2, None, costs, scores, 1.5, seen=seen)
    return network


def test_a_whole_training_comes_back(tmp_path):
    network = trained()
    network.save(tmp_path / "net", training=True)
    again = fn.load(tmp_path / "net")
    assert again.seed == 2**70
    assert again.rng.bit_generator.state == network.rng.bit_generator.state
    assert again.learning_rate == network.learning_rate == 0.001
    one, other = again.training, network.training
    np.testing.assert_equal(vars(one.unfinished), vars(other.unfinished))
    np.testing.assert_equal(one.callbacks, other.callbacks)
    assert {key: value.dtype for key, value in one.callbacks["Own"].items()} == {
        key: value.dtype for key, value in other.callbacks["Own"].items()
    }
    np.testing.assert_equal((one.states, one.last), (other.states, other.last))
    assert dict(one.history) == dict(other.history)
    assert (one.optimizer, one.steps, one.dropout_seed) == (other.optimizer, other.steps, other.dropout_seed)
    one.callbacks["EarlyStopping"]["best"][:] = 0  # may be written to
    one.states[0][:] = 0
    network.save(tmp_path / "net")
    assert fn.load(tmp_path / "net").training is None


def test_damaged_trainings_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    network = trained()
    network.save(path, training=True)
    size = network.buffer.size
    f4, f8, seen = np.float32, np.float64, "training.unfinished.seen"
    for change, match in [
        (training(optimizer=3), "training.optimizer is 3"),
        (training(optimizer="SGD"), "2 arrays of what SGD remembers"),
        (lambda metadata, tensors: tensors.pop("training.state1"), "1 arrays of what Adam remembers"),
        (tensor("training.state0", np.zeros(size + 1, f4)), "training.state0 is float32"),
        (tensor("training.last", np.zeros(size, f8)), "training.last is float64"),
        (training(noise=2**63), "training.noise=9223372036854775808 is too large"),
        (training(steps=-1), "training.steps=-1 is below 0"),
        (training(steps=2**60), "training.steps=.* is too large"),
        (training(history=[]), "no mapping"),
        (training(history__cost=[1.0, "a"]), r"\['cost'\]\[1\] is 'a' and no number"),
        (training(history__cost=[1.0, 10**400]), "too large for a number"),
        (training(history__accuracy=[1.0]), r"\['accuracy'\] has not one number for each of 2 epochs"),
        (training(history=lambda was: {**was, "own": [1.0] * 3}), r"\['own'\] has 3 numbers for 2 epochs"),
        (training(learning_rate=-0.1), "training.learning_rate=-0.1 is too small"),
        (training(rng__bit_generator="MT19937"), "'MT19937' is not known"),
        (training(rng__state__state=-1), "state=-1 is below 0"),
        (training(rng__state__state=2**128), "is too large"),
        (training(rng__state__inc=2), "is even"),
        (training(rng__has_uint32=2), "has_uint32=2 is too large"),
        (training(rng__uinteger=2**32), "uinteger=4294967296 is too large"),
        (training(unfinished=[]), "training.unfinished is \\[\\] and no mapping"),
        (training(unfinished__step=3), r"unfinished.costs is float64 \(2,\), and not float64 \(3,\)"),
        (training(unfinished__steps=1), "step=2 is beyond the epoch's 1 steps"),
        (training(unfinished__m=8), "batch_size=None is a NoneType"),
        (training(unfinished__m=8, unfinished__batch_size=0), "batch_size=0 is below 1"),
        (training(unfinished__m=8, unfinished__batch_size=4, unfinished__steps=3), "of 4 are not 3 steps"),
        (training(unfinished__seconds=-1), "seconds=-1 is too small"),
        (training(unfinished__rng=None), "unfinished.rng is None"),
        (lambda metadata, tensors: tensors.pop(f"{seen}.sizes"), "sizes is missing"),
        (tensor(f"{seen}.sizes", [5, -1]), "sizes holds -1"),
        (tensor(f"{seen}.sizes", [3, 2]), r"targets is float32 \(4, 1\), and not float32 \(5, 1\)"),
        (tensor(f"{seen}.targets", np.full((4, 1), 3, f4)), "no target of this network"),
        (tensor(f"{seen}.outputs", np.zeros((4, 2), f4)), "outputs is float32"),
        (training(callbacks__Own={}), r"callbacks\['Own'\].values is missing"),
        (training(callbacks__Own__arrays__mask=7), "callbacks.7 is missing"),
        (training(callbacks__Own__values={"mask": 1}), "has 'mask' twice"),
        (training(callbacks__Own__arrays={}), "belongs to nothing"),
    ]:
        refuses(path, change, match)


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({"x": {1, 2}}, "callback 'Own' remembers a set as 'x'"),
        ({"x": (1, 2)}, "a tuple"),
        ({"x": [np.zeros(2)]}, "a ndarray"),
        ({"x": [np.float32(1)]}, "a float32"),
        ({"x": np.array(["a"])}, "an array of <U1"),
        ({"x": np.array([1j])}, "an array of complex128"),
        ({"x": {1: 2}}, "a key that is no text"),
        ({1: 2}, "not under a text as 1"),
        ({"x": 10**4000}, "more than 3,000 digits"),
        ([1], "callback 'Own' remembers"),
    ],
)
def test_what_no_file_can_hold_of_a_callback_is_refused(state, match, saved):
    before = saved.read_bytes()
    network = trained()
    network.training.callbacks["Own"] = state
    with pytest.raises(TypeError, match=match):
        network.save(saved, training=True)
    nested = []
    for _ in range(40):
        nested = [nested]
    network.training.callbacks["Own"] = {"x": nested}
    with pytest.raises(TypeError, match="deeper than 16"):
        network.save(saved, training=True)
    assert saved.read_bytes() == before


@pytest.mark.parametrize("best", [np.zeros(3, np.float32), [[1.0], [1.0, 2.0]], "x"])
def test_early_stopping_forgets_what_is_not_of_its_network(best):
    network = fn.Network([fn.Dense(1, "sigmoid")])
    history = network.fit(X, np.arange(40) % 2, epochs=2, verbose=False)
    before, stop = network.buffer.copy(), fn.EarlyStopping("cost")
    stop.load_state_dict({"monitor": "cost", "epoch": None, "best": best})
    stop.start(network, history)
    stop.end(network, history)
    np.testing.assert_array_equal(network.buffer, before)


def test_what_could_not_be_loaded_is_not_saved(saved):
    before = saved.read_bytes()
    network = trained()
    network.training.history.extend("own", [1.0] * 5)
    with pytest.raises(ValueError, match=r"was not saved: .*'own'\] has 5 numbers for 2 epochs"):
        network.save(saved, training=True)
    assert saved.read_bytes() == before


@pytest.mark.parametrize(
    "classes",
    [
        np.array([-7, 100], np.int8),
        np.array([0, 2**64 - 1], np.uint64),
        np.array([False, True]),
        np.array(["", "ü\ud800 x" * 3]),
    ],
    ids=repr,
)
def test_all_kinds_of_labels(classes, tmp_path):
    import dataclasses

    network = fn.Network([fn.Dense(1, "sigmoid")]).build(2)
    network.task = dataclasses.replace(network.task, classes=classes)
    network.save(tmp_path / "net")
    again = fn.load(tmp_path / "net").labels
    assert again.dtype == classes.dtype
    assert again.tolist() == classes.tolist()


def test_parameters_that_are_not_finite_can_be_looked_at(tmp_path):
    network = fn.Network([fn.Dense(1)]).build(2)
    network.parameters["W1"][:] = [[np.nan, np.inf]]
    network.save(tmp_path / "net")
    np.testing.assert_array_equal(fn.load(tmp_path / "net").parameters["W1"], [[np.nan, np.inf]])


def test_rows_with_gaps_and_bytes_as_a_path(tmp_path):
    """Rows of 512 float32 lie apart, and a file has them without the gaps."""
    network = fn.Network([fn.Dense(3, "relu"), fn.Dense(1)]).build(512)
    assert not network.parameters["W1"].flags.c_contiguous
    path = os.fsencode(tmp_path / "net")
    network.save(path)
    np.testing.assert_array_equal(fn.load(path).buffer, network.buffer)


def test_memory(tmp_path):
    """Saving needs no second copy of the network, and loading only one of the largest tensor."""
    network = fn.Network([fn.Dense(500, "relu"), fn.Dense(500, "relu"), fn.Dense(1)]).build(500)
    size = network.buffer.nbytes

    def peak(function):
        function()  # imports
        tracemalloc.start()
        function()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(lambda: network.save(tmp_path / "net")) < 0.2 * size
    assert peak(lambda: fn.load(tmp_path / "net")) < 3.2 * size, "parameters, gradients, and a copy of a tensor or two"


def test_random_damage():
    """A few of the mutations of tests/fuzz_files.py: the script tries more of them."""
    fuzz = runpy.run_path(str(Path(__file__).parents[1] / "fuzz_files.py"))
    found = fuzz["run"](count=300, seed=1)
    assert min(found["refused"], found["used"]) > 10


# ---------------------------------------------------------------- files of format 2, as it wrote them

FILES = Path(__file__).parent / "files"
OLD_X = np.sin(np.arange(180, dtype=np.float32)).reshape(60, 3)
OLD_Y = np.array(["ant", "bee", "cow"])[(np.arange(60) * 7 % 11) % 3]
OLD_OPTIONS = {"batch_size": 16, "optimizer": fn.Adam(0.02), "validation_data": (OLD_X[::-1], OLD_Y), "verbose": False}


def old_network():
    layers = [fn.Rescale(0.5, 0.25), fn.Dense(4), fn.BatchNorm("relu"), fn.Dropout(0.25), fn.Dense(3, "softmax")]
    return fn.Network(layers, loss=fn.losses.cross_entropy(label_smoothing=0.1), seed=7)


def test_format_2_is_read():
    network = fn.load(FILES / "format2.safetensors")
    assert network.layers == old_network().layers
    assert network.loss_and_setting == old_network().loss_and_setting
    assert network.labels.tolist() == ["ant", "bee", "cow"]
    expected = [[0.35791725, 0.3304543, 0.3116285], [0.266999, 0.42701894, 0.30598196]]
    np.testing.assert_allclose(network.predict_proba(OLD_X[:2]), expected, rtol=1e-5)


def test_an_interrupted_training_of_format_2_is_read():
    training = fn.load(FILES / "format2-interrupted.safetensors").training
    assert (training.optimizer, training.steps, training.history.epochs) == ("Adam", 8, 2)
    epoch = training.unfinished
    assert (epoch.step, epoch.steps, epoch.seen) == (3, 4, {})
    np.testing.assert_allclose(epoch.costs, [1.19441938, 1.07644991, 1.1071408], rtol=1e-8)
    np.testing.assert_array_equal(epoch.scores, [5, 8, 5])
    assert epoch.rng_before["uinteger"] == 4153870041
    drawn = np.random.default_rng()
    drawn.bit_generator.state = epoch.rng_before
    drawn.permutation(60)
    assert drawn.bit_generator.state == epoch.rng, "it had drawn the order of the samples"
    early = training.callbacks["EarlyStopping"]
    assert early["monitor"] is None
    assert (early["best"] == 0.5).all()


def test_an_interrupted_training_of_format_2_goes_on():
    whole, again = old_network(), fn.load(FILES / "format2-interrupted.safetensors")
    history = whole.fit(OLD_X, OLD_Y, epochs=4, **OLD_OPTIONS)
    again.fit(OLD_X, OLD_Y, epochs=4, resume=True, **OLD_OPTIONS)
    # Not b1: batch normalisation takes it away again, so its gradient is rounding, of which Adam makes whole steps.
    for name in ("W1", "gamma1", "beta1", "variance1", "W2", "b2"):
        np.testing.assert_allclose(again.parameters[name], whole.parameters[name], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(again.history["cost"], history["cost"], rtol=1e-4)


def test_a_training_of_format_3_goes_on():
    """Which said how many numbers a sample has, and not its shape."""
    X, y = np.random.default_rng(0).standard_normal((30, 4)), np.array(["a", "b", "c"])[np.arange(30) % 3]
    again = fn.load(FILES / "format3.safetensors")
    assert (again.n_inputs, again.input_shape, again.history.epochs) == (4, (4,), 2)
    assert again.labels.tolist() == ["a", "b", "c"]
    whole = fn.Network(again.layers, seed=3)
    options = {"batch_size": 8, "optimizer": fn.Adam(0.01), "verbose": False}
    whole.fit(X, y, epochs=4, **options)
    again.fit(X, y, epochs=4, resume=True, **options)
    for name in ("W1", "gamma1", "beta1", "variance1", "W2", "gamma2", "W3", "b3"):
        np.testing.assert_allclose(again.parameters[name], whole.parameters[name], rtol=1e-3, atol=1e-4)


# ---------------------------------------------------------------- writing


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        fn.load(saved).save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]
