"""Kernels side by side: every record true, every bad argument refused, every form readable."""

import csv
import io
import json
import sys

import fastnet_kernels.cpu as cpu
import numpy as np
import pytest
from fastnet_kernels import reference
from fastnet_kernels.cpu import limits as cpu_limits

import fastnet as fn
from fastnet.benchmarks import limits, tables, timing
from fastnet.benchmarks.kernels import LAYOUTS, SUBJECTS, backends, laid_out, largest_error, make_case
from fastnet.benchmarks.timing import samples
from fastnet.cli import main


def test_every_public_kernel_is_a_subject():
    assert set(SUBJECTS) == set(reference.__all__)


# Each kernel is compiled for this alone; the tests of the kernels compare all of them.
QUICK = ("dense_forward", "relu", "softmax", "sgd")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SUBJECTS]
)
def test_cases_run_in_both_rooms_to_the_same_numbers(name):
    shape = SUBJECTS[name].shapes[0]
    exact = make_case(name, shape, "float64").results(reference)
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-13)):
        case = make_case(name, shape, dtype)
        before = [np.copy(value) for value in case.inputs]
        for backend in (reference, cpu):
            assert largest_error(case.results(backend), exact) < tolerance
        for a, b in zip(case.inputs, before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_work_of_a_case():
    forward = make_case("dense_forward", (3, 5, 7), "float32")
    assert forward.flops == 2 * 3 * 5 * 7
    assert forward.bytes == 4 * (3 * 5 + 7 * 5 + 7 + 3 * 7)
    update = make_case("sgd", (10,), "float64")
    assert (update.flops, update.bytes) == (0, 8 * 30)


def test_a_wrong_kernel_shows_in_the_error(monkeypatch):
    monkeypatch.setattr(cpu, "relu", lambda Z, A: np.maximum(Z, 0.1, out=A))
    records = fn.compare(["relu"], [(20, 20)], rounds=1, backends=["reference", "cpu"])
    assert [record["error"] > 1e-2 for record in records] == [False, True]


def test_records(threads):
    records = fn.compare(["dense_forward", "relu"], [(8, 16, 24), (33, 17)], dtype="float64", threads=threads, rounds=3)
    assert [(r["kernel"], r["shape"]) for r in records if r["backend"] == "cpu"] == [
        ("dense_forward", (8, 16, 24)),
        ("relu", (33, 17)),
    ]
    for record in records:
        assert record["threads"] == threads
        assert record["layout"] == "C"
        assert 0 < record["low"] <= record["seconds"] <= record["high"]
        assert record["fraction"] > 0
        assert record["error"] < 1e-13
        if record["kernel"] == "dense_forward":
            np.testing.assert_allclose(record["gflops"] * record["seconds"] * 1e9, 2 * 8 * 16 * 24)
        else:
            assert record["gflops"] is None
            np.testing.assert_allclose(record["gbytes"] * record["seconds"] * 1e9, 2 * 33 * 17 * 8)
        if record["backend"] == "reference":
            assert record["speedup"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernels": ["rleu"]}, "'relu'"),
        ({"kernels": ["relu"], "shapes": [(3,)]}, "fit none"),
        ({"kernels": ["relu"], "shapes": [(3, 0)]}, "shape=0"),
        ({"dtype": "float16"}, "'float32'"),
        ({"threads": 0}, "threads=0"),
        ({"threads": 10_000}, "give no more"),
        ({"threads": []}, "at least one"),
        ({"rounds": 0}, "rounds=0"),
        ({"backends": ["numpy"]}, "'reference'"),
        ({"backends": []}, "none of these can run here; choose from reference, cpu"),
        ({"layouts": ["G"]}, "'strided'"),
        ({"layouts": []}, "at least one"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        fn.compare(**arguments)


def test_threads_are_given_back():
    import numba

    before = numba.get_num_threads()
    fn.compare(["relu"], [(4, 4)], threads=1, rounds=1)
    assert numba.get_num_threads() == before


def test_threads_that_are_not_there_are_left_out():
    told = []
    assert limits.usable_threads([1, 4, 2, 1, 3], 2, told.append) == [1, 2]
    assert told == ["threads=4,3: left out, this process may use 2"]
    assert limits.usable_threads(np.int64(2), 2) == [2]
    with pytest.raises(ValueError, match="threads=2,3, and this process may use 1: give no more"):
        limits.usable_threads([2, 3], 1)
    records = fn.compare(
        ["relu"], [(4, 4)], threads=[1, 10_000], rounds=1, backends=["reference"], progress=told.append
    )
    assert [record["threads"] for record in records] == [1]
    assert "threads=10000: left out" in told[1]


def test_numpy_is_measured_only_where_it_is_wanted():
    records = fn.compare(["relu"], [(4, 4)], rounds=1, backends=["cpu"])
    assert [(record["backend"], record["speedup"]) for record in records] == [("cpu", None)]
    assert tables.kernels_text(records).splitlines()[2].split()[-2] == "-"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    case, plain = make_case("softmax", (6, 4), "float32", layout=layout), make_case("softmax", (6, 4), "float32")
    strides = {"C": (16, 4), "F": (4, 24), "strided": (32, 8)}[layout]
    copies = case.copies()
    for array in (*case.inputs, *case.outputs, *copies[0], *copies[1]):
        assert array.strides == strides
    assert not np.shares_memory(case.inputs[0], copies[0][0])
    np.testing.assert_array_equal(case.inputs[0], plain.inputs[0])
    assert (case.bytes, case.flops) == (plain.bytes, plain.flops)
    assert laid_out(np.arange(3.0), layout).strides == ((16,) if layout == "strided" else (8,))


def test_layouts_are_measured_and_shown():
    records = fn.compare(
        ["relu", "sgd"], [(6, 4), (5,)], rounds=1, backends=["reference"], layouts=["C", "strided", "F", "C"]
    )
    assert [(record["kernel"], record["layout"]) for record in records] == [
        *(("relu", layout) for layout in ("C", "strided", "F")),
        *(("sgd", layout) for layout in ("C", "strided")),  # a vector lies in F as it lies in C
    ]
    assert tables.kernels_text(records).splitlines()[3].split()[:4] == ["relu", "6x4", "strided", "reference"]
    assert "layout" not in tables.kernels_text(records[:1])


def test_a_contestant_waits_until_the_threads_of_another_sleep(monkeypatch):
    used = iter([0.0, 0.9, 1.0, 1.1, 2.0, 2.0])  # of a second each: 0.9, 0.1
    clock = iter(np.arange(100.0))
    monkeypatch.setattr(timing.time, "process_time", lambda: next(used))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    slept = []
    monkeypatch.setattr(timing.time, "sleep", slept.append)
    timing.wait_for_quiet(1.0, at_most=50)
    assert slept == [1.0, 1.0]


def test_a_limit_is_not_lower_on_more_threads(monkeypatch):
    speeds = {1: 5.0, 2: 0.1}
    monkeypatch.setattr(limits, "_peak_flops", lambda dtype, threads: speeds[threads])
    monkeypatch.setattr(limits, "_copy_bandwidth", lambda size, threads: speeds[threads])
    assert (limits.peak_flops("float32", 2), limits.bandwidth(1, 2)) == (5, 5)


def test_samples_take_turns_and_are_long_enough():
    calls = []
    found = samples({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=4, at_least=1e-4)
    assert {name: len(values) for name, values in found.items()} == {"a": 4, "b": 4}
    turns = "".join(calls)
    assert [name for name, after in zip(turns, turns[1:] + " ", strict=True) if name != after][-8:] == list("abababab")


def test_the_limit_is_the_slower_of_arithmetic_and_memory():
    peak, speed = limits.peak_flops("float32", 1), limits.bandwidth(1 << 20, 1)
    assert limits.limit_seconds(1e15, 1, "float32", 1) == pytest.approx(1e15 / peak)
    assert limits.limit_seconds(1, 1 << 20, "float32", 1) == pytest.approx((1 << 20) / speed)


def test_the_loops_that_measure_limits_do_what_they_say():
    from fastnet_kernels.cpu.codegen.processor import VECTOR_BYTES

    lanes, sums = VECTOR_BYTES // 8, np.zeros(3)
    cpu_limits.multiply_add(np.repeat([1.0, 0.5], lanes), 10, sums)
    # Chain i starts at i + 1 and gains 0.5 ten times.
    np.testing.assert_allclose(sums, lanes * sum(i + 1 + 5.0 for i in range(cpu_limits.CHAINS)))
    source, target = np.arange(20_001.0), np.zeros(20_001)
    cpu_limits.copy(source, target)
    np.testing.assert_array_equal(target, source)


def test_cuda_is_left_out_with_a_word():
    found, missing = backends()
    assert list(found)[:2] == ["reference", "cpu"]
    assert len(found) + len(missing) == 3


def test_pytorch_is_left_out_with_a_word(monkeypatch):
    from fastnet.benchmarks import comparison

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "fastnet.benchmarks.pytorch_kernels", raising=False)
    told = []
    records = fn.compare(["relu"], [(4, 4)], rounds=1, progress=told.append)
    assert "PyTorch" not in {record["backend"] for record in records}
    assert [line for line in told if "PyTorch" in line and "fastnet-numba[peers]" in line]
    with pytest.raises(ValueError, match="none of these can run here"):
        fn.compare(["relu"], backends=["PyTorch"])
    assert "PyTorch" not in comparison.contestants()[0]


COMMAND = ["compare", "--kernels", "relu,sgd", "--shapes", "33x17,100", "--rounds", "2"]


def test_command_prints_a_table(capsys, tmp_path):
    assert main([*COMMAND, "--threads", "1,10000", "--plot", str(tmp_path / "kernels.png")]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split() == [
        "kernel",
        "shape",
        "backend",
        "threads",
        "time",
        "rate",
        "of",
        "limit",
        "speed-up",
        "error",
    ]
    assert [line.split()[:3] for line in lines[2:4]] == [["relu", "33x17", "reference"], ["relu", "33x17", "cpu"]]
    assert {path.name for path in tmp_path.iterdir()} == {"kernels-activations.png", "kernels-updates.png"}
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
        assert f"picture  {path}" in shown.err
    assert "relu 33x17" in shown.err
    assert "threads=10000: left out" in shown.err


def test_command_prints_json_and_csv(capsys):
    assert main([*COMMAND, "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert records[0]["shape"] == [33, 17]
    assert main([*COMMAND, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["shape"] for row in rows[:1]] == ["33x17"]
    assert list(rows[0]) == list(records[0])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--kernels", "nothing"],
        ["--shapes", "axb"],
        ["--workloads", "mnist"],
        ["--peers", "--kernels", "relu"],
        ["--peers", "--backends", "cpu"],
        ["--peers", "--layouts", "F"],
        ["--backends", "numpy"],
        ["--layouts", "G"],
        ["--json", "--csv"],
        ["--plot", "no/such/folder/a.png"],
        ["--plot", "a.pngg"],
        ["--peers", "Theano"],
        ["--peers", "--workloads", "imagenet"],
        ["--peers", "--threads", "0"],
        ["--sweep", "3"],
        ["--peers", "--sweep", "0"],
        ["--peers", "--sweep", "3", "--workloads", "mnist"],
        ["--peers", "--workloads", "random-x"],
    ],
)
def test_command_refuses(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(["compare", *arguments])
    assert end.value.code == 2
    assert "usage: fastnet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5e-10, "0.25 ns"), (1.234e-6, "1.23 us"), (0.0123, "12.3 ms"), (0.9999e-3, "1000 us"), (1234.0, "1234 s")],
)
def test_readable_time(seconds, text):
    assert tables.readable_time(seconds) == text
