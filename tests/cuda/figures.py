"""The code that takes the figures of a GPU, with little to do. `test_cuda.py` runs this file in Numba's simulator, in a
process of its own: what is measured there means nothing.
"""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from fastnet.benchmarks import gpu
from fastnet.benchmarks.journal import Journal, read
from fastnet.benchmarks.peers import PEERS


@pytest.fixture
def fill(tmp_path):
    """Measure one part, and give what the journal has of it."""

    def filled(part):
        journal = Journal(tmp_path / "a.json", part.__name__, 60)
        try:
            part(journal)
        finally:
            journal.close()
        return read(tmp_path / "a.json")[part.__name__]

    return filled


def test_the_simulator_is_no_gpu(fill):
    assert fill(gpu.gpu)["records"] == [{"gpu": "Numba's simulator", "is_simulated": True}]


def test_limits(fill, monkeypatch):
    monkeypatch.setattr(gpu, "gpu_peak_flops", {"float32": 6e12, "float64": 3e12}.__getitem__)
    monkeypatch.setattr(gpu, "gpu_bandwidth", lambda: 2e9)
    assert fill(gpu.limits)["records"] == [{"tflops": {"float32": 6, "float64": 3}, "gbytes": 2}]


def test_kernels_go_on_behind_one_that_fails(fill, monkeypatch):
    shapes = {"dense_forward": (3, 4, 2), "cross_entropy": (3, 4), "nothing": (3,), "sgd": (5,)}
    monkeypatch.setattr(gpu, "_KERNELS", shapes)
    monkeypatch.setattr(gpu, "_SMALL", (2, 2, 2))
    for _ in gpu.DTYPES:
        with pytest.raises(KeyError):
            fill(gpu.kernels)
    found = fill(gpu.kernels)
    assert found["ended"] == {
        f"{name} {dtype}": "failed" if name == "nothing" else "passed" for name in shapes for dtype in gpu.DTYPES
    }
    assert found["errors"]["nothing float32"] == "KeyError: 'nothing'"
    for record in found["records"]:
        assert ("tflops" if record["kernel"] == "dense_forward" else "gbytes") in record
        assert record["microseconds_a_call"] > 0
    assert len(found["records"]) == 6


def test_products(fill, monkeypatch):
    monkeypatch.setattr(gpu, "_SIDES", (3, 4))
    found = fill(gpu.products)
    assert {(record["dtype"], record["side"]) for record in found["records"]} == {
        (dtype, side) for dtype in gpu.DTYPES for side in (3, 4)
    }


def test_trainings(fill, monkeypatch):
    monkeypatch.setitem(PEERS, "Nothing", ("nothing_at_all", "Peer", "nothing"))
    monkeypatch.setattr(gpu, "_PEERS", ("NumPy", "Nothing"))
    monkeypatch.setattr(gpu, "_WORKLOADS", ("planar",))
    found = fill(gpu.trainings)
    assert [(record["workload"], record["peer"]) for record in found["records"]] == [("planar", "NumPy")]
    assert found["notes"] == ["Nothing is left out: KeyError: 'Nothing' (it needs nothing)"]


def test_the_rest_of_the_trainings_is_for_another_process_if_fastnet_hangs(fill, monkeypatch):
    def lost(name, workers, *_):
        if name == "wide":
            workers.clear()
        return [{"workload": name}]

    monkeypatch.setattr(gpu, "_workers", lambda names, *_: nullcontext([SimpleNamespace(name=names[0])]))
    monkeypatch.setattr(gpu, "_race", lost)
    with pytest.raises(SystemExit, match="start again"):
        fill(gpu.trainings)
    found = fill(gpu.trainings)
    assert found["planned"] == len(found["ended"]) == len(gpu._WORKLOADS)
    assert [record["workload"] for record in found["records"]] == list(gpu._WORKLOADS)
