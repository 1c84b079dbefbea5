"""Callbacks: what they may return, which way a list of the history should go, and files that cannot be written."""

import functools
import os
import stat

import numpy as np
import pytest

import fastnet as fn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
QUIET = {"verbose": False}


def network(**options):
    return fn.Network([fn.Dense(8, "relu"), fn.Dense(1, "sigmoid")], **options)


def balanced_accuracy(truth, outputs):
    return float(np.mean([((outputs > 0.5) == truth)[truth == c].mean() for c in (0, 1)]))


@pytest.mark.parametrize("returned", [None, False, np.False_])
def test_what_goes_on(returned):
    assert network().fit(X, Y, epochs=3, callbacks=[lambda *_: returned], **QUIET).epochs == 3


@pytest.mark.parametrize("returned", [True, np.True_])
def test_what_stops(returned):
    assert network().fit(X, Y, epochs=3, callbacks=[lambda *_: returned], **QUIET).epochs == 1


@pytest.mark.parametrize("returned", [0.3, 0, 1, "no", np.zeros(3), [], {}])
def test_whatever_else_is_returned_is_an_error(returned):
    net = network()
    with pytest.raises(TypeError, match="return True to stop training, and otherwise False or None"):
        net.fit(X, Y, epochs=3, callbacks=[lambda *_: returned], **QUIET)
    assert net.history.epochs == 1


@pytest.mark.parametrize("callbacks", [lambda *_: None, fn.EarlyStopping(), None, 3])
def test_what_is_no_list_of_callbacks(callbacks):
    with pytest.raises(TypeError, match="is no list: give"):
        network().fit(X, Y, callbacks=callbacks, **QUIET)


# ---------------------------------------------------------------- which way


@pytest.mark.parametrize("make", [fn.EarlyStopping, lambda *a, **k: fn.ModelCheckpoint("net.safetensors", *a, **k)])
def test_a_direction_that_nobody_knows_must_be_given(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = network()
    options = {"validation_data": (X, Y), "metrics": [balanced_accuracy], **QUIET}
    with pytest.raises(ValueError, match="give mode='min' or mode='max'"):
        net.fit(X, Y, callbacks=[make("validation_balanced_accuracy")], **options)
    assert net.history.epochs == 0
    assert net.n_inputs is None
    with pytest.raises(ValueError, match="mode='up' is not known"):
        make("validation_cost", mode="up")
    net.fit(X, Y, callbacks=[make("validation_balanced_accuracy", mode="max")], **options)


def test_the_best_epoch_by_the_direction_that_was_given():
    def best_of(**options):
        seen, history = [], None
        net = network(seed=1)
        keep = lambda epoch, history, network: seen.append(network.buffer.copy())  # noqa: E731
        stop = fn.EarlyStopping("validation_balanced_accuracy", patience=30, **options)
        history = net.fit(
            X, Y, epochs=30, validation_data=(X, Y), metrics=[metric], callbacks=[keep, stop], optimizer=fn.SGD(3.0),
            **QUIET,
        )  # fmt: skip
        best = next(i for i, buffer in enumerate(seen) if (buffer == net.buffer).all())
        return history["validation_balanced_accuracy"], best

    metric = balanced_accuracy
    values, best = best_of(mode="max")
    assert best == int(np.argmax(values))
    values, best = best_of(mode="min")
    assert best == int(np.argmin(values))

    metric = functools.partial(balanced_accuracy)
    metric.__name__, metric.greater_is_better = "balanced_accuracy", True
    values, best = best_of()
    assert best == int(np.argmax(values))


# ---------------------------------------------------------------- why training has stopped


def test_early_stopping_says_why(capsys):
    options = {"epochs": 400, "validation_data": (X[::-1], Y)}
    net = network()
    history = net.fit(X, Y, callbacks=[fn.EarlyStopping(patience=3)], **options)
    said = capsys.readouterr().err
    assert f"stopped after epoch {history.epochs} of 400: validation_cost has not become better for 3 epochs" in said
    assert f"in epoch {history.epochs - 3}, whose parameters the network has" in said
    net.fit(X, Y, callbacks=[fn.EarlyStopping(patience=3)], verbose=False, **options)
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------- files


def test_the_epoch_in_a_checkpoint_s_name(tmp_path):
    for pattern in ("w{epoch:02d}.st", "{epoch}-{epoch:3d}.st"):
        network().fit(X, Y, epochs=2, callbacks=[fn.ModelCheckpoint(tmp_path / pattern, best_only=False)], **QUIET)
    assert sorted(os.listdir(tmp_path)) == ["1-  1.st", "2-  2.st", "w01.st", "w02.st"]
    for pattern in ("{epoch:nonsense}.st", "{epoc}.st", "{validation_cost:.2f}.st"):
        with pytest.raises(ValueError, match="cannot be filled in"):
            fn.ModelCheckpoint(pattern)


@pytest.mark.parametrize("callback", [fn.CSVLogger, lambda path: fn.ModelCheckpoint(path, best_only=False)])
def test_a_missing_folder_is_said_before_training(callback, tmp_path):
    net, path = network(), tmp_path / "nowhere" / "file"
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere.*make it first") as error:
        net.fit(X, Y, callbacks=[callback(path)], **QUIET)
    assert os.fspath(path) in str(error.value)
    assert net.n_inputs is None, "nothing has changed"


@pytest.mark.skipif(os.name == "nt", reason="modes")
def test_logs_have_the_mode_of_the_umask_or_keep_theirs(tmp_path):
    path, before = tmp_path / "log.csv", os.umask(0o027)
    try:
        network().fit(X, Y, epochs=1, callbacks=[fn.CSVLogger(path)], **QUIET)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        network().fit(X, Y, epochs=1, callbacks=[fn.CSVLogger(path)], **QUIET)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


# ---------------------------------------------------------------- order and memory


def test_those_with_a_memory_are_called_before_checkpoints(tmp_path):
    path, seen = tmp_path / "net.safetensors", []
    look = lambda *_: seen.append(dict(fn.load(path).history))  # noqa: E731 - behind the checkpoint, as it is given
    keep = fn.ModelCheckpoint(path, best_only=False)
    stop, rate = fn.EarlyStopping("cost"), fn.LearningRateLogger()
    network().fit(X, Y, epochs=3, callbacks=[keep, look, stop, rate], **QUIET)
    assert [len(history["learning_rate"]) for history in seen] == [1, 2, 3]
    assert fn.load(path).training.callbacks["EarlyStopping"]["epoch"] == 3


def test_two_of_a_kind_have_a_memory_each(tmp_path):
    path = tmp_path / "net.safetensors"
    stops = [fn.EarlyStopping("cost", patience=50), fn.EarlyStopping("validation_cost", patience=50)]
    net = network()
    net.fit(X, Y, epochs=5, validation_data=(-X, Y), callbacks=stops, optimizer=fn.SGD(1.0), **QUIET)
    net.save(path, training=True)
    found = fn.load(path).training.callbacks
    best = [int(np.argmin(net.history[name])) + 1 for name in ("cost", "validation_cost")]
    assert best[0] != best[1], "else this shows nothing"
    assert [found[name]["epoch"] for name in ("EarlyStopping", "EarlyStopping 2")] == best


class Counts:
    """As one writes it first: its memory is loaded only if there is one."""

    def __init__(self):
        self.count, self.told = 0, []

    def __call__(self, epoch, history, network):
        self.count += 1

    def state_dict(self):
        return {"count": self.count, "list": self.told}

    def load_state_dict(self, state):
        self.count, self.told = state["count"], state["list"]
        self.told.append("loaded")


def test_a_memory_is_loaded_only_if_there_is_one_and_is_the_callback_s_own():
    net, counts = network(), Counts()
    net.fit(X, Y, epochs=2, callbacks=[counts], **QUIET)
    other = Counts()
    net.fit(X, Y, epochs=3, callbacks=[other], resume=True, **QUIET)
    assert (counts.count, other.count) == (2, 3)
    assert (counts.told, other.told) == ([], ["loaded"])


def test_a_monitor_that_only_an_earlier_call_has_measured_is_refused():
    net = network()
    net.fit(X, Y, epochs=2, validation_data=(X, Y), **QUIET)
    for options in (
        {"callbacks": [fn.EarlyStopping()]},
        {"optimizer": fn.SGD(fn.schedules.reduce_on_plateau(0.1))},
    ):
        with pytest.raises(ValueError, match="'validation_cost' will not be in the history"):
            net.fit(X, Y, epochs=4, resume=True, **options, **QUIET)
    assert net.history.epochs == 2


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (fn.EarlyStopping, r"is a class: give EarlyStopping\(...\)"),
        (lambda epoch, history: None, "takes other arguments"),
        (3, "cannot be called"),
    ],
)
def test_what_is_no_callback_is_refused_before_training(callback, message):
    net = network()
    with pytest.raises(TypeError, match=message):
        net.fit(X, Y, callbacks=[callback], **QUIET)
    assert net.n_inputs is None


def test_all_that_have_started_finish():
    told = []

    class Tells:
        def __init__(self, name, fails):
            self.name, self.fails = name, fails

        def start(self, network, history):
            if self.fails == "start":
                raise RuntimeError(self.name)

        def __call__(self, epoch, history, network):
            pass

        def finish(self, network, history):
            told.append(self.name)
            if self.fails == "finish":
                raise RuntimeError(self.name)

    with pytest.raises(RuntimeError):
        network().fit(X, Y, callbacks=[Tells("a", "finish"), Tells("b", ""), Tells("c", "start")], **QUIET)
    assert told == ["a", "b"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: network().fit(X, Y, shuffle="no", verbose=False),
        lambda: network().fit(X, Y, verbose=2),
        lambda: fn.EarlyStopping(restore_best="no"),
        lambda: fn.ModelCheckpoint("x", best_only=1),
        lambda: fn.SGD(0.1, momentum=0.9, nesterov="no"),
    ],
)
def test_what_is_neither_true_nor_false_is_refused(make):
    with pytest.raises(TypeError, match="give True or False"):
        make()
