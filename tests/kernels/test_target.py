"""What the planner takes from the CPU kernels needs no compiler."""

import subprocess
import sys

import fastnet_kernels.cpu
import pytest


def test_target_and_arguments_need_no_numba():
    code = (
        "import sys, fastnet_kernels.cpu.target, fastnet_kernels.cpu.program.arguments;"
        "print('numba' in sys.modules, 'llvmlite' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]


def test_every_kernel_is_found_by_its_name():
    for name in fastnet_kernels.cpu.__all__:
        assert getattr(fastnet_kernels.cpu, name).__name__ == name
        assert name in dir(fastnet_kernels.cpu)
    with pytest.raises(AttributeError, match="no attribute 'sgdd'"):
        fastnet_kernels.cpu.sgdd  # noqa: B018
