"""The cache of machine code: fresh after any edit of any kernel, and never in the way."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import fastnet_kernels
import pytest
from fastnet_kernels.cpu.gemm import dot_and_gemv
from fastnet_kernels.kept import Kept

SCRIPT = """
import numpy as np
from fastnet_kernels.cpu import sgd
parameters = np.ones(3)
sgd(parameters, np.ones(3), 0.25)
print(parameters[0], sum(sgd.compiled.stats.cache_hits.values()))
"""


# `dense_forward` calls the routine `gemm_dot`, which is compiled, kept and loaded by itself.
WITH_ROUTINE = """
import numpy as np
from fastnet_kernels.cpu import dense_forward
from fastnet_kernels.cpu.codegen.compiling import _routines
Z = np.empty((1, 1))
dense_forward(np.full((1, 3), 2.0), np.ones((1, 3)), np.zeros(1), Z)
routine = _routines["fastnet_kernels.cpu.gemm.dot_and_gemv.gemm_dot"]
print(Z[0, 0], *(sum(function.stats.cache_hits.values()) for function in (dense_forward.compiled, routine)))
"""


def run_with(folder, script=SCRIPT):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    result = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return result.stdout.split()


# One kernel for two dtypes, that is two files. Without a fault the second process finds both.
ON_DISK = """
import sys
import numpy as np
import fastnet_kernels.cpu
exec(sys.argv[1])
for dtype in ("f4", "f8"):
    parameters = np.ones(3, dtype)
    fastnet_kernels.cpu.sgd(parameters, np.ones(3, dtype), 0.25)
    assert (parameters == 0.75).all()
print(sum(fastnet_kernels.cpu.sgd.compiled.stats.cache_hits.values()))
"""


def run_in(folder, before="", **environment):
    """How many kernels were found on disk, and the lines on standard error."""
    variables = {**os.environ, "NUMBA_CACHE_DIR": str(folder), **environment}
    command = [sys.executable, "-c", ON_DISK, before]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return int(result.stdout), result.stderr.splitlines()


def copy_of_the_kernels(folder):
    package = folder / "fastnet_kernels"
    shutil.copytree(Path(fastnet_kernels.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


@pytest.mark.slow  # processes of their own that compile
def test_an_edit_in_an_inlined_function_is_never_missed(tmp_path):
    package = copy_of_the_kernels(tmp_path)
    assert run_with(tmp_path) == ["0.75", "0"]
    assert run_with(tmp_path) == ["0.75", "1"], "the second process must find the compiled kernel"

    # `bounds` is in another file than `sgd`, and is inlined there: now the last number of every block is left out.
    partition = package / "cpu" / "partition.py"
    partition.write_text(partition.read_text().replace("min(first + block, size)", "min(first + block, size) * 0"))
    assert run_with(tmp_path) == ["1.0", "0"]


@pytest.mark.slow  # processes of their own that compile
def test_a_routine_is_loaded_before_its_caller_and_no_edit_in_it_is_missed(tmp_path):
    package = copy_of_the_kernels(tmp_path)
    assert run_with(tmp_path, WITH_ROUTINE) == ["6.0", "0", "0"]
    assert run_with(tmp_path, WITH_ROUTINE) == ["6.0", "1", "1"], "both must be found by the second process"
    tiles = package / "cpu" / "gemm" / "micro_kernels.py"
    tiles.write_text(tiles.read_text().replace("builder.fmul(alpha, sums[i * w + j])", "builder.fneg(sums[i * w + j])"))
    assert run_with(tmp_path, WITH_ROUTINE) == ["-6.0", "0", "0"]


def test_a_routine_is_for_compiled_code():
    with pytest.raises(NotImplementedError, match="from compiled code only"):
        dot_and_gemv.gemm_dot()


def truncate(path):
    path.write_bytes(path.read_bytes()[:300])


def spoil(path):
    """One bit, in the machine code."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.slow  # processes of their own that compile
def test_damaged_files_are_replaced(tmp_path):
    assert run_in(tmp_path) == (0, [])
    assert run_in(tmp_path) == (2, [])
    for damages in (
        (truncate, spoil),
        (lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"foreign" * 99)),
    ):
        for path, damage in zip(tmp_path.glob("*/*.sgd-*"), damages, strict=True):
            damage(path)
        found, lines = run_in(tmp_path)
        assert found == 0
        assert len(lines) == 1, "one line for all files"
        assert "cannot be used (it is damaged): what is in it is compiled anew" in lines[0]
    assert run_in(tmp_path) == (2, [])


@pytest.mark.slow  # processes of their own that compile
def test_what_cannot_be_read_or_replaced_does_not_matter(tmp_path):
    run_in(tmp_path)
    for path in tmp_path.glob("*/*.sgd-*"):  # a folder is neither, for every user
        path.unlink()
        path.mkdir()
    found, lines = run_in(tmp_path)
    assert found == 0
    assert [("cannot be used" in line, "cannot be kept in" in line) for line in lines] == [(True, False), (False, True)]


@pytest.mark.slow  # processes of their own that compile
def test_a_full_disk(tmp_path):
    pytest.importorskip("resource")
    fill = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    found, lines = run_in(tmp_path, fill)
    assert found == 0
    assert len(lines) == 1
    assert "(File too large), and every run compiles again: make room there, or set NUMBA_CACHE_DIR" in lines[0]
    assert list(tmp_path.glob("*/*")) == []


@pytest.mark.slow  # processes of their own that compile
def test_a_folder_that_disappears_is_made_again(tmp_path):
    vanish = f"import shutil; shutil.rmtree({str(tmp_path)!r})"
    assert run_in(tmp_path, vanish) == (0, [])
    assert run_in(tmp_path) == (2, [])


@pytest.mark.slow  # processes of their own that compile
def test_without_any_folder(tmp_path):
    found, lines = run_in(tmp_path / "no", NUMBA_CACHE_LOCATOR_CLASSES="ZipCacheLocator")
    assert found == 0
    assert len(lines) == 1
    assert lines[0].startswith(
        "fastnet: compiled kernels cannot be kept, and every run compiles again: set NUMBA_CACHE"
    )


@pytest.mark.slow  # processes of their own that compile
def test_code_of_other_sources_is_deleted(tmp_path):
    def function():
        pass

    old = Kept(function, str(tmp_path), "1.0", pickle.dumps)
    old.save("key", "old")
    (tmp_path / f"{old.name}{old.stamp}.half").write_bytes(b"of a process that was killed")
    new = Kept(function, str(tmp_path), "2.0", pickle.dumps)
    assert new.load("key") is None
    new.save("key", "new")
    assert new.load("key") == "new"
    assert old.load("key") is None
    assert len(list(tmp_path.iterdir())) == 1


# `elu` calls a routine of a part, which nobody has asked for: it is loaded from inside compiled code. An interrupt that
# comes then is raised when the kernel has ended.
LATE = """
import os, signal, time
import numpy as np
from fastnet_kernels.cpu import elu
from fastnet_kernels.cpu.codegen import compiling
load, times = compiling.load_component, []
def load_component(part):
    times.append(part)
    os.kill(os.getpid(), signal.SIGINT)
    load(part)
compiling.load_component = load_component
A = np.empty((1, 2))
try:
    elu(np.array([[0.5, 0.0]]), 1.0, A)
    time.sleep(5)
except KeyboardInterrupt:
    print(*A[0], len(times) > 0)
"""


@pytest.mark.slow  # processes of their own that compile
def test_a_part_that_nobody_has_asked_for_is_loaded_when_it_is_called(tmp_path):
    copy_of_the_kernels(tmp_path)
    assert run_with(tmp_path, LATE) == ["0.5", "0.0", "True"]
