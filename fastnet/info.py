"""What `fastnet info` says: versions, processor, threads, where compiled code is kept, GPU."""

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

from fastnet_kernels.first_use import imported

from . import __version__
from .summary import readable

# By the extra that installs them.
_PACKAGES = {
    "": ("numpy", "numba", "llvmlite", "safetensors", "tqdm"),
    "sklearn": ("scikit-learn",),
    "onnx": ("onnx",),
    "tables": ("pyarrow",),
    "plot": ("matplotlib",),
    "cuda": ("numba-cuda",),
    "tensorboard": ("tensorboardX",),
}


def info() -> str:
    """Everything that a report of a fault should say, a line each; nothing of it is measured or compiled."""
    limits, processor = imported("fastnet.benchmarks.limits"), imported("fastnet_kernels.cpu.codegen.processor")
    amx = imported("fastnet_kernels.cpu.gemm.amx")
    bits = 8 * processor.VECTOR_BYTES
    rows = [
        ("fastnet-numba", f"{__version__}, in {Path(__file__).parent}"),
        ("Python", f"{platform.python_version()}, {sys.executable}"),
        ("system", platform.platform()),
        *((name, _version(name, extra)) for extra, names in _PACKAGES.items() for name in names),
        ("processor", limits.processor()),
        ("vectors", f"{bits} bits, and AMX for large float32 products" if amx.may_be_used() else f"{bits} bits"),
        ("threads", _threads()),
        ("compiled code", _cache()),
        ("GPU", _gpu()),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _version(name: str, extra: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed: pip install 'fastnet-numba[{extra}]'"


def _threads() -> str:
    numba = imported("numba")
    used, there = numba.get_num_threads(), numba.config.NUMBA_NUM_THREADS
    layer = numba.config.THREADING_LAYER
    chosen = "the layer that Numba finds" if layer == "default" else f"layer {layer}"
    return f"{used} of {there}, {chosen} (NUMBA_NUM_THREADS, NUMBA_THREADING_LAYER)"


def _cache() -> str:
    folder = imported("fastnet_kernels.cpu.codegen.compiling").folder
    if folder is None:
        return "kept nowhere: no folder can be written to, so every process compiles (NUMBA_CACHE_DIR)"
    size = sum(_size(Path(base) / name) for base, _, names in os.walk(folder) for name in names)
    return f"{readable(size)} in {folder} (NUMBA_CACHE_DIR)"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed meanwhile
        return 0


def _gpu() -> str:
    try:
        cuda = imported("numba.cuda")
        if not cuda.is_available():
            return "none that CUDA finds"
        name = cuda.get_current_device().name
    except Exception as error:  # whatever a driver raises is what is to be said
        return f"none that can be used: {error}"
    return name.decode() if isinstance(name, bytes) else str(name)
