"""Formulas as MathML, which browsers draw by themselves: no script, no font, and nothing from another host."""

from docutils import nodes
from latex2mathml.converter import convert


def _mathml(node, display):
    return convert(node.astext().replace(":=", "\u2254"), display=display)  # one sign, and not two


def _inline(writer, node):
    writer.body.append(_mathml(node, "inline"))
    raise nodes.SkipNode


def _block(writer, node):
    writer.body.append(f'<div class="math">{_mathml(node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
