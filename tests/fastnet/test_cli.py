"""The command line, as a user runs it."""

import re
import subprocess
import sys

import pytest

from fastnet.cli import main


def test_demo(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert main(["demo", "--output", str(tmp_path / "new")]) == 0
    shown = capsys.readouterr()
    assert float(re.search(r"held-out accuracy +([\d.]+)%", shown.out)[1]) >= 97
    for word in ("parameters", "workspace", "compiling or loading the kernels", "ms an epoch"):
        assert word in shown.out
    assert "100/100" in shown.err, "a progress bar"
    for name in ("fastnet-demo-cost.png", "fastnet-demo-digits.png"):
        assert (tmp_path / "new" / name).read_bytes().startswith(b"\x89PNG")


def test_demo_without_matplotlib(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["demo", "--epochs", "1", "--output", str(tmp_path)]) == 0
    assert "fastnet[plot]" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [[], ["train"], ["demo", "--epochs", "0"], ["demo", "--epochs", "many"]])
def test_bad_arguments_end_with_a_message(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: fastnet" in capsys.readouterr().err


def test_the_module_runs_too():
    result = subprocess.run([sys.executable, "-m", "fastnet", "--help"], capture_output=True, text=True, check=True)
    assert "demo" in result.stdout
