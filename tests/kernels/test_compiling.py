"""The cache of machine code: fresh after any edit of any kernel, and never in the way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fastnet_kernels

SCRIPT = """
import numpy as np
from fastnet_kernels.cpu import sgd
parameters = np.ones(3)
sgd(parameters, np.ones(3), 0.25)
print(parameters[0], sum(sgd.stats.cache_hits.values()))
"""


def run_with(folder):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    result = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return result.stdout.split()


def test_an_edit_in_an_inlined_function_is_never_missed(tmp_path):
    package = tmp_path / "fastnet_kernels"
    shutil.copytree(Path(fastnet_kernels.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    assert run_with(tmp_path) == ["0.75", "0"]
    assert run_with(tmp_path) == ["0.75", "1"], "the second process must find the compiled kernel"

    # `bounds` is in another file than `sgd`, and is inlined there: now the last number of every block is left out.
    blocks = package / "cpu" / "blocks.py"
    blocks.write_text(blocks.read_text().replace("min(first + block, size)", "min(first + block, size) * 0"))
    assert run_with(tmp_path) == ["1.0", "0"]
