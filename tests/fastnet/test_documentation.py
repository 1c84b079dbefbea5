"""What the documentation shows can be done as it is written."""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from blocks import BLOCK, blocks_of, run_blocks
from fastnet_kernels import reference

import fastnet as fn
from fastnet.cli import make_parser

ROOT = Path(__file__).parents[2]
GUIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# Pages of the site alone, most of them notebooks, which its build runs as well.
SITE = [
    path
    for name in ("start", "howto", "kernels", "reference", "gallery")
    for path in (ROOT / "docs" / name).glob("*.md")
]
PAGES = [*GUIDE, *sorted(SITE)]
# Not all of asv_bench: asv keeps its environments there.
FOLDERS = ("asv_bench/benchmarks", "docs", "examples", "fastnet", "kernels", "tests")
FILES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")]
FILES += [path for folder in (ROOT, ROOT / "asv_bench") for path in folder.glob("*.*")]
# With a folder before it, or between backticks: other names that end like this are those of files to be made.
SCRIPT = re.compile(r"(?<![\w/.-])(?:[\w.-]+/)+[\w-]+\.(?:py|sh)\b|(?<=`)[\w-]+\.(?:py|sh)(?=`)")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def commands(page):
    """Of the lines that are shown as code: what stands before a comment, between `&&`."""
    text = BLOCK.sub("", page.read_text())
    lines = re.findall(r"^    (\S.*)$", text, re.MULTILINE) + re.findall(r"`([^`\n]+)`", text)
    return [part.strip() for line in lines for part in line.split(" #")[0].split("&&")]


def with_blocks(pages):
    return pytest.mark.parametrize(
        "page", [page for page in pages if BLOCK.search(page.read_text())], ids=lambda page: page.name
    )


@with_blocks(GUIDE)
@pytest.mark.usefixtures("one_thread")
def test_python(page, tmp_path, monkeypatch):
    """The blocks of a page, in order, as one session in an empty folder."""
    monkeypatch.chdir(tmp_path)
    run_blocks(blocks_of(page.read_text(), is_there), page.name)


@pytest.mark.slow
@with_blocks(sorted(SITE))
@pytest.mark.usefixtures("one_thread")
def test_python_of_the_site(page, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    run_blocks(blocks_of(page.read_text(), is_there), page.name)


def is_there(needed):
    modules = {
        "scikit-learn": "sklearn", "matplotlib": "matplotlib", "PyTorch": "torch", "onnx": "onnx",
        "onnxruntime": "onnxruntime",
    }  # fmt: skip
    return needed != "a GPU" and importlib.util.find_spec(modules[needed]) is not None


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
        if not target.startswith("http"):
            name, _, anchor = target.partition("#")
            there = page.parent / name if name else page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), target


def test_the_reference_is_complete():
    """Public names and kernels are all in a list of a page, or have a description of their own there."""
    public = {*fn.__all__, *fn.plots.__all__, *fn.tables.__all__, *fn.metrics.METRICS, *reference.__all__}
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md"))
    listed = re.findall(r"^(?:   |\.\. auto\w+:: (?:\w+\.)*)(\w+)$", pages, re.MULTILINE)
    modules = {"callbacks", "datasets", "losses", "metrics", "plots", "schedules", "tables"}
    assert public - modules - set(listed) == set()


def anchors(page):
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_scripts_that_are_named_exist():
    """In documents, and in what sources say of each other: a file in the folders that are named with it."""
    paths = [path.relative_to(ROOT).parts for path in FILES]
    known = {"/".join(parts[i:]) for parts in paths for i in range(len(parts))}
    texts = [path for path in FILES if path.suffix in (".md", ".py")]
    named = [
        (path.name, re.sub(r"^(\.\./)+", "", script)) for path in texts for script in SCRIPT.findall(path.read_text())
    ]
    assert len(named) > 50
    assert [(name, script) for name, script in named if script not in known] == []


def test_names_of_scripts_are_found():
    name = "gone.py"
    path = f"cpu/{name}"
    assert SCRIPT.findall(f"(`{path}`), `{name}` and {name}, {path}c, as in {path}.") == [path, name, path]
