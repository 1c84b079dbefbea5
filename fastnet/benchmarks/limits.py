"""What this machine can do at best: multiply-adds a second in registers, bytes a second in a copy of a given size."""

import functools
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from fastnet_kernels.first_use import imported

from ..checks import positive_integer
from .timing import Queued, samples


def processor() -> str:
    """The processor's name and the number of cores this process may use."""
    numba = imported("numba")
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        given = {key.strip(): value.strip() for key, value in fields.items()}
        name = given.get("model name", name)
        if "cpu family" in given and "model" in given:
            name += f" (family {given['cpu family']}, model {given['model']})"
    return f"{name}, {numba.config.NUMBA_NUM_THREADS} cores"


def usable_threads(
    threads: int | Sequence[int], available: int, progress: Callable[[str], object] = lambda line: None
) -> list[int]:
    """Of the numbers of threads those that there are; `progress` is told of the others. ValueError if none is left."""
    asked = list(threads) if isinstance(threads, Sequence) else [threads]
    if not asked:
        raise ValueError("threads=[] names none: give at least one number of threads")
    for count in asked:
        positive_integer("threads", count)
    found = [count for count in dict.fromkeys(asked) if count <= available]
    if not found:
        raise ValueError(f"threads={','.join(map(str, asked))}, and this process may use {available}: give no more")
    if left := [str(count) for count in dict.fromkeys(asked) if count > available]:
        progress(f"threads={','.join(left)}: left out, this process may use {available}")
    return found


@functools.cache
def _peak_flops(dtype: str, threads: int) -> float:
    from fastnet_kernels.cpu import limits
    from fastnet_kernels.cpu.codegen.processor import VECTOR_BYTES

    kind = np.dtype(dtype)
    lanes = VECTOR_BYTES // kind.itemsize
    numbers = np.repeat(np.array([1, 1e-9], kind), lanes)
    steps, sums = 20_000, np.zeros(4 * threads, kind)
    seconds = _fastest(lambda: limits.multiply_add(numbers, steps, sums), threads)
    return float(2 * lanes * limits.CHAINS * steps * sums.size / seconds)


@functools.cache
def _copy_bandwidth(n_bytes: int, threads: int) -> float:
    from fastnet_kernels.cpu import limits

    source = np.ones(max(1, n_bytes // 8), np.float32)
    target = np.zeros_like(source)
    return float(2 * source.nbytes / _fastest(lambda: limits.copy(source, target), threads))


def _fastest(call: Callable[[], object], threads: int) -> float:
    """Seconds of the fastest round: a limit is what can be reached, and every disturbance only takes away from it."""
    numba = imported("numba")
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        return float(samples({"call": call}, rounds=15)["call"].min())
    finally:
        numba.set_num_threads(before)


def peak_flops(dtype: str, threads: int) -> float:
    """Floating-point operations a second, two for each multiply-add, on at most `threads` threads."""
    return max(_peak_flops(dtype, count) for count in {1, threads})


def bandwidth(n_bytes: int, threads: int) -> float:
    """Bytes a second, read and written, of a copy that moves about `n_bytes` in all; it falls as caches overflow.

    On at most `threads` threads: one may be the fastest for little, or where others use the machine.
    """
    size = 1 << max(18, (n_bytes - 1).bit_length())
    return max(_copy_bandwidth(size, count) for count in {1, threads})


def limit_seconds(flops: float, n_bytes: float, dtype: str, threads: int) -> float:
    """The roofline (Williams, Waterman and Patterson, 2009): the slower of the arithmetic and one pass over memory."""
    return max(flops / peak_flops(dtype, threads), n_bytes / bandwidth(int(n_bytes), threads))


_LANES_OF_DOUBLES = {(6, 0): 32, (7, 0): 32, (8, 0): 32, (9, 0): 64, (10, 0): 64}  # by compute capability; others 2


@functools.cache
def gpu_peak_flops(dtype: str) -> float:
    """The same of the current GPU outside its tensor cores, from its clock and the lanes of its multiprocessors."""
    from fastnet_kernels.cuda.codegen.compiling import cuda

    device = cuda.get_current_device()
    capability = tuple(device.compute_capability)
    lanes = 64 if capability in ((6, 0), (7, 0), (7, 5), (8, 0)) else 128
    if dtype == "float64":
        lanes = _LANES_OF_DOUBLES.get(capability, 2)
    return float(2 * lanes * device.MULTIPROCESSOR_COUNT * device.CLOCK_RATE * 1e3)


@functools.cache
def gpu_bandwidth() -> float:
    """Bytes a second, read and written, of a copy within the GPU's memory that no cache holds."""
    from fastnet_kernels.cuda.codegen.compiling import cuda

    source = cuda.device_array(1 << 27, np.float32)
    target = cuda.device_array_like(source)
    found = samples({"copy": Queued(lambda: target.copy_to_device(source), cuda.synchronize)}, rounds=7)["copy"]
    return float(2 * source.nbytes / found.min())


def gpu_limit_seconds(flops: float, n_bytes: float, dtype: str) -> float:
    """The roofline of the current GPU."""
    return max(flops / gpu_peak_flops(dtype), n_bytes / gpu_bandwidth())
