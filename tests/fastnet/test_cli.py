"""The command line, as a user runs it."""

import re
import subprocess
import sys

import numpy as np
import pytest

import fastnet as fn
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
    assert "fastnet-numba[plot]" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_info(capsys, tmp_path, monkeypatch):
    from fastnet_kernels.cpu.codegen import compiling

    (tmp_path / "compiled").write_bytes(bytes(2000))
    monkeypatch.setattr(compiling, "folder", str(tmp_path))
    assert main(["info"]) == 0
    shown = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert shown["fastnet-numba"].strip().startswith(fn.__version__)
    assert shown["numpy"].strip() == np.__version__
    assert "cores" in shown["processor"]
    assert "bits" in shown["vectors"]
    assert shown["compiled code"].strip().startswith(f"2.0 kB in {tmp_path}")
    assert shown["GPU"].strip()


@pytest.mark.parametrize("arguments", [[], ["train"], ["demo", "--epochs", "0"], ["demo", "--epochs", "many"]])
def test_bad_arguments_end_with_a_message(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: fastnet" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_said_before_training(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    (tmp_path / "file").write_text("")
    for output in ("file", "file/folder"):
        with pytest.raises(SystemExit):
            main(["demo", "--output", str(tmp_path / output)])
        shown = capsys.readouterr()
        assert "cannot be made a folder" in shown.err
        assert shown.out == ""


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--threads", "x"], "'x' is no list of whole numbers"),
        (["--shapes", "axb"], "'axb' is no list of shapes"),
        (["--dtype", "f2"], "dtype='f2' is not known"),
        (["--plot", "nowhere/picture.png"], "there is no folder nowhere"),
    ],
)
def test_compare_refuses_in_sentences(option, message, capsys):
    with pytest.raises(SystemExit):
        main(["compare", *option])
    assert message in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"fastnet-numba {fn.__version__}\n"


def ended(work):
    """A process of the command whose work is an expression."""
    script = f"""
import os, signal, sys, time
import fastnet.cli
from fastnet_kernels.command import main
fastnet.cli.main = lambda: {work}
sys.exit(main())
"""
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_interrupted():
    process = ended("os.kill(os.getpid(), signal.SIGINT) or time.sleep(9)")
    assert process.communicate(timeout=60) == ("", "fastnet: interrupted\n")
    assert process.returncode == 130


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_has_seen_enough(lines):
    """As in `fastnet compare | head -1`: what is written at once, and what still is at the end."""
    process = ended(f"print('line' * {lines}) or 0")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 141


def test_the_module_runs_too():
    result = subprocess.run([sys.executable, "-m", "fastnet", "--help"], capture_output=True, text=True, check=True)
    assert "demo" in result.stdout
