"""What the documentation shows can be done as it is written."""

import re
import shlex
import tomllib
from pathlib import Path

import numba
import pytest

import fastnet as fn
from fastnet.cli import make_parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^(<!-- needs a GPU -->\n)?```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def commands(page):
    """Of the lines that are shown as code: what stands before a comment, between `&&`."""
    text = BLOCK.sub("", page.read_text())
    lines = re.findall(r"^    (\S.*)$", text, re.MULTILINE) + re.findall(r"`([^`\n]+)`", text)
    return [part.strip() for line in lines for part in line.split(" #")[0].split("&&")]


@pytest.fixture
def one_thread():
    """Which gives the same numbers, and is the faster where machines are shared."""
    before = numba.get_num_threads()
    fn.set_num_threads(1)
    yield
    fn.set_num_threads(before)


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCK.search(page.read_text())], ids=lambda page: page.name)
@pytest.mark.usefixtures("one_thread")
def test_python(page, tmp_path, monkeypatch):
    """The blocks of a page, in order, as one session in an empty folder."""
    blocks = [code for needs_gpu, code in BLOCK.findall(page.read_text()) if not needs_gpu]
    monkeypatch.chdir(tmp_path)
    session = {}
    for code in blocks:
        exec(compile(code, page.name, "exec"), session)


@pages
def test_commands_of_fastnet(page):
    """They are understood; they are not run, as some take minutes."""
    for command in commands(page):
        if command.startswith("fastnet ") and "..." not in command:
            make_parser().parse_args(shlex.split(command)[1:])


def test_there_are_blocks_and_commands():
    """The patterns above find what they are to find."""
    readme = ROOT / "README.md"
    assert len(BLOCK.findall(readme.read_text())) == readme.read_text().count("```python") >= 3
    assert "fastnet demo" in commands(readme)
    assert any(command.startswith("fastnet compare --kernels") for command in commands(readme))


@pages
def test_extras_are_there(page):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = re.findall(r"pip install (?:-e )?'(?:\.|fastnet-numba)\[([\w,]+)\]'", page.read_text())
    assert {extra for group in named for extra in group.split(",")} <= set(extras)


@pages
def test_links_lead_somewhere(page):
    # Z^[l](...) of the table of formulas is no link.
    for target in re.findall(r"[^\^]\[[^\]^]+\]\(\s*([^)\s]+)\s*\)", page.read_text()):
        if not target.startswith(("http", "#")):
            assert (page.parent / target.split("#")[0]).exists(), target
