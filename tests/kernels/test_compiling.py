"""The cache of machine code: fresh after any edit of any kernel, and never in the way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fastnet_kernels
import pytest
from fastnet_kernels.cpu import products

SCRIPT = """
import numpy as np
from fastnet_kernels.cpu import sgd
parameters = np.ones(3)
sgd(parameters, np.ones(3), 0.25)
print(parameters[0], sum(sgd.stats.cache_hits.values()))
"""


# `dense_forward` calls the routine `add_dots`, which is compiled, kept and loaded by itself.
WITH_ROUTINE = """
import numpy as np
from fastnet_kernels.cpu import dense_forward
from fastnet_kernels.cpu.compiling import _routines
Z = np.empty((1, 1))
dense_forward(np.full((1, 3), 2.0), np.ones((1, 3)), np.zeros(1), Z)
routine = _routines["fastnet_kernels.cpu.products.add_dots"]
print(Z[0, 0], *(sum(function.stats.cache_hits.values()) for function in (dense_forward, routine)))
"""


def run_with(folder, script=SCRIPT):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    result = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return result.stdout.split()


def copy_of_the_kernels(folder):
    package = folder / "fastnet_kernels"
    shutil.copytree(Path(fastnet_kernels.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def test_an_edit_in_an_inlined_function_is_never_missed(tmp_path):
    package = copy_of_the_kernels(tmp_path)
    assert run_with(tmp_path) == ["0.75", "0"]
    assert run_with(tmp_path) == ["0.75", "1"], "the second process must find the compiled kernel"

    # `bounds` is in another file than `sgd`, and is inlined there: now the last number of every block is left out.
    blocks = package / "cpu" / "blocks.py"
    blocks.write_text(blocks.read_text().replace("min(first + block, size)", "min(first + block, size) * 0"))
    assert run_with(tmp_path) == ["1.0", "0"]


def test_a_routine_is_loaded_before_its_caller_and_no_edit_in_it_is_missed(tmp_path):
    package = copy_of_the_kernels(tmp_path)
    assert run_with(tmp_path, WITH_ROUTINE) == ["6.0", "0", "0"]
    assert run_with(tmp_path, WITH_ROUTINE) == ["6.0", "1", "1"], "both must be found by the second process"
    tiles = package / "cpu" / "tiles.py"
    tiles.write_text(tiles.read_text().replace("builder.fmul(alpha, sums[i * w + j])", "builder.fneg(sums[i * w + j])"))
    assert run_with(tmp_path, WITH_ROUTINE) == ["-6.0", "0", "0"]


def test_a_routine_is_for_compiled_code():
    with pytest.raises(NotImplementedError, match="from compiled code only"):
        products.add_dots()
