"""Whole trainings against peers: everyone does the same work, and who does not is void."""

from typing import ClassVar

import numpy as np
import pytest

from fastnet.benchmarks import race, tables
from fastnet.benchmarks.convolutional import Conv, Pool
from fastnet.benchmarks.peers import PEERS, Peer, peer_class
from fastnet.benchmarks.race import best_ratios, compare_peers, geometric_mean
from fastnet.benchmarks.recurrent import Recurrence
from fastnet.benchmarks.workloads import (
    CONVOLUTIONS,
    FITS,
    GROUPS,
    INFERENCES,
    OPTIMIZED,
    SEQUENCES,
    WORKLOADS,
    Workload,
    convolutional,
    find_workload,
    group_of,
    random_workload,
    recurrent,
)

SMALL = [
    Workload("yes or no", (12, 5, 1), 8, 5, 3, 0.1),
    Workload("classes", (12, 9, 6, 4), 10, 4, 3, 0.1),
    Workload("flower", (2, 4, 1), 40, 1, 3, 0.5, hidden="tanh"),
    Workload("online", (6, 3, 1), 1, 20, 2, 0.05),
    Workload("Adam", (12, 9, 4), 10, 4, 3, 0.01, optimizer="adam", samples=37),
    Workload("Adam, yes or no", (6, 5, 1), 30, 1, 3, 0.01, optimizer="adam"),
    Workload("momentum", (12, 9, 4), 10, 4, 3, 0.05, optimizer="momentum"),
    Workload("AdamW", (12, 9, 4), 10, 4, 3, 0.01, optimizer="adamw"),
    Workload("normalised", (12, 9, 7, 4), 10, 4, 3, 0.1, regularisation="batch_norm"),
    convolutional("images", (9, 8, 2), (Conv(3, 3, 1), Pool(2), Conv(4, 2, 0), Pool(2)), (5, 3), 8, 4, 2),
    convolutional("signals", (13, 2), (Conv(3, 3, 1), Pool(2)), (1,), 8, 4, 2),
    recurrent("plain units", (6, 3), Recurrence("rnn", 5), 1, 8, 4, 2),
    recurrent("LSTM", (5, 3), Recurrence("lstm", 4), 3, 8, 4, 2),
    recurrent("answers at steps", (6, 4), Recurrence("gru", 5, all_steps=True), 4, 8, 4, 2),
]


def available(name):
    try:
        peer = peer_class(name)
        peer.version()
        return peer
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{name} is not there: {error}")


def marks_of(name, workload):
    """JAX compiles scans within scans for seconds."""
    is_slow = "compiled" in name or ("JAX" in name and workload.network == "recurrent")
    return pytest.mark.gpu if "CUDA" in name else pytest.mark.slow if is_slow else ()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "workload"),
    [
        pytest.param(name, workload, marks=marks_of(name, workload), id=f"{name}-{workload.name}")
        for name in PEERS
        for workload in SMALL
        if name not in ("fastnet", "ONNX Runtime")
    ],
)
def test_peer_trains_as_fastnet_does(name, workload, dtype):
    if name == "PyTorch compiled" and workload.name not in ("classes", "images", "answers at steps"):
        return  # compiling takes long; the step is the same code for all workloads
    peer = available(name)
    if workload.optimizer not in peer.optimizers or workload.network not in peer.networks:
        return
    if workload.regularisation and workload.regularisation not in peer.regularisations:
        return
    X, y = workload.data(dtype)
    weights = workload.weights(dtype)
    found = []
    for contestant in (peer(workload, dtype), peer_class("fastnet")(workload, dtype)):
        contestant.load(X, y)
        contestant.reset(weights)
        contestant.train(1)
        contestant.reset(weights)  # a second run starts where the first one did
        contestant.train(workload.epochs)
        found.append((contestant.weights(), np.asarray(contestant.predict()).reshape(len(X), -1)))
    tolerance = 1e-9 if dtype == "float64" else 1e-4
    if (name, workload.optimizer) == ("scikit-learn", "adam"):
        tolerance = 2e-3  # it adds epsilon to a mean square that is not corrected yet, which counts in the first steps
    for (W, b), (W_ours, b_ours) in zip(found[0][0], found[1][0], strict=True):
        assert np.abs(W - weights[0][0].mean()).max() > 0
        np.testing.assert_allclose(W, W_ours, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(b, b_ours, rtol=tolerance, atol=tolerance)
    probabilities = found[0][1][:, -found[1][1].shape[1] :]  # scikit-learn gives two columns for yes or no
    np.testing.assert_allclose(probabilities, found[1][1], rtol=tolerance, atol=tolerance)
    assert workload.cost(found[1][0], X, y) < workload.cost(weights, X, y)


@pytest.mark.parametrize("name", ["classes", "images", "signals", "plain units", "LSTM", "answers at steps"])
def test_onnx_runtime_predicts_as_fastnet_does(name):
    workload = next(each for each in SMALL if each.name == name)
    X, y = workload.data()
    found = []
    for peer in (available("ONNX Runtime")(workload, "float32"), peer_class("fastnet")(workload, "float32")):
        peer.load(X, y)
        peer.reset(workload.weights())
        found.append(np.asarray(peer.predict()).reshape(len(X), -1))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("name", ["fastnet", "PyTorch", pytest.param("JAX", marks=pytest.mark.slow), "ONNX Runtime"])
def test_states_go_on_from_call_to_call(name, kind):
    step = recurrent("step", (1, 3), Recurrence(kind, 4), 1, 2, 1, 1)
    X, y = step.data()
    weights = step.weights()
    peer = available(name)(step, "float32")
    peer.load(X, y)
    peer.reset(weights)
    found = [np.array(peer.advance()).ravel() for _ in range(3)]  # copies: some write the next ones there
    peer.reset(weights)
    assert np.array_equal(np.asarray(peer.advance()).ravel(), found[0])
    h = Recurrence(kind, 4, all_steps=True).states(weights[0], np.repeat(X, 3, axis=1))
    W, b = weights[1]
    expected = 1 / (1 + np.exp(-(h @ W.T + b)))
    np.testing.assert_allclose(np.transpose(found), expected[..., 0], rtol=1e-5)


def test_the_judge_computes_the_cost_that_fastnet_reports():
    for workload in SMALL:
        if workload.regularisation:
            continue  # in evaluation there are other statistics
        X, y = workload.data("float64")
        peer = peer_class("fastnet")(workload, "float64")
        peer.load(X, y)
        peer.reset(workload.weights("float64"))
        assert workload.cost(peer.weights(), X, y) == pytest.approx(peer.net.evaluate(X, y)["cost"], rel=1e-12)


@pytest.mark.parametrize("name", ["PyTorch", "JAX"])
def test_with_dropout_everybody_learns_about_as_much(name):
    peer, costs = available(name), []
    workload = Workload("dropout", (12, 40, 4), 20, 20, 20, 0.01, optimizer="adam", regularisation="dropout")
    X, y = workload.data()
    for contestant in (peer(workload, "float32"), peer_class("fastnet")(workload, "float32")):
        contestant.load(X, y)
        contestant.reset(workload.weights())
        contestant.train(workload.epochs)
        costs.append(workload.cost(contestant.weights(), X, y))
    assert costs[0] == pytest.approx(costs[1], rel=0.3)
    assert max(costs) < 0.5 * workload.cost(workload.weights(), X, y)


def test_work_of_a_step():
    mnist = WORKLOADS["mnist"]
    assert mnist.flops == 2 * 128 * (2 * 784 * 128 + 3 * 128 * 10)
    assert WORKLOADS["logistic"].flops == 2 * 209 * 2 * 12288
    tiny = CONVOLUTIONS["tiny8"]
    assert tiny.flops == 2 * 32 * (2 * 64 * 9 * 8 + 3 * 128 * 10)
    assert tiny.bytes() == 4 * (32 * 64 + 2 * (9 * 8 + 128 * 10))
    assert tiny.label == "tiny8 8x8x1-8-10, batch 32"
    rnn, characters = SEQUENCES["rnn"], SEQUENCES["gruchar"]
    assert rnn.flops == 2 * 32 * (50 * 32 * (2 * 8 + 3 * 32) + 3 * 32)
    assert characters.flops == 2 * 32 * 100 * (3 * 256 * (2 * 64 + 3 * 256) + 3 * 256 * 64)
    assert characters.n_weights == 3 * 256 * (64 + 256) + 256 * 64
    assert rnn.label == "rnn 50x8-32-1, batch 32"


def test_random_workloads_are_the_same_for_each_number():
    found = [find_workload(f"random-{number}") for number in range(60)]
    assert found == [random_workload(number) for number in range(60)]
    assert len(set(found)) == 60
    depths, batches = {len(workload.sizes) - 1 for workload in found}, {workload.batch_size for workload in found}
    assert {1, 2, 20} <= depths
    assert {1, 7, 50, 1000} <= batches
    assert all(workload.epochs >= 1 and workload.batches >= 1 for workload in found)
    assert find_workload("mnist") is WORKLOADS["mnist"]
    for name in ("random-", "random-x", "random--1", "12"):
        assert find_workload(name) is None


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.gpu if "CUDA" in name else ()) for name in PEERS]
)
def test_who_has_adam_fits_as_well(name):
    peer = available(name)
    if "dense" not in peer.networks:
        return
    if "adam" not in peer.optimizers:
        assert name in ("NumPy", "PyTorch compiled", "JAX steps", "ONNX Runtime", "PyTorch CUDA graph")
        return
    workload = FITS["fit-cancer"]
    X, y = workload.data()
    costs = []
    contestant = peer(workload, "float32")
    contestant.load(X, y)
    for _ in range(2):
        contestant.fit()
        costs.append(workload.cost(contestant.weights(), X, y))
    # From the same weights in the same order; one epoch is 0.01.
    ours = peer_class("fastnet")(workload, "float32")
    ours.load(X, y)
    ours.reset(workload.weights())
    ours.train(workload.epochs)
    usual = workload.cost(ours.weights(), X, y)
    assert costs == pytest.approx([usual] * 2, rel=0.2)
    assert workload.cost(workload.weights(), X, y) > 1.2 * usual


def test_groups_of_workloads():
    assert {name: group for group, members in GROUPS.items() for name in members} == {
        name: group_of(name) for name in (*WORKLOADS, *CONVOLUTIONS, *SEQUENCES, *OPTIMIZED, *FITS, *INFERENCES)
    }
    assert group_of("random-3") == "trainings"
    assert find_workload("fit-digits") is FITS["fit-digits"]
    for workload in FITS.values():
        X, y = workload.data()
        assert X.shape == (workload.m, workload.sizes[0])
        assert y.shape == (workload.m,)
        assert set(y) == set(range(max(2, workload.sizes[-1])))
        assert -(-workload.m // workload.batch_size) == workload.batches
        assert (workload.optimizer, workload.batch_size, workload.epochs) == ("adam", 200, 20)


class Stub:
    """A worker that answers what it is made with."""

    def __init__(self, name, cost, own_cost, optimizers=("sgd", "adam"), networks=("dense",), regularisations=()):
        self.name, self.process, self.asked = name, self, []
        self.costs = {"prepare_fit": cost, "run_fit": own_cost, "prepare_training": None, "run_training": cost}
        self.about = {
            "version": name,
            "optimizers": optimizers,
            "networks": networks,
            "regularisations": regularisations,
        }

    def poll(self):
        return None

    def do(self, command, **arguments):
        self.asked.append(command)
        return {"cost": self.costs[command], "seconds": 0.5}


def test_fits_are_judged_twice(monkeypatch):
    """By their own costs, and by those from the same weights in the same order."""
    monkeypatch.setattr(race, "_REST", 0)
    workers = [
        Stub("fastnet", 1.0, 1.0),
        Stub("other weights", 1.01, 1.2),
        Stub("fewer epochs", 1.0, 1.6),
        Stub("another optimizer", 1.03, 1.0),
        Stub("without Adam", 1.0, 1.0, optimizers=("sgd",)),
        Stub("for images", 1.0, 1.0, networks=("convolutional",)),
    ]
    told = []
    records = race._race("fit-digits", workers, 1, "float32", 2, told.append)
    assert {record["peer"]: record["agrees"] for record in records} == {
        "fastnet": True,
        "other weights": True,
        "fewer epochs": False,
        "another optimizer": False,
    }
    assert [record["ratio"] for record in records] == [1, 1, None, None]
    assert {(record["group"], record["seconds"]) for record in records} == {("fits", 0.5)}
    assert workers[0].asked == ["prepare_fit", "run_fit", "run_fit"]
    assert [workers[-2].asked, workers[-1].asked] == [[], []]
    trained = race._race("mnist", workers, 1, "float32", 1, told.append)
    assert {record["peer"]: record["agrees"] for record in trained}["other weights"] is False
    assert len(trained) == 5


def test_a_peer_that_fits_nothing_says_so():
    assert Peer.optimizers == ("sgd",)
    with pytest.raises(NotImplementedError, match="NumpyPeer fits nothing"):
        peer_class("NumPy")(FITS["fit-digits"], "float32").fit()


@pytest.mark.slow  # a process for each contestant
def test_a_race_of_fits():
    available("scikit-learn")
    told = []
    records = compare_peers(["fits"], ["scikit-learn", "NumPy"], rounds=1, threads=[1, 10_000], progress=told.append)
    assert [(record["workload"], record["peer"]) for record in records] == [
        (name, peer) for name in FITS for peer in ("fastnet", "scikit-learn")
    ]
    assert all(record["agrees"] for record in records)
    assert "threads=10000: left out" in told[0]
    assert "ms a fit, 1 thread" in tables.peers_text(records)


@pytest.mark.slow  # a process for each contestant
def test_a_race():
    told = []
    records = compare_peers(["planar", "one sample"], ["NumPy"], rounds=2, progress=told.append)
    assert [(record["workload"], record["peer"]) for record in records] == [
        (name, peer) for name in ("planar", "one sample") for peer in ("fastnet", "NumPy")
    ]
    for record in records:
        assert record["agrees"]
        assert 0 < record["low"] <= record["seconds"] <= record["high"]
    assert records[0]["ratio"] == 1
    assert records[0]["cost"] < np.log(2)
    assert told == ["planar, 1 thread", "one sample, 1 thread"]
    text = tables.peers_text(records)
    assert "planar 2-4-1, batch 400" in text
    assert "inference, one sample" in text
    assert "geometric mean" in text


def test_a_peer_that_is_missing_is_left_out(monkeypatch):
    monkeypatch.setitem(PEERS, "Nothing", ("nothing_at_all", "Peer", "nothing"))
    told = []
    records = compare_peers(["planar"], ["Nothing"], rounds=1, progress=told.append)
    assert {record["peer"] for record in records} == {"fastnet"}
    assert "Nothing is left out" in told[0]


def test_who_does_not_answer_is_left_out():
    told = []
    with race._workers(["NumPy"], 1, "float32", told.append, 0.01) as workers:
        assert workers == []
    assert told == ["NumPy is left out: it did not answer within 0.01 s (it needs numpy)"]


class Contestant:
    """A worker that ends at its command of some number."""

    about: ClassVar = {"optimizers": ("sgd",), "networks": ("dense",), "regularisations": (), "version": "1"}

    def __init__(self, name, last):
        self.name, self.left, self.has_ended = name, last, False

    def do(self, command, **_):
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("out of memory")
        return {"seconds": 2.0, "cost": 1.0}

    def end(self):
        self.has_ended = True


@pytest.mark.parametrize("last", [1, 2, 3])
def test_who_ends_on_the_way_leaves_the_others_their_race(last, monkeypatch):
    monkeypatch.setattr(race, "_REST", 0)
    told, workers = [], [Contestant("fastnet", 9), Contestant("weak", last)]
    weak = workers[1]
    records = race._race("planar", workers, 1, "float32", 2, told.append)
    assert [(record["peer"], record["ratio"]) for record in records] == [("fastnet", 1)]
    assert told == ["weak is left out of planar and what follows: out of memory"]
    assert [worker.name for worker in workers] == ["fastnet"]
    assert weak.has_ended
    assert race._race("planar", [Contestant("weak", last)], 1, "float32", 2, told.append) == []


def record(workload, peer, seconds, *, agrees=True, threads=1):
    return {
        "workload": workload,
        "group": group_of(workload),
        "peer": peer,
        "threads": threads,
        "seconds": seconds,
        "low": seconds,
        "high": seconds,
        "ratio": seconds / 1e-3 if agrees else None,
        "agrees": agrees,
    }


def test_who_does_not_agree_is_void():
    records = [
        record("mnist", "fastnet", 1e-3),
        record("mnist", "fast but wrong", 1e-4, agrees=False),
        record("mnist", "slow", 3e-3),
        record("mnist", "slower", 4e-3),
        record("wide", "fastnet", 1e-3),
        record("wide", "slow", 12e-3),
    ]
    assert best_ratios(records, 1) == pytest.approx({"mnist": 3, "wide": 12})
    assert geometric_mean([3, 12]) == pytest.approx(6)
    text = tables.peers_text(records)
    assert "void" in text
    assert "6.00x" in text


def test_steps_and_fits_have_tables_of_their_own():
    records = [
        *(record("mnist", "fastnet", 1e-3), record("mnist", "slow", 2e-3)),
        *(record("one sample", "fastnet", 1e-5), record("one sample", "slow", 2e-5)),
        *(record("lenet", "fastnet", 1e-3), record("lenet", "slow", 3e-3)),
        *(record("cnn32, one image", "fastnet", 1e-5), record("cnn32, one image", "slow", 2e-5)),
        *(record("gruchar", "fastnet", 1e-3), record("gruchar", "slow", 3e-3)),
        *(record("gru, one step", "fastnet", 1e-5), record("gru, one step", "slow", 2e-5)),
        *(record("fit-cancer", "fastnet", 5e-3), record("fit-cancer", "slow", 15e-3)),
    ]
    steps, images, sequences, fits = tables.peers_text(records).split("\n\n")
    assert steps.startswith("us a step, 1 thread")
    assert "lenet 28x28x1-6-16-120-84-10, batch 64" in images
    assert "inference, cnn32, one image" in images
    assert "gruchar 100x64-256-64, batch 32" in sequences
    assert "inference, gru, one step" in sequences
    assert "over fastnet's, training: 3.00x" in images
    assert fits.startswith("ms a fit, 1 thread")
    assert "fit-cancer 30-100-1, batch 200  5.0 ±0.0  15.0 ±0.0" in fits
    assert "over fastnet's, training: 2.00x" in steps
    assert "over fastnet's, fits: 15.00x" in fits
