"""Records as pictures, one a kind of kernel or of workload: bars for each case, numbers of threads side by side.

Lengths are pixels at 120 dots an inch, in which rows are laid out, so that text can be read at 100 % and a picture fits
a screen or two; what would be taller than that becomes several pictures.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .kernels import SUBJECTS
from .workloads import find_workload

Record = Mapping[str, Any]
Case = tuple[str, str]  # what is measured, and at which size

_DPI = 120
_TALLEST = 1600
_HEAD, _FOOT = 96, 62  # of title, legend and the panels' titles; of the axis and its label
_BAR, _GAP, _BETWEEN = 13, 5, 6  # a bar; what follows a case; and what follows the last case of a kernel
_PANEL, _ONE_PANEL = 470, 760
_TEXT = 7.0  # points: 12 pixels

# Colours that the colour-blind can tell apart (Okabe and Ito, 2008), and patterns for who sees none.
_STYLES = {
    "fastnet": ("#0072B2", ""),
    "cpu": ("#0072B2", ""),
    "fastnet CUDA": ("#009E73", "..."),
    "cuda": ("#009E73", "..."),
    "NumPy": ("#999999", ""),
    "reference": ("#999999", ""),
    "PyTorch": ("#E69F00", "////"),
    "PyTorch CUDA": ("#E69F00", "xxxx"),
    "PyTorch compiled": ("#D55E00", "\\\\\\\\"),
    "PyTorch CUDA graph": ("#D55E00", "++++"),
    "PyTorch channels last": ("#F4C874", ""),
    "JAX": ("#CC79A7", "||||"),
    "JAX steps": ("#CC79A7", "oo"),
    "JAX CUDA": ("#CC79A7", "oo"),
    "scikit-learn": ("#56B4E9", "----"),
    "ONNX Runtime": ("#F0E442", "xx"),
}
_LEGEND = {"reference": "NumPy (reference)", "cpu": "fastnet (cpu)", "cuda": "fastnet (cuda)"}
_TITLES = {
    "products": "Products",
    "activations": "Activations",
    "derivatives": "Derivatives of activations",
    "losses": "Losses and their gradients",
    "layers": "Normalisations, dropout and pooling",
    "updates": "Updates of the parameters",
    "steps": "Trainings, a step, and inferences, a call",
    "convolutions": "Convolutional networks: trainings, a step, and inferences, a call",
    "optimizers": "Trainings by other optimizers than plain gradient descent, a step",
    "sequences": "Recurrent networks: trainings, a step, and inferences, a call",
    "fits": "Whole fits: 20 epochs of Adam",
    "estimators": "Whole fits of scikit-learn's perceptrons, with their defaults",
    "rows": "A prediction of one row",
}


@dataclass
class Picture:
    """All bars of one kind: for each panel, case and contestant a share of 1, or a time, whose axis is logarithmic."""

    title: str
    label: str
    shares: bool
    panels: dict[str, dict[Case, dict[str, float]]]

    @property
    def cases(self) -> list[Case]:
        return list(dict.fromkeys(case for panel in self.panels.values() for case in panel))

    @property
    def contestants(self) -> list[str]:
        groups = [group for panel in self.panels.values() for group in panel.values()]
        return list(dict.fromkeys(name for group in groups for name in group))

    def parts(self) -> list["Picture"]:
        """This one, or where it would be too tall, as few as can be, of about the same height, with whole kernels."""
        bars, tallest = len(self.contestants), _TALLEST - _HEAD - _FOOT
        most = max(1, tallest // (bars * _BAR + _GAP) - 1)
        kernels = [list(kernel) for _, kernel in itertools.groupby(self.cases, key=lambda case: case[0])]
        pieces = [kernel[i : i + most] for kernel in kernels for i in range(0, len(kernel), most)]
        for count in range(1, len(pieces) + 1):
            parts = _shared_out(pieces, count)
            if all(_rows(part, bars)[1] <= tallest for part in parts):
                break
        return [self._of(part) for part in parts]

    def _of(self, cases: Sequence[Case]) -> "Picture":
        panels = {name: {case: panel[case] for case in cases if case in panel} for name, panel in self.panels.items()}
        return Picture(self.title, self.label, self.shares, panels)


def _shared_out(pieces: Sequence[Sequence[Case]], count: int) -> list[list[Case]]:
    """The cases of all pieces, in order, in at most `count` parts of about as many."""
    parts: list[list[Case]] = [[] for _ in range(count)]
    total, done = sum(map(len, pieces)), 0
    for piece in pieces:
        parts[int(count * (done + len(piece) / 2) / total)] += piece
        done += len(piece)
    return [part for part in parts if part]


def draw(records: Sequence[Record], path: Path) -> list[Path]:
    """Write a picture a kind, and return the paths: `path` for a single picture, else with the kind in its name."""
    of_kind = _kernels if "kernel" in records[0] else _estimators if "estimator" in records[0] else _peers
    found = of_kind(records)
    pictures = {}
    for kind, picture in found.items():
        parts = picture.parts()
        for number, part in enumerate(parts, start=1):
            pictures[kind if len(parts) == 1 else f"{kind}-{number}"] = part
    paths = []
    for name, picture in pictures.items():
        paths.append(path if len(pictures) == 1 else path.with_name(f"{path.stem}-{name}{path.suffix}"))
        figure(picture).savefig(paths[-1], dpi=_DPI)
    return paths


def _kernels(records: Sequence[Record]) -> dict[str, Picture]:
    found: dict[str, Picture] = {}
    layouts = any(record["layout"] != "C" for record in records)
    label = "share of this machine's limit, % (longer is better)"
    for record in records:
        kind = SUBJECTS[record["kernel"]].kind
        title = f"{_TITLES[kind]}, {record['dtype']}: how near each comes to what this machine can do"
        size = "x".join(map(str, record["shape"])) + (f" {record['layout']}" if layouts else "")
        picture = found.setdefault(kind, Picture(title, label, True, {}))
        case = picture.panels.setdefault(_threads(record), {}).setdefault((record["kernel"], size), {})
        case[record["backend"]] = record["fraction"]
    return found


def _peers(records: Sequence[Record]) -> dict[str, Picture]:
    found: dict[str, Picture] = {}
    for record in records:
        kind = record["group"] if record["group"] in _TITLES else "steps"
        unit, size = ("seconds", 1.0) if kind == "fits" else ("microseconds", 1e-6)
        label = f"{unit}, logarithmic (shorter is better)"
        picture = found.setdefault(kind, Picture(f"{_TITLES[kind]}, {record['dtype']}", label, False, {}))
        workload = find_workload(record["workload"])
        about = "inference" if workload is None else workload.label.removeprefix(f"{record['workload']} ")
        case = picture.panels.setdefault(_threads(record), {}).setdefault((record["workload"], about), {})
        if record["agrees"]:
            case[record["peer"]] = record["seconds"] / size
    return found


def _estimators(records: Sequence[Record]) -> dict[str, Picture]:
    found: dict[str, Picture] = {}
    for record in records:
        for kind, name, unit, size in (
            ("estimators", "seconds", "seconds", 1.0),
            ("rows", "row_seconds", "microseconds", 1e-6),
        ):
            title, label = f"{_TITLES[kind]}, {record['dtype']}", f"{unit}, logarithmic (shorter is better)"
            picture = found.setdefault(kind, Picture(title, label, False, {}))
            about = f"{record['samples']}x{record['features']}"
            case = picture.panels.setdefault(_threads(record), {}).setdefault((record["data"], about), {})
            if record["agrees"]:
                case[record["estimator"]] = record[name] / size
    return found


def _threads(record: Record) -> str:
    return f"{record['threads']} thread{'s' * (record['threads'] > 1)}"


def _rows(cases: Sequence[Case], n_bars: int) -> tuple[list[int], int]:
    """The upper edge of each case, and the height of all."""
    tops, y = [], _GAP
    for case, following in itertools.zip_longest(cases, cases[1:]):
        tops.append(y)
        y += n_bars * _BAR + _GAP
        if following is None or following[0] != case[0]:
            y += _BETWEEN
    return tops, y


def figure(picture: Picture) -> Any:
    """The picture as a figure of matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install 'fastnet-numba[plot]'") from error

    cases, names = picture.cases, picture.contestants
    tops, height = _rows(cases, len(names))
    drawn = Figure(dpi=_DPI)
    renderer = FigureCanvasAgg(drawn).get_renderer()

    def width_of(texts: Sequence[str], weight: str = "normal") -> float:
        boxes = [drawn.text(0, 0, text, fontsize=_TEXT, weight=weight) for text in texts]
        widths = [box.get_window_extent(renderer).width for box in boxes]
        for box in boxes:
            box.remove()
        return float(max(widths))

    sizes = width_of([size for _, size in cases])
    left = 24 + width_of([name for name, _ in cases], "bold") + 12 + sizes + 8
    panel = _ONE_PANEL if len(picture.panels) == 1 else _PANEL
    width, total = left + len(picture.panels) * (panel + 24), _HEAD + height + _FOOT
    drawn.set_size_inches(width / _DPI, total / _DPI)
    drawn.text(24 / width, 1 - 14 / total, picture.title, fontsize=10, weight="bold", va="top")
    axes = []
    for place, (title, values) in enumerate(picture.panels.items()):
        corner = (left + place * (panel + 24)) / width, _FOOT / total
        ax = drawn.add_axes((*corner, panel / width, height / total))
        _draw_panel(ax, picture, values, cases, tops, height)
        ax.set_title(title, fontsize=8.5, loc="left")
        axes.append(ax)
    low, high = min(ax.get_xlim()[0] for ax in axes), max(ax.get_xlim()[1] for ax in axes)
    for ax in axes:  # the same axis, so that panels can be compared
        ax.set_xlim(low, high)
    for (name, size), top in zip(cases, tops, strict=True):
        middle = ("axes fraction", "data")
        y = top + len(names) * _BAR / 2
        text = {"xycoords": middle, "textcoords": "offset pixels", "va": "center", "ha": "right", "fontsize": _TEXT}
        axes[0].annotate(size, (0, y), (-8, 0), **text)
        if cases.index((name, size)) == next(i for i, case in enumerate(cases) if case[0] == name):
            axes[0].annotate(name, (0, y), (-8 - sizes - 12, 0), weight="bold", **text)
    patches = [Patch(label=_LEGEND.get(name, name), **_style(name)) for name in names]
    where = {"loc": "upper left", "bbox_to_anchor": (16 / width, 1 - 36 / total), "borderaxespad": 0}
    drawn.legend(handles=patches, ncols=min(len(names), 8), frameon=False, fontsize=8, columnspacing=1.5, **where)
    return drawn


def _style(name: str) -> dict[str, Any]:
    color, hatch = _STYLES.get(name, ("#000000", "////"))
    return {"facecolor": color, "hatch": hatch, "edgecolor": "white", "linewidth": 0}


def _draw_panel(
    ax: Any,
    picture: Picture,
    values: Mapping[Case, Mapping[str, float]],
    cases: Sequence[Case],
    tops: Sequence[int],
    height: int,
) -> None:
    """The bars of one panel, each with its number at its end."""
    # Of all panels: bars begin at the axis in each of them.
    from matplotlib.ticker import LogLocator

    numbers = [value for panel in picture.panels.values() for group in panel.values() for value in group.values()]
    if picture.shares:
        ax.set_xlim(0, 114)
        ax.set_xticks(range(0, 101, 20))
    else:
        ax.set_xscale("log")
        ax.set_xlim(min(numbers, default=1) / 2, max(numbers, default=1) * 4)
        if max(numbers, default=1) < 20 * min(numbers, default=1):  # else there might be a single power of ten
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        ax.xaxis.set_minor_formatter("")
    start = ax.get_xlim()[0]
    for case, top in zip(cases, tops, strict=True):
        for place, name in enumerate(picture.contestants):
            if (value := values.get(case, {}).get(name)) is None:
                continue
            end, text, weight = value, _number(value), "normal"
            if picture.shares:
                end, text = min(100, 100 * value), _percent(100 * value)
                weight = "bold" if value > 1 else "normal"
            y = top + (place + 0.5) * _BAR
            ax.barh(y, end - start, _BAR - 1, left=start, zorder=2, **_style(name))
            ax.annotate(text, (end, y), (4, -1), textcoords="offset pixels", va="center", fontsize=_TEXT, weight=weight)
    for (case, top), following in zip(zip(cases, tops, strict=True), cases[1:], strict=False):
        if following[0] != case[0]:
            bottom = top + len(picture.contestants) * _BAR + (_GAP + _BETWEEN) / 2
            ax.axhline(bottom, color="#CCCCCC", linewidth=0.6)
    ax.set_ylim(height, 0)
    ax.set_yticks([])
    ax.tick_params(axis="x", labelsize=_TEXT)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6, zorder=0)
    ax.set_axisbelow(True)
    ax.set_xlabel(picture.label, fontsize=8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _percent(share: float) -> str:
    """ "0.03 %", "4.2 %", "86 %"."""
    if share < 0.0095:
        return "<0.01 %"
    return f"{share:.0f} %" if share >= 9.95 else f"{share:.1f} %" if share >= 0.95 else f"{share:.1g} %"


def _number(value: float) -> str:
    """Three digits, or all before the point: "0.0123", "4.56", "183,605"."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
