"""Records as people read them (text), as programs do (JSON, CSV), and as a picture."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .race import best_ratios, geometric_mean
from .workloads import find_workload

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
    rows = [["kernel", "shape", "backend", "threads", "time", "rate", "of limit", "speed-up", "error"]]
    for record in records:
        flops = record["gflops"]
        rows.append(
            [
                record["kernel"],
                "x".join(map(str, record["shape"])),
                record["backend"],
                str(record["threads"]),
                readable_time(record["seconds"]),
                f"{record['gbytes']:.1f} GB/s" if flops is None else f"{flops:.1f} GFLOP/s",
                f"{record['fraction']:.0%}",
                f"{record['speedup']:.2f}x",
                f"{record['error']:.1e}",
            ]
        )
    return as_text(rows)


def readable_time(seconds: float) -> str:
    """ "12.3 us", "4.56 ms", "7.89 s": three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds / size < 999.5 else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def plot(records: Sequence[Record], path: Path) -> None:
    """A picture of the records of either comparison, as bars for each case."""
    from ..plots import plot_groups

    values: dict[str, dict[str, float]] = {}
    for record in records:
        threads = f"{record['threads']} thread{'s' * (record['threads'] > 1)}"
        if "kernel" in record:
            group = f"{record['kernel']} {'x'.join(map(str, record['shape']))}, {threads}"
            values.setdefault(group, {})[record["backend"]] = record["fraction"]
        elif record["agrees"]:
            values.setdefault(f"{record['workload']}, {threads}", {})[record["peer"]] = record["seconds"] * 1e6
    label = "fraction of this machine's limit" if "kernel" in records[0] else "microseconds a step or call"
    plot_groups(values, label).savefig(path, dpi=120)


def peers_text(records: Sequence[Record]) -> str:
    """For each number of threads a table: microseconds of everyone, and the best peer's ratio to fastnet."""
    parts = []
    for threads in sorted({record["threads"] for record in records}):
        here = [record for record in records if record["threads"] == threads]
        names = list(dict.fromkeys(record["peer"] for record in here))
        ratios = best_ratios(here, threads)
        rows = [[f"us a step, {threads} thread{'s' * (threads > 1)}", *names, "best peer / fastnet"]]
        for workload in dict.fromkeys(record["workload"] for record in here):
            times = {record["peer"]: _microseconds(record) for record in here if record["workload"] == workload}
            training = find_workload(workload)
            label = f"inference, {workload}" if training is None else training.label
            ratio = f"{ratios[workload]:.2f}x" if workload in ratios else "-"
            rows.append([label, *(times.get(name, "-") for name in names), ratio])
        text = as_text(rows)
        trained = [ratio for workload, ratio in ratios.items() if find_workload(workload) is not None]
        if trained:
            text += f"\ngeometric mean of the best peer's time over fastnet's, training: {geometric_mean(trained):.2f}x"
            text += f"; slowest {min(trained):.2f}x, {sum(ratio < 1 for ratio in trained)} of {len(trained)} below 1x"
        parts.append(text)
    return "\n\n".join(parts)


def _microseconds(record: Record) -> str:
    """The median and half the distance of the quartiles; "void" where the final costs differ."""
    if not record["agrees"]:
        return "void"
    middle, half = record["seconds"] * 1e6, (record["high"] - record["low"]) / 2 * 1e6
    digits = 0 if middle >= 100 else 1
    return f"{middle:.{digits}f} ±{half:.{digits}f}"
