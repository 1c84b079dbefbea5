"""What goes on around the steps: callbacks, resuming, Ctrl-C, streams, metrics, and files that survive a kill."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from fastnet_kernels import codes

import fastnet as fn
from fastnet.training.state import TrainingState

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((300, 12)).astype(np.float32), RNG.integers(0, 3, 300)
QUIET = {"verbose": False}


def network(seed=0, **options):
    layers = [fn.Dense(20, "relu"), fn.Dropout(0.2), fn.Dense(10), fn.BatchNorm("tanh"), fn.Dense(3, "softmax")]
    return fn.Network(layers, seed=seed, **options)


def same(a, b):
    """Whether two networks and their trainings are alike, bit by bit, but for the seconds."""
    np.testing.assert_array_equal(a.buffer, b.buffer)
    for one, other in zip(a.training.states, b.training.states, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in a.training.history:
        if name != "seconds":
            np.testing.assert_array_equal(a.training.history[name], b.training.history[name])
    assert a.rng.bit_generator.state == b.rng.bit_generator.state


OPTIMIZERS = [
    fn.SGD(0.1),
    fn.SGD(0.1, momentum=0.9),
    fn.AdamW(fn.schedules.cosine(0.01, warmup=10), clip_norm=1.0),
    fn.RMSProp(fn.schedules.reduce_on_plateau(0.01, patience=1, monitor="cost")),
]


@pytest.mark.parametrize("stop", [1, 3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_resuming_from_a_file_is_not_stopping(optimizer, stop, tmp_path):
    options = {"batch_size": 32, "optimizer": optimizer, "validation_data": (X[:50], Y[:50]), **QUIET}
    whole = network()
    whole.fit(X, Y, epochs=6, **options)
    half = network()
    path = tmp_path / "half.safetensors"

    def stops(epoch, history, network):
        network.save(path, training=True)
        return epoch == stop

    half.fit(X, Y, epochs=6, callbacks=[stops], **options)
    assert half.training.history.epochs == stop
    again = fn.load(path)
    history = again.fit(X, Y, epochs=6, resume=True, **options)
    assert history.epochs == 6
    same(again, whole)


def test_a_second_fit_starts_a_new_history_and_resume_does_not():
    net = network()
    net.fit(X, Y, epochs=2, **QUIET)
    assert net.fit(X, Y, epochs=3, **QUIET).epochs == 3
    assert net.fit(X, Y, epochs=5, resume=True, **QUIET).epochs == 5
    assert net.fit(X, Y, epochs=5, resume=True, **QUIET).epochs == 5, "all of them are done"
    with pytest.raises(ValueError, match="with SGD: give the same optimizer"):
        net.fit(X, Y, optimizer=fn.Adam(), resume=True, **QUIET)
    with pytest.raises(ValueError, match="no training to resume"):
        network().fit(X, Y, resume=True, **QUIET)


@pytest.fixture
def listens():
    """Ctrl-C as Python has it at a terminal: what runs in the background is often started so that it ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c_after(seconds):
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("optimizer", [*OPTIMIZERS[:2], fn.AdamW(fn.schedules.step(0.01, every=2000))], ids=repr)
def test_ctrl_c_ends_soon_and_resuming_is_not_stopping(optimizer, listens, tmp_path):
    big = np.random.default_rng(1).standard_normal((20_000, 12)).astype(np.float32)
    y = np.random.default_rng(2).integers(0, 3, 20_000)
    options = {"batch_size": 8, "optimizer": optimizer, "epochs": 2000, **QUIET}
    stopped = network()
    stopped.fit(big[:100], y[:100], epochs=1, **QUIET)  # compiles
    stopped = network()
    press_ctrl_c_after(0.3)
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt, match="resume=True"):
        stopped.fit(big, y, **options)
    assert time.perf_counter() - start < 10, "all epochs take minutes"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    done = stopped.training.history.epochs
    assert done < 2000
    path = tmp_path / "stopped.safetensors"
    stopped.save(path, training=True)
    again, whole = fn.load(path), network()
    options["epochs"] = done + 2
    again.fit(big, y, resume=True, **options)
    whole.fit(big, y, **options)
    same(again, whole)


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_resuming_in_the_middle_of_an_epoch_is_not_stopping(optimizer, listens, tmp_path, monkeypatch):
    options = {"epochs": 5, "batch_size": 32, "optimizer": optimizer, "validation_data": (X[:50], Y[:50]), **QUIET}
    whole, stopped, steps = network(), network(), []
    whole.fit(X, Y, **options)
    run = fn.Network.run

    def run_and_count(self, mode, *arguments, **settings):
        steps.extend([mode] * (mode == codes.TRAIN))
        if len(steps) == 25:
            signal.raise_signal(signal.SIGINT)
        return run(self, mode, *arguments, **settings)

    with monkeypatch.context() as patched:
        patched.setattr("fastnet.training.steps.SECONDS_A_CALL", 1e-9)  # a call a step
        patched.setattr(fn.Network, "run", run_and_count)
        with pytest.raises(KeyboardInterrupt, match="stopped in epoch 3"):
            stopped.fit(X, Y, **options)
    assert len(steps) == 25
    assert stopped.training.unfinished.step == 5
    with pytest.raises(ValueError, match="in an epoch of 10 steps"):
        stopped.fit(X, Y, resume=True, **{**options, "batch_size": 50})
    path = tmp_path / "stopped.safetensors"
    stopped.save(path, training=True)
    for resumed in (fn.load(path), stopped):
        resumed.fit(X, Y, resume=True, **options)
        same(resumed, whole)


def test_early_stopping_goes_back_to_the_best_epoch():
    seen = {}

    def keep(epoch, history, network):
        seen[epoch] = network.buffer.copy()

    net = network()
    stop = fn.EarlyStopping(patience=3)
    history = net.fit(
        X, Y, epochs=200, optimizer=fn.Adam(0.02), validation_data=(X[::-1], Y), callbacks=[keep, stop], **QUIET
    )
    best = int(np.argmin(history["validation_cost"])) + 1
    assert history.epochs == best + 3
    np.testing.assert_array_equal(net.buffer, seen[best])


def test_early_stopping_counts_small_steps_together():
    """What resets the patience is also what is restored: 0.89 is better than 1 by more than 0.1, if not than 0.95."""
    net = network().build(12)
    net.training = TrainingState.new(fn.SGD(), net.buffer, 0, fn.History(["cost"]))
    stop, history = fn.EarlyStopping("cost", patience=2, min_delta=0.1), net.training.history
    stop.start(net, history)
    for epoch, cost in enumerate([1.0, 0.95, 0.89, 0.9], start=1):
        history.extend("cost", [cost])
        net.buffer[:] = epoch
        assert not stop(epoch, history, net)
    stop.end(net, history)
    assert (net.buffer == 3).all()


def test_early_stopping_remembers_the_best_epoch_over_a_resume(tmp_path):
    options = {"epochs": 30, "optimizer": fn.Adam(0.02), "validation_data": (X[::-1], Y), **QUIET}
    whole = network()
    whole.fit(X, Y, callbacks=[fn.EarlyStopping(patience=3)], **options)
    path = tmp_path / "model.safetensors"
    half = network()
    save = fn.ModelCheckpoint(path, best_only=False)
    stops = lambda epoch, history, network: epoch == whole.training.history.epochs - 1  # noqa: E731
    half.fit(X, Y, callbacks=[fn.EarlyStopping(patience=3), save, stops], **options)
    again = fn.load(path)
    again.fit(X, Y, callbacks=[fn.EarlyStopping(patience=3)], resume=True, **options)
    np.testing.assert_array_equal(again.buffer, whole.buffer)


def test_checkpoints_keep_the_best_or_every(tmp_path):
    best, every = tmp_path / "best.safetensors", tmp_path / "epoch-{epoch}.safetensors"
    net = network()
    callbacks = [fn.ModelCheckpoint(best, monitor="accuracy"), fn.ModelCheckpoint(every, best_only=False, every=2)]
    history = net.fit(X, Y, epochs=5, callbacks=callbacks, **QUIET)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.safetensors",
        "epoch-2.safetensors",
        "epoch-4.safetensors",
    ]
    assert fn.load(best).training.history.epochs == int(np.argmax(history["accuracy"])) + 1
    with pytest.raises(ValueError, match="'validation_cost' will not be in the history"):
        network().fit(X, Y, callbacks=[fn.ModelCheckpoint(best)], **QUIET)


KILLED = """
import sys
import numpy as np
import fastnet as fn
X, y = np.random.default_rng(0).standard_normal((64, 800)), np.arange(64) % 2
net = fn.Network([fn.Dense(2000, "relu"), fn.Dense(2, "softmax")])
tell = lambda epoch, history, network: print(epoch, flush=True)
keep = fn.ModelCheckpoint(sys.argv[1], best_only=False)
net.fit(X, y, epochs=10**6, optimizer=fn.Adam(), callbacks=[keep, tell], verbose=False)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_kill_never_loses_the_checkpoint(tmp_path):
    """Killed at several moments of writing 20 MB again and again: the file can always be read, and training goes on."""
    path = tmp_path / "model.safetensors"
    for delay in (0.0, 0.013, 0.031):
        process = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True)
        for _ in range(3):
            epoch = process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.wait()
        process.stdout.close()
        net = fn.load(path)
        assert net.training.history.epochs >= int(epoch)
        assert np.isfinite(net.buffer).all()


def test_logs(tmp_path):
    path = tmp_path / "log.csv"
    net = network()
    optimizer = fn.SGD(fn.schedules.exponential(0.1, factor=0.9))
    history = net.fit(
        X,
        Y,
        epochs=3,
        batch_size=100,
        optimizer=optimizer,
        callbacks=[fn.LearningRateLogger(), fn.CSVLogger(path)],
        **QUIET,
    )
    assert history["learning_rate"] == pytest.approx([0.1 * 0.9**step for step in (2, 5, 8)])
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch," + ",".join(history)
    assert len(lines) == 4
    assert float(lines[3].split(",")[1]) == history["cost"][2]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    network().fit(X, Y, epochs=2, callbacks=[fn.TensorBoard(tmp_path)], **QUIET)
    assert list(tmp_path.glob("events*"))


def test_callbacks_start_and_finish_also_around_an_error():
    told = []

    class Tells:
        def start(self, network, history):
            told.append("start")

        def __call__(self, epoch, history, network):
            raise RuntimeError("no")

        def finish(self, network, history):
            told.append("finish")

    with pytest.raises(RuntimeError):
        network().fit(X, Y, callbacks=[Tells()], **QUIET)
    assert told == ["start", "finish"]
    with pytest.raises(TypeError, match="is a class"):
        network().fit(X, Y, callbacks=[fn.EarlyStopping], **QUIET)


def test_an_iterable_trains_as_arrays_do():
    batches = [(X[i : i + 50], Y[i : i + 50]) for i in range(0, 300, 50)]
    options = {"epochs": 3, "optimizer": fn.AdamW(fn.schedules.cosine(0.01)), **QUIET}
    arrays, stream, endless = network(), network(), network()
    history = arrays.fit(X, Y, batch_size=50, shuffle=False, **options)
    streamed = stream.fit(batches, **options)
    np.testing.assert_allclose(streamed["cost"], history["cost"], rtol=1e-6)
    np.testing.assert_allclose(streamed["accuracy"], history["accuracy"])
    np.testing.assert_array_equal(stream.buffer, arrays.buffer)

    def goes_on():
        while True:
            yield from batches

    endless.fit(goes_on(), steps_per_epoch=6, **options)
    np.testing.assert_array_equal(endless.buffer, arrays.buffer)


def test_iterables_that_end_or_are_no_mini_batches():
    once = iter([(X, Y)])
    with pytest.raises(ValueError, match="another epoch was wanted"):
        network().fit(once, epochs=2, **QUIET)
    with pytest.raises(ValueError, match="ended after 1 mini-batches"):
        network().fit([(X, Y)], epochs=1, steps_per_epoch=2, **QUIET)
    with pytest.raises(ValueError, match="is empty"):
        network().fit([], epochs=1, **QUIET)
    with pytest.raises(TypeError, match="no pair"):
        network().fit([X], epochs=1, **QUIET)
    with pytest.raises(ValueError, match="are for arrays"):
        network().fit([(X, Y)], augment=lambda X, rng: X, **QUIET)
    with pytest.raises(ValueError, match="is for an iterable"):
        network().fit(X, Y, steps_per_epoch=2, **QUIET)


def test_augmentation_changes_each_mini_batch():
    shapes = []

    def noisy(images, rng):
        shapes.append((images.shape, images.dtype))
        return np.minimum(images + rng.integers(0, 3, images.shape, np.uint8), 255)

    images = RNG.integers(0, 200, (100, 4, 5), np.uint8)
    layers = [fn.Rescale(1 / 255), fn.Dense(8, "relu"), fn.Dense(3, "softmax")]
    found = []
    for _ in range(2):
        net = fn.Network(layers)
        history = net.fit(images, Y[:100], epochs=2, batch_size=32, augment=noisy, **QUIET)
        found.append((net.buffer, history["cost"]))
    assert set(shapes) == {((32, 4, 5), np.dtype(np.uint8)), ((4, 4, 5), np.dtype(np.uint8))}
    np.testing.assert_array_equal(found[0][0], found[1][0])
    same_images = fn.Network(layers)
    plain = fn.Network(layers)
    same_images.fit(images, Y[:100], epochs=2, batch_size=32, augment=lambda X, rng: X, **QUIET)
    plain.fit(images, Y[:100], epochs=2, batch_size=32, **QUIET)
    np.testing.assert_array_equal(same_images.buffer, plain.buffer)
    with pytest.raises(ValueError, match="return as many"):
        fn.Network(layers).fit(images, Y[:100], augment=lambda X, rng: X[:1], **QUIET)
    with pytest.raises(TypeError, match="augment returned None: return the samples"):
        fn.Network(layers).fit(images, Y[:100], augment=lambda X, rng: X.sort(), **QUIET)


def test_memory_maps_are_used_as_they_are(tmp_path):
    """Of another dtype they are converted a mini-batch at a time, and so need no memory of their size."""
    import tracemalloc

    m, n = 20_000, 100
    path = tmp_path / "X.dat"
    given = np.memmap(path, np.float64, "w+", shape=(m, n))
    given[:] = np.random.default_rng(0).standard_normal((m, n))
    given.flush()
    y = np.arange(m) % 3
    net, twin = (fn.Network([fn.Dense(3, "softmax")]).build(n) for _ in range(2))
    net.fit(X=given[:100], y=y[:100], epochs=1, **QUIET)
    net.build(n), twin.build(n)
    twin.take_parameters(net)
    tracemalloc.start()
    net.fit(np.memmap(path, np.float64, "r", shape=(m, n)), y, epochs=1, batch_size=500, shuffle=False, **QUIET)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < given.nbytes / 4
    twin.fit(np.asarray(given), y, epochs=1, batch_size=500, shuffle=False, **QUIET)
    np.testing.assert_array_equal(net.buffer, twin.buffer)


def test_partial_fit_is_a_step_and_remembers():
    net, twin = network(), network()
    for i in range(0, 300, 50):
        net.partial_fit(X[i : i + 50], Y[i : i + 50], optimizer=fn.Adam())
    twin.fit(X, Y, epochs=1, batch_size=50, shuffle=False, optimizer=fn.Adam(), **QUIET)
    np.testing.assert_array_equal(net.buffer, twin.buffer)
    named = fn.Network([fn.Dense(3, "softmax")])
    named.partial_fit(X[:2], ["b", "a"], classes=["a", "b", "c"])
    assert named.labels.tolist() == ["a", "b", "c"]


def test_parameters_of_another_network():
    trained, net = network(), fn.Network([fn.Dense(20, "relu"), fn.Dense(10), fn.BatchNorm(), fn.Dense(7, "softmax")])
    trained.fit(X, Y, epochs=2, **QUIET)
    taken = net.take_parameters(trained)
    assert taken == ["W1", "b1", "W2", "b2", "gamma2", "beta2", "mean2", "variance2"]
    np.testing.assert_array_equal(net.parameters["variance2"], trained.parameters["variance2"])
    with pytest.raises(ValueError, match=r"W3 is \(7, 10\) here and \(3, 10\) there"):
        net.take_parameters(trained, ["W3"])
    with pytest.raises(ValueError, match="nothing can be taken"):
        fn.Network([fn.Dense(5)]).build(2).take_parameters(trained)


def test_metrics_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 200)
    outputs = rng.dirichlet(np.ones(4), 200)
    predicted = outputs.argmax(axis=1)
    options = {"average": "macro", "zero_division": 0}
    assert fn.metrics.f1(truth, outputs) == pytest.approx(metrics.f1_score(truth, predicted, **options))
    assert fn.metrics.precision(truth, outputs) == pytest.approx(metrics.precision_score(truth, predicted, **options))
    assert fn.metrics.recall(truth, outputs) == pytest.approx(metrics.recall_score(truth, predicted, **options))
    assert fn.metrics.auc(truth, outputs) == pytest.approx(metrics.roc_auc_score(truth, outputs, multi_class="ovr"))
    assert fn.metrics.top_k(2)(truth, outputs) == pytest.approx(metrics.top_k_accuracy_score(truth, outputs, k=2))
    np.testing.assert_array_equal(
        fn.metrics.confusion_matrix(truth, outputs), metrics.confusion_matrix(truth, predicted)
    )
    yes, scores = rng.integers(0, 2, 200), rng.integers(0, 9, 200) / 8  # with equal scores
    assert fn.metrics.auc(yes, scores) == pytest.approx(metrics.roc_auc_score(yes, scores))
    assert fn.metrics.f1(yes, scores) == pytest.approx(metrics.f1_score(yes, scores > 0.5))
    answers = rng.integers(0, 2, (200, 3))
    assert fn.metrics.f1(answers, outputs[:, :3]) == pytest.approx(
        metrics.f1_score(answers, outputs[:, :3] > 0.5, **options)
    )
    numbers, guesses = rng.standard_normal((2, 200))
    assert fn.metrics.r2(numbers, guesses) == pytest.approx(metrics.r2_score(numbers, guesses))
    assert fn.metrics.mean_absolute_error(numbers, guesses) == pytest.approx(
        metrics.mean_absolute_error(numbers, guesses)
    )


def test_metrics_in_training_and_evaluation():
    net = network()
    history = net.fit(X, Y, epochs=2, validation_data=(X[:50], Y[:50]), metrics=["f1", fn.metrics.top_k(2)], **QUIET)
    assert list(history) == [
        "cost", "accuracy", "validation_cost", "validation_accuracy", "validation_f1", "validation_top_2", "seconds"
    ]  # fmt: skip
    found = net.evaluate(X[:50], Y[:50], metrics=["f1", fn.metrics.confusion_matrix])
    assert found["f1"] == pytest.approx(history["validation_f1"][-1])
    assert found["confusion_matrix"].sum() == 50
    assert len(network().fit(X, Y, epochs=2, metrics=["auc"], **QUIET)["auc"]) == 2
    with pytest.raises(ValueError, match="'nonsense' is not known"):
        net.evaluate(X, Y, metrics=["nonsense"])
    with pytest.raises(TypeError, match="is no list"):
        net.evaluate(X, Y, metrics="f1")


def test_the_history_counts_squares_whatever_the_loss():
    y = X[:, 0] + 0.1 * X[:, 1]
    for loss in ("absolute_error", "huber", "squared_error"):
        net = fn.Network([fn.Dense(1)], loss=loss)
        net.fit(X, y, epochs=30, **QUIET)
        assert net.evaluate(X, y)["r2"] == pytest.approx(fn.metrics.r2(y, net.predict(X)), abs=1e-5)


def test_progress_in_a_log_file_is_lines(tmp_path):
    script = textwrap.dedent("""
        import numpy as np, fastnet as fn
        from fastnet.training import progress
        progress._SECONDS_A_LINE = 0.0
        fn.Network([fn.Dense(1)]).fit(np.ones((64, 2)), np.ones(64), epochs=3, callbacks=[lambda *_: None])
    """)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0
    assert "\r" not in result.stderr
    assert "epoch 3/3" in result.stderr


def test_divergence_with_an_optimizer_goes_back():
    seen = []
    net = fn.Network([fn.Dense(8, "relu"), fn.Dense(1)])
    optimizer = fn.SGD(lambda step: 0.01 if step < 15 else 1e30, momentum=0.9)
    keep = lambda epoch, history, network: seen.append(network.buffer.copy())  # noqa: E731
    with pytest.raises(fn.DivergenceError, match="epoch 2"):
        net.fit(X, X[:, 0], epochs=4, batch_size=30, optimizer=optimizer, callbacks=[keep], **QUIET)
    np.testing.assert_array_equal(net.buffer, seen[0])
    assert net.training.history.epochs == 1
    assert net.training.steps == 10
    with pytest.raises(fn.DivergenceError):
        net.fit([(X, X[:, 0])] * 5, epochs=3, optimizer=fn.SGD(1e30), **QUIET)
    np.testing.assert_array_equal(net.buffer, seen[0])


def test_history_does_not_depend_on_how_many_epochs_a_call_runs():
    """A call runs as many as the clock allows, or a single one where a callback looks on."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((333, 50)), np.arange(333) % 10
    found = []
    for callbacks in ([], [lambda *_: None]):
        net = fn.Network([fn.Dense(33, "relu"), fn.Dense(10, "softmax")], seed=5, dtype="float64")
        found.append(net.fit(X, y, epochs=40, batch_size=200, callbacks=callbacks, verbose=False))
    assert found[0]["cost"] == found[1]["cost"]
    assert found[0]["accuracy"] == found[1]["accuracy"]
