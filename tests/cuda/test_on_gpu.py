"""The run of all tests and figures on a GPU, without one: what hangs is cut, and whatever was measured is shown."""

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastnet.benchmarks.gpu_tables import all_passed, summary
from fastnet.benchmarks.journal import Journal, read

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def on_gpu():
    spec = importlib.util.spec_from_file_location("on_gpu", HERE / "on_gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results.json"


ITEMS = """
import ctypes, os, sys
from pathlib import Path
from fastnet.benchmarks.journal import Journal

journal = Journal(Path(sys.argv[1]), "part", 2)
for item in journal.plan("abcdef"):
    with journal.trying(item) as records:
        if item == "b":
            ctypes.PyDLL(None).sleep(100)  # no other thread of Python runs meanwhile
        if item == "c":
            os._exit(0)
        if item == "d":
            raise ValueError("not so")
        records.append({"item": item})
"""


def test_a_part_goes_on_behind_what_hangs_crashes_or_fails(on_gpu, results):
    on_gpu.run("this", [on_gpu.Part(results, "part", "-c", ITEMS, results)], 30)
    part = read(results)["part"]
    assert part["ended"] == {"a": "passed", "b": "hung", "c": "hung", "d": "failed", "e": "passed", "f": "passed"}
    assert part["errors"]["d"] == "ValueError: not so"
    assert part["records"] == [{"item": item} for item in "aef"]
    assert 'File "<string>", line 10 in <module>' in (results.parent / "log.txt").read_text()


CHILD = """
import subprocess, sys, time
from pathlib import Path

child = subprocess.Popen(["sleep", "100"])
Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize(("seconds", "ends"), [(0, "done"), (100, "out of time")])
def test_no_process_outlives_its_part(seconds, ends, on_gpu, results, capsys):
    start = time.monotonic()
    pid = results.parent / "pid"
    on_gpu.run("this", [on_gpu.Part(results, "part", "-c", CHILD, pid, seconds)], 1)
    assert time.monotonic() - start < 5
    assert f"this: {ends}" in capsys.readouterr().out
    # Killed; the process that would ask how it ended is gone, too.
    status = Path(f"/proc/{pid.read_text()}/stat")
    for _ in range(100):
        if not status.exists() or ") Z " in status.read_text():
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child is alive")


def test_a_part_that_cannot_begin_is_not_tried_for_ever(on_gpu, results):
    on_gpu.run("this", [on_gpu.Part(results, "part", "-c", "raise SystemExit('no')", results)], 30)
    assert read(results) == {"part": {}}
    assert "part: it did not begin" in summary(read(results))


def test_when_all_time_is_over_nothing_begins(on_gpu, results, monkeypatch):
    monkeypatch.setattr(on_gpu, "START", time.monotonic() - on_gpu.MOST_SECONDS)
    on_gpu.run("this", [on_gpu.Part(results, "part", "-c", "1", results)], 30)
    assert not (results.parent / "log.txt").exists()


TESTS = """
import time
import pytest

@pytest.mark.parametrize("number", range(4))
def test_well(number):
    pass

def test_hanging():
    time.sleep(100)

def test_failing():
    assert 1 == 2

@pytest.mark.skip
def test_skipped():
    pass

def test_context():
    raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")

@pytest.fixture
def broken():
    yield
    raise ValueError("at the end")

def test_broken(broken):
    pass
"""


def test_tests_are_recorded_one_by_one(on_gpu, results):
    (results.parent / "test_them.py").write_text(TESTS)
    parts = []
    for number in range(2):
        section = f"tests them, {number + 1} of 2"
        arguments = (HERE / "recorded.py", results, section, number, 2, 2, results.parent / "test_them.py")
        parts.append(on_gpu.Part(results, section, *arguments))
    on_gpu.run("this", parts, 60)
    sections = read(results)
    ended = {
        name.split("::")[1]: outcome for section in sections.values() for name, outcome in section["ended"].items()
    }
    others = {"hanging": "hung", "failing": "failed", "skipped": "skipped", "context": "failed", "broken": "failed"}
    assert ended == {
        **{f"test_well[{number}]": "passed" for number in range(4)},
        **{f"test_{name}": outcome for name, outcome in others.items()},
    }
    text = summary(sections)
    assert "them        4       3     1        1        0" in text
    assert "test_them.py::test_failing failed: assert 1 == 2" in text
    assert "ValueError: at the end" in text
    assert not all_passed(sections)
    assert "the GPU's context cannot be used" in (results.parent / "log.txt").read_text()


def section(*passed, planned=None, **others):
    return {"planned": planned or len(passed), "ended": dict.fromkeys(passed, "passed"), **others}


def test_tests_have_passed_if_all_did():
    good = {"tests kernels": section("a", "b"), "tests networks": section("c"), "kernels": {}}
    assert all_passed(good)
    assert not all_passed({})
    assert not all_passed({"kernels": section("relu float32")})
    for bad in ({}, section("c", planned=2), {"planned": 1, "ended": {"c": "hung"}}):
        assert not all_passed({**good, "tests networks": bad})


def training(workload, peer, seconds, agrees=True):
    return {"workload": workload, "peer": peer, "seconds": seconds, "agrees": agrees}


def test_the_tables_say_what_there_is(results):
    limits = {"tflops": {"float32": 60.0, "float64": 30.0}, "gbytes": 3000.0}
    kernels = [
        {"kernel": "dense_forward", "dtype": "float32", "tflops": 45.0, "microseconds_a_call": 20.0},
        {"kernel": "relu", "dtype": "float32", "gbytes": 2400, "microseconds_a_call": 13.5},
        {"kernel": "relu", "dtype": "float64", "gbytes": 2700, "microseconds_a_call": 14.0},
    ]
    products = [
        {"dtype": "float32", "side": 512, "who": "fastnet", "tflops": 10.0},
        {"dtype": "float32", "side": 512, "who": "cuBLAS", "tflops": 8.0},
        {"dtype": "float64", "side": 512, "who": "fastnet", "tflops": 15.0},
    ]
    trainings = [
        training("mnist", "fastnet CUDA", 90e-6),
        training("mnist", "PyTorch CUDA graph", 120e-6),
        training("mnist", "JAX CUDA", 24e-6, agrees=False),
        training("wide", "fastnet CUDA", 376e-6),
    ]
    sections = {
        "gpu": section("gpu", records=[{"gpu": "A"}]),
        "tests kernels, 1 of 2": section("a", "b"),
        "tests kernels, 2 of 2": section("c", planned=4),
        "tests networks, 1 of 1": {},
        "limits": section("peaks", records=[limits]),
        "kernels": section("relu float32", records=kernels),
        "products": section("float32 512", records=products),
        "trainings": section("mnist", "wide", planned=6, records=trainings, notes=["JAX is left out"]),
    }
    text = summary(sections)
    lines = [line.split() for line in text.splitlines()]
    for expected in (
        "JAX is left out",
        "tests kernels, 2 of 2: 3 of 4 not done",
        "tests networks, 1 of 1: it did not begin",
        "trainings: 4 of 6 not done",
        "kernels 3 0 0 0 3",
        "networks 0 0 0 0 ?",
        "dense_forward multiply-adds 45 TFLOP/s 75% 20 - - -",
        "relu copy bandwidth 2400 GB/s 80% 13.5 2700 GB/s 90% 14",
        "float32 512 10 17% 8 1.25",
        "float64 512 15 50% - -",
        "mnist 90.0 120 1.33 void -",
        "wide 376 - - - -",
    ):
        assert expected.split() in lines, text
    # Whatever is missing, the rest is shown.
    for name in sections:
        assert summary({other: found for other, found in sections.items() if other != name})
    assert summary({}) == ""
    del sections["limits"]
    assert "2400 GB/s         -" in summary(sections)


def test_a_run_that_is_ended_shows_what_it_has(results):
    process = subprocess.Popen(
        [sys.executable, HERE / "on_gpu.py", results.parent], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    for _ in range(600):
        if "gpu" in read(results):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ended by SIGTERM" in out
    assert "tests kernels, 1 of" in out
    assert (results.parent / "summary.txt").read_text() in out


def test_an_error_of_the_run_itself_leaves_the_tables(on_gpu, results, monkeypatch, capsys):
    def broken(path):
        on_gpu.Part(path, "tests kernels, 1 of 1")
        raise OSError("no space left")

    monkeypatch.setattr(on_gpu, "SIGNALS", ())
    monkeypatch.setattr(on_gpu, "run_all", broken)
    monkeypatch.setattr(on_gpu.sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    assert on_gpu.main(results.parent) == 1
    assert "tests kernels, 1 of 1: it did not begin" in (results.parent / "summary.txt").read_text()
    assert "OSError: no space left" in capsys.readouterr().err


def test_the_file_is_whole_while_several_write(results):
    code = (
        "import sys; from pathlib import Path; from fastnet.benchmarks.journal import Journal;"
        "journal = Journal(Path(sys.argv[1]), sys.argv[2], 60);"
        "[journal.end(str(item), 'passed') for item in range(50)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, results, name]) for name in "ab"]
    while any(writer.poll() is None for writer in writers):
        read(results)
    assert {name: len(found["ended"]) for name, found in read(results).items()} == {"a": 50, "b": 50}
    assert json.loads(results.read_text()) == read(results)
    assert [path.name for path in results.parent.iterdir()] == ["results.json"]


def test_a_journal_is_about_one_section(results):
    for name in ("a", "b"):
        journal = Journal(results, name, 60)
        assert journal.plan(["x", "y"]) == ["x", "y"]
        journal.start("x")
        journal.end("x", "failed", "why")
        assert journal.plan(["x", "y", "z"]) == ["y", "z"]
        journal.note("so")
        journal.close()
    expected = {"ended": {"x": "failed"}, "errors": {"x": "why"}, "records": [], "notes": ["so"], "planned": 3}
    assert read(results) == {"a": expected, "b": expected}
