"""Every benchmark once, in this process, so that none can rot; the figures mean nothing.

    python once.py             # all of them
    python once.py training.   # those with this in their name

Each value of every parameter is taken, but not all combinations of them: asv starts a process for each.
"""

import math
import sys
import time
from pathlib import Path

from asv_runner.discovery import disc_benchmarks

FOLDER = Path(__file__).parent / "benchmarks"
QUICK = type("Quick", (), {"number": 1, "repeat": 1, "warmup_time": 0.0})  # as asv has it with --quick


def combinations(parameters):
    """As many as the longest list has values; shorter lists begin anew."""
    for i in range(max(map(len, parameters), default=1)):
        yield tuple(values[i % len(values)] for values in parameters)


def measure(benchmark, values):
    """The figure, or None if it cannot be taken here."""
    benchmark._current_params = values
    if benchmark.do_setup():
        return None
    try:
        found = benchmark.do_run()
    finally:
        benchmark.do_teardown()
    figure = found["samples"][0] if isinstance(found, dict) else found
    if not (math.isfinite(figure) and figure > 0):
        raise ValueError(f"{benchmark.name}{values} measures {figure}")
    return figure


def main(part=""):
    sys.path.insert(0, str(FOLDER.parent))
    import benchmarks.common

    benchmarks.common.ROUNDS = 1  # before the others are imported
    caches, count = {}, 0
    for benchmark in disc_benchmarks(str(FOLDER)):
        if part not in benchmark.name:
            continue
        start = time.perf_counter()
        benchmark._attr_sources.insert(0, QUICK)
        if (key := benchmark.setup_cache_key) is not None:
            if key not in caches:
                caches[key] = benchmark._setup_cache()
            benchmark.set_cache(caches[key])
        figures = [measure(benchmark, values) for values in combinations(benchmark._params)]
        if not any(figures):
            raise RuntimeError(f"{benchmark.name} cannot run here with any of its parameters")
        count += sum(figure is not None for figure in figures)
        print(f"{time.perf_counter() - start:7.1f} s  {benchmark.name}", flush=True)
    if count == 0:
        raise ValueError(f"no benchmark has {part!r} in its name")
    print(f"{count} benchmarks with parameters ran")


main(*sys.argv[1:])
