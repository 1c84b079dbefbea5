"""Docstrings as they are written here: plain text with formulas, code between backticks, and numpydoc's sections.

In reStructuredText `|W|` would be a substitution, `coefs_` a link and `a * b * c` perhaps emphasis, and an indented
example a quotation. So what is markup there is escaped, and an indented block behind a colon becomes code.
"""

import re

_MARKUP = re.compile(r"(?<=\w)_(?!\w)|[*|]")
_NAME_OF_SECTION = re.compile(r"^ *-{3,}$")


def _indent(line):
    return len(line) - len(line.lstrip())


def _escaped(paragraph):
    """What stands outside of backticks, which may go over lines."""
    parts = paragraph.split("`")
    return "`".join(part if i % 2 else _MARKUP.sub(r"\\\g<0>", part) for i, part in enumerate(parts))


def _blocks(lines):
    """(lines of text or of code, whether it is code): examples, and what is indented behind a colon."""
    block, is_code, margin = [], False, 0
    for place, line in enumerate(lines):
        starts_code = line.lstrip().startswith(">>>")
        if is_code:
            ends = not line.strip() if margin is None else line.strip() and _indent(line) <= margin
        else:
            before = [text for text in lines[:place] if text.strip()]
            behind_colon = (
                bool(line.strip()) and place and not lines[place - 1].strip() and before
                and before[-1].rstrip().endswith(":") and _indent(line) > _indent(before[-1])
            )  # fmt: skip
            if starts_code or behind_colon:
                yield block, False
                if behind_colon and not starts_code:
                    yield [":" * 2, ""], True
                block, is_code, margin = [], True, None if starts_code else _indent(before[-1])
            ends = False
        if ends:
            yield block, True
            block, is_code = [], False
        block.append(line)
    yield block, is_code


def _make_plain(app, what, name, obj, options, lines):
    found = []
    for block, is_code in _blocks(list(lines)):
        if is_code or not block:
            found += block
        else:
            found += _escaped("\n".join(block)).split("\n")
    lines[:] = found


def setup(app):
    app.connect("autodoc-process-docstring", _make_plain, priority=400)  # before numpydoc's
    return {"parallel_read_safe": True, "parallel_write_safe": True}
