"""The progress bar says whole things, in terminals of any width, and why it ends."""

import io
import re
import subprocess
import sys

import pytest

from fastnet import History
from fastnet.training.progress import progress_bar
from fastnet.training.progress_bar import ProgressBar

MEASURED = History(
    {"cost": [0.12345], "accuracy": [0.98765], "validation_cost": [0.2], "validation_accuracy": [0.9], "seconds": [1]}
)
ITEMS = ["cost=0.1235", "accuracy=0.9877", "validation_cost=0.2", "validation_accuracy=0.9"]


def text_of(columns, total=100, done=67):
    with ProgressBar(total=total, ncols=columns, file=io.StringIO()) as bar:
        bar.update(done)
        bar.show(67, 100, MEASURED)
        return str(bar)


@pytest.mark.parametrize(("columns", "count"), [(200, 4), (100, 4), (80, 3), (60, 2), (40, 1), (30, 0), (15, 0)])
@pytest.mark.parametrize("total", [100, 67, None])
def test_measurements_are_whole(columns, count, total):
    text = text_of(columns, total)
    assert len(text) <= columns
    assert text.startswith("epoch 67/100")
    shown = re.findall(r"\S+=\S+", text)
    assert shown == ITEMS[: len(shown)]
    assert len(shown) >= count


def test_a_terminal_with_room_has_a_bar_and_the_time():
    assert re.fullmatch(r"epoch 67/100 \|[#\d]+ +\| <\d\d:\d\d cost=.*", text_of(80))
    assert re.fullmatch(r"epoch 67/100 \|#+\| \d\d:\d\d cost=.*", text_of(80, done=100))
    assert re.fullmatch(r"epoch 67/100 67 steps \d\d:\d\d cost=.*", text_of(120, total=None))


def test_a_name_may_hold_braces():
    with ProgressBar(total=10, ncols=80, file=io.StringIO()) as bar:
        bar.show(1, 10, {"{epoch}": [1.0]})
        assert str(bar).endswith(" {epoch}=1")


def test_the_end_has_a_reason(capsys):
    bar = progress_bar(100, is_shown=True)
    bar.update(67)
    bar.show(67, 100, MEASURED)
    bar.end("stopped early after epoch 67 of 100: validation_cost has not improved for 5 epochs")
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"epoch 67/100 \|[#\d]+ +\| <.* validation_accuracy=0.9", lines[-2]), "a log file has all of it"
    assert lines[-1].startswith("stopped early after epoch 67 of 100: ")


def test_what_is_not_shown_says_nothing(capsys):
    bar = progress_bar(100, is_shown=False)
    bar.update(67)
    bar.show(67, 100, MEASURED)
    bar.end("stopped early")
    assert capsys.readouterr() == ("", "")


NOTEBOOK = """
import sys, types

kernel = types.SimpleNamespace(config={"IPKernelApp": {}})
names = {"IPython": types.SimpleNamespace(get_ipython=lambda: kernel), "ipywidgets": None}
sys.modules |= names | dict.fromkeys(["ipykernel", "ipykernel.zmqshell"], types.SimpleNamespace())
from fastnet.training.progress import progress_bar

with progress_bar(10, is_shown=True) as bar:
    bar.update(10)
    bar.show(1, 1, {"cost": [0.5]})
"""


def test_a_notebook_without_widgets_has_text_and_no_warning():
    found = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, check=True)
    assert "epoch 1/1" in found.stderr
    assert "cost=0.5" in found.stderr
    assert "Warning" not in found.stderr


def test_a_widget_has_all_measurements_and_no_colour_of_errors():
    """However narrow the terminal is that the notebook was started from, and where training ends early."""
    shown = []
    with ProgressBar(total=100, ncols=40, file=io.StringIO()) as bar:
        bar.container, bar.disp = None, lambda **options: shown.append(options)
        bar.update(67)
        bar.show(67, 100, MEASURED)
        assert re.findall(r"\S+=\S+", str(bar)) == ITEMS
        bar.end("stopped early")
    assert shown[-1]["bar_style"] == "info"
