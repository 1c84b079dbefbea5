"""All that a GPU is asked for: the tests, then the figures, each part in processes of its own that time is kept for.

    python tests/cuda/on_gpu.py FOLDER

ends within 8 minutes, whatever hangs or fails. What is known goes to FOLDER/results.json at once (see
`fastnet.benchmarks.journal`), what the parts print to log.txt, and the tables at the end to summary.txt, too. They come
when it is ended early as well. The status is 0 if all tests passed. `on_gpu.sh` makes the environment.
"""

import contextlib
import fnmatch
import importlib.metadata
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from fastnet.benchmarks.gpu_tables import TESTS, all_passed, summary
from fastnet.benchmarks.journal import changing, left_in, read

HERE = Path(__file__).resolve().parent
START = time.monotonic()
MOST_SECONDS = 450  # for all parts; they are ended, and tables printed, in some more
LEAST_SECONDS = 5  # for which it is worth to begin with a part
ALARM_SECONDS = 470  # after which this process itself must be in some call that does not return

# Seconds for each kind of part, and for an item of it where that is not for `fastnet.benchmarks.gpu` to say.
GPU, TEST, FIGURES = 60, 200, {"limits": 45, "kernels": 90, "products": 75, "trainings": 180}
PATIENCE, PATIENCE_WITH_TOOLS = 75, 120
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
FORESEEN = {  # a distribution, which may be one of several: what is left out without it
    "numba-cuda": "all that needs a GPU",
    "pytest": "all tests",
    "nvmath-python": "cuBLAS called by itself; a product of PyTorch or CuPy stands in for it, if they are there",
    "torch": "PyTorch's trainings",
    "jax-cuda*-plugin": "JAX's trainings, which need its plugin for CUDA",
}
SHOWN = ("numpy", "numba", *FORESEEN, "cuda-bindings", "nvidia-cublas*", "jax", "cupy*", "safetensors", "tqdm")


class Part:
    """A process that fills one section of the results. If it ends before it is done, another goes on behind that."""

    def __init__(self, results, section, *command, **environment):
        self.results, self.section, self.command = results, section, [sys.executable, *map(str, command)]
        self.environment, self.process = {**os.environ, **environment}, None
        with changing(results) as sections:
            sections.setdefault(section, {})

    def start(self):
        self.found = read(self.results)[self.section]
        with (self.results.parent / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                cwd=HERE.parents[1], process_group=0,
            )  # fmt: skip

    def goes_on(self):
        if self.process.poll() is None:
            return True
        self.kill()  # what it has left behind
        self.process, found = None, read(self.results)[self.section]
        if left_in(found) == 0 or found == self.found:
            return False
        self.start()
        return True

    def kill(self):
        """The process, and all that it has started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def run(name, parts, seconds):
    """Run parts side by side for so many seconds at the most, or for what is left of all time."""
    now, end = time.monotonic(), START + MOST_SECONDS
    if end - now < LEAST_SECONDS:
        say(f"{name}: no time is left")
        return
    until = min(now + seconds, end)
    try:
        for part in parts:
            part.start()
        running = parts
        while (running := [part for part in running if part.goes_on()]) and time.monotonic() < until:
            time.sleep(0.05)
        errors = sum(len(read(part.results)[part.section].get("errors", ())) for part in parts)
        say(f"{name}: {'out of time' if running else 'done'}{f', {errors} failed or hung' if errors else ''}")
    finally:
        for part in parts:
            part.kill()
        for part in parts:
            if part.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):  # of one that a driver does not let go
                    part.process.wait(1)


def say(line):
    print(f"[{time.monotonic() - START:3.0f} s] {line}")


def look_around():
    """Print what is installed, and what is left out for want of it."""
    versions = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.name or "?"  # of an installation that was damaged
        versions.setdefault(name.lower().replace("_", "-"), distribution.version)
    print(f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores")
    found = {pattern: fnmatch.filter(versions, pattern) for pattern in SHOWN}
    print(", ".join(f"{name} {versions[name]}" for names in found.values() for name in names))
    if shutil.which("nvidia-smi"):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
            print(subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip())
    for name, what in FORESEEN.items():
        if not found[name]:
            print(f"missing: {name}; left out: {what}")
    if shutil.which("compute-sanitizer") is None:
        print("missing: compute-sanitizer; left out: tests of memory and barriers")


def tests(results):
    """The tests that need a GPU, for several processes as far as there are cores: most of the time kernels compile."""
    cores, parts = len(os.sched_getaffinity(0)), []
    for name, path, count in (
        ("kernels", HERE.parent / "kernels" / "test_kernels.py", max(1, cores // 8)),
        ("networks", HERE / "networks.py", max(1, cores // 4)),
        ("sequences", HERE / "sequences.py", max(1, cores // 8)),
    ):
        for number in range(count):
            section = f"{TESTS}{name}, {number + 1} of {count}"
            arguments = (HERE / "recorded.py", results, section, number, count, PATIENCE, path)
            parts.append(Part(results, section, *arguments, FASTNET_TEST_BACKEND="cuda", NUMBA_NUM_THREADS="2"))
    return parts


def other_tests(results, has_gpu):
    """Those around them: of launches and errors, without a GPU, and with NVIDIA's tools on one."""
    section, chosen = f"{TESTS}others", "not slow" if has_gpu else "not slow and not gpu"
    selection = ("-m", chosen, "--deselect", "tests/cuda/test_cuda.py::test_on_the_gpu", HERE / "test_cuda.py")
    return Part(results, section, HERE / "recorded.py", results, section, 0, 1, PATIENCE_WITH_TOOLS, *selection)


def figures(results, name):
    return Part(results, name, "-m", "fastnet.benchmarks.gpu", results, name)


def run_all(results):
    on_gpu = tests(results)
    run("gpu", [figures(results, "gpu")], GPU)
    found = read(results)["gpu"]
    gpu = next(iter(found.get("records", ())), None)
    has_gpu = gpu is not None and not gpu["is_simulated"]
    if gpu is None:
        print(f"no tests on a GPU, and no figures: {found.get('errors', {}).get('gpu', 'it was not found in time')}")
    else:
        print(f"GPU: {gpu['gpu']}{'' if has_gpu else ', and so no figures'}")
    run("tests", [*(on_gpu if gpu else ()), other_tests(results, has_gpu)], TEST)
    for name in FIGURES if has_gpu else ():
        run(name, [figures(results, name)], FIGURES[name])


def stop(number, _):
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # what follows is short
    raise KeyboardInterrupt(signal.Signals(number).name)


def main(folder):
    sys.stdout.reconfigure(line_buffering=True)
    results = folder / "results.json"
    for path in (results, folder / "log.txt"):
        path.unlink(missing_ok=True)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    signal.alarm(ALARM_SECONDS)
    try:
        look_around()
        run_all(results)
    except KeyboardInterrupt as signal_:
        say(f"ended by {signal_}")
    except Exception:
        traceback.print_exc()  # and still show what there is
    signal.alarm(0)
    sections = read(results)
    text = summary(sections)
    (folder / "summary.txt").write_text(text + "\n")
    print(f"\n{text}")
    return 0 if all_passed(sections) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
