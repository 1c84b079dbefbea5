"""All figures of a GPU in one go: limits, kernels, products beside cuBLAS, and trainings beside peers.

    python -m fastnet.benchmarks.gpu FILE.json

prints and writes a record at a time. What is missing is left out: cuBLAS (extra [cublas]), PyTorch and JAX with CUDA.
"""

import functools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .kernels import make_case
from .limits import gpu_bandwidth, gpu_peak_flops
from .race import _race, _workers
from .timing import Queued, samples

_SIDES = (128, 512, 1024, 2048, 4096)
_MATRIX, _VECTOR = (2048, 4096), (10_000_000,)
_KERNELS = {
    **dict.fromkeys(("relu", "sigmoid_backward", "gelu", "softmax", "cross_entropy", "batch_norm"), _MATRIX),
    **dict.fromkeys(("batch_norm_backward", "layer_norm", "layer_norm_backward", "dropout"), _MATRIX),
    **dict.fromkeys(("sgd", "sgd_momentum", "rmsprop", "adam"), _VECTOR),
}
_SMALL = (64, 64)  # of which a call takes longer than the GPU
_WORKLOADS = ("mnist", "wide", "planar", "logistic", "deepcat", "large")
_PEERS = ("fastnet CUDA", "PyTorch CUDA graph", "PyTorch CUDA", "JAX CUDA")
_ROUNDS = 2  # each a tenth of a second at the least, which a GPU that nobody shares makes the same each time

Record = dict[str, Any]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def limits() -> dict[str, Any]:
    """What the GPU is, and can do at best."""
    from fastnet_kernels.cuda.codegen.compiling import cuda

    device = cuda.get_current_device()
    name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
    peaks = {dtype: gpu_peak_flops(dtype) / 1e12 for dtype in ("float32", "float64")}
    return {
        "gpu": name,
        "multiprocessors": device.MULTIPROCESSOR_COUNT,
        "tflops": peaks,
        "gbytes": gpu_bandwidth() / 1e9,
    }


def products() -> Iterator[Record]:
    """Our product of square matrices, and cuBLAS's, without tensor cores in float32."""
    import fastnet_kernels.cuda as backend
    from fastnet_kernels.cuda.codegen.compiling import cuda
    from fastnet_kernels.cuda.gemm.cublas import Matrix, find

    for dtype in ("float32", "float64"):
        for side in _SIDES:
            A, W, Z = (cuda.to_device(np.random.default_rng(0).random((side, side)).astype(dtype)) for _ in range(3))
            b = cuda.to_device(np.zeros(side, dtype))
            calls = {"fastnet": Queued(functools.partial(backend.dense_forward, A, W, b, Z), cuda.synchronize)}
            cublas = find(dtype)
            if cublas is not None:
                P, Q, C = (Matrix(array.reshape(-1), 0, side, 1) for array in (A, W, Z))
                multiply = functools.partial(cublas.multiply, 0, side, side, side, P, Q, C, Matrix(b, 0, 1, 1))
                calls["cuBLAS"] = Queued(multiply, cuda.synchronize)
            for name, seconds in samples(calls, rounds=5, at_least=0.02).items():
                tflops = 2 * side**3 / float(np.median(seconds)) / 1e12
                yield {"dtype": dtype, "side": side, "who": name, "tflops": round(tflops, 2)}


def kernels() -> Iterator[Record]:
    """How long a call takes of little, and how many bytes a second of much."""
    import fastnet_kernels.cuda as backend

    for name, shape in _KERNELS.items():
        for dtype in ("float32", "float64"):
            small, large = (make_case(name, size, dtype) for size in (_SMALL[: len(shape)], shape))
            calls = {"small": small.bound(backend), "large": large.bound(backend)}
            seconds = {case: float(np.median(values)) for case, values in samples(calls, rounds=3).items()}
            yield {
                "kernel": name,
                "dtype": dtype,
                "microseconds_a_call": round(1e6 * seconds["small"], 1),
                "gbytes": round(large.bytes / seconds["large"] / 1e9),
            }


def trainings() -> Iterator[Record]:
    """Of each workload, seconds a step of everybody."""
    with _workers(_PEERS, 1, "float32", _say) as workers:
        for name in _WORKLOADS:
            yield from _race(name, workers, 1, "float32", _ROUNDS, _say)


def main(path: str) -> None:
    found: dict[str, Any] = {"limits": limits()}
    parts: tuple[Callable[[], Iterator[Record]], ...] = (products, kernels, trainings)
    print(json.dumps(found["limits"]), flush=True)
    for measure in parts:
        records = found[measure.__name__] = []
        for record in measure():
            print(measure.__name__, json.dumps(record, default=float), flush=True)
            # At once: what is measured is kept if it ends here.
            records.append(record)
            temporary = Path(f"{path}.part")
            temporary.write_text(json.dumps(found, default=float, indent=1))
            temporary.replace(path)


if __name__ == "__main__":
    main(sys.argv[1])
