"""Another project's package `fastnet` in place of this one, or mixed with it, is said and not run."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import fastnet_kernels
import pytest

import fastnet as fn

ROOT = Path(__file__).parents[2]
REPAIR = "pip uninstall -y fastnet fastnet-numba && pip install fastnet-numba"


@pytest.fixture
def site(tmp_path):
    """A folder with the kernels, as pip would leave it; packages `fastnet` are added by the tests."""
    (tmp_path / "fastnet_kernels").symlink_to(Path(fastnet_kernels.__file__).parent)
    return tmp_path


def run(site, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=site, capture_output=True, text=True, timeout=120
    )


def command(site, *options):
    script = "import sys; from fastnet_kernels.command import main; sys.exit(main())"
    return run(site, *options, "-c", script, "--version")


def add_other(site):
    (site / "fastnet").mkdir()
    (site / "fastnet" / "__init__.py").write_text("print('not to be run')\nfrom .train import Trainer\n")


def add_ours(site):
    shutil.copytree(Path(fn.__file__).parent, site / "fastnet", ignore=shutil.ignore_patterns("__pycache__"))


def test_the_command_tells_another_project(site):
    add_other(site)
    result = command(site)
    assert result.returncode == 1
    assert "another project" in result.stderr
    assert REPAIR in result.stderr
    assert result.stdout == ""


def test_the_command_tells_what_a_removal_left(site):
    add_ours(site)
    (site / "fastnet" / "__init__.py").unlink()
    assert REPAIR in command(site, "-S").stderr, "without other folders, where the whole package may be"


def test_both_installed(site):
    add_ours(site)
    (site / "fastnet_numba-0.1.0.dist-info").mkdir()
    clean = run(site, "-W", "error", "-c", "import fastnet")
    assert (clean.returncode, clean.stderr) == (0, "")
    assert command(site).stdout.split() == ["fastnet-numba", fn.__version__]

    (site / "fastnet-1.0.0.dist-info").mkdir()
    (site / "script.py").write_text("import fastnet\n")
    warned = run(site, "script.py")
    assert warned.returncode == 0
    assert "script.py:1: UserWarning: fastnet-1.0.0.dist-info" in warned.stderr
    assert REPAIR in warned.stderr
    assert command(site).returncode == 1


def test_the_module_goes_the_same_way(site):
    add_ours(site)
    (site / "fastnet" / "__init__.py").write_text("")
    result = run(site, "-m", "fastnet", "--version")
    assert result.returncode == 1
    assert REPAIR in result.stderr


def test_the_tests_and_benchmarks_tell_too(site):
    add_other(site)
    shutil.copytree(ROOT / "asv_bench" / "benchmarks", site / "benchmarks")
    assert REPAIR in run(site, "-c", "import benchmarks").stderr
    shutil.copy(ROOT / "tests" / "conftest.py", site)
    tests = run(site, "-m", "pytest", "-p", "no:cacheprovider")
    assert tests.returncode == pytest.ExitCode.USAGE_ERROR
    assert REPAIR in tests.stdout + tests.stderr


def test_one_version_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["name"] == "fastnet-numba"
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "fastnet/__init__.py"
    try:
        installed = metadata.version("fastnet-numba")
    except metadata.PackageNotFoundError:
        pytest.skip("runs from a checkout")
    assert installed == fn.__version__
