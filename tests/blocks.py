"""Blocks of Python in pages of the documentation: shown ones, and cells of notebooks, which the site's build runs."""

import re

# What stands before it in a comment says what it needs: "matplotlib", "a GPU"; lines of options follow a cell's fence.
BLOCK = re.compile(
    r"^(?:<!-- needs ([^\n]*) -->\n)?```(?:python|\{code-cell\} python(?:\n:[^\n]*)*)\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def blocks_of(text, has=lambda needed: True):
    """The code of each block, in order, but of those that need what is not there."""
    return [code for needed, code in BLOCK.findall(text) if not needed or has(needed)]


def run_blocks(blocks, name):
    """One session: from top to bottom, as a reader would type them."""
    session = {"__name__": "__main__"}
    for place, code in enumerate(blocks):
        exec(compile(code, f"{name}, block {place}", "exec"), session)
