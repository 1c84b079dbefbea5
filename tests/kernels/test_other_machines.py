"""The tiles and panels of machines with shorter vectors, run here: the same shapes, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The kernels ask llvmlite which vectors there are; LLVM makes any of them run on this machine.
SCRIPT = """
import sys
import llvmlite.binding
import pytest

real = llvmlite.binding.get_host_cpu_features()

class Features(dict):
    def flatten(self, sort=True):
        return real.flatten()

llvmlite.binding.get_host_cpu_features = lambda: Features(dict.fromkeys(sys.argv[2:], True))
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "float64", sys.argv[1]]))
"""


@pytest.mark.parametrize("features", [[], ["neon"], ["avx2"]], ids=["sse2", "neon", "avx2"])
def test_shapes_on_shorter_vectors(features, tmp_path):
    shapes = Path(__file__).with_name("test_program_shapes.py")
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(shapes), *features],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]
