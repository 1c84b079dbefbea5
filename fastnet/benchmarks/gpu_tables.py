"""What a run on a GPU came to, as people read it: tables of its tests and of its figures, from whatever there is."""

from collections.abc import Iterable, Mapping
from typing import Any

from .gpu import DTYPES
from .journal import Record, Sections, left_in
from .tables import as_text

TESTS = "tests "  # begins the name of each section of tests; what follows says which
_BAD = ("failed", "hung")
_MOST_ERRORS = 20


def summary(sections: Sections) -> str:
    """Tables of all that was measured; before them, what was left out, failed or was cut."""
    parts = [_troubles(sections), _tests(sections), _kernels(sections), _products(sections), _trainings(sections)]
    return "\n\n".join(part for part in parts if part)


def all_passed(sections: Sections) -> bool:
    """Whether there were tests, and all that were planned ended well."""
    tests = [section for name, section in sections.items() if name.startswith(TESTS)]
    return bool(tests) and all(left_in(section) == 0 and not _count(section, *_BAD) for section in tests)


def _count(section: Mapping[str, Any], *outcomes: str) -> int:
    return sum(outcome in outcomes for outcome in section.get("ended", {}).values())


def _records(sections: Sections, name: str) -> list[Record]:
    found: list[Record] = sections.get(name, {}).get("records", [])
    return found


def _troubles(sections: Sections) -> str:
    lines = [note for section in sections.values() for note in section.get("notes", [])]
    errors = []
    for name, section in sections.items():
        left = left_in(section)
        if left is None:
            lines.append(f"{name}: it did not begin")
        elif left > 0:
            last = f", the last was {section['trying']}" if "trying" in section else ""
            lines.append(f"{name}: {left} of {section['planned']} not done{last}")
        for item, error in section.get("errors", {}).items():
            # Of pytest's text, the lines that begin with E are the error.
            said = [line[1:].strip() for line in error.splitlines() if line.startswith("E ")] or error.splitlines()
            errors.append(f"{name}: {item} {section['ended'].get(item)}: {said[0] if said else ''}"[:250])
    more = len(errors) - _MOST_ERRORS
    return "\n".join([*lines, *errors[:_MOST_ERRORS], *([f"and {more} more"] if more > 0 else [])])


def _tests(sections: Sections) -> str:
    rows = [["tests", "passed", "failed", "hung", "skipped", "not run"]]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for name, section in sections.items():
        if name.startswith(TESTS):
            groups.setdefault(name.removeprefix(TESTS).split(",")[0], []).append(section)
    for name, group in groups.items():
        counts = [sum(_count(section, outcome) for section in group) for outcome in (*("passed", *_BAD), "skipped")]
        left = [left_in(section) for section in group]
        rows.append([name, *map(str, counts), "?" if None in left else str(sum(n or 0 for n in left))])
    return as_text(rows) if groups else ""


def _limit(sections: Sections, key: str, dtype: str) -> float | None:
    """The copy's GB/s, or the multiply-adds' TFLOP/s, if they were measured."""
    for record in _records(sections, "limits"):
        found: float = record["gbytes"] if key == "gbytes" else record["tflops"][dtype]
        return found
    return None


def _share(value: float | None, limit: float | None) -> str:
    return "-" if value is None or limit is None else f"{value / limit:.0%}"


def _kernels(sections: Sections) -> str:
    units = {"gbytes": ("GB/s", "copy bandwidth"), "tflops": ("TFLOP/s", "multiply-adds")}
    heading = ["kernel", "limit"]
    rows = [[*heading, *(cell for dtype in DTYPES for cell in (dtype, "of limit", "us a call"))]]
    records = _records(sections, "kernels")
    for kernel in _distinct(records, "kernel"):
        theirs = {record["dtype"]: record for record in records if record["kernel"] == kernel}
        key = next(key for key in units if key in next(iter(theirs.values())))
        row = [kernel, units[key][1]]
        for dtype in DTYPES:
            if dtype not in theirs:
                row += ["-"] * 3
                continue
            rate, call = theirs[dtype][key], theirs[dtype]["microseconds_a_call"]
            row += [f"{rate:g} {units[key][0]}", _share(rate, _limit(sections, key, dtype)), f"{call:g}"]
        rows.append(row)
    return as_text(rows) if records else ""


def _products(sections: Sections) -> str:
    records = _records(sections, "products")
    others = [who for who in _distinct(records, "who") if who != "fastnet"]
    rows = [["product, TFLOP/s", "fastnet", "of multiply-adds", *(cell for who in others for cell in (who, "ratio"))]]
    found = {(record["dtype"], record["side"], record["who"]): record["tflops"] for record in records}
    for dtype, side in dict.fromkeys((record["dtype"], record["side"]) for record in records):
        ours = found.get((dtype, side, "fastnet"))
        row = [f"{dtype} {side}", _number(ours), _share(ours, _limit(sections, "tflops", dtype))]
        for who in others:
            theirs = found.get((dtype, side, who))
            row += [_number(theirs), "-" if ours is None or theirs is None else f"{ours / theirs:.2f}"]
        rows.append(row)
    return as_text(rows) if records else ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _trainings(sections: Sections) -> str:
    records = _records(sections, "trainings")
    names = _distinct(records, "peer")
    ours = next((name for name in names if name.startswith("fastnet")), "fastnet")
    others = [name for name in names if name != ours]
    rows = [["training, us a step", ours, *(cell for name in others for cell in (name, "/ ours"))]]
    found = {(record["workload"], record["peer"]): record for record in records}
    for workload in _distinct(records, "workload"):
        own = found.get((workload, ours))
        row = [workload, _microseconds(own)]
        for name in others:
            theirs = found.get((workload, name))
            if own is None or theirs is None or not own["agrees"] or not theirs["agrees"]:
                row += [_microseconds(theirs), "-"]
            else:
                row += [_microseconds(theirs), f"{theirs['seconds'] / own['seconds']:.2f}"]
        rows.append(row)
    return as_text(rows) if records else ""


def _microseconds(record: Record | None) -> str:
    """ "void" of one whose weights cost something else than everybody's."""
    if record is None or not record["agrees"]:
        return "-" if record is None else "void"
    return f"{record['seconds'] * 1e6:.{0 if record['seconds'] >= 1e-4 else 1}f}"


def _distinct(records: Iterable[Record], key: str) -> list[str]:
    return list(dict.fromkeys(record[key] for record in records))
