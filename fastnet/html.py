"""Small pieces of HTML for notebooks, which bring the colours: there are none here, so that dark themes work."""

import math
from collections.abc import Iterable, Sequence
from html import escape

_ALIGN = {"l": "left", "r": "right"}


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    aligned: str,
    caption: str,
    drawings: Sequence[str] = (),
) -> str:
    """A table of escaped texts, with a caption below it.

    Parameters
    ----------
    header : sequence of str
        One text a column.
    rows : iterable of sequences of str
        One text a column, in each.
    aligned : str
        A letter a column: "l" for left and "r" for right.
    caption : str
    drawings : sequence of str
        HTML of a last column, one a row, which is not escaped; empty for no such column.

    Examples
    --------
    >>> "1 &lt; 2</td>" in table(["layer"], [["1 < 2"]], aligned="l", caption="")
    True
    """
    styles = [f'style="text-align: {_ALIGN[letter]}"' for letter in aligned]
    head = "".join(f"<th {style}>{escape(text)}</th>" for text, style in zip(header, styles, strict=True))
    lines = [
        "".join(f"<td {style}>{escape(text)}</td>" for text, style in zip(row, styles, strict=True)) for row in rows
    ]
    if drawings:
        head += "<th></th>"
        lines = [f"{line}<td>{drawing}</td>" for line, drawing in zip(lines, drawings, strict=True)]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    below = f'<caption style="caption-side: bottom; text-align: left">{escape(caption)}</caption>' if caption else ""
    return f"<table>{below}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def sparkline(values: Sequence[float], width: int = 120, height: int = 20) -> str:
    """Numbers as a small line of SVG, in the colour of the text, with gaps where they are not finite.

    Examples
    --------
    >>> "M1.0 19.0L119.0 1.0" in sparkline([0.0, 2.0])
    True
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    across = (width - 2) / max(1, len(values) - 1)
    path, command = [], "M"
    for index, value in enumerate(values):
        if math.isfinite(value):
            share = 0.5 if high == low else (value - low) / (high - low)
            place = f"{1 + across * index:.1f} {height - 1 - (height - 2) * share:.1f}"
            # A line of no length has round ends, and so shows a number between two gaps.
            path.append(f"M{place}L{place}" if command == "M" and _is_alone(values, index) else f"{command}{place}")
            command = "L"
        else:
            command = "M"
    line = f'<path d="{"".join(path)}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"/>'
    return f'<svg width="{width}" height="{height}" role="img" aria-label="by epoch">{line}</svg>'


def _is_alone(values: Sequence[float], index: int) -> bool:
    return index + 1 == len(values) or not math.isfinite(values[index + 1])
