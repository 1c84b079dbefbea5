"""All figures of a GPU in one go: limits, kernels, products beside cuBLAS, and trainings beside peers.

    python -m fastnet.benchmarks.gpu FILE.json [PART ...]

measures what FILE.json does not have yet, all parts unless some are named, and adds it there, a figure at a time. What
is missing is left out: PyTorch and JAX with CUDA, and cuBLAS (extra [cublas]), for which a product of PyTorch or CuPy
stands in, if they are there. An error ends the process, since nobody knows what a GPU does after one; started again, it
goes on behind what failed. float32 is float32 for everybody: nobody rounds factors to TF32.
"""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .journal import Journal
from .kernels import make_case
from .limits import gpu_bandwidth, gpu_peak_flops
from .race import _race, _workers
from .timing import Queued, samples

DTYPES = ("float32", "float64")
_SIDES = (128, 512, 1024, 2048, 4096)
_PRODUCT, _MATRIX, _VECTOR = (2048, 2048, 2048), (2048, 4096), (10_000_000,)
_KERNELS = {
    **dict.fromkeys(("dense_forward", "dense_backward"), _PRODUCT),
    **dict.fromkeys(("relu", "sigmoid_backward", "gelu", "softmax", "cross_entropy", "batch_norm"), _MATRIX),
    **dict.fromkeys(("batch_norm_backward", "layer_norm", "layer_norm_backward", "dropout"), _MATRIX),
    **dict.fromkeys(("sgd", "sgd_momentum", "rmsprop", "adam"), _VECTOR),
}
_SMALL = (64, 64, 64)  # of which a call takes longer than the GPU
_WORKLOADS = ("mnist", "wide", "planar", "logistic", "deepcat", "large", "lenet", "cnn32")
_PEERS = ("fastnet CUDA", "PyTorch CUDA graph", "PyTorch CUDA", "JAX CUDA")
_ROUNDS = 2  # each a tenth of a second at the least, which a GPU that nobody shares makes the same each time
_PATIENCE = 60.0  # seconds for a figure, of which the first of a kind compiles its kernels, or for a peer's answer
_WITHOUT_TF32 = {"NVIDIA_TF32_OVERRIDE": "0", "JAX_DEFAULT_MATMUL_PRECISION": "float32"}


def gpu(journal: Journal) -> None:
    """Which GPU there is."""
    from fastnet_kernels.cuda.codegen.compiling import cuda, why_not
    from fastnet_kernels.cuda.target import IS_SIMULATED

    for item in journal.plan(["gpu"]):
        with journal.trying(item) as records:
            reason = why_not()
            if reason is not None:
                raise RuntimeError(reason)
            if IS_SIMULATED:
                records.append({"gpu": "Numba's simulator", "is_simulated": True})
                continue
            device = cuda.get_current_device()
            name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
            records.append({"gpu": name, "is_simulated": False, "multiprocessors": device.MULTIPROCESSOR_COUNT})


def limits(journal: Journal) -> None:
    """What the GPU can do at best."""
    for item in journal.plan(["peaks"]):
        with journal.trying(item) as records:
            tflops = {dtype: gpu_peak_flops(dtype) / 1e12 for dtype in DTYPES}
            records.append({"tflops": tflops, "gbytes": gpu_bandwidth() / 1e9})


def kernels(journal: Journal) -> None:
    """How long a call takes of little, and of much how many bytes or operations a second."""
    import fastnet_kernels.cuda as backend

    cases = {f"{name} {dtype}": (name, shape, dtype) for name, shape in _KERNELS.items() for dtype in DTYPES}
    for item in journal.plan(cases):
        name, shape, dtype = cases[item]
        with journal.trying(item) as records:
            small, large = (make_case(name, size, dtype) for size in (_SMALL[: len(shape)], shape))
            calls = {"small": small.bound(backend), "large": large.bound(backend)}
            seconds = {case: float(np.median(values)) for case, values in samples(calls, rounds=3).items()}
            record = {"kernel": name, "dtype": dtype, "microseconds_a_call": round(1e6 * seconds["small"], 1)}
            if large.flops:
                records.append({**record, "tflops": round(large.flops / seconds["large"] / 1e12, 2)})
            else:
                records.append({**record, "gbytes": round(large.bytes / seconds["large"] / 1e9)})


def products(journal: Journal) -> None:
    """Our product of square matrices with a bias, Z = A W^T + b, and cuBLAS's."""
    import fastnet_kernels.cuda as backend
    from fastnet_kernels.cuda.codegen.compiling import cuda

    cases = {f"{dtype} {side}": (dtype, side) for dtype in DTYPES for side in _SIDES}
    for item in journal.plan(cases):
        dtype, side = cases[item]
        with journal.trying(item) as records:
            A, W, Z = (cuda.to_device(np.random.default_rng(0).random((side, side)).astype(dtype)) for _ in range(3))
            b = cuda.to_device(np.zeros(side, dtype))
            calls: dict[str, Callable[[], object]] = {"fastnet": functools.partial(backend.dense_forward, A, W, b, Z)}
            calls |= _of_library(A, W, b, Z)
            queued = {who: Queued(call, cuda.synchronize) for who, call in calls.items()}
            for who, seconds in samples(queued, rounds=5, at_least=0.02).items():
                tflops = 2 * side**3 / float(np.median(seconds)) / 1e12
                records.append({"dtype": dtype, "side": side, "who": who, "tflops": round(tflops, 2)})


def _of_library(A: Any, W: Any, b: Any, Z: Any) -> dict[str, Callable[[], object]]:
    """cuBLAS's product by its name, or by that of whoever calls it, if anybody here does."""
    from fastnet_kernels.cuda.gemm.cublas import Matrix, find

    cublas, side = find(A.dtype), len(A)
    if cublas is not None:
        P, Q, C = (Matrix(array.reshape(-1), 0, side, 1) for array in (A, W, Z))
        return {"cuBLAS": functools.partial(cublas.multiply, 0, side, side, side, P, Q, C, Matrix(b, 0, 1, 1))}
    try:
        import torch

        if torch.cuda.is_available():
            torch.set_float32_matmul_precision("highest")
            A, W, b, Z = (torch.as_tensor(array, device="cuda") for array in (A, W, b, Z))
            return {"PyTorch's addmm": functools.partial(torch.addmm, b, A, W.T, out=Z)}
    except (ImportError, OSError):  # it is not here, or its libraries are not
        pass
    try:
        import cupy

        A, W, Z = (cupy.asarray(array) for array in (A, W, Z))
        return {"CuPy's matmul, without b": functools.partial(cupy.matmul, A, W.T, out=Z)}
    except (ImportError, OSError):
        return {}


def trainings(journal: Journal) -> None:
    """Of each workload, seconds a step of everybody."""
    names = journal.plan(_WORKLOADS)
    if not names:
        return

    def note(line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        journal.note(line)

    with _workers(_PEERS, 1, "float32", note, _PATIENCE) as workers:
        has_ours = any(worker.name == _PEERS[0] for worker in workers)
        for name in names:
            with journal.trying(name) as records:
                records += _race(name, workers, 1, "float32", _ROUNDS, note)
            if has_ours and not any(worker.name == _PEERS[0] for worker in workers):
                sys.exit("without fastnet there is nothing to compare: start again")


PARTS = {part.__name__: part for part in (gpu, limits, kernels, products, trainings)}


def main(path: str, *parts: str) -> None:
    os.environ.update(_WITHOUT_TF32)
    for name in parts or PARTS:
        # In a training everybody has to answer.
        patience = _PATIENCE * len(_PEERS) if name == trainings.__name__ else _PATIENCE
        journal = Journal(Path(path), name, patience)
        PARTS[name](journal)
        journal.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
