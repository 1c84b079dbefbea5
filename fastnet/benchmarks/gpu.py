"""All figures of a GPU in one go: limits, kernels, products beside cuBLAS, and trainings beside peers.

    python -m fastnet.benchmarks.gpu FILE.json

prints tables and writes records. What is missing is left out: cuBLAS (extra [cublas]), and PyTorch and JAX with CUDA.
"""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import tables
from .comparison import compare
from .limits import gpu_bandwidth, gpu_peak_flops
from .race import compare_peers
from .timing import Queued, samples

_SIDES = (128, 512, 1024, 2048, 4096)
_KERNELS = ("dense_forward", "dense_backward", "relu", "sigmoid_backward", "softmax", "cross_entropy", "sgd", "adam")
_WORKLOADS = ("logistic", "planar", "deepcat", "mnist", "wide", "large")
_PEERS = ("fastnet CUDA", "PyTorch CUDA", "PyTorch CUDA graph", "JAX CUDA")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def limits() -> dict[str, Any]:
    """What the GPU is, and can do at best."""
    from fastnet_kernels.cuda.compiling import cuda

    device = cuda.get_current_device()
    name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
    peaks = {dtype: gpu_peak_flops(dtype) / 1e12 for dtype in ("float32", "float64")}
    return {
        "gpu": name,
        "multiprocessors": device.MULTIPROCESSOR_COUNT,
        "tflops": peaks,
        "gbytes": gpu_bandwidth() / 1e9,
    }


def products() -> list[dict[str, Any]]:
    """Our product of square matrices, and cuBLAS's, without tensor cores in float32."""
    import fastnet_kernels.cuda as backend
    from fastnet_kernels.cuda.compiling import cuda
    from fastnet_kernels.cuda.cublas import Matrix, find

    records = []
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
            for name, seconds in samples(calls, rounds=7, at_least=0.02).items():
                tflops = 2 * side**3 / float(np.median(seconds)) / 1e12
                records.append({"dtype": dtype, "side": side, "who": name, "tflops": tflops})
                print(f"{dtype} {side:>5}  {name:<8} {tflops:7.2f} TFLOP/s", flush=True)
    return records


def main(path: str) -> None:
    found: dict[str, Any] = {"limits": limits()}
    print(json.dumps(found["limits"]), flush=True)
    parts: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "products": products,
        "kernels": lambda: compare(_KERNELS, rounds=5, progress=_say),
        "trainings": lambda: compare_peers(_WORKLOADS, _PEERS, rounds=3, progress=_say),
    }
    for name, measure in parts.items():
        found[name] = measure()
        if name != "products":
            text = tables.kernels_text(found[name]) if name == "kernels" else tables.peers_text(found[name])
            print(text, flush=True)
        # After each part: what is measured is kept if a later one fails.
        temporary = Path(f"{path}.part")
        temporary.write_text(json.dumps(found, default=float, indent=1))
        temporary.replace(path)


if __name__ == "__main__":
    main(sys.argv[1])
