"""Whole trainings against peers: everyone does the same work, and who does not is void."""

from typing import ClassVar

import numpy as np
import pytest

from fastnet.benchmarks import race, tables
from fastnet.benchmarks.peers import PEERS, peer_class
from fastnet.benchmarks.race import best_ratios, compare_peers, geometric_mean
from fastnet.benchmarks.workloads import WORKLOADS, Workload, find_workload, random_workload

SMALL = [
    Workload("yes or no", (12, 5, 1), 8, 5, 3, 0.1),
    Workload("classes", (12, 9, 6, 4), 10, 4, 3, 0.1),
    Workload("flower", (2, 4, 1), 40, 1, 3, 0.5, hidden="tanh"),
    Workload("online", (6, 3, 1), 1, 20, 2, 0.05),
]


def available(name):
    try:
        peer = peer_class(name)
        peer.version()
        return peer
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{name} is not there: {error}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("workload", SMALL, ids=lambda workload: workload.name)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.gpu if "CUDA" in name else pytest.mark.slow if "compiled" in name else ())
        for name in PEERS
        if name not in ("fastnet", "ONNX Runtime")
    ],
)
def test_peer_trains_as_fastnet_does(name, workload, dtype):
    if name == "PyTorch compiled" and workload.name != "classes":
        return  # compiling takes long; the step is the same code for all workloads
    X, y = workload.data(dtype)
    weights = workload.weights(dtype)
    found = []
    for peer in (available(name)(workload, dtype), peer_class("fastnet")(workload, dtype)):
        peer.load(X, y)
        peer.reset(weights)
        peer.train(1)
        peer.reset(weights)  # a second run starts where the first one did
        peer.train(workload.epochs)
        found.append((peer.weights(), np.asarray(peer.predict()).reshape(len(X), -1)))
    tolerance = 1e-9 if dtype == "float64" else 1e-4
    for (W, b), (W_ours, b_ours) in zip(found[0][0], found[1][0], strict=True):
        assert np.abs(W - weights[0][0].mean()).max() > 0
        np.testing.assert_allclose(W, W_ours, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(b, b_ours, rtol=tolerance, atol=tolerance)
    probabilities = found[0][1][:, -found[1][1].shape[1] :]  # scikit-learn gives two columns for yes or no
    np.testing.assert_allclose(probabilities, found[1][1], rtol=tolerance, atol=tolerance)
    assert workload.cost(found[1][0], X, y) < workload.cost(weights, X, y)


def test_onnx_runtime_predicts_as_fastnet_does():
    workload = SMALL[1]
    X, y = workload.data()
    found = []
    for peer in (available("ONNX Runtime")(workload, "float32"), peer_class("fastnet")(workload, "float32")):
        peer.load(X, y)
        peer.reset(workload.weights())
        found.append(peer.predict())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_the_judge_computes_the_cost_that_fastnet_reports():
    for workload in SMALL:
        X, y = workload.data("float64")
        peer = peer_class("fastnet")(workload, "float64")
        peer.load(X, y)
        peer.reset(workload.weights("float64"))
        assert workload.cost(peer.weights(), X, y) == pytest.approx(peer.net.evaluate(X, y)["cost"], rel=1e-12)


def test_work_of_a_step():
    mnist = WORKLOADS["mnist"]
    assert mnist.flops == 2 * 128 * (2 * 784 * 128 + 3 * 128 * 10)
    assert WORKLOADS["logistic"].flops == 2 * 209 * 2 * 12288


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

    about: ClassVar = {"trains": True, "version": "1"}

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
