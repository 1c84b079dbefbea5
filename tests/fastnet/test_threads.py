"""One network, several threads: every prediction is the one that a single thread gets, and training keeps its bits."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastnet as fn
from fastnet.execution.contexts import ContextPool
from fastnet.execution.cpu.device import CPU

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((300, 20)).astype(np.float32), RNG.integers(0, 3, 300)
QUIET = {"verbose": False}


def network(**options):
    layers = [fn.Dense(40, "relu"), fn.Dense(16), fn.BatchNorm("tanh"), fn.Dropout(0.2), fn.Dense(3, "softmax")]
    return fn.Network(layers, **options)


@pytest.mark.parametrize("n_threads", [2, 8])
def test_predictions_of_many_threads_are_those_of_one(n_threads):
    """With mini-batches of many forms, also such as are shared by the cores: all of them have their own workspaces."""
    layers = [fn.Dense(128, "relu"), fn.Dense(64, "tanh"), fn.Dense(5, "softmax")]
    net = fn.Network(layers).build(100)
    samples = np.random.default_rng(0).standard_normal((6000, 100)).astype(np.float32)
    parts = [samples[:m] for m in (1, 2, 15, 17, 33, 100, 1024, 1025, 3000, 6000)]
    wanted = [net.predict_proba(part) for part in parts]
    start = threading.Barrier(n_threads)

    def predict(number):
        start.wait()
        rng = np.random.default_rng(number)
        for index in rng.integers(0, len(parts), 60):
            np.testing.assert_array_equal(net.predict_proba(parts[index]), wanted[index])

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(predict, range(n_threads)))


def test_predictions_run_side_by_side(monkeypatch):
    """None waits for the other: each comes to the compiled program only when both are there."""
    net = network().build(20)
    net.predict(X[:7])
    both, run = threading.Barrier(2), CPU.execute

    def run_when_both_are_there(self, *arguments, **options):
        both.wait(timeout=30)
        return run(self, *arguments, **options)

    monkeypatch.setattr(CPU, "execute", run_when_both_are_there)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(net.predict, (X[:7], X[:7]))
    np.testing.assert_array_equal(one, other)


def test_predictions_beside_training_are_those_of_a_step():
    """Training keeps its bits, and who predicts meanwhile sees the parameters before a step or after it, never both."""
    steps, options = 150, {"batch_size": None, "optimizer": fn.Adam(0.01), **QUIET}
    alone = network(seed=1)
    alone.build(20)
    known = {alone.predict_proba(X).tobytes()}
    for epochs in range(1, steps + 1):
        alone.fit(X, Y, epochs=epochs, resume=epochs > 1, **options)
        known.add(alone.predict_proba(X).tobytes())
    net, seen, ends = network(seed=1).build(20), [], threading.Event()
    begun = threading.Barrier(4)

    def predict():
        begun.wait()
        while not ends.is_set():
            seen.append(net.predict_proba(X).tobytes())

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(predict) for _ in range(3)]
        begun.wait()
        try:
            net.fit(X, Y, epochs=steps, callbacks=[lambda *_: None], **options)
        finally:
            ends.set()
        for each in running:
            each.result()
    np.testing.assert_array_equal(net.buffer, alone.buffer)
    assert seen
    assert set(seen) <= known


def test_evaluation_and_gradients_beside_predictions():
    net = network().build(20)
    wanted = net.gradients(X, Y), net.evaluate(X, Y, metrics=["f1", "auc"]), net.predict_proba(X)

    def use(number):
        for _ in range(20):
            if number % 3 == 0:
                for name, gradient in net.gradients(X, Y).items():
                    np.testing.assert_array_equal(gradient, wanted[0][name])
            elif number % 3 == 1:
                assert net.evaluate(X, Y, metrics=["f1", "auc"]) == wanted[1]
            else:
                np.testing.assert_array_equal(net.predict_proba(X), wanted[2])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(use, range(6)))


@pytest.fixture
def trained_by_another_thread():
    """A network whose training waits in a callback, in a thread of its own, until the test has ended."""
    net, inside, go_on = network(), threading.Event(), threading.Event()

    def wait(epoch, history, network):
        inside.set()
        go_on.wait(timeout=60)
        return True

    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(net.fit, X, Y, callbacks=[wait], **QUIET)
        assert inside.wait(timeout=120)
        yield net
        go_on.set()
        training.result()
    net.fit(X, Y, epochs=1, **QUIET)  # it is free again


def test_what_would_disturb_a_training_is_refused(trained_by_another_thread, tmp_path):
    net = trained_by_another_thread
    refused = {
        "fit": lambda: net.fit(X, Y, **QUIET),
        "partial_fit": lambda: net.partial_fit(X, Y),
        "build": lambda: net.build(3),
        "another choice of trainable layers": lambda: net.freeze(1),
        "to": lambda: net.to("cpu"),
        "save with training=True": lambda: net.save(tmp_path / "net.safetensors", training=True),
        "a copy with the state of training": lambda: copy.deepcopy(net),
    }
    for what, call in refused.items():
        with pytest.raises(RuntimeError, match=f"{what} was asked for while this network is being trained .by another"):
            call()
    assert os.listdir(tmp_path) == []
    # What reads is right at any time.
    net.predict(X), net.evaluate(X, Y), net.gradients(X, Y), net.save(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(net.copy().buffer, net.buffer)
    net.take_parameters(net.copy())


def test_a_callback_may_do_what_does_not_disturb_its_training(tmp_path):
    told = []

    def look(epoch, history, net):
        for call in (lambda: net.fit(X, Y), lambda: net.partial_fit(X, Y), lambda: net.build(3)):
            with pytest.raises(RuntimeError, match="this thread, in a callback"):
                call()
        net.freeze(1) if epoch == 1 else net.unfreeze()
        net.to("cpu")
        net.save(tmp_path / "net.safetensors", training=True)
        told.append(pickle.loads(pickle.dumps(net)).training.history.epochs)

    net = network()
    net.fit(X, Y, epochs=3, callbacks=[look], **QUIET)
    assert told == [1, 2, 3]
    net.fit(X, Y, epochs=1, **QUIET)


def test_a_refused_or_broken_fit_frees_the_network():
    net = network()
    for bad in (
        lambda: net.fit(X, Y[:5], **QUIET),
        lambda: net.fit(X, Y, callbacks=[lambda *_: 1 / 0], **QUIET),
        lambda: net.partial_fit(X, ["a"] * 300),
    ):
        with pytest.raises((ValueError, ZeroDivisionError)):
            bad()
    net.fit(X, Y, epochs=1, **QUIET)


def test_a_claim_that_ends_meanwhile_lets_nobody_train_without_one(monkeypatch):
    """Whoever finds another's claim is refused, also if that one has ended a moment later."""
    net = network().build(20)
    claim = net.claim

    class Ends(threading.local):
        """A lock after which another thread's claim ends."""

        def __enter__(self):
            pass

        def __exit__(self, *error):
            if claim._holder is others:
                monkeypatch.setattr(claim, "_holder", None)

    others = type("Claim", (), {"is_alive": True, "is_own": False})()
    claim._holder, claim._lock = others, Ends()
    with pytest.raises(RuntimeError, match="fit was asked for"):
        net.fit(X, Y, **QUIET)


def test_what_was_begun_before_a_training_ends_before_it():
    """`build`, and whatever else would disturb a training, holds the claim while it lasts."""
    net, inside, go_on = network().build(20), threading.Event(), threading.Event()
    draw = net.draw_parameters

    def wait(n_inputs):
        inside.set()
        go_on.wait(timeout=60)
        draw(n_inputs)

    net.draw_parameters = wait
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(net.build, 20)
        inside.wait(timeout=60)
        with pytest.raises(RuntimeError, match="fit was asked for"):
            net.fit(X, Y, **QUIET)
        go_on.set()
        building.result()
    del net.draw_parameters
    net.fit(X, Y, epochs=1, **QUIET)


def test_files_that_are_saved_beside_a_training_are_of_a_step(tmp_path):
    options = {"batch_size": None, "optimizer": fn.Adam(0.01), **QUIET}
    alone, known = network(seed=1).build(20), set()
    alone.fit(X, Y, epochs=60, callbacks=[lambda *_: known.add(alone.buffer.tobytes())], **options)
    known.add(network(seed=1).build(20).buffer.tobytes())
    net, ends, begun = network(seed=1).build(20), threading.Event(), threading.Barrier(2)

    def save():
        begun.wait()
        found = []
        while not ends.is_set():
            net.save(tmp_path / "net.safetensors")
            found.append(fn.load(tmp_path / "net.safetensors").buffer.tobytes())
        return found

    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(save)
        begun.wait()
        try:
            net.fit(X, Y, epochs=60, callbacks=[lambda *_: None], **options)
        finally:
            ends.set()
        assert set(saving.result()) <= known


def test_samples_that_were_checked_for_another_network_never_run(monkeypatch):
    """The network is built anew by another thread, after the samples were checked and before they are used."""
    net, encoded = network().build(20), fn.Network.encoded

    def build_meanwhile(self, *arguments):
        found = encoded(self, *arguments)
        self.build(2000)
        return found

    monkeypatch.setattr(fn.Network, "encoded", build_meanwhile)
    for call in (net.gradients, net.evaluate, lambda X, y: net.training_cost(net.batches(X, y))):
        net.build(20)
        with pytest.raises(ValueError, match="has just been built for 2000 features"):
            call(X, Y)


HANDLER = """
import faulthandler, os, signal, sys, threading, time
faulthandler.dump_traceback_later(100, exit=True)
import numpy as np, fastnet as fn
X, y = np.random.default_rng(0).standard_normal((300, 20)).astype("f4"), np.arange(300) % 3
net, found = fn.Network([fn.Dense(40, "relu"), fn.Dense(3, "softmax")]).build(20), []
signal.signal(signal.SIGUSR1, lambda *_: found.append((net.copy().buffer.size, net.predict(X).size)))
begun = threading.Event()
def press():
    begun.wait()
    for count in range(20):
        os.kill(os.getpid(), signal.SIGUSR1)
        while len(found) <= count:
            time.sleep(0.001)
net.predict(X)
pressing = threading.Thread(target=press)
pressing.start()
net.fit(X, y, epochs=10**6, callbacks=[lambda *_: begun.set() or len(found) == 20], verbose=False)
pressing.join()
print(len(found))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no such signal")
def test_a_handler_of_a_signal_may_use_the_network():
    """It comes in the thread that trains, and may find it with all locks."""
    result = subprocess.run([sys.executable, "-c", HANDLER], capture_output=True, text=True, timeout=200)
    assert result.stdout == "20\n", result.stderr[-2000:]


def test_as_many_threads_as_there_may_be():
    """More of them than Python's calls may be deep."""
    pool, ends = ContextPool(lambda *_: 0, lambda *_: None), threading.Event()
    begun = threading.Semaphore(0)

    def read():
        with pool.reading():
            pass
        begun.release()
        ends.wait(timeout=60)

    threads = [threading.Thread(target=read) for _ in range(1200)]
    for thread in threads:
        thread.start()
    for _ in threads:
        begun.acquire(timeout=60)
    assert pool.alone(lambda: 7) == 7
    ends.set()
    for thread in threads:
        thread.join()


def test_readers_in_a_loop_do_not_keep_a_writer_waiting():
    """Each lets whoever waits go first, but for what it has begun to read."""
    pool, ends = ContextPool(lambda *_: 0, lambda *_: None), threading.Event()

    def read():
        while not ends.is_set():
            with pool.reading(), pool.reading():
                time.sleep(0.001)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        pool.alone(lambda: None)
    ends.set()
    for thread in threads:
        thread.join()


def test_one_thread_of_many_trains():
    """Of several that train one network at once, one does, and the others are told."""
    net, found, begun = network().build(20), [], threading.Barrier(4)

    def train():
        begun.wait()
        try:
            net.fit(X, Y, epochs=30, callbacks=[lambda *_: None], **QUIET)
            found.append("trained")
        except RuntimeError:
            found.append("refused")

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(train) for _ in range(4)]:
            each.result()
    assert found.count("trained") >= 1
    twin = network().build(20)
    for _ in range(found.count("trained")):
        twin.fit(X, Y, epochs=30, **QUIET)
    np.testing.assert_array_equal(net.buffer, twin.buffer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_can_use_what_others_held():
    """The fork comes while another thread has the locks: in the child it does not exist."""
    pool, inside, go_on = ContextPool(lambda *_: 0, lambda *_: None), threading.Event(), threading.Event()

    def hold():
        inside.set()
        go_on.wait(timeout=60)

    thread = threading.Thread(target=pool.alone, args=(hold,))
    thread.start()
    inside.wait(timeout=60)
    child = os.fork()
    if child == 0:
        pool.alone(lambda: None)
        os._exit(7)
    go_on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_who_waits_to_read_gets_its_turn():
    """`alone` waits for those who read, and they for it."""
    pool, order = ContextPool(lambda *_: 0, lambda *_: None), []
    reading, writing = threading.Event(), threading.Event()

    def read():
        with pool.reading():
            with pool.reading():  # once more by the same thread
                reading.set()
            writing.wait(timeout=0.05)
            order.append("read")

    thread = threading.Thread(target=read)
    thread.start()
    reading.wait(timeout=60)
    pool.alone(lambda: order.append("alone"))
    thread.join()
    assert order == ["read", "alone"]
