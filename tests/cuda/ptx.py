"""Compiles every CUDA kernel for sm_80 and sm_90, without a GPU, has ptxas assemble it, and prints what it needs.

python tests/cuda/ptx.py            # as a table
python tests/cuda/ptx.py --json
"""

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import numpy as np
from fastnet_kernels.cuda import activations, dense, losses, max_pool, normalisation, program, updates
from fastnet_kernels.cuda.compiling import cuda
from fastnet_kernels.cuda.dropout import _dropout
from fastnet_kernels.cuda.sizes import THREADS
from numba.cuda import compiler, dispatcher

# Arguments by letter: v a vector of the dtype, i a whole number, d a real one; I, D and B vectors of int64, float64 and
# uint8; two or three of a letter for so many dimensions.
KERNELS = {
    dense._multiply: "i v v i i v i i i i i v",
    dense._sum_columns: "v i i v",
    activations._activate: "i d v v",
    activations._derive: "i d v v v",
    activations._softmax: "i v v",
    losses._losses: "i d i i v v v v",
    normalisation._batch_norm: "i i d v v v v v v",
    normalisation._batch_norm_backward: "i i v v v v v v v v",
    normalisation._layer_norm: "i i d v v v v v v",
    normalisation._layer_norm_backward: "i i v v v v v v v",
    normalisation._layer_norm_sums: "i i v v v v v v",
    _dropout: "d i i v v",
    max_pool._max_pool: "i i i i i i i v v",
    max_pool._max_pool_backward: "i i i i i i i v v v v",
    updates._sgd: "v v d",
    updates._sgd_momentum: "v v v d d d d",
    updates._rmsprop: "v v v v d d d d d",
    updates._adam: "v v v v d d d d d d d d",
    program.run: "II i i i II DD I D v v v v v B v v v v I D DD III D D I i i i i i i",
}
MACHINES = [((8, 0), "float32"), ((9, 0), "float32"), ((9, 0), "float64")]


def _type(letters, dtype):
    kinds = {"i": numba.int64, "d": numba.float64, "v": numba.from_dtype(dtype)[::1]}
    if letters in kinds:
        return kinds[letters]
    scalar = {"I": numba.int64, "D": numba.float64, "B": numba.uint8}[letters[0]]
    return numba.types.Array(scalar, len(letters), "C")


def ptxas():
    """Path of the assembler of the wheel nvidia-cuda-nvcc."""
    folder = Path(importlib.util.find_spec("nvidia").submodule_search_locations[0])
    return next(folder.glob("*/bin/ptxas"))


def measure(kernel, capability, dtype):
    """Registers a thread, bytes of spilled registers and of shared memory."""

    class Device:
        compute_capability = capability

    # Kernels that call GPU code ask which GPU there is.
    for module in (dispatcher, compiler):
        module.get_current_device = Device
    signature = tuple(_type(letters, np.dtype(dtype)) for letters in KERNELS[kernel].split())
    ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=capability, launch_bounds=THREADS)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        command = [ptxas(), "-v", f"-arch=sm_{capability[0]}{capability[1]}", source, "-o", source.with_suffix(".o")]
        if ".extern .func" in ptx:  # of a library, for waiting on all blocks: assembled to be linked with it
            command.insert(1, "-c")
        said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode:
        raise RuntimeError(said.stderr)
    stores, loads = re.findall(r"(\d+) bytes spill (?:stores|loads)", said.stderr)[-2:]
    shared = sum(int(size) for size in re.findall(r"\.shared \.align \d+ \.b8 \S+\[(\d+)\]", ptx))
    return {
        "kernel": f"{kernel.py_func.__module__.rsplit('.', 1)[-1]}.{kernel.py_func.__name__.lstrip('_')}",
        "machine": f"sm_{capability[0]}{capability[1]}",
        "dtype": dtype,
        "registers": int(re.findall(r"Used (\d+) registers", said.stderr)[-1]),
        "spilled": max(int(stores), int(loads)),
        "shared": shared,
        "vector_loads": len(re.findall(r"ld\.shared\.v[24]", ptx)),
        "non_coherent_loads": len(re.findall(r"ld\.global\.nc", ptx)),
    }


def main():
    records = []
    for kernel in KERNELS:
        for machine in MACHINES:
            records.append(measure(kernel, *machine))
            r = records[-1]
            if "--json" not in sys.argv:
                print(
                    f"{r['kernel']:<34} {r['machine']} {r['dtype']}  {r['registers']:>3} registers  "
                    f"{r['spilled']:>3} bytes spilled  {r['shared']:>5} bytes shared",
                    flush=True,
                )
    if "--json" in sys.argv:
        print(json.dumps(records))


if __name__ == "__main__":
    main()
