"""Formulas as MathML, which browsers draw by themselves: no script, no font, and nothing from another host."""

import re

from docutils import nodes
from latex2mathml.converter import convert

_FUNCTION = re.compile(r"<m[io]>(arg max|arg min|cos|exp|lim|ln|log|max|min|sin|tanh)</m[io]>(<mo[^>]*>&#x00028;)?")


def _spaced(found):
    """The name of a function with TeX's thin spaces around it, but for that before a bracket."""
    name, bracket = found.groups(default="")
    behind = "0" if bracket else "0.167em"
    return f'<mo form="prefix" lspace="0.167em" rspace="{behind}">{name}</mo>{bracket}'


def _mathml(node, display):
    latex = node.astext().replace(":=", "\u2254")  # one sign, and not two
    return _FUNCTION.sub(_spaced, convert(latex, display=display))


def _inline(writer, node):
    writer.body.append(_mathml(node, "inline"))
    raise nodes.SkipNode


def _block(writer, node):
    writer.body.append(f'<div class="math">{_mathml(node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
