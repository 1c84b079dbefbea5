"""Examples that need nothing but what ships."""

import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_speakers_are_told_apart():
    script = runpy.run_path(str(EXAMPLES / "speakers.py"))
    assert script["main"]()["accuracy"] > 0.95
