"""Kernels side by side: the same formula in each of its backends, held against the limit of the machine."""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from fastnet_kernels import reference
from fastnet_kernels.first_use import imported

from ..checks import float_dtype, known, positive_integer
from .kernels import LAYOUTS, SUBJECTS, Case, Shape, backends, largest_error, make_case
from .limits import gpu_limit_seconds, limit_seconds, usable_threads
from .timing import samples, spread

PYTORCH = "PyTorch"
CONTESTANTS = ("reference", "cpu", "cuda", PYTORCH)

Progress = Callable[[str], object]


def contestants() -> tuple[dict[str, ModuleType], list[str]]:
    """The backends that can run here, and PyTorch where it is installed; and a line about each that is left out."""
    found, missing = backends()
    try:
        found[PYTORCH] = importlib.import_module("fastnet.benchmarks.pytorch_kernels")
    except (ImportError, OSError) as error:
        missing.append(f"{PYTORCH}: left out ({error}): pip install 'fastnet-numba[peers]'")
    return found, missing


def _chosen(names: Sequence[str] | None, layouts: Sequence[str], progress: Progress) -> dict[str, ModuleType]:
    """The contestants to be measured; ValueError if there are none."""
    for name in names or ():
        known("backend", name, CONTESTANTS)
    found, missing = contestants()
    wanted = CONTESTANTS if names is None else names
    for line in missing:
        if line.split(":")[0] in wanted:
            progress(line)
    chosen = {name: module for name, module in found.items() if name in wanted}
    if "cuda" in chosen and set(layouts) != {"C"}:
        progress("cuda: measured in layout C only")
    if not chosen or (list(chosen) == ["cuda"] and "C" not in layouts):
        raise ValueError(f"backends={names!r}: none of these can run here; choose from {', '.join(found)}")
    return chosen


def compare(
    kernels: Sequence[str] | None = None,
    shapes: Sequence[Shape] | None = None,
    *,
    dtype: Any = "float32",
    threads: int | Sequence[int] | None = None,
    rounds: int = 15,
    backends: Sequence[str] | None = None,
    layouts: Sequence[str] = ("C",),
    progress: Progress = lambda line: None,
) -> list[dict[str, Any]]:
    """Time kernels in every backend that can run here: reference (NumPy), cpu, cuda where there is a GPU, and PyTorch.

    PyTorch's operators stand beside them where it is installed: see `fastnet.benchmarks.pytorch_kernels`.

    Parameters
    ----------
    kernels : sequence of str, optional
        Names of `fastnet_kernels.reference`; all unless given.
    shapes : sequence of tuple of int, optional
        (m, n_prev, n) for the dense kernels, (m, n) for activations and losses, (n,) for updates; for convolutions
        (m, h, w, c, n, window height, window width), padded so that images keep their size: each kernel takes those
        that have as many numbers as its own. Without them every kernel has shapes from tiny to beyond the cache.
    dtype : str
        "float32" or "float64".
    threads : int or sequence of int, optional
        For all backends; as many as Numba uses unless given. Several are measured one after the other, and those that
        are more than there are left out. NumPy's own are held to it where threadpoolctl is installed.
    rounds : int
        Samples of each; the backends take turns.
    backends : sequence of str, optional
        Of "reference", "cpu", "cuda" and "PyTorch"; all unless given. What cannot run here is left out, and `progress`
        is told.
    layouts : sequence of str
        How arrays lie in memory: "C", with contiguous rows; "F", with contiguous columns; "strided", every other
        number of rows that are twice as long.
    progress : callable
        Called with a line of text before each case.

    Returns
    -------
    list of dict
        One record a kernel, shape, layout and backend, as `pandas.DataFrame` takes them: kernel, shape, dtype, layout,
        backend, threads; seconds a call (the median, called from Python) with the quartiles low and high; gflops (None
        for kernels that are bound by memory) and gbytes, per second; fraction of the machine's limit, measured beside
        it (the slower of its multiply-adds and a copy of as many bytes); speedup over reference (None where that is not
        measured); error, the largest against the float64 reference, relative to the largest number (None where random
        bits differ).

    Raises
    ------
    ValueError, TypeError
        For an unknown kernel, dtype, backend or layout, backends none of which can run here, threads that are not
        there, or shapes that fit no kernel.

    Examples
    --------
    >>> import fastnet as fn
    >>> records = fn.compare(["relu"], [(64, 64)], rounds=3)
    >>> [record["backend"] for record in records][:2]
    ['reference', 'cpu']
    """
    numba = imported("numba")
    names = list(SUBJECTS) if kernels is None else list(kernels)
    for name in names:
        known("kernel", name, SUBJECTS)
    dtype = str(float_dtype("dtype", dtype))
    rounds = positive_integer("rounds", rounds)
    threads = numba.get_num_threads() if threads is None else threads
    counts = usable_threads(threads, numba.config.NUMBA_NUM_THREADS, progress)
    for layout in layouts:
        known("layout", layout, LAYOUTS)
    if not layouts:
        raise ValueError(f"layouts={layouts!r} are none: give at least one of {', '.join(LAYOUTS)}")
    plan = [
        (name, shape, layout)
        for name in names
        for shape in _shapes_for(name, shapes)
        for layout in dict.fromkeys(layouts)
        if not (layout == "F" and len(shape) == 1 and "C" in layouts)  # vectors lie in F as they lie in C
    ]
    if not plan:
        kinds = ", ".join(sorted({"x".join(SUBJECTS[name].dimensions) for name in names}))
        raise ValueError(f"shapes={shapes!r} fit none of these kernels: give shapes of {kinds}")
    modules = _chosen(backends, layouts, progress)
    records = []
    for count in counts:
        with on_threads(count, modules):
            for name, shape, layout in plan:
                progress(f"{name} {'x'.join(map(str, shape))}{'' if layout == 'C' else f', {layout}'}")
                case = make_case(name, shape, dtype, layout=layout)
                records += _measure(case, dtype, modules, count, rounds, progress)
    if not records:
        raise ValueError(f"backends={backends!r} compute none of these kernels in layouts={layouts!r}: choose others")
    return records


def _shapes_for(name: str, shapes: Sequence[Shape] | None) -> Sequence[Shape]:
    if shapes is None:
        return SUBJECTS[name].shapes
    fitting = [tuple(shape) for shape in shapes if len(shape) == len(SUBJECTS[name].dimensions)]
    for shape in fitting:
        for extent in shape:
            positive_integer("shape", extent)
    return fitting


def _measure(
    case: Case, dtype: str, modules: Mapping[str, ModuleType], threads: int, rounds: int, progress: Progress
) -> list[dict[str, Any]]:
    """The records of one kernel, shape and layout."""
    exact = make_case(case.kernel, case.shape, "float64").results(reference)
    calls, errors = {}, {}
    for backend, module in modules.items():
        if backend == "cuda" and case.layout != "C":
            continue
        try:
            errors[backend] = _error(backend, module, case, exact)
            calls[backend] = module.bound(case) if backend == PYTORCH else case.bound(module)
        except NotImplementedError as reason:
            progress(f"{backend}: left out, {reason}")
    times = samples(calls, rounds=rounds)
    limits = dict.fromkeys(calls, limit_seconds(case.flops, case.bytes, dtype, threads))
    if "cuda" in calls:
        limits["cuda"] = gpu_limit_seconds(case.flops, case.bytes, dtype)
    numpy_seconds = float(np.median(times["reference"])) if "reference" in times else None
    records = []
    for backend in calls:
        low, seconds, high = spread(times[backend])
        records.append(
            {
                "kernel": case.kernel,
                "shape": case.shape,
                "dtype": dtype,
                "layout": case.layout,
                "backend": backend,
                "threads": threads,
                "seconds": seconds,
                "low": low,
                "high": high,
                "gflops": case.flops / seconds / 1e9 if case.flops else None,
                "gbytes": case.bytes / seconds / 1e9,
                "fraction": limits[backend] / seconds,
                "speedup": None if numpy_seconds is None else numpy_seconds / seconds,
                "error": errors[backend],
            }
        )
    return records


def _error(backend: str, module: Any, case: Case, exact: Sequence[np.ndarray]) -> float | None:
    """The largest error of what is computed; None where nothing can be compared."""
    found = module.results(case) if backend == PYTORCH else case.results(module)
    if found is None:
        return None
    pairs = [(a, b) for a, b in zip(found, exact, strict=True) if a is not None]
    return largest_error([a for a, _ in pairs], [b for _, b in pairs])


@contextlib.contextmanager
def on_threads(count: int, modules: Mapping[str, Any] = MappingProxyType({})) -> Iterator[None]:
    """Numba, PyTorch if it is among the modules, and NumPy's BLAS where that can be done, on `count` threads."""
    numba = imported("numba")
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError):
            from threadpoolctl import threadpool_limits

            stack.enter_context(threadpool_limits(count, user_api="blas"))
        if PYTORCH in modules:
            stack.enter_context(modules[PYTORCH].measuring(count))
        try:
            yield
        finally:
            numba.set_num_threads(before)
