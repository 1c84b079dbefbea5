"""Records as people read them (text) and as programs do (JSON, CSV); `pictures` has them drawn."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .estimators import OURS, THEIRS
from .race import best_ratios, geometric_mean
from .workloads import find_workload, group_of

Record = Mapping[str, Any]


def as_json(records: Sequence[Record]) -> str:
    return json.dumps(list(records), indent=1)


def as_csv(records: Sequence[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        shape = record.get("shape")
        writer.writerow({**record, **({} if shape is None else {"shape": "x".join(map(str, shape))})})
    return text.getvalue().rstrip("\n")


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """Columns under the first row's headings: the first one to the left, all others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(line.rstrip() for line in lines)


def kernels_text(records: Sequence[Record]) -> str:
    """A line a record, with a column for the layout if any but C was measured."""
    layouts = any(record["layout"] != "C" for record in records)
    layout = ["layout"] if layouts else []
    rows = [["kernel", "shape", *layout, "backend", "threads", "time", "rate", "of limit", "speed-up", "error"]]
    for record in records:
        flops, speedup, error = record["gflops"], record["speedup"], record["error"]
        rows.append(
            [
                record["kernel"],
                "x".join(map(str, record["shape"])),
                *([record["layout"]] if layouts else []),
                record["backend"],
                str(record["threads"]),
                readable_time(record["seconds"]),
                f"{record['gbytes']:.1f} GB/s" if flops is None else f"{flops:.1f} GFLOP/s",
                f"{record['fraction']:.0%}",
                "-" if speedup is None else f"{speedup:.2f}x",
                "-" if error is None else f"{error:.1e}",
            ]
        )
    return as_text(rows)


def readable_time(seconds: float) -> str:
    """ "12.3 us", "4.56 ms", "7.89 s": three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds / size < 999.5 else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def peers_text(records: Sequence[Record]) -> str:
    """For each number of threads tables of steps and calls, and one of fits: times, and the best peer's ratio."""
    steps = [("trainings", "inferences"), ("convolutions",), ("sequences",), ("optimizers",)]
    parts = []
    for threads in sorted({record["threads"] for record in records}):
        here = [record for record in records if record["threads"] == threads]
        for unit, size, groups in (*(("us a step", 1e-6, groups) for groups in steps), ("ms a fit", 1e-3, ("fits",))):
            if chosen := [record for record in here if record["group"] in groups]:
                parts.append(_peers_table(chosen, threads, unit, size))
    return "\n\n".join(parts)


def _peers_table(records: Sequence[Record], threads: int, unit: str, size: float) -> str:
    names = list(dict.fromkeys(record["peer"] for record in records))
    ratios = best_ratios(records, threads)
    rows = [[f"{unit}, {threads} thread{'s' * (threads > 1)}", *names, "best peer / fastnet"]]
    for workload in dict.fromkeys(record["workload"] for record in records):
        times = {record["peer"]: _time(record, size) for record in records if record["workload"] == workload}
        training = find_workload(workload)
        label = f"inference, {workload}" if training is None else training.label
        ratio = f"{ratios[workload]:.2f}x" if workload in ratios else "-"
        rows.append([label, *(times.get(name, "-") for name in names), ratio])
    text = as_text(rows)
    trained = [ratio for workload, ratio in ratios.items() if find_workload(workload) is not None]
    if trained:
        what = "fits" if group_of(next(iter(ratios))) == "fits" else "training"
        text += f"\ngeometric mean of the best peer's time over fastnet's, {what}: {geometric_mean(trained):.2f}x"
        text += f"; slowest {min(trained):.2f}x, {sum(ratio < 1 for ratio in trained)} of {len(trained)} below 1x"
    return text


def estimators_text(records: Sequence[Record]) -> str:
    """A line a data set and number of threads: fits and predictions of both, how much sooner fastnet's are there."""
    heads = ["data", "threads", "scikit-learn", "fastnet", "ratio", "of limit", "losses differ by"]
    rows = [[*heads, "score", "fastnet's", "one row", "fastnet's", "ratio"]]
    ratios: dict[int, list[tuple[float, float]]] = {}
    for theirs in records:
        if theirs["estimator"] != THEIRS:
            continue
        key = theirs["data"], theirs["threads"]
        ours = next(r for r in records if r["estimator"] == OURS and (r["data"], r["threads"]) == key)
        agrees = ours["agrees"]
        if agrees:
            ratios.setdefault(theirs["threads"], []).append((theirs["ratio"], theirs["row_ratio"]))
        rows.append(
            [
                f"{theirs['data']} {theirs['samples']}x{theirs['features']}, {theirs['epochs']} epochs",
                str(theirs["threads"]),
                readable_time(theirs["seconds"]),
                readable_time(ours["seconds"]),
                f"{theirs['ratio']:.2f}x" if agrees else "void",
                f"{ours['fraction']:.0%}",
                f"{ours['difference']:.1e}",
                f"{theirs['score']:.4f}",
                f"{ours['score']:.4f}",
                readable_time(theirs["row_seconds"]),
                readable_time(ours["row_seconds"]),
                f"{theirs['row_ratio']:.1f}x" if agrees else "void",
            ]
        )
    lines = [as_text(rows)]
    for threads, found in ratios.items():
        fits, predictions = (geometric_mean(values) for values in zip(*found, strict=True))
        lines.append(
            f"geometric mean of scikit-learn's time over fastnet's, {threads} thread{'s' * (threads > 1)}: "
            f"a fit {fits:.2f}x, a predict of one row {predictions:.1f}x; slowest fit {min(found)[0]:.2f}x"
        )
    return "\n".join(lines)


def _time(record: Record, size: float) -> str:
    """The median and half the distance of the quartiles, in units of `size`; "void" where the final costs differ."""
    if not record["agrees"]:
        return "void"
    middle, half = record["seconds"] / size, (record["high"] - record["low"]) / 2 / size
    digits = 0 if middle >= 100 else 1
    return f"{middle:.{digits}f} ±{half:.{digits}f}"
