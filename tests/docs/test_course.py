"""The course runs as it is written, exercises' solutions included, and is the same in both languages."""

import ast
import re
import warnings
from pathlib import Path

import pytest
from blocks import blocks_of, run_blocks

COURSE = Path(__file__).parents[2] / "docs" / "course"
CHAPTERS = {language: sorted((COURSE / language).glob("[0-9]*.md")) for language in ("en", "zh")}
NAMES = [chapter.stem for chapter in CHAPTERS["en"]]
SOLUTION = re.compile(r"^````\{dropdown\} .*?^````$", re.MULTILINE | re.DOTALL)


def skeleton(code):
    """The syntax of some lines without what differs between languages: the text of strings, and comments."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            node.values = [part for part in node.values if isinstance(part, ast.FormattedValue)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


def test_both_languages_have_the_same_chapters():
    assert len(NAMES) >= 19
    for language, chapters in CHAPTERS.items():
        assert [chapter.stem for chapter in chapters] == NAMES
        index = (COURSE / language / "index.md").read_text()
        assert re.findall(r"^(\d\d_\w+)$", index, re.MULTILINE) == NAMES


def test_both_languages_have_the_same_code():
    for english, chinese in zip(*CHAPTERS.values(), strict=True):
        pairs = zip(blocks_of(english.read_text()), blocks_of(chinese.read_text()), strict=True)
        for place, (ours, theirs) in enumerate(pairs):
            assert skeleton(ours) == skeleton(theirs), (english.stem, place)


def test_code_that_differs_is_noticed():
    code = 'print(f"cost {J:.3f}", "steps", 5)  # all of them'
    assert skeleton(code) == skeleton('print(f"{J:.2f} 是成本", "步数", 5)  # 全部')
    assert skeleton(code) != skeleton(code.replace("5", "6"))
    assert skeleton(code) != skeleton(code.replace("{J", "{L"))


def test_each_chapter_has_two_exercises_with_solutions_and_blocks():
    """In which every block is found, with a fence of its own."""
    for chapters in CHAPTERS.values():
        for chapter in chapters:
            text = chapter.read_text()
            solutions = SOLUTION.findall(text)
            assert [len(blocks_of(solution)) > 0 for solution in solutions] == [True, True], chapter
            assert "{code-cell}" not in "".join(solutions), chapter  # which a build would not run
            of_chapter = blocks_of(SOLUTION.sub("", text))
            assert len(of_chapter) == text.count("```{code-cell}") >= 3, chapter
            assert text.count("```python") == len(blocks_of(text)) - len(of_chapter), chapter


@pytest.mark.slow
@pytest.mark.parametrize("language", CHAPTERS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("one_thread")
def test_chapter_runs(language, name, tmp_path, monkeypatch):
    """From top to bottom, with a picture that has all of its letters, and without a warning."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(tmp_path)
    chapter = COURSE / language / f"{name}.md"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            run_blocks(blocks_of(chapter.read_text()), f"{language}/{name}")
            assert pyplot.get_fignums()
            for number in pyplot.get_fignums():
                pyplot.figure(number).canvas.draw()  # a letter that the font lacks is a warning
    finally:
        pyplot.close("all")
