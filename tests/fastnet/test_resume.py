"""Stopping and going on gives the bits of never having stopped, whatever is trained, on whatever samples."""

import contextlib
import itertools
import random
import signal
import warnings

import numpy as np
import pytest
from fastnet_kernels import codes

import fastnet as fn
from fastnet.training.array_epochs import ArrayEpochs
from fastnet.training.steps import Steps

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((130, 3, 3)).astype(np.float32), RNG.integers(0, 3, 130)
HELD = RNG.standard_normal((40, 3, 3)).astype(np.float32), RNG.integers(0, 3, 40)
EPOCHS, STEPS = 5, 5  # mini-batches of 29 samples, the last one of 14
WEIGHTS = np.where(np.arange(130) < 30, 0.0, RNG.random(130))


@pytest.fixture(autouse=True)
def listens():
    """Ctrl-C as Python has it at a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Endless:
    """Mini-batches that go on and on, and remember where they are."""

    def __init__(self, batches):
        self.batches, self.place = batches, 0

    def __iter__(self):
        while True:
            self.place += 1
            yield self.batches[(self.place - 1) % len(self.batches)]


def noisy(given, rng):
    return (given + rng.standard_normal(given.shape) / 10).astype(given.dtype)


def memory_map(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X.astype(np.float64))
    return np.load(path, mmap_mode="r")


BATCHES = [(X[i : i + 29], Y[i : i + 29]) for i in range(0, 130, 29)]
WEIGHTED = [(*batch, np.full(len(batch[0]), i != 1)) for i, batch in enumerate(BATCHES)]
# What is given to `fit` for a whole training. An endless source goes on where it was interrupted.
SOURCES = {
    "arrays": lambda _: {"X": X, "y": Y, "batch_size": 29},
    "in order": lambda _: {"X": X, "y": Y, "batch_size": 29, "shuffle": False, "sample_weight": WEIGHTS},
    "augment": lambda _: {"X": X, "y": Y, "batch_size": 29, "augment": noisy},
    "memmap": lambda tmp_path: {"X": memory_map(tmp_path), "y": Y, "batch_size": 29},
    "list": lambda _: {"X": BATCHES},
    "weighted list": lambda _: {"X": WEIGHTED},
    "list by steps": lambda _: {"X": BATCHES * EPOCHS, "steps_per_epoch": STEPS},
    "endless": lambda _: {"X": iter(Endless(BATCHES)), "steps_per_epoch": STEPS},
}
OPTIMIZERS = [
    fn.SGD(0.05),
    fn.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    fn.AdamW(fn.schedules.cosine(0.01, warmup=4, steps=25), clip_norm=1.0),
    fn.Adam(fn.schedules.reduce_on_plateau(0.01, patience=0, factor=0.5, monitor="cost")),
    fn.RMSProp(lambda step: 0.01 / (1 + step), momentum=0.5, clip_value=0.1),
]
LAYERS = [
    [fn.Dense(3, "softmax")],
    [fn.Dense(17, "relu", l2=1e-3), fn.Dropout(0.3), fn.Dense(3, "softmax")],
    [fn.Rescale(0.5), fn.Dense(33), fn.BatchNorm("tanh"), fn.Dropout(0.1), fn.Dense(3, "softmax")],
    [fn.Dense(15, "gelu"), fn.LayerNorm(), fn.Dense(15, "elu", l1=1e-4), fn.Dense(3, "softmax")],
    [
        fn.Conv2D(6, 2, padding="same", activation="relu", l2=1e-3),
        fn.MaxPool2D(2, 1),
        fn.Flatten(),
        fn.Dense(3, "softmax"),
    ],
    [fn.LSTM(5, return_sequences=True), fn.Dropout(0.2), fn.GRU(6, l2=1e-3), fn.Dense(3, "softmax")],
    [fn.Dropout(0.1), fn.MaxPool2D(2, 1), fn.MaxPool1D(2), fn.Dense(15, "tanh"), fn.Dense(3, "softmax")],
]


class Averages:
    """A callback with a memory: the mean of all epochs' parameters."""

    def __init__(self):
        self.total, self.count = None, 0

    def __call__(self, epoch, history, network):
        self.total = network.buffer + (0 if self.total is None else self.total)
        self.count += 1

    def state_dict(self):
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state):
        self.total, self.count = state.get("total"), state.get("count", 0)


def callbacks_of(choice):
    found = [Averages()]
    if "stop" in choice:
        found.append(fn.EarlyStopping("cost", patience=2, min_delta=0.02))
    if "rate" in choice:
        found.append(fn.LearningRateLogger())
    return found


def fit_until(at, net, *arguments, **options):
    """Train until Ctrl-C comes, in the step number `at`."""
    run, count = fn.Network.run, itertools.count(1)

    def run_and_count(self, mode, *arguments, **options):
        if mode == codes.TRAIN and next(count) == at:
            signal.raise_signal(signal.SIGINT)
        return run(self, mode, *arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("fastnet.training.steps.SECONDS_A_CALL", 1e-9)  # a compiled call for each step
        patched.setattr(fn.Network, "run", run_and_count)
        net.fit(*arguments, **options)


def same(a, b):
    np.testing.assert_array_equal(a.buffer, b.buffer)
    for one, other in zip(a.training.states, b.training.states, strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(a.history) == list(b.history)
    for name in a.history:
        if name != "seconds":
            np.testing.assert_array_equal(a.history[name], b.history[name])
    assert len(a.history["seconds"]) == a.history.epochs
    assert a.rng.bit_generator.state == b.rng.bit_generator.state
    assert a.training.steps == b.training.steps
    assert (a.training.last is None) == (b.training.last is None)
    if a.training.last is not None:
        np.testing.assert_array_equal(a.training.last, b.training.last)


def drawn(seed):
    rng = random.Random(seed)
    return {
        "source": list(SOURCES)[seed % len(SOURCES)],
        "layers": rng.choice(LAYERS),
        "optimizer": rng.choice(OPTIMIZERS),
        "dtype": rng.choice(["float32", "float64"]),
        "validation": rng.random() < 0.5,
        "metrics": rng.choice([(), ("f1",), ("auc", fn.metrics.top_k(2))]),
        "callbacks": rng.choice([(), ("stop",), ("rate",), ("stop", "rate")]),
        "at": rng.randint(1, EPOCHS * STEPS - 1),
        "by": rng.choice(["memory", "file"]),
    }


@pytest.mark.parametrize("seed", range(48))
def test_an_interrupted_training_that_goes_on_is_not_an_interrupted_one(seed, tmp_path):
    choice = drawn(seed)
    options = {"epochs": EPOCHS, "optimizer": choice["optimizer"], "metrics": choice["metrics"], "verbose": False}
    if choice["validation"]:
        options["validation_data"] = HELD
    whole, net = (fn.Network(choice["layers"], seed=seed, dtype=choice["dtype"]) for _ in range(2))
    looks, others = callbacks_of(choice["callbacks"]), callbacks_of(choice["callbacks"])
    whole.fit(**SOURCES[choice["source"]](tmp_path), callbacks=looks, **options)
    given = SOURCES[choice["source"]](tmp_path)
    with contextlib.suppress(KeyboardInterrupt):  # unless so many steps make no difference
        fit_until(choice["at"], net, **given, callbacks=others, **options)
    if choice["by"] == "file":
        net.save(tmp_path / "net.safetensors", training=True)
        net, others = fn.load(tmp_path / "net.safetensors"), callbacks_of(choice["callbacks"])
    net.fit(**given, callbacks=others, resume=True, **options)
    same(net, whole)
    np.testing.assert_array_equal(others[0].total, looks[0].total)
    assert others[0].count == looks[0].count


def test_resuming_twice_in_one_epoch(tmp_path):
    whole, net = (fn.Network(LAYERS[2], seed=1) for _ in range(2))
    options = {"epochs": 2, "metrics": ["f1"], "verbose": False}
    for source in ("augment", "list"):
        whole.fit(**SOURCES[source](tmp_path), **options)
        for at in (2, 1, 1):
            with pytest.raises(KeyboardInterrupt, match=r"net\.history"):
                fit_until(at, net, **SOURCES[source](tmp_path), resume=at == 1, **options)
        assert 0 < net.training.unfinished.step < STEPS
        net.fit(**SOURCES[source](tmp_path), resume=True, **options)
        same(net, whole)


def test_what_cannot_go_on_in_the_middle_is_refused():
    net = fn.Network(LAYERS[1])
    with pytest.raises(KeyboardInterrupt, match=r"net\.history"):
        fit_until(7, net, X, Y, batch_size=29, verbose=False)
    before = net.buffer.copy()
    for given in (
        {"X": X, "y": Y, "batch_size": 30},
        {"X": BATCHES},
        {"X": X, "y": Y, "batch_size": 29, "augment": noisy},
    ):
        with pytest.raises(ValueError, match="in an epoch of 5 steps: resume it with the same"):
            net.fit(**given, resume=True, verbose=False)
    np.testing.assert_array_equal(net.buffer, before)
    net.fit(X, Y, batch_size=29, resume=True, epochs=2, verbose=False)


def test_an_error_in_the_middle_of_an_epoch_undoes_the_epoch():
    """Then the network, its optimizer, history and random numbers are those of the last whole epoch, and can go on."""
    options = {"batch_size": 29, "optimizer": fn.Adam(), "verbose": False}
    whole, net, calls = fn.Network(LAYERS[2], seed=2), fn.Network(LAYERS[2], seed=2), []

    def fails_once(given, rng):
        calls.append(1)
        if len(calls) == 8:
            raise RuntimeError("no")
        return noisy(given, rng)

    whole.fit(X, Y, epochs=3, augment=noisy, **options)
    with pytest.raises(RuntimeError, match="no"):
        net.fit(X, Y, epochs=3, augment=fails_once, **options)
    assert net.history.epochs == 1
    net.fit(X, Y, epochs=3, augment=noisy, resume=True, **options)
    same(net, whole)


def test_a_second_ctrl_c_ends_at_once_and_undoes_the_epoch(monkeypatch):
    options = {"epochs": 3, "batch_size": 29, "optimizer": fn.Adam(), "verbose": False}
    whole, net = fn.Network(LAYERS[2], seed=2), fn.Network(LAYERS[2], seed=2)
    whole.fit(X, Y, **options)
    record = ArrayEpochs._record

    def press_twice(self, *arguments):
        record(self, *arguments)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(ArrayEpochs, "_record", press_twice)
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, Y, **options)
    assert net.history.epochs == 0
    net.fit(X, Y, resume=True, **options)
    same(net, whole)


def test_more_ctrl_c_do_not_tear_what_is_undone(monkeypatch):
    options = {"epochs": 3, "batch_size": 29, "optimizer": fn.Adam(), "verbose": False}
    whole, net = fn.Network(LAYERS[2], seed=2), fn.Network(LAYERS[2], seed=2)
    whole.fit(X, Y, **options)
    record, go_back = ArrayEpochs._record, Steps.go_back

    def press(function, *arguments):
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        return function(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(ArrayEpochs, "_record", lambda *arguments: press(record, *arguments))
        patched.setattr(Steps, "go_back", lambda *arguments: press(go_back, *arguments))
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, Y, **options)
    assert net.history.epochs == 0
    net.fit(X, Y, resume=True, **options)
    same(net, whole)


def test_ctrl_c_while_kernels_are_loaded_changes_nothing(monkeypatch):
    def interrupted(self, *arguments, **options):
        raise KeyboardInterrupt

    def attempt(net, **options):
        with monkeypatch.context() as patched:
            patched.setattr(fn.Network, "prepare_for", interrupted)
            with pytest.raises(KeyboardInterrupt):
                net.fit(X, Y, batch_size=29, verbose=False, **options)

    net, twin = fn.Network(LAYERS[1], seed=3), fn.Network(LAYERS[1], seed=3)
    attempt(net)
    assert (net.n_inputs, net.training) == (None, None)
    for each in (net, twin):
        each.fit(X, Y, epochs=2, batch_size=29, verbose=False)
    attempt(net, epochs=4)
    attempt(net, epochs=4, resume=True)
    same(net, twin)
    for each in (net, twin):
        each.fit(X, Y, epochs=4, batch_size=29, resume=True, verbose=False)
    same(net, twin)


def test_divergence_keeps_whole_epochs_also_with_weights_of_0():
    weights = np.where(np.arange(130) % 7 == 0, 0.0, 1.0)
    kept = []
    for callbacks in ([], [lambda *_: None]):  # many epochs a compiled call, and one
        net = fn.Network([fn.Dense(8, "relu"), fn.Dense(1)], seed=1)
        optimizer = fn.SGD(lambda step: 0.01 if step < 37 else 1e30)
        with pytest.raises(fn.DivergenceError):
            net.fit(
                X, X[:, 0, 0], epochs=200, batch_size=29, optimizer=optimizer, sample_weight=weights,
                callbacks=callbacks, verbose=False,
            )  # fmt: skip
        kept.append((net.history.epochs, net.buffer.copy(), net.rng.bit_generator.state))
    assert kept[0][0] == kept[1][0] == 7
    np.testing.assert_array_equal(kept[0][1], kept[1][1])
    assert kept[0][2] == kept[1][2]


# ---------------------------------------------------------------- early stopping


def test_an_interrupt_does_not_put_the_best_weights_back():
    net, stop = fn.Network(LAYERS[1]), fn.EarlyStopping("validation_cost", patience=50)
    seen = []
    keep = lambda epoch, history, network: seen.append(network.buffer.copy())  # noqa: E731
    options = {"batch_size": 29, "optimizer": fn.Adam(0.2), "validation_data": HELD, "verbose": False}
    with pytest.raises(KeyboardInterrupt, match=r"net\.history"):
        fit_until(18, net, X, Y, epochs=9, callbacks=[stop, keep], **options)
    assert int(np.argmin(net.history["validation_cost"])) != net.history.epochs - 1, "else this shows nothing"
    assert not any((net.buffer == buffer).all() for buffer in seen), "in the middle of an epoch"
    stop.restore(net)
    np.testing.assert_array_equal(net.buffer, seen[int(np.argmin(net.history["validation_cost"]))])


def test_more_epochs_after_early_stopping_go_on_from_the_last_one(tmp_path):
    """The best weights are in the network between two calls of fit, and training goes on as if they never had been."""
    options = {"batch_size": 29, "optimizer": fn.Adam(0.05), "validation_data": HELD, "verbose": False}
    whole = fn.Network(LAYERS[1], seed=5)
    whole.fit(X, Y, epochs=9, callbacks=[fn.EarlyStopping(patience=20)], **options)
    for by_file in (False, True):
        net = fn.Network(LAYERS[1], seed=5)
        net.fit(X, Y, epochs=6, callbacks=[fn.EarlyStopping(patience=20)], **options)
        assert net.training.last is not None, "else the best epoch was the last one"
        if by_file:
            net.save(tmp_path / "net.safetensors", training=True)
            net = fn.load(tmp_path / "net.safetensors")
        net.fit(X, Y, epochs=9, callbacks=[fn.EarlyStopping(patience=20)], resume=True, **options)
        same(net, whole)
    net = fn.Network(LAYERS[1], seed=5)
    net.fit(X, Y, epochs=6, callbacks=[fn.EarlyStopping(patience=20)], **options)
    net.parameters["b1"][:] = 7  # somebody's own change is where it goes on from
    net.fit(X, Y, epochs=6, resume=True, **options)
    assert (net.parameters["b1"] == 7).all()


def test_the_best_weights_are_those_of_this_training():
    """Neither of another fit with the same callback, nor of another list of the history, nor of an epoch long past."""
    options = {"batch_size": 29, "optimizer": fn.Adam(0.05), "validation_data": HELD, "verbose": False}
    stop, net = fn.EarlyStopping(patience=20), fn.Network(LAYERS[1])
    net.fit(X, Y, epochs=8, callbacks=[stop], **options)
    seen = []
    keep = lambda epoch, history, network: seen.append(network.buffer.copy())  # noqa: E731
    history = net.fit(X, Y, epochs=4, callbacks=[stop, keep], **options)
    np.testing.assert_array_equal(net.buffer, seen[int(np.argmin(history["validation_cost"]))])
    net, seen[:] = fn.Network(LAYERS[1]), []
    net.fit(X, Y, epochs=4, callbacks=[fn.EarlyStopping("validation_cost", patience=20), keep], **options)
    last = fn.EarlyStopping("cost", patience=20)
    history = net.fit(X, Y, epochs=8, callbacks=[last, keep], resume=True, **options)
    np.testing.assert_array_equal(net.buffer, seen[int(np.argmin(history["cost"]))])


@pytest.mark.parametrize("returned", [True, None], ids=["stopped", "last epoch"])
def test_ctrl_c_when_training_ends_anyway_changes_nothing(returned):
    """It is raised all the same: somebody wants the program to stop."""
    options = {"batch_size": 29, "optimizer": fn.Adam(0.2), "epochs": 6, "validation_data": HELD, "verbose": False}
    whole, net = fn.Network(LAYERS[1], seed=5), fn.Network(LAYERS[1], seed=5)
    stop = lambda epoch, *_: returned if epoch == 6 else None  # noqa: E731
    whole.fit(X, Y, callbacks=[fn.EarlyStopping(patience=20), stop], **options)
    press = lambda epoch, *_: signal.raise_signal(signal.SIGINT) if epoch == 6 else None  # noqa: E731
    with pytest.raises(KeyboardInterrupt, match="had come to its end"):
        net.fit(X, Y, callbacks=[fn.EarlyStopping(patience=20), press, stop], **options)
    same(net, whole)


def test_two_that_put_the_best_weights_back():
    options = {"batch_size": 29, "optimizer": fn.Adam(0.05), "validation_data": HELD, "verbose": False}

    def stops():
        return [fn.EarlyStopping(name, patience=20) for name in ("validation_cost", "validation_accuracy")]

    whole, net = fn.Network(LAYERS[1], seed=5), fn.Network(LAYERS[1], seed=5)
    whole.fit(X, Y, epochs=12, callbacks=stops(), **options)
    net.fit(X, Y, epochs=8, callbacks=stops(), **options)
    net.fit(X, Y, epochs=12, callbacks=stops(), resume=True, **options)
    assert net.history["cost"] == whole.history["cost"]


def test_a_stopped_training_that_is_resumed_has_nothing_to_do():
    options = {"batch_size": 29, "optimizer": fn.Adam(0.2), "epochs": 60, "validation_data": HELD, "verbose": False}
    net = fn.Network(LAYERS[1], seed=5)
    epochs = net.fit(X, Y, callbacks=[fn.EarlyStopping(patience=2)], **options).epochs
    assert epochs < 60
    buffer = net.buffer.copy()
    assert net.fit(X, Y, callbacks=[fn.EarlyStopping(patience=2)], resume=True, **options).epochs == epochs
    np.testing.assert_array_equal(net.buffer, buffer)
    assert net.fit(X, Y, callbacks=[fn.EarlyStopping(patience=4)], resume=True, **options).epochs > epochs


def test_ones_own_changes_after_load_are_where_it_goes_on_from(tmp_path):
    options = {"batch_size": 29, "optimizer": fn.Adam(0.05), "validation_data": HELD, "verbose": False}
    net = fn.Network(LAYERS[1], seed=5)
    net.fit(X, Y, epochs=6, callbacks=[fn.EarlyStopping(patience=20)], **options)
    assert net.training.last is not None, "else the best epoch was the last one"
    net.save(tmp_path / "net", training=True)
    net = fn.load(tmp_path / "net")
    net.parameters["b1"][:] = 7
    net.fit(X, Y, epochs=6, resume=True, **options)
    assert (net.parameters["b1"] == 7).all()


def test_an_iterator_whose_last_mini_batch_was_interrupted():
    whole, net = fn.Network(LAYERS[1], seed=5), fn.Network(LAYERS[1], seed=5)
    whole.fit(iter(BATCHES), epochs=1, metrics=["f1"], verbose=False)
    batches = iter(BATCHES)
    with pytest.raises(KeyboardInterrupt):
        fit_until(STEPS, net, batches, epochs=1, metrics=["f1"], verbose=False)
    net.fit(batches, epochs=1, metrics=["f1"], resume=True, verbose=False)
    same(net, whole)


def test_one_sample_may_come_in_the_middle_of_a_stream():
    batches = [(X[:64], Y[:64]), (X[64:65], Y[64:65])]
    net, given = fn.Network(LAYERS[2]), itertools.cycle(batches)
    with pytest.raises(KeyboardInterrupt):
        fit_until(1, net, given, steps_per_epoch=2, epochs=2, verbose=False)
    assert net.fit(given, steps_per_epoch=2, epochs=2, resume=True, verbose=False).epochs == 2


def test_partial_fit_ends_its_step_also_after_ctrl_c():
    net, twin = fn.Network(LAYERS[1], seed=5), fn.Network(LAYERS[1], seed=5)
    run = fn.Network.run

    def press(self, mode, *arguments, **options):
        signal.raise_signal(signal.SIGINT)
        return run(self, mode, *arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fn.Network, "run", press)
        with pytest.raises(KeyboardInterrupt, match="had come to its end"):
            net.partial_fit(X, Y)
    twin.partial_fit(X, Y)
    same(net, twin)


# ---------------------------------------------------------------- histories


def test_histories_and_logs_stay_aligned_when_what_is_measured_changes(tmp_path):
    pandas = pytest.importorskip("pandas")
    net, path = fn.Network(LAYERS[1]), tmp_path / "log.csv"
    net.fit(X, Y, epochs=2, metrics=["f1"], callbacks=[fn.CSVLogger(path)], verbose=False)
    net.fit(
        X, Y, epochs=4, validation_data=HELD, resume=True, verbose=False,
        callbacks=[fn.EarlyStopping(), fn.LearningRateLogger(), fn.CSVLogger(path)],
    )  # fmt: skip
    net.fit(X, Y, epochs=5, metrics=["f1"], callbacks=[fn.CSVLogger(path)], resume=True, verbose=False)
    expected = {
        "cost": "+++++", "accuracy": "+++++", "f1": "++--+", "seconds": "+++++", "validation_cost": "--++-",
        "validation_accuracy": "--++-", "learning_rate": "--++-",
    }  # fmt: skip
    for table in (pandas.DataFrame(net.history), pandas.read_csv(path).drop(columns="epoch")):
        assert list(table.columns) == list(expected)
        for name, signs in expected.items():
            assert ["+-"[int(missing)] for missing in table[name].isna()] == list(signs), name


def test_validation_can_be_added_at_a_resume():
    net = fn.Network(LAYERS[1])
    net.fit(X, Y, epochs=2, verbose=False)
    optimizer = fn.SGD(fn.schedules.reduce_on_plateau(0.1))
    history = net.fit(
        X, Y, epochs=5, resume=True, validation_data=HELD, callbacks=[fn.EarlyStopping()], optimizer=optimizer,
        verbose=False,
    )  # fmt: skip
    assert np.isnan(history["validation_cost"]).tolist() == [True, True, False, False, False]


def test_partial_fit_after_an_interrupt_counts_the_steps_that_were_made():
    net = fn.Network(LAYERS[1])
    with pytest.raises(KeyboardInterrupt, match=r"net\.history"):
        fit_until(8, net, X, Y, batch_size=29, optimizer=fn.Adam(), verbose=False)
    done = net.training.steps + net.training.unfinished.step
    net.partial_fit(X, Y, optimizer=fn.Adam())
    assert net.training.unfinished is None
    assert net.training.steps == done + 1


def test_a_resume_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = fn.Network(LAYERS[0])
        net.fit(X, Y, epochs=1, verbose=False)
        net.fit(X, Y, epochs=2, resume=True, verbose=False)


def test_a_resume_with_nothing_left_to_do_says_so(capsys):
    net = fn.Network(LAYERS[0])
    net.fit(X, Y, epochs=2, verbose=False)
    net.fit(X, Y, epochs=2, resume=True)
    assert "nothing to do: 2 epochs are trained, and epochs= counts them all" in capsys.readouterr().err


def test_lists_that_a_callback_keeps_by_itself_stay_aligned(tmp_path):
    def keep(epoch, history, network):
        history.setdefault("by hand", []).append(float(epoch))
        if epoch > 1:
            history.setdefault("late", []).append(float(epoch))
        history.setdefault("long", []).extend([0.0] * 3)

    net = fn.Network(LAYERS[0])
    net.fit(X, Y, epochs=4, callbacks=[keep, fn.CSVLogger(tmp_path / "log.csv")], verbose=False)
    assert {len(values) for values in net.history.values()} == {4}
    assert net.history["by hand"] == [1, 2, 3, 4]
    net.save(tmp_path / "net", training=True)
