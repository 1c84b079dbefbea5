"""Kernels side by side: the same formula in each of its backends, held against the limit of the machine."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from fastnet_kernels.first_use import imported

from ..checks import float_dtype, known, positive_integer
from .kernels import SUBJECTS, Shape, backends, largest_error, make_case
from .limits import gpu_limit_seconds, limit_seconds
from .timing import samples, spread


def compare(
    kernels: Sequence[str] | None = None,
    shapes: Sequence[Shape] | None = None,
    *,
    dtype: Any = "float32",
    threads: int | None = None,
    rounds: int = 15,
    progress: Callable[[str], object] = lambda line: None,
) -> list[dict[str, Any]]:
    """Time kernels in every backend that can run here: reference (NumPy), cpu, and cuda where there is a GPU.

    Parameters
    ----------
    kernels : sequence of str, optional
        Names of `fastnet_kernels.reference`; all unless given.
    shapes : sequence of tuple of int, optional
        (m, n_prev, n) for the dense kernels, (m, n) for activations and losses, (n,) for updates: each kernel takes
        those that have as many numbers as its own. Without them every kernel has shapes from tiny to beyond the cache.
    dtype : str
        "float32" or "float64".
    threads : int, optional
        For all backends; as many as Numba uses unless given. NumPy's own are held to it where threadpoolctl is
        installed.
    rounds : int
        Samples of each; the backends take turns.
    progress : callable
        Called with a line of text before each case.

    Returns
    -------
    list of dict
        One record a kernel, shape and backend, as `pandas.DataFrame` takes them: kernel, shape, dtype, backend,
        threads; seconds a call (the median, called from Python) with the quartiles low and high; gflops (None for
        kernels that are bound by memory) and gbytes, per second; fraction of the machine's limit, measured beside it
        (the slower of its multiply-adds and a copy of as many bytes); speedup over reference; error, the largest
        against the float64 reference, relative to the largest number.

    Raises
    ------
    ValueError, TypeError
        For an unknown kernel or dtype, threads that are not there, or shapes that fit no kernel.

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
    threads = numba.get_num_threads() if threads is None else positive_integer("threads", threads)
    if threads > numba.config.NUMBA_NUM_THREADS:
        raise ValueError(f"threads={threads}, and Numba has {numba.config.NUMBA_NUM_THREADS} here: give no more")
    plan = [(name, shape) for name in names for shape in _shapes_for(name, shapes)]
    if not plan:
        kinds = ", ".join(sorted({"x".join(SUBJECTS[name].dimensions) for name in names}))
        raise ValueError(f"shapes={shapes!r} fit none of these kernels: give shapes of {kinds}")
    records = []
    with _threads(threads):
        for name, shape in plan:
            progress(f"{name} {'x'.join(map(str, shape))}")
            records += _measure(name, shape, dtype, threads, rounds)
    return records


def _shapes_for(name: str, shapes: Sequence[Shape] | None) -> Sequence[Shape]:
    if shapes is None:
        return SUBJECTS[name].shapes
    fitting = [tuple(shape) for shape in shapes if len(shape) == len(SUBJECTS[name].dimensions)]
    for shape in fitting:
        for extent in shape:
            positive_integer("shape", extent)
    return fitting


def _measure(name: str, shape: Shape, dtype: str, threads: int, rounds: int) -> list[dict[str, Any]]:
    """The records of one kernel and shape."""
    available, _ = backends()
    exact = make_case(name, shape, "float64").results(available["reference"])
    case = make_case(name, shape, dtype)
    errors = {backend: largest_error(case.results(module), exact) for backend, module in available.items()}
    times = samples({backend: case.bound(module) for backend, module in available.items()}, rounds=rounds)
    limits = dict.fromkeys(("reference", "cpu"), limit_seconds(case.flops, case.bytes, dtype, threads))
    if "cuda" in available:
        limits["cuda"] = gpu_limit_seconds(case.flops, case.bytes, dtype)
    reference = float(np.median(times["reference"]))
    records = []
    for backend in available:
        low, seconds, high = spread(times[backend])
        records.append(
            {
                "kernel": name,
                "shape": shape,
                "dtype": dtype,
                "backend": backend,
                "threads": threads,
                "seconds": seconds,
                "low": low,
                "high": high,
                "gflops": case.flops / seconds / 1e9 if case.flops else None,
                "gbytes": case.bytes / seconds / 1e9,
                "fraction": limits[backend] / seconds,
                "speedup": reference / seconds,
                "error": errors[backend],
            }
        )
    return records


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Numba, and NumPy's BLAS where that can be done, on `count` threads."""
    numba = imported("numba")
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError):
            from threadpoolctl import threadpool_limits

            stack.enter_context(threadpool_limits(count, user_api="blas"))
        try:
            yield
        finally:
            numba.set_num_threads(before)
